//! A lock around a list that also tells the front of the list, in one word.
//!
//! A notifier reads this word after each item, so that must be cheap. A waiter writes it each time
//! it waits, and each locked instruction costs time. So one exchange both takes the lock and
//! announces the waiter, and one plain store both releases the lock and publishes the new front.
//!
//! ```text
//!      63 ...                       1   0
//! word | front of the list, or EMPTY | L |     L: locked
//! ```
//!
//! # Invariants
//!
//! * **F1** Between the exchange that sets L and the store that clears it, the value belongs to the
//!   thread that set it.
//! * **F2** While L is not set, the word holds the front of the list.
//! * **F3** A thread that [adds](FrontLock::add) to the list sets L by a `SeqCst` exchange, and
//!   until the list is empty again the word is not `EMPTY`. So a `SeqCst` load that finds it
//!   `EMPTY` comes before that exchange in the order of all `SeqCst` operations, and what was done
//!   by a `SeqCst` exchange before that load is visible to a `SeqCst` load after `add`.
//! * **F4** No user code runs while L is set, but a global allocator may: a list that grows, or a
//!   waiter that joins the crowd, allocates. L is mostly set for some ten nanoseconds. A thread
//!   that finds it set spins; if that takes long, for the holder has lost its processor, it yields
//!   and then sleeps in turns.

use crate::sync::Backoff;
use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;

const LOCKED: u64 = 1;
/// The front of an empty list. No ticket is as high.
pub(crate) const EMPTY: u64 = u64::MAX >> 1;

/// A list with a front.
pub(crate) trait HasFront {
    /// The lowest number in the list, or [`EMPTY`].
    fn front(&self) -> u64;
}

/// See the [module](self).
pub(crate) struct FrontLock<T: HasFront> {
    word: AtomicU64,
    value: UnsafeCell<T>,
    /// Held while L is set, instead of spinning: a model cannot explore a loop of any length.
    #[cfg(loom)]
    in_turn: crate::sync::Mutex<()>,
}

// SAFETY: F1 gives the value to one thread at a time, and the word orders their accesses.
unsafe impl<T: HasFront + Send> Sync for FrontLock<T> {}

impl<T: HasFront> FrontLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            word: AtomicU64::new(value.front() << 1),
            value: UnsafeCell::new(value),
            #[cfg(loom)]
            in_turn: crate::sync::Mutex::new(()),
        }
    }

    /// Whether the list is empty: no other thread is changing it, and nothing is in it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // SeqCst: F3; pairs with the exchange in `add`.
        self.word.load(Ordering::SeqCst) == EMPTY << 1
    }

    /// The front of the list. Of a list that another thread is changing, that of before.
    #[inline]
    pub(crate) fn front(&self) -> u64 {
        // Acquire: pairs with the Release in `Guard::drop`.
        self.word.load(Ordering::Acquire) >> 1
    }

    /// Runs `f` on the list, which it has to itself.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(loom)]
        let _in_turn = self.in_turn.lock();
        // A model has the lock by now, and others find `EMPTY` or not as before.
        #[cfg(not(loom))]
        self.lock(Ordering::Acquire);
        self.run_locked(f)
    }

    /// [`with`](Self::with), where `f` adds to the list (F3).
    #[inline]
    pub(crate) fn add<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(loom)]
        let _in_turn = self.in_turn.lock();
        self.lock(Ordering::SeqCst);
        self.run_locked(f)
    }

    #[inline]
    fn run_locked<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let guard = Guard(self);
        let result = self.value.with_mut(|value| {
            // SAFETY: F1.
            f(unsafe { &mut *value })
        });
        drop(guard);
        result
    }

    /// Sets L. `order` is Acquire at least: pairs with the Release in `Guard::drop`.
    #[inline]
    fn lock(&self, order: Ordering) {
        if self.word.fetch_or(LOCKED, order) & LOCKED != 0 {
            self.lock_contended(order);
        }
    }

    #[cold]
    fn lock_contended(&self, order: Ordering) {
        let mut backoff = Backoff::default();
        loop {
            backoff.snooze();
            // Relaxed: the exchange follows.
            let is_locked = self.word.load(Ordering::Relaxed) & LOCKED != 0;
            if !is_locked && self.word.fetch_or(LOCKED, order) & LOCKED == 0 {
                return;
            }
        }
    }
}

/// Releases the lock when dropped, whatever panics meanwhile.
struct Guard<'a, T: HasFront>(&'a FrontLock<T>);

impl<T: HasFront> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let front = self.0.value.with_mut(|value| {
            // SAFETY: F1: the lock is still held.
            unsafe { &*value }.front()
        });
        // Release: publishes what was done to the list.
        self.0.word.store(front << 1, Ordering::Release);
    }
}
