//! Jobs from a task channel of this process.

use bytes::Bytes;
use tollgate::Task;

use crate::NotDone;
use crate::Outcome;

/// Calls `work` on the job of a task, and ends the task as its outcome says.
///
/// If `work` panics, or this future is dropped, the task is dropped: it counts as panicked or abandoned,
/// or is queued again under [`Abandon::Requeue`](tollgate::Abandon::Requeue).
pub async fn process<F>(task: Task<Bytes>, work: impl FnOnce(Bytes, u32) -> F)
where
    F: Future<Output = Outcome>,
{
    let outcome = work(Bytes::clone(&task), task.attempt()).await;
    // A retry that is refused has ended the task as failed.
    let _ = match outcome {
        Ok(()) => return drop(task.done()),
        Err(NotDone::Failed(reason)) => return drop(task.fail(reason)),
        Err(NotDone::Retry) => task.retry(),
        Err(NotDone::RetryAfter(delay)) => task.retry_after(delay),
    };
}
