//! The cost of knowing when all work is done.

use std::fmt;
use std::num::NonZeroU32;
use std::rc::Rc;

use futures_lite::future::block_on;
use futures_lite::future::poll_once;
use serde::Deserialize;
use serde::Serialize;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::grid::Topology;
use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Sample;
use crate::measure::Stopwatch;
use crate::peers::OWN;
use crate::question::Question;
use crate::runtime::Kind;
use crate::runtime::Runtime;

/// The capacity where one task sends and receives in turn.
const ROOMY: usize = 64;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Case {
    /// One task sends and receives in turn, and never waits.
    Alone,
    /// Senders and receivers have a task each.
    Apart {
        runtime: Kind,
        topology: Topology,
        capacity: usize,
    },
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("never waiting"),
            Self::Apart {
                runtime,
                topology,
                capacity,
            } => write!(f, "{} {topology} {capacity}", runtime.name()),
        }
    }
}

/// Tollgate's tasks, compared with an async-channel that carries the token of a tracker with each item.
pub fn cases() -> impl Iterator<Item = (String, Question)> {
    let mut cases = vec![Case::Alone];
    for runtime in [Kind::Ct, Kind::Mt] {
        for (senders, receivers) in [(1, 1), (4, 1), (1, 4), (4, 4)] {
            for capacity in [128, 16] {
                cases.push(Case::Apart {
                    runtime,
                    topology: Topology { senders, receivers },
                    capacity,
                });
            }
        }
    }
    let case = |case: Case| (case.to_string(), Question::Tasks(case));
    cases.into_iter().map(case)
}

pub fn contestants(case: Case) -> Vec<Contestant<'static>> {
    const TRACKED: &str = "async-channel and TaskTracker";
    match case {
        Case::Alone => vec![
            Contestant::new(OWN, |items| block_on(each_done(items))),
            Contestant::new(TRACKED, |items| block_on(each_tracked(items))),
        ],
        Case::Apart {
            runtime,
            topology,
            capacity,
        } => {
            let first = Rc::new(Runtime::start(runtime));
            let second = first.clone();
            vec![
                Contestant::new(OWN, move |items| done(&first, topology, capacity, items)),
                Contestant::new(TRACKED, move |items| {
                    tracked(&second, topology, capacity, items)
                }),
            ]
        }
    }
}

/// The name of the contestant that the others of [`steps`] are compared with.
pub const PLAIN: &str = "plain channel";

/// What the steps of a task cost in addition to a plain channel, when no caller ever waits.
pub fn step_cases() -> impl Iterator<Item = (String, Question)> {
    [(Case::Alone.to_string(), Question::TaskSteps)].into_iter()
}

pub fn steps() -> Vec<Contestant<'static>> {
    vec![
        Contestant::new(PLAIN, |items| block_on(each_received(items))),
        Contestant::new("done", |items| block_on(each_done(items))),
        Contestant::new("done, beside a joiner", |items| {
            block_on(each_done_beside_a_joiner(items))
        }),
        Contestant::new("retried once, then done", |items| {
            block_on(each_retried(items))
        }),
    ]
}

async fn each_received(items: u64) -> Outcome {
    let (sender, receiver) = tollgate::bounded(ROOMY);
    let watch = Stopwatch::start();
    for value in 0..items {
        sent(sender.send(value).await)?;
        same(value, receiver.recv().await.ok())?;
    }
    Ok(watch.stop(items))
}

async fn each_done(items: u64) -> Outcome {
    let (sender, receiver) = tollgate::tasks(ROOMY);
    let watch = Stopwatch::start();
    for value in 0..items {
        sent(sender.send(value).await)?;
        same(value, receiver.recv().await.ok().map(|task| task.done()))?;
    }
    Ok(watch.stop(items))
}

/// Another task is in hand meanwhile. Otherwise the joiner would be woken after each item.
async fn each_done_beside_a_joiner(items: u64) -> Outcome {
    let (sender, receiver) = tollgate::tasks(ROOMY);
    sent(sender.send(0).await)?;
    let held = receiver.recv().await.map_err(|error| error.to_string())?;
    let monitor = sender.monitor();
    let mut joiner = monitor.join();
    if poll_once(&mut joiner).await.is_some() {
        return Err("joined with a task in hand".to_owned());
    }
    let watch = Stopwatch::start();
    for value in 0..items {
        sent(sender.send(value).await)?;
        same(value, receiver.recv().await.ok().map(|task| task.done()))?;
    }
    let sample = watch.stop(items);
    held.done();
    joiner.await.map_err(|error| error.to_string())?;
    Ok(sample)
}

