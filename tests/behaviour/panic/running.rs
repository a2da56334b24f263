//! Panics in a pool inside one future: `TaskReceiver::run` and `run_tasks`, with `catch_panics` and
//! without.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use futures_util::FutureExt;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use super::faults::Fault;
use super::faults::FaultyItem;
use super::faults::FaultyWaiter;
use super::faults::Outcome;
use super::faults::Reason;
use super::faults::Site;
use super::faults::arm;
use super::faults::disarm;
use super::faults::drop_in_panic;
use super::faults::may_panic;
use super::faults::run_until_idle;
use super::faults::set_containing;
use super::faults::set_unwinding;
use super::matrix::expect_each_dropped_once;
use super::matrix::expect_to_add_up;
use super::matrix::with_name;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Requeued;
use crate::common::Tally;

/// What the pool is made by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pool {
    Run,
    RunTasks,
    /// On a channel that requeues dropped tasks.
    RunRequeued,
}

/// How the futures of the pool end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ok,
    Err,
    /// They retry their tasks once.
    Retry,
    /// They stay pending.
    Never,
}

/// What happens to the pool.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    /// It is polled for the first time.
    Begin,
    /// Another task polls it.
    Move,
    Drop,
    /// A panic drops it.
    Crash,
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pool: Pool,
    catches: bool,
    end: End,
    act: Act,
    limit: usize,
    /// Whether the channel is closed; otherwise the pool waits for more.
    closed: bool,
    /// Whether a task has failed before.
    failed: bool,
    waiters: usize,
    unwinding: bool,
}

impl Running {
    /// All cases of a pool.
    pub(crate) fn all(pool: Pool) -> Vec<Self> {
        let mut all = Vec::new();
        for catches in [false, true] {
            for end in [End::Ok, End::Err, End::Retry, End::Never] {
                for act in [Act::Begin, Act::Move, Act::Drop, Act::Crash] {
                    all.extend(Self::of(pool, catches, end, act));
                }
            }
        }
        all.retain(Self::makes_sense);
        all
    }

    fn of(pool: Pool, catches: bool, end: End, act: Act) -> Vec<Self> {
        let mut all = Vec::new();
        for limit in [1, 3] {
            for (closed, failed) in [(false, false), (false, true), (true, false)] {
                for waiters in [0, 2] {
                    for unwinding in [false, true] {
                        all.push(Self {
                            pool,
                            catches,
                            end,
                            act,
                            limit,
                            closed,
                            failed,
                            waiters,
                            unwinding,
                        });
                    }
                }
            }
        }
        all
    }

    fn makes_sense(&self) -> bool {
        let crashes_twice = self.act == Act::Crash && self.unwinding;
        // `run` keeps the tasks.
        let retries_item = self.pool == Pool::Run && self.end == End::Retry;
        !crashes_twice && !retries_item
    }

    pub(crate) fn run(self, faults: &[Fault]) -> Outcome {
        with_name((self, faults), || run(self, faults))
    }
}

/// The future for an item.
struct Job {
    /// One of the two.
    item: Option<Item>,
    task: Option<Task<FaultyItem>>,
    tally: Tally,
    end: End,
}

impl Future for Job {
    type Output = Result<(), Reason>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        may_panic(Site::JobPoll);
        if self.end == End::Never {
            return Poll::Pending;
        }
        let result = match self.end {
            End::Err => Err(Reason::of(&self.tally)),
            _ => Ok(()),
        };
        let Some(task) = self.task.take() else {
            return Poll::Ready(result);
        };
        match result {
            Err(reason) => drop(task.fail(reason)),
            Ok(()) if self.end == End::Retry && task.attempt() == 1 => drop(task.retry()),
            Ok(()) => drop(task.done()),
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.item = None;
        may_panic(Site::JobDrop);
    }
}

/// A job that ends its task itself.
struct TaskJob(Job);

impl Future for TaskJob {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_unpin(cx).map(|result| assert!(result.is_ok()))
    }
}

/// A value that the closure of the pool captures.
struct Captured;

