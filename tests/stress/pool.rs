//! A pool of workers that do everything a task allows: they end it well, fail it, retry it, drop
//! it, panic, split it, and queue follow-ups, at once or for later, with several tasks at a time, in any
//! order. Some workers are loops of `recv`, and some are pools inside one future, of `run_tasks`. Other
//! actors join throughout.
//!
//! The test runs many *cases*, each with a channel, a policy and a way to end. In each case several
//! producers send items in rounds. After each round but the last, all work is joined. Nothing is
//! outstanding then, so the report must match the items exactly. The test tracks each item:
//!
//! * It has one outcome, recorded before the call that ends it. The destructor of the item records
//!   whether dropping a task ended it: if the item is dropped while its thread drops the task, it
//!   was abandoned; if it is dropped at any other moment, it was discarded.
//! * It counts its deliveries, which `attempt` must equal.
//! * It knows when it is due, if it was delayed, and is not delivered before. Workers of both kinds delay
//!   items.
//!
//! Producers also end some of their senders with an error, or in a panic, and record that. Once `close_now`
//! has returned, no call of a task may queue anything.
//!
//! A *chain* is work that is certainly outstanding for a while: each item is a follow-up of the one
//! before, with retries in between. A join that begins and ends during the same chain has completed
//! too early.

// items, and what becomes of each
#[path = "pool/item.rs"]
mod item;
// the actors that start the rounds, and that send
#[path = "pool/driver.rs"]
mod driver;
// an actor that receives in a loop
#[path = "pool/worker.rs"]
mod worker;
// an actor that receives in a pool inside one future
#[cfg(all(feature = "std", feature = "futures"))]
#[path = "pool/in_future.rs"]
mod in_future;
// an actor that joins
#[path = "pool/joiner.rs"]
mod joiner;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use smol::channel;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use self::driver::Rounds;
use self::item::Item;
use self::item::Record;
use self::item::report_of;
use crate::cell::Executor;
use crate::cell::UNBOUNDED;
use crate::executor::Actor;

/// How many tasks there are in all.
const TASKS: u64 = if cfg!(debug_assertions) {
    200_000
} else {
    1_000_000
};
/// How many items a case may have.
const ITEMS: usize = 16_000;

const PRODUCERS: usize = 3;
const WORKERS: usize = 4;
const JOINERS: usize = 2;
/// How many tasks a worker holds at most.
const HAND: usize = 3;

const EXECUTORS: [Executor; 6] = [
    Executor::TokioMultiThread,
    Executor::TokioCurrentThread,
    Executor::Threads,
    Executor::Smol,
    Executor::LocalPool,
    Executor::AsyncStd,
];

/// Runs cases until there were enough tasks.
pub(crate) fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let start = Instant::now();
    let (mut cases, mut tasks, mut joins, mut delays) = (0, 0, 0, 0);
    let mut all = Report::default();
    while tasks < TASKS {
        let case = Case::any(cases, seed, &mut rng);
        let (report, joined, delayed) = case.run();
        cases += 1;
        tasks += report.sent + report.followed_up;
        joins += joined;
        delays += delayed;
        all.sent += report.sent;
        all.received += report.received;
        all.done += report.done;
        all.failed += report.failed;
        all.abandoned += report.abandoned;
        all.panicked += report.panicked;
        all.retried += report.retried;
        all.followed_up += report.followed_up;
        all.discarded += report.discarded;
        all.failed_senders += report.failed_senders;
    }
    println!(
        "{tasks} tasks in {cases} cases, {joins} joins, {delays} delays, {:.1?}",
        start.elapsed()
    );
    println!("{all:?}");
    let each = [
        all.failed,
        all.abandoned,
        all.panicked,
        all.retried,
        all.followed_up,
    ];
    assert!(each.iter().all(|it| *it > TASKS / 100), "{all:?}");
    assert_eq!(delays > TASKS / 100, cfg!(feature = "std"));
    assert!(all.discarded > 0 && joins > cases, "{joins} joins, {all:?}");
    assert!(all.failed_senders > cases, "{cases} cases, {all:?}");
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    DropSenders,
    Close,
    /// Halfway through a round.
    CloseNow,
    /// Halfway through a round.
    DropReceivers,
}

const ENDINGS: [Ending; 4] = [
    Ending::DropSenders,
    Ending::Close,
    Ending::CloseNow,
    Ending::DropReceivers,
];

#[derive(Clone, Copy)]
struct Case {
    number: u64,
    executor: Executor,
    capacity: usize,
    most_attempts: Option<NonZeroU32>,
    abandon: Abandon,
    keep_failures: usize,
    /// Whether the channel measures time.
    measures: bool,
    ending: Ending,
    /// How many of the workers are pools inside one future, if the crate has them.
    pools: usize,
    /// The seed of all cases.
    seed: u64,
}

