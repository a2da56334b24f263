//! Locks, and sections of code that interrupt handlers do not interrupt.
//!
//! With `std`, a thread that finds a lock held sleeps. Without it, a thread cannot sleep, so it spins
//! until the lock is free. What is done under a lock takes a few instructions, but its holder may have
//! been interrupted, by an interrupt handler or by a thread of a higher priority on the same
//! processor. If that one then spins, both stand still forever. The same is true of a claimed slot of
//! the queue.
//!
//! With the feature `critical-section`, this cannot happen: all of it is done in a [`Section`].
//!
//! # Invariants
//!
//! * **K1** A spin lock gives its value to one thread at a time: the one whose exchange has set
//!   `is_locked`, until the store that clears it.
//! * **K2** Sections are left in the reverse order of entry, by the thread that entered them: a
//!   section is a local variable.

#[cfg(not(any(feature = "std", loom)))]
pub(crate) use self::spin::Mutex;
#[cfg(loom)]
pub(crate) use loom::sync::Mutex;
#[cfg(all(feature = "std", not(loom)))]
pub(crate) use std::sync::Mutex;

/// Runs `f` on the value in `mutex`. No lock of this crate is held while user code runs, so a
/// poisoned lock only means that some thread panicked elsewhere.
#[cfg(any(feature = "std", loom))]
#[inline]
pub(crate) fn with_lock<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    let mut guard = mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    f(&mut guard)
}

/// Runs `f` on the value in `mutex`.
#[cfg(not(any(feature = "std", loom)))]
#[inline]
pub(crate) fn with_lock<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    let _section = Section::enter();
    mutex.with(f)
}

/// While it exists, no interrupt handler runs on this processor, and no other thread is in a section.
/// Without the feature `critical-section`, and with `std`, it has no effect.
#[must_use = "the section ends when this is dropped"]
pub(crate) struct Section(
    #[cfg(all(feature = "critical-section", not(feature = "std")))] critical_section::RestoreState,
);

#[cfg(all(feature = "critical-section", not(feature = "std")))]
impl Section {
    #[inline]
    pub(crate) fn enter() -> Self {
        // SAFETY: K2: dropping it releases the critical section once, and in the right order.
        Self(unsafe { critical_section::acquire() })
    }
}

#[cfg(all(feature = "critical-section", not(feature = "std")))]
impl Drop for Section {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: K2; and `enter` has acquired it.
        unsafe { critical_section::release(self.0) };
    }
}

#[cfg(not(all(feature = "critical-section", not(feature = "std"))))]
impl Section {
    #[inline]
    pub(crate) fn enter() -> Self {
        Self()
    }
}

#[cfg(not(any(feature = "std", loom)))]
mod spin {
    use core::cell::UnsafeCell;
    use core::sync::atomic::AtomicBool;
    use core::sync::atomic::Ordering;

    use super::super::Backoff;

    /// A lock for which threads spin.
    pub(crate) struct Mutex<T> {
        is_locked: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: K1: the value is only handed from thread to thread.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self {
                is_locked: AtomicBool::new(false),
                value: UnsafeCell::new(value),
            }
        }

        #[inline]
        pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            let mut backoff = Backoff::default();
            // Acquire: pairs with the Release in `Unlock::drop`.
            while self.is_locked.swap(true, Ordering::Acquire) {
                backoff.snooze();
            }
            let unlock = Unlock(&self.is_locked);
            // SAFETY: K1.
            let result = f(unsafe { &mut *self.value.get() });
            drop(unlock);
            result
        }
    }

    /// Unlocks when it is dropped, even during a panic.
    struct Unlock<'a>(&'a AtomicBool);

    impl Drop for Unlock<'_> {
        #[inline]
        fn drop(&mut self) {
            // Release: publishes what was done to the value.
            self.0.store(false, Ordering::Release);
        }
    }
}
