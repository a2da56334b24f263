//! The lock-free bounded queue: a ring of slots after Dmitry Vyukov's bounded MPMC queue
//! (<https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue>).
//!
//! It knows no wakers and no handles. All `unsafe` of queueing is here.
//!
//! # Positions
//!
//! A *position* is the monotonic count of the items that came before. Position `p` lives in slot
//! `p mod slots`; the number of slots is the capacity rounded up to a power of two, so that
//! positions stay continuous where the counter wraps. `tail` counts the positions claimed for
//! filling, `head` those claimed for emptying. Atomics hold a position shifted left by one:
//!
//! ```text
//!        63 ...               1   0
//! tail | positions claimed  | C |     C: closed, no position is claimed for filling any more
//! head | positions claimed  | 0 |
//! turn | position p         | F |     F = 0: the slot is vacant and waits for p to be filled
//!                                     F = 1: the slot is filled and waits for p to be emptied
//! ```
//!
//! # Invariants
//!
//! * **R1** `head <= tail <= head + capacity`, in positions: a claim for filling has seen a `head`
//!   that leaves room, a claim for emptying has seen a filled slot.
//! * **R2** Between the exchange on `tail` that claims position `p` and the store of turn `(p, 1)`,
//!   the slot belongs to the claimant alone. Between the exchange on `head` that claims `p` and
//!   the store of turn `(p + slots, 0)`, it belongs to that claimant alone.
//! * **R3** A slot holds an item exactly while its turn has F set.
//! * **R4** C is set once and stays. A claim is an exchange of the whole word, so it cannot
//!   overtake the mark: a position claimed before it will be filled, none is claimed after.
//! * **R5** No user code runs between a claim and the store that ends it.
//!
//! # What an answer means
//!
//! *Full*, *empty* and *closed* were true at one instant during the call. *Busy* says neither:
//! another thread has claimed the slot and is within a few instructions of releasing it. Nobody
//! may sleep on *busy*, for no wake follows from it alone.

use std::mem::MaybeUninit;

use crate::sync::CachePadded;
use crate::sync::Contention;
use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::unwind::run_all;

#[cfg(test)]
mod tests;

/// The closed mark in `tail`.
const CLOSED: u64 = 1;
/// The filled mark in a slot's turn.
const FILLED: u64 = 1;
/// One position, as the atomics hold it.
const STEP: u64 = 2;

/// An atomic that holds a position. Its width is a parameter so that tests can cross the wrap.
pub(crate) trait Counter {
    /// The largest value it holds.
    const MAX: u64;

    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn fetch_or(&self, bits: u64, order: Ordering) -> u64;
    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64>;
}

impl Counter for AtomicU64 {
    const MAX: u64 = u64::MAX;

    fn new(value: u64) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.fetch_or(bits, order)
    }

    #[inline]
    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}

#[inline]
fn advance<C: Counter>(position: u64, count: u64) -> u64 {
    position.wrapping_add(count * STEP) & C::MAX
}

/// How many positions `later` is past `earlier`; more than any capacity if it is not.
#[inline]
fn distance<C: Counter>(earlier: u64, later: u64) -> u64 {
    (later.wrapping_sub(earlier) & C::MAX) / STEP
}

/// Why no slot could be claimed for filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVacancy {
    Full,
    Closed,
    Busy,
}

/// Why no slot could be claimed for emptying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoItem {
    /// Nothing is queued, and something may still come.
    Empty,
    /// Nothing is queued, and nothing can come.
    Closed,
    Busy,
}

struct Slot<T, C> {
    turn: C,
    item: UnsafeCell<MaybeUninit<T>>,
}

/// The slots, with their place in memory read once: an exchange makes the compiler forget what it
/// has read through `&self`.
struct Slots<'a, T, C>(&'a [Slot<T, C>]);

impl<T, C> Clone for Slots<'_, T, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, C> Copy for Slots<'_, T, C> {}

impl<'a, T, C: Counter> Slots<'a, T, C> {
    fn count(self) -> u64 {
        self.0.len() as u64
    }

