//! Dropping a future or stream at any point loses neither an item nor a wake: every operation is
//! dropped at every point, with every event before it and every kind of other waiter.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::future::pending;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::task::Poll;

use futures_util::Stream;
use futures_util::StreamExt;
use tollgate::Monitor;
use tollgate::SendError;
use tollgate::SendUntilError;
use tollgate::Sender;
use tollgate::TryRecvError;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Tasks;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::take_one;
use crate::world::Op;
use crate::world::World;

/// When the future is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    NeverPolled,
    Pending,
    /// Woken and not polled since.
    Notified,
    Completed,
}

/// What happens just before the drop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    Send,
    /// A send that evicts what is queued.
    ForceSend,
    Recv,
    /// A queued item is received and retried. On a plain channel, it is only received.
    Retry,
    Close,
    CloseNow,
    /// A sender ends with an error. There are others.
    FailSender,
    LastHandle,
    AnotherCancel,
}

/// Which other waiters wait for the same, behind the cancelled one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    None,
    One,
    /// One that is leaked, so it is never polled again, and one behind it.
    Forgotten,
}

/// Where the cancelled future waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Seat,
    Crowd,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    op: Op,
    point: Point,
    event: Event,
    other: Other,
    place: Place,
}

const OPS: [Op; 16] = [
    Op::Send,
    Op::SendUntil,
    Op::SendFrom,
    Op::Ready,
    Op::PollReady,
    Op::SendMany,
    Op::Recv,
    Op::RecvUntil,
    Op::RecvMany,
    Op::Stream,
    Op::BorrowedStream,
    Op::OwnedStream,
    Op::Closed,
    Op::Join,
    Op::Finished,
    Op::Failed,
];
const POINTS: [Point; 4] = [
    Point::NeverPolled,
    Point::Pending,
    Point::Notified,
    Point::Completed,
];
const EVENTS: [Event; 10] = [
    Event::Nothing,
    Event::Send,
    Event::ForceSend,
    Event::Recv,
    Event::Retry,
    Event::Close,
    Event::CloseNow,
    Event::FailSender,
    Event::LastHandle,
    Event::AnotherCancel,
];
const OTHERS: [Other; 3] = [Other::None, Other::One, Other::Forgotten];
const PLACES: [Place; 2] = [Place::Seat, Place::Crowd];

#[test]
fn every_cancellation_loses_no_item_or_wake() {
    let _watchdog = Watchdog::start();
    let mut cases = 0;
    for op in OPS {
        for point in POINTS {
            for event in EVENTS {
                for other in OTHERS {
                    for place in PLACES {
                        let case = Case {
                            op,
                            point,
                            event,
                            other,
                            place,
                        };
                        run::<Tasks>(case);
                        run::<Plain>(case);
                        cases += 2;
                    }
                }
            }
        }
    }
    println!("{cases} cases");
    assert_eq!(cases, 16 * 2 * 4 * 10 * 3 * 2);
}

#[expect(clippy::large_enum_variant, reason = "items are large on purpose")]
enum Outcome {
    Sent,
    Refused,
    Received(Item),
    Ended,
    Notified,
}

/// A case, and the channel it uses.
struct Scene<'a, K: Kind<Item>> {
    case: Case,
    world: &'a World<K>,
}

