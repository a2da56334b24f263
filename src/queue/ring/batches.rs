//! Several items at once, with one claim.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use super::Ring;
use crate::attempt::Attempt;
use crate::clock::Moment;
use crate::queue::slot::advance;
use crate::queue::slot::move_front;

impl<T> Ring<T> {
    /// Moves items from the front of `items` into the ring with one claim, as many as there is room
    /// for. Returns how many. The caller passes at least one item.
    pub(crate) fn push_many(&self, items: &mut VecDeque<T>) -> Attempt<u64> {
        match self.push_many_as::<false>(items) {
            Attempt::Closed if self.measures() => self.push_many_as::<true>(items),
            pushed => pushed,
        }
    }

    #[inline]
    fn push_many_as<const MEASURES: bool>(&self, items: &mut VecDeque<T>) -> Attempt<u64> {
        debug_assert!(!items.is_empty(), "an empty batch claims nothing");
        let slots = self.slots();
        let want = self.capacity.min(items.len() as u64);
        let claimed = self.claim_vacant::<MEASURES>(slots, want);
        claimed.map(|(first, count)| {
            if MEASURES {
                self.set_time(first, count);
            }
            let mut position = first;
            // No more than there are, so this does not panic (R5).
            move_front(items, count as usize, |item| {
                // SAFETY: R2: just claimed; and the item is at this place.
                unsafe { slots.at(position).fill(position, item) };
                position = advance(position, 1);
            });
            count
        })
    }

    /// Removes up to `max` of the oldest items with one claim, and appends what `make` makes of each, and
    /// of when it was queued, to `out`. Returns how many. `make` neither panics nor runs user code (R5).
    ///
    /// `out` grows before the claim: a claimed slot cannot be given back.
    pub(crate) fn pop_many<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        mut make: impl FnMut(T, Moment) -> R,
    ) -> Attempt<u64> {
        match self.pop_many_as::<false, R>(max, out, &mut make) {
            Attempt::Busy if self.measures() => self.pop_many_as::<true, R>(max, out, &mut make),
            popped => popped,
        }
    }

    #[inline]
    fn pop_many_as<const MEASURES: bool, R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        make: &mut impl FnMut(T, Moment) -> R,
    ) -> Attempt<u64> {
        let slots = self.slots();
        let want = max.min(self.capacity);
        let claimed = self.claim_filled::<MEASURES>(slots, want, |count| {
            out.reserve(count as usize);
        });
        claimed.map(|(first, count)| {
            for (offset, spare) in (0..count).zip(out.spare_capacity_mut()) {
                let position = advance(first, offset);
                let queued_at = self.queued_at::<MEASURES>(position);
                let mut item = MaybeUninit::uninit();
                // SAFETY: just claimed; each position once.
                unsafe { self.empty(slots, position, &mut item) };
                // SAFETY: just moved there.
                spare.write(make(unsafe { item.assume_init() }, queued_at));
            }
            // SAFETY: the capacity was reserved, and the loop has initialised as many elements.
            unsafe { out.set_len(out.len() + count as usize) };
            count
        })
    }
}
