//! What the timer does to a channel.

use core::ptr::NonNull;
use std::time::Instant;

use super::Change;
use super::Channel;
use crate::queue::Matured;
use crate::timer;
use crate::unwind::contain;

impl<T> Channel<T> {
    /// Makes items receivable that are due at `now`, in order, but not all if they are many. Returns when
    /// the next one is due.
    ///
    /// The timer calls this. A waker that panics neither ends its thread nor affects other channels.
    pub(crate) fn mature(&self, now: Instant) -> Option<Instant> {
        let Matured { count, next_due } = self.queue.mature(now);
        contain(|| self.notify(Change::queued(count)));
        next_due
    }

    /// Removes the channel from the timer, after the lane has ended.
    pub(super) fn leave_timer(&self) {
        timer::forget(NonNull::from(self).cast());
    }
}
