//! The error of retrying.

use core::error::Error;
use core::fmt;

/// The error of [`Task::retry`](crate::Task::retry). It contains the item that was not queued
/// again.
///
/// The task has already ended as failed when this error is returned.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use tollgate::Builder;
/// use tollgate::RetryError;
///
/// let builder = Builder::new().capacity(1).max_attempts(NonZeroU32::MIN);
/// let (sender, receiver) = builder.build_tasks();
/// sender.try_send("hello")?;
///
/// let error = receiver.try_recv()?.retry().unwrap_err();
/// assert_eq!(error, RetryError::Exhausted("hello"));
/// assert_eq!(error.to_string(), "retrying a task that has no attempts left");
/// assert_eq!(error.into_inner(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RetryError<T> {
    /// This was the last of the attempts that
    /// [`Builder::max_attempts`](crate::Builder::max_attempts) allows.
    Exhausted(T),
    /// Nothing can be queued any more: [`close_now`](crate::Monitor::close_now) was called, or no
    /// receiver is left.
    Terminated(T),
}

impl<T> RetryError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Exhausted(item) | Self::Terminated(item) => item,
        }
    }

    /// Returns `true` if no attempts were left.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, Self::Exhausted(_))
    }

    /// Returns `true` if nothing could be queued any more: after
    /// [`close_now`](crate::Monitor::close_now), or when no receiver is left.
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Terminated(_))
    }
}

impl<T> fmt::Debug for RetryError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(_) => "Exhausted(..)",
            Self::Terminated(_) => "Terminated(..)",
        })
    }
}

impl<T> fmt::Display for RetryError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(_) => "retrying a task that has no attempts left",
            Self::Terminated(_) => "retrying a task of a channel that accepts no more work",
        })
    }
}

impl<T> Error for RetryError<T> {}
