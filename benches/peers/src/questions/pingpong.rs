//! Sends an item back and forth between two tasks, through two channels that hold one item.

use std::rc::Rc;

use crate::channel::Channel;
use crate::channel::Received;
use crate::channel::Sent;
use crate::channel::crossfire;
use crate::channel::many::AsyncChannel;
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

/// Sends this many items back and forth.
type Run = fn(&Runtime, u64) -> Outcome;

pub fn cases() -> impl Iterator<Item = (String, Question)> {
    let case = |kind: Kind| (kind.name().to_owned(), Question::PingPong(kind));
    [Kind::Ct, Kind::Mt].into_iter().map(case)
}

pub fn contestants(kind: Kind) -> Vec<Contestant<'static>> {
    let runtime = Rc::new(Runtime::start(kind));
    let runs: [(&str, Run); 7] = [
        (OWN, round_trips::<Tollgate>),
        ("tachyonix", round_trips::<Tachyonix>),
        ("tokio", round_trips::<Tokio>),
        ("async-channel", round_trips::<AsyncChannel>),
        ("kanal", round_trips::<Kanal>),
        ("crossfire mpmc", round_trips::<crossfire::Mpmc>),
        ("rapidfire", round_trips::<Rapidfire>),
    ];
    let contestant = |(name, run): (&str, Run)| {
        let runtime = runtime.clone();
        Contestant::new(name, move |items| run(&runtime, items))
    };
    runs.into_iter().map(contestant).collect()
}

fn round_trips<C: Channel<u64>>(runtime: &Runtime, items: u64) -> Outcome {
    let (mut there, mut from_there) = C::open(1, 1, 1);
    let (mut back, mut from_back) = C::open(1, 1, 1);
    let (mut there, mut from_there) = (there.remove(0), from_there.remove(0));
    let (mut back, mut from_back) = (back.remove(0), from_back.remove(0));
    let echo = async move {
        let mut sum = 0;
        while let Some(value) = C::recv(&mut from_there).await.item() {
            sum += value;
            assert!(C::send(&mut back, value).await.is_sent());
        }
        sum
    };
    let ping = async move {
        for value in 1..=items {
            assert!(C::send(&mut there, value).await.is_sent());
            assert_eq!(C::recv(&mut from_back).await.item(), Some(value));
        }
    };
    let watch = Stopwatch::start();
    let sum = runtime.run(vec![echo], vec![ping]);
    let sample = watch.stop(items);
    let expected = items * (items + 1) / 2;
    if sum == expected {
        Ok(sample)
    } else {
        Err(format!("the items add up to {sum}, not {expected}"))
    }
}
