//! The lanes: each has one worker process, and sends it one task at a time.

use std::fmt;
use std::future;
use std::io;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::common::output::warn;
use crate::output::Outcome;
use crate::protocol::JobResult;
use crate::starts::Next;
use crate::starts::Starts;
use crate::starts::cannot_start;
use crate::worker::Recipe;
use crate::worker::Worker;

pub(crate) struct Lane {
    pub(crate) number: usize,
    pub(crate) tasks: TaskReceiver<u64>,
    pub(crate) outcomes: Sender<Outcome>,
    pub(crate) pool: Arc<Pool>,
    /// `None` before the first item for this worker, and after the worker has died.
    pub(crate) worker: Option<Worker>,
}

/// The time that a process has to start.
const START: Duration = Duration::from_secs(10);

/// The state that the lanes share.
pub(crate) struct Pool {
    pub(crate) recipe: Recipe,
    pub(crate) starts: Starts,
    /// Tasks of lanes that could not start a worker, for the others.
    pub(crate) spare: (Sender<Task<u64>>, Receiver<Task<u64>>),
    pub(crate) timeout: Option<Duration>,
    pub(crate) kill_every: Option<NonZeroU64>,
    pub(crate) verbose: bool,
    pub(crate) asked: AtomicU64,
    pub(crate) started: AtomicU64,
    pub(crate) died: AtomicU64,
}

impl Lane {
    /// Works until the channel is finished, so that no task in hand anywhere can be retried.
    ///
    /// It returns an error if no worker can be started.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        while let Some(task) = self.next().await {
            let item = *task;
            // On an error the task is dropped, so its item counts as left, not as failed.
            let Some(mut worker) = self.take_worker().await? else {
                // This channel is never closed.
                let _ = self.pool.spare.0.try_send(task);
                return Ok(());
            };
            match self.exchange(&mut worker, item).await {
                Ok(result) => {
                    self.worker = Some(worker);
                    self.report(Outcome::Answered { task, result }).await;
                }
                Err(error) => {
                    // The worker ends before the item is retried, so that it cannot answer later.
                    self.bury(worker).await;
                    self.retry(task, &error).await;
                }
            }
        }
        match self.worker.take() {
            Some(worker) => worker.dismiss().await.map(drop),
            None => Ok(()),
        }
    }

    /// The next task. If the idle worker dies first, no item loses an attempt.
    async fn next(&mut self) -> Option<Task<u64>> {
        loop {
            tokio::select! {
                biased;
                () = ended(&mut self.worker) => {
                    if let Some(worker) = self.worker.take() {
                        self.bury(worker).await;
                    }
                }
                // Cancel safe: if the worker ends first, these have taken nothing.
                Ok(task) = self.pool.spare.1.recv() => return Some(task),
                task = self.tasks.recv() => return task.ok(),
            }
        }
    }

    /// Returns a worker, or `None` if the system lacks something that the other lanes have.
    async fn take_worker(&mut self) -> io::Result<Option<Worker>> {
        if let Some(worker) = self.worker.take() {
            return Ok(Some(worker));
        }
        let limit = self.pool.timeout.map_or(START, |limit| limit.max(START));
        loop {
            let started = Worker::start(&self.pool.recipe, limit).await;
            match started.map_err(cannot_start)? {
                Ok(worker) => {
                    self.pool.starts.succeeded();
                    self.pool.started.fetch_add(1, Ordering::Relaxed);
                    self.note(format_args!("process {} started", worker.pid));
                    return Ok(Some(worker));
                }
                Err(why) => {
                    self.note(format_args!("a process {why}"));
                    match self.pool.starts.failed(why).await? {
                        Next::Again => {}
                        Next::Leave => return Ok(None),
                    }
                }
            }
        }
    }

    /// Sends an item to the worker, and waits for the reply, but not longer than the limit.
    async fn exchange(&self, worker: &mut Worker, item: u64) -> io::Result<JobResult> {
        let exchange = self.exchange_unlimited(worker, item);
        match self.pool.timeout {
            Some(limit) => time::timeout(limit, exchange).await?,
            None => exchange.await,
        }
    }

    async fn exchange_unlimited(&self, worker: &mut Worker, item: u64) -> io::Result<JobResult> {
        worker.ask(item).await?;
        if let Some(every) = self.pool.kill_every {
            let asked = self.pool.asked.fetch_add(1, Ordering::Relaxed) + 1;
            if asked % every == 0 {
                worker.start_kill();
            }
        }
        worker.answer(item).await
    }

    async fn retry(&self, task: Task<u64>, error: &io::Error) {
        let (item, attempt) = (*task, task.attempt());
        let why = match (self.pool.timeout, error.kind()) {
            (Some(limit), ErrorKind::TimedOut) => format!("took longer than {limit:?}"),
            _ => "died".to_owned(),
        };
        self.note(format_args!(
            "lost attempt {attempt} at item {item}: the worker {why}"
        ));
        let error = format!("the worker {why} in attempt {attempt}, the last");
        if task.retry_or_fail(&*error).is_err() {
            self.report(Outcome::Lost { item, error }).await;
        }
    }

    async fn report(&self, outcome: Outcome) {
        // This fails if the thread that prints has panicked, which is reported elsewhere. The task
        // is dropped, so its item counts as left.
        let _ = self.outcomes.send(outcome).await;
    }

    async fn bury(&self, worker: Worker) {
        self.pool.died.fetch_add(1, Ordering::Relaxed);
        let pid = worker.pid;
        match worker.kill().await {
            Ok(status) => self.note(format_args!("process {pid} died: {status}")),
            Err(error) => self.note(format_args!("process {pid} died: {error}")),
        }
    }

    fn note(&self, message: fmt::Arguments<'_>) {
        if self.pool.verbose {
            warn(format_args!("lane {}: {message}", self.number));
        }
    }
}

/// Waits for the end of the worker, or forever if there is none.
async fn ended(worker: &mut Option<Worker>) {
    match worker {
        Some(worker) => worker.ended().await,
        None => future::pending().await,
    }
}
