//! The side lane of a task channel: items for another attempt, and new work that a worker queues.
//!
//! The lane takes no slot of the ring and has no limit of its own. So pushing never waits, and a
//! pool of workers that feeds its own queue cannot deadlock. Most channels never use the lane, and
//! then it costs a receiver two loads.
//!
//! An item may be *delayed*: until it is due, no receiver finds it. See [`delayed`].
//!
//! # Invariants
//!
//! * **N1** Each pushed item is counted as new work or as a retry. `readied` counts the items that are
//!   receivable, or were. These counts and `popped` change under the lock, together with the items, and
//!   in this order. So `popped <= readied <= pushed` at every instant. Under the lock, the first
//!   difference is the number of receivable items, and the second that of delayed items. All counts only
//!   rise.
//! * **N2** Only the holder of an unresolved delivery pushes. So a pushed item is accepted before
//!   that delivery is resolved, and the channel looks quiescent at no instant in between (see
//!   `accounting`).
//! * **N3** When the last receiver is dropped, and by `close_now`, the items are taken out and the lane
//!   is ended, under the lock. So a push that races with this comes before, and its item is among those
//!   that are taken out, or after, and is refused. An ended lane accepts no item.
//! * **N4** No user code runs under the lock.
//! * **N5** An item is initialised while it is in the lane. The caller that takes it out owns it.
//! * **N6** Receivable items are taken out in the order in which they have become receivable, whether they
//!   were delayed or not: see [`line`](mod@line).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use super::in_hand::InHand;
use crate::clock::Moment;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::with_lock;

// receivable items
mod line;
// items that are not due yet
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod delayed;

#[cfg(all(feature = "std", not(target_family = "wasm")))]
use self::delayed::Delayed;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub(crate) use self::delayed::Matured;
use self::line::Line;
pub(crate) use self::line::Rest;

/// An item in the lane (N5).
///
/// The type says neither that there is an item nor that it may be used: the timer's thread has access to
/// items whose type is not `Send`. If a receiver was forgotten, an item may even borrow what no longer
/// exists.
pub(crate) struct Requeued<T> {
    pub(crate) item: MaybeUninit<T>,
    /// The number of its next delivery; the first is 1.
    pub(crate) attempt: u32,
    /// Since when it can be received, if the queue measures.
    pub(crate) queued_at: Moment,
}

/// What a lane holds.
struct Items<T> {
    line: Line<T>,
    /// `Some` once an item was delayed. Boxed, because most lanes never delay one.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    delayed: Option<Box<Delayed<T>>>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self {
            line: Line::default(),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            delayed: None,
        }
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm")))]
impl<T> Items<T> {
    /// How many items are delayed.
    fn delayed(&self) -> u64 {
        self.delayed.as_ref().map_or(0, |delayed| delayed.len())
    }

    fn has_ever_delayed(&self) -> bool {
        self.delayed.is_some()
    }

    /// All items: first the receivable ones, then the delayed ones in order of due time. Not to be called
    /// under the lock, because it sorts.
    fn into_line(self, first: u64) -> Line<T> {
        match self.delayed {
            Some(delayed) => delayed.append_to(self.line, first),
            None => self.line,
        }
    }
}

/// Without a clock, no item is delayed.
#[cfg(not(all(feature = "std", not(target_family = "wasm"))))]
impl<T> Items<T> {
    fn delayed(&self) -> u64 {
        0
    }

    fn has_ever_delayed(&self) -> bool {
        false
    }

    fn into_line(self, _: u64) -> Line<T> {
        self.line
    }
}

/// See the [module](self).
pub(crate) struct Lane<T> {
    /// `None` when the lane has ended (N3).
    items: Mutex<Option<Items<T>>>,
    followed_up: AtomicU64,
    retried: AtomicU64,
    readied: AtomicU64,
    popped: AtomicU64,
    /// Odd if the next receiver takes from the lane.
    next_from: AtomicUsize,
    /// The tasks in hand, if the queue measures. Here, so that other channels have no more than a pointer.
    in_hand: Option<Box<InHand>>,
}

impl<T> Lane<T> {
    pub(crate) fn new(measures: bool) -> Self {
        Self {
            in_hand: measures.then(|| Box::new(InHand::new())),
            items: Mutex::new(Some(Items::default())),
            followed_up: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            readied: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            next_from: AtomicUsize::new(0),
        }
    }

    /// Pushes an item. Returns false if the lane has ended. An item with attempt 1 is new work. The
    /// caller holds an unresolved delivery (N2). (Not inlined, so that no other function has a large item
    /// on its stack.)
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this returns true, or if it panics. (Then
    /// memory could not be allocated, and the item is leaked.)
    #[inline(never)]
    pub(crate) unsafe fn push(&self, item: *const T, attempt: u32) -> bool {
        with_lock(&self.items, |items| {
            let Some(items) = items else {
                return false;
            };
            // SAFETY: the caller's guarantee.
            let item = unsafe { item.cast::<MaybeUninit<T>>().read() };
            items.line.push(Requeued {
                item,
                attempt,
                queued_at: self.time(),
            });
            self.count_pushed(attempt);
            self.count_readied(1);
            true
        })
    }

    /// The tasks in hand, if the queue measures.
    #[inline]
    pub(crate) fn in_hand(&self) -> Option<&InHand> {
        self.in_hand.as_deref()
    }

    fn measures(&self) -> bool {
        self.in_hand.is_some()
    }

    /// The current time, if the queue measures.
    fn time(&self) -> Moment {
        if self.measures() {
            Moment::now()
        } else {
            Moment::default()
        }
    }

    /// Since when the oldest receivable item is that, if the queue measures and there is one.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest(&self) -> Option<Moment> {
        if !self.measures() || self.is_empty() {
            return None;
        }
        with_lock(&self.items, |items| items.as_ref()?.line.oldest())
    }

