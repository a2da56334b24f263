//! Everything that can be done with a channel in which user code may panic, with everybody waiting.

#![allow(dead_code)] // Each test binary uses a part.

use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use futures_util::FutureExt;
use futures_util::StreamExt;
use tollgate::Monitor;
use tollgate::Report;
use tollgate::Sender;

use super::faults::Ashes;
use super::faults::Bomb;
use super::faults::Fuse;
use super::faults::Player;
use super::faults::Reason;
use super::faults::arm;
use super::faults::call;
use super::faults::crash_with;
use super::faults::disarm;
use super::faults::let_go;
use super::faults::run_to_rest;
use super::faults::unwind_meanwhile;
use crate::common::AnyReceiver;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::Requeued;
use crate::common::Tally;
use crate::common::Tasks;
use crate::common::assert_adds_up;
use crate::common::now;

/// A kind of channel, by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Name {
    Plain,
    Tasks,
    Requeued,
}

/// What waits at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Receivers, for the channel is empty.
    Empty,
    /// Senders, for it is full.
    Full,
    /// Receivers, for tasks are in hand, and the channel is closed.
    Closed,
}

/// What is done while something panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    TrySend,
    Send,
    TryRecv,
    Recv,
    Stream,
    /// One more comes to wait.
    WaitToo,
    /// All waiters are polled with other wakers.
    ReplaceWakers,
    /// A wake goes to the first, and the second is polled.
    PollOutOfTurn,
    Close,
    /// And what is handed back is dropped.
    CloseNow,
    CloseNowAndCount,
    CloseNowAndKeepLast,
    DropLastSender,
    DropLastReceiver,
    DropWaiters,
    DropEverything,
    Done,
    Fail,
    Retry,
    RetryOrFail,
    /// No attempt is left, or no receiver.
    RefusedRetry,
    FollowUp,
    Abandon,
    /// No attempt is left, or no receiver.
    RefusedAbandon,
    TicketDone,
    TicketFail,
    TicketDrop,
    /// A panic drops tasks, waiters and handles.
    Unwind,
    /// A panic drops what was handed back.
    UnwindDrained,
}

const ACTS: [Act; 29] = [
    Act::TrySend,
    Act::Send,
    Act::TryRecv,
    Act::Recv,
    Act::Stream,
    Act::WaitToo,
    Act::ReplaceWakers,
    Act::PollOutOfTurn,
    Act::Close,
    Act::CloseNow,
    Act::CloseNowAndCount,
    Act::CloseNowAndKeepLast,
    Act::DropLastSender,
    Act::DropLastReceiver,
    Act::DropWaiters,
    Act::DropEverything,
    Act::Done,
    Act::Fail,
    Act::Retry,
    Act::RetryOrFail,
    Act::RefusedRetry,
    Act::FollowUp,
    Act::Abandon,
    Act::RefusedAbandon,
    Act::TicketDone,
    Act::TicketFail,
    Act::TicketDrop,
    Act::Unwind,
    Act::UnwindDrained,
];

impl Act {
    /// Whether it is about tasks in hand.
    fn ends_tasks(self) -> bool {
        ACTS.iter().position(|it| *it == self) >= ACTS.iter().position(|it| *it == Act::Done)
            && self != Act::Unwind
            && self != Act::UnwindDrained
    }
}

/// One act, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) kind: Name,
    pub(crate) stage: Stage,
    pub(crate) capacity: usize,
    /// How many wait for each thing: in the seat, and in the crowd.
    pub(crate) waiters: usize,
    /// Whether a task has failed before.
    pub(crate) failed: bool,
    pub(crate) act: Act,
    /// Whether each call is made by a destructor while the thread unwinds.
    pub(crate) unwinding: bool,
}

impl Setup {
    /// All setups of a kind of channel.
    pub(crate) fn all(kind: Name) -> Vec<Self> {
        let mut all = Vec::new();
        for stage in [Stage::Empty, Stage::Full, Stage::Closed] {
            for (capacity, waiters) in [(1, 1), (1, 3), (2, 0), (2, 1), (2, 3)] {
                for failed in [false, true] {
                    for act in ACTS {
                        for unwinding in [false, true] {
                            all.push(Self {
                                kind,
                                stage,
                                capacity,
                                waiters,
                                failed,
                                act,
                                unwinding,
                            });
                        }
                    }
                }
            }
        }
        all.retain(Self::makes_sense);
        all
    }

    /// Whether user code runs while the thread unwinds, though it has not panicked before.
    pub(crate) fn unwinds(&self) -> bool {
        self.unwinding || self.crashes()
    }

    fn crashes(&self) -> bool {
        matches!(self.act, Act::Unwind | Act::UnwindDrained)
    }

    fn makes_sense(&self) -> bool {
        let is_plain = self.kind == Name::Plain;
        let refused = matches!(self.act, Act::RefusedRetry | Act::RefusedAbandon);
        // An orphan has no receiver that could wait.
        let orphaned = refused && self.kind == Name::Tasks;
        // A plain item is the user's when it is received.
        !(is_plain && (self.failed || self.act.ends_tasks()))
            && !(orphaned && self.stage != Stage::Full)
            && !(self.crashes() && self.unwinding)
    }

