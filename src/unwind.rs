//! Running user code, which may panic.
//!
//! Wakers, destructors and conversions of errors are user code. If one of them panics, the crate
//! does this:
//!
//! * All other user code that the call must run still runs. Otherwise a bug in one task would keep
//!   other tasks waiting forever.
//! * The first panic propagates to the caller. Later panics of the same call are swallowed, so no
//!   panic of user code aborts the process by itself.
//! * While the thread is already unwinding, a panic that leaves a destructor aborts the process. So
//!   the destructors of this crate swallow all panics then.
//!
//! Without `std`, a panic cannot be caught, and nothing tells whether the thread is unwinding. So the
//! first of these points holds for one panic in a call: destructors run what is left. A second panic
//! aborts the process, as one does that a destructor of this crate lets through during unwinding.
//! Where a panic aborts the process or halts the machine, as it usually does without `std`, there is
//! nothing to uphold.
//!
//! The pools of `run` can contain the panics of single items instead: [`contain`].
//!
//! [`run_all`] does this for a series of calls. A value that is held while other user code runs, or
//! that is dropped together with other values, belongs in a [`Guarded`].

use alloc::collections::VecDeque;
use core::cell::RefCell;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::mem::forget;
use core::mem::needs_drop;
use core::ops::Deref;
use core::ops::DerefMut;

#[cfg(feature = "std")]
pub(crate) use std::process::abort;

/// Whether the thread is unwinding. Without `std`, the answer is always no.
#[inline]
pub(crate) fn is_unwinding() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    false
}

/// Aborts the process: a panic does that while the thread unwinds.
#[cfg(not(feature = "std"))]
#[cold]
pub(crate) fn abort() -> ! {
    let _second = OnDrop(|| panic!("abort"));
    panic!("a count has overflowed");
}

/// Calls `each` on everything that `next` returns, even if some of the calls panic. The first panic
/// propagates after the last call, unless the thread is already unwinding.
#[cfg(feature = "std")]
pub(crate) fn run_all<I>(mut next: impl FnMut() -> Option<I>, mut each: impl FnMut(I)) {
    let mut first_panic = None;
    while let Some(item) = next() {
        match catch(|| each(item)) {
            Err(panic) if first_panic.is_none() && !is_unwinding() => {
                first_panic = Some(panic);
            }
            // The destructor of the panic is user code too, and could end the series.
            Err(panic) => forget(panic),
            Ok(()) => {}
        }
    }
    if let Some(panic) = first_panic {
        std::panic::resume_unwind(panic);
    }
}

/// Calls `each` on everything that `next` returns, even if one of the calls panics. The panic then
/// propagates after the last call. `next` may be called again after it has returned `None`.
#[cfg(not(feature = "std"))]
pub(crate) fn run_all<I>(next: impl FnMut() -> Option<I>, each: impl FnMut(I)) {
    Series { next, each }.run();
}

/// The calls of [`run_all`]. If one of them panics, dropping this runs those that are left.
#[cfg(not(feature = "std"))]
struct Series<N: FnMut() -> Option<I>, E: FnMut(I), I> {
    next: N,
    each: E,
}

#[cfg(not(feature = "std"))]
impl<N: FnMut() -> Option<I>, E: FnMut(I), I> Series<N, E, I> {
    fn run(&mut self) {
        while let Some(item) = (self.next)() {
            (self.each)(item);
        }
    }
}

#[cfg(not(feature = "std"))]
impl<N: FnMut() -> Option<I>, E: FnMut(I), I> Drop for Series<N, E, I> {
    fn drop(&mut self) {
        self.run();
    }
}

/// Drops all `items`, each where it is, even if some of the destructors panic. See [`run_all`].
pub(crate) fn drop_all<T>(items: VecDeque<T>) {
    let items = RefCell::new(items);
    let next = || (!items.borrow().is_empty()).then_some(());
    run_all(next, |()| drop(items.borrow_mut().drain(..1)));
}

#[cfg(feature = "std")]
fn catch<R>(run: impl FnOnce() -> R) -> std::thread::Result<R> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(run))
}

