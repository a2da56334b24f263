//! `catch_panics`: a panic in an item ends only that item.

use std::cell::Cell;
use std::cell::RefCell;
use std::error::Error;
use std::future;
use std::future::Future;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use tollgate::Failure;
use tollgate::Receiver;
use tollgate::Report;
use tollgate::Sender;
use tollgate::Task;

use super::AnyRun;
use super::Desk;
use super::Items;
use super::Pool;
use super::at_most;
use super::closed_with;
use super::explosive::Doomed;
use super::explosive::Explosive;
use super::of_tasks::requeuing;
use super::on_pools;
use super::succeed;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::poll_once;

/// Makes two tests of each generic function, for the pools that catch panics.
macro_rules! on_both_pools {
    ($($names:tt)*) => {
        on_pools! { items: $crate::run::Items<true>, $($names)* }
        on_pools! { tasks: $crate::run::Tasks<true>, $($names)* }
    };
}

on_both_pools! {
    every_poisoned_item_counts_as_panicked,
    pool_of_four_survives_four_poisoned_items,
    pool_of_panicking_closure_yields_to_other_futures,
    dropped_pool_abandons_or_panics_each_task_once,
    payload_that_panics_on_drop_is_contained,
    panic_of_joiners_waker_ends_no_pool,
    unwinding_thread_may_poll_and_drop_pool,
}

/// Where the processing of an item panics.
#[derive(Clone, Copy, Debug)]
enum Poison {
    Closure,
    Poll,
    /// In the second poll.
    SecondPoll,
    /// After the future has completed.
    Drop,
    Conversion,
}

const POISONS: [Poison; 5] = [
    Poison::Closure,
    Poison::Poll,
    Poison::SecondPoll,
    Poison::Drop,
    Poison::Conversion,
];

struct Poisoned(Poison, u32);

/// An error whose conversion panics.
struct Unspeakable;

impl From<Unspeakable> for Box<dyn Error + Send + Sync> {
    fn from(_: Unspeakable) -> Self {
        resume_unwind(Box::new("in the conversion"));
    }
}

impl Poisoned {
    fn new(poison: Poison) -> Self {
        if let Poison::Closure = poison {
            resume_unwind(Box::new("in the closure"));
        }
        Self(poison, 0)
    }
}

