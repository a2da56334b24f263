//! The unbounded queue: a chain of segments of slots.
//!
//! It uses no wakers and no handles. Positions are those of [`slot`](super::slot). With `len` slots in a
//! segment, position `p` is kept in segment `p / len`, in slot `p mod len`. The number of a segment is
//! its *lap*.
//!
//! A sender claims a position by an exchange of `tail`, and the segment is there. It waits for no other
//! thread, except for the lock of the chain, which it takes once or twice in a lap. Receivers take turns:
//! one locks `head`, takes an item and unlocks. So no receiver reads a slot that another one frees, and
//! the item costs one exchange at each end. A batch is claimed, and taken, lap by lap.
//!
//! ```text
//!         63 ...               2   1   0
//! tail  | positions claimed  | M | C |     C: closed, no more positions are claimed
//! head  | positions emptied  | M | L |     L: locked by a receiver
//! stamp | position p         | 0 | 1 |     the slot holds the item of p; any other value: not yet
//! ```
//!
//! M is set from the creation on if the queue measures. Each segment then also has the times of its slots. The
//! pointers to them are kept beside those to the slots, and change with them.
//!
//! # Invariants
//!
//! * **G1** While `tail` is in lap `n`, the segment of lap `n` is installed: `newest[n mod 2]` points to
//!   its slots. The sender that claims the last position of lap `n` has seen lap `n + 1` installed before
//!   its claim. That overwrites the pointer of lap `n - 1`, which no sender needs any more: a sender reads
//!   a pointer before its exchange of `tail`, and the exchange fails if `tail` has moved.
//! * **G2** The chain owns all segments from that of `head` to the one installed last. A segment leaves
//!   it when its last item has been taken. By then, each of its slots has been filled, and that is the
//!   last access of its sender.
//! * **G3** Between the exchange on `tail` that claims position `p` and the store of stamp `(p, 1)`, only
//!   the claimant accesses the slot of `p`.
//! * **G4** While L is set, only the receiver that set it accesses `segment`, and the slots that are
//!   filled. No user code runs meanwhile.
//! * **G5** C is set once and stays set. A claim is an exchange of the whole word, so it is ordered with
//!   the mark: a position claimed before it will be filled, and none is claimed after it.
//! * **G6** The exchange that sets L comes before the item is taken, and the store that clears it, with
//!   the new count, after. The store is not ordered with what the receiver reads next. So a caller that
//!   must know whether an item has been taken does not decide while L is set: see
//!   [`settled_popped`](Segments::settled_popped).
//!
//! A segment that is used again keeps its old stamps, which are those of lower positions.

// several items at once
mod batches;
// which segments there are
mod chain;
// the times of the slots, if the queue measures
mod times;

#[cfg(test)]
mod tests;

use core::mem;
use core::mem::MaybeUninit;

use self::chain::Chain;
use self::chain::Segment;
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
use crate::sync::Mutex;
use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::unwind::run_all;

/// The locked mark in `head`.
const LOCKED: u64 = 1;

/// How often a receiver tries to lock `head` before it gives way.
const TRIES: u32 = if cfg!(loom) { 1 } else { 6 };

/// See the [module](self) for its invariants.
pub(super) struct Segments<T> {
    tail: CachePadded<Tail<T>>,
    head: CachePadded<Head<T>>,
    chain: Mutex<Chain<T>>,
}

/// What only senders write.
struct Tail<T> {
    word: AtomicU64,
    /// The segments of the last two laps that were installed, by the parity of the lap (G1).
    newest: [AtomicPtr<Slot<T>>; 2],
    /// Their times.
    newest_times: [AtomicPtr<AtomicU64>; 2],
}

/// What only receivers write.
struct Head<T> {
    word: AtomicU64,
    /// The segment of `head` (G4).
    segment: UnsafeCell<*mut Slot<T>>,
    /// Its times (G4).
    times: UnsafeCell<*mut AtomicU64>,
}

// SAFETY: by G3 and G4 each slot is accessed by one thread at a time, and its stamp orders the accesses,
// so sharing the segments only moves items from thread to thread.
unsafe impl<T: Send> Send for Segments<T> {}
// SAFETY: as above; they never give out a `&T`.
unsafe impl<T: Send> Sync for Segments<T> {}

impl<T> Segments<T> {
    /// The number of slots of a segment: a power of two, so that laps stay continuous where positions
    /// wrap. A segment takes about 8 KiB, but has two slots at least, and 64 at most.
    const LEN: u64 = if cfg!(loom) {
        2
    } else {
        match 8192 / mem::size_of::<Slot<T>>() {
            0..4 => 2,
            4..8 => 4,
            8..16 => 8,
            16..32 => 16,
            32..64 => 32,
            _ => 64,
        }
    };

