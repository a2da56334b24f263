//! What a worker function returns.

use std::error::Error;
use std::time::Duration;

/// How the work on a job ended. `Ok` means done.
///
/// A worker function cannot forget to end a job, because it must return one of these. If it panics or is
/// cancelled, it returns none, and the job is neither done nor failed.
pub type Outcome = Result<(), NotDone>;

/// Why a job is not done.
#[derive(Debug)]
pub enum NotDone {
    /// It never will be: it is not tried again.
    Failed(Box<dyn Error + Send + Sync>),
    /// It is to be tried again, by any worker.
    Retry,
    /// It is to be tried again after this time.
    RetryAfter(Duration),
}

impl NotDone {
    pub fn failed(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(reason.into())
    }
}

/// So `?` ends a job as failed.
impl<E: Error + Send + Sync + 'static> From<E> for NotDone {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}
