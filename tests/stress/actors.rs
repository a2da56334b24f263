//! The actors of a cell.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures_lite::StreamExt;
use tollgate::Monitor;
use tollgate::Sender;
use tollgate::TryRecvError;
use tollgate::TrySendError;

use crate::cell::Cell;
use crate::cell::Ending;
use crate::cell::Kind;
use crate::chaos::Hostility;
use crate::common::Given;
use crate::executor::Actor;
use crate::inbound;
use crate::inbound::Inbound;
use crate::truth::Item;
use crate::truth::Outcome;
use crate::truth::Truth;
use crate::truth::mark;

/// What the actors of one cell share, and a random generator for each.
pub(crate) struct Part {
    cell: Cell,
    truth: Arc<Truth>,
    rng: fastrand::Rng,
    hostility: Hostility,
    /// Whether every task of this cell succeeds.
    clean: bool,
    /// How many tasks this actor has ended.
    ended: usize,
}

/// Actors that do the same work.
struct Crew {
    /// How many of them neither rest nor have left.
    active: AtomicUsize,
    /// How many steps they have done.
    done: AtomicUsize,
}

impl Crew {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            active: AtomicUsize::new(size),
            done: AtomicUsize::new(0),
        })
    }

    fn has_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Part {
    fn new(cell: Cell, truth: &Arc<Truth>, wakers: &Arc<AtomicUsize>, name: &str) -> Self {
        let mut for_all = cell.rng("all");
        let mut rng = cell.rng(name);
        Self {
            cell,
            truth: Arc::clone(truth),
            hostility: Hostility {
                cancels: [0, 16, 64][for_all.usize(0..3)],
                rng: rng.fork(),
                wakers: Arc::clone(wakers),
            },
            clean: for_all.bool(),
            ended: 0,
            rng,
        }
    }

    /// Whether the first task of each consumer fails; each consumer has one.
    fn is_sure_to_fail(&self) -> bool {
        self.cell.kind == Kind::Tasks && !self.clean
    }

    /// How the next task ends.
    fn outcome(&mut self) -> Outcome {
        self.ended += 1;
        match self.clean {
            true => Outcome::Done,
            false if self.ended == 1 => Outcome::Failed,
            false => Outcome::any(&mut self.rng),
        }
    }

    async fn first_failure(&mut self, monitor: &Monitor<Item>) {
        let failure = loop {
            if let Some(failure) = self.hostility.around(monitor.failed()).await {
                break failure;
            }
            self.cell.executor.pause().await;
        };
        self.truth.check_failed(failure.as_ref());
    }

    /// Sometimes, after a cancellation, does nothing until another active member of the crew has
    /// done a step. If the cancelled future has kept a wake, that step never comes.
    async fn rest(&mut self, crew: &Crew) {
        let relaxed = Ordering::Relaxed;
        let leave_one = |active| (active > 1).then(|| active - 1);
        if self.rng.bool()
            || crew
                .active
                .fetch_update(relaxed, relaxed, leave_one)
                .is_err()
        {
            return self.cell.executor.pause().await;
        }
        let done = crew.done.load(relaxed);
        while crew.done.load(relaxed) == done
            && crew.active.load(relaxed) > 0
            && !self.truth.may_be_closed()
        {
            self.cell.executor.pause().await;
        }
        crew.active.fetch_add(1, relaxed);
    }

    fn check_len(&self, len: usize) {
        let capacity = self.cell.capacity;
        assert!(len <= capacity, "{len} items queued, capacity {capacity}");
    }
}

