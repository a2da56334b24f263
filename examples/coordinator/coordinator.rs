//! The coordinator: it stops a group of tasks, and knows which of them still run and why they stop.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate::Monitor;
use tollgate::TaskReceiver;

use crate::common::threads::lock;

/// Shared, because the failed task keeps it as well.
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
    /// Requests a stop, because of an error or, without one, a clean stop. [`join`](Self::join)
    /// returns the first error, even if it follows a clean stop, and counts the others.
    pub(crate) fn request_stop(&self, error: Option<Cause>) {
        if let Some(error) = error {
            let mut errors = lock(&self.0.errors);
            match &errors.first {
                None => errors.first = Some(error),
                Some(_) => errors.further += 1,
            }
        }
        // The error is stored first, so that it is there when a task sees the stop.
        self.0.stop.send_replace(true);
    }

    pub(crate) fn should_stop(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// Waits until a stop is requested.
    pub(crate) async fn stopped(&self) {
        // An error would mean that the sender was dropped, but `self` holds it.
        let _ = self.0.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Waits until all tasks of the crew have ended. This is a clean stop, unless another stop was
    /// requested.
    ///
    /// Once a stop is requested, queued items are handed back, and the crew has the time `grace` to
    /// end. Tasks that still run then are stragglers: their names are returned, and the items of the
    /// queues that wait for them are handed back as well.
    pub(crate) async fn join(&self, mut crew: Crew, grace: Duration) -> Ended {
        tokio::select! {
            () = crew.ended(self) => {}
            () = self.stopped() => {}
        }
        if self.should_stop() {
            hand_back(&mut crew.at_stop);
            // Even with no grace, this removes the tasks that have ended.
            let _ = timeout(grace, crew.ended(self)).await;
        }
        if !crew.members.is_empty() {
            hand_back(&mut crew.at_last);
        }
        self.request_stop(None);

        let mut names: Vec<_> = crew.names.into_values().collect();
        names.sort_unstable();
        let errors = mem::take(&mut *lock(&self.0.errors));
        Ended {
            result: errors.first.map_or(Ok(()), Err),
            further_errors: errors.further,
            stragglers: Stragglers {
                names,
                members: crew.members,
            },
        }
    }
}

/// How a crew ended.
pub(crate) struct Ended {
    /// The first error.
    pub(crate) result: Result<(), Cause>,
    pub(crate) further_errors: usize,
    pub(crate) stragglers: Stragglers,
}

/// The tasks that did not stop in time. They run until this is dropped.
pub(crate) struct Stragglers {
    pub(crate) names: Vec<String>,
    members: JoinSet<()>,
}

impl Stragglers {
    /// Aborts the tasks, waits until each reaches an `await` and ends, and returns their names. A
    /// task that blocks its thread never reaches one. To avoid waiting for it, drop this instead.
    pub(crate) async fn abort(mut self) -> Vec<String> {
        self.members.shutdown().await;
        self.names
    }
}

/// The items that have been handed back.
pub(crate) type Left<T> = Arc<Mutex<Vec<T>>>;

/// The tasks to join, and the queues to empty at a stop.
#[derive(Default)]
pub(crate) struct Crew {
    members: JoinSet<()>,
    names: HashMap<task::Id, String>,
    at_stop: Vec<Box<dyn FnOnce() + Send>>,
    at_last: Vec<Box<dyn FnOnce() + Send>>,
}

impl Crew {
    /// Starts a task. If it returns an error or panics, all tasks are stopped.
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

    /// Hands back the items of `queue` when a stop is requested, so that no more work starts.
    pub(crate) fn hand_back_at_stop<T: Send + 'static>(
        &mut self,
        queue: TaskReceiver<T>,
        left: Left<T>,
    ) {
        // The receiver keeps the items queued, even if all workers panic.
        self.at_stop
            .push(Box::new(move || lock(&left).extend(queue.close_now())));
    }

    /// Hands back the items of `queue` if tasks still run after the grace period.
    pub(crate) fn hand_back_at_last<T: Send + 'static>(
        &mut self,
        queue: Monitor<T>,
        left: Left<T>,
    ) {
        self.at_last
            .push(Box::new(move || lock(&left).extend(queue.close_now())));
    }

    /// Waits until all tasks have ended. Cancel safe.
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

/// A task that panicked.
#[derive(Debug)]
struct Panicked {
    name: String,
    source: task::JoinError,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked", self.name)
    }
}

impl Error for Panicked {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
