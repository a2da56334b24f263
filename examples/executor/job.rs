//! A job on its way to a thread, and the handle by which its submitter hears of it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;

/// A call whose result goes to its handle. What it returns is for the channel's account only.
pub(crate) type Job = Box<dyn FnOnce() -> Outcome<()> + Send>;

/// What comes of a job.
pub(crate) type Outcome<R> = Result<R, JobError>;

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobError {
    /// It panicked, with this message.
    Panicked(String),
    /// The executor was shut down before it began.
    Cancelled,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Cancelled => f.write_str("the executor was shut down before it began"),
        }
    }
}

impl Error for JobError {}

/// What a panic has to say.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> JobError {
    let message = (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    JobError::Panicked(message.unwrap_or("with no message").to_owned())
}

/// What [`Executor::submit`](crate::pool::Executor::submit) gives. To drop it is to care for the
/// effects of the job only.
#[derive(Debug)]
pub(crate) struct Handle<R>(mpsc::Receiver<Outcome<R>>);

impl<R> Handle<R> {
    /// Waits until the job has ended, or will never begin.
    pub(crate) fn result(self) -> Outcome<R> {
        // A job that is dropped before it began drops its end of this.
        self.0.recv().unwrap_or(Err(JobError::Cancelled))
    }
}

/// Parts a call into the job to be run and the handle to be kept.
pub(crate) fn pair<F, R>(call: F) -> (Job, Handle<R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (answer, handle) = mpsc::sync_channel(1);
    let job = move || {
        // Nothing of what the call has borrowed or left half-way is used after a panic.
        let result = panic::catch_unwind(AssertUnwindSafe(call)).map_err(panicked);
        let ended = result.as_ref().map(|_| ()).map_err(Clone::clone);
        // Not taken when the handle has been dropped.
        let _ = answer.send(result);
        ended
    };
    (Box::new(job), Handle(handle))
}
