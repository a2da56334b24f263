//! Items in batches of 64: compared with the batches of other channels, and with single items.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::rc::Rc;

use futures_lite::future::block_on;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::mpsc as tokio_mpsc;

use crate::channel::Channel;
use crate::channel::Received;
use crate::channel::Sent;
use crate::channel::crossfire;
use crate::channel::many::AsyncChannel;
use crate::channel::many::Flume;
use crate::channel::many::Kanal;
use crate::channel::many::Rapidfire;
use crate::channel::many::Tollgate;
use crate::channel::single::Tachyonix;
use crate::channel::single::Tokio;
use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Stopwatch;
use crate::peers::OWN;
use crate::question::Question;
use crate::runtime::Kind;
use crate::runtime::Runtime;

/// How many items are a batch.
const SIZE: u64 = 64;
const MAX: NonZeroUsize = NonZeroUsize::new(SIZE as usize).unwrap();
/// So that two batches fit.
const CAPACITY: usize = 128;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Case {
    /// One task sends and receives a batch in turn, and never waits.
    Alone,
    /// A task sends and another one receives.
    Apart(Kind),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("never waiting"),
            Self::Apart(kind) => write!(f, "{} 1x1", kind.name()),
        }
    }
}

pub fn cases() -> impl Iterator<Item = (String, Question)> {
    let cases = [Case::Alone, Case::Apart(Kind::Ct), Case::Apart(Kind::Mt)];
    let case = |case: Case| (case.to_string(), Question::Batch(case));
    cases.into_iter().map(case)
}

pub fn contestants(case: Case) -> Vec<Contestant<'static>> {
    let runtime = match case {
        Case::Alone => None,
        Case::Apart(kind) => Some(Rc::new(Runtime::start(kind))),
    };
    let mut contestants = Vec::new();
    let mut add = |name: &str, alone: Alone, apart: Apart| {
        let runtime = runtime.clone();
        contestants.push(Contestant::new(name, move |items| match &runtime {
            None => alone(items),
            Some(runtime) => apart(runtime, items),
        }));
    };
    macro_rules! add {
        ($($name:expr => $batches:ty,)*) => {
            $(add($name, alone::<$batches>, apart::<$batches>);)*
        };
    }
    add! {
        OWN => Own,
        "tollgate, tasks" => OwnTasks,
        "tokio recv_many" => TokioMany,
        "flume drain" => FlumeDrain,
        "kanal drain_into" => KanalDrain,
        "tollgate, single items" => Each<Tollgate>,
        "kanal, single items" => Each<Kanal>,
        "tachyonix, single items" => Each<Tachyonix>,
        "crossfire spsc, single items" => Each<crossfire::Spsc>,
        "crossfire mpmc, single items" => Each<crossfire::Mpmc>,
        "rapidfire, single items" => Each<Rapidfire>,
        "tokio, single items" => Each<Tokio>,
        "async-channel, single items" => Each<AsyncChannel>,
        "flume, single items" => Each<Flume>,
    }
    contestants
}

type Alone = fn(u64) -> Outcome;
type Apart = fn(&Runtime, u64) -> Outcome;

fn alone<B: Batches>(items: u64) -> Outcome {
    block_on(async {
        let (mut sender, mut receiver) = B::open();
        let mut queue = VecDeque::with_capacity(CAPACITY);
        let mut buf = Vec::with_capacity(CAPACITY);
        let mut sum = 0;
        let rounds = items.div_ceil(SIZE);
        let watch = Stopwatch::start();
        for round in 0..rounds {
            B::send(&mut sender, round * SIZE..(round + 1) * SIZE, &mut queue).await;
            let mut left = SIZE;
            while left > 0 {
                left -= B::recv(&mut receiver, &mut buf, &mut sum).await;
            }
        }
        added_up(watch, rounds * SIZE, sum)
    })
}

fn apart<B: Batches>(runtime: &Runtime, items: u64) -> Outcome {
    let (mut sender, mut receiver) = B::open();
    let rounds = items.div_ceil(SIZE);
    let send = async move {
        let mut queue = VecDeque::with_capacity(CAPACITY);
        for round in 0..rounds {
            B::send(&mut sender, round * SIZE..(round + 1) * SIZE, &mut queue).await;
        }
    };
    let recv = async move {
        let mut buf = Vec::with_capacity(CAPACITY);
        let mut sum = 0;
        while B::recv(&mut receiver, &mut buf, &mut sum).await > 0 {}
        sum
    };
    let watch = Stopwatch::start();
    let sum = runtime.run(vec![recv], vec![send]);
    added_up(watch, rounds * SIZE, sum)
}

fn added_up(watch: Stopwatch, items: u64, sum: u64) -> Outcome {
    let sample = watch.stop(items);
    let expected = items * (items - 1) / 2;
    if sum == expected {
        Ok(sample)
    } else {
        Err(format!("the items add up to {sum}, not {expected}"))
    }
}

/// Adds up what is in the buffer, and empties it. Returns how many items there were.
fn add_up(buf: &mut Vec<u64>, sum: &mut u64) -> u64 {
    let count = buf.len() as u64;
    *sum += buf.drain(..).sum::<u64>();
    count
}

