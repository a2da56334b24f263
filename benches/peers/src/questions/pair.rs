//! A `try_send` and a `try_recv` in turn, on one thread.

use std::hint::black_box;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::grid::Capacity;
use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Stopwatch;
use crate::peers::OWN;
use crate::question::Question;

pub fn cases() -> impl Iterator<Item = (String, Question)> {
    let case = |capacity| (format!("capacity {capacity}"), Question::Pair(capacity));
    let capacities = [
        Capacity::Bounded(1),
        Capacity::Bounded(64),
        Capacity::Unbounded,
    ];
    capacities.into_iter().map(case)
}

pub fn contestants(capacity: Capacity) -> Vec<Contestant<'static>> {
    match capacity {
        Capacity::Bounded(capacity) => bounded(capacity),
        Capacity::Unbounded => unbounded(),
    }
}

fn bounded(capacity: usize) -> Vec<Contestant<'static>> {
    let (kanal, from_kanal) = kanal::bounded_async(capacity);
    let queue = Arc::new(ArrayQueue::new(capacity));
    let from_queue = queue.clone();
    let (crossfire, from_crossfire) = crossfire::mpmc::bounded_async(capacity);
    vec![
        own(OWN, tollgate::bounded(capacity)),
        contestant(
            "kanal",
            move |item| kanal.try_send(item).is_ok_and(|sent| sent),
            move || from_kanal.try_recv().ok().flatten(),
        ),
        contestant(
            "ArrayQueue",
            move |item| queue.push(item).is_ok(),
            move || from_queue.pop(),
        ),
        async_channel(async_channel::bounded(capacity)),
        rapidfire(rapidfire::bounded(capacity)),
        contestant(
            "crossfire mpmc",
            move |item| crossfire.try_send(item).is_ok(),
            move || from_crossfire.try_recv().ok(),
        ),
    ]
}

/// Unbounded channels, and a bounded one of this crate.
fn unbounded() -> Vec<Contestant<'static>> {
    let (crossfire, from_crossfire) = crossfire::mpmc::unbounded_async();
    vec![
        own(OWN, tollgate::unbounded()),
        own("tollgate, capacity 64", tollgate::bounded(64)),
        async_channel(async_channel::unbounded()),
        rapidfire(rapidfire::unbounded()),
        contestant(
            "crossfire mpmc",
            move |item| crossfire.send(item).is_ok(),
            move || from_crossfire.try_recv().ok(),
        ),
    ]
}

fn own(
    name: &str,
    (sender, receiver): (tollgate::Sender<u64>, tollgate::Receiver<u64>),
) -> Contestant<'static> {
    contestant(
        name,
        move |item| sender.try_send(item).is_ok(),
        move || receiver.try_recv().ok(),
    )
}

fn async_channel(
    (sender, receiver): (async_channel::Sender<u64>, async_channel::Receiver<u64>),
) -> Contestant<'static> {
    contestant(
        "async-channel",
        move |item| sender.try_send(item).is_ok(),
        move || receiver.try_recv().ok(),
    )
}

fn rapidfire(
    (sender, receiver): (rapidfire::Sender<u64>, rapidfire::Receiver<u64>),
) -> Contestant<'static> {
    contestant(
        "rapidfire",
        move |item| sender.try_send(item).is_ok(),
        move || receiver.try_recv().ok(),
    )
}

fn contestant(
    name: &str,
    send: impl Fn(u64) -> bool + 'static,
    recv: impl Fn() -> Option<u64> + 'static,
) -> Contestant<'static> {
    Contestant::new(name, move |items| pairs(items, &send, &recv))
}

fn pairs(items: u64, send: impl Fn(u64) -> bool, recv: impl Fn() -> Option<u64>) -> Outcome {
    let watch = Stopwatch::start();
    for value in 0..items {
        if !send(black_box(value)) {
            return Err(format!("item {value} found no room"));
        }
        let received = recv();
        if received != Some(value) {
            return Err(format!("received {received:?}, not {value}"));
        }
    }
    Ok(watch.stop(items))
}
