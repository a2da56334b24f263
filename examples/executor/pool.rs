//! The executor: threads that receive jobs from one channel.

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

use super::job;
use super::job::Handle;
use super::job::Job;
use super::job::JobError;
use super::job::Outcome;
use crate::common::threads;

/// Runs calls on its own threads, as Python's `ThreadPoolExecutor` does.
///
/// If it is dropped without a [`shutdown`](Self::shutdown), it shuts down and waits until all
/// submitted jobs have ended, as Python's `with` does.
pub(crate) struct Executor {
    jobs: Sender<Job>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    ids: Vec<thread::ThreadId>,
}

impl Executor {
    /// Starts the threads. Up to `capacity` jobs are queued.
    pub(crate) fn new(workers: NonZeroUsize, capacity: NonZeroUsize) -> io::Result<Self> {
        threads::check_room::<Job>(capacity.get(), "--capacity")?;
        let (jobs, receiver) = tollgate::tasks(capacity.get());
        // If a thread cannot be started, the sender is dropped here, and the others exit.
        let threads = (1..=workers.get())
            .map(|number| {
                let receiver = receiver.clone();
                let name = format!("worker-{number}");
                threads::spawn(&name, Some("--workers"), move || work(&receiver))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            jobs,
            ids: threads.iter().map(|thread| thread.thread().id()).collect(),
            threads: Mutex::new(threads),
        })
    }

    /// Queues `call` for the threads. It waits while the queue is full, so jobs that submit other
    /// jobs need a queue with enough room. After a shutdown it returns an error immediately.
    pub(crate) fn submit<F, R>(&self, call: F) -> Outcome<Handle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, handle) = job::pair(call);
        block_on(self.jobs.send(job)).map_err(|_| JobError::Cancelled)?;
        Ok(handle)
    }

    /// The results of `call` for each item, in order. It submits as many items ahead of the consumer
    /// as can be queued and in hand, and submits none after a shutdown.
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

    /// Stops accepting jobs. With `cancel_pending` it cancels the jobs that have not started, and
    /// returns their number. With `wait` it waits until all other jobs have ended. It does not wait
    /// if a job of this executor calls it, because that job would wait for itself.
    pub(crate) fn shutdown(&self, wait: bool, cancel_pending: bool) -> usize {
        self.jobs.close();
        // A job that is dropped notifies its handle.
        let cancelled = cancel_pending.then(|| self.jobs.close_now().count());
        if wait && !self.ids.contains(&thread::current().id()) {
            // An error is a job that panicked, which its handle reports.
            let _ = block_on(self.jobs.monitor().finished());
            let threads = mem::take(&mut *self.threads.lock().expect("no holder panics"));
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        cancelled.unwrap_or(0)
    }

    /// How many jobs were submitted, and how they ended.
    pub(crate) fn report(&self) -> Report {
        self.jobs.monitor().stats().report
    }
}

impl Drop for Executor {
    /// Does not wait after a shutdown without `wait`: the threads exit by themselves.
    fn drop(&mut self) {
        if !self.jobs.is_closed() {
            self.shutdown(true, false);
        }
    }
}

/// The loop of each thread, until the channel is finished.
fn work(jobs: &TaskReceiver<Job>) {
    while let Ok(task) = block_on(jobs.recv()) {
        let (job, ticket) = task.split();
        // A job catches a panic of its call, but not a panic of the destructor of its result.
        match panic::catch_unwind(AssertUnwindSafe(job)) {
            Ok(Ok(())) => ticket.done(),
            Ok(Err(error)) => ticket.fail(error),
            Err(payload) => ticket.fail(job::panicked(payload)),
        }
    }
}