/// All actors of a cell. `wakers` counts the wakers that are alive.
pub(crate) fn cast<I: Inbound>(
    cell: Cell,
    truth: &Arc<Truth>,
    wakers: &Arc<AtomicUsize>,
    sender: Sender<Item>,
    inbound: I,
) -> Vec<Actor> {
    let mut actors = Vec::new();
    let part = |name: &str| Part::new(cell, truth, wakers, name);
    macro_rules! act {
        ($name:expr, |$part:ident| $future:expr) => {{
            let name = String::from($name);
            let $part = part(&name);
            actors.push(Actor::new(name, $future));
        }};
    }

    let crew = Crew::new(cell.producers);
    for producer in 0..cell.producers {
        let (crew, sender) = (Arc::clone(&crew), sender.clone());
        act!(format!("producer {producer}"), |part| {
            produce(part, crew, producer, sender)
        });
    }
    let crew = Crew::new(cell.consumers);
    for consumer in 0..cell.consumers {
        let (crew, inbound) = (Arc::clone(&crew), inbound.clone());
        act!(format!("consumer {consumer}"), |part| {
            consume(part, crew, inbound)
        });
    }
    for name in ["joiner 0", "joiner 1"] {
        let monitor = sender.monitor();
        act!(name, |part| join(part, monitor));
    }
    let monitor = inbound.monitor();
    act!("finisher", |part| finish(part, monitor));
    let monitor = sender.monitor();
    act!("failure watcher", |part| await_failure(part, monitor));

    let closer = match cell.ending {
        Ending::Drained | Ending::ReceiversLeave => None,
        Ending::ClosedBySender => Some(Closer::Sender(sender.clone())),
        Ending::ClosedByReceiver => Some(Closer::Receiver(inbound.clone())),
        Ending::ClosedByMonitor => Some(Closer::Monitor(sender.monitor())),
    };
    if let Some(closer) = closer {
        act!("closer", |part| close(part, closer));
        let sender = sender.clone();
        act!("witness", |part| witness(part, sender));
    }
    cell.rng("order").shuffle(&mut actors);
    actors
}

/// Sends items until all are sent or the channel is closed.
async fn produce(mut part: Part, crew: Arc<Crew>, producer: usize, mut sender: Sender<Item>) {
    for attempt in 0..part.cell.attempts {
        let item = part.truth.item(producer, attempt);
        // The first send is not cancelled, so that at least one item is sent.
        let mark = if attempt == 0 {
            match sender.send(item).await {
                Ok(()) => mark::SENT,
                Err(_) => mark::REFUSED,
            }
        } else if part.rng.u8(0..4) == 0 {
            send_by_trying(&mut part, &sender, item).await
        } else {
            match part.hostility.around(sender.send(item)).await {
                Some(Ok(())) => mark::SENT,
                Some(Err(refused)) => {
                    let item = refused.into_inner();
                    assert_eq!((item.producer, item.attempt), (producer, attempt));
                    mark::REFUSED
                }
                None => mark::CANCELLED,
            }
        };
        part.truth.item_sent(producer, attempt, mark);
        part.check_len(sender.len());
        match part.rng.u8(..) {
            0..8 => sender = sender.clone(),
            8..16 => part.cell.executor.pause().await,
            _ => {}
        }
        if mark == mark::REFUSED {
            assert!(sender.is_closed());
            sender.closed().await;
            break;
        }
        match mark {
            mark::SENT => crew.has_done(),
            _ => part.rest(&crew).await,
        }
    }
    crew.leave();
    part.truth.producer_leaves();
}

async fn send_by_trying(part: &mut Part, sender: &Sender<Item>, mut item: Item) -> u8 {
    loop {
        match sender.try_send(item) {
            Ok(()) => return mark::SENT,
            Err(TrySendError::Closed(_)) => return mark::REFUSED,
            Err(TrySendError::Full(same)) => {
                if part.rng.u8(..) < part.hostility.cancels / 4 {
                    return mark::CANCELLED;
                }
                item = same;
                part.cell.executor.pause().await;
            }
        }
    }
}

/// How a consumer receives for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Future,
    Stream,
    Trying,
}

