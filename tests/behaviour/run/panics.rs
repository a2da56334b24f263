//! A panic in an item of a pool propagates, and harms no other item.

use std::future;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

#[cfg(feature = "std")]
use futures_util::FutureExt;
use tollgate::Report;

#[cfg(feature = "std")]
use super::Items;
use super::Pool;
use super::closed_with;
#[cfg(feature = "std")]
use super::explosive::Doomed;
#[cfg(feature = "std")]
use super::explosive::Explosive;
use super::on_pools;
use crate::common::now;
use crate::common::poll_once;

/// Makes two tests of each generic function, for the pools that let panics out.
macro_rules! on_both_pools {
    ($($names:tt)*) => {
        on_pools! { items: $crate::run::Items<false>, $($names)* }
        on_pools! { tasks: $crate::run::Tasks<false>, $($names)* }
    };
}

on_both_pools! {
    panic_in_run_counts_as_panicked,
    #[cfg(feature = "std")]
    panicking_future_drop_harms_no_other_task,
}

fn panic_in_run_counts_as_panicked<P: Pool>() {
    fn panics(_: u32) -> future::Ready<Result<(), &'static str>> {
        resume_unwind(Box::new("in the closure"));
    }
    async fn panics_later(item: u32) -> Result<(), &'static str> {
        match item {
            1 => resume_unwind(Box::new("in the future")),
            _ => future::pending().await,
        }
    }
    fn of_a_panic<P: Pool, F, Fut>(f: F) -> Report
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<(), &'static str>>,
    {
        let (sender, receiver) = closed_with(3);
        let mut run = Box::new(P::run(receiver, 3, f));
        catch_unwind(AssertUnwindSafe(|| poll_once(&mut run))).unwrap_err();
        drop(run);
        now(sender.join()).unwrap_err().report
    }

    // Without `std`, panics are not seen.
    let seen = u64::from(cfg!(feature = "std"));
    let report = of_a_panic::<P, _, _>(panics);
    assert_eq!((report.panicked, report.abandoned), (seen, 1 - seen));
    assert_eq!(report.discarded, 2);
    // The future that ran beside it is dropped later, without a panic.
    let report = of_a_panic::<P, _, _>(panics_later);
    assert_eq!((report.panicked, report.abandoned), (seen, 2 - seen));
    assert_eq!(report.received + report.discarded, 3);
}

#[cfg(feature = "std")]
fn panicking_future_drop_harms_no_other_task<P: Pool>() {
    // Two of the five futures panic.
    let (sender, receiver) = closed_with(5);
    let mut run = P::run(receiver, 5, Explosive);
    assert!(poll_once(&mut run).is_pending());
    catch_unwind(AssertUnwindSafe(|| drop(run))).unwrap_err();
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.abandoned, report.panicked), (3, 2));

    // While the thread unwinds.
    let (sender, receiver) = closed_with(5);
    let unwind = AssertUnwindSafe(|| {
        let mut run = P::run(receiver, 5, Explosive);
        assert!(poll_once(&mut run).is_pending());
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
    assert_eq!(now(sender.join()).unwrap_err().report.panicked, 5);

    // After the future has completed.
    let (sender, receiver) = closed_with(3);
    let mut run = P::run(receiver, 3, |item| Explosive(if item == 1 { 9 } else { 2 }));
    catch_unwind(AssertUnwindSafe(|| poll_once(&mut run))).unwrap_err();
    drop(run);
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.done, report.panicked), (0, 1));
    assert_eq!(report.abandoned + report.discarded, 2);
}

/// A second panic would abort the process if it left a destructor during the first.
#[cfg(feature = "std")]
#[test]
fn future_and_error_both_panic_on_drop() {
    let (sender, receiver) = closed_with(1);
    let run = Items::<false>::run(receiver, 1, |_| Doomed("future"));
    let panic = catch_unwind(AssertUnwindSafe(|| run.now_or_never())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"future"));
    assert_eq!(now(sender.join()).unwrap_err().report.panicked, 1);
}
