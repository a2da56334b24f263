//! The executor: threads that work off one closable channel of jobs.

use std::collections::VecDeque;
use std::io;
use std::iter;
use std::mem;
use std::num::NonZeroUsize;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use pollster::block_on;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::job;
use crate::job::Handle;
use crate::job::Job;
use crate::job::JobError;
use crate::job::Outcome;

/// Runs calls on threads of its own, as Python's `ThreadPoolExecutor` does.
///
/// Dropped without a [`shutdown`](Self::shutdown) it is shut down then, and waits until all that
/// was submitted has been run, as Python's `with` does at its end.
pub(crate) struct Executor {
    jobs: Sender<Job>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    ids: Vec<thread::ThreadId>,
}

impl Executor {
    /// Starts the threads. Up to `capacity` jobs wait for one of them.
    pub(crate) fn new(workers: NonZeroUsize, capacity: NonZeroUsize) -> io::Result<Self> {
        let (jobs, receiver) = tollgate::tasks(capacity.get());
        // Should a thread not be had, the sender goes here, and the others end.
        let threads = (1..=workers.get())
            .map(|number| {
                let receiver = receiver.clone();
                let builder = thread::Builder::new().name(format!("worker-{number}"));
                builder.spawn(move || work(&receiver))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            jobs,
            ids: threads.iter().map(|thread| thread.thread().id()).collect(),
            threads: Mutex::new(threads),
        })
    }

    /// Has `call` run by one of the threads. Waits while the queue is full: jobs that submit jobs
    /// need a queue with room for these. After a shutdown it is cancelled at once.
    pub(crate) fn submit<F, R>(&self, call: F) -> Outcome<Handle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, handle) = job::pair(call);
        block_on(self.jobs.send(job)).map_err(|_| JobError::Cancelled)?;
        Ok(handle)
    }

    /// The results of `call` for each of the items, in order. It takes no more items than can be
    /// queued and in hand ahead of the result asked for, and none after a shutdown.
    pub(crate) fn map<I, F, R>(&self, items: I, call: F) -> impl Iterator<Item = Outcome<R>>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let call = Arc::new(call);
        let submit = move |item| {
            let call = Arc::clone(&call);
            self.submit(move || call(item)).ok()
        };
        let mut submitted = items.into_iter().map_while(submit).fuse();
        let most = self.ids.len() + self.jobs.capacity().unwrap_or(0);
        let mut ahead: VecDeque<Handle<R>> = submitted.by_ref().take(most).collect();
        iter::from_fn(move || {
            let next = ahead.pop_front()?;
            ahead.extend(submitted.next());
            Some(next.result())
        })
    }

    /// Takes no further job; and cancels those that have not begun, if told to: says how many.
    /// `wait` is for the end of all others. A job of this executor does not wait: that would be for
    /// itself.
    pub(crate) fn shutdown(&self, wait: bool, cancel_pending: bool) -> usize {
        self.jobs.close();
        // Dropped, a job tells its handle.
        let cancelled = cancel_pending.then(|| self.jobs.close_now().count());
        if wait && !self.ids.contains(&thread::current().id()) {
            // An error is a job that panicked: its handle knows.
            let _ = block_on(self.jobs.monitor().finished());
            let threads = mem::take(&mut *self.threads.lock().expect("nobody panics with it"));
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        cancelled.unwrap_or(0)
    }

    /// How many jobs were submitted, and what became of them.
    pub(crate) fn report(&self) -> Report {
        self.jobs.monitor().stats().report
    }
}

impl Drop for Executor {
    /// After a shutdown that did not wait, neither does this: the threads end by themselves.
    fn drop(&mut self) {
        if !self.jobs.is_closed() {
            self.shutdown(true, false);
        }
    }
}

/// What each thread does, until the channel is finished.
fn work(jobs: &TaskReceiver<Job>) {
    while let Ok(task) = block_on(jobs.recv()) {
        let (job, ticket) = task.split();
        // A job catches its own panics. There remains the value nobody wants that panics when
        // dropped.
        match panic::catch_unwind(AssertUnwindSafe(job)) {
            Ok(Ok(())) => ticket.done(),
            Ok(Err(error)) => ticket.fail(error),
            Err(payload) => ticket.fail(job::panicked(payload)),
        }
    }
}
