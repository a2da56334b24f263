//! A call that frees a channel while values of its users are still in it.

use futures_util::FutureExt;

use super::faults::Fault;
use super::faults::FaultyItem;
use super::faults::FaultyWaiter;
use super::faults::Outcome;
use super::faults::Reason;
use super::faults::arm;
use super::faults::call;
use super::faults::disarm;
use super::faults::drop_in_call;
use super::faults::set_unwinding;
use super::matrix::Name;
use super::matrix::expect_each_dropped_once;
use super::matrix::with_name;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Measured;
use crate::common::Plain;
use crate::common::Requeued;
use crate::common::Tally;
use crate::common::Tasks;

/// What is dropped last.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Last {
    Sender,
    Receiver,
    Monitor,
    /// All handles at once.
    Handles,
    TaskDone,
    TaskFail,
    TaskRetry,
    TaskRetryOrFail,
    TaskDrop,
    TicketDone,
    TicketFail,
    TicketDrop,
}

const LASTS: [Last; 12] = [
    Last::Sender,
    Last::Receiver,
    Last::Monitor,
    Last::Handles,
    Last::TaskDone,
    Last::TaskFail,
    Last::TaskRetry,
    Last::TaskRetryOrFail,
    Last::TaskDrop,
    Last::TicketDone,
    Last::TicketFail,
    Last::TicketDrop,
];

/// One way to free a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freeing {
    kind: Name,
    last: Last,
    /// Whether a task has failed before, and its error is still kept.
    failed: bool,
    /// Whether waiters were leaked, and their wakers are still registered.
    forgotten: bool,
    unwinding: bool,
}

impl Freeing {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for kind in [Name::Plain, Name::Tasks, Name::Requeued, Name::Measured] {
            for last in LASTS {
                for failed in [false, true] {
                    for forgotten in [false, true] {
                        for unwinding in [false, true] {
                            all.push(Self {
                                kind,
                                last,
                                failed,
                                forgotten,
                                unwinding,
                            });
                        }
                    }
                }
            }
        }
        all.retain(|it| it.kind != Name::Plain || !(it.failed || it.is_task()));
        all
    }

    fn is_task(&self) -> bool {
        let handles = [Last::Sender, Last::Receiver, Last::Monitor, Last::Handles];
        !handles.contains(&self.last)
    }

    pub(crate) fn run(self, faults: &[Fault]) -> Outcome {
        with_name((self, faults), || match self.kind {
            Name::Plain => run::<Plain>(self, faults),
            Name::Tasks => run::<Tasks>(self, faults),
            Name::Requeued => run::<Requeued>(self, faults),
            Name::Measured => run::<Measured>(self, faults),
        })
    }
}

fn run<K: Kind<FaultyItem>>(freeing: Freeing, faults: &[Fault]) -> Outcome {
    let tally = Tally::new();
    let new_item = || FaultyItem::of(&tally);
    let reason = || Reason::of(&tally);
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    if freeing.failed {
        assert!(sender.try_send(new_item()).is_ok());
        drop(receiver.try_recv().unwrap().fail(reason()));
    }
    let mut task = None;
    if freeing.is_task() {
        assert!(sender.try_send(new_item()).is_ok());
        task = receiver.try_recv().ok();
    } else {
        for _ in 0..2 {
            assert!(sender.try_send(new_item()).is_ok());
        }
    }
    // One for each front slot: event-listener leaks the waiters behind it.
    let mut waiters = Vec::new();
    if freeing.forgotten {
        if freeing.is_task() {
            waiters.push(FaultyWaiter::waiting(receiver.recv().map(|_| None)));
        }
        waiters.extend(FaultyWaiter::if_waiting(sender.closed().map(|_| None)));
        waiters.extend(FaultyWaiter::if_waiting(monitor.join().map(|_| None)));
        waiters.extend(FaultyWaiter::if_waiting(monitor.finished().map(|_| None)));
    }
    let waiters: Vec<_> = waiters.into_iter().map(FaultyWaiter::forgotten).collect();

    let (mut sender, mut receiver, mut monitor) = (Some(sender), Some(receiver), Some(monitor));
    let last = freeing.last;
    let stays = |it| last == it || last == Last::Handles;
    sender = sender.filter(|_| stays(Last::Sender));
    monitor = monitor.filter(|_| stays(Last::Monitor));
    receiver = receiver.filter(|_| stays(Last::Receiver));
    let mut parts = None;
    if let Last::TicketDone | Last::TicketFail | Last::TicketDrop = last {
        parts = task.take().map(Given::split);
    }
    let mut ticket = || {
        parts
            .as_mut()
            .and_then(|(_, ticket)| ticket.take())
            .unwrap()
    };

    set_unwinding(freeing.unwinding);
    arm(faults);
    match last {
        Last::Sender => drop_in_call(sender),
        Last::Receiver => drop_in_call(receiver),
        Last::Monitor => drop_in_call(monitor),
        Last::Handles => drop_in_call((monitor, receiver, sender)),
        Last::TaskDone => drop(call(|| task.unwrap().end())),
        Last::TaskFail => {
            let reason = reason();
            call(|| task.unwrap().fail(reason));
        }
        Last::TaskRetry => drop(call(|| task.unwrap().retry())),
        Last::TaskRetryOrFail => {
            let reason = reason();
            call(|| task.unwrap().retry_or_fail(reason));
        }
        Last::TaskDrop => drop_in_call(task),
        Last::TicketDone => drop(call(|| ticket().done())),
        Last::TicketFail => {
            let reason = reason();
            call(|| ticket().fail(reason));
        }
        Last::TicketDrop => drop_in_call(ticket()),
    }
    let outcome = disarm();
    set_unwinding(false);
    drop(parts);
    assert!(
        waiters.iter().all(FaultyWaiter::has_all_wakers),
        "a waker leaks"
    );
    expect_each_dropped_once(&tally);
    outcome
}
