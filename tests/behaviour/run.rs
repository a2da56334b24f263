//! `TaskReceiver::run`: it keeps its limit, counts each outcome, and delays no other task.

use std::cell::Cell;
use std::future;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use tokio::sync::oneshot;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Run;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::poll_once;

fn limit(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

/// A closed channel with the numbers up to `count` in it.
fn closed_with(count: u32) -> (Sender<u32>, TaskReceiver<u32>) {
    let (sender, receiver) = tollgate::tasks(count as usize);
    for item in 0..count {
        sender.try_send(item).unwrap();
    }
    sender.close();
    (sender, receiver)
}

/// Futures that the test completes.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Vec<AtWork>>>);

/// An item, and how to complete its future.
type AtWork = (u32, oneshot::Sender<Result<(), &'static str>>);

impl Desk {
    fn work(&self, item: u32) -> impl Future<Output = Result<(), &'static str>> + use<> {
        let (end, ended) = oneshot::channel();
        self.0.lock().unwrap().push((item, end));
        async { ended.await.unwrap_or(Err("the test dropped it")) }
    }

    /// The items whose futures are not completed.
    fn at_work(&self) -> Vec<u32> {
        let desk = self.0.lock().unwrap();
        desk.iter().map(|(item, _)| *item).collect()
    }

    fn end(&self, item: u32, result: Result<(), &'static str>) {
        let mut desk = self.0.lock().unwrap();
        let place = desk.iter().position(|(it, _)| *it == item).unwrap();
        desk.remove(place).1.send(result).unwrap();
    }
}

#[test]
fn ok_is_done_and_err_is_failed() {
    let (sender, receiver) = closed_with(10);
    let run = receiver.run(limit(3), |item| {
        future::ready(if item == 4 { Err("four") } else { Ok(()) })
    });
    now(run);
    let error = now(sender.join()).unwrap_err();
    assert_eq!((error.report.done, error.report.failed), (9, 1));
    assert!(matches!(error.first, Failure::Failed(error) if error.to_string() == "four"));
}

#[test]
fn run_keeps_its_limit() {
    let (sender, receiver) = closed_with(5);
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(receiver.run(limit(2), move |item| desk.work(item)))
    };
    assert_eq!(desk.at_work(), [0, 1]);
    assert_eq!((sender.len(), sender.monitor().stats().in_hand), (3, 2));
    // In any order; a free slot is used at once.
    for (ended, at_work) in [(1, [0, 2]), (0, [2, 3]), (2, [3, 4])] {
        desk.end(ended, Ok(()));
        assert!(run.wakes() > 0);
        assert!(run.poll().is_pending());
        assert_eq!(desk.at_work(), at_work);
    }
    desk.end(3, Ok(()));
    desk.end(4, Err("the last"));
    assert!(run.poll().is_ready());
    let error = now(sender.join()).unwrap_err();
    assert_eq!((error.report.done, error.report.failed), (4, 1));
}

#[test]
fn run_waits_for_items_and_futures() {
    let (sender, receiver) = tollgate::tasks(2);
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(receiver.run(limit(2), move |item| desk.work(item)))
    };
    sender.try_send(7).unwrap();
    assert_eq!(run.wakes(), 1);
    assert!(run.poll().is_pending());
    let before = run.wakes();
    sender.try_send(8).unwrap();
    assert_eq!(run.wakes(), before + 1);
    assert!(run.poll().is_pending());
    assert_eq!(desk.at_work(), [7, 8]);
    let before = run.wakes();
    desk.end(7, Ok(()));
    assert_eq!(run.wakes(), before + 1);
    assert!(run.poll().is_pending());
    // The close is noticed while tasks are in hand, and the run ends with the last of them.
    drop(sender);
    assert!(run.poll().is_pending());
    desk.end(8, Ok(()));
    assert!(run.poll().is_ready());
}

#[test]
fn full_run_leaves_wake_to_others() {
    let (sender, receiver) = tollgate::tasks(2);
    let other = receiver.clone();
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(receiver.run(limit(1), move |item| desk.work(item)))
    };
    sender.try_send(1).unwrap();
    assert!(run.poll().is_pending());
    let before = run.wakes();
    let mut recv = Waiter::waiting(other.recv());
    sender.try_send(2).unwrap();
    assert_eq!((recv.wakes(), run.wakes()), (1, before));
    let Poll::Ready(Ok(task)) = recv.poll() else {
        panic!("the task that woke it is there");
    };
    assert_eq!(task.done(), 2);
}

