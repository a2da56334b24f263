//! What can be wrong with a job.

use std::any::Any;
use std::error::Error;
use std::fmt;

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
            Self::Cancelled => f.write_str("cancelled before it began"),
        }
    }
}

impl Error for JobError {}

/// A job that was submitted after the shutdown. It has been dropped, not run.
#[derive(Debug)]
pub(crate) struct ShutDown;

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the executor has been shut down")
    }
}

impl Error for ShutDown {}

/// What a panic has to say.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> JobError {
    let message = (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    JobError::Panicked(message.unwrap_or("with no message").to_owned())
}
