//! The standard library's synchronisation, or loom's under `--cfg loom`.
//!
//! Every atomic, lock and cell of the crate comes from here, and nothing else in `src` names loom
//! (but `#[cfg(loom)]` test modules). The `Arc` behind a [`Waker`] stays the standard library's, for no
//! other will do there.
//!
//! [`Waker`]: std::task::Waker

#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(not(loom))]
pub(crate) use std::hint::spin_loop;

#[cfg(loom)]
pub(crate) use loom::sync::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::Mutex;

use std::ops::Deref;
use std::sync::PoisonError;

/// Atomics and fences.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, fence};
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, fence};

    pub(crate) use std::sync::atomic::Ordering;
}

/// Stands between a `SeqCst` access of one atomic and a later `SeqCst` load of another, on the
/// fast side of a store-load race.
///
/// The language orders the two, as all `SeqCst` accesses, so there is nothing to do. Loom orders them only
/// as acquire and release, and would report races that cannot happen; it does model the fence. To
/// be called right after the first access, so that loom orders no more than the language does: what
/// is stored between here and the later load, it may see late.
#[inline(always)]
pub(crate) fn seqcst_accesses_are_ordered() {
    #[cfg(loom)]
    atomic::fence(atomic::Ordering::SeqCst);
}

/// One step of waiting for another thread that is in the middle of a few instructions: spins at
/// first, then gives the processor away, for that thread may have lost it.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    const SPINS: u32 = 6;

    pub(crate) fn snooze(&mut self) {
        if cfg!(not(loom)) && self.0 < Self::SPINS {
            for _ in 0..1 << self.0 {
                spin_loop();
            }
            self.0 += 1;
        } else {
            #[cfg(loom)]
            loom::thread::yield_now();
            #[cfg(not(loom))]
            std::thread::yield_now();
        }
    }
}

/// Runs `f` on what `mutex` guards. No lock of this crate is held while user code runs, so a
/// poisoned one only says that some thread panicked elsewhere.
#[inline]
pub(crate) fn with_lock<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    let mut guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    f(&mut guard)
}

/// A cell whose accesses loom checks for races.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(
    #[cfg(loom)] loom::cell::UnsafeCell<T>,
    #[cfg(not(loom))] std::cell::UnsafeCell<T>,
);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        #[cfg(loom)]
        return Self(loom::cell::UnsafeCell::new(value));
        #[cfg(not(loom))]
        return Self(std::cell::UnsafeCell::new(value));
    }

    /// Hands a pointer to the value to `f`, which has the value to itself meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(loom)]
        return self.0.with_mut(f);
        #[cfg(not(loom))]
        return f(self.0.get());
    }
}

/// Keeps a value on cache lines of its own. Two lines, since x86-64 fetches them in pairs and
/// several other processors have lines of 128 bytes.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(T);

impl<T> CachePadded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A value that is only reached through `&mut`, and so may be shared whatever it is.
pub(crate) struct Exclusive<T>(T);

// SAFETY: nothing can be done with a `&Exclusive<T>`.
unsafe impl<T> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    #[inline]
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}