impl<K: Kind<Item>> Scene<'_, K> {
    /// Retries what is queued.
    fn retry(&self) {
        let Some(given) = self.world.receive() else {
            return;
        };
        let id = given.peek().id;
        given.retry();
        if self.world.monitor.stats().report.retried == 0 {
            self.world.record_delivered(id);
        }
    }

    fn record(&self, outcome: Outcome) {
        match outcome {
            Outcome::Sent => self.world.record_accepted(),
            Outcome::Received(item) => self.world.record_delivered(item.id),
            Outcome::Refused | Outcome::Ended | Outcome::Notified => {}
        }
    }

    /// Whether the operation would be ready now.
    fn is_ready(&self) -> bool {
        let monitor = &self.world.monitor;
        let stats = monitor.stats();
        match self.case.op {
            op if op.waits_for_room() => stats.closed || stats.queued == 0,
            op if op.receives() => stats.closed || stats.queued > 0,
            Op::Closed => stats.closed,
            Op::Join => monitor.outstanding() == 0,
            Op::Finished => stats.closed && monitor.outstanding() == 0,
            Op::Failed => {
                let report = stats.report;
                report.abandoned + report.discarded + report.failed_senders > 0
                    || stats.closed && monitor.outstanding() == 0
            }
            op => unreachable!("{op:?} sends or receives"),
        }
    }

    /// Makes what the operation waits for happen anew, for a waiter.
    fn grant(&self) {
        let op = self.case.op;
        if op.waits_for_room() {
            self.world.put();
        } else if op.receives() {
            self.world.take();
        }
        self.world.grant(op);
    }

    fn apply_event(&self, another: Option<Waiter<'_, Outcome>>) {
        let world = self.world;
        match self.case.event {
            Event::Nothing => {}
            Event::Send => world.put(),
            Event::ForceSend => world.force(),
            Event::Recv => drop(world.take()),
            Event::Retry => self.retry(),
            Event::Close => drop(world.monitor.close()),
            Event::CloseNow => world.monitor.close_now().for_each(drop),
            Event::FailSender => world.fail_sender(),
            Event::LastHandle if self.case.op.receives() => world.drop_sender(),
            Event::LastHandle => world.drop_receiver(),
            Event::AnotherCancel => drop(another),
        }
    }

    /// Checks that the waiter behind the cancelled one gets what it waits for, with no more wakes
    /// than it is due.
    fn satisfy(&self, mut witness: Waiter<'_, Outcome>, forgotten: Option<CountingWaker>) {
        let case = self.case;
        let wakes_one = case.op.waits_for_room() || case.op.receives();
        let absorbed = forgotten.is_some_and(|it| it.wakes() > 0) && wakes_one;
        if self.is_ready() && !absorbed {
            assert!(witness.wakes() > 0, "a wake was lost: {case:?}");
        }
        // The forgotten waiter may absorb one grant; the next must reach the witness.
        for _ in 0..2 {
            if witness.wakes() == 0 {
                self.grant();
            }
        }
        let mut seen = witness.wakes();
        assert!(seen > 0, "a waiter was stranded: {case:?}");
        let outcome = match witness.poll() {
            Poll::Ready(outcome) => outcome,
            // Woken too late: it waits anew.
            Poll::Pending => {
                assert!(!self.is_ready(), "{case:?}");
                seen = witness.wakes();
                self.grant();
                assert!(witness.wakes() > seen, "not woken again: {case:?}");
                let Poll::Ready(outcome) = witness.poll() else {
                    panic!("woken for nothing: {case:?}");
                };
                outcome
            }
        };
        self.record(outcome);
    }

    /// Checks that an open channel still sends, receives and joins.
    fn check_use(&self) {
        let case = self.case;
        let world = self.world;
        while world.take() {}
        let (Some(sender), Some(receiver)) = (world.sender(), world.receiver()) else {
            return;
        };
        if sender.is_closed() {
            return;
        }
        let mut recv = Waiter::waiting(receiver.recv());
        world.put();
        assert_eq!(recv.wakes(), 1, "{case:?}");
        let Poll::Ready(Ok(given)) = recv.poll() else {
            panic!("a receiver was woken for nothing: {case:?}");
        };
        world.record_delivered(given.end().id);

        world.put();
        let mut send = Waiter::waiting(sender.send(world.tally.item()));
        let mut join = Waiter::waiting(world.monitor.join());
        world.take();
        assert_eq!(send.wakes(), 1, "{case:?}");
        assert!(matches!(send.poll(), Poll::Ready(Ok(()))), "{case:?}");
        world.record_accepted();
        world.take();
        assert!(join.wakes() > 0, "{case:?}");
        assert!(join.poll().is_ready(), "{case:?}");
    }

    /// Checks that every item was sent, delivered and dropped as often as it should be.
    fn check_items(&self, ids: Ids) {
        let case = self.case;
        let report = match now(self.world.monitor.finished()) {
            Ok(report) => report,
            Err(error) => error.report,
        };
        let delivered = self.world.delivered();
        assert_eq!(report.sent, self.world.accepted(), "{case:?}");
        let count = delivered.len() as u64;
        assert_eq!(report.received, count + report.retried, "{case:?}");
        let lost = report.evicted + report.discarded;
        assert_eq!(report.sent, count + lost, "{case:?}");

        let once: BTreeSet<_> = delivered.iter().collect();
        assert_eq!(once.len(), delivered.len(), "twice: {case:?}");
        if let Some(id) = ids.subject {
            let sent = case.point == Point::Completed;
            let may_be_discarded = matches!(
                case.event,
                Event::LastHandle | Event::CloseNow | Event::ForceSend
            );
            let delivered = once.contains(&id);
            assert!(!delivered || sent, "delivered though cancelled: {case:?}");
            assert!(delivered || !sent || may_be_discarded, "lost: {case:?}");
        }
        for (id, drops) in self.world.tally.drops().into_iter().enumerate() {
            let expected = u32::from(Some(id) != ids.forgotten);
            assert_eq!(drops, expected, "drops of item {id}: {case:?}");
        }
    }
}

