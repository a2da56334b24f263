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

// Workers that are pools inside one future.
#[cfg(all(feature = "std", feature = "futures"))]
#[path = "pool_in_future.rs"]
mod in_future;

use std::cell::Cell as ThreadCell;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use smol::channel;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::JoinError;
use tollgate::Monitor;
use tollgate::Report;
use tollgate::RetryError;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::cell::Executor;
use crate::cell::UNBOUNDED;
use crate::common::assert_adds_up;
use crate::common::assert_each_is_counted;
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

/// How an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Outcome {
    Unknown,
    /// Its send or follow-up was refused.
    Refused,
    Done,
    Failed,
    Abandoned,
    Panicked,
    Discarded,
    /// Returned by `close_now`.
    Drained,
}

const OUTCOMES: usize = 8;

thread_local! {
    /// The item whose task this thread is dropping, and the outcome of the item if that drops it.
    static DROPPING: ThreadCell<Option<(usize, Outcome)>> = const { ThreadCell::new(None) };
}

/// What the actors of a case record.
#[derive(Default)]
struct Record {
    outcomes: Vec<AtomicU8>,
    /// How many items were made, and how many were dropped.
    made: AtomicUsize,
    dropped: AtomicUsize,
    sent: AtomicU64,
    followed_up: AtomicU64,
    delivered: AtomicU64,
    /// Odd while a chain is outstanding.
    chain: AtomicUsize,
    most_attempts: Option<NonZeroU32>,
    keep_failures: usize,
    /// When the case began, if the channel measures time.
    #[cfg(feature = "std")]
    start: Option<Instant>,
    /// How many senders have failed.
    failed_senders: AtomicU64,
    /// Whether `close_now` has returned.
    is_over: AtomicBool,
    /// Whether the workers should stop.
    stop: AtomicBool,
    /// How many joins completed.
    joins: AtomicUsize,
    /// How many items were delayed.
    delays: AtomicU64,
    finished: Mutex<Option<Result<Report, JoinError>>>,
}

/// An item, with a record of its deliveries.
struct Item {
    number: usize,
    deliveries: u32,
    has_outcome: bool,
    /// How many items follow in its chain, if it is part of one.
    chain: Option<u32>,
    /// When it is due, if it is delayed.
    due: Option<Instant>,
    record: Arc<Record>,
}

impl Item {
    fn set_outcome(&mut self, outcome: Outcome) {
        let old = self.record.outcomes[self.number].swap(outcome as u8, Ordering::Relaxed);
        assert_eq!(
            old, 0,
            "item {} has two outcomes, the second is {outcome:?}",
            self.number
        );
        self.has_outcome = true;
    }

    /// The channel returned the item; its destructor must not record another outcome.
    fn return_with(mut self, outcome: Outcome) {
        self.set_outcome(outcome);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !self.has_outcome {
            match DROPPING.get() {
                Some((item, outcome)) if item == self.number => self.set_outcome(outcome),
                _ => self.set_outcome(Outcome::Discarded),
            }
        }
        if self.chain.is_some() {
            self.record.chain_ends();
        }
        self.record.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Record {
    fn new(case: &Case) -> Self {
        Self {
            outcomes: (0..ITEMS).map(|_| AtomicU8::new(0)).collect(),
            most_attempts: case.most_attempts,
            keep_failures: case.keep_failures,
            #[cfg(feature = "std")]
            start: case.measures.then(Instant::now),
            ..Self::default()
        }
    }

    /// Makes another item, unless the case has enough.
    fn item(self: &Arc<Self>, chain: Option<u32>) -> Option<Item> {
        let made = self
            .made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |made| {
                (made < ITEMS).then_some(made + 1)
            });
        Some(Item {
            number: made.ok()?,
            deliveries: 0,
            has_outcome: false,
            chain,
            due: None,
            record: Arc::clone(self),
        })
    }

    /// Called while a chain is certainly outstanding: its first task is in hand.
    fn chain_begins(&self) {
        let begin = |epoch| (epoch % 2 == 0).then_some(epoch + 1);
        let _ = self
            .chain
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, begin);
    }