#[test]
fn run_ends_when_channel_is_finished() {
    let (sender, receiver) = closed_with(2);
    let task = receiver.try_recv().unwrap();
    let mut run = Waiter::waiting(receiver.run(limit(1), |_| future::ready(Ok::<(), &str>(()))));
    // The tasks of others may be retried.
    assert_eq!(sender.monitor().stats().report.done, 1);
    task.follow_up(9).unwrap();
    assert!(run.poll().is_pending());
    assert_eq!(sender.monitor().stats().report.done, 2);
    task.done();
    assert!(run.poll().is_ready());
    assert_eq!(now(sender.join()).unwrap().done, 3);
}

#[test]
fn run_yields_to_other_futures() {
    let (sender, receiver) = closed_with(1000);
    let mut run = Waiter::new(receiver.run(limit(4), |_| future::ready(Ok::<(), &str>(()))));
    let mut polls = 0;
    while run.poll().is_pending() {
        polls += 1;
        assert_eq!(run.wakes(), polls, "it asks to be polled again");
    }
    assert!((4..=1000).contains(&polls), "{polls} polls");
    assert_eq!(now(sender.join()).unwrap().done, 1000);
}

#[test]
fn dropped_run_abandons_only_running_tasks() {
    let (sender, receiver) = closed_with(5);
    let other = receiver.clone();
    let desk = Desk::default();
    let run = {
        let desk = desk.clone();
        Waiter::waiting(receiver.run(limit(2), move |item| desk.work(item)))
    };
    drop(run);
    let report = sender.monitor().stats().report;
    assert_eq!((report.abandoned, report.discarded), (2, 0));
    for item in 2..5 {
        assert_eq!(other.try_recv().unwrap().done(), item);
    }
    assert!(matches!(
        now(sender.join()).unwrap_err().first,
        Failure::Abandoned
    ));
}

#[test]
fn dropped_run_drops_last_receiver() {
    let (sender, receiver) = tollgate::tasks(4);
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    let run = Waiter::waiting(receiver.run(limit(1), |_| future::pending::<Result<(), &str>>()));
    drop(run);
    assert!(sender.is_closed());
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.abandoned, report.discarded), (1, 2));
}

#[test]
fn panic_in_run_counts_as_panicked() {
    fn panics(_: u32) -> future::Ready<Result<(), &'static str>> {
        resume_unwind(Box::new("in the closure"));
    }
    async fn panics_later(item: u32) -> Result<(), &'static str> {
        match item {
            1 => resume_unwind(Box::new("in the future")),
            _ => future::pending().await,
        }
    }
    fn of_a_panic<F, Fut>(f: F) -> tollgate::Report
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<(), &'static str>>,
    {
        let (sender, receiver) = closed_with(3);
        let mut run = Box::new(receiver.run(limit(3), f));
        catch_unwind(AssertUnwindSafe(|| poll_once(&mut run))).unwrap_err();
        drop(run);
        now(sender.join()).unwrap_err().report
    }

    // Without `std`, panics are not seen.
    let seen = u64::from(cfg!(feature = "std"));
    let report = of_a_panic(panics);
    assert_eq!((report.panicked, report.abandoned), (seen, 1 - seen));
    assert_eq!(report.discarded, 2);
    // The future that ran beside it is dropped later, without a panic.
    let report = of_a_panic(panics_later);
    assert_eq!((report.panicked, report.abandoned), (seen, 2 - seen));
    assert_eq!(report.received + report.discarded, 3);
}

