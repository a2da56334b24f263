//! The actors of a cell.

// how a producer sends
#[path = "sending.rs"]
mod sending;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures_lite::StreamExt;
use futures_util::stream::FusedStream;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::Sender;
use tollgate::TryRecvError;
use tollgate::kind;

use crate::cell::Cell;
use crate::cell::Ending;
use crate::cell::Kind;
use crate::common::Given;
use crate::disturb::Disturbance;
use crate::ending::end_with;
use crate::ending::record_received;
use crate::executor::Actor;
use crate::record::Item;
use crate::record::LARGEST_BATCH;
use crate::record::Outcome;
use crate::record::Record;
use crate::record::mark;
use sending::send_many;
use sending::send_one;

/// The state of one actor, and what it shares with the others.
pub(crate) struct State {
    cell: Cell,
    record: Arc<Record>,
    rng: fastrand::Rng,
    disturbance: Disturbance,
    /// Whether every task of this cell succeeds.
    all_succeed: bool,
    /// Whether producers of this cell evict items.
    forces: bool,
    /// How many tasks this actor has ended.
    ended: usize,
}

/// Actors that do the same work.
struct Group {
    /// How many of them neither [wait for another](State::wait_for_another) nor have ended.
    active: AtomicUsize,
    /// How many steps they have done.
    steps: AtomicUsize,
}

impl Group {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            active: AtomicUsize::new(size),
            steps: AtomicUsize::new(0),
        })
    }

    fn add_step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn remove_actor(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn new(cell: Cell, record: &Arc<Record>, wakers: &Arc<AtomicUsize>, name: &str) -> Self {
        let mut for_all = cell.rng("all");
        let mut rng = cell.rng(name);
        Self {
            cell,
            record: Arc::clone(record),
            disturbance: Disturbance {
                cancels: [0, 16, 64][for_all.usize(0..3)],
                rng: rng.fork(),
                wakers: Arc::clone(wakers),
            },
            all_succeed: for_all.bool(),
            forces: cell.forces(),
            ended: 0,
            rng,
        }
    }

    /// Whether at least one task fails: the first of each consumer.
    fn some_task_fails(&self) -> bool {
        self.cell.kind == Kind::Tasks && !self.all_succeed
    }

    /// How the next task ends.
    fn outcome(&mut self) -> Outcome {
        self.ended += 1;
        match self.all_succeed {
            true => Outcome::Done,
            false if self.ended == 1 => Outcome::Failed,
            false => Outcome::any(&mut self.rng),
        }
    }

    async fn first_failure(&mut self, monitor: &Monitor<Item>) {
        let failure = loop {
            if let Some(failure) = self.disturbance.disturb(monitor.failed()).await {
                break failure;
            }
            self.cell.executor.pause().await;
        };
        self.record.check_failed(failure.as_ref());
    }

    /// Sometimes, after a cancellation, does nothing until another active actor of the group has
    /// done a step. If the cancelled future has kept a wakeup, no actor does a step.
    async fn wait_for_another(&mut self, group: &Group) {
        let relaxed = Ordering::Relaxed;
        let remove_one = |active| (active > 1).then(|| active - 1);
        if self.rng.bool()
            || group
                .active
                .fetch_update(relaxed, relaxed, remove_one)
                .is_err()
        {
            return self.cell.executor.pause().await;
        }
        let done = group.steps.load(relaxed);
        while group.steps.load(relaxed) == done
            && group.active.load(relaxed) > 0
            && !self.record.may_be_closed()
        {
            self.cell.executor.pause().await;
        }
        group.active.fetch_add(1, relaxed);
    }

    fn check_len(&self, len: usize) {
        let capacity = self.cell.capacity;
        let most = self.cell.most_queued();
        assert!(len <= most, "{len} items queued, capacity {capacity}");
    }
}