fn run<K: Kind<Item>>(case: Case) {
    let world = World::<K>::new(1);
    let scene = Scene {
        case,
        world: &world,
    };
    // The waiters have handles of their own, so that the world's may be the last of its side.
    let own = Own::<K> {
        sender: (case.op.waits_for_room() || case.op == Op::Closed)
            .then(|| world.sender())
            .flatten(),
        receiver: case.op.receives().then(|| world.receiver()).flatten(),
        monitor: world.monitor.clone(),
    };
    if !case.op.receives() && case.op != Op::Closed {
        world.put();
    }
    let ids = play(&scene, &own);
    scene.check_use();
    world.monitor.close();
    while world.take() {}
    drop(own);
    world.drop_sender();
    world.drop_receiver();
    scene.check_items(ids);
}

/// The handles that the waiters use.
struct Own<K: Kind<Item>> {
    sender: Option<Sender<Item>>,
    receiver: Option<ReceiverOf<K, Item>>,
    monitor: Monitor<Item>,
}

/// The items that wait with a sender, if any.
struct Ids {
    subject: Option<usize>,
    forgotten: Option<usize>,
}

/// Plays the case; all its waiters complete or are dropped.
fn play<K: Kind<Item>>(scene: &Scene<'_, K>, own: &Own<K>) -> Ids {
    let Scene { case, world } = *scene;
    let tally = world.tally.clone();
    let last_id = || case.op.sends().then(|| tally.drops().len() - 1);
    let waiting = || {
        let mut waiter = own.waiter(case.op, &tally);
        assert!(waiter.poll().is_pending(), "nothing to wait for: {case:?}");
        waiter
    };

    let ahead = (case.place == Place::Crowd).then(waiting);
    let mut subject = match case.point {
        Point::NeverPolled => own.waiter(case.op, &tally),
        _ => waiting(),
    };
    let subject_id = last_id();
    let another = (case.event == Event::AnotherCancel).then(waiting);
    let forgotten = (case.other == Other::Forgotten).then(|| waiting().forget());
    let ids = Ids {
        subject: subject_id,
        forgotten: forgotten.as_ref().and_then(|_| last_id()),
    };
    let witness = (case.other != Other::None).then(waiting);
    drop(ahead);

    if matches!(case.point, Point::Notified | Point::Completed) {
        if case.op.waits_for_room() {
            // The channel is full already.
            assert!(world.take());
        } else {
            scene.grant();
        }
        assert_eq!(subject.wakes(), 1, "the first in line: {case:?}");
    }
    if case.point == Point::Completed {
        let Poll::Ready(outcome) = subject.poll() else {
            panic!("woken for nothing: {case:?}");
        };
        scene.record(outcome);
    }
    scene.apply_event(another);
    drop(subject);
    if let Some(witness) = witness {
        scene.satisfy(witness, forgotten);
    }
    ids
}

