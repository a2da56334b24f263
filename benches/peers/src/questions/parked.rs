//! A `try_send` while many receivers wait.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use crate::channel::Received;
use crate::cli::Effort;
use crate::markdown::Table;
use crate::measure;
use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Runs;
use crate::measure::Sample;
use crate::measure::Stopwatch;
use crate::measure::statistics::Spread;
use crate::peers::OWN;
use crate::question::Question;

const NUMBERS: [usize; 3] = [1, 100, 10_000];
const CAPACITY: usize = 64;
const ASYNC_CHANNEL: &str = "async-channel";
const NAMES: [&str; 5] = [OWN, ASYNC_CHANNEL, "rapidfire", "kanal", "crossfire mpmc"];

/// All contestants with all numbers of parked receivers, in one question, because the numbers are
/// compared within the same round.
pub fn contestants() -> Vec<Contestant<'static>> {
    let mut contestants = Vec::new();
    for number in NUMBERS {
        let runs: [fn(usize, u64) -> Outcome; 5] = [
            |number, items| {
                let (sender, receiver) = tollgate::bounded(CAPACITY);
                let send = |item| sender.try_send(item).is_ok();
                run(number, items, send, || receiver.recv())
            },
            |number, items| {
                let (sender, receiver) = async_channel::bounded(CAPACITY);
                let send = |item| sender.try_send(item).is_ok();
                run(number, items, send, || receiver.recv())
            },
            |number, items| {
                let (sender, receiver) = rapidfire::bounded(CAPACITY);
                let send = |item| sender.try_send(item).is_ok();
                run(number, items, send, || receiver.recv())
            },
            |number, items| {
                let (sender, receiver) = kanal::bounded_async(CAPACITY);
                let send = |item| sender.try_send(item).is_ok_and(|sent| sent);
                run(number, items, send, || receiver.recv())
            },
            |number, items| {
                let (sender, receiver) = crossfire::mpmc::bounded_async(CAPACITY);
                let send = |item| sender.try_send(item).is_ok();
                run(number, items, send, || receiver.recv())
            },
        ];
        for (name, run) in NAMES.into_iter().zip(runs) {
            let run = move |items| run(number, items);
            contestants.push(Contestant::new(full_name(name, number), run));
        }
    }
    contestants
}

fn full_name(name: &str, number: usize) -> String {
    format!("{name}, {number} parked")
}

/// Notes which receiver is woken.
struct Parked {
    index: usize,
    woken: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.lock().unwrap().push_back(self.index);
    }
}

/// Sends an item, polls woken receivers until no more are woken, and replaces the receiver that
/// received by a new, parked one. So all receivers wait when the next item is sent.
fn run<F>(number: usize, items: u64, send: impl Fn(u64) -> bool, recv: impl Fn() -> F) -> Outcome
where
    F: Future<Output: Received<u64>>,
{
    let woken = Arc::new(Mutex::new(VecDeque::new()));
    let waker = |index| {
        let woken = woken.clone();
        Waker::from(Arc::new(Parked { index, woken }))
    };
    let next_woken = || woken.lock().unwrap().pop_front();
    let mut parked: Vec<(Waker, Pin<Box<F>>)> = Vec::new();
    for index in 0..number {
        let waker = waker(index);
        let mut future = Box::pin(recv());
        park(&mut future, &waker)?;
        parked.push((waker, future));
    }
    let mut received = Vec::new();
    let watch = Stopwatch::start();
    for value in 0..items {
        if !send(value) {
            return Err(format!("item {value} found no room"));
        }
        while let Some(index) = next_woken() {
            let (waker, future) = &mut parked[index];
            if let Poll::Ready(item) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                received.push(item.item());
                future.set(recv());
                park(future, waker)?;
            }
        }
        if received != [Some(value)] {
            return Err(format!("received {received:?}, not {value}"));
        }
        received.clear();
    }
    Ok(watch.stop(items))
}

fn park<F: Future>(future: &mut Pin<Box<F>>, waker: &Waker) -> Result<(), String> {
    match future.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Pending => Ok(()),
        Poll::Ready(_) => Err("there is an item that was not sent".to_owned()),
    }
}

/// Measures, and prints the ratios to a single parked receiver and to async-channel.
pub fn ask(effort: &Effort) -> io::Result<()> {
    let answer = measure::ask(effort.job(Question::Parked))?;
    let all = Runs::of(&answer);
    let of = |name, number| {
        let name = full_name(name, number);
        all.iter().find(|runs| runs.contestant == name)
    };
    let mut table = Table::new([
        "contestant",
        "parked",
        "ns an item",
        "to 1 parked",
        "to async-channel",
    ]);
    for name in NAMES {
        for number in NUMBERS {
            let Some(runs) = of(name, number) else {
                continue;
            };
            let ratio = |base: Option<&Runs>| match base {
                Some(base) if base.contestant != runs.contestant => {
                    format!("{:.2}", runs.ratio(base, Sample::wall_per_item))
                }
                _ => "–".to_owned(),
            };
            table.row([
                name.to_owned(),
                number.to_string(),
                format!("{:.1}", Spread::of(runs.wall())),
                ratio(of(name, 1)),
                ratio(of(ASYNC_CHANNEL, number)),
            ]);
        }
    }
    println!("{table}");
    for failure in answer.failures {
        println!("\nFailed: {}: {}", failure.contestant, failure.what);
    }
    Ok(())
}
