//! Running user code, which may panic.
//!
//! Wakers, destructors and conversions of errors belong to users. What the crate does when one of
//! them panics:
//!
//! * All other user code that the call owes still runs, or a stranger's bug strands others.
//! * The first panic goes on to the caller. Later panics of the same call are swallowed, so no
//!   panic of user code aborts the process by itself.
//! * While the thread is unwinding already, a panic that leaves a destructor aborts the process. So
//!   our destructors swallow all of them then.
//!
//! [`run_all`] does so for a series. A value that is held while other user code runs, or that is
//! dropped beside other values, belongs in a [`Guarded`].

use std::mem::ManuallyDrop;
use std::mem::forget;
use std::mem::needs_drop;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;

/// Calls `each` on everything that `next` gives, whatever panics. The first panic goes on when
/// the series is done; not while the thread is unwinding already.
pub(crate) fn run_all<I>(mut next: impl FnMut() -> Option<I>, mut each: impl FnMut(I)) {
    let mut first_panic = None;
    while let Some(item) = next() {
        match catch_unwind(AssertUnwindSafe(|| each(item))) {
            Err(panic) if first_panic.is_none() && !thread::panicking() => {
                first_panic = Some(panic);
            }
            // Its destructor is user code too, and might end the series.
            Err(panic) => forget(panic),
            Ok(()) => {}
        }
    }
    if let Some(panic) = first_panic {
        resume_unwind(panic);
    }
}

/// Runs a step when dropped, so also when an earlier one panics.
///
/// To be dropped by name, before its function returns: if the step panics, the compiler leaks a
/// return value that is made already (rust-lang/rust#47949), and a leaked task is never ended.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    #[inline]
    fn drop(&mut self) {
        self.0();
    }
}

/// Calls `run`. Its panic goes on, unless the thread is unwinding already.
pub(crate) fn run_one(run: impl FnOnce()) {
    if !thread::panicking() {
        run();
    } else if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        // As above.
        forget(panic);
    }
}

/// Holds `value` while `run` is called, and gives it back. Drops it if `run` panics.
///
/// It catches nothing, so it costs nothing as long as nothing panics.
#[inline]
pub(crate) fn protect<T>(value: T, run: impl FnOnce()) -> T {
    let value = Guarded::new(value);
    run();
    value.into_inner()
}

/// Owns a value whose destructor is user code. If that panics, the panic goes on; not while the
/// thread is unwinding already.
pub(crate) struct Guarded<T>(ManuallyDrop<T>);

impl<T> Guarded<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    #[inline]
    pub(crate) fn into_inner(self) -> T {
        let mut guarded = ManuallyDrop::new(self);
        // SAFETY: it is neither used nor dropped after this.
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
            // SAFETY: it is not used after this, and `into_inner` does not come here.
            run_one(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        }
    }
}