    /// Must be called before the chain may end.
    fn chain_ends(&self) {
        let end = |epoch| (epoch % 2 == 1).then_some(epoch + 1);
        let _ = self
            .chain
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, end);
    }

    fn is_over(&self) -> bool {
        // Acquire: pairs with the Release in `end_early`.
        self.is_over.load(Ordering::Acquire)
    }

    /// Checks a call that has queued something, given whether the channel was over before the call.
    fn check_accepted(&self, was_over: bool) {
        assert!(!was_over, "queued after `close_now`");
    }

    /// Checks the report of a join while nothing is queued or in hand, and no sender is failing.
    fn check(&self, result: &Result<Report, JoinError>) {
        let failed = self.failed_senders.load(Ordering::Relaxed);
        assert_eq!(report_of(result).failed_senders, failed);
        self.check_items(result);
    }

    /// Checks the final report. A sender that fails after the end is not counted.
    fn check_final(&self, result: &Result<Report, JoinError>, ending: Ending) {
        let failed = self.failed_senders.load(Ordering::Relaxed);
        let counted = report_of(result).failed_senders;
        match ending {
            // The channel is open until the last sender is dropped.
            Ending::DropSenders => assert_eq!(counted, failed),
            _ => assert!(counted <= failed, "{counted} of {failed} failed senders"),
        }
        self.check_items(result);
    }

    fn check_items(&self, result: &Result<Report, JoinError>) {
        let report = report_of(result);
        assert_adds_up(report);
        let mut counts = [0; OUTCOMES];
        let made = self.made.load(Ordering::Relaxed);
        for outcome in &self.outcomes[..made] {
            counts[usize::from(outcome.load(Ordering::Relaxed))] += 1;
        }
        let of = |outcome: Outcome| counts[outcome as usize];
        assert_eq!(of(Outcome::Unknown), 0, "joined with work left: {report:?}");
        assert_eq!(report.sent, self.sent.load(Ordering::Relaxed));
        assert_eq!(report.followed_up, self.followed_up.load(Ordering::Relaxed));
        assert_eq!(report.received, self.delivered.load(Ordering::Relaxed));
        assert_eq!(report.done, of(Outcome::Done));
        assert_eq!(report.failed, of(Outcome::Failed));
        assert_eq!(report.abandoned, of(Outcome::Abandoned));
        assert_eq!(report.panicked, of(Outcome::Panicked));
        assert_eq!(
            report.discarded,
            of(Outcome::Discarded) + of(Outcome::Drained)
        );
        let is_discarded = u64::from(of(Outcome::Discarded) > 0);
        let failures = report.failed + report.abandoned + report.panicked + report.failed_senders;
        let failures = failures + is_discarded;
        let kept = match result {
            Ok(_) => 0,
            Err(error) => error.failures().len() as u64,
        };
        let most = self.keep_failures.max(1) as u64;
        assert_eq!(kept, failures.min(most), "{result:?}");
    }
}

