//! Adding an item to a ring that is full, in place of the oldest.

use core::mem::MaybeUninit;

use super::Ring;
use super::Slots;
use crate::attempt::Attempt;
use crate::queue::slot::FILLED;
use crate::queue::slot::MEASURED;
use crate::queue::slot::advance;
use crate::queue::slot::unmarked;
use crate::sync::Backoff;
use crate::sync::atomic::Ordering;

impl<T> Ring<T> {
    /// Adds an item even if the ring is full: then it also removes the oldest item, moves it to `oldest`,
    /// and returns true. Never *blocked*.
    ///
    /// `evicted` is called when the oldest item has been removed, before the new one can be. Neither
    /// `evicted` nor `item` may run user code (R5).
    ///
    /// The claim comes first, because a removal cannot be undone if another thread then closes the ring
    /// or takes the room. A forced claim of `p` is to remove the item at `p - capacity`, and no other:
    ///
    /// 1. Threads A and B find the ring full. A claims `p`, and B claims `p + 1`.
    /// 2. B removes the item at `p - capacity`, which is the oldest.
    /// 3. A finds that its oldest item has gone, and removes none. The ring stays above its capacity.
    ///
    /// In step 1, B claims nothing until the item at `p - capacity` has gone (R1), and is then to remove
    /// the next one.
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this is done.
    pub(crate) unsafe fn force_push(
        &self,
        item: impl FnOnce() -> *const T,
        evicted: impl FnOnce(),
        oldest: &mut MaybeUninit<T>,
    ) -> Attempt<bool> {
        let slots = self.slots();
        let position = match self.claim_vacant::<true>(slots, 1) {
            Attempt::Blocked => self.claim_forced(slots),
            claimed => claimed.map(|(position, _)| position),
        };
        position.map(|position| {
            let has_evicted = self.evict(slots, position, oldest);
            if has_evicted {
                evicted();
            }
            let mut backoff = Backoff::default();
            // A forced claim does not mean that the slot is vacant: a receiver may be reading it.
            while slots.run(position, 0, 1) == 0 {
                backoff.snooze();
            }
            self.set_time(position, 1);
            // SAFETY: R2: just claimed, and found vacant; and the caller's guarantee.
            unsafe { slots.at(position).fill(position, item()) };
            has_evicted
        })
    }

    /// Claims a position for filling although the ring is full (R1). *Busy* if the ring is not just
    /// full any more, or if the oldest item is being filled or taken.
    pub(super) fn claim_forced(&self, slots: Slots<'_, T>) -> Attempt<u64> {
        // Acquire: `head` is read later than this.
        let tail = self.tail.load(Ordering::Acquire);
        // Acquire: as in `claim_filled`.
        let head = self.head.load(Ordering::Acquire);
        // Not if `tail` is closed.
        let is_full = tail == advance(head, self.capacity);
        let may_claim = is_full && slots.run(unmarked(head), FILLED, 1) == 1;
        if may_claim && self.exchange_tail(tail, 1) {
            Attempt::Done(unmarked(tail))
        } else {
            Attempt::Busy
        }
    }

    /// Removes the item that a claim of `position` has to replace, if that was forced and no receiver
    /// has taken the item. Returns whether it did.
    pub(super) fn evict(
        &self,
        slots: Slots<'_, T>,
        position: u64,
        place: &mut MaybeUninit<T>,
    ) -> bool {
        let oldest = position.wrapping_sub(advance(0, self.capacity));
        // As `head` has it.
        let head = if self.measures() {
            oldest | MEASURED
        } else {
            oldest
        };
        // Relaxed: the claim has read the stamp of this slot, and the exchange on `head` alone decides
        // which thread removes the item. Other claims have read a later `head`. An exchange that fails
        // while `head` stays has failed spuriously.
        while self.head.load(Ordering::Relaxed) == head {
            if self.exchange_head(head, 1) {
                // SAFETY: just claimed.
                unsafe { self.empty(slots, oldest, place) };
                return true;
            }
        }
        false
    }
}
