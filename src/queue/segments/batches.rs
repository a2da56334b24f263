//! Several items at once: claimed, and taken, lap by lap.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use super::LOCKED;
use super::Segments;
use super::TRIES;
use crate::attempt::Attempt;
use crate::clock::Moment;
use crate::queue::slot::CLOSED;
use crate::queue::slot::FILLED;
use crate::queue::slot::MEASURED;
use crate::queue::slot::advance;
use crate::queue::slot::move_front;
use crate::queue::slot::unmarked;
use crate::sync::Contention;
use crate::sync::atomic::Ordering;

impl<T> Segments<T> {
    /// Adds all `items`, unless the queue is closed meanwhile, and returns how many were added. The caller
    /// passes at least one item.
    pub(crate) fn push_many(&self, items: &mut VecDeque<T>) -> Attempt<u64> {
        debug_assert!(!items.is_empty(), "an empty batch claims nothing");
        let mut contention = Contention::default();
        let mut pushed = 0;
        while !items.is_empty() {
            // Acquire: as in `push`.
            let tail = self.tail.word.load(Ordering::Acquire);
            if tail & CLOSED != 0 {
                break;
            }
            let (slots, times) = (self.newest(tail), self.newest_times(tail));
            let count = Self::left_in_lap(tail).min(items.len() as u64);
            if Self::is_last(advance(tail, count - 1)) {
                self.install(tail);
            }
            if !self.exchange_tail(tail, count) {
                contention.lost();
                continue;
            }
            // SAFETY: just claimed.
            let mut position = unsafe { Self::set_time(times, tail, count) };
            // No more than there are, so this does not panic.
            move_front(items, count as usize, |item| {
                // SAFETY: just claimed; each position once; and the item is at this place.
                unsafe { Self::fill(slots, position, item) };
                position = advance(position, 1);
            });
            pushed += count;
        }
        match pushed {
            0 => Attempt::Closed,
            pushed => Attempt::Done(pushed),
        }
    }

    /// Removes up to `max` of the oldest items, and appends what `make` makes of each, and of when it was
    /// queued, to `out`. Returns how many. `make` neither panics nor runs user code (G4).
    ///
    /// Takes at most as many as there are at first, so that it ends even if senders are as quick.
    pub(crate) fn pop_many<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        mut make: impl FnMut(T, Moment) -> R,
    ) -> Attempt<u64> {
        let mut left = max.min(self.len() as u64);
        // Before `head` is locked, because this may panic.
        out.reserve(left as usize);
        let mut contention = Contention::default();
        let mut popped = 0;
        let mut tries = TRIES;
        while left > 0 && tries > 0 {
            let Some(head) = self.try_lock(0) else {
                contention.lost();
                tries -= 1;
                continue;
            };
            // SAFETY: just locked.
            let count = unsafe { self.take_many_and_unlock(head, left, out, &mut make) };
            if count == 0 {
                break;
            }
            popped += count;
            left -= count;
        }
        if popped > 0 {
            return Attempt::Done(popped);
        }
        // SeqCst: as in `len`.
        match self.head.word.load(Ordering::SeqCst) {
            // Another receiver has locked it.
            head if head & LOCKED != 0 => Attempt::Busy,
            head => self.why_none_at(head),
        }
    }

    /// Takes up to `max` items from `head` on, in the same lap, and unlocks. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller has locked `head`.
    unsafe fn take_many_and_unlock<R>(
        &self,
        head: u64,
        max: u64,
        out: &mut Vec<R>,
        make: &mut impl FnMut(T, Moment) -> R,
    ) -> u64 {
        let max = max.min(Self::left_in_lap(head));
        let count = if head & MEASURED == 0 {
            // SAFETY: the caller has locked `head`.
            unsafe { self.take_many(head, max, out, |_| Moment::START, make) }
        } else {
            let queued_at = |position| {
                // SAFETY: the caller has locked `head`, and the position is filled.
                unsafe { self.queued_at_measured(position) }
            };
            // SAFETY: the caller has locked `head`.
            unsafe { self.take_many(unmarked(head), max, out, queued_at, make) }
        };
        if count == Self::left_in_lap(head) {
            self.leave_segment();
        }
        self.unlock(advance(head, count));
        count
    }

    /// Takes up to `max` items from `first` on, and appends what `make` makes of each, and of what `queued_at`
    /// returns for its position, to `out`. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller has locked `head`, `first` is its position, and `max` does not leave its lap.
    #[inline]
    unsafe fn take_many<R>(
        &self,
        first: u64,
        max: u64,
        out: &mut Vec<R>,
        queued_at: impl Fn(u64) -> Moment,
        make: &mut impl FnMut(T, Moment) -> R,
    ) -> u64 {
        let mut count = 0;
        for spare in out.spare_capacity_mut().iter_mut().take(max as usize) {
            let position = advance(first, count);
            // SAFETY: the caller's guarantee.
            let slot = unsafe { self.slot(position) };
            // Acquire: as in `take_and_unlock`.
            if slot.stamp.load(Ordering::Acquire) != position | FILLED {
                break;
            }
            let queued_at = queued_at(position);
            let mut item = MaybeUninit::uninit();
            // SAFETY: G4, and the stamp.
            unsafe { slot.take(item.as_mut_ptr()) };
            // SAFETY: just moved there.
            spare.write(make(unsafe { item.assume_init() }, queued_at));
            count += 1;
        }
        // SAFETY: the loop has initialised as many elements.
        unsafe { out.set_len(out.len() + count as usize) };
        count
    }
}
