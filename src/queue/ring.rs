//! The lock-free bounded queue: a ring of slots after Dmitry Vyukov's bounded MPMC queue
//! (<https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue>).
//!
//! It uses no wakers and no handles.
//!
//! # Positions
//!
//! Position `p` is kept in slot `p mod slots`.
//! The number of slots is the capacity rounded up to a power of two, so positions stay continuous
//! where the counter wraps. `tail` counts the positions claimed for filling, `head` those claimed
//! for emptying. Atomics hold a position shifted left by two:
//!
//! ```text
//!         63 ...               2   1   0
//! tail  | positions claimed  | M | C |     C: closed, no more positions are claimed for filling
//! head  | positions claimed  | M | 0 |     M: the ring measures, from its creation on
//! stamp | position p         | 0 | F |     F = 0: the slot is vacant and waits for p to be filled
//!                                          F = 1: the slot is filled and waits for p to be emptied
//! ```
//!
//! # Invariants
//!
//! * **R1** `head <= tail <= head + capacity + 1`, in positions. A claim for emptying has read the
//!   stamp of a filled slot. A claim for filling has read a `head` that leaves room; or it is
//!   *forced*, and has read a `head` that leaves none: `tail == head + capacity`. So a forced claim
//!   exceeds the capacity by one, and until `head` moves there is no other claim for filling.
//! * **R2** The claimant of position `p` for filling accesses the slot between the stamps `(p, 0)`
//!   and `(p, 1)`, and the claimant of `p` for emptying between `(p, 1)` and `(p + slots, 0)`. No
//!   other thread accesses it then. All claimants have read the stamp before their claim, except
//!   forced ones, which read it before they fill.
//! * **R3** A slot holds an item exactly while its stamp has F set.
//! * **R4** C is set once and stays set. A claim is an exchange of the whole word, so it is ordered
//!   with the mark: a position claimed before it will be filled, and none is claimed after it.
//! * **R5** No user code runs between a claim and the store that ends it.
//! * **R6** In a ring that measures, the time of a slot is written by the claimant for filling, before the
//!   stamp, and read by the claimant for emptying. Others may read it at any instant, and look afterwards
//!   whether it was the right one: see [`oldest`](Ring::oldest).
//!
//! # Outcomes
//!
//! *Blocked* (the ring is full, or empty) and *closed* were true at one instant during the call. A
//! ring that exceeds its capacity is full.
//!
//! *Busy* means neither: another thread has claimed the slot and is within a few instructions of
//! releasing it. A caller must not sleep on *busy*, because no wakeup may follow.

use core::mem::MaybeUninit;

use super::slot::CLOSED;
use super::slot::FILLED;
use super::slot::MEASURED;
use super::slot::STEP;
use super::slot::Slot;
use super::slot::advance;
use super::slot::distance;
use super::slot::first_word;
use super::slot::unmarked;
use crate::attempt::Attempt;
use crate::clock::Moment;
use crate::sync::CachePadded;
use crate::sync::Contention;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::unwind::run_all;
use alloc::boxed::Box;

// several items at once
mod batches;
// items that replace the oldest
mod forced;
// the times of the slots, if the ring measures
mod times;

#[cfg(test)]
mod tests;

/// The slots, with their address read once. The compiler would read it through `&self` again after
/// each exchange.
struct Slots<'a, T>(&'a [Slot<T>]);

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<'_, T> {}

impl<'a, T> Slots<'a, T> {
    fn count(self) -> u64 {
        self.0.len() as u64
    }

    /// The slot of a position.
    #[inline]
    fn at(self, position: u64) -> &'a Slot<T> {
        // The count is a power of two.
        let index = (position / STEP) as usize & (self.0.len() - 1);
        // SAFETY: there is at least one slot, so the masked index is less than their count.
        unsafe { self.0.get_unchecked(index) }
    }

    /// How many slots from `position` on, up to `want`, have the stamp that `mark` gives.
    #[inline]
    fn run(self, position: u64, mark: u64, want: u64) -> u64 {
        let mut count = 0;
        while count < want {
            let at = advance(position, count);
            // Acquire: pairs with the Release store of the stamp in `Slot::fill` and `Ring::empty`.
            // What the last owner did with the slot happens before.
            if self.at(at).stamp.load(Ordering::Acquire) != at | mark {
                break;
            }
            count += 1;
        }
        count
    }
}

/// The ring. See the [module](self) for its invariants.
pub(super) struct Ring<T> {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    slots: Box<[Slot<T>]>,
    capacity: u64,
    /// The times of the slots (R6), if the ring measures.
    times: Option<Box<[AtomicU64]>>,
}

