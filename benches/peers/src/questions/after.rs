//! The cost of calls after a `close` or a dropped `join`: tollgate compared with itself.

use std::fmt;

use futures_lite::future::block_on;
use futures_lite::future::poll_once;
use serde::Deserialize;
use serde::Serialize;
use tollgate::Receiver;
use tollgate::Sender;

use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Stopwatch;
use crate::question::Question;

/// The contestant that calls neither `close` nor `join`.
pub const WITHOUT: &str = "without";

/// The number of items that are drained at a time.
const FULL: usize = 4096;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Case {
    /// Receives the queued items, after a `close`.
    Drain,
    /// Sends and receives in turn, after a `join` was polled once and dropped.
    Pairs {
        /// With `try_send` and `try_recv`.
        tries: bool,
        /// Another item is in the channel at all times.
        is_never_idle: bool,
    },
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Pairs {
            tries,
            is_never_idle,
        } = self
        else {
            return f.write_str("close: draining with try_recv");
        };
        f.write_str(if *tries {
            "join: try_send and try_recv"
        } else {
            "join: send and recv"
        })?;
        if *is_never_idle {
            f.write_str(", one item left")?;
        }
        Ok(())
    }
}

pub fn cases() -> impl Iterator<Item = (String, Question)> {
    let pairs = |tries, is_never_idle| Case::Pairs {
        tries,
        is_never_idle,
    };
    let cases = [
        Case::Drain,
        pairs(true, true),
        pairs(true, false),
        pairs(false, true),
        pairs(false, false),
    ];
    let case = |case: Case| (case.to_string(), Question::After(case));
    cases.into_iter().map(case)
}

pub fn contestants(case: Case) -> Vec<Contestant<'static>> {
    let contestant = |name, is_after| {
        Contestant::new(name, move |items| match case {
            Case::Drain => {
                let times = items.div_ceil(FULL as u64);
                (0..times).map(|_| drain(is_after)).sum()
            }
            Case::Pairs {
                tries,
                is_never_idle,
            } => pairs(items, tries, is_never_idle, is_after),
        })
    };
    vec![contestant(WITHOUT, false), contestant("after", true)]
}

fn drain(is_closed: bool) -> Outcome {
    let (sender, receiver) = tollgate::bounded(FULL);
    for value in 0..FULL {
        sender.try_send(value).map_err(text)?;
    }
    if is_closed {
        sender.close();
    }
    let watch = Stopwatch::start();
    for value in 0..FULL {
        if receiver.try_recv() != Ok(value) {
            return Err(format!("item {value} is missing"));
        }
    }
    Ok(watch.stop(FULL as u64))
}

fn pairs(items: u64, tries: bool, is_never_idle: bool, is_joined: bool) -> Outcome {
    let (sender, receiver) = tollgate::bounded(64);
    // The item for which the join waits.
    sender.try_send(0).map_err(text)?;
    if is_joined && block_on(poll_once(sender.join())).is_some() {
        return Err("joined with an item in the channel".to_owned());
    }
    if !is_never_idle {
        receiver.try_recv().map_err(text)?;
    }
    if tries {
        try_pairs(items, &sender, &receiver)
    } else {
        block_on(async_pairs(items, &sender, &receiver))
    }
}

fn try_pairs(items: u64, sender: &Sender<u64>, receiver: &Receiver<u64>) -> Outcome {
    let watch = Stopwatch::start();
    for value in 0..items {
        sender.try_send(value).map_err(text)?;
        receiver.try_recv().map_err(text)?;
    }
    Ok(watch.stop(items))
}

async fn async_pairs(items: u64, sender: &Sender<u64>, receiver: &Receiver<u64>) -> Outcome {
    let watch = Stopwatch::start();
    for value in 0..items {
        sender.send(value).await.map_err(text)?;
        receiver.recv().await.map_err(text)?;
    }
    Ok(watch.stop(items))
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