    /// The slot of a position in its segment.
    #[inline]
    fn index(position: u64) -> usize {
        (position / STEP % Self::LEN) as usize
    }

    #[inline]
    fn is_last(position: u64) -> bool {
        Self::index(position) == Self::LEN as usize - 1
    }

    /// How many positions there are in the lap of `position`, from it on.
    fn left_in_lap(position: u64) -> u64 {
        Self::LEN - Self::index(position) as u64
    }

    #[inline]
    fn lap(position: u64) -> u64 {
        position / STEP / Self::LEN
    }

    /// Creates an empty queue whose first position is `position`.
    pub(super) fn starting_at(position: u64, measures: bool) -> Self {
        let position = first_word(position, measures);
        let mut first = Segment::allocate(Self::LEN, measures);
        let (slots, times) = (first.slots.as_mut_ptr(), first.times.as_mut_ptr());
        Self {
            tail: CachePadded::new(Tail {
                word: AtomicU64::new(position),
                newest: [AtomicPtr::new(slots), AtomicPtr::new(slots)],
                newest_times: [AtomicPtr::new(times), AtomicPtr::new(times)],
            }),
            head: CachePadded::new(Head {
                word: AtomicU64::new(position),
                segment: UnsafeCell::new(slots),
                times: UnsafeCell::new(times),
            }),
            chain: Mutex::new(Chain::starting_with(first, Self::lap_after(position))),
        }
    }

    /// Adds an item in one try. False does not mean that the queue is closed: [`push`](Self::push) gives
    /// the reason. Small, so that callers inline it.
    ///
    /// `item` is called after a claim, and must not run user code.
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this returns true.
    #[inline]
    pub(super) unsafe fn try_push(&self, item: impl FnOnce() -> *const T) -> bool {
        // Acquire: as in `push`.
        let tail = self.tail.word.load(Ordering::Acquire);
        if tail & (CLOSED | MEASURED) != 0 || Self::is_last(tail) {
            return false;
        }
        let slots = self.newest(tail);
        if !self.exchange_tail(tail, 1) {
            return false;
        }
        // SAFETY: just claimed; and the caller's guarantee.
        unsafe { Self::fill(slots, tail, item()) };
        true
    }

    /// Adds an item. `item` is called after a claim, and must not run user code.
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this is done.
    #[inline(never)]
    pub(super) unsafe fn push(&self, item: impl FnOnce() -> *const T) -> Attempt<()> {
        let mut contention = Contention::default();
        loop {
            // Acquire: pairs with the exchange of the sender that claimed the position before, which
            // has seen this lap installed (G1).
            let tail = self.tail.word.load(Ordering::Acquire);
            if tail & CLOSED != 0 {
                return Attempt::Closed;
            }
            let (slots, times) = (self.newest(tail), self.newest_times(tail));
            if Self::is_last(tail) {
                self.install(tail);
            }
            if self.exchange_tail(tail, 1) {
                // SAFETY: just claimed.
                let position = unsafe { Self::set_time(times, tail, 1) };
                // SAFETY: just claimed; and the caller's guarantee.
                unsafe { Self::fill(slots, position, item()) };
                return Attempt::Done(());
            }
            contention.lost();
        }
    }

    /// The slots of the lap of `tail`. Valid if `tail` does not move before the caller claims a position
    /// (G1).
    #[inline]
    fn newest(&self, tail: u64) -> *mut Slot<T> {
        let newest = &self.tail.newest[(Self::lap(tail) % 2) as usize];
        // Relaxed: the load of `tail` acquired what was installed for its lap. A later pointer means
        // that `tail` has moved.
        newest.load(Ordering::Relaxed)
    }