impl Case {
    fn any(number: u64, seed: u64, rng: &mut fastrand::Rng) -> Self {
        let most_attempts = NonZeroU32::new(rng.u32(0..4));
        let abandon = match most_attempts {
            Some(_) if rng.bool() => Abandon::Requeue,
            _ => Abandon::Count,
        };
        Self {
            number,
            executor: EXECUTORS[number as usize % EXECUTORS.len()],
            capacity: [1, 2, 7, 64, UNBOUNDED][rng.usize(0..5)],
            most_attempts,
            abandon,
            keep_failures: [0, 1, 2, 100, usize::MAX][rng.usize(0..5)],
            measures: rng.bool(),
            ending: ENDINGS[rng.usize(0..4)],
            pools: [0, 1, WORKERS][rng.usize(0..3)],
            seed,
        }
    }

    fn channel(&self) -> (Sender<Item>, TaskReceiver<Item>) {
        let mut builder = Builder::new()
            .on_abandon(self.abandon)
            .keep_failures(self.keep_failures);
        if self.capacity != UNBOUNDED {
            builder = builder.capacity(self.capacity);
        }
        if let Some(most) = self.most_attempts {
            builder = builder.max_attempts(most);
        }
        #[cfg(feature = "std")]
        if self.measures {
            builder = builder.measure_time();
        }
        builder.build_tasks()
    }

    /// Runs this case; returns its report, how many joins completed, and how many items were delayed.
    fn run(self) -> (Report, u64, u64) {
        let _print = PrintOnPanic(self);
        let record = Arc::new(Record::new(&self));
        let (sender, receiver) = self.channel();
        let monitor = sender.monitor();
        let mut rng = fastrand::Rng::with_seed(self.seed ^ self.number);
        let mut state = || State {
            record: Arc::clone(&record),
            executor: self.executor,
            rng: rng.fork(),
        };
        let mut actors = Vec::new();
        let mut producers = Vec::new();
        let (over, rounds_over) = channel::bounded(PRODUCERS);
        for number in 0..PRODUCERS {
            let (to_producer, rounds) = channel::bounded(1);
            let producer = driver::produce(state(), rounds, sender.clone(), over.clone());
            actors.push(Actor::new(format!("producer {number}"), producer));
            producers.push(to_producer);
        }
        let rounds = Rounds {
            producers,
            over: rounds_over,
        };
        let driver = driver::drive(state(), rounds, self.ending, sender);
        actors.push(Actor::new("driver".into(), driver));
        for number in 0..WORKERS {
            let (state, receiver) = (state(), receiver.clone());
            #[cfg(all(feature = "std", feature = "futures"))]
            if number < self.pools {
                let pool = in_future::work(state, receiver);
                actors.push(Actor::new(format!("pool {number}"), pool));
                continue;
            }
            actors.push(Actor::new(
                format!("worker {number}"),
                worker::work(state, receiver),
            ));
        }
        drop(receiver);
        for number in 0..JOINERS {
            let joiner = joiner::join(state(), monitor.clone());
            actors.push(Actor::new(format!("joiner {number}"), joiner));
        }
        if let Err(what) = self.executor.run(actors) {
            panic!("{what}\n{monitor:?}");
        }
        #[cfg(feature = "std")]
        {
            let stats = monitor.stats();
            assert_eq!((stats.oldest_queued, stats.oldest_in_hand), (None, None));
        }
        let finished = record.finished.lock().unwrap().take();
        let result = finished.expect("the driver awaited the end");
        record.check_final(&result, self.ending);
        let made = record.made.load(Ordering::Relaxed);
        assert_eq!(record.dropped.load(Ordering::Relaxed), made, "items leak");
        let joins = record.joins.load(Ordering::Relaxed);
        let delays = record.delays.load(Ordering::Relaxed);
        (*report_of(&result), joins as u64, delays)
    }
}

/// Prints the case in which a test fails.
struct PrintOnPanic(Case);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Case {
                number,
                executor,
                capacity,
                most_attempts,
                abandon,
                keep_failures,
                measures,
                ending,
                pools,
                seed,
            } = self.0;
            eprintln!(
                "in case {number}: {executor:?}, capacity {capacity}, attempts {most_attempts:?}, \
                 {abandon:?}, {keep_failures} failures kept, measures: {measures}, {ending:?}, \
                 {pools} pools, \
                 TOLLGATE_STRESS_SEED={seed}"
            );
        }
    }
}

/// The state of one actor, and what it shares with the others.
struct State {
    record: Arc<Record>,
    executor: Executor,
    rng: fastrand::Rng,
}

impl State {
    async fn maybe_pause(&mut self, one_in: u32) {
        if self.rng.u32(0..one_in) == 0 {
            self.executor.pause().await;
        }
    }

    /// When an item is due that is to be queued, if it is to be delayed.
    fn due(&mut self) -> Option<Instant> {
        let delay = Duration::from_micros(self.rng.u64(0..300));
        let is_delayed = cfg!(feature = "std") && self.rng.u8(0..4) == 0;
        is_delayed.then(|| {
            self.record.delays.fetch_add(1, Ordering::Relaxed);
            Instant::now() + delay
        })
    }
}
