//! Synchronisation: from the standard library, from core without the feature `std`, or from loom under
//! `--cfg loom`.
//!
//! All atomics, locks and cells of the crate come from here, except the lock of `timer`, which no model
//! uses. No other module in `src` uses the loom
//! crate, except `#[cfg(loom)]` test modules. The `Arc` behind a [`Waker`] is always that of
//! `alloc`, because [`Waker`] accepts no other.
//!
//! [`Waker`]: core::task::Waker

use core::ops::Deref;

use self::atomic::Ordering;
pub(crate) use self::lock::Mutex;
pub(crate) use self::lock::Section;
pub(crate) use self::lock::with_lock;

// locks, and sections without interrupts
mod lock;
// a 64-bit atomic made of such sections
#[cfg(all(feature = "critical-section", not(feature = "std")))]
#[cfg(any(test, not(target_has_atomic = "64")))]
mod in_section;

/// Atomics and fences.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use super::freed_visibly::{AtomicU64, AtomicUsize};
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicPtr, fence};

    #[cfg(all(not(loom), target_has_atomic = "64"))]
    pub(crate) use core::sync::atomic::AtomicU64;
    #[cfg(not(loom))]
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicUsize, fence};

    // Many 32-bit processors have no 64-bit atomics.
    #[cfg(all(not(loom), not(target_has_atomic = "64")))]
    #[cfg(all(feature = "critical-section", not(feature = "std")))]
    pub(crate) use super::in_section::AtomicU64;
    #[cfg(all(not(loom), not(target_has_atomic = "64")))]
    #[cfg(not(all(feature = "critical-section", not(feature = "std"))))]
    pub(crate) use portable_atomic::AtomicU64;

    pub(crate) use core::sync::atomic::Ordering;
}

/// Loom's atomics, with deallocation as an access. Loom itself does not treat it as one: it would
/// neither explore a deallocation before the accesses of other threads, nor check that it comes
/// after them.
#[cfg(loom)]
mod freed_visibly {
    use core::sync::atomic::Ordering;
    use std::env;
    use std::sync::LazyLock;
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

    /// Loom treats a `SeqCst` access as acquire and release, but it does model a `SeqCst` fence.
    /// There are two ways to order `SeqCst` accesses by fences, and each orders more than the
    /// language does:
    ///
    /// * A fence before each access. It hides a missing Acquire or Release before the access.
    /// * With `LOOM_FENCES=after`, a fence after each access that writes. It hides a later load that
    ///   should be `SeqCst` and is not.
    fn fences_after() -> bool {
        static AFTER: LazyLock<bool> =
            LazyLock::new(|| env::var_os("LOOM_FENCES").is_some_and(|value| value == "after"));
        *AFTER
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
                        let is_seqcst = [$($arg.is_seqcst()),*].contains(&true);
                        let writes = stringify!($method) != "load";
                        if is_seqcst && !fences_after() {
                            loom::sync::atomic::fence(Ordering::SeqCst);
                        }
                        let result = self.0.$method($($arg),*);
                        if is_seqcst && writes && fences_after() {
                            loom::sync::atomic::fence(Ordering::SeqCst);
                        }
                        result
                    }
                )*
            }

            impl Drop for $Atomic {
                fn drop(&mut self) {
                    // A model that has failed no longer exists.
                    if !panicking() {
                        // A step like any other write, so loom explores it before and after the
                        // steps of other threads.
                        self.0.fetch_add(0, Ordering::Relaxed);
                        // An access that all other accesses must happen before.
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

/// Waits for another thread that is in the middle of a few instructions: it spins first, then
/// yields the processor, then sleeps.
///
/// If the other thread has lost its processor, spinning may keep it from getting one back. Yielding
/// does so too, if this thread has a higher priority. The sleep limits how long that lasts. Without
/// `std`, there is no thread to yield to or to put to sleep, and it spins for longer instead.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// Spins of 4, 8, 16, 32 and 64 pauses.
    const SPINS: u32 = 5;
    const YIELDS: u32 = 2;
    #[cfg(all(feature = "std", not(loom)))]
    const SLEEP: core::time::Duration = core::time::Duration::from_micros(50);

    /// Returns whether it has slept. A poll should then let other futures run.
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
        #[cfg(all(not(feature = "std"), not(loom)))]
        pause(4 << self.0.min(Self::SPINS + Self::YIELDS));
        #[cfg(all(feature = "std", not(loom)))]
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

/// Waits, after a failed exchange, until fewer threads contend for the same word: 1, 2, 4 … 64
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

/// Pauses the processor the given number of times.
pub(crate) fn pause(times: u32) {
    // Loom's `spin_loop` is a step of the model, and has no use here.
    #[cfg(not(loom))]
    for _ in 0..times {
        core::hint::spin_loop();
    }
    #[cfg(loom)]
    let _ = times;
}

/// Returns the time since some fixed moment, for heuristics. The value wraps around if it does not
/// fit, and does not advance if there is no clock, as in a model.
pub(crate) fn nanoseconds() -> usize {
    #[cfg(all(
        feature = "std",
        not(any(loom, all(target_family = "wasm", target_os = "unknown")))
    ))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let start = START.get_or_init(std::time::Instant::now);
        start.elapsed().as_nanos() as usize
    }
    #[cfg(not(all(
        feature = "std",
        not(any(loom, all(target_family = "wasm", target_os = "unknown")))
    )))]
    0
}

/// A number that several threads read and write, and on which no correctness depends. It orders
/// nothing, and loom does not explore its accesses.
pub(crate) struct Hint(core::sync::atomic::AtomicUsize);

impl Hint {
    pub(crate) fn new(value: usize) -> Self {
        Self(core::sync::atomic::AtomicUsize::new(value))
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

/// A cell whose accesses loom checks for races.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(
    #[cfg(loom)] loom::cell::UnsafeCell<T>,
    #[cfg(not(loom))] core::cell::UnsafeCell<T>,
);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        #[cfg(loom)]
        return Self(loom::cell::UnsafeCell::new(value));
        #[cfg(not(loom))]
        return Self(core::cell::UnsafeCell::new(value));
    }

    /// Calls `f` with a pointer to the value. `f` has exclusive access to the value until it
    /// returns.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(loom)]
        return self.0.with_mut(f);
        #[cfg(not(loom))]
        return f(self.0.get());
    }
}

/// Keeps a value on its own cache lines. It takes two lines, because x86-64 fetches them in pairs,
/// and several other processors have lines of 128 bytes.
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

/// A value that is only reached through `&mut`. It can therefore be shared between threads,
/// whatever its type is.
#[repr(transparent)]
pub(crate) struct Exclusive<T>(T);

// SAFETY: a `&Exclusive<T>` gives no access to the value.
unsafe impl<T> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *const T {
        &raw const self.0
    }

    #[inline]
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}
