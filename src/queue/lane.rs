//! The side lane of a task channel: items for another attempt, and new work that a worker queues.
//!
//! The lane takes no slot of the ring and has no limit of its own. So pushing never waits, and a
//! pool of workers that feeds its own queue cannot deadlock. Most channels never use the lane, and
//! then it costs a receiver three loads.
//!
//! # Invariants
//!
//! * **N1** Each pushed item is counted as new work or as a retry. These counts and `popped` change
//!   under the lock, together with the items: under the lock, their difference is the number of
//!   items. All of them only rise.
//! * **N2** Only the holder of an unresolved delivery pushes. So a pushed item is accepted before
//!   that delivery is resolved, and the channel looks quiescent at no instant in between (see
//!   `accounting`).
//! * **N3** When the last receiver is dropped, and by `close_now`, the items are taken out and the lane
//!   is ended, under the lock. So a push that races with this comes before, and its item is among those
//!   that are taken out, or after, and is refused. An ended lane accepts no item.
//! * **N4** No user code runs under the lock.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::ptr;

use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::with_lock;

/// An item in the lane, owned by whoever takes it out. (So an item can be moved out of the list, and be
/// dropped, where it is.)
pub(crate) struct Requeued<T> {
    pub(crate) item: ManuallyDrop<T>,
    /// The number of its next delivery; the first is 1.
    pub(crate) attempt: u32,
}

type Items<T> = VecDeque<Requeued<T>>;

/// See the [module](self).
pub(crate) struct Lane<T> {
    /// `None` when the lane has ended (N3).
    items: Mutex<Option<Items<T>>>,
    followed_up: AtomicU64,
    retried: AtomicU64,
    popped: AtomicU64,
    /// Odd if the next receiver takes from the lane.
    next_from: AtomicUsize,
}

impl<T> Lane<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Mutex::new(Some(VecDeque::new())),
            followed_up: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            next_from: AtomicUsize::new(0),
        }
    }

    /// Pushes an item. Returns false if the lane has ended. An item with attempt 1 is new work. The
    /// caller holds an unresolved delivery (N2).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this returns true, or if it panics. (Then
    /// memory could not be allocated, and the item is leaked.)
    pub(crate) unsafe fn push(&self, item: *const T, attempt: u32) -> bool {
        with_lock(&self.items, |items| {
            let Some(items) = items else {
                return false;
            };
            // SAFETY: the caller's guarantee.
            let item = ManuallyDrop::new(unsafe { item.read() });
            items.push_back(Requeued { item, attempt });
            let count = match attempt {
                1 => &self.followed_up,
                _ => &self.retried,
            };
            // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`).
            count.fetch_add(1, Ordering::SeqCst);
            true
        })
    }

    /// Removes the oldest item, and moves it to `place`. Returns the number of its next delivery.
    pub(crate) fn pop(&self, place: &mut MaybeUninit<T>) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let mut surplus = VecDeque::new();
        with_lock(&self.items, |items| {
            let items = items.as_mut()?;
            let Requeued { item, attempt } = items.front()?;
            let (item, attempt) = (ptr::from_ref(&**item), *attempt);
            // SAFETY: it is removed from the list, and the place is elsewhere.
            unsafe { place.as_mut_ptr().copy_from_nonoverlapping(item, 1) };
            items.drain(..1);
            take_surplus(items, &mut surplus);
            self.count_popped(1);
            Some(attempt)
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
        let mut surplus = VecDeque::new();
        with_lock(&self.items, |items| {
            let Some(items) = items else {
                return 0;
            };
            let count = want.min(items.len());
            out.extend(items.drain(..count).map(make));
            take_surplus(items, &mut surplus);
            self.count_popped(count as u64);
            count as u64
        })
    }

    /// Removes all items and ends the lane (N3).
    pub(crate) fn end(&self) -> Items<T> {
        with_lock(&self.items, |items| {
            let all = items.take().unwrap_or_default();
            self.count_popped(all.len() as u64);
            all
        })
    }

    fn count_popped(&self, count: u64) {
        // SeqCst: as the exchange on the ring's `head`.
        self.popped.fetch_add(count, Ordering::SeqCst);
    }

    /// Whether the caller takes from the lane before the ring. Every other call returns true while
    /// the lane holds an item, so neither the lane nor the ring starves.
    #[inline]
    pub(crate) fn is_next(&self) -> bool {
        // Relaxed: whatever the order of the calls, every other one returns true.
        !self.is_empty() && self.next_from.fetch_xor(1, Ordering::Relaxed) == 1
    }

    /// Whether the lane was empty at one instant during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items. If this is zero, the lane was empty at one instant during the call.
    #[inline]
    fn len(&self) -> u64 {
        let popped = self.popped();
        // `pushed` is never less than `popped`. When its first part was read, `popped` was already
        // at least the value read above, and at most this sum (N1).
        self.pushed() - popped
    }

    /// How many items were pushed so far, at one instant during the call.
    #[inline]
    pub(crate) fn pushed(&self) -> u64 {
        self.followed_up() + self.retried()
    }

    /// How many items were pushed so far as new work.
    #[inline]
    pub(crate) fn followed_up(&self) -> u64 {
        // SeqCst: pairs with `push`; a waiter decides by this whether to sleep.
        self.followed_up.load(Ordering::SeqCst)
    }

    /// How many items were pushed so far for another attempt.
    #[inline]
    pub(crate) fn retried(&self) -> u64 {
        // SeqCst: as `followed_up`.
        self.retried.load(Ordering::SeqCst)
    }

    /// How many items were removed so far.
    #[inline]
    pub(crate) fn popped(&self) -> u64 {
        // SeqCst: as `Ring::popped`.
        self.popped.load(Ordering::SeqCst)
    }
}

/// Moves the items' memory to `surplus` if the lane is empty and a burst has left much of it. The
/// caller frees it outside the lock.
fn take_surplus<T>(items: &mut Items<T>, surplus: &mut Items<T>) {
    /// The largest capacity that is kept when the lane becomes empty.
    const KEPT: usize = 32;
    if items.is_empty() && items.capacity() > KEPT {
        mem::swap(items, surplus);
    }
}