    /// Claims `count` positions, unless `tail` has moved.
    #[inline]
    fn exchange_tail(&self, tail: u64, count: u64) -> bool {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`), ordered with `close`
        // (G5), and releases the segment that the caller has seen installed (G1). Relaxed on failure:
        // nothing depends on the value.
        let claimed = self.tail.word.compare_exchange_weak(
            tail,
            advance(tail, count),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// The slot of a position.
    ///
    /// # Safety
    ///
    /// `slots` is the segment that keeps the position, and is alive.
    #[inline]
    unsafe fn at<'a>(slots: *mut Slot<T>, position: u64) -> &'a Slot<T> {
        // SAFETY: the index is less than the number of slots.
        let slot = unsafe { slots.add(Self::index(position)) };
        // SAFETY: the caller's guarantee. A slot is only accessed by shared references.
        unsafe { &*slot }
    }

    /// # Safety
    ///
    /// The caller has claimed the position, which is kept in these slots, and fills it once. It may move
    /// out of `item`, and neither uses nor drops the item after that.
    #[inline]
    unsafe fn fill(slots: *mut Slot<T>, position: u64, item: *const T) {
        // SAFETY: G2: the segment is alive until this slot has been filled.
        let slot = unsafe { Self::at(slots, position) };
        // SAFETY: G3, by the caller's claim.
        unsafe { slot.fill(position, item) };
    }

    /// Locks `head` and returns what it was, unless another receiver has locked or moved it, or it has a
    /// mark of `unless`.
    #[inline]
    fn try_lock(&self, unless: u64) -> Option<u64> {
        // Relaxed: the exchange follows.
        let head = self.head.word.load(Ordering::Relaxed);
        if head & (LOCKED | unless) != 0 {
            return None;
        }
        // SeqCst: acquires what the last receiver did under the lock; and one half of the store-load
        // race with a caller that waits for quiescence (G6).
        let locked = self.head.word.compare_exchange_weak(
            head,
            head | LOCKED,
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        locked.is_ok().then_some(head)
    }

    #[inline]
    fn unlock(&self, head: u64) {
        // Release: pairs with the exchange in `try_lock`; the item is out of its slot.
        self.head.word.store(head, Ordering::Release);
    }

    /// The slot of a position in the segment of `head`.
    ///
    /// # Safety
    ///
    /// The caller has locked `head`, and the position is in the same lap.
    #[inline]
    unsafe fn slot(&self, position: u64) -> &Slot<T> {
        let slots = self.head.segment.with_mut(|segment| {
            // SAFETY: G4.
            unsafe { *segment }
        });
        // SAFETY: G2: an item of this segment has not been taken.
        unsafe { Self::at(slots, position) }
    }

    /// Takes the item at `head`, if it is there, and unlocks. Moves the item to `place`, and returns what
    /// `read` returns, which is called before.
    ///
    /// # Safety
    ///
    /// The caller has locked `head`, and `position` is that of `head`.
    #[inline]
    unsafe fn take_and_unlock<R>(
        &self,
        head: u64,
        position: u64,
        place: &mut MaybeUninit<T>,
        read: impl FnOnce() -> R,
    ) -> Option<R> {
        // SAFETY: the caller has locked it.
        let slot = unsafe { self.slot(head) };
        // Acquire: pairs with the Release store in `Slot::fill`.
        if slot.stamp.load(Ordering::Acquire) != position | FILLED {
            self.unlock(head);
            return None;
        }
        let read = read();
        // SAFETY: G4, and the stamp.
        unsafe { slot.take(place.as_mut_ptr()) };
        if Self::is_last(head) {
            self.leave_segment();
        }
        self.unlock(advance(head, 1));
        Some(read)
    }

    /// Removes the oldest item in one try, and moves it to `place`. False does not mean that the queue is
    /// empty: [`pop`](Self::pop) gives the reason. Small, so that callers inline it.
    #[inline]
    pub(super) fn try_pop(&self, place: &mut MaybeUninit<T>) -> bool {
        let Some(head) = self.try_lock(MEASURED) else {
            return false;
        };
        // SAFETY: just locked, and not marked.
        unsafe { self.take_and_unlock(head, head, place, || ()) }.is_some()
    }

    /// Removes the oldest item, and moves it to `place`.
    #[inline(never)]
    pub(super) fn pop(&self, place: &mut MaybeUninit<T>) -> Attempt<()> {
        self.pop_and(place, |_| ())
    }

    /// Removes the oldest item, and moves it to `place`. Returns when it was queued, if the queue measures.
    #[inline(never)]
    pub(super) fn pop_with_time(&self, place: &mut MaybeUninit<T>) -> Attempt<Moment> {
        self.pop_and(place, |head| {
            // SAFETY: `head` is locked, and its position is filled.
            unsafe { self.queued_at(head) }
        })
    }

    /// Removes the oldest item, and moves it to `place`. Returns what `read` returns for `head`, which is locked,
    /// and whose position is filled.
    #[inline]
    fn pop_and<R>(&self, place: &mut MaybeUninit<T>, read: impl FnOnce(u64) -> R) -> Attempt<R> {
        let mut contention = Contention::default();
        for _ in 0..TRIES {
            let Some(head) = self.try_lock(0) else {
                contention.lost();
                continue;
            };
            let read = || read(head);
            // SAFETY: just locked.
            return match unsafe { self.take_and_unlock(head, unmarked(head), place, read) } {
                Some(read) => Attempt::Done(read),
                None => self.why_none_at(head),
            };
        }
        // Another receiver has locked `head`.
        Attempt::Busy
    }

    /// Why the caller has removed nothing. It has read this `head`, unlocked or before it locked it.
    fn why_none_at<R>(&self, head: u64) -> Attempt<R> {
        // SeqCst, because the caller may sleep: pairs with `exchange_tail`.
        let tail = self.tail.word.load(Ordering::SeqCst);
        // `head` was this or more, and `tail` is never before `head`. So if they are equal, the queue was
        // empty when `tail` was read.
        match tail ^ head {
            0 => Attempt::Blocked,
            CLOSED => Attempt::Closed,
            // A sender has claimed the position and is filling the slot, or an item has come since.
            _ => Attempt::Busy,
        }
    }

    /// Whether `count` items are likely to be queued. While the queue is empty, this reads and writes
    /// only what receivers write, and a stamp. Not to be called if the queue measures.
    pub(super) fn looks_filled(&self, count: u64) -> bool {
        let Some(head) = self.try_lock(0) else {
            return false;
        };
        // Of the same lap, whose slots can be read.
        let last = head | ((Self::LEN - 1) * STEP);
        let position = advance(head, (count - 1).min(distance(head, last)));
        // SAFETY: just locked.
        let stamp = unsafe { &self.slot(position).stamp };
        // Relaxed: nothing depends on the answer.
        let is_filled = stamp.load(Ordering::Relaxed) == position | FILLED;
        self.unlock(head);
        is_filled
    }

    /// Sets the closed mark. Returns true if it was not set before.
    pub(super) fn close(&self) -> bool {
        // SeqCst: ordered with each claim (G5), and like the exchanges on `tail` one half of the
        // store-load race with waiters.
        let before = self.tail.word.fetch_or(CLOSED, Ordering::SeqCst);
        before & CLOSED == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        // SeqCst: as `Ring::is_closed`.
        self.tail.word.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// How many positions have been claimed: the number of items sent so far.
    pub(super) fn pushed(&self) -> u64 {
        // SeqCst: as `Ring::pushed`.
        self.tail.word.load(Ordering::SeqCst) / STEP
    }

    /// How many items were removed so far. A receiver may be removing one more.
    pub(super) fn popped(&self) -> u64 {
        // SeqCst: as `Ring::popped`.
        self.head.word.load(Ordering::SeqCst) / STEP
    }

    /// How many items were removed so far. Returns `None` if a receiver may be removing one more (G6).
    pub(super) fn settled_popped(&self) -> Option<u64> {
        // SeqCst: as `Ring::popped`.
        let head = self.head.word.load(Ordering::SeqCst);
        (head & LOCKED == 0).then_some(head / STEP)
    }

    /// The number of items at one instant during the call, including those being filled.
    pub(super) fn len(&self) -> usize {
        // SeqCst: as `Ring::len`.
        let mut tail = self.tail.word.load(Ordering::SeqCst);
        loop {
            let head = self.head.word.load(Ordering::SeqCst) & !LOCKED;
            let now = self.tail.word.load(Ordering::SeqCst);
            // If `tail` has not moved, it had this value when `head` was read.
            if now == tail {
                return usize::try_from(distance(head, tail & !CLOSED)).unwrap_or(usize::MAX);
            }
            tail = now;
        }
    }
}

impl<T> Segments<T> {
    /// Drops all items. (Not inlined, so that a channel without any is freed on a small stack.)
    #[inline(never)]
    fn drop_items(&mut self) {
        let mut place = MaybeUninit::uninit();
        let item = &raw mut place;
        let next = || {
            // SAFETY: the item before has been dropped, and no reference is left.
            let popped = Attempt::retry_while_busy(|| self.pop(unsafe { &mut *item }));
            popped.done()
        };
        run_all(next, |_| {
            // SAFETY: no reference is left.
            let item = unsafe { &mut *item };
            // SAFETY: it has just been moved there.
            unsafe { item.assume_init_drop() };
        });
    }
}

impl<T> Drop for Segments<T> {
    fn drop(&mut self) {
        if self.len() > 0 {
            self.drop_items();
        }
    }
}
