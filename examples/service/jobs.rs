//! The jobs, and the workers that do them.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use serde::Deserialize;
use tokio::time::sleep;
use tollgate::TaskReceiver;

use crate::common::threads::lock;
use crate::log::Log;

/// What a client asks for.
#[derive(Clone, Deserialize)]
pub(crate) struct Order {
    name: String,
    /// How long the work takes. It stands in for the real work.
    #[serde(default)]
    millis: u64,
    #[serde(default)]
    ends: Ends,
}

/// How the work ends.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ends {
    #[default]
    Done,
    Fails,
    Panics,
    /// With a panic that is not caught, which stands in for a bug of the worker.
    Worker,
}

#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) order: Order,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In quotes and escaped: a client chose it.
        write!(f, "job {} ({:?})", self.id, self.order.name)
    }
}

/// Does jobs until the channel is finished.
pub(crate) async fn worker(receiver: TaskReceiver<Job>, running: Running, log: Log) {
    while let Ok(task) = receiver.recv().await {
        running.begin(&task);
        // A panic fails the job, and the worker continues.
        let work = AssertUnwindSafe(work(&task.order)).catch_unwind();
        let result = work.await.unwrap_or_else(|_| Err("it panicked".to_owned()));
        if let Ends::Worker = task.order.ends {
            panic!("{} ends its worker", *task);
        }
        if !running.end(&task) {
            return; // The job was given up. Without `done` or `fail`, it counts as abandoned.
        }
        log.line(match result {
            Ok(()) => format!("done: {}", task.done()),
            Err(reason) => format!("failed: {}: {reason}", task.fail(&*reason)),
        });
    }
}

async fn work(order: &Order) -> Result<(), String> {
    sleep(Duration::from_millis(order.millis)).await;
    match order.ends {
        Ends::Done | Ends::Worker => Ok(()),
        Ends::Fails => Err("out of paper".to_owned()),
        Ends::Panics => panic!("{:?} panics", order.name),
    }
}

/// The jobs in hand. The channel knows how many there are, and only the workers know which.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<BTreeMap<u64, Job>>>);

impl Running {
    fn begin(&self, job: &Job) {
        lock(&self.0).insert(job.id, job.clone());
    }

    /// Returns `false` if the job was given up.
    fn end(&self, job: &Job) -> bool {
        lock(&self.0).remove(&job.id).is_some()
    }

    /// Gives up the jobs that have not ended.
    pub(crate) fn give_up(&self) -> impl Iterator<Item = Job> {
        mem::take(&mut *lock(&self.0)).into_values()
    }
}