async fn each_retried(items: u64) -> Outcome {
    let (sender, receiver) = tollgate::Builder::new()
        .capacity(ROOMY)
        .max_attempts(NonZeroU32::MAX)
        .build_tasks();
    let watch = Stopwatch::start();
    for value in 0..items {
        sent(sender.send(value).await)?;
        let task = receiver.recv().await.map_err(|error| error.to_string())?;
        task.retry().map_err(|error| error.to_string())?;
        same(value, receiver.recv().await.ok().map(|task| task.done()))?;
    }
    Ok(watch.stop(items))
}

async fn each_tracked(items: u64) -> Outcome {
    let tracker = TaskTracker::new();
    let (sender, receiver) = async_channel::bounded(ROOMY);
    let watch = Stopwatch::start();
    for value in 0..items {
        sent(sender.send((value, tracker.token())).await)?;
        let done = |(value, _token): (u64, TaskTrackerToken)| value;
        same(value, receiver.recv().await.ok().map(done))?;
    }
    Ok(watch.stop(items))
}

/// Moves items, and waits until all of them are done.
fn done(runtime: &Runtime, topology: Topology, capacity: usize, items: u64) -> Outcome {
    let share = items.div_ceil(topology.senders as u64);
    let (sender, receiver) = tollgate::tasks::<u64>(capacity);
    let monitor = sender.monitor();
    let senders = (0..topology.senders as u64).map(|number| {
        let sender = sender.clone();
        async move {
            for value in number * share..(number + 1) * share {
                sender.send(value).await.unwrap();
            }
        }
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..topology.receivers).map(|_| {
        let receiver = receiver.clone();
        async move {
            let mut sum = 0;
            while let Ok(task) = receiver.recv().await {
                sum += task.done();
            }
            sum
        }
    });
    let receivers = receivers.collect();
    drop((sender, receiver));
    let watch = Stopwatch::start();
    let sum = runtime.run(receivers, senders);
    block_on(monitor.finished()).map_err(|error| error.to_string())?;
    added_up(watch.stop(share * topology.senders as u64), sum)
}

/// Moves items, and waits until all of them are done.
fn tracked(runtime: &Runtime, topology: Topology, capacity: usize, items: u64) -> Outcome {
    let share = items.div_ceil(topology.senders as u64);
    let tracker = TaskTracker::new();
    let (sender, receiver) = async_channel::bounded::<(u64, TaskTrackerToken)>(capacity);
    let senders = (0..topology.senders as u64).map(|number| {
        let sender = sender.clone();
        let tracker = tracker.clone();
        async move {
            for value in number * share..(number + 1) * share {
                sender.send((value, tracker.token())).await.unwrap();
            }
        }
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..topology.receivers).map(|_| {
        let receiver = receiver.clone();
        async move {
            let mut sum = 0;
            while let Ok((value, _token)) = receiver.recv().await {
                sum += value;
            }
            sum
        }
    });
    let receivers = receivers.collect();
    drop((sender, receiver));
    let watch = Stopwatch::start();
    let sum = runtime.run(receivers, senders);
    tracker.close();
    block_on(tracker.wait());
    added_up(watch.stop(share * topology.senders as u64), sum)
}

fn sent<E: fmt::Display>(sent: Result<(), E>) -> Result<(), String> {
    sent.map_err(|error| error.to_string())
}

fn same(sent: u64, received: Option<u64>) -> Result<(), String> {
    if received == Some(sent) {
        Ok(())
    } else {
        Err(format!("received {received:?}, not {sent}"))
    }
}

/// Returns the sample if the sum is that of the items from 0 up.
fn added_up(sample: Sample, sum: u64) -> Outcome {
    let expected = sample.items * (sample.items - 1) / 2;
    if sum == expected {
        Ok(sample)
    } else {
        Err(format!("the items add up to {sum}, not {expected}"))
    }
}