impl Future for Poisoned {
    type Output = Result<(), Unspeakable>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.1 += 1;
        match (self.0, self.1) {
            (Poison::SecondPoll, 1) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (Poison::Poll | Poison::SecondPoll, _) => resume_unwind(Box::new("in a poll")),
            (Poison::Conversion, _) => Poll::Ready(Err(Unspeakable)),
            (Poison::Closure | Poison::Drop, _) => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Poisoned {
    fn drop(&mut self) {
        if let Poison::Drop = self.0 {
            resume_unwind(Box::new("in the destructor"));
        }
    }
}

/// Polls a pool to its end.
#[track_caller]
fn finish(run: impl AnyRun) {
    let mut run = Waiter::new(run);
    let mut before = 0;
    while run.poll().is_pending() {
        assert!(run.wakes() > before, "it waits");
        before = run.wakes();
    }
}

/// The report, given that the first failure was a panic.
#[track_caller]
fn report_of_panics(sender: &Sender<u32>) -> Report {
    let error = now(sender.join()).unwrap_err();
    assert!(
        matches!(error.first, Failure::Panicked),
        "{:?}",
        error.first
    );
    error.report
}

fn every_poisoned_item_counts_as_panicked<P: Pool>() {
    for poison in POISONS {
        println!("{poison:?}");
        let (sender, receiver) = closed_with(10);
        let run = P::run(receiver, 3, |item| {
            let poisoned = (item % 2 == 1).then(|| Poisoned::new(poison));
            async move {
                match poisoned {
                    Some(poisoned) => poisoned.await,
                    None => Ok(()),
                }
            }
        });
        finish(run);
        let report = report_of_panics(&sender);
        assert_eq!((report.done, report.panicked), (5, 5), "{poison:?}");
        assert_eq!(report.received, 10);
    }
}

fn pool_of_four_survives_four_poisoned_items<P: Pool>() {
    for poison in POISONS {
        println!("{poison:?}");
        let (sender, receiver) = closed_with(10);
        let desk = Desk::default();
        let mut run = Waiter::waiting(P::run(receiver, 4, |item| {
            let poisoned = (item < 4).then(|| Poisoned::new(poison));
            let work = poisoned.is_none().then(|| desk.work(item));
            async move {
                match (poisoned, work) {
                    (Some(poisoned), _) => poisoned.await,
                    (_, Some(work)) => work.await.map_err(|_| Unspeakable),
                    _ => unreachable!("it is one of the two"),
                }
            }
        }));
        // It may have to let others run first.
        while run.wakes() > 0 && desk.at_work().len() < 4 {
            assert!(run.poll().is_pending());
        }
        // As many items run as before, and no more.
        assert_eq!(desk.at_work(), [4, 5, 6, 7], "{poison:?}");
        assert_eq!(sender.monitor().stats().in_hand, 4);
        for item in 4..10 {
            assert!(run.poll().is_pending());
            desk.end(item, Ok(()));
        }
        assert!(run.poll().is_ready());
        let report = report_of_panics(&sender);
        assert_eq!((report.done, report.panicked), (6, 4), "{poison:?}");
    }
}

fn pool_of_panicking_closure_yields_to_other_futures<P: Pool>() {
    let (sender, receiver) = closed_with(1000);
    let mut run = Waiter::new(P::run(
        receiver,
        4,
        |_| -> future::Ready<Result<(), &str>> { resume_unwind(Box::new("in the closure")) },
    ));
    let mut polls = 0;
    while run.poll().is_pending() {
        polls += 1;
        assert_eq!(run.wakes(), polls, "it asks to be polled again");
    }
    assert!((4..=1000).contains(&polls), "{polls} polls");
    assert_eq!(report_of_panics(&sender).panicked, 1000);
}

fn dropped_pool_abandons_or_panics_each_task_once<P: Pool>() {
    // Three of the five futures are dropped without a panic.
    let (sender, receiver) = closed_with(7);
    let other = receiver.clone();
    let mut run = P::run(receiver, 5, Explosive);
    assert!(poll_once(&mut run).is_pending());
    drop(run);
    let report = sender.monitor().stats().report;
    assert_eq!((report.abandoned, report.panicked), (3, 2));
    for item in 5..7 {
        assert_eq!(other.try_recv().unwrap().done(), item);
    }
    assert_eq!(now(sender.join()).unwrap_err().report.done, 2);

    // While the thread unwinds.
    let (sender, receiver) = closed_with(5);
    let unwind = AssertUnwindSafe(|| {
        let mut run = P::run(receiver, 5, Explosive);
        assert!(poll_once(&mut run).is_pending());
        resume_unwind(Box::new("worker"));
    });
    let panic = catch_unwind(unwind).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"worker"));
    assert_eq!(report_of_panics(&sender).panicked, 5);
}

fn payload_that_panics_on_drop_is_contained<P: Pool>() {
    /// If the number is not zero, the destructor panics, with the next payload.
    struct Payload(u32);

    thread_local! {
        static DROPS: Cell<u32> = const { Cell::new(0) };
    }

    impl Drop for Payload {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
            if self.0 > 0 {
                resume_unwind(Box::new(Payload(self.0 - 1)));
            }
        }
    }

    for depth in 0..3 {
        DROPS.set(0);
        let (sender, receiver) = closed_with(3);
        let run = P::run(receiver, 1, |item| async move {
            if item == 1 {
                resume_unwind(Box::new(Payload(depth)));
            }
            Ok::<(), &str>(())
        });
        finish(run);
        let report = report_of_panics(&sender);
        assert_eq!((report.done, report.panicked), (2, 1));
        // The payload is dropped. That of a panic in its destructor is not.
        assert_eq!(DROPS.get(), 1);
    }
}

