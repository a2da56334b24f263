//! Items that tasks queue for later.

use std::time::Instant;

use super::Queue;
use super::lane::Matured;

impl<T> Queue<T> {
    /// Pushes an item to the lane, which no receiver finds before it is due. Returns `None` if the lane
    /// has ended, and otherwise whether this item is due before all others. The caller holds an
    /// unresolved delivery (N2 of `lane`).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there unless this returns `None`.
    pub(crate) unsafe fn requeue_at(
        &self,
        item: *const T,
        attempt: u32,
        due: Instant,
    ) -> Option<bool> {
        // SAFETY: the caller's guarantee.
        unsafe { self.lane.as_ref()?.push_delayed(item, attempt, due) }
    }

    /// Makes items receivable that are due at `now`, in order, but not all if they are many.
    pub(crate) fn mature(&self, now: Instant) -> Matured {
        let lane = self.lane.as_ref();
        lane.map(|it| it.mature(now)).unwrap_or_default()
    }

    /// When the first delayed item is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lane.as_ref()?.next_due()
    }

    /// Whether nothing can be requeued any more.
    pub(crate) fn lane_has_ended(&self) -> bool {
        self.lane.as_ref().is_none_or(|lane| lane.has_ended())
    }
}