    /// Does it, and proves that it costs no other anything.
    pub(crate) fn run(self, fuses: &[Fuse]) -> Ashes {
        with_name((self, fuses), || match self.kind {
            Name::Plain => run::<Plain>(self, fuses),
            Name::Tasks => run::<Tasks>(self, fuses),
            Name::Requeued => run::<Requeued>(self, fuses),
        })
    }
}

/// Runs a case, which is named if it fails.
pub(crate) fn with_name<R>(name: impl Debug, run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        eprintln!("failed: {name:?}");
        resume_unwind(panic);
    })
}

/// The handles that the players use.
struct Own<K: Kind> {
    sender: Option<Sender<Bomb>>,
    receiver: Option<K::Receiver<Bomb>>,
    monitor: Monitor<Bomb>,
}

impl<K: Kind> Own<K> {
    fn send(&self, item: Bomb) -> impl Future<Output = Option<Bomb>> + '_ {
        send(self.sender.as_ref().unwrap(), item)
    }

    fn recv(&self) -> impl Future<Output = Option<Bomb>> + '_ {
        recv(self.receiver.as_ref().unwrap())
    }

    /// All waiters at first.
    fn players(&self, setup: Setup, item: impl Fn() -> Bomb) -> Vec<Player<'_>> {
        let mut players = Vec::new();
        for _ in 0..setup.waiters {
            if let Some(sender) = &self.sender {
                players.push(Player::if_waiting(self.send(item())));
                players.push(Player::if_waiting(sender.closed().map(|()| None)));
            }
            if self.receiver.is_some() {
                players.push(Player::if_waiting(self.recv()));
            }
            let monitor = &self.monitor;
            players.push(Player::if_waiting(monitor.join().map(|_| None)));
            players.push(Player::if_waiting(monitor.finished().map(|_| None)));
            players.push(Player::if_waiting(monitor.failed().map(|_| None)));
        }
        if let (Some(receiver), 1..) = (&self.receiver, setup.waiters) {
            players.push(Player::if_waiting(stream(receiver.clone())));
        }
        players.into_iter().flatten().collect()
    }
}

fn send(sender: &Sender<Bomb>, item: Bomb) -> impl Future<Output = Option<Bomb>> + '_ {
    let send = sender.send(item);
    send.map(|result| result.err().map(|error| error.into_inner()))
}

fn recv<R: AnyReceiver<Bomb>>(receiver: &R) -> impl Future<Output = Option<Bomb>> + '_ {
    receiver.recv().map(|given| given.ok().map(Given::end))
}

fn stream<R: AnyReceiver<Bomb>>(receiver: R) -> impl Future<Output = Option<Bomb>> {
    let next = receiver.into_future();
    next.map(|(given, _receiver)| given.map(Given::end))
}

/// Comes, is polled once, and goes.
fn visit<'a>(future: impl Future<Output = Option<Bomb>> + 'a) -> Player<'static> {
    let mut player = Player::new(future);
    let _ = player.poll();
    player.gone()
}

