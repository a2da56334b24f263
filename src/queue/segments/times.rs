//! The times at which the items of segments were queued, if the queue measures. They are in the second row of
//! each segment.

use super::Segments;
use super::Slot;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::attempt::Attempt;
use crate::clock::Moment;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::queue::slot::CLOSED;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::queue::slot::FILLED;
use crate::queue::slot::MEASURED;
use crate::queue::slot::advance;
use crate::queue::slot::unmarked;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;

impl<T> Segments<T> {
    /// Writes the time of `count` positions of a lap, from `tail` on, if the queue measures. Returns the first
    /// position.
    ///
    /// # Safety
    ///
    /// The caller has claimed the positions, which are kept in these slots, and has not filled the slots.
    #[inline]
    pub(super) unsafe fn set_time(slots: *mut Slot<T>, tail: u64, count: u64) -> u64 {
        if tail & MEASURED != 0 {
            // SAFETY: the caller's guarantee.
            unsafe { Self::set_time_measured(slots, tail, count) };
        }
        unmarked(tail)
    }

    /// # Safety
    ///
    /// As [`set_time`](Self::set_time), and the queue measures.
    #[cold]
    #[inline(never)]
    unsafe fn set_time_measured(slots: *mut Slot<T>, tail: u64, count: u64) {
        let now = Moment::now().as_nanoseconds();
        for offset in 0..count {
            // SAFETY: the segment is alive until the slots have been filled (G2), and has a second row.
            let time = unsafe { Self::time(slots, advance(tail, offset)) };
            // Relaxed: the stamp publishes it.
            time.store(now, Ordering::Relaxed);
        }
    }

    /// When the item at `position` was queued, if the queue measures. The position has the mark of `head`.
    ///
    /// # Safety
    ///
    /// The caller has locked `head`, and the position is in the same lap and filled.
    #[inline]
    pub(super) unsafe fn queued_at(&self, position: u64) -> Moment {
        if position & MEASURED == 0 {
            return Moment::START;
        }
        // SAFETY: the caller's guarantee.
        unsafe { self.queued_at_measured(position) }
    }

    /// [`queued_at`](Self::queued_at), if the queue is known to measure.
    ///
    /// # Safety
    ///
    /// As `queued_at`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn queued_at_measured(&self, position: u64) -> Moment {
        // SAFETY: the caller's guarantee.
        let slots = unsafe { self.oldest_segment() };
        // SAFETY: G2, and the second row.
        let time = unsafe { Self::time(slots, position) };
        // Relaxed: the caller has acquired the stamp.
        Moment::from_nanoseconds(time.load(Ordering::Relaxed))
    }

    /// The time of the slot of a position.
    ///
    /// # Safety
    ///
    /// `slots` is the segment that keeps the position, is alive, and has two rows.
    #[inline]
    unsafe fn time<'a>(slots: *mut Slot<T>, position: u64) -> &'a AtomicU64
    where
        T: 'a,
    {
        // SAFETY: the caller's guarantee.
        let second_row = unsafe { slots.add(Self::LEN as usize) };
        // SAFETY: as above.
        &unsafe { Self::at(second_row, position) }.stamp
    }

    /// When the oldest item was queued, if the queue measures and holds one. *Busy* if that item is being
    /// filled, or if a receiver has locked `head`.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest(&self) -> Attempt<Moment> {
        // Relaxed, here and below: nothing depends on it.
        if self.head.word.load(Ordering::Relaxed) & MEASURED == 0 {
            return Attempt::Blocked;
        }
        let Some(head) = self.try_lock(0) else {
            return Attempt::Busy;
        };
        // SAFETY: just locked.
        let stamp = unsafe { &self.slot(head).stamp };
        // Acquire: as in `take_and_unlock`.
        let oldest = if stamp.load(Ordering::Acquire) == unmarked(head) | FILLED {
            // SAFETY: just locked, and filled.
            Attempt::Done(unsafe { self.queued_at(head) })
        } else if self.tail.word.load(Ordering::Relaxed) & !CLOSED == head {
            Attempt::Blocked
        } else {
            Attempt::Busy
        };
        self.unlock(head);
        oldest
    }
}