/// All actors of a cell. `wakers` counts the wakers that exist.
pub(crate) fn of_cell<K>(
    cell: Cell,
    record: &Arc<Record>,
    wakers: &Arc<AtomicUsize>,
    sender: Sender<Item>,
    receiver: Receiver<Item, K>,
) -> Vec<Actor>
where
    K: kind::Kind<Received<Item>: Given<Item> + Send> + 'static,
{
    let mut actors = Vec::new();
    let state = |name: &str| State::new(cell, record, wakers, name);
    macro_rules! add {
        ($name:expr, |$state:ident| $future:expr) => {{
            let name = String::from($name);
            let $state = state(&name);
            actors.push(Actor::new(name, $future));
        }};
    }

    let group = Group::new(cell.producers);
    for producer in 0..cell.producers {
        let (group, sender) = (Arc::clone(&group), sender.clone());
        add!(format!("producer {producer}"), |state| {
            produce(state, group, producer, sender)
        });
    }
    let group = Group::new(cell.consumers);
    for consumer in 0..cell.consumers {
        let (group, receiver) = (Arc::clone(&group), receiver.clone());
        add!(format!("consumer {consumer}"), |state| {
            consume(state, group, receiver)
        });
    }
    for name in ["joiner 0", "joiner 1"] {
        let monitor = sender.monitor();
        add!(name, |state| join(state, monitor));
    }
    let monitor = receiver.monitor();
    add!("finisher", |state| finish(state, monitor));
    let monitor = sender.monitor();
    add!("failure watcher", |state| await_failure(state, monitor));

    let closer = match cell.ending {
        Ending::Drained | Ending::ReceiversDropped => None,
        Ending::ClosedBySender => Some(Closer::Sender(sender.clone())),
        Ending::ClosedByReceiver => Some(Closer::Receiver(receiver.clone())),
        Ending::ClosedByMonitor => Some(Closer::Monitor(sender.monitor())),
    };
    if let Some(closer) = closer {
        add!("closer", |state| close(state, closer));
        let sender = sender.clone();
        add!("close watcher", |state| await_close(state, sender));
    }
    cell.rng("order").shuffle(&mut actors);
    actors
}

/// Sends items until all are sent or the channel is closed.
async fn produce(mut state: State, group: Arc<Group>, producer: usize, mut sender: Sender<Item>) {
    let mut attempt = 0;
    while attempt < state.cell.attempts {
        let count = match attempt {
            // The first send is not cancelled, so that at least one item is sent.
            0 => 1,
            _ if state.rng.u8(0..4) == 0 => state.rng.usize(1..9),
            _ => 1,
        };
        let attempts = attempt..state.cell.attempts.min(attempt + count);
        attempt = attempts.end;
        let mark = if attempts.len() == 1 {
            send_one(&mut state, &sender, producer, attempts.start).await
        } else {
            send_many(&mut state, &sender, producer, attempts).await
        };
        state.check_len(sender.len());
        match state.rng.u8(..) {
            0..8 => sender = sender.clone(),
            8..16 => state.cell.executor.pause().await,
            _ => {}
        }
        if mark == mark::REFUSED {
            assert!(sender.is_closed());
            sender.closed().await;
            break;
        }
        match mark {
            mark::SENT => group.add_step(),
            _ => state.wait_for_another(&group).await,
        }
    }
    group.remove_actor();
    state.record.producer_ends();
}

/// How a consumer receives for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Future,
    Many,
    Stream,
    Trying,
}

/// Receives until the end, or drops its receiver after a number of items.
async fn consume<K>(mut state: State, group: Arc<Group>, mut receiver: Receiver<Item, K>)
where
    K: kind::Kind<Received<Item>: Given<Item>>,
{
    const METHODS: [Method; 4] = [Method::Future, Method::Many, Method::Stream, Method::Trying];
    let mut method = METHODS[state.rng.usize(0..METHODS.len())];
    // Whether the stream is pending. It is then polled again or dropped; otherwise it would keep a
    // wakeup.
    let mut stream_waits = false;
    let mut left = match state.cell.ending {
        Ending::ReceiversDropped => {
            let all = state.cell.attempts * state.cell.producers;
            state.rng.usize(0..all / state.cell.consumers)
        }
        _ => usize::MAX,
    };
    let mut latest = vec![None; state.cell.producers];
    let mut hand = Vec::new();
    while left > 0 {
        state.check_len(receiver.len());
        if method != Method::Trying || state.rng.u8(0..4) == 0 {
            // Waiting for a task while holding one may deadlock.
            end_all(&mut state, &mut hand).await;
        }
        let mut batch = Vec::new();
        let next = match method {
            Method::Future => {
                let next = state.disturbance.disturb(receiver.recv()).await;
                next.map(|received| received.ok().map(|it| batch.push(it)))
            }
            Method::Many => {
                let max = NonZeroUsize::new(state.rng.usize(1..=LARGEST_BATCH).min(left)).unwrap();
                let next = match state.rng.bool() {
                    true => {
                        let receiving = receiver.recv_many(&mut batch, max);
                        state.disturbance.disturb(receiving).await
                    }
                    // As if it were cancelled.
                    false => match receiver.try_recv_many(&mut batch, max) {
                        Ok(count) => Some(Ok(count)),
                        Err(TryRecvError::Empty) => None,
                        Err(TryRecvError::Closed) => Some(Err(RecvError)),
                    },
                };
                assert!(batch.len() <= max.get());
                assert_eq!(batch.is_empty(), !matches!(next, Some(Ok(_))));
                next.map(|count| count.ok().map(drop))
            }
            Method::Stream => {
                let next = state.disturbance.disturb(receiver.next()).await;
                stream_waits = next.is_none();
                next.map(|received| received.map(|it| batch.push(it)))
            }
            Method::Trying => match receiver.try_recv() {
                Ok(received) => {
                    batch.push(received);
                    Some(Some(()))
                }
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(None),
            },
        };
        match next {
            None if method == Method::Trying => state.cell.executor.pause().await,
            // Cancelled.
            None => {
                if stream_waits && state.rng.bool() {
                    receiver = receiver.clone();
                    stream_waits = false;
                }
                if !stream_waits {
                    state.wait_for_another(&group).await;
                }
            }
            Some(None) => break,
            Some(Some(())) => {
                for received in &batch {
                    record_received(received, &state.record);
                    let Item {
                        producer, attempt, ..
                    } = *received.peek();
                    let before = latest[producer].replace(attempt);
                    assert!(before < Some(attempt), "{attempt} comes after {before:?}");
                }
                left -= batch.len();
                hand.append(&mut batch);
                group.add_step();
            }
        }
        if state.rng.u8(..) < 16 {
            method = METHODS[state.rng.usize(0..METHODS.len())];
            if stream_waits && method != Method::Stream || state.rng.bool() {
                receiver = receiver.clone();
                stream_waits = false;
            }
        }
    }
    if left > 0 {
        let holds_a_task = state.cell.kind == Kind::Tasks && !hand.is_empty();
        assert!(!holds_a_task, "the channel ended with a task in hand");
        state.record.check_end();
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
        assert!(receiver.recv().await.is_err());
        assert!(receiver.next().await.is_none() && receiver.is_terminated());
    }
    state.record.closing();
    // What is in hand may outlive all handles.
    drop(receiver);
    group.remove_actor();
    end_all(&mut state, &mut hand).await;
}

