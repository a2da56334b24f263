//! The coordinator: who is at work, when they are to stop, and what stopped them.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate::Monitor;
use tollgate::TaskReceiver;

/// Shared, because a task that fails with it needs it as well.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// Lets each of many tasks stop all of them, as TensorFlow's `Coordinator` does.
#[derive(Clone, Default)]
pub(crate) struct Coordinator(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stop: watch::Sender<bool>,
    errors: Mutex<Errors>,
}

#[derive(Default)]
struct Errors {
    first: Option<Cause>,
    further: usize,
}

impl Coordinator {
    /// Asks everybody to stop: because of an error, or without one, cleanly. The first error is
    /// what [`join`](Self::join) gives, also when it comes after a clean stop; further ones are
    /// counted.
    pub(crate) fn request_stop(&self, error: Option<Cause>) {
        if let Some(error) = error {
            let mut errors = self.errors();
            match &errors.first {
                None => errors.first = Some(error),
                Some(_) => errors.further += 1,
            }
        }
        // After the error is noted: who sees the stop finds it.
        self.0.stop.send_replace(true);
    }

    pub(crate) fn should_stop(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// Waits until somebody requests a stop.
    pub(crate) async fn stopped(&self) {
        // An error would be that the sender is gone, and that is here.
        let _ = self.0.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Waits until the whole crew has ended, which is a clean stop if nobody has requested another.
    ///
    /// Once a stop is requested, all that has not begun is handed back, and the crew has until
    /// `grace` is over. Whoever then still runs is named; what only such stragglers keep from
    /// ending is handed back, too.
    pub(crate) async fn join(&self, mut crew: Crew, grace: Duration) -> Ended {
        tokio::select! {
            () = crew.ended(self) => {}
            () = self.stopped() => {}
        }
        if self.should_stop() {
            hand_back(&mut crew.at_stop);
            // With no grace at all it still notices who has ended.
            let _ = timeout(grace, crew.ended(self)).await;
        }
        if !crew.members.is_empty() {
            hand_back(&mut crew.at_last);
        }
        self.request_stop(None);

        let mut names: Vec<_> = crew.names.into_values().collect();
        names.sort_unstable();
        let errors = mem::take(&mut *self.errors());
        Ended {
            result: errors.first.map_or(Ok(()), Err),
            further_errors: errors.further,
            stragglers: Stragglers {
                names,
                members: crew.members,
            },
        }
    }

    fn errors(&self) -> MutexGuard<'_, Errors> {
        lock(&self.0.errors)
    }
}

/// How it went.
pub(crate) struct Ended {
    /// The first error.
    pub(crate) result: Result<(), Cause>,
    pub(crate) further_errors: usize,
    pub(crate) stragglers: Stragglers,
}

/// Those who did not stop in time. They run on until this is dropped.
pub(crate) struct Stragglers {
    pub(crate) names: Vec<String>,
    members: JoinSet<()>,
}

impl Stragglers {
    /// Aborts them, and waits for the end of each: its next `await`. One that blocks its thread is
    /// waited for in vain: then drop them, which waits for nobody. Gives their names.
    pub(crate) async fn abort(mut self) -> Vec<String> {
        self.members.shutdown().await;
        self.names
    }
}

/// What has been handed back so far.
pub(crate) type Left<T> = Arc<Mutex<Vec<T>>>;

/// The tasks to be joined, and the queues to be emptied when they are told to stop.
#[derive(Default)]
pub(crate) struct Crew {
    members: JoinSet<()>,
    names: HashMap<task::Id, String>,
    at_stop: Vec<Box<dyn FnOnce() + Send>>,
    at_last: Vec<Box<dyn FnOnce() + Send>>,
}

impl Crew {
    /// Starts a member. Should it end with an error, or panic, all are stopped.
    pub(crate) fn spawn<F>(&mut self, coordinator: &Coordinator, name: String, member: F)
    where
        F: Future<Output = Result<(), Cause>> + Send + 'static,
    {
        let coordinator = coordinator.clone();
        let handle = self.members.spawn(async move {
            if let Err(error) = member.await {
                coordinator.request_stop(Some(error));
            }
        });
        self.names.insert(handle.id(), name);
    }

    /// Has what is queued handed back as soon as a stop is requested: the work is not to begin any
    /// more.
    pub(crate) fn hand_back_at_stop<T: Send + 'static>(
        &mut self,
        queue: TaskReceiver<T>,
        left: Left<T>,
    ) {
        // The receiver makes the queue last, to be handed back, even if all who work it off panic.
        self.at_stop
            .push(Box::new(move || lock(&left).extend(queue.close_now())));
    }

    /// Has what is queued handed back when the grace period is over and somebody still runs.
    pub(crate) fn hand_back_at_last<T: Send + 'static>(
        &mut self,
        queue: Monitor<T>,
        left: Left<T>,
    ) {
        self.at_last
            .push(Box::new(move || lock(&left).extend(queue.close_now())));
    }

    /// Waits until all have ended. Cancelled, it has forgotten nobody who has not.
    async fn ended(&mut self, coordinator: &Coordinator) {
        while let Some(ended) = self.members.join_next_with_id().await {
            match ended {
                Ok((id, ())) => drop(self.names.remove(&id)),
                Err(source) => {
                    let name = self.names.remove(&source.id()).unwrap_or_default();
                    coordinator.request_stop(Some(Arc::new(Panicked { name, source })));
                }
            }
        }
    }
}

fn hand_back(queues: &mut Vec<Box<dyn FnOnce() + Send>>) {
    queues.drain(..).for_each(|close| close());
}

/// Nothing here is left half-way by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A member that panicked.
#[derive(Debug)]
struct Panicked {
    name: String,
    source: task::JoinError,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not end by itself", self.name)
    }
}

impl Error for Panicked {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
