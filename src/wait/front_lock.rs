//! A lock around a list that also publishes the front of the list, both in one word.
//!
//! A notifier reads this word after each item, so reading it must be cheap. A waiter writes it each
//! time it waits, and each locked instruction costs time. So one exchange both takes the lock and
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
//!   thread that set L.
//! * **F2** While L is not set, the word holds the front of the list.
//! * **F3** A thread that [adds](FrontLock::add) to the list sets L by a `SeqCst` exchange, and
//!   until the list is empty again, the word is not `EMPTY`. So a `SeqCst` load that reads `EMPTY`
//!   comes before that exchange in the order of all `SeqCst` operations, and what was done by a
//!   `SeqCst` exchange before that load is visible to a `SeqCst` load after `add`.
//! * **F4** No user code runs while L is set, except a user's global allocator: a list that grows,
//!   or a waiter that enters the overflow, allocates. L is usually set for some ten nanoseconds. A
//!   thread that finds L set spins. If that takes long, because the holder has lost its processor,
//!   the thread yields, and then sleeps between its tries.
//! * **F5** L is set and cleared in one [`Section`], so an interrupt handler never finds it set.

use crate::sync::Backoff;
use crate::sync::Section;
use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;

const LOCKED: u64 = 1;
/// The front of an empty list. It is higher than any sequence number.
pub(crate) const EMPTY: u64 = u64::MAX >> 1;

/// A list with a front.
pub(crate) trait HasFront {
    /// Returns the lowest number in the list, or [`EMPTY`].
    fn front(&self) -> u64;
}

/// See the [module](self).
pub(crate) struct FrontLock<T: HasFront> {
    word: AtomicU64,
    value: UnsafeCell<T>,
    /// Held while L is set, so that no thread spins: a model cannot explore a loop without a bound.
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

    /// Returns whether the list is empty, and no other thread is changing it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // SeqCst: F3; pairs with the exchange in `add`.
        self.word.load(Ordering::SeqCst) == EMPTY << 1
    }

    /// Returns the front of the list. While another thread is changing the list, this is the front
    /// before the change.
    #[inline]
    pub(crate) fn front(&self) -> u64 {
        // Acquire: pairs with the Release in `Guard::drop`.
        self.word.load(Ordering::Acquire) >> 1
    }

    /// Runs `f` with exclusive access to the list.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _section = Section::enter();
        #[cfg(loom)]
        let _in_turn = self.in_turn.lock();
        // In a model, `in_turn` is the lock. L stays clear, and other threads still read the front
        // before the change.
        #[cfg(not(loom))]
        self.lock(Ordering::Acquire);
        self.run_locked(f)
    }

    /// Does the same as [`with`](Self::with), for an `f` that adds to the list (F3).
    #[inline]
    pub(crate) fn add<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _section = Section::enter();
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

    /// Sets L. `order` is at least Acquire, which pairs with the Release in `Guard::drop`.
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

/// Releases the lock when it is dropped, even during a panic.
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

#[cfg(all(test, feature = "critical-section", not(feature = "std")))]
mod tests {
    use core::sync::atomic::AtomicBool;
    use std::thread;

    use super::FrontLock;
    use super::HasFront;
    use super::LOCKED;
    use super::Ordering;

    struct Front(u64);

    impl HasFront for Front {
        fn front(&self) -> u64 {
            self.0
        }
    }

    /// An interrupt handler that found it locked would spin forever.
    #[test]
    fn lock_is_never_held_in_critical_section() {
        let lock = &FrontLock::new(Front(0));
        let is_over = &AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..1_000_000 {
                    lock.with(|front| front.0 += 1);
                }
                for _ in 0..1_000_000 {
                    lock.add(|front| front.0 += 1);
                }
                is_over.store(true, Ordering::Relaxed);
            });
            while !is_over.load(Ordering::Relaxed) {
                let word = critical_section::with(|_| lock.word.load(Ordering::Relaxed));
                assert_eq!(word & LOCKED, 0);
            }
        });
    }
}