    /// The slot of a position.
    #[inline]
    fn at(self, position: u64) -> &'a Slot<T, C> {
        // The count is a power of two.
        let index = (position / STEP) as usize & (self.0.len() - 1);
        // SAFETY: there is a slot at least, so the mask leaves less than their count.
        unsafe { self.0.get_unchecked(index) }
    }

    /// How many slots from `position` on, `want` at most, are at the turn that `mark` gives.
    #[inline]
    fn run(self, position: u64, mark: u64, want: u64) -> u64 {
        let mut count = 0;
        while count < want {
            let at = advance::<C>(position, count);
            // Acquire: pairs with the Release that stored the turn (in `Vacancy::fill` and in
            // `Ring::empty`); what the last owner did with the slot has happened.
            if self.at(at).turn.load(Ordering::Acquire) != at | mark {
                break;
            }
            count += 1;
        }
        count
    }
}

/// The queue. See the [module](self) for its invariants.
pub(crate) struct Ring<T, C: Counter = AtomicU64> {
    tail: CachePadded<C>,
    head: CachePadded<C>,
    slots: Box<[Slot<T, C>]>,
    capacity: u64,
}

// SAFETY: R2 gives each slot to one thread at a time, and the turns order their accesses, so
// sharing the ring only ever moves items from thread to thread.
unsafe impl<T: Send, C: Counter + Send> Send for Ring<T, C> {}
// SAFETY: as above; no `&T` is ever handed out.
unsafe impl<T: Send, C: Counter + Sync> Sync for Ring<T, C> {}

impl<T, C: Counter> Ring<T, C> {
    /// A ring of `capacity` items.
    ///
    /// # Panics
    ///
    /// When the memory for it cannot be had, or its positions would not fit the counter.
    pub(crate) fn new(capacity: usize) -> Self {
        Self::starting_at(capacity, 0)
    }

    fn starting_at(capacity: usize, position: u64) -> Self {
        debug_assert!(capacity >= 1);
        let slots = Self::allocate(capacity, position).unwrap_or_else(|| {
            panic!("a channel of capacity {capacity} cannot be allocated: choose a smaller one")
        });
        Self {
            tail: CachePadded::new(C::new(position * STEP)),
            head: CachePadded::new(C::new(position * STEP)),
            slots,
            capacity: capacity as u64,
        }
    }

    /// The slots, each waiting for the first position from `start` on that is its own.
    fn allocate(capacity: usize, start: u64) -> Option<Box<[Slot<T, C>]>> {
        let count = capacity.checked_next_power_of_two()?;
        // A distance that R1 allows must not be mistaken for that of a stale counter.
        if count as u64 > C::MAX / STEP / 2 {
            return None;
        }
        let mut slots = Vec::new();
        slots.try_reserve_exact(count).ok()?;
        let mask = count as u64 - 1;
        slots.extend((0..count as u64).map(|index| {
            let first = start + (index.wrapping_sub(start) & mask);
            Slot {
                turn: C::new(first.wrapping_mul(STEP) & C::MAX),
                item: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }));
        Some(slots.into_boxed_slice())
    }

    #[inline]
    fn slots(&self) -> Slots<'_, T, C> {
        Slots(&self.slots)
    }

