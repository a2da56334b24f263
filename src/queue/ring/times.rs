//! The times at which the items of a ring were queued, if it measures: see R6.

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use super::Ring;
use crate::attempt::Attempt;
use crate::clock::Moment;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::queue::slot::CLOSED;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::queue::slot::FILLED;
use crate::queue::slot::STEP;
use crate::queue::slot::advance;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::queue::slot::unmarked;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;

impl<T> Ring<T> {
    /// The times of `count` slots, if the ring is to measure.
    pub(super) fn allocate_times(
        count: usize,
        measures: bool,
    ) -> Result<Option<Box<[AtomicU64]>>, TryReserveError> {
        if !measures {
            return Ok(None);
        }
        let mut times = Vec::new();
        times.try_reserve_exact(count)?;
        times.extend((0..count).map(|_| AtomicU64::new(0)));
        Ok(Some(times.into()))
    }

    pub(super) fn measures(&self) -> bool {
        self.times.is_some()
    }

    /// # Safety
    ///
    /// As [`push`](Self::push).
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn push_measured(&self, item: impl FnOnce() -> *const T) -> Attempt<()> {
        // SAFETY: the caller's guarantee.
        unsafe { self.push_as::<true>(item) }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn pop_measured(&self, place: &mut MaybeUninit<T>) -> Attempt<Moment> {
        self.pop_as::<true>(place)
    }

    /// Writes the time into `count` slots that the caller has claimed for filling, from `first` on, if the
    /// ring measures.
    pub(super) fn set_time(&self, first: u64, count: u64) {
        if !self.measures() {
            return;
        }
        let now = Moment::now().as_nanoseconds();
        for offset in 0..count {
            if let Some(time) = self.time(advance(first, offset)) {
                // Release: pairs with the load in `oldest`. For the claimant for emptying, the stamp
                // publishes it.
                time.store(now, Ordering::Release);
            }
        }
    }

    /// When the item at `position` was queued, which the caller has claimed for emptying.
    #[inline]
    pub(super) fn queued_at<const MEASURES: bool>(&self, position: u64) -> Moment {
        if !MEASURES {
            return Moment::START;
        }
        // Relaxed: the stamp was acquired before the claim.
        let time = self.time(position).map(|time| time.load(Ordering::Relaxed));
        Moment::from_nanoseconds(time.unwrap_or_default())
    }

    /// The time of the slot of a position, if the ring measures.
    fn time(&self, position: u64) -> Option<&AtomicU64> {
        let times = self.times.as_ref()?;
        // As many as slots: see `Slots::at`.
        times.get((position / STEP) as usize & (times.len() - 1))
    }

    /// When the oldest item was queued, if the ring measures and holds one. *Busy* if that item is being
    /// filled or taken.
    ///
    /// The time is read while others use the ring, and may be that of an item one or more laps later:
    ///
    /// 1. This thread finds the oldest item at `head`.
    /// 2. A receiver takes it, and a sender claims the same slot and writes its time.
    /// 3. This thread reads that time, although other items are older.
    ///
    /// So it reads `head` again, and finds it moved: the sender has claimed after the receiver did.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest(&self) -> Attempt<Moment> {
        // Acquire: `tail` is read later than this.
        let head = self.head.load(Ordering::Acquire);
        let Some(time) = self.time(head) else {
            return Attempt::Blocked;
        };
        // Relaxed: nothing depends on it.
        if self.tail.load(Ordering::Relaxed) & !CLOSED == head {
            return Attempt::Blocked;
        }
        if self.slots().run(unmarked(head), FILLED, 1) == 0 {
            return Attempt::Busy;
        }
        // Acquire: pairs with `set_time`, so that `head` is then the one that its claimant has seen, or a
        // later one.
        let time = time.load(Ordering::Acquire);
        // Relaxed: see above.
        if self.head.load(Ordering::Relaxed) != head {
            return Attempt::Busy;
        }
        Attempt::Done(Moment::from_nanoseconds(time))
    }
}