#[cfg(feature = "std")]
#[test]
fn panicking_future_drop_harms_no_other_task() {
    struct Explosive(u32);

    impl Future for Explosive {
        type Output = Result<(), &'static str>;

        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Self::Output> {
            match self.0 {
                9 => Poll::Ready(Ok(())),
                _ => Poll::Pending,
            }
        }
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            if self.0 % 2 == 1 {
                resume_unwind(Box::new("when dropped"));
            }
        }
    }

    // Two of the five futures panic.
    let (sender, receiver) = closed_with(5);
    let mut run = receiver.run(limit(5), Explosive);
    assert!(poll_once(&mut run).is_pending());
    catch_unwind(AssertUnwindSafe(|| drop(run))).unwrap_err();
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.abandoned, report.panicked), (3, 2));

    // While the thread unwinds.
    let (sender, receiver) = closed_with(5);
    let unwind = AssertUnwindSafe(|| {
        let mut run = receiver.run(limit(5), Explosive);
        assert!(poll_once(&mut run).is_pending());
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
    assert_eq!(now(sender.join()).unwrap_err().report.panicked, 5);

    // After the future has completed.
    let (sender, receiver) = closed_with(3);
    let mut run = receiver.run(limit(3), |item| Explosive(if item == 1 { 9 } else { 2 }));
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
    #[derive(Debug)]
    struct Explosive(&'static str);

    impl std::fmt::Display for Explosive {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Explosive {}

    impl Future for Explosive {
        type Output = Result<(), Explosive>;

        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Self::Output> {
            Poll::Ready(Err(Explosive("error")))
        }
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            resume_unwind(Box::new(self.0));
        }
    }

    let (sender, receiver) = closed_with(1);
    let run = receiver.run(limit(1), |_| Explosive("future"));
    let panic = catch_unwind(AssertUnwindSafe(|| run.now_or_never())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"future"));
    assert_eq!(now(sender.join()).unwrap_err().report.panicked, 1);
}

/// Like a task whose item is dropped with it.
#[test]
fn task_ends_after_its_future_is_dropped() {
    struct Holding<'a>(Result<(), &'static str>, &'a Monitor<u32>, &'a Cell<u32>);

    impl Future for Holding<'_> {
        type Output = Result<(), &'static str>;

        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Self::Output> {
            Poll::Ready(self.0)
        }
    }

    impl Drop for Holding<'_> {
        fn drop(&mut self) {
            assert!(self.1.join().now_or_never().is_none());
            self.2.set(self.2.get() + 1);
        }
    }

    for result in [Ok(()), Err("cannot")] {
        let (sender, receiver) = closed_with(1);
        let monitor = sender.monitor();
        let dropped = Cell::new(0);
        let run = receiver.run(limit(1), |_| Holding(result, &monitor, &dropped));
        run.now_or_never().unwrap();
        assert_eq!(dropped.get(), 1);
        assert_eq!(now(monitor.join()).is_ok(), result.is_ok());
    }
}

#[test]
fn run_futures_may_borrow() {
    let sum = Cell::new(0);
    let (sender, receiver) = closed_with(5);
    let run: Run<u32, _, _> = receiver.run(limit(2), |item| {
        let sum = &sum;
        async move {
            sum.set(sum.get() + item);
            Ok::<(), std::io::Error>(())
        }
    });
    assert!(format!("{run:?}").starts_with("Run { limit: 2, running: 0, .. }"));
    run.now_or_never().unwrap();
    assert_eq!(sum.get(), 10);
    assert!(now(sender.join()).is_ok());
}

#[test]
#[should_panic(expected = "`Run` polled after completion")]
fn run_polled_after_completion_panics() {
    let (_sender, receiver) = closed_with(1);
    let mut run = receiver.run(limit(1), |_| future::ready(Ok::<(), &str>(())));
    assert!(!run.is_terminated());
    assert!(poll_once(&mut run).is_ready());
    assert!(run.is_terminated());
    let _ = poll_once(&mut run);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_several_threads_share_channel() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(4);
    let monitor = sender.monitor();
    let pools: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(receiver.clone().run(limit(3), |item: u32| async move {
                if item % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                if item % 100 == 99 { Err("99") } else { Ok(()) }
            }))
        })
        .collect();
    drop(receiver);
    for item in 0..10_000 {
        sender.send(item).await.unwrap();
    }
    drop(sender);
    for pool in pools {
        pool.await.unwrap();
    }
    let report = monitor.finished().await.unwrap_err().report;
    assert_eq!((report.done, report.failed), (9900, 100));
}