impl<K: Kind<Item>> Own<K> {
    fn waiter(&self, op: Op, tally: &Tally) -> Waiter<'_, Outcome> {
        let Self {
            sender,
            receiver,
            monitor,
        } = self;
        let sender = || sender.as_ref().unwrap();
        let receiver = || receiver.as_ref().unwrap();
        match op {
            Op::Send => {
                let send = sender().send(tally.item());
                Waiter::new(async {
                    match send.await {
                        Ok(()) => Outcome::Sent,
                        Err(SendError(_item)) => Outcome::Refused,
                    }
                })
            }
            Op::SendUntil => {
                let send = sender().send_until(tally.item(), pending::<()>());
                Waiter::new(async {
                    match send.await {
                        Ok(()) => Outcome::Sent,
                        Err(SendUntilError::Closed(_item)) => Outcome::Refused,
                        Err(SendUntilError::Stopped(..)) => unreachable!("nothing stops it"),
                    }
                })
            }
            Op::SendFrom => {
                let (sender, mut slot) = (sender(), Some(tally.item()));
                Waiter::new(async move {
                    let sent = sender.send_from(&mut slot).await;
                    assert_eq!(slot.is_none(), sent.is_ok(), "the item is sent or kept");
                    sent.map_or(Outcome::Refused, |()| Outcome::Sent)
                })
            }
            Op::Ready => {
                let ready = sender().ready();
                Waiter::new(async {
                    let _ = ready.await;
                    Outcome::Notified
                })
            }
            Op::PollReady => {
                let mut sender = sender().clone();
                Waiter::new(async move {
                    let _ = poll_fn(|cx| sender.poll_ready(cx)).await;
                    Outcome::Notified
                })
            }
            Op::SendMany => {
                let mut items = VecDeque::from([tally.item()]);
                Waiter::new(async move {
                    match sender().send_many(&mut items).await {
                        Ok(()) => Outcome::Sent,
                        Err(SendError(())) => Outcome::Refused,
                    }
                })
            }
            Op::RecvMany => Waiter::new(async move {
                let mut buf = Vec::new();
                let one = NonZeroUsize::MIN;
                let received = receiver().recv_many(&mut buf, one).await;
                received.map_or(Outcome::Ended, |_| Outcome::Received(buf.remove(0).end()))
            }),
            Op::Recv => {
                let recv = receiver().recv();
                Waiter::new(async {
                    recv.await
                        .map_or(Outcome::Ended, |given| Outcome::Received(given.end()))
                })
            }
            Op::RecvUntil => {
                let recv = receiver().recv_until(pending::<()>());
                Waiter::new(async {
                    recv.await
                        .map_or(Outcome::Ended, |given| Outcome::Received(given.end()))
                })
            }
            Op::Stream => next_of(receiver().clone()),
            Op::BorrowedStream => next_of(receiver().stream()),
            Op::OwnedStream => next_of(receiver().clone().into_stream()),
            Op::Closed => {
                let closed = sender().closed();
                Waiter::new(async {
                    closed.await;
                    Outcome::Notified
                })
            }
            Op::Join => {
                let join = monitor.join();
                Waiter::new(async {
                    let _ = join.await;
                    Outcome::Notified
                })
            }
            Op::Finished => {
                let finished = monitor.finished();
                Waiter::new(async {
                    let _ = finished.await;
                    Outcome::Notified
                })
            }
            Op::Failed => {
                let failed = monitor.failed();
                Waiter::new(async {
                    failed.await;
                    Outcome::Notified
                })
            }
        }
    }
}

/// Waits for the next item of a stream, which is dropped with the waiter.
fn next_of<'a, S>(mut stream: S) -> Waiter<'a, Outcome>
where
    S: Stream<Item: Given<Item>> + Unpin + 'a,
{
    Waiter::new(async move {
        stream
            .next()
            .await
            .map_or(Outcome::Ended, |given| Outcome::Received(given.end()))
    })
}

on_both_kinds! {
    notified_recv_dropped_wakes_next_once,
    notified_send_dropped_wakes_next_once,
    wake_passes_through_cancelled_receivers,
    notified_recv_without_item_wakes_none,
    dropped_recv_leaves_item_queued,
    woken_send_sends_nothing_before_its_poll,
    handles_are_dropped_behind_forgotten_futures,
    cancelled_waiter_releases_its_waker,
}