impl Captured {
    fn begin(&self, new_item: FaultyItem, tally: &Tally, end: End) -> Job {
        let item = new_item.into_item();
        may_panic(Site::JobBegin);
        Job {
            item,
            task: None,
            tally: tally.clone(),
            end,
        }
    }

    fn begin_task(&self, task: Task<FaultyItem>, tally: &Tally, end: End) -> TaskJob {
        may_panic(Site::JobBegin);
        TaskJob(Job {
            item: None,
            task: Some(task),
            tally: tally.clone(),
            end,
        })
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        may_panic(Site::ClosureDrop);
    }
}

fn pool(
    running: Running,
    receiver: TaskReceiver<FaultyItem>,
    tally: Tally,
) -> FaultyWaiter<'static> {
    let Running { end, catches, .. } = running;
    let captured = Captured;
    let limit = NonZeroUsize::new(running.limit).unwrap();
    match running.pool {
        Pool::Run => {
            let run = receiver.run(limit, move |item| captured.begin(item, &tally, end));
            match catches {
                true => FaultyWaiter::new(run.catch_panics().map(|()| None)),
                false => FaultyWaiter::new(run.map(|()| None)),
            }
        }
        Pool::RunTasks | Pool::RunRequeued => {
            let begin = move |task| captured.begin_task(task, &tally, end);
            let run = receiver.run_tasks(limit, begin);
            match catches {
                true => FaultyWaiter::new(run.catch_panics().map(|()| None)),
                false => FaultyWaiter::new(run.map(|()| None)),
            }
        }
    }
}

fn channel(running: Running) -> (Sender<FaultyItem>, TaskReceiver<FaultyItem>) {
    match running.pool {
        Pool::Run | Pool::RunTasks => tollgate::tasks(2),
        Pool::RunRequeued => Requeued::channel(2),
    }
}

fn run(running: Running, faults: &[Fault]) -> Outcome {
    let tally = Tally::new();
    let (sender, receiver) = channel(running);
    let monitor = sender.monitor();
    if running.failed {
        assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
        drop(receiver.try_recv().unwrap().fail(Reason::of(&tally)));
    }
    let mut waiter = pool(running, receiver, tally.clone());
    if running.act != Act::Begin {
        // It runs, or waits for items.
        if running.end != End::Never {
            assert!(waiter.poll().is_pending());
        }
    }
    for _ in 0..2 {
        assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
    }
    if running.act != Act::Begin && running.end == End::Never {
        assert!(waiter.poll().is_pending());
    }
    if running.closed {
        sender.close();
    }
    let mut waiters = Vec::new();
    for _ in 0..running.waiters {
        waiters.extend(FaultyWaiter::if_waiting(monitor.join().map(|_| None)));
        waiters.extend(FaultyWaiter::if_waiting(monitor.finished().map(|_| None)));
        waiters.extend(FaultyWaiter::if_waiting(monitor.failed().map(|_| None)));
        waiters.extend(FaultyWaiter::if_waiting(sender.closed().map(|()| None)));
        waiters.extend(FaultyWaiter::if_waiting(
            sender.send(FaultyItem::of(&tally)).map(|_| None),
        ));
    }

    set_unwinding(running.unwinding);
    set_containing(running.catches);
    arm(faults);
    match running.act {
        Act::Begin => drop(waiter.poll()),
        Act::Move => {
            waiter.replace_waker();
            let _ = waiter.poll();
        }
        Act::Drop => waiter.drop_future(),
        Act::Crash => drop_in_panic(waiter.take_future()),
    }
    let outcome = disarm();
    set_containing(false);
    set_unwinding(false);

    // That drops the last receiver.
    waiter.drop_future();
    run_until_idle(&mut waiters);
    for (index, waiter) in waiters.iter().enumerate() {
        assert!(waiter.is_done(), "number {index} still waits");
    }
    expect_to_add_up(&monitor);
    waiters.push(waiter);
    assert!(
        waiters.iter().all(FaultyWaiter::has_all_wakers),
        "a waker leaks"
    );
    drop(waiters);
    drop((sender, monitor));
    expect_each_dropped_once(&tally);
    outcome
}
