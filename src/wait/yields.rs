//! Requests that callers yield to a waiter that was notified in vain. See [`wait`](super) for why.

use crate::sync::Hint;

/// How many more callers yield before their first try.
pub(crate) struct YieldRequests(Hint);

impl YieldRequests {
    /// How many callers yield for one request. It is limited because a waiter that requests may never
    /// be polled again.
    const PER_REQUEST: usize = 64;

    pub(crate) fn new() -> Self {
        Self(Hint::new(0))
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.0.get() != 0
    }

    pub(super) fn request(&self) {
        self.0.set(Self::PER_REQUEST);
    }

    pub(super) fn withdraw(&self) {
        self.0.set(0);
    }

    /// Whether the caller is one of those that yield.
    pub(super) fn take(&self) -> bool {
        let left = self.0.get();
        if left > 0 {
            self.0.set(left - 1);
        }
        left > 0
    }
}