/// A way to move batches. Not every one uses the queue or the buffer.
trait Batches: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;
    type Item: Send + 'static;

    fn open() -> (Self::Sender, Self::Receiver);

    fn send(
        sender: &mut Self::Sender,
        values: Range<u64>,
        queue: &mut VecDeque<u64>,
    ) -> impl Future<Output = ()> + Send;

    /// Receives some values, adds them to `sum`, and returns how many: none at the end.
    fn recv(
        receiver: &mut Self::Receiver,
        buf: &mut Vec<Self::Item>,
        sum: &mut u64,
    ) -> impl Future<Output = u64> + Send;
}

/// Single items, as a batch.
struct Each<C>(PhantomData<C>);

impl<C: Channel<u64>> Batches for Each<C> {
    type Sender = C::Sender;
    type Receiver = C::Receiver;
    type Item = u64;

    fn open() -> (Self::Sender, Self::Receiver) {
        let (mut senders, mut receivers) = C::open(CAPACITY, 1, 1);
        (senders.remove(0), receivers.remove(0))
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, _: &mut VecDeque<u64>) {
        for value in values {
            assert!(C::send(sender, value).await.is_sent());
        }
    }

    async fn recv(receiver: &mut Self::Receiver, _: &mut Vec<u64>, sum: &mut u64) -> u64 {
        let value = C::recv(receiver).await.item();
        value.inspect(|value| *sum += value).map_or(0, |_| 1)
    }
}

struct Own;

impl Batches for Own {
    type Sender = tollgate::Sender<u64>;
    type Receiver = tollgate::Receiver<u64>;
    type Item = u64;

    fn open() -> (Self::Sender, Self::Receiver) {
        tollgate::bounded(CAPACITY)
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, queue: &mut VecDeque<u64>) {
        queue.extend(values);
        assert_eq!(sender.send_many(queue).await, Ok(()));
    }

    async fn recv(receiver: &mut Self::Receiver, buf: &mut Vec<u64>, sum: &mut u64) -> u64 {
        let _ = receiver.recv_many(buf, MAX).await;
        add_up(buf, sum)
    }
}

struct OwnTasks;

impl Batches for OwnTasks {
    type Sender = tollgate::Sender<u64>;
    type Receiver = tollgate::TaskReceiver<u64>;
    type Item = tollgate::Task<u64>;

    fn open() -> (Self::Sender, Self::Receiver) {
        tollgate::tasks(CAPACITY)
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, queue: &mut VecDeque<u64>) {
        Own::send(sender, values, queue).await;
    }

    async fn recv(receiver: &mut Self::Receiver, buf: &mut Vec<Self::Item>, sum: &mut u64) -> u64 {
        let _ = receiver.recv_many(buf, MAX).await;
        let count = buf.len() as u64;
        for task in buf.drain(..) {
            *sum += task.done();
        }
        count
    }
}

struct TokioMany;

impl Batches for TokioMany {
    type Sender = tokio_mpsc::Sender<u64>;
    type Receiver = tokio_mpsc::Receiver<u64>;
    type Item = u64;

    fn open() -> (Self::Sender, Self::Receiver) {
        tokio_mpsc::channel(CAPACITY)
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, _: &mut VecDeque<u64>) {
        for value in values {
            sender.send(value).await.unwrap();
        }
    }

    async fn recv(receiver: &mut Self::Receiver, buf: &mut Vec<u64>, sum: &mut u64) -> u64 {
        receiver.recv_many(buf, MAX.get()).await;
        add_up(buf, sum)
    }
}

struct FlumeDrain;

impl Batches for FlumeDrain {
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;
    type Item = u64;

    fn open() -> (Self::Sender, Self::Receiver) {
        flume::bounded(CAPACITY)
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, _: &mut VecDeque<u64>) {
        for value in values {
            sender.send_async(value).await.unwrap();
        }
    }

    async fn recv(receiver: &mut Self::Receiver, _: &mut Vec<u64>, sum: &mut u64) -> u64 {
        let Ok(first) = receiver.recv_async().await else {
            return 0;
        };
        *sum += first;
        let others = receiver.drain();
        others.inspect(|value| *sum += value).count() as u64 + 1
    }
}

struct KanalDrain;

impl Batches for KanalDrain {
    type Sender = kanal::AsyncSender<u64>;
    type Receiver = kanal::AsyncReceiver<u64>;
    type Item = u64;

    fn open() -> (Self::Sender, Self::Receiver) {
        kanal::bounded_async(CAPACITY)
    }

    async fn send(sender: &mut Self::Sender, values: Range<u64>, _: &mut VecDeque<u64>) {
        for value in values {
            sender.send(value).await.unwrap();
        }
    }

    async fn recv(receiver: &mut Self::Receiver, buf: &mut Vec<u64>, sum: &mut u64) -> u64 {
        let Ok(first) = receiver.recv().await else {
            return 0;
        };
        buf.push(first);
        // An error means that there is nothing more.
        let _ = receiver.drain_into(buf);
        add_up(buf, sum)
    }
}
