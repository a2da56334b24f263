//! Pools inside one future, `TaskReceiver::run` and `run_tasks`: they keep their limit, count each
//! outcome, and delay no other task.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::future;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Context;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use tokio::sync::oneshot;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Run;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::panic_text;
use crate::common::poll_once;

// A panic in an item, which ends the pool.
mod panics;
// `catch_panics`.
#[cfg(feature = "std")]
mod caught;
// Futures whose destructors panic.
#[cfg(feature = "std")]
mod explosive;
// What only `run_tasks` can do.
mod of_tasks;

/// Makes a test of each generic function for each pool: of `run` and of `run_tasks`, and for both with
/// `catch_panics`.
macro_rules! on_all_pools {
    ($($name:ident,)*) => {
        $crate::run::on_pools! { items: $crate::run::Items<false>, $($name,)* }
        $crate::run::on_pools! { tasks: $crate::run::Tasks<false>, $($name,)* }
        #[cfg(feature = "std")]
        $crate::run::on_pools! { items_caught: $crate::run::Items<true>, $($name,)* }
        #[cfg(feature = "std")]
        $crate::run::on_pools! { tasks_caught: $crate::run::Tasks<true>, $($name,)* }
    };
}

/// Makes tests of generic functions for one pool.
macro_rules! on_pools {
    ($module:ident: $pool:ty, $($(#[$attribute:meta])* $name:ident,)*) => {
        mod $module {
            $($(#[$attribute])*
            #[test]
            fn $name() {
                let _watchdog = $crate::common::Watchdog::of(concat!(module_path!(), "::", stringify!($name)));
                super::$name::<$pool>();
            })*
        }
    };
}
use on_pools;

/// A way to process the items of a channel inside one future.
trait Pool {
    fn run<F, Fut, E>(receiver: TaskReceiver<u32>, limit: usize, f: F) -> impl AnyRun
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>;
}

/// A [`Run`], whatever its closure is.
trait AnyRun: FusedFuture<Output = ()> + Unpin + Debug {
    #[cfg(feature = "std")]
    fn catch_panics(self) -> Self;
}

impl<F, Fut, G> AnyRun for Run<u32, F, Fut, G>
where
    Self: FusedFuture<Output = ()>,
{
    #[cfg(feature = "std")]
    fn catch_panics(self) -> Self {
        self.catch_panics()
    }
}

/// [`TaskReceiver::run`], perhaps with `catch_panics`.
enum Items<const CATCHES: bool> {}

/// [`TaskReceiver::run_tasks`]: each future ends its task as the other pool does.
enum Tasks<const CATCHES: bool> {}

impl<const CATCHES: bool> Pool for Items<CATCHES> {
    fn run<F, Fut, E>(receiver: TaskReceiver<u32>, limit: usize, f: F) -> impl AnyRun
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        catch(CATCHES, receiver.run(at_most(limit), f))
    }
}

impl<const CATCHES: bool> Pool for Tasks<CATCHES> {
    fn run<F, Fut, E>(receiver: TaskReceiver<u32>, limit: usize, mut f: F) -> impl AnyRun
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let run = receiver.run_tasks(at_most(limit), move |task: Task<u32>| {
            let work = f(*task);
            async move {
                match work.await {
                    Ok(()) => task.done(),
                    Err(error) => task.fail(error),
                };
            }
        });
        catch(CATCHES, run)
    }
}

fn catch<R: AnyRun>(catches: bool, run: R) -> R {
    #[cfg(feature = "std")]
    if catches {
        return run.catch_panics();
    }
    assert!(!catches);
    run
}

fn at_most(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

/// Processes each item at once, and well.
fn succeed<T>(_: T) -> future::Ready<Result<(), &'static str>> {
    future::ready(Ok(()))
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

on_all_pools! {
    ok_is_done_and_err_is_failed,
    run_keeps_its_limit,
    run_waits_for_items_and_futures,
    full_run_leaves_wake_to_others,
    run_ends_when_channel_is_finished,
    run_yields_to_other_futures,
    dropped_run_abandons_only_running_tasks,
    dropped_run_drops_last_receiver,
    task_ends_after_its_future_is_dropped,
    run_futures_may_borrow,
    run_polled_after_completion_panics,
    notified_run_dropped_wakes_next,
    unpolled_run_takes_nothing,
}

fn ok_is_done_and_err_is_failed<P: Pool>() {
    let (sender, receiver) = closed_with(10);
    let run = P::run(receiver, 3, |item| {
        future::ready(if item == 4 { Err("four") } else { Ok(()) })
    });
    now(run);
    let error = now(sender.join()).unwrap_err();
    assert_eq!((error.report.done, error.report.failed), (9, 1));
    assert!(matches!(error.first, Failure::Failed(error) if error.to_string() == "four"));
}

fn run_keeps_its_limit<P: Pool>() {
    let (sender, receiver) = closed_with(5);
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(P::run(receiver, 2, move |item| desk.work(item)))
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

fn run_waits_for_items_and_futures<P: Pool>() {
    let (sender, receiver) = tollgate::tasks(2);
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(P::run(receiver, 2, move |item| desk.work(item)))
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

fn full_run_leaves_wake_to_others<P: Pool>() {
    let (sender, receiver) = tollgate::tasks(2);
    let other = receiver.clone();
    let desk = Desk::default();
    let mut run = {
        let desk = desk.clone();
        Waiter::waiting(P::run(receiver, 1, move |item| desk.work(item)))
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

fn run_ends_when_channel_is_finished<P: Pool>() {
    let (sender, receiver) = closed_with(2);
    let task = receiver.try_recv().unwrap();
    let mut run = Waiter::waiting(P::run(receiver, 1, succeed));
    // The tasks of others may be retried.
    assert_eq!(sender.monitor().stats().report.done, 1);
    task.follow_up(9).unwrap();
    assert!(run.poll().is_pending());
    assert_eq!(sender.monitor().stats().report.done, 2);
    task.done();
    assert!(run.poll().is_ready());
    assert_eq!(now(sender.join()).unwrap().done, 3);
}

fn run_yields_to_other_futures<P: Pool>() {
    let (sender, receiver) = closed_with(1000);
    let mut run = Waiter::new(P::run(receiver, 4, succeed));
    let mut polls = 0;
    while run.poll().is_pending() {
        polls += 1;
        assert_eq!(run.wakes(), polls, "it asks to be polled again");
    }
    assert!((4..=1000).contains(&polls), "{polls} polls");
    assert_eq!(now(sender.join()).unwrap().done, 1000);
}

fn dropped_run_abandons_only_running_tasks<P: Pool>() {
    let (sender, receiver) = closed_with(5);
    let other = receiver.clone();
    let desk = Desk::default();
    let run = {
        let desk = desk.clone();
        Waiter::waiting(P::run(receiver, 2, move |item| desk.work(item)))
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

fn dropped_run_drops_last_receiver<P: Pool>() {
    let (sender, receiver) = tollgate::tasks(4);
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    let run = Waiter::waiting(P::run(receiver, 1, |_| {
        future::pending::<Result<(), &str>>()
    }));
    drop(run);
    assert!(sender.is_closed());
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.abandoned, report.discarded), (1, 2));
}

/// Like a task whose item is dropped with it.
fn task_ends_after_its_future_is_dropped<P: Pool>() {
    struct Holding<'a>(Result<(), &'static str>, &'a Monitor<u32>, &'a Cell<u32>);

    impl Future for Holding<'_> {
        type Output = Result<(), &'static str>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
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
        let run = P::run(receiver, 1, |_| Holding(result, &monitor, &dropped));
        run.now_or_never().unwrap();
        assert_eq!(dropped.get(), 1);
        assert_eq!(now(monitor.join()).is_ok(), result.is_ok());
    }
}

fn run_futures_may_borrow<P: Pool>() {
    let sum = Cell::new(0);
    let (sender, receiver) = closed_with(5);
    let run = P::run(receiver, 2, |item| {
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

fn run_polled_after_completion_panics<P: Pool>() {
    let (_sender, receiver) = closed_with(1);
    let mut run = P::run(receiver, 1, succeed);
    assert!(!run.is_terminated());
    assert!(poll_once(&mut run).is_ready());
    assert!(run.is_terminated());
    let text = panic_text(|| {
        let _ = poll_once(&mut run);
    });
    assert_eq!(text, "`Run` polled after completion");
}

fn notified_run_dropped_wakes_next<P: Pool>() {
    let (sender, receiver) = tollgate::tasks(1);
    let other = receiver.clone();
    let run = Waiter::waiting(P::run(receiver, 1, succeed));
    let mut recv = Waiter::waiting(other.recv());
    sender.try_send(1).unwrap();
    assert_eq!((run.wakes(), recv.wakes()), (1, 0));
    drop(run);
    assert_eq!(recv.wakes(), 1);
    let Poll::Ready(Ok(task)) = recv.poll() else {
        panic!("the dropped pool took nothing");
    };
    assert_eq!(task.done(), 1);
}

fn unpolled_run_takes_nothing<P: Pool>() {
    let (sender, receiver) = tollgate::tasks(1);
    let other = receiver.clone();
    sender.try_send(1).unwrap();
    drop(P::run(receiver, 1, succeed));
    assert_eq!(other.try_recv().unwrap().done(), 1);
    assert_eq!(now(sender.join()).unwrap().received, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_several_threads_share_channel() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(4);
    let monitor = sender.monitor();
    let work = |item: u32| async move {
        if item % 2 == 0 {
            tokio::task::yield_now().await;
        }
        if item % 100 == 99 { Err("99") } else { Ok(()) }
    };
    let pools = [
        tokio::spawn(Items::<false>::run(receiver.clone(), 3, work)),
        tokio::spawn(Items::<false>::run(receiver.clone(), 3, work)),
        tokio::spawn(Tasks::<false>::run(receiver.clone(), 3, work)),
        tokio::spawn(Tasks::<{ cfg!(feature = "std") }>::run(receiver, 3, work)),
    ];
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
