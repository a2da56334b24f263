//! The outcomes of one attempt at something that may have to wait.

use crate::sync::Backoff;

/// The outcome of an attempt at the queue.
#[repr(u8)]
pub(crate) enum Attempt<R> {
    Done(R),
    /// The queue is closed. For a sender: nothing can be sent. For a receiver: nothing is queued, and
    /// nothing more can be queued.
    Closed,
    /// The queue was full, or empty, at one instant during the attempt. A notification follows when
    /// this may have changed.
    Blocked,
    /// Another thread is within a few instructions of deciding the outcome. No notification follows,
    /// so the caller must not sleep.
    Busy,
}

impl<R> Attempt<R> {
    #[inline]
    pub(crate) fn map<S>(self, f: impl FnOnce(R) -> S) -> Attempt<S> {
        match self {
            Self::Done(result) => Attempt::Done(f(result)),
            Self::Closed => Attempt::Closed,
            Self::Blocked => Attempt::Blocked,
            Self::Busy => Attempt::Busy,
        }
    }

    pub(crate) fn and_then<S>(self, f: impl FnOnce(R) -> Attempt<S>) -> Attempt<S> {
        match self {
            Self::Done(result) => f(result),
            Self::Closed => Attempt::Closed,
            Self::Blocked => Attempt::Blocked,
            Self::Busy => Attempt::Busy,
        }
    }

    /// Attempts until the outcome is not [`Busy`](Self::Busy), for callers that do not wait.
    #[inline]
    pub(crate) fn retry_while_busy(mut attempt: impl FnMut() -> Self) -> Self {
        let mut backoff = Backoff::default();
        loop {
            match attempt() {
                Self::Busy => backoff.snooze(),
                outcome => return outcome,
            }
        }
    }

    pub(crate) fn done(self) -> Option<R> {
        match self {
            Self::Done(result) => Some(result),
            _ => None,
        }
    }
}
