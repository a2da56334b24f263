//! A job for a thread, and the handle that its submitter gets.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;

/// A call that sends its result to its handle. Its own return value is only for the channel's
/// report.
pub(crate) type Job = Box<dyn FnOnce() -> Outcome<()> + Send>;

/// The result of a job.
pub(crate) type Outcome<R> = Result<R, JobError>;

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobError {
    /// The job panicked with this message.
    Panicked(String),
    /// The executor was shut down before the job started.
    Cancelled,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Cancelled => f.write_str("the executor was shut down before the job started"),
        }
    }
}

impl Error for JobError {}

/// The error of a job that panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> JobError {
    let message = (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    JobError::Panicked(message.unwrap_or("no message").to_owned())
}

/// Returned by [`Executor::submit`](super::pool::Executor::submit). If it is dropped, the job still
/// runs.
#[derive(Debug)]
pub(crate) struct Handle<R>(mpsc::Receiver<Outcome<R>>);

impl<R> Handle<R> {
    /// Waits until the job has ended or is cancelled.
    pub(crate) fn result(self) -> Outcome<R> {
        // A job that is dropped before it starts drops the sender.
        self.0.recv().unwrap_or(Err(JobError::Cancelled))
    }
}

/// Makes a job and its handle from a call.
pub(crate) fn pair<F, R>(call: F) -> (Job, Handle<R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (answer, handle) = mpsc::sync_channel(1);
    let job = move || {
        // After a panic, nothing that the call owns is used.
        let result = panic::catch_unwind(AssertUnwindSafe(call)).map_err(panicked);
        let ended = result.as_ref().map(|_| ()).map_err(Clone::clone);
        // This fails if the handle was dropped.
        let _ = answer.send(result);
        ended
    };
    (Box::new(job), Handle(handle))
}
