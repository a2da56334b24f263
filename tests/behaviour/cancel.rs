//! Proves that a future or stream can be dropped at any point of its life without loss: every
//! operation, dropped at every point, whatever others do and whoever else waits.

use std::collections::BTreeSet;
use std::task::Poll;

use futures_util::StreamExt;
use tollgate::Monitor;
use tollgate::SendError;
use tollgate::Sender;

use crate::common::CountingWaker;
use crate::common::Inlet;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::Tally;
use crate::common::Tasks;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;

/// What is cancelled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Send,
    Recv,
    Stream,
    Closed,
    Join,
    Finished,
    Failed,
}

/// When it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    NeverPolled,
    Pending,
    /// Woken and not polled since.
    Notified,
    Completed,
}

/// What happens just before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    Send,
    Recv,
    /// What is queued is received and tried again. (On a plain channel, just received.)
    ComesBack,
    Close,
    CloseNow,
    LastHandle,
    AnotherCancel,
}

/// Who else waits for the same, behind the one that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Nobody,
    One,
    /// One that will never be polled again nor dropped, and one behind it.
    Forgotten,
}

/// Where the one that is cancelled waits.
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

const OPS: [Op; 7] = [
    Op::Send,
    Op::Recv,
    Op::Stream,
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
const EVENTS: [Event; 8] = [
    Event::Nothing,
    Event::Send,
    Event::Recv,
    Event::ComesBack,
    Event::Close,
    Event::CloseNow,
    Event::LastHandle,
    Event::AnotherCancel,
];
const OTHERS: [Other; 3] = [Other::Nobody, Other::One, Other::Forgotten];
const PLACES: [Place; 2] = [Place::Seat, Place::Crowd];

#[test]
fn whatever_is_cancelled_whenever_nothing_is_lost_and_nobody_is_stranded() {
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
                        cases += 1;
                        // A plain channel has no failures to wait for.
                        if op != Op::Failed {
                            run::<Plain>(case);
                            cases += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{cases} cases");
    assert_eq!(cases, (7 + 6) * 4 * 8 * 3 * 2);
}

enum Outcome {
    Sent,
    Refused,
    Got(Item),
    Ended,
    Told,
}

/// The rest of the world, and the books it keeps.
struct World<'a, K: Kind> {
    case: Case,
    tally: Tally,
    sender: Option<Sender<Item>>,
    receiver: Option<K::Receiver<Item>>,
    monitor: &'a Monitor<Item>,
    accepted: u64,
    delivered: Vec<usize>,
}

impl<K: Kind> World<'_, K> {
    fn put(&mut self) {
        let item = self.tally.item();
        if let Some(sender) = &self.sender {
            self.accepted += u64::from(sender.try_send(item).is_ok());
        }
    }

    fn take(&mut self) -> bool {
        let item = self.receiver.as_ref().and_then(|it| it.take_one().ok());
        self.delivered.extend(item.iter().map(|item| item.id));
        item.is_some()
    }

    fn come_back(&mut self) {
        let Some(Ok(given)) = self.receiver.as_ref().map(Inlet::try_recv) else {
            return;
        };
        let id = K::Receiver::peek(&given).id;
        K::Receiver::retry(given);
        if self.monitor.stats().report.retried == 0 {
            self.delivered.push(id);
        }
    }

    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Sent => self.accepted += 1,
            Outcome::Got(item) => self.delivered.push(item.id),
            Outcome::Refused | Outcome::Ended | Outcome::Told => {}
        }
    }

    /// Whether what the operation waits for is there.
    fn holds(&self) -> bool {
        let stats = self.monitor.stats();
        match self.case.op {
            Op::Send => stats.closed || stats.queued == 0,
            Op::Recv | Op::Stream => stats.closed || stats.queued > 0,
            Op::Closed => stats.closed,
            Op::Join => self.monitor.outstanding() == 0,
            Op::Finished => stats.closed && self.monitor.outstanding() == 0,
            Op::Failed => {
                stats.report.abandoned + stats.report.discarded > 0
                    || stats.closed && self.monitor.outstanding() == 0
            }
        }
    }

    /// Makes what the operation waits for happen anew, for one that waits.
    fn grant(&mut self) {
        match self.case.op {
            Op::Send => {
                self.put();
                self.take();
            }
            Op::Recv | Op::Stream => {
                self.take();
                self.put();
            }
            Op::Closed => {
                self.monitor.close();
            }
            Op::Join => while self.take() {},
            Op::Finished => {
                self.monitor.close();
                while self.take() {}
            }
            Op::Failed => {
                self.put();
                let given = self.receiver.as_ref().and_then(|it| it.try_recv().ok());
                let given = given.as_ref().map(K::Receiver::peek);
                self.delivered.extend(given.iter().map(|item| item.id));
            }
        }
    }

    fn undergo(&mut self, another: Option<Waiter<'_, Outcome>>) {
        match self.case.event {
            Event::Nothing => {}
            Event::Send => self.put(),
            Event::Recv => {
                self.take();
            }
            Event::ComesBack => self.come_back(),
            Event::Close => {
                self.monitor.close();
            }
            Event::CloseNow => self.monitor.close_now().for_each(drop),
            Event::LastHandle => match self.case.op {
                Op::Recv | Op::Stream => self.sender = None,
                _ => self.receiver = None,
            },
            Event::AnotherCancel => drop(another),
        }
    }

    /// The one that waits behind gets what it waits for, by no more wakes than it is due.
    fn satisfy(&mut self, mut witness: Waiter<'_, Outcome>, forgotten: Option<CountingWaker>) {
        let case = self.case;
        let told_at_once = !matches!(case.op, Op::Send | Op::Recv | Op::Stream);
        let absorbed = forgotten.is_some_and(|it| it.wakes() > 0) && !told_at_once;
        if self.holds() && !absorbed {
            assert!(witness.wakes() > 0, "a wake was lost: {case:?}");
        }
        // One grant may go to the one that was forgotten, the next is due to the witness.
        for _ in 0..2 {
            if witness.wakes() == 0 {
                self.grant();
            }
        }
        let mut seen = witness.wakes();
        assert!(seen > 0, "a waiter was stranded: {case:?}");
        let outcome = match witness.poll() {
            Poll::Ready(outcome) => outcome,
            // Woken, but somebody else was quicker: it waits anew.
            Poll::Pending => {
                assert!(!self.holds(), "{case:?}");
                seen = witness.wakes();
                self.grant();
                assert!(witness.wakes() > seen, "not woken again: {case:?}");
                let Poll::Ready(outcome) = witness.poll() else {
                    panic!("woken for nothing: {case:?}");
                };
                outcome
            }
        };
        self.note(outcome);
    }

    /// The channel does what it is for.
    fn works(&mut self) {
        let case = self.case;
        while self.take() {}
        let (Some(sender), Some(receiver)) = (self.sender.clone(), self.receiver.clone()) else {
            return;
        };
        if sender.is_closed() {
            return;
        }
        let mut recv = Waiter::waiting(receiver.recv());
        self.put();
        assert_eq!(recv.wakes(), 1, "{case:?}");
        let Poll::Ready(Ok(given)) = recv.poll() else {
            panic!("a receiver was woken for nothing: {case:?}");
        };
        self.delivered.push(K::Receiver::end(given).id);

        self.put();
        let mut send = Waiter::waiting(sender.send(self.tally.item()));
        let mut join = Waiter::waiting(self.monitor.join());
        self.take();
        assert_eq!(send.wakes(), 1, "{case:?}");
        assert!(matches!(send.poll(), Poll::Ready(Ok(()))), "{case:?}");
        self.accepted += 1;
        self.take();
        assert!(join.wakes() > 0, "{case:?}");
        assert!(join.poll().is_ready(), "{case:?}");
    }

    /// Every item was sent, delivered and dropped as often as it should be.
    fn account_for_everything(self, ids: Ids) {
        let case = self.case;
        let report = match now(self.monitor.finished()) {
            Ok(report) => report,
            Err(error) => error.report,
        };
        assert_eq!(report.sent, self.accepted, "{case:?}");
        let delivered = self.delivered.len() as u64;
        assert_eq!(report.received, delivered + report.retried, "{case:?}");
        assert_eq!(report.sent, delivered + report.discarded, "{case:?}");

        let once: BTreeSet<_> = self.delivered.iter().collect();
        assert_eq!(once.len(), self.delivered.len(), "twice: {case:?}");
        if let Some(id) = ids.subject {
            let sent = case.point == Point::Completed;
            let may_be_discarded = matches!(case.event, Event::LastHandle | Event::CloseNow);
            let delivered = once.contains(&id);
            assert!(!delivered || sent, "came after all: {case:?}");
            assert!(delivered || !sent || may_be_discarded, "lost: {case:?}");
        }
        for (id, drops) in self.tally.drops().into_iter().enumerate() {
            let expected = u32::from(Some(id) != ids.forgotten);
            assert_eq!(drops, expected, "drops of item {id}: {case:?}");
        }
    }
}

