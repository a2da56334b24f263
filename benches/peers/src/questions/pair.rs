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
    let (tollgate, from_tollgate) = tollgate::bounded(capacity);
    let (kanal, from_kanal) = kanal::bounded_async(capacity);
    let queue = Arc::new(ArrayQueue::new(capacity));
    let from_queue = queue.clone();
    let (async_channel, from_async_channel) = async_channel::bounded(capacity);
    let (rapidfire, from_rapidfire) = rapidfire::bounded(capacity);
    let (crossfire, from_crossfire) = crossfire::mpmc::bounded_async(capacity);
    vec![
        contestant(
            OWN,
            move |item| tollgate.try_send(item).is_ok(),
            move || from_tollgate.try_recv().ok(),
        ),
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
        contestant(
            "async-channel",
            move |item| async_channel.try_send(item).is_ok(),
            move || from_async_channel.try_recv().ok(),
        ),
        contestant(
            "rapidfire",
            move |item| rapidfire.try_send(item).is_ok(),
            move || from_rapidfire.try_recv().ok(),
        ),
        contestant(
            "crossfire mpmc",
            move |item| crossfire.try_send(item).is_ok(),
            move || from_crossfire.try_recv().ok(),
        ),
    ]
}

/// Unbounded channels, and a bounded one of this crate.
fn unbounded() -> Vec<Contestant<'static>> {
    let (tollgate, from_tollgate) = tollgate::unbounded();
    let (ring, from_ring) = tollgate::bounded(64);
    let (async_channel, from_async_channel) = async_channel::unbounded();
    let (rapidfire, from_rapidfire) = rapidfire::unbounded();
    let (crossfire, from_crossfire) = crossfire::mpmc::unbounded_async();
    vec![
        contestant(
            OWN,
            move |item| tollgate.try_send(item).is_ok(),
            move || from_tollgate.try_recv().ok(),
        ),
        contestant(
            "tollgate, capacity 64",
            move |item| ring.try_send(item).is_ok(),
            move || from_ring.try_recv().ok(),
        ),
        contestant(
            "async-channel",
            move |item| async_channel.try_send(item).is_ok(),
            move || from_async_channel.try_recv().ok(),
        ),
        contestant(
            "rapidfire",
            move |item| rapidfire.try_send(item).is_ok(),
            move || from_rapidfire.try_recv().ok(),
        ),
        contestant(
            "crossfire mpmc",
            move |item| crossfire.send(item).is_ok(),
            move || from_crossfire.try_recv().ok(),
        ),
    ]
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
