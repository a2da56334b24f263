//! Running user code of several parties, of which one may panic.
//!
//! Wakers and destructors belong to users. When one of a series panics, the others must still be
//! run, or a stranger's bug strands them.

use std::mem::forget;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;

/// Calls `each` on everything that `next` gives, whatever panics. The first panic goes on when
/// the series is done; not while the thread is unwinding already, where it would abort the process.
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

/// [`run_all`] of a few steps.
pub(crate) fn run_each(steps: &[&dyn Fn()]) {
    let mut steps = steps.iter();
    run_all(|| steps.next(), |step| step());
}