/// Receives until the end, or leaves after a number of items.
async fn consume<I: Inbound>(mut part: Part, crew: Arc<Crew>, mut inbound: I) {
    const WAYS: [Way; 3] = [Way::Future, Way::Stream, Way::Trying];
    let mut way = WAYS[part.rng.usize(0..3)];
    // Whether the stream is pending. It is then polled again or dropped; otherwise it would keep a
    // wake.
    let mut stream_waits = false;
    let mut left = match part.cell.ending {
        Ending::ReceiversLeave => {
            let all = part.cell.attempts * part.cell.producers;
            part.rng.usize(0..all / part.cell.consumers)
        }
        _ => usize::MAX,
    };
    let mut latest = vec![None; part.cell.producers];
    let mut hand = Vec::new();
    while left > 0 {
        part.check_len(inbound.len());
        if way != Way::Trying || part.rng.u8(0..4) == 0 {
            // Waiting for a task while holding one may deadlock.
            settle(&mut part, &mut hand).await;
        }
        let next = match way {
            Way::Future => {
                let next = part.hostility.around(inbound.recv()).await;
                next.map(Result::ok)
            }
            Way::Stream => {
                let next = part.hostility.around(inbound.next()).await;
                stream_waits = next.is_none();
                next
            }
            Way::Trying => match inbound.try_recv() {
                Ok(delivery) => Some(Some(delivery)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(None),
            },
        };
        match next {
            None if way == Way::Trying => part.cell.executor.pause().await,
            // Cancelled.
            None => {
                if stream_waits && part.rng.bool() {
                    inbound = inbound.clone();
                    stream_waits = false;
                }
                if !stream_waits {
                    part.rest(&crew).await;
                }
            }
            Some(None) => break,
            Some(Some(delivery)) => {
                inbound::arrived(&delivery, &part.truth);
                let Item {
                    producer, attempt, ..
                } = *delivery.peek();
                let before = latest[producer].replace(attempt);
                assert!(before < Some(attempt), "{attempt} comes after {before:?}");
                hand.push(delivery);
                left -= 1;
                crew.has_done();
            }
        }
        if part.rng.u8(..) < 16 {
            way = WAYS[part.rng.usize(0..3)];
            if stream_waits && way != Way::Stream || part.rng.bool() {
                inbound = inbound.clone();
                stream_waits = false;
            }
        }
    }
    if left > 0 {
        let holds_a_task = part.cell.kind == Kind::Tasks && !hand.is_empty();
        assert!(!holds_a_task, "the channel ended with a task in hand");
        part.truth.check_end();
        assert!(matches!(inbound.try_recv(), Err(TryRecvError::Closed)));
        assert!(inbound.recv().await.is_err());
        assert!(inbound.next().await.is_none() && inbound.is_terminated());
    }
    part.truth.closing();
    // What is in hand may outlive all handles.
    drop(inbound);
    crew.leave();
    settle(&mut part, &mut hand).await;
}

/// Ends what is in hand, in random order, with pauses.
async fn settle(part: &mut Part, hand: &mut Vec<impl Given<Item>>) {
    while !hand.is_empty() {
        if part.rng.u8(0..8) == 0 {
            part.cell.executor.pause().await;
        }
        let delivery = hand.swap_remove(part.rng.usize(0..hand.len()));
        let outcome = part.outcome();
        inbound::settle(delivery, &part.truth, outcome, part.rng.bool());
    }
}

/// Joins again and again.
async fn join(mut part: Part, monitor: Monitor<Item>) {
    loop {
        let closed = monitor.stats().closed;
        let before = part.truth.before_join();
        if let Some(result) = part.hostility.around(monitor.join()).await {
            part.truth.check_join(&before, &result);
            if closed {
                break;
            }
        }
        part.cell.executor.pause().await;
    }
}

/// Waits for the end from the start, and then once more.
async fn finish(mut part: Part, monitor: Monitor<Item>) {
    for _ in 0..2 {
        loop {
            let before = part.truth.before_join();
            if let Some(result) = part.hostility.around(monitor.finished()).await {
                part.truth.check_finished(&before, result);
                break;
            }
            part.cell.executor.pause().await;
        }
    }
}

/// Waits for the first failure, if there is one.
async fn await_failure(mut part: Part, monitor: Monitor<Item>) {
    part.first_failure(&monitor).await;
}

enum Closer<I> {
    Sender(Sender<Item>),
    Receiver(I),
    Monitor(Monitor<Item>),
}

/// Closes the channel halfway.
async fn close<I: Inbound>(mut part: Part, closer: Closer<I>) {
    if let Closer::Monitor(monitor) = &closer {
        if part.is_sure_to_fail() {
            // `failed` must complete now: only this actor closes the channel.
            part.first_failure(monitor).await;
        }
    }
    let all = part.cell.attempts * part.cell.producers;
    let middle = part.rng.usize(0..all);
    while part.truth.progress() < middle {
        part.cell.executor.pause().await;
    }
    part.truth.closing();
    let was_open = match &closer {
        Closer::Sender(sender) => sender.close(),
        Closer::Receiver(inbound) => inbound.close(),
        Closer::Monitor(monitor) => monitor.close(),
    };
    assert!(was_open, "the channel was closed already");
}

/// Waits until the channel is closed.
async fn witness(mut part: Part, sender: Sender<Item>) {
    loop {
        if part.hostility.around(sender.closed()).await.is_some() {
            break;
        }
        part.cell.executor.pause().await;
    }
    assert!(sender.is_closed());
    let gauge = sender.monitor().stats();
    assert!(gauge.closed && gauge.queued <= part.cell.capacity);
}