fn panic_of_joiners_waker_ends_no_pool<P: Pool>() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("in a waker"));
        }
    }

    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    let mut run = P::run(receiver, 1, succeed);
    assert!(poll_once(&mut run).is_pending());
    sender.try_send(1).unwrap();
    let mut join = monitor.join();
    let waker = Waker::from(Arc::new(Panics));
    assert!(
        join.poll_unpin(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // Its item had ended before the panic.
    assert!(poll_once(&mut run).is_pending());
    assert_eq!(now(join).unwrap().done, 1);
    sender.try_send(2).unwrap();
    assert!(poll_once(&mut run).is_pending());
    assert_eq!(now(monitor.join()).unwrap().done, 2);
}

fn unwinding_thread_may_poll_and_drop_pool<P: Pool>() {
    struct PollOnDrop<R: AnyRun>(Option<R>);

    impl<R: AnyRun> Drop for PollOnDrop<R> {
        fn drop(&mut self) {
            let mut run = self.0.take().unwrap();
            assert!(poll_once(&mut run).is_pending());
        }
    }

    let (sender, receiver) = closed_with(4);
    let unwind = AssertUnwindSafe(|| {
        let run = P::run(receiver, 4, |item| async move {
            match item {
                0 => Poisoned::new(Poison::Drop).await,
                1 => Poisoned::new(Poison::Poll).await,
                2 => Ok(()),
                _ => pending().await,
            }
        });
        let _poll = PollOnDrop(Some(run));
        resume_unwind(Box::new("worker"));
    });
    let panic = catch_unwind(unwind).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"worker"));
    let report = report_of_panics(&sender);
    assert_eq!((report.done, report.panicked), (1, 3));
}

#[test]
fn error_that_panics_on_drop_is_contained() {
    let (sender, receiver) = closed_with(2);
    finish(Items::<true>::run(receiver, 1, |_| Doomed("future")));
    assert_eq!(report_of_panics(&sender).panicked, 2);
}

#[test]
fn futures_that_run_already_are_covered() {
    let (sender, receiver) = closed_with(2);
    let is_poisoned = &Cell::new(false);
    let mut run = receiver.run(at_most(2), |_| {
        future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            match is_poisoned.get() {
                true => resume_unwind(Box::new("in the future")),
                false => Poll::<Result<(), &str>>::Pending,
            }
        })
    });
    assert!(poll_once(&mut run).is_pending());
    is_poisoned.set(true);
    finish(run.catch_panics());
    assert_eq!(report_of_panics(&sender).panicked, 2);
}

#[test]
fn panicking_destructor_of_panicked_future_is_contained() {
    struct Twice<H> {
        _held: H,
    }

    impl Future for Twice<u32> {
        type Output = Result<(), &'static str>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            resume_unwind(Box::new("in the poll"));
        }
    }

    impl Future for Twice<Task<u32>> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            resume_unwind(Box::new("in the poll"));
        }
    }

    impl<H> Drop for Twice<H> {
        fn drop(&mut self) {
            resume_unwind(Box::new("in the destructor"));
        }
    }

    let (sender, receiver) = closed_with(3);
    finish(
        receiver
            .run(at_most(2), |_held| Twice { _held })
            .catch_panics(),
    );
    assert_eq!(report_of_panics(&sender).panicked, 3);

    let (sender, receiver) = closed_with(3);
    finish(
        receiver
            .run_tasks(at_most(2), |_held| Twice { _held })
            .catch_panics(),
    );
    assert_eq!(report_of_panics(&sender).panicked, 3);
}