/// Ends what is in hand, in random order, with pauses.
async fn end_all(state: &mut State, hand: &mut Vec<impl Given<Item>>) {
    while !hand.is_empty() {
        if state.rng.u8(0..8) == 0 {
            state.cell.executor.pause().await;
        }
        let received = hand.swap_remove(state.rng.usize(0..hand.len()));
        let outcome = state.outcome();
        end_with(received, &state.record, outcome, state.rng.bool());
    }
}

/// Joins repeatedly.
async fn join(mut state: State, monitor: Monitor<Item>) {
    loop {
        let closed = monitor.stats().closed;
        let before = state.record.before_join();
        if let Some(result) = state.disturbance.disturb(monitor.join()).await {
            state.record.check_join(&before, &result);
            if closed {
                break;
            }
        }
        state.cell.executor.pause().await;
    }
}

/// Waits for the end from the start, and then once more.
async fn finish(mut state: State, monitor: Monitor<Item>) {
    for _ in 0..2 {
        loop {
            let before = state.record.before_join();
            if let Some(result) = state.disturbance.disturb(monitor.finished()).await {
                state.record.check_finished(&before, result);
                break;
            }
            state.cell.executor.pause().await;
        }
    }
}

/// Waits for the first failure, if there is one.
async fn await_failure(mut state: State, monitor: Monitor<Item>) {
    state.first_failure(&monitor).await;
}

enum Closer<K: kind::Kind> {
    Sender(Sender<Item>),
    Receiver(Receiver<Item, K>),
    Monitor(Monitor<Item>),
}

/// Closes the channel halfway.
async fn close<K: kind::Kind>(mut state: State, closer: Closer<K>) {
    if let Closer::Monitor(monitor) = &closer {
        if state.some_task_fails() {
            // `failed` must complete now: only this actor closes the channel.
            state.first_failure(monitor).await;
        }
    }
    let all = state.cell.attempts * state.cell.producers;
    let middle = state.rng.usize(0..all);
    while state.record.progress() < middle {
        state.cell.executor.pause().await;
    }
    state.record.closing();
    let was_open = match &closer {
        Closer::Sender(sender) => sender.close(),
        Closer::Receiver(receiver) => receiver.close(),
        Closer::Monitor(monitor) => monitor.close(),
    };
    assert!(was_open, "the channel was closed already");
}

/// Waits until the channel is closed.
async fn await_close(mut state: State, sender: Sender<Item>) {
    loop {
        if state.disturbance.disturb(sender.closed()).await.is_some() {
            break;
        }
        state.cell.executor.pause().await;
    }
    assert!(sender.is_closed());
    let stats = sender.monitor().stats();
    assert!(stats.closed && stats.queued <= state.cell.most_queued());
}
