//! The lanes: each has one worker process, and sends it one task at a time.

use std::fmt;
use std::future;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::common::output::warn;
use crate::output::Outcome;
use crate::protocol::JobResult;
use crate::starts::Starts;
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

/// The state that the lanes share.
pub(crate) struct Pool {
    pub(crate) recipe: Recipe,
    pub(crate) starts: Starts,
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
            let mut worker = self.take_worker().await?;
            match self.exchange(&mut worker, item).await {
                Ok(result) => {
                    self.worker = Some(worker);
                    self.report(Outcome::Answered { task, result }).await;
                }
                Err(_) => {
                    // The worker ends before the item is retried, so that it cannot answer later.
                    self.bury(worker).await;
                    self.retry(task).await;
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
                // Cancel safe: if the worker ends first, this has taken nothing.
                task = self.tasks.recv() => return task.ok(),
            }
        }
    }

    async fn take_worker(&mut self) -> io::Result<Worker> {
        if let Some(worker) = self.worker.take() {
            return Ok(worker);
        }
        loop {
            match Worker::start(&self.pool.recipe).await? {
                Ok(worker) => {
                    self.pool.starts.succeeded();
                    self.pool.started.fetch_add(1, Ordering::Relaxed);
                    self.note(format_args!("process {} started", worker.pid));
                    return Ok(worker);
                }
                Err(status) => {
                    self.note(format_args!(
                        "a process ended before it was ready: {status}"
                    ));
                    self.pool.starts.failed(status).await?;
                }
            }
        }
    }

    async fn exchange(&self, worker: &mut Worker, item: u64) -> io::Result<JobResult> {
        worker.ask(item).await?;
        if let Some(every) = self.pool.kill_every {
            let asked = self.pool.asked.fetch_add(1, Ordering::Relaxed) + 1;
            if asked % every == 0 {
                worker.start_kill();
            }
        }
        worker.answer(item).await
    }

    async fn retry(&self, task: Task<u64>) {
        let (item, attempt) = (*task, task.attempt());
        self.note(format_args!("lost attempt {attempt} at item {item}"));
        let error = format!("the worker died in attempt {attempt}, the last");
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