fn run<K: Kind>(case: Case) {
    let (sender, receiver) = K::channel::<Item>(1);
    let monitor = sender.monitor();
    // The world has only what the waiters do not use, so that it can drop the last handle of a
    // side.
    let own = Own::<K> {
        sender: matches!(case.op, Op::Send | Op::Closed).then(|| sender.clone()),
        receiver: matches!(case.op, Op::Recv | Op::Stream).then(|| receiver.clone()),
        monitor: monitor.clone(),
    };
    let mut world = World::<K> {
        case,
        tally: Tally::new(),
        sender: Some(sender),
        receiver: Some(receiver),
        monitor: &monitor,
        accepted: 0,
        delivered: Vec::new(),
    };
    if !matches!(case.op, Op::Recv | Op::Stream | Op::Closed) {
        world.put();
    }
    let ids = play(&mut world, &own);
    world.works();
    monitor.close();
    world.receiver = world.receiver.take().or(own.receiver);
    while world.take() {}
    drop((own.sender, world.sender.take(), world.receiver.take()));
    world.account_for_everything(ids);
}

/// The handles that the waiters use.
struct Own<K: Kind> {
    sender: Option<Sender<Item>>,
    receiver: Option<K::Receiver<Item>>,
    monitor: Monitor<Item>,
}

