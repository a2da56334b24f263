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
//! [`run_all`] does this for a series of calls. A value that is held while other user code runs, or
//! that is dropped together with other values, belongs in a [`Guarded`].

use core::mem::ManuallyDrop;
use core::mem::forget;
use core::mem::needs_drop;
use core::ops::Deref;
use core::ops::DerefMut;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;

/// Calls `each` on everything that `next` returns, even if some of the calls panic. The first panic
/// propagates after the last call, unless the thread is already unwinding.
pub(crate) fn run_all<I>(mut next: impl FnMut() -> Option<I>, mut each: impl FnMut(I)) {
    let mut first_panic = None;
    while let Some(item) = next() {
        match catch_unwind(AssertUnwindSafe(|| each(item))) {
            Err(panic) if first_panic.is_none() && !thread::panicking() => {
                first_panic = Some(panic);
            }
            // The destructor of the panic is user code too, and could end the series.
            Err(panic) => forget(panic),
            Ok(()) => {}
        }
    }
    if let Some(panic) = first_panic {
        resume_unwind(panic);
    }
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
pub(crate) fn run_one(run: impl FnOnce()) {
    if !thread::panicking() {
        run();
    } else if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        // Forgotten as in `run_all`.
        forget(panic);
    }
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
