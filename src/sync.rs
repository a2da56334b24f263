//! The standard library's synchronisation, or loom's under `--cfg loom`.
//!
//! Every atomic, lock and cell of the crate comes from here, and nothing else in `src` names loom
//! (but `#[cfg(loom)]` test modules). The `Arc` behind a [`Waker`] stays the standard library's,
//! for no other will do there.
//!
//! [`Waker`]: std::task::Waker

#[cfg(loom)]
pub(crate) use loom::sync::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::Mutex;

use std::ops::Deref;
use std::sync::PoisonError;

use self::atomic::Ordering;

/// Atomics and fences.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use super::freed_visibly::{AtomicU64, AtomicUsize};
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::fence;
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, fence};

    pub(crate) use std::sync::atomic::Ordering;
}

/// Loom's atomics, of which freeing is an access too. To loom it is none, so it would not be tried
/// before the accesses of other threads, nor be checked to come after them.
#[cfg(loom)]
mod freed_visibly {
    use std::sync::atomic::Ordering;
    use std::thread::panicking;

    /// An argument of an access.
    trait Argument: Copy {
        fn is_seqcst(self) -> bool {
            false
        }
    }

    impl Argument for u64 {}
    impl Argument for usize {}

    impl Argument for Ordering {
        fn is_seqcst(self) -> bool {
            self == Ordering::SeqCst
        }
    }

    macro_rules! freed_visibly {
        ($Atomic:ident($Int:ty): $(
            fn $method:ident($($arg:ident: $Arg:ty),*) $(-> $Output:ty)?;
        )*) => {
            #[derive(Debug)]
            pub(crate) struct $Atomic(loom::sync::atomic::$Atomic);

            impl $Atomic {
                #[track_caller]
                pub(crate) fn new(value: $Int) -> Self {
                    Self(loom::sync::atomic::$Atomic::new(value))
                }

                $(
                    #[track_caller]
                    pub(crate) fn $method(&self, $($arg: $Arg),*) $(-> $Output)? {
                        // Loom takes a `SeqCst` access for acquire and release, but models the
                        // fence. One before each, and none after it, orders as much as the language
                        // does: what is not `SeqCst` may still be late.
                        if [$($arg.is_seqcst()),*].contains(&true) {
                            loom::sync::atomic::fence(Ordering::SeqCst);
                        }
                        self.0.$method($($arg),*)
                    }
                )*
            }

            impl Drop for $Atomic {
                fn drop(&mut self) {
                    // A model that has failed is not there any more.
                    if !panicking() {
                        // A step like any other write, and so tried before and after those of
                        // others.
                        self.0.fetch_add(0, Ordering::Relaxed);
                        // And one that all others must happen before.
                        self.0.with_mut(|_| ());
                    }
                }
            }
        };
    }

    freed_visibly! { AtomicU64(u64):
        fn load(order: Ordering) -> u64;
        fn store(value: u64, order: Ordering);
        fn fetch_add(value: u64, order: Ordering) -> u64;
        fn fetch_and(bits: u64, order: Ordering) -> u64;
        fn fetch_or(bits: u64, order: Ordering) -> u64;
        fn compare_exchange_weak(
            current: u64, new: u64, success: Ordering, failure: Ordering
        ) -> Result<u64, u64>;
    }

    freed_visibly! { AtomicUsize(usize):
        fn load(order: Ordering) -> usize;
        fn fetch_add(value: usize, order: Ordering) -> usize;
        fn fetch_sub(value: usize, order: Ordering) -> usize;
        fn fetch_or(bits: usize, order: Ordering) -> usize;
        fn fetch_xor(bits: usize, order: Ordering) -> usize;
        fn compare_exchange_weak(
            current: usize, new: usize, success: Ordering, failure: Ordering
        ) -> Result<usize, usize>;
    }
}

/// Waiting for another thread that is in the middle of a few instructions: spins at first, then
/// yields the processor, then sleeps.
///
/// If the other thread has lost its processor, spinning keeps it from getting one back; and if this
/// thread has a higher priority, so does yielding. The sleep bounds that.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// Of 4, 8, 16, 32 and 64 pauses.
    const SPINS: u32 = 5;
    const YIELDS: u32 = 2;
    #[cfg(not(loom))]
    const SLEEP: std::time::Duration = std::time::Duration::from_micros(50);

    /// Whether it has slept, so that a poll should let other futures run.
    pub(crate) fn has_slept(&self) -> bool {
        let awake = if cfg!(loom) {
            0
        } else {
            Self::SPINS + Self::YIELDS
        };
        self.0 > awake
    }

    #[cold]
    pub(crate) fn snooze(&mut self) {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(not(loom))]
        if self.0 < Self::SPINS {
            pause(4 << self.0);
        } else if self.0 < Self::SPINS + Self::YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Self::SLEEP);
        }
        self.0 = self.0.saturating_add(1);
    }
}

/// Waiting for fewer threads to contend for the same word, after an exchange was lost: 1, 2, 4 … 64
/// pauses. While one thread pauses, others make progress.
#[derive(Default)]
pub(crate) struct Contention(u32);

impl Contention {
    const MOST: u32 = 6;

    #[cold]
    pub(crate) fn lost(&mut self) {
        pause(1 << self.0.min(Self::MOST));
        self.0 = self.0.saturating_add(1);
    }
}

/// Pauses the processor so many times.
pub(crate) fn pause(times: u32) {
    // Loom's is a step of its model, which brings nothing.
    #[cfg(not(loom))]
    for _ in 0..times {
        std::hint::spin_loop();
    }
    #[cfg(loom)]
    let _ = times;
}

/// The time since some fixed moment, for heuristics: it wraps around where it does not fit, and
/// stands still where there is no clock, as in a model.
pub(crate) fn nanoseconds() -> usize {
    #[cfg(not(any(loom, all(target_family = "wasm", target_os = "unknown"))))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let start = START.get_or_init(std::time::Instant::now);
        start.elapsed().as_nanos() as usize
    }
    #[cfg(any(loom, all(target_family = "wasm", target_os = "unknown")))]
    0
}

/// A number that several threads read and write and that nothing depends on: what has been learnt,
/// or is asked for. It orders nothing, and loom does not explore its accesses.
pub(crate) struct Hint(std::sync::atomic::AtomicUsize);

impl Hint {
    pub(crate) fn new(value: usize) -> Self {
        Self(std::sync::atomic::AtomicUsize::new(value))
    }

    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
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