/// The items that wait with a sender, if any.
struct Ids {
    subject: Option<usize>,
    forgotten: Option<usize>,
}

/// The scene of the case; all waiters end in it.
fn play<K: Kind>(world: &mut World<'_, K>, own: &Own<K>) -> Ids {
    let case = world.case;
    let tally = world.tally.clone();
    let sends = case.op == Op::Send;
    let last_id = || sends.then(|| tally.drops().len() - 1);
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
    let witness = (case.other != Other::Nobody).then(waiting);
    drop(ahead);

    if matches!(case.point, Point::Notified | Point::Completed) {
        match case.op {
            // There is an item already.
            Op::Send => assert!(world.take()),
            _ => world.grant(),
        }
        assert_eq!(subject.wakes(), 1, "the first in line: {case:?}");
    }
    if case.point == Point::Completed {
        let Poll::Ready(outcome) = subject.poll() else {
            panic!("woken for nothing: {case:?}");
        };
        world.note(outcome);
    }
    world.undergo(another);
    drop(subject);
    if let Some(witness) = witness {
        world.satisfy(witness, forgotten);
    }
    ids
}

impl<K: Kind> Own<K> {
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
            Op::Recv => {
                let recv = receiver().recv();
                Waiter::new(async {
                    recv.await.map_or(Outcome::Ended, |given| {
                        Outcome::Got(K::Receiver::end(given))
                    })
                })
            }
            Op::Stream => {
                let mut stream = receiver().clone();
                Waiter::new(async move {
                    stream.next().await.map_or(Outcome::Ended, |given| {
                        Outcome::Got(K::Receiver::end(given))
                    })
                })
            }
            Op::Closed => {
                let closed = sender().closed();
                Waiter::new(async {
                    closed.await;
                    Outcome::Told
                })
            }
            Op::Join => {
                let join = monitor.join();
                Waiter::new(async {
                    let _ = join.await;
                    Outcome::Told
                })
            }
            Op::Finished => {
                let finished = monitor.finished();
                Waiter::new(async {
                    let _ = finished.await;
                    Outcome::Told
                })
            }
            Op::Failed => {
                let failed = monitor.failed();
                Waiter::new(async {
                    failed.await;
                    Outcome::Told
                })
            }
        }
    }
}

on_both_kinds! {
    a_recv_that_was_woken_and_dropped_wakes_the_next_exactly_once,
    a_send_that_was_woken_and_dropped_wakes_the_next_exactly_once,
    a_wake_goes_down_a_line_of_cancelled_receivers,
    a_recv_that_was_woken_and_finds_the_item_taken_passes_nothing_on,
    an_item_that_woke_a_dropped_recv_is_still_there,
    a_cancelled_waiter_lets_go_of_its_waker,
}

fn a_recv_that_was_woken_and_dropped_wakes_the_next_exactly_once<K: Kind>() {
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

fn a_send_that_was_woken_and_dropped_wakes_the_next_exactly_once<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..4)
        .map(|item| Waiter::waiting(sender.send(item)))
        .collect();
    receiver.take_one().unwrap();
    assert_eq!(sends[0].wakes(), 1);
    drop(sends.remove(0));
    assert_eq!((sends[0].wakes(), sends[1].wakes()), (1, 0));
    assert!(sends[0].poll().is_ready());
    assert_eq!(sends[1].wakes(), 0);
    assert_eq!(receiver.take_one(), Ok(2));
}

fn a_wake_goes_down_a_line_of_cancelled_receivers<K: Kind>() {
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

fn a_recv_that_was_woken_and_finds_the_item_taken_passes_nothing_on<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let first = Waiter::waiting(receiver.recv());
    let second = Waiter::waiting(receiver.recv());
    sender.try_send(1).unwrap();
    assert_eq!(receiver.take_one(), Ok(1));
    assert_eq!(first.wakes(), 1);
    drop(first);
    assert_eq!(second.wakes(), 0);
}

fn an_item_that_woke_a_dropped_recv_is_still_there<K: Kind>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let recv = Waiter::waiting(receiver.recv());
    sender.try_send(tally.item()).unwrap();
    drop(recv);
    assert_eq!(tally.dropped(), 0);
    assert_eq!(receiver.take_one().unwrap().id, 0);
}

fn a_cancelled_waiter_lets_go_of_its_waker<K: Kind>() {
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
    assert!(wakers.iter().all(|waker| !waker.is_let_go()));
    drop((send, closed, join));
    assert!(wakers.iter().all(CountingWaker::is_let_go));
}
