//! A job on its way to a thread, and the handle by which its submitter hears of it.

use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;

use crate::error::JobError;
use crate::error::panicked;

/// A call whose result goes to its handle. What it returns is for the channel's account only.
pub(crate) type Job = Box<dyn FnOnce() -> Result<(), JobError> + Send>;

/// What [`Executor::submit`](crate::pool::Executor::submit) gives. To drop it is to care for the
/// effects of the job only.
#[derive(Debug)]
pub(crate) struct Handle<R>(mpsc::Receiver<Result<R, JobError>>);

impl<R> Handle<R> {
    /// Waits until the job has ended, or will never begin.
    pub(crate) fn result(self) -> Result<R, JobError> {
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
        let result =
            panic::catch_unwind(AssertUnwindSafe(call)).map_err(|payload| panicked(&*payload));
        let ended = match &result {
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        };
        // Not taken when the handle has been dropped.
        let _ = answer.send(result);
        ended
    };
    (Box::new(job), Handle(handle))
}