/// Calls `run`. Returns `None` if it panics.
///
/// What `run` owns is dropped while the thread unwinds.
#[cfg(all(feature = "std", any(feature = "futures", not(target_family = "wasm"))))]
pub(crate) fn contain<R>(run: impl FnOnce() -> R) -> Option<R> {
    let panic = match catch(run) {
        Ok(result) => return Some(result),
        Err(panic) => panic,
    };
    // The destructor of the panic is user code, too. A second panic is forgotten, as in `run_all`.
    if let Err(second) = catch(|| drop(panic)) {
        forget(second);
    }
    None
}

/// Calls `run`. A panic propagates.
#[cfg(all(not(feature = "std"), feature = "futures"))]
pub(crate) fn contain<R>(run: impl FnOnce() -> R) -> Option<R> {
    Some(run())
}

/// Runs a step when it is dropped, and so even if an earlier step panics.
///
/// Drop it explicitly before the function that holds it returns. If the step panics while the function
/// returns, the compiler leaks a return value that already exists (rust-lang/rust#47949), and a leaked
/// task never ends.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    #[inline]
    fn drop(&mut self) {
        self.0();
    }
}

/// Calls `run`. A panic propagates, unless the thread is already unwinding.
#[cfg(feature = "std")]
pub(crate) fn run_one(run: impl FnOnce()) {
    if !is_unwinding() {
        run();
    } else if let Err(panic) = catch(run) {
        // Forgotten as in `run_all`.
        forget(panic);
    }
}

/// Calls `run`. A panic propagates.
#[cfg(not(feature = "std"))]
pub(crate) fn run_one(run: impl FnOnce()) {
    run();
}

/// Holds `value` while `run` is called, and returns it. Drops it if `run` panics.
///
/// It does not catch the panic, so it costs nothing as long as nothing panics.
#[inline]
pub(crate) fn protect<T>(value: T, run: impl FnOnce()) -> T {
    let value = Guarded::new(value);
    run();
    value.into_inner()
}

/// Calls `run`, and drops the value in `place` if that panics. Otherwise the value stays there.
///
/// Like [`protect`], but a large value is not moved. A small one is held in a copy meanwhile, so that
/// nothing needs the address of `place`, and the value can stay in registers if `run` is not called
/// usually.
///
/// # Safety
///
/// The place holds a value. If this panics, the caller does not use the value any more.
#[inline]
pub(crate) unsafe fn protect_in_place<T>(place: &mut MaybeUninit<T>, run: impl FnOnce()) {
    if const { size_of::<T>() <= 64 } {
        // SAFETY: the caller's guarantee.
        unsafe { protect_small(place, run) }
    } else {
        // SAFETY: the caller's guarantee.
        unsafe { protect_large(place, run) }
    }
}

/// # Safety
///
/// As [`protect_in_place`].
#[inline]
unsafe fn protect_small<T>(place: &mut MaybeUninit<T>, run: impl FnOnce()) {
    // SAFETY: the caller's guarantee. It is written back, unless `run` panics.
    let value = unsafe { place.assume_init_read() };
    place.write(protect(value, run));
}

/// # Safety
///
/// As [`protect_in_place`].
#[inline]
unsafe fn protect_large<T>(place: &mut MaybeUninit<T>, run: impl FnOnce()) {
    let drop_value = OnDrop(|| {
        if needs_drop::<T>() {
            // SAFETY: the caller's guarantee, and `run` has panicked.
            run_one(|| unsafe { place.assume_init_drop() });
        }
    });
    run();
    forget(drop_value);
}

/// Owns a value whose destructor is user code. If the destructor panics, the panic propagates,
/// unless the thread is already unwinding.
pub(crate) struct Guarded<T>(ManuallyDrop<T>);

impl<T> Guarded<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    #[inline]
    pub(crate) fn into_inner(self) -> T {
        let mut guarded = ManuallyDrop::new(self);
        // SAFETY: `guarded` is neither used nor dropped after this.
        unsafe { ManuallyDrop::take(&mut guarded.0) }
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Guarded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Guarded<T> {
    #[inline]
    fn drop(&mut self) {
        if needs_drop::<T>() {
            // SAFETY: the value is not used after this, and `into_inner` does not run this
            // destructor.
            run_one(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        }
    }
}
