//! A channel that is freed by a call, with what users have left in it.

use futures_util::FutureExt;

use super::faults::Ashes;
use super::faults::Bomb;
use super::faults::Fuse;
use super::faults::Player;
use super::faults::Reason;
use super::faults::arm;
use super::faults::call;
use super::faults::disarm;
use super::faults::let_go;
use super::faults::unwind_meanwhile;
use super::matrix::Name;
use super::matrix::expect_each_dropped_once;
use super::matrix::with_name;
use crate::common::AnyReceiver;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::Requeued;
use crate::common::Tally;
use crate::common::Tasks;

/// What is the last to go.
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

/// One way of being freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freeing {
    kind: Name,
    last: Last,
    /// Whether a task has failed before, and its error is still there.
    failed: bool,
    /// Whether waiters have been forgotten, and their wakers are still there.
    forgotten: bool,
    unwinding: bool,
}

impl Freeing {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for kind in [Name::Plain, Name::Tasks, Name::Requeued] {
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

    pub(crate) fn run(self, fuses: &[Fuse]) -> Ashes {
        with_name((self, fuses), || match self.kind {
            Name::Plain => run::<Plain>(self, fuses),
            Name::Tasks => run::<Tasks>(self, fuses),
            Name::Requeued => run::<Requeued>(self, fuses),
        })
    }
}

fn run<K: Kind>(freeing: Freeing, fuses: &[Fuse]) -> Ashes {
    let tally = Tally::new();
    let bomb = || Bomb::of(&tally);
    let reason = || Reason::of(&tally);
    let (sender, receiver) = K::channel::<Bomb>(2);
    let monitor = sender.monitor();
    if freeing.failed {
        assert!(sender.try_send(bomb()).is_ok());
        drop(receiver.try_recv().unwrap().fail(reason()));
    }
    let mut task = None;
    if freeing.is_task() {
        assert!(sender.try_send(bomb()).is_ok());
        task = receiver.try_recv().ok();
    } else {
        for _ in 0..2 {
            assert!(sender.try_send(bomb()).is_ok());
        }
    }
    // One for each seat: event-listener keeps what is forgotten in a crowd.
    let mut players = Vec::new();
    if freeing.forgotten {
        if freeing.is_task() {
            players.push(Player::waiting(receiver.recv().map(|_| None)));
        }
        players.extend(Player::if_waiting(sender.closed().map(|_| None)));
        players.extend(Player::if_waiting(monitor.join().map(|_| None)));
        players.extend(Player::if_waiting(monitor.finished().map(|_| None)));
    }
    let players: Vec<_> = players.into_iter().map(Player::forgotten).collect();

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

    unwind_meanwhile(freeing.unwinding);
    arm(fuses);
    match last {
        Last::Sender => let_go(sender),
        Last::Receiver => let_go(receiver),
        Last::Monitor => let_go(monitor),
        Last::Handles => let_go((monitor, receiver, sender)),
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
        Last::TaskDrop => let_go(task),
        Last::TicketDone => drop(call(|| ticket().done())),
        Last::TicketFail => {
            let reason = reason();
            call(|| ticket().fail(reason));
        }
        Last::TicketDrop => let_go(ticket()),
    }
    let ashes = disarm();
    unwind_meanwhile(false);
    drop(parts);
    assert!(players.iter().all(Player::has_all_wakers), "a waker leaks");
    expect_each_dropped_once(&tally);
    ashes
}