    /// Removes the oldest item, and moves it to `place`. Returns the number of its next delivery, and since
    /// when it was receivable, if the queue measures.
    pub(crate) fn pop(&self, place: &mut MaybeUninit<T>) -> Option<(u32, Moment)> {
        if self.is_empty() {
            return None;
        }
        // Freed outside the lock.
        let (mut surplus, mut emptied) = (Line::default(), None);
        with_lock(&self.items, |items| {
            let line = &mut items.as_mut()?.line;
            let position = self.popped();
            let first = line.front(position)?;
            let (item, origin) = (first.item.as_ptr(), (first.attempt, first.queued_at));
            // SAFETY: it is removed from the line, and the place is elsewhere.
            unsafe { place.as_mut_ptr().copy_from_nonoverlapping(item, 1) };
            emptied = line.remove_front(position);
            line.take_surplus(&mut surplus);
            self.count_popped(1);
            Some(origin)
        })
    }

    /// Removes up to `max` of the oldest items, and appends what `make` makes of each to `out`. Returns
    /// how many. `make` runs no user code (N4).
    pub(crate) fn pop_many<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        make: impl FnMut(Requeued<T>) -> R,
    ) -> u64 {
        let want = self.len().min(max) as usize;
        if want == 0 {
            return 0;
        }
        // Before the lock is taken, because this may panic.
        out.reserve(want);
        // Freed outside the lock.
        let (mut surplus, mut emptied) = (Line::default(), Vec::new());
        with_lock(&self.items, |items| {
            let Some(Items { line, .. }) = items else {
                return 0;
            };
            let count = want.min(line.len());
            line.pop_many(self.popped(), count, out, make, &mut emptied);
            line.take_surplus(&mut surplus);
            self.count_popped(count as u64);
            count as u64
        })
    }

    /// Removes all items and ends the lane (N3).
    pub(crate) fn end(&self) -> Rest<T> {
        let (all, first) = with_lock(&self.items, |items| {
            let all = items.take().unwrap_or_default();
            let (first, delayed) = (self.popped(), all.delayed());
            if delayed > 0 {
                self.count_readied(delayed);
            }
            self.count_popped(all.line.len() as u64 + delayed);
            (all, first)
        });
        Rest {
            has_delayed: all.has_ever_delayed(),
            line: all.into_line(first),
            first,
        }
    }

    fn count_pushed(&self, attempt: u32) {
        let count = match attempt {
            1 => &self.followed_up,
            _ => &self.retried,
        };
        // SeqCst: `accounting` compares the sum of all pushes at instants.
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn count_readied(&self, count: u64) {
        // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`).
        self.readied.fetch_add(count, Ordering::SeqCst);
    }

    fn count_popped(&self, count: u64) {
        // SeqCst: as the exchange on the ring's `head`.
        self.popped.fetch_add(count, Ordering::SeqCst);
    }

    /// Whether the caller takes from the lane before the ring. Every other call returns true while
    /// the lane holds a receivable item, so neither the lane nor the ring starves.
    #[inline]
    pub(crate) fn is_next(&self) -> bool {
        // Relaxed: whatever the order of the calls, every other one returns true.
        !self.is_empty() && self.next_from.fetch_xor(1, Ordering::Relaxed) == 1
    }

    /// Whether nothing was receivable at one instant during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of receivable items. If this is zero, there was none at one instant during the call.
    #[inline]
    fn len(&self) -> u64 {
        let popped = self.popped();
        // When this is read, `popped` is at least the value above, and at most this one (N1).
        self.readied() - popped
    }

    /// How many items were pushed so far, at one instant during the call.
    #[inline]
    pub(crate) fn pushed(&self) -> u64 {
        self.followed_up() + self.retried()
    }

    /// How many items were pushed so far as new work.
    #[inline]
    pub(crate) fn followed_up(&self) -> u64 {
        // SeqCst: pairs with `count_pushed`.
        self.followed_up.load(Ordering::SeqCst)
    }

    /// How many items were pushed so far for another attempt.
    #[inline]
    pub(crate) fn retried(&self) -> u64 {
        // SeqCst: as `followed_up`.
        self.retried.load(Ordering::SeqCst)
    }

    /// How many items were receivable so far, whether they were removed or not.
    #[inline]
    pub(crate) fn readied(&self) -> u64 {
        // SeqCst: pairs with `count_readied`; a waiter decides by this whether to sleep.
        self.readied.load(Ordering::SeqCst)
    }

    /// How many items were removed so far.
    #[inline]
    pub(crate) fn popped(&self) -> u64 {
        // SeqCst: as `Ring::popped`.
        self.popped.load(Ordering::SeqCst)
    }
}

/// The largest capacity that is kept when a list becomes empty.
const KEPT: usize = 32;

#[cfg(all(test, not(loom), feature = "std", not(target_family = "wasm")))]
mod tests;