fn report_of(result: &Result<Report, JoinError>) -> &Report {
    match result {
        Ok(report) | Err(JoinError { report, .. }) => report,
    }
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
            let producer = produce(state(), rounds, sender.clone(), over.clone());
            actors.push(Actor::new(format!("producer {number}"), producer));
            producers.push(to_producer);
        }
        let rounds = Rounds {
            producers,
            over: rounds_over,
        };
        let driver = drive(state(), rounds, self.ending, sender);
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
                work(state, receiver),
            ));
        }
        drop(receiver);
        for number in 0..JOINERS {
            let joiner = join(state(), monitor.clone());
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

/// What one producer should do in a round.
struct Round {
    items: usize,
    may_have_chains: bool,
}

/// How the driver starts a round of each producer, and waits for its end.
struct Rounds {
    producers: Vec<channel::Sender<Round>>,
    over: channel::Receiver<()>,
}

/// Sends the items of each round, or as many as the channel accepts.
async fn produce(
    mut state: State,
    rounds: channel::Receiver<Round>,
    sender: Sender<Item>,
    over: channel::Sender<()>,
) {
    while let Ok(round) = rounds.recv().await {
        for _ in 0..round.items {
            let has_chain = round.may_have_chains && state.rng.u32(0..256) == 0;
            let chain = has_chain.then(|| state.rng.u32(1..50));
            if !send(&state, &sender, chain).await {
                break;
            }
            state.maybe_pause(64).await;
            if state.rng.u32(0..512) == 0 {
                fail_at_random(&mut state, sender.clone());
            }
        }
        over.send(()).await.unwrap();
    }
    match state.rng.bool() {
        true => fail_at_random(&mut state, sender),
        false => drop(sender),
    }
}

/// Ends a sender with an error, or in a panic.
fn fail_at_random(state: &mut State, sender: Sender<Item>) {
    match state.rng.bool() {
        true => sender.fail("no more input"),
        false => panic_with(sender),
    }
    state.record.failed_senders.fetch_add(1, Ordering::Relaxed);
}

/// A worker that panics while it owns `owned`.
fn panic_with<R>(owned: R) {
    let unwind = AssertUnwindSafe(|| {
        let _owned = owned;
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
}

/// Has items sent in rounds, joins after each, and closes the channel.
async fn drive(mut state: State, rounds: Rounds, ending: Ending, sender: Sender<Item>) {
    let monitor = sender.monitor();
    loop {
        let most = 1 << state.rng.u32(0..10);
        let made = state.record.made.load(Ordering::Relaxed);
        let is_last = made + PRODUCERS * most > ITEMS / 2;
        // Items that `close_now` takes are resolved before it returns them, so their chains
        // would end too late.
        let may_have_chains = !(is_last && ending == Ending::CloseNow);
        for producer in &rounds.producers {
            let round = Round {
                items: state.rng.usize(1..=most),
                may_have_chains,
            };
            producer.send(round).await.unwrap();
        }
        if is_last {
            for _ in 0..state.rng.usize(0..most) {
                state.maybe_pause(64).await;
            }
            end_early(&state, ending, &monitor);
        }
        for _ in &rounds.producers {
            rounds.over.recv().await.unwrap();
        }
        if is_last {
            break;
        }
        let result = sender.join().await;
        state.record.check(&result);
        let stats = monitor.stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
        #[cfg(feature = "std")]
        assert_eq!(stats.next_due, None);
        assert_each_is_counted(&stats);
        assert_eq!(stats.report, *report_of(&result));
    }
    drop(rounds);
    match ending {
        Ending::DropSenders => drop(sender),
        _ => drop(sender.close()),
    }
    let result = monitor.finished().await;
    let failed = monitor.failed().await;
    assert_eq!(failed.is_some(), result.is_err());
    *state.record.finished.lock().unwrap() = Some(result);
}

/// Ends the case while producers send, if it ends in that way.
fn end_early(state: &State, ending: Ending, monitor: &Monitor<Item>) {
    match ending {
        Ending::CloseNow => {
            let drained = monitor.close_now();
            // Release: pairs with the Acquire in `is_over`.
            state.record.is_over.store(true, Ordering::Release);
            drained.for_each(|item| item.return_with(Outcome::Drained));
        }
        Ending::DropReceivers => state.record.stop.store(true, Ordering::Relaxed),
        Ending::DropSenders | Ending::Close => {}
    }
}

/// Sends one item; returns whether the channel is open.
async fn send(state: &State, sender: &Sender<Item>, chain: Option<u32>) -> bool {
    let Some(item) = state.record.item(chain) else {
        return true;
    };
    match sender.send(item).await {
        Ok(()) => {
            state.record.sent.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.return_with(Outcome::Refused);
            false
        }
    }
}

/// Receives tasks and ends them, until the channel ends or the worker should stop.
async fn work(mut state: State, receiver: TaskReceiver<Item>) {
    let mut hand = Vec::new();
    while !state.record.stop.load(Ordering::Relaxed) {
        let Ok(task) = receiver.recv().await else {
            // Nothing more can come.
            assert!(receiver.is_closed());
            assert_eq!(
                receiver.monitor().outstanding(),
                0,
                "the channel ended with work left"
            );
            break;
        };
        hand.push(record_delivery(&state, task));
        while hand.len() < HAND && state.rng.u8(0..4) == 0 {
            let Ok(task) = receiver.try_recv() else {
                break;
            };
            hand.push(record_delivery(&state, task));
        }
        if state.record.stop.load(Ordering::Relaxed) {
            break;
        }
        end_all(&mut state, &mut hand).await;
    }
    // What is in hand outlives the receiver.
    drop(receiver);
    end_all(&mut state, &mut hand).await;
}

fn record_delivery(state: &State, mut task: Task<Item>) -> Task<Item> {
    state.record.delivered.fetch_add(1, Ordering::Relaxed);
    task.deliveries += 1;
    assert_eq!(task.attempt(), task.deliveries);
    #[cfg(feature = "std")]
    {
        let waited = task.waited();
        let elapsed = state.record.start.map(|start| start.elapsed());
        assert_eq!(waited.is_some(), elapsed.is_some());
        assert!(waited <= elapsed);
    }
    let due = task.due.take();
    assert!(due.is_none_or(|due| Instant::now() >= due), "early");
    if let Some(most) = state.record.most_attempts {
        assert!(task.attempt() <= most.get());
    }
    if task.chain.is_some() && task.deliveries == 1 {
        state.record.chain_begins();
    }
    task
}

/// Ends what is in hand, in random order, with pauses.
async fn end_all(state: &mut State, hand: &mut Vec<Task<Item>>) {
    while !hand.is_empty() {
        state.maybe_pause(8).await;
        let task = hand.swap_remove(state.rng.usize(0..hand.len()));
        match task.chain {
            Some(left) => continue_chain(state, task, left),
            None => end_at_random(state, task),
        }
    }
}

/// Continues the chain, with a follow-up or a retry, or ends it.
fn continue_chain(state: &mut State, mut task: Task<Item>, left: u32) {
    let may_retry = state
        .record
        .most_attempts
        .is_none_or(|most| task.attempt() < most.get());
    if may_retry && state.rng.u8(0..4) == 0 {
        return retry(state, task);
    }
    if left > 0 && follow_up(state, &task, Some(left - 1)) {
        // The follow-up continues the chain.
        task.chain = None;
    }
    if task.chain.is_some() {
        state.record.chain_ends();
    }
    task.set_outcome(Outcome::Done);
    drop(task.done());
}

fn end_at_random(state: &mut State, mut task: Task<Item>) {
    match state.rng.u8(0..16) {
        0 => {
            task.set_outcome(Outcome::Failed);
            drop(task.fail("for a reason"));
        }
        1 => drop_with(task, Outcome::Abandoned, drop),
        2 => drop_with(task, Outcome::Panicked, panic_with),
        3 => split(state, task),
        4..=6 => {
            if state
                .record
                .most_attempts
                .is_some_and(|most| task.attempt() == most.get())
            {
                task.set_outcome(Outcome::Failed);
            }
            retry(state, task);
        }
        choice => {
            if choice < 10 {
                follow_up(state, &task, None);
            }
            task.set_outcome(Outcome::Done);
            drop(task.done());
        }
    }
}

fn retry(state: &mut State, mut task: Task<Item>) {
    task.due = state.due();
    let was_over = state.record.is_over();
    match retry_when_due(task) {
        Ok(()) => state.record.check_accepted(was_over),
        Err(RetryError::Exhausted(item)) => assert!(item.has_outcome, "attempts were left"),
        Err(RetryError::Terminated(item)) => item.return_with(Outcome::Failed),
    }
}

#[cfg(feature = "std")]
fn retry_when_due(task: Task<Item>) -> Result<(), RetryError<Item>> {
    let Some(due) = task.due else {
        return task.retry();
    };
    match task.number % 3 {
        0 => task.retry_at(due),
        1 => task.retry_after(until(due)),
        _ => task.retry_after_or_fail(until(due), "for a reason"),
    }
}

/// A delay that ends when an item is due, or later, because it begins after this call.
#[cfg(feature = "std")]
fn until(due: Instant) -> Duration {
    due.saturating_duration_since(Instant::now())
}

#[cfg(feature = "std")]
fn follow_up_when_due(task: &Task<Item>, item: Item) -> Result<(), SendError<Item>> {
    match item.due {
        None => task.follow_up(item),
        Some(due) => task.follow_up_after(item, until(due)),
    }
}

#[cfg(not(feature = "std"))]
fn retry_when_due(task: Task<Item>) -> Result<(), RetryError<Item>> {
    task.retry()
}

#[cfg(not(feature = "std"))]
fn follow_up_when_due(task: &Task<Item>, item: Item) -> Result<(), SendError<Item>> {
    task.follow_up(item)
}

/// Queues a follow-up; returns whether the channel accepted it.
fn follow_up(state: &mut State, task: &Task<Item>, chain: Option<u32>) -> bool {
    let Some(mut item) = state.record.item(chain) else {
        return false;
    };
    item.due = state.due();
    let was_over = state.record.is_over();
    match follow_up_when_due(task, item) {
        Ok(()) => {
            state.record.check_accepted(was_over);
            state.record.followed_up.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.return_with(Outcome::Refused);
            false
        }
    }
}

fn split(state: &mut State, task: Task<Item>) {
    let outcome = [Outcome::Done, Outcome::Failed, Outcome::Abandoned][state.rng.usize(0..3)];
    let (mut item, ticket) = task.split();
    item.set_outcome(outcome);
    drop(item);
    match outcome {
        Outcome::Done => ticket.done(),
        Outcome::Failed => ticket.fail("for a reason"),
        _ => drop(ticket),
    }
}

/// Drops a task, which ends its item with this outcome, unless it is requeued.
fn drop_with(task: Task<Item>, outcome: Outcome, drop_it: impl FnOnce(Task<Item>)) {
    let (record, number) = (Arc::clone(&task.record), task.number);
    let was_over = record.is_over();
    DROPPING.set(Some((number, outcome)));
    drop_it(task);
    DROPPING.set(None);
    if was_over {
        // The item was dropped, too.
        let ended = record.outcomes[number].load(Ordering::Relaxed);
        assert_eq!(ended, outcome as u8, "requeued after `close_now`");
    }
}

/// Joins repeatedly, and checks the statistics.
async fn join(mut state: State, monitor: Monitor<Item>) {
    loop {
        let is_last = monitor.stats().closed;
        // SeqCst: if the epoch is the same afterwards, this chain was outstanding throughout.
        let before = state.record.chain.load(Ordering::SeqCst);
        let result = monitor.join().await;
        let after = state.record.chain.load(Ordering::SeqCst);
        let was_outstanding = before == after && before % 2 == 1;
        assert!(
            !was_outstanding,
            "joined while a chain was outstanding: {result:?}"
        );
        assert_adds_up(report_of(&result));
        state.record.joins.fetch_add(1, Ordering::Relaxed);
        if is_last {
            break;
        }
        for _ in 0..state.rng.u32(1..16) {
            state.executor.pause().await;
            let stats = monitor.stats();
            if !stats.closed {
                assert!(stats.in_hand <= WORKERS * HAND, "{stats:?}");
            }
            assert!(format!("{:?}", monitor.join()).contains("in_hand: "));
        }
    }
}