#[test]
fn requeued_item_is_tried_again() {
    let (sender, receiver) = requeuing(3);
    let run = receiver.run_tasks(at_most(2), |task: Task<u32>| async move {
        match (*task, task.attempt()) {
            (0, _) => resume_unwind(Box::new("each time")),
            (1, 1..=2) => resume_unwind(Box::new("twice")),
            _ => drop(task.done()),
        }
    });
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    sender.close();
    finish(run.catch_panics());
    let report = report_of_panics(&sender);
    assert_eq!((report.received, report.retried), (7, 4));
    assert_eq!((report.done, report.panicked), (2, 1));
}

/// Wherever it is: in a local variable, or in a field of the future.
#[test]
fn task_is_requeued_or_panicked_wherever_future_holds_it() {
    struct Holding(Task<u32>);

    impl Future for Holding {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            let _item = *self.0;
            resume_unwind(Box::new("in the future"))
        }
    }

    let (sender, receiver) = closed_with(2);
    finish(receiver.run_tasks(at_most(1), Holding).catch_panics());
    assert_eq!(report_of_panics(&sender).panicked, 2);

    let (sender, receiver) = requeuing(2);
    sender.try_send(0).unwrap();
    sender.close();
    finish(receiver.run_tasks(at_most(1), Holding).catch_panics());
    let report = report_of_panics(&sender);
    assert_eq!((report.retried, report.panicked), (1, 1));
}

#[test]
fn task_that_had_ended_keeps_its_outcome() {
    let (sender, receiver) = closed_with(4);
    let run = receiver.run_tasks(at_most(1), |task: Task<u32>| async move {
        match (*task, task.attempt()) {
            (0, _) => drop(task.done()),
            (1, _) => drop(task.fail("one")),
            (2, 1) => task.retry().unwrap(),
            (2, _) => drop(task.done()),
            _ => drop(task),
        }
        resume_unwind(Box::new("afterwards"));
    });
    finish(run.catch_panics());
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.done, report.failed, report.retried), (2, 1, 1));
    assert_eq!((report.abandoned, report.panicked), (1, 0));
}

/// What the example `keyed` does, in a pool: a task waits until the turn of the one before it, of the same
/// key, has ended, even if a panic ends it.
#[test]
fn tasks_of_one_key_take_turns() {
    let (sender, receiver) = closed_with(30);
    let (now_at_work, most_at_work) = (&Cell::new(0), &Cell::new(0));
    let log = &RefCell::new([const { Vec::new() }; 3]);
    let mut last_turns = [const { None::<Receiver<()>> }; 3];
    let run = receiver.run_tasks(at_most(8), |task| {
        let key = *task as usize % 3;
        let (turn, end) = tollgate::bounded(1);
        let turn_before = last_turns[key].replace(end);
        async move {
            let (_turn, task) = (turn, task);
            if let Some(end) = turn_before {
                end.closed().await;
            }
            now_at_work.set(now_at_work.get() + 1);
            most_at_work.set(now_at_work.get().max(most_at_work.get()));
            tokio::task::yield_now().await;
            now_at_work.set(now_at_work.get() - 1);
            log.borrow_mut()[key].push(*task);
            if *task % 7 == 5 {
                resume_unwind(Box::new("in its turn"));
            }
            task.done();
        }
    });
    finish(run.catch_panics());
    let report = report_of_panics(&sender);
    assert_eq!((report.done, report.panicked), (26, 4));
    assert_eq!(most_at_work.get(), 3, "one of each key");
    for (key, order) in (0..).zip(&*log.borrow()) {
        assert!(order.iter().copied().eq((key..30).step_by(3)), "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_on_several_threads_survive_panics() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = requeuing(2);
    let monitor = sender.monitor();
    let work = |task: Task<u32>| async move {
        if *task % 3 == 0 {
            tokio::task::yield_now().await;
        }
        if *task % 100 == 99 {
            resume_unwind(Box::new("99"));
        }
        task.done();
    };
    let pools: Vec<_> = (0..3)
        .map(|_| tokio::spawn(receiver.clone().run_tasks(at_most(3), work).catch_panics()))
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
    assert_eq!(
        (report.done, report.panicked, report.retried),
        (9900, 100, 100)
    );
}