// SAFETY: by R2 each slot is accessed by one thread at a time, and the stamps order the accesses, so
// sharing the ring only moves items from thread to thread.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; the ring never gives out a `&T`.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// Creates a ring for `capacity` items whose first position is `position`.
    ///
    /// # Panics
    ///
    /// Panics if the memory cannot be allocated.
    #[track_caller]
    pub(super) fn starting_at(capacity: usize, position: u64, measures: bool) -> Self {
        debug_assert!(capacity >= 1);
        let slots = Self::allocate(capacity, position);
        let times = slots
            .as_ref()
            .map(|slots| Self::allocate_times(slots.len(), measures));
        let (Some(slots), Some(Ok(times))) = (slots, times) else {
            panic!("a channel of capacity {capacity} cannot be allocated: choose a smaller one");
        };
        let first = first_word(position, measures);
        Self {
            tail: CachePadded::new(AtomicU64::new(first)),
            head: CachePadded::new(AtomicU64::new(first)),
            slots,
            capacity: capacity as u64,
            times,
        }
    }

    /// The slots, each with the stamp of its first position from `start` on.
    ///
    /// A slot takes at least 8 bytes, so there are fewer than 2^60. Positions have 62 bits, so a
    /// distance that R1 allows differs from that of a stale counter.
    fn allocate(capacity: usize, start: u64) -> Option<Box<[Slot<T>]>> {
        let count = capacity.checked_next_power_of_two()?;
        let mask = count as u64 - 1;
        Slot::allocate(count, |index| {
            let first = start.wrapping_add(index.wrapping_sub(start) & mask);
            first.wrapping_mul(STEP)
        })
    }

    #[inline]
    fn slots(&self) -> Slots<'_, T> {
        Slots(&self.slots)
    }

    /// Claims up to `want` positions for filling, in one exchange. Returns the first and their number.
    ///
    /// Without `MEASURES`, a ring that measures is *closed* to this call.
    #[inline]
    fn claim_vacant<const MEASURES: bool>(
        &self,
        slots: Slots<'_, T>,
        want: u64,
    ) -> Attempt<(u64, u64)> {
        let closed = if MEASURES { CLOSED } else { CLOSED | MEASURED };
        let mut contention = Contention::default();
        // Acquire, here and below: `head` is read later than this.
        let mut tail = self.tail.load(Ordering::Acquire);
        loop {
            if tail & closed != 0 {
                return Attempt::Closed;
            }
            let position = if MEASURES { unmarked(tail) } else { tail };
            let mut count = slots.run(position, 0, want);
            if count == 0 || self.capacity < slots.count() {
                // SeqCst, because the caller may sleep: pairs with the exchange in `claim_filled`.
                let head = self.head.load(Ordering::SeqCst);
                match self.capacity.checked_sub(distance(head, tail)) {
                    // `None`: a forced claim has exceeded the capacity, or `head` has passed this
                    // `tail`, which was stale and has moved.
                    None | Some(0) => {
                        // SeqCst, because the caller may sleep: pairs with `close`. If `tail` has not
                        // moved, it had this value when `head` was read.
                        let now = self.tail.load(Ordering::SeqCst);
                        if now == tail {
                            return Attempt::Blocked;
                        }
                        tail = now;
                        continue;
                    }
                    Some(room) => count = count.min(room),
                }
            }
            if count == 0 {
                let now = self.tail.load(Ordering::Acquire);
                if now == tail {
                    // Another thread has claimed the last item of the slot and is reading it.
                    return Attempt::Busy;
                }
                tail = now;
                continue;
            }
            if self.exchange_tail(tail, count) {
                return Attempt::Done((position, count));
            }
            contention.lost();
            tail = self.tail.load(Ordering::Acquire);
        }
    }

    /// Claims `count` positions for filling, unless `tail` has moved.
    #[inline]
    fn exchange_tail(&self, tail: u64, count: u64) -> bool {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`), and ordered with
        // `close` (R4). Relaxed on failure: nothing depends on the value.
        let claimed = self.tail.compare_exchange_weak(
            tail,
            advance(tail, count),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// Claims up to `want` positions for emptying, in one exchange. Returns the first and their
    /// number. Calls `prepare` with that number or more before the exchange, so it may panic.
    ///
    /// Without `MEASURES`, a ring that measures and is not empty is *busy* for this call.
    #[inline]
    fn claim_filled<const MEASURES: bool>(
        &self,
        slots: Slots<'_, T>,
        want: u64,
        mut prepare: impl FnMut(u64),
    ) -> Attempt<(u64, u64)> {
        let mut contention = Contention::default();
        // Acquire, here and below: `tail` is read later than this.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let position = if MEASURES { unmarked(head) } else { head };
            let count = slots.run(position, FILLED, want);
            if count == 0 {
                // SeqCst, because the caller may sleep: pairs with the exchange in `claim_vacant`.
                let tail = self.tail.load(Ordering::SeqCst);
                // `head` was at least this when `tail` was read, and by R1 at most this.
                if tail & !CLOSED == head {
                    return match tail & CLOSED {
                        0 => Attempt::Blocked,
                        _ => Attempt::Closed,
                    };
                }
                let now = self.head.load(Ordering::Acquire);
                if now == head {
                    // Another thread has claimed the position and is filling the slot.
                    return Attempt::Busy;
                }
                head = now;
                continue;
            }
            prepare(count);
            if self.exchange_head(head, count) {
                return Attempt::Done((position, count));
            }
            contention.lost();
            head = self.head.load(Ordering::Acquire);
        }
    }

    /// Claims `count` positions for emptying, unless `head` has moved.
    #[inline]
    fn exchange_head(&self, head: u64, count: u64) -> bool {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`). Relaxed on
        // failure: nothing depends on the value.
        let claimed = self.head.compare_exchange_weak(
            head,
            advance(head, count),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// Adds an item in one try. False does not mean that the ring is full: [`push`](Self::push) gives
    /// the reason. Small, so that callers inline it.
    ///
    /// `item` is called after a claim, and must not run user code (R5).
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this returns true.
    #[inline]
    pub(super) unsafe fn try_push(&self, item: impl FnOnce() -> *const T) -> bool {
        let slots = self.slots();
        // Acquire: as in `claim_vacant`.
        let tail = self.tail.load(Ordering::Acquire);
        let slot = slots.at(tail);
        // A `tail` that is closed, or that measures, equals no slot's stamp. Acquire: as in `run`.
        if slot.stamp.load(Ordering::Acquire) != tail {
            return false;
        }
        if self.capacity < slots.count() {
            // Acquire: as `tail`. If `head` is stale, there is more room than it says.
            let head = self.head.load(Ordering::Acquire);
            if distance(head, tail) >= self.capacity {
                return false;
            }
        }
        if !self.exchange_tail(tail, 1) {
            return false;
        }
        // SAFETY: R2: just claimed; and the caller's guarantee.
        unsafe { slot.fill(tail, item()) };
        true
    }

    /// Adds an item. `item` is called after a claim, and must not run user code (R5).
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this is done.
    #[inline]
    pub(super) unsafe fn push(&self, mut item: impl FnMut() -> *const T) -> Attempt<()> {
        // SAFETY: the caller's guarantee.
        match unsafe { self.push_as::<false>(&mut item) } {
            // SAFETY: as above.
            Attempt::Closed if self.measures() => unsafe { self.push_measured(item) },
            pushed => pushed,
        }
    }

    /// [`push`](Self::push), by a claim with or without `MEASURES`.
    ///
    /// # Safety
    ///
    /// As `push`.
    #[inline]
    unsafe fn push_as<const MEASURES: bool>(&self, item: impl FnOnce() -> *const T) -> Attempt<()> {
        let slots = self.slots();
        let claimed = self.claim_vacant::<MEASURES>(slots, 1);
        claimed.map(|(position, _)| {
            if MEASURES {
                self.set_time(position, 1);
            }
            // SAFETY: R2: just claimed; and the caller's guarantee.
            unsafe { slots.at(position).fill(position, item()) }
        })
    }

    /// Whether `count` slots are likely to be vacant. While the ring is full, this reads only what
    /// senders write. Not to be called if the ring measures.
    pub(super) fn looks_vacant(&self, count: u64) -> bool {
        let slots = self.slots();
        // Relaxed, here and below: nothing depends on the answer.
        let tail = self.tail.load(Ordering::Relaxed);
        if tail & CLOSED != 0 {
            return true;
        }
        let last = advance(tail, count - 1);
        if slots.at(last).stamp.load(Ordering::Relaxed) != last {
            return false;
        }
        let head = || self.head.load(Ordering::Relaxed);
        self.capacity == slots.count() || distance(head(), last) < self.capacity
    }

    /// Removes the oldest item in one try, and moves it to `place`. False does not mean that the ring is
    /// empty: [`pop`](Self::pop) gives the reason. Small, so that callers inline it.
    #[inline]
    pub(super) fn try_pop(&self, place: &mut MaybeUninit<T>) -> bool {
        let slots = self.slots();
        // Acquire: as in `claim_filled`.
        let head = self.head.load(Ordering::Acquire);
        // Acquire: as in `run`.
        if slots.at(head).stamp.load(Ordering::Acquire) != head | FILLED {
            return false;
        }
        if !self.exchange_head(head, 1) {
            return false;
        }
        // SAFETY: just claimed.
        unsafe { self.empty(slots, head, place) };
        true
    }

    /// Removes the oldest item, and moves it to `place`.
    #[inline]
    pub(super) fn pop(&self, place: &mut MaybeUninit<T>) -> Attempt<()> {
        match self.pop_as::<false>(place) {
            Attempt::Busy if self.measures() => self.pop_measured(place).map(|_| ()),
            popped => popped.map(|_| ()),
        }
    }

    /// Removes the oldest item, and moves it to `place`. Returns when it was queued, if the ring measures.
    #[inline]
    pub(super) fn pop_with_time(&self, place: &mut MaybeUninit<T>) -> Attempt<Moment> {
        match self.pop_as::<false>(place) {
            Attempt::Busy if self.measures() => self.pop_measured(place),
            popped => popped,
        }
    }

    /// [`pop_with_time`](Self::pop_with_time), by a claim with or without `MEASURES`.
    #[inline]
    fn pop_as<const MEASURES: bool>(&self, place: &mut MaybeUninit<T>) -> Attempt<Moment> {
        let slots = self.slots();
        let claimed = self.claim_filled::<MEASURES>(slots, 1, |_| ());
        claimed.map(|(position, _)| {
            let queued_at = self.queued_at::<MEASURES>(position);
            // SAFETY: just claimed.
            unsafe { self.empty(slots, position, place) };
            queued_at
        })
    }

    /// Whether `count` items are likely to be queued. While the ring is empty, this reads only what
    /// receivers write. Not to be called if the ring measures.
    pub(super) fn looks_filled(&self, count: u64) -> bool {
        // Relaxed, here and below: nothing depends on the answer.
        let head = self.head.load(Ordering::Relaxed);
        let last = advance(head, count - 1);
        self.slots().at(last).stamp.load(Ordering::Relaxed) == last | FILLED
    }

    /// Moves an item out, to `place`.
    ///
    /// # Safety
    ///
    /// The caller has claimed the position for emptying, and empties it once.
    #[inline]
    unsafe fn empty(&self, slots: Slots<'_, T>, position: u64, place: &mut MaybeUninit<T>) {
        let slot = slots.at(position);
        // SAFETY: R2 and R3, by the caller's claim.
        unsafe { slot.take(place.as_mut_ptr()) };
        let next_lap = advance(position, slots.count());
        // Release: pairs with the Acquire in `run`; the item is out before the slot is filled again.
        slot.stamp.store(next_lap, Ordering::Release);
    }

    /// Sets the closed mark. Returns true if it was not set before.
    pub(super) fn close(&self) -> bool {
        // SeqCst: ordered with each claim (R4), and like the exchanges on `tail` one half of the
        // store-load race with waiters.
        let before = self.tail.fetch_or(CLOSED, Ordering::SeqCst);
        before & CLOSED == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        // SeqCst: pairs with `close`; a caller that waits for the close enters its list before it
        // reads this.
        self.tail.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// How many positions have been claimed for filling: the number of items sent so far.
    pub(super) fn pushed(&self) -> u64 {
        // SeqCst: read after the count of resolved items (see `accounting`). On a plain channel it is
        // also read after `Ledger::request_notice` or `Ledger::set_closed` in their store-load race
        // with the exchange on `head`.
        self.tail.load(Ordering::SeqCst) / STEP
    }

    /// How many positions have been claimed for emptying: the number of items removed so far.
    pub(super) fn popped(&self) -> u64 {
        // SeqCst: as in `pushed`, which is read after it.
        self.head.load(Ordering::SeqCst) / STEP
    }

    /// The number of items at one instant during the call, including those being filled. An item
    /// beyond the capacity counts when it has replaced the oldest.
    pub(super) fn len(&self) -> usize {
        // SeqCst, here and below: a waiter that passes a notification on decides by this
        // (`Channel::pass_item_on`), and a caller that waits for room may sleep (Q3 of `waiters`). Pairs
        // with the exchanges in `claim_filled` and `claim_vacant`.
        let mut tail = self.tail.load(Ordering::SeqCst);
        loop {
            let head = self.head.load(Ordering::SeqCst);
            let now = self.tail.load(Ordering::SeqCst);
            // If `tail` has not moved, it had this value when `head` was read.
            if now == tail {
                return distance(head, tail & !CLOSED).min(self.capacity) as usize;
            }
            tail = now;
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let slots = self.slots();
        let next = || self.claim_filled::<true>(slots, 1, |_| ()).done();
        run_all(next, |(position, _)| {
            // SAFETY: just claimed. The slot is not used again, so it may keep its stamp.
            unsafe { slots.at(position).drop_in_place() }
        });
    }
}
