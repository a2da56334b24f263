//! The times at which the items of segments were queued, if the queue measures.

use core::ptr;

use super::Segments;
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
    /// The times of the lap of `tail`, if the queue measures. Valid as [`newest`](Self::newest) is.
    #[inline]
    pub(super) fn newest_times(&self, tail: u64) -> *const AtomicU64 {
        if tail & MEASURED == 0 {
            return ptr::null();
        }
        let newest = &self.tail.newest_times[(Self::lap(tail) % 2) as usize];
        // Relaxed: as in `newest`.
        newest.load(Ordering::Relaxed)
    }

    /// Writes the time of `count` positions of a lap, from `tail` on, if the queue measures. Returns the first
    /// position.
    ///
    /// # Safety
    ///
    /// The caller has claimed the positions, whose times these are, and has not filled the slots.
    #[inline]
    pub(super) unsafe fn set_time(times: *const AtomicU64, tail: u64, count: u64) -> u64 {
        if tail & MEASURED != 0 {
            // SAFETY: the caller's guarantee.
            unsafe { Self::set_time_measured(times, tail, count) };
        }
        unmarked(tail)
    }

    /// # Safety
    ///
    /// As [`set_time`](Self::set_time), and the queue measures.
    #[cold]
    #[inline(never)]
    unsafe fn set_time_measured(times: *const AtomicU64, tail: u64, count: u64) {
        let now = Moment::now().as_nanoseconds();
        for offset in 0..count {
            // SAFETY: G2: the segment is alive until its slots have been filled.
            let time = unsafe { Self::time(times, advance(tail, offset)) };
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
        let times = self.head.times.with_mut(|times| {
            // SAFETY: G4.
            unsafe { *times }
        });
        // SAFETY: G2: an item of this segment has not been taken.
        let time = unsafe { Self::time(times, position) };
        // Relaxed: the caller has acquired the stamp.
        Moment::from_nanoseconds(time.load(Ordering::Relaxed))
    }

    /// The time of the slot of a position.
    ///
    /// # Safety
    ///
    /// The times are those of the segment that keeps the position, and it is alive.
    #[inline]
    unsafe fn time<'a>(times: *const AtomicU64, position: u64) -> &'a AtomicU64 {
        // SAFETY: the index is less than the number of slots.
        let time = unsafe { times.add(Self::index(position)) };
        // SAFETY: the caller's guarantee. A time is only accessed by shared references.
        unsafe { &*time }
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