fn run<K: Kind>(setup: Setup, fuses: &[Fuse]) -> Ashes {
    let Setup {
        stage,
        capacity,
        act,
        ..
    } = setup;
    let tally = Tally::new();
    let bomb = || Bomb::of(&tally);
    let reason = || Reason::of(&tally);
    let (sender, receiver) = K::channel::<Bomb>(capacity);
    let monitor = sender.monitor();

    if setup.failed {
        assert!(sender.try_send(bomb()).is_ok());
        drop(receiver.try_recv().unwrap().fail(reason()));
    }
    // Two tasks in hand.
    let mut hand = Vec::new();
    for _ in 0..2 {
        assert!(sender.try_send(bomb()).is_ok());
        hand.push(receiver.try_recv().unwrap());
    }
    let is_refused = matches!(act, Act::RefusedRetry | Act::RefusedAbandon);
    if is_refused && setup.kind == Name::Requeued {
        hand.drain(..).for_each(Given::retry);
        hand.extend([(); 2].map(|()| receiver.try_recv().unwrap()));
    }
    if stage == Stage::Full {
        while sender.try_send(bomb()).is_ok() {}
    }
    if stage == Stage::Closed {
        sender.close();
    }
    let own = Own::<K> {
        sender: (stage == Stage::Full).then(|| sender.clone()),
        receiver: (stage != Stage::Full).then(|| receiver.clone()),
        monitor: sender.monitor(),
    };
    let mut players = own.players(setup, bomb);
    let mut sender = Some(sender);
    let mut receiver = Some(receiver);
    if is_refused && setup.kind == Name::Tasks {
        receiver = None;
    }
    if act == Act::PollOutOfTurn {
        match stage {
            Stage::Empty => assert!(sender.as_ref().unwrap().try_send(bomb()).is_ok()),
            Stage::Full => drop(receiver.as_ref().unwrap().take_one()),
            Stage::Closed => {}
        }
    }

    // No fuse is armed while a result is dropped, for that is done by the user.
    let mut visitors = Vec::new();
    unwind_meanwhile(setup.unwinding);
    arm(fuses);
    match act {
        Act::TrySend => {
            let item = bomb();
            call(|| sender.as_ref().unwrap().try_send(item));
        }
        Act::Send => visitors.push(visit(send(sender.as_ref().unwrap(), bomb()))),
        Act::TryRecv => {
            let given = call(|| receiver.as_ref().unwrap().try_recv());
            if let Some(Ok(given)) = given {
                call(|| given.end());
            }
        }
        Act::Recv => visitors.push(visit(recv(receiver.as_ref().unwrap()))),
        Act::Stream => visitors.push(visit(stream(receiver.clone().unwrap()))),
        Act::WaitToo => {
            let first = players.len();
            players.push(Player::new(match stage {
                Stage::Full => own.send(bomb()).boxed_local(),
                Stage::Empty | Stage::Closed => own.recv().boxed_local(),
            }));
            players.push(Player::new(own.monitor.finished().map(|_| None)));
            for player in &mut players[first..] {
                let _ = player.poll();
            }
        }
        Act::ReplaceWakers => {
            for player in &mut players {
                player.replace_waker();
                let _ = player.poll();
            }
        }
        Act::PollOutOfTurn => {
            for player in players.iter_mut().skip(1) {
                let _ = player.poll();
            }
        }
        Act::Close => drop(call(|| monitor.close())),
        Act::CloseNow => {
            let drained = call(|| monitor.close_now());
            let_go(drained);
        }
        Act::CloseNowAndCount => {
            let drained = call(|| monitor.close_now());
            call(|| drained.map(Iterator::count));
        }
        Act::CloseNowAndKeepLast => {
            let drained = call(|| monitor.close_now());
            call(|| drained.map(Iterator::last));
        }
        Act::DropLastSender => let_go(sender.take()),
        Act::DropLastReceiver => let_go(receiver.take()),
        Act::DropWaiters => players.iter_mut().rev().for_each(Player::leave),
        Act::DropEverything => {
            let futures: Vec<_> = players.iter_mut().map(Player::take_future).collect();
            let_go((receiver.take(), futures, sender.take()));
        }
        Act::Done => {
            for given in hand.drain(..) {
                call(|| given.end());
            }
        }
        Act::Fail => {
            for given in hand.drain(..) {
                let reason = reason();
                call(|| given.fail(reason));
            }
        }
        Act::Retry => {
            for given in hand.drain(..) {
                call(|| given.retry());
            }
        }
        Act::RetryOrFail | Act::RefusedRetry => {
            for given in hand.drain(..) {
                let reason = reason();
                call(|| given.retry_or_fail(reason));
            }
        }
        Act::FollowUp => {
            for given in &hand {
                let item = bomb();
                call(|| given.follow_up(item));
            }
        }
        Act::Abandon | Act::RefusedAbandon => let_go(std::mem::take(&mut hand)),
        Act::TicketDone | Act::TicketFail | Act::TicketDrop => {
            let parts: Vec<_> = hand.drain(..).map(Given::split).collect();
            for (_item, ticket) in parts {
                let (ticket, reason) = (ticket.unwrap(), reason());
                match act {
                    Act::TicketDone => drop(call(|| ticket.done())),
                    Act::TicketFail => drop(call(|| ticket.fail(reason))),
                    _ => let_go(ticket),
                }
            }
        }
        Act::Unwind => {
            let futures: Vec<_> = players.iter_mut().map(Player::take_future).collect();
            let tasks = match setup.kind {
                Name::Plain => Vec::new(),
                _ => std::mem::take(&mut hand),
            };
            crash_with((sender.take(), tasks, futures, receiver.take()));
        }
        Act::UnwindDrained => {
            let drained = monitor.close_now();
            crash_with(drained);
        }
    }
    let ashes = disarm();
    unwind_meanwhile(false);
    if receiver.is_none() && own.receiver.is_none() {
        assert_eq!(monitor.stats().queued, 0, "not dropped at once");
    }
    run_to_rest(&mut players);

    // The end: all hear of it, and everything is accounted for.
    hand.clear();
    drop(sender);
    monitor.close();
    if let Some(receiver) = receiver.or(own.receiver.clone()) {
        while receiver.take_one().is_ok() {}
    }
    run_to_rest(&mut players);
    for (index, player) in players.iter().enumerate() {
        assert!(player.is_over(), "number {index} still waits");
    }
    expect_to_add_up(&monitor);
    players.extend(visitors);
    assert!(players.iter().all(Player::has_all_wakers), "a waker leaks");
    drop(players);
    drop(own);
    drop(monitor);
    expect_each_dropped_once(&tally);
    ashes
}

/// The channel is finished, and its report adds up.
pub(crate) fn expect_to_add_up<T>(monitor: &Monitor<T>) -> Report {
    let report = match now(monitor.finished()) {
        Ok(report) => report,
        Err(error) => error.report,
    };
    assert_adds_up(&report);
    report
}

pub(crate) fn expect_each_dropped_once(tally: &Tally) {
    for (id, drops) in tally.drops().into_iter().enumerate() {
        assert_eq!(drops, 1, "drops of item {id}");
    }
}
