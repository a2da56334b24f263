//! Running user code of several parties, of which one may panic.
//!
//! Wakers and destructors belong to users. When one of a series panics, the others must still be
//! run, or a stranger's bug strands them.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;

/// Calls `each` on everything that `next` gives, whatever panics. The first panic goes on when
/// the series is done; not while the thread is unwinding already, where it would abort the process.
pub(crate) fn run_all<I>(mut next: impl FnMut() -> Option<I>, mut each: impl FnMut(I)) {
    let mut first_panic = None;
    while let Some(item) = next() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| each(item))) {
            first_panic.get_or_insert(panic);
        }
    }
    if let Some(panic) = first_panic {
        if !thread::panicking() {
            resume_unwind(panic);
        }
    }
}

/// [`run_all`] of a few steps.
pub(crate) fn run_each(steps: &[&dyn Fn()]) {
    let mut steps = steps.iter();
    run_all(|| steps.next(), |step| step());
}