fn notified_recv_dropped_wakes_next_once<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut recvs: Vec<_> = (0..3).map(|_| Waiter::waiting(receiver.recv())).collect();
    sender.try_send(1).unwrap();
    assert_eq!(recvs[0].wakes(), 1);
    drop(recvs.remove(0));
    assert_eq!((recvs[0].wakes(), recvs[1].wakes()), (1, 0));
    drop(recvs.remove(0));
    assert_eq!(recvs[0].wakes(), 1);
    assert!(recvs[0].poll().is_ready());
}

fn notified_send_dropped_wakes_next_once<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..4)
        .map(|item| Waiter::waiting(sender.send(item)))
        .collect();
    take_one(&receiver).unwrap();
    assert_eq!(sends[0].wakes(), 1);
    drop(sends.remove(0));
    assert_eq!((sends[0].wakes(), sends[1].wakes()), (1, 0));
    assert!(sends[0].poll().is_ready());
    assert_eq!(sends[1].wakes(), 0);
    assert_eq!(take_one(&receiver), Ok(2));
}

fn wake_passes_through_cancelled_receivers<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut recvs: Vec<_> = (0..100).map(|_| Waiter::waiting(receiver.recv())).collect();
    sender.try_send(1).unwrap();
    for _ in 0..99 {
        assert_eq!(recvs[0].wakes(), 1);
        assert_eq!(recvs[1].wakes(), 0);
        drop(recvs.remove(0));
    }
    assert!(recvs[0].poll().is_ready());
}

fn notified_recv_without_item_wakes_none<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let first = Waiter::waiting(receiver.recv());
    let second = Waiter::waiting(receiver.recv());
    sender.try_send(1).unwrap();
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(first.wakes(), 1);
    drop(first);
    assert_eq!(second.wakes(), 0);
}

fn dropped_recv_leaves_item_queued<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let recv = Waiter::waiting(receiver.recv());
    sender.try_send(tally.item()).unwrap();
    drop(recv);
    assert_eq!(tally.dropped(), 0);
    assert_eq!(take_one(&receiver).unwrap().id, 0);
}

fn woken_send_sends_nothing_before_its_poll<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(send.wakes(), 1);
    assert!(sender.is_empty());
    assert_eq!(take_one(&receiver), Err(TryRecvError::Empty));
    assert!(send.poll().is_ready());
    assert_eq!(take_one(&receiver), Ok(2));
}

/// Forgotten futures are never dropped, but the borrow of their handles ends.
fn handles_are_dropped_behind_forgotten_futures<K: Kind<Item>>() {
    for is_full in [false, true] {
        let tally = Tally::new();
        let (sender, receiver) = K::channel(1);
        let monitor = sender.monitor();
        let mut wakers = Vec::new();
        for _ in 0..2 {
            if is_full {
                let _ = sender.try_send(tally.item());
                wakers.push(Waiter::waiting(sender.send(tally.item())).forget());
                wakers.push(Waiter::waiting(monitor.join()).forget());
            } else {
                wakers.push(Waiter::waiting(receiver.recv()).forget());
            }
            wakers.push(Waiter::waiting(sender.closed()).forget());
            wakers.push(Waiter::waiting(monitor.finished()).forget());
        }
        drop(sender);
        drop(receiver);
        assert!(wakers.iter().all(|it| it.wakes() > 0));
        let dropped = if is_full { &[1, 0, 1, 0][..] } else { &[] };
        assert_eq!(tally.drops(), dropped);
        drop(monitor);
    }
}

fn cancelled_waiter_releases_its_waker<K: Kind>() {
    let (sender, _receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(0).unwrap();
    let _ahead = Waiter::waiting(sender.send(1));
    let wakers = [(); 3].map(|()| CountingWaker::new());
    let mut send = sender.send(2);
    let mut closed = sender.closed();
    let mut join = monitor.join();
    assert!(poll(&mut send, &wakers[0]).is_pending());
    assert!(poll(&mut closed, &wakers[1]).is_pending());
    assert!(poll(&mut join, &wakers[2]).is_pending());
    assert!(wakers.iter().all(|waker| !waker.is_released()));
    drop((send, closed, join));
    assert!(wakers.iter().all(CountingWaker::is_released));
}