    /// Claims up to `want` positions for filling, in one exchange; gives the first and their
    /// number.
    #[inline]
    fn claim_vacant(&self, slots: Slots<'_, T, C>, want: u64) -> Result<(u64, u64), NoVacancy> {
        let mut contention = Contention::default();
        // Acquire, here and below: what follows reads `head` later than this.
        let mut tail = self.tail.load(Ordering::Acquire);
        loop {
            if tail & CLOSED != 0 {
                return Err(NoVacancy::Closed);
            }
            let mut count = slots.run(tail, 0, want);
            if count == 0 || self.capacity < slots.count() {
                // SeqCst, as what decides on sleeping: pairs with the exchange in `claim_filled`.
                let head = self.head.load(Ordering::SeqCst);
                match self.capacity.checked_sub(distance::<C>(head, tail)) {
                    // `head` has passed this `tail`, which was stale.
                    None => {
                        tail = self.tail.load(Ordering::Acquire);
                        continue;
                    }
                    Some(0) => {
                        // SeqCst, as what decides on sleeping: pairs with `close`. `tail` was this
                        // when `head` was read, for it has not moved since.
                        let now = self.tail.load(Ordering::SeqCst);
                        if now == tail {
                            return Err(NoVacancy::Full);
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
                    // The slot's last item has been claimed and is being read.
                    return Err(NoVacancy::Busy);
                }
                tail = now;
                continue;
            }
            if self.exchange_tail(tail, count) {
                return Ok((tail, count));
            }
            contention.lost();
            tail = self.tail.load(Ordering::Acquire);
        }
    }

    /// Claims so many positions for filling, unless `tail` has moved.
    #[inline]
    fn exchange_tail(&self, tail: u64, count: u64) -> bool {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`), and orders this
        // claim against `close`. Relaxed on failure: nothing follows from it.
        let claimed = self.tail.compare_exchange_weak(
            tail,
            advance::<C>(tail, count),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// Claims up to `want` positions for emptying, in one exchange; gives the first and their
    /// number.
    #[inline]
    fn claim_filled(&self, slots: Slots<'_, T, C>, want: u64) -> Result<(u64, u64), NoItem> {
        let mut contention = Contention::default();
        // Acquire, here and below: what follows reads `tail` later than this.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let count = slots.run(head, FILLED, want);
            if count == 0 {
                // SeqCst, as what decides on sleeping: pairs with the exchange in `claim_vacant`.
                let tail = self.tail.load(Ordering::SeqCst);
                // `head` was at least this when `tail` was read, and by R1 at most this.
                if tail & !CLOSED == head {
                    return Err(match tail & CLOSED {
                        0 => NoItem::Empty,
                        _ => NoItem::Closed,
                    });
                }
                let now = self.head.load(Ordering::Acquire);
                if now == head {
                    // The position has been claimed and is being filled.
                    return Err(NoItem::Busy);
                }
                head = now;
                continue;
            }
            if self.exchange_head(head, count) {
                return Ok((head, count));
            }
            contention.lost();
            head = self.head.load(Ordering::Acquire);
        }
    }

    /// Claims so many positions for emptying, unless `head` has moved.
    #[inline]
    fn exchange_head(&self, head: u64, count: u64) -> bool {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`). Relaxed on
        // failure: nothing follows from it.
        let claimed = self.head.compare_exchange_weak(
            head,
            advance::<C>(head, count),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// Claims a slot to [fill](Vacancy::fill), if nothing stands in the way. `None` does
    /// not mean that the ring is full: [`reserve`](Self::reserve) says why. Small, to be compiled into
    /// its callers.
    #[inline]
    pub(crate) fn reserve_at_once(&self) -> Option<Vacancy<'_, T, C>> {
        let slots = self.slots();
        // Acquire: as in `claim_vacant`.
        let tail = self.tail.load(Ordering::Acquire);
        let slot = slots.at(tail);
        // A closed `tail` is no slot's turn. Acquire: as in `run`.
        if slot.turn.load(Ordering::Acquire) != tail {
            return None;
        }
        if self.capacity < slots.count() {
            // Acquire: as `tail`. If it is stale, there is more room than it says.
            let head = self.head.load(Ordering::Acquire);
            if distance::<C>(head, tail) >= self.capacity {
                return None;
            }
        }
        self.exchange_tail(tail, 1).then_some(Vacancy {
            slot,
            position: tail,
        })
    }

    /// Claims a slot to [fill](Vacancy::fill).
    #[inline]
    pub(crate) fn reserve(&self) -> Result<Vacancy<'_, T, C>, NoVacancy> {
        let slots = self.slots();
        let (position, _) = self.claim_vacant(slots, 1)?;
        Ok(Vacancy {
            slot: slots.at(position),
            position,
        })
    }

    /// Whether so many slots are likely to be vacant, at the cost of reading only what senders
    /// write, while the ring is full.
    pub(crate) fn looks_vacant(&self, count: u64) -> bool {
        let slots = self.slots();
        // Relaxed: nothing follows from it.
        let tail = self.tail.load(Ordering::Relaxed);
        if tail & CLOSED != 0 {
            return true;
        }
        let last = advance::<C>(tail, count - 1);
        if slots.at(last).turn.load(Ordering::Relaxed) != last {
            return false;
        }
        let head = || self.head.load(Ordering::Relaxed);
        self.capacity == slots.count() || distance::<C>(head(), last) < self.capacity
    }

    /// Takes the oldest item, if nothing stands in the way. `None` does not mean that there is none:
    /// [`pop`](Self::pop) says why. Small, to be compiled into its callers.
    #[inline]
    pub(crate) fn pop_at_once(&self) -> Option<T> {
        let slots = self.slots();
        // Acquire: as in `claim_filled`.
        let head = self.head.load(Ordering::Acquire);
        // Acquire: as in `run`.
        if slots.at(head).turn.load(Ordering::Acquire) != head | FILLED {
            return None;
        }
        if !self.exchange_head(head, 1) {
            return None;
        }
        // SAFETY: just claimed.
        Some(unsafe { self.empty(slots, head) })
    }

    /// Takes the oldest item.
    #[inline]
    pub(crate) fn pop(&self) -> Result<T, NoItem> {
        let slots = self.slots();
        let (position, _) = self.claim_filled(slots, 1)?;
        // SAFETY: just claimed.
        Ok(unsafe { self.empty(slots, position) })
    }

    /// Whether so many items are likely to be there, at the cost of reading only what receivers
    /// write, while the ring is empty.
    pub(crate) fn looks_filled(&self, count: u64) -> bool {
        // Relaxed: nothing follows from it.
        let head = self.head.load(Ordering::Relaxed);
        let last = advance::<C>(head, count - 1);
        self.slots().at(last).turn.load(Ordering::Relaxed) == last | FILLED
    }

    /// Moves an item out.
    ///
    /// # Safety
    ///
    /// The caller has claimed the position for emptying, and empties it once.
    #[inline]
    unsafe fn empty(&self, slots: Slots<'_, T, C>, position: u64) -> T {
        let slot = slots.at(position);
        let item = slot.item.with_mut(|item| {
            // SAFETY: R2, by the caller's claim: nobody else reads or writes the slot.
            unsafe { item.read() }
        });
        // SAFETY: R3, by the turn that the claim has seen.
        let item = unsafe { item.assume_init() };
        let next_lap = advance::<C>(position, slots.count());
        // Release: pairs with the Acquire in `run`; the item is out before the slot is filled anew.
        slot.turn.store(next_lap, Ordering::Release);
        item
    }

    /// Sets the closed mark; true if it was not set before.
    pub(crate) fn close(&self) -> bool {
        // SeqCst: a claim is before or after it (R4), and as the exchanges on `tail` it is one
        // half of the store-load race with waiters.
        let before = self.tail.fetch_or(CLOSED, Ordering::SeqCst);
        before & CLOSED == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        // SeqCst: pairs with `close`; who awaits the close lists itself and then looks here.
        self.tail.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// How many positions have been claimed for filling: the items accepted so far.
    pub(crate) fn pushed(&self) -> u64 {
        // SeqCst: read after what is resolved (see `ledger`); and, on a plain channel, after
        // `Ledger::set_awaited` or `set_ending` in their store-load race with the exchange on
        // `head`.
        self.tail.load(Ordering::SeqCst) / STEP
    }

    /// How many positions have been claimed for emptying: the items taken so far.
    pub(crate) fn popped(&self) -> u64 {
        // SeqCst: as in `pushed`, which is read after it.
        self.head.load(Ordering::SeqCst) / STEP
    }

    /// How many items there are, at one instant during the call; those being filled count.
    pub(crate) fn len(&self) -> usize {
        // SeqCst: a waiter that passes a wake on decides by this (`Channel::pass_item_on`).
        let mut tail = self.tail.load(Ordering::SeqCst);
        loop {
            let head = self.head.load(Ordering::SeqCst);
            let now = self.tail.load(Ordering::SeqCst);
            // An unmoved `tail` stood still while `head` was read.
            if now == tail {
                return distance::<C>(head, tail & !CLOSED) as usize;
            }
            tail = now;
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

impl<T, C: Counter> Drop for Ring<T, C> {
    fn drop(&mut self) {
        run_all(|| self.pop().ok(), drop);
    }
}

/// A claimed slot, which is the caller's until it fills it: at once, for those behind wait (R5).
#[must_use = "a claimed slot holds up all that come after it until it is filled"]
pub(crate) struct Vacancy<'a, T, C = AtomicU64> {
    slot: &'a Slot<T, C>,
    position: u64,
}

impl<T, C: Counter> Vacancy<'_, T, C> {
    #[inline]
    pub(crate) fn fill(self, item: T) {
        self.slot.item.with_mut(|slot| {
            // SAFETY: R2, by the claim that made this vacancy.
            unsafe { (*slot).write(item) };
        });
        // Release: pairs with the Acquire in `run`; publishes the item.
        self.slot
            .turn
            .store(self.position | FILLED, Ordering::Release);
    }
}
