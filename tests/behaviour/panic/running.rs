//! Panics in a pool inside one future: `TaskReceiver::run`.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use futures_util::FutureExt;
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
use super::faults::set_unwinding;
use super::matrix::expect_each_dropped_once;
use super::matrix::expect_to_add_up;
use super::matrix::with_name;
use crate::common::Item;
use crate::common::Tally;

/// How the futures of the pool end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ok,
    Err,
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
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for end in [End::Ok, End::Err, End::Never] {
            for act in [Act::Begin, Act::Move, Act::Drop, Act::Crash] {
                for limit in [1, 3] {
                    for (closed, failed) in [(false, false), (false, true), (true, false)] {
                        for waiters in [0, 2] {
                            for unwinding in [false, true] {
                                all.push(Self {
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
            }
        }
        all.retain(|it| !(it.act == Act::Crash && it.unwinding));
        all
    }

    pub(crate) fn run(self, faults: &[Fault]) -> Outcome {
        with_name((self, faults), || run(self, faults))
    }
}

/// The future for an item.
struct Job {
    item: Option<Item>,
    tally: Tally,
    end: End,
}

impl Future for Job {
    type Output = Result<(), Reason>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        may_panic(Site::JobPoll);
        match self.end {
            End::Ok => Poll::Ready(Ok(())),
            End::Err => Poll::Ready(Err(Reason::of(&self.tally))),
            End::Never => Poll::Pending,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.item = None;
        may_panic(Site::JobDrop);
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
            tally: tally.clone(),
            end,
        }
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
) -> impl Future<Output = Option<FaultyItem>> {
    let captured = Captured;
    let limit = NonZeroUsize::new(running.limit).unwrap();
    let begin = move |new_item| captured.begin(new_item, &tally, running.end);
    receiver.run(limit, begin).map(|()| None)
}

fn run(running: Running, faults: &[Fault]) -> Outcome {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    if running.failed {
        assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
        drop(receiver.try_recv().unwrap().fail(Reason::of(&tally)));
    }
    let mut waiter = FaultyWaiter::new(pool(running, receiver, tally.clone()));
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
