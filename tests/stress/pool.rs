//! A pool of workers that do everything a task allows: they end it well, fail it, retry it, drop
//! it, panic, split it, and leave follow-ups, with several tasks at a time, in any order. Other
//! actors join throughout.
//!
//! It runs in *lives*: a channel with a capacity, a policy and a way to end. In each life several
//! producers send items in rounds. After each round but the last, all work is joined; then nothing
//! moves, and the report must match the items exactly. The test tracks each item:
//!
//! * It has one fate, recorded before the call that ends it. The item itself finds out whether
//!   dropping a task ended it: if it is dropped while its thread drops the task, it was abandoned;
//!   if it is dropped at any other moment, it was discarded.
//! * It counts its deliveries, which `attempt` must equal.
//!
//! A *chain* is work that is certainly outstanding for a while: each item is a follow-up of the one
//! before, with retries in between. A join that begins and ends during the same chain has completed
//! too early.

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
use crate::common::assert_adds_up;
use crate::common::assert_each_is_counted;
use crate::executor::Actor;

/// How many tasks there are in all.
const TASKS: u64 = if cfg!(debug_assertions) {
    200_000
} else {
    1_000_000
};
/// How many items a life may have.
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

/// Runs lives until there were enough tasks.
pub(crate) fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let start = Instant::now();
    let (mut lives, mut tasks, mut joins) = (0, 0, 0);
    let mut all = Report::default();
    while tasks < TASKS {
        let life = Life::any(lives, seed, &mut rng);
        let (report, joined) = life.run();
        lives += 1;
        tasks += report.sent + report.followed_up;
        joins += joined;
        all.sent += report.sent;
        all.received += report.received;
        all.done += report.done;
        all.failed += report.failed;
        all.abandoned += report.abandoned;
        all.panicked += report.panicked;
        all.retried += report.retried;
        all.followed_up += report.followed_up;
        all.discarded += report.discarded;
    }
    println!(
        "{tasks} tasks in {lives} lives, {joins} joins, {:.1?}",
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
    assert!(all.discarded > 0 && joins > lives, "{joins} joins, {all:?}");
}

/// What becomes of an item in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    Unknown,
    /// Its send or follow-up was refused.
    Refused,
    Done,
    Failed,
    Abandoned,
    Panicked,
    Discarded,
    HandedBack,
}

const FATES: usize = 8;

thread_local! {
    /// The item whose task this thread is dropping, and the fate of the item if that drops it.
    static DROPPING: ThreadCell<Option<(usize, Fate)>> = const { ThreadCell::new(None) };
}

/// What the actors of a life share.
#[derive(Default)]
struct Truth {
    fates: Vec<AtomicU8>,
    /// How many items were made, and how many were dropped.
    made: AtomicUsize,
    dropped: AtomicUsize,
    sent: AtomicU64,
    followed_up: AtomicU64,
    delivered: AtomicU64,
    /// Odd while a chain is alive.
    chain: AtomicUsize,
    most_attempts: Option<NonZeroU32>,
    /// Whether the workers should leave.
    leave: AtomicBool,
    /// How many joins completed.
    joins: AtomicUsize,
    finished: Mutex<Option<Result<Report, JoinError>>>,
}

/// An item, with a record of its deliveries.
struct Item {
    number: usize,
    deliveries: u32,
    is_noted: bool,
    /// How many links follow in its chain, if it is part of one.
    chain: Option<u32>,
    truth: Arc<Truth>,
}

impl Item {
    fn note(&mut self, fate: Fate) {
        let old = self.truth.fates[self.number].swap(fate as u8, Ordering::Relaxed);
        assert_eq!(old, 0, "item {} has two fates, {fate:?} too", self.number);
        self.is_noted = true;
    }

    /// The channel returned the item; its destructor must not record another fate.
    fn came_back(mut self, fate: Fate) {
        self.note(fate);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !self.is_noted {
            match DROPPING.get() {
                Some((item, fate)) if item == self.number => self.note(fate),
                _ => self.note(Fate::Discarded),
            }
        }
        if self.chain.is_some() {
            self.truth.chain_ends();
        }
        self.truth.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Truth {
    fn new(most_attempts: Option<NonZeroU32>) -> Self {
        Self {
            fates: (0..ITEMS).map(|_| AtomicU8::new(0)).collect(),
            most_attempts,
            ..Self::default()
        }
    }

    /// Makes another item, unless the life has had enough.
    fn item(self: &Arc<Self>, chain: Option<u32>) -> Option<Item> {
        let made = self
            .made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |made| {
                (made < ITEMS).then_some(made + 1)
            });
        Some(Item {
            number: made.ok()?,
            deliveries: 0,
            is_noted: false,
            chain,
            truth: Arc::clone(self),
        })
    }

    /// A chain is certainly outstanding: its first link is in hand.
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

    /// Checks the report of a join while nothing is queued or in hand.
    fn check(&self, result: &Result<Report, JoinError>) {
        let report = report_of(result);
        assert_adds_up(report);
        let mut counts = [0; FATES];
        let made = self.made.load(Ordering::Relaxed);
        for fate in &self.fates[..made] {
            counts[usize::from(fate.load(Ordering::Relaxed))] += 1;
        }
        let of = |fate: Fate| counts[fate as usize];
        assert_eq!(of(Fate::Unknown), 0, "joined with work left: {report:?}");
        assert_eq!(report.sent, self.sent.load(Ordering::Relaxed));
        assert_eq!(report.followed_up, self.followed_up.load(Ordering::Relaxed));
        assert_eq!(report.received, self.delivered.load(Ordering::Relaxed));
        assert_eq!(report.done, of(Fate::Done));
        assert_eq!(report.failed, of(Fate::Failed));
        assert_eq!(report.abandoned, of(Fate::Abandoned));
        assert_eq!(report.panicked, of(Fate::Panicked));
        assert_eq!(report.discarded, of(Fate::Discarded) + of(Fate::HandedBack));
        let failures = report.failed + report.abandoned + report.panicked + of(Fate::Discarded);
        assert_eq!(result.is_err(), failures > 0, "{result:?}");
    }
}

fn report_of(result: &Result<Report, JoinError>) -> &Report {
    match result {
        Ok(report) | Err(JoinError { report, .. }) => report,
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    SendersGo,
    Close,
    /// Halfway through a round.
    CloseNow,
    /// Halfway through a round.
    ReceiversGo,
}

const ENDINGS: [Ending; 4] = [
    Ending::SendersGo,
    Ending::Close,
    Ending::CloseNow,
    Ending::ReceiversGo,
];

#[derive(Clone, Copy)]
struct Life {
    number: u64,
    executor: Executor,
    capacity: usize,
    most_attempts: Option<NonZeroU32>,
    abandon: Abandon,
    ending: Ending,
    /// The seed of all lives.
    seed: u64,
}

impl Life {
    fn any(number: u64, seed: u64, rng: &mut fastrand::Rng) -> Self {
        let most_attempts = NonZeroU32::new(rng.u32(0..4));
        let abandon = match most_attempts {
            Some(_) if rng.bool() => Abandon::Requeue,
            _ => Abandon::Count,
        };
        Self {
            number,
            executor: EXECUTORS[number as usize % EXECUTORS.len()],
            capacity: [1, 2, 7, 64][rng.usize(0..4)],
            most_attempts,
            abandon,
            ending: ENDINGS[rng.usize(0..4)],
            seed,
        }
    }

    fn channel(&self) -> (Sender<Item>, TaskReceiver<Item>) {
        let mut builder = Builder::new()
            .capacity(self.capacity)
            .on_abandon(self.abandon);
        if let Some(most) = self.most_attempts {
            builder = builder.max_attempts(most);
        }
        builder.build_tasks()
    }

    /// Runs this life; returns its report and how many joins completed.
    fn run(self) -> (Report, u64) {
        let _named = Named(self);
        let truth = Arc::new(Truth::new(self.most_attempts));
        let (sender, receiver) = self.channel();
        let monitor = sender.monitor();
        let mut rng = fastrand::Rng::with_seed(self.seed ^ self.number);
        let mut part = || Part {
            truth: Arc::clone(&truth),
            executor: self.executor,
            rng: rng.fork(),
        };
        let mut actors = Vec::new();
        let mut producers = Vec::new();
        let (over, rounds_over) = channel::bounded(PRODUCERS);
        for number in 0..PRODUCERS {
            let (to_producer, rounds) = channel::bounded(1);
            let producer = produce(part(), rounds, sender.clone(), over.clone());
            actors.push(Actor::new(format!("producer {number}"), producer));
            producers.push(to_producer);
        }
        let rounds = Rounds {
            producers,
            over: rounds_over,
        };
        let driver = drive(part(), rounds, self.ending, sender);
        actors.push(Actor::new("driver".into(), driver));
        for number in 0..WORKERS {
            let worker = work(part(), receiver.clone());
            actors.push(Actor::new(format!("worker {number}"), worker));
        }
        drop(receiver);
        for number in 0..JOINERS {
            let joiner = join(part(), monitor.clone());
            actors.push(Actor::new(format!("joiner {number}"), joiner));
        }
        if let Err(what) = self.executor.run(actors) {
            panic!("{what}\n{monitor:?}");
        }
        let finished = truth.finished.lock().unwrap().take();
        let result = finished.expect("the end was awaited");
        truth.check(&result);
        let made = truth.made.load(Ordering::Relaxed);
        assert_eq!(truth.dropped.load(Ordering::Relaxed), made, "items leak");
        let joins = truth.joins.load(Ordering::Relaxed);
        (*report_of(&result), joins as u64)
    }
}

/// Prints the life in which a test fails.
struct Named(Life);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Life {
                number,
                executor,
                capacity,
                most_attempts,
                abandon,
                ending,
                seed,
            } = self.0;
            eprintln!(
                "in life {number}: {executor:?}, capacity {capacity}, attempts {most_attempts:?}, \
                 {abandon:?}, {ending:?}, TOLLGATE_STRESS_SEED={seed}"
            );
        }
    }
}

struct Part {
    truth: Arc<Truth>,
    executor: Executor,
    rng: fastrand::Rng,
}

impl Part {
    async fn rest(&mut self, one_in: u32) {
        if self.rng.u32(0..one_in) == 0 {
            self.executor.pause().await;
        }
    }
}

/// What one producer should do in a round.
struct Round {
    items: usize,
    may_have_chains: bool,
}

/// The driver's channels to the producers, and the one back.
struct Rounds {
    producers: Vec<channel::Sender<Round>>,
    over: channel::Receiver<()>,
}

/// Sends the items of each round, or as many as the channel accepts.
async fn produce(
    mut part: Part,
    rounds: channel::Receiver<Round>,
    sender: Sender<Item>,
    over: channel::Sender<()>,
) {
    while let Ok(round) = rounds.recv().await {
        for _ in 0..round.items {
            let has_chain = round.may_have_chains && part.rng.u32(0..256) == 0;
            let chain = has_chain.then(|| part.rng.u32(1..50));
            if !send(&part, &sender, chain).await {
                break;
            }
            part.rest(64).await;
        }
        over.send(()).await.unwrap();
    }
}

/// Has items sent in rounds, joins after each, and ends the life.
async fn drive(mut part: Part, rounds: Rounds, ending: Ending, sender: Sender<Item>) {
    let monitor = sender.monitor();
    loop {
        let most = 1 << part.rng.u32(0..10);
        let made = part.truth.made.load(Ordering::Relaxed);
        let is_last = made + PRODUCERS * most > ITEMS / 2;
        // Items that `close_now` takes are resolved before it returns them, so their chains could
        // not be ended in time.
        let may_have_chains = !(is_last && ending == Ending::CloseNow);
        for producer in &rounds.producers {
            let round = Round {
                items: part.rng.usize(1..=most),
                may_have_chains,
            };
            producer.send(round).await.unwrap();
        }
        if is_last {
            for _ in 0..part.rng.usize(0..most) {
                part.rest(64).await;
            }
            turn(&part, ending, &monitor);
        }
        for _ in &rounds.producers {
            rounds.over.recv().await.unwrap();
        }
        if is_last {
            break;
        }
        let result = sender.join().await;
        part.truth.check(&result);
        let stats = monitor.stats();
        assert_eq!((stats.queued, stats.in_hand), (0, 0));
        assert_each_is_counted(&stats);
        assert_eq!(stats.report, *report_of(&result));
    }
    drop(rounds);
    match ending {
        Ending::SendersGo => drop(sender),
        _ => drop(sender.close()),
    }
    let result = monitor.finished().await;
    let failed = monitor.failed().await;
    assert_eq!(failed.is_some(), result.is_err());
    *part.truth.finished.lock().unwrap() = Some(result);
}

/// Ends the life by other means than the sender.
fn turn(part: &Part, ending: Ending, monitor: &Monitor<Item>) {
    match ending {
        Ending::CloseNow => {
            let drained = monitor.close_now();
            drained.for_each(|item| item.came_back(Fate::HandedBack));
        }
        Ending::ReceiversGo => part.truth.leave.store(true, Ordering::Relaxed),
        Ending::SendersGo | Ending::Close => {}
    }
}

/// Sends one item; returns whether the channel is open.
async fn send(part: &Part, sender: &Sender<Item>, chain: Option<u32>) -> bool {
    let Some(item) = part.truth.item(chain) else {
        return true;
    };
    match sender.send(item).await {
        Ok(()) => {
            part.truth.sent.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.came_back(Fate::Refused);
            false
        }
    }
}

/// Receives tasks and ends them, until the channel ends or the worker should leave.
async fn work(mut part: Part, receiver: TaskReceiver<Item>) {
    let mut hand = Vec::new();
    while !part.truth.leave.load(Ordering::Relaxed) {
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
        hand.push(arrived(&part, task));
        while hand.len() < HAND && part.rng.u8(0..4) == 0 {
            let Ok(task) = receiver.try_recv() else {
                break;
            };
            hand.push(arrived(&part, task));
        }
        if part.truth.leave.load(Ordering::Relaxed) {
            break;
        }
        settle(&mut part, &mut hand).await;
    }
    // What is in hand outlives the receiver.
    drop(receiver);
    settle(&mut part, &mut hand).await;
}

fn arrived(part: &Part, mut task: Task<Item>) -> Task<Item> {
    part.truth.delivered.fetch_add(1, Ordering::Relaxed);
    task.deliveries += 1;
    assert_eq!(task.attempt(), task.deliveries);
    if let Some(most) = part.truth.most_attempts {
        assert!(task.attempt() <= most.get());
    }
    if task.chain.is_some() && task.deliveries == 1 {
        part.truth.chain_begins();
    }
    task
}

/// Ends what is in hand, in random order, with pauses.
async fn settle(part: &mut Part, hand: &mut Vec<Task<Item>>) {
    while !hand.is_empty() {
        part.rest(8).await;
        let task = hand.swap_remove(part.rng.usize(0..hand.len()));
        match task.chain {
            Some(links) => hold_chain(part, task, links),
            None => deal_with(part, task),
        }
    }
}

/// Continues the chain, with a follow-up or a retry.
fn hold_chain(part: &mut Part, mut task: Task<Item>, links: u32) {
    let may_retry = part
        .truth
        .most_attempts
        .is_none_or(|most| task.attempt() < most.get());
    if may_retry && part.rng.u8(0..4) == 0 {
        return retry(task);
    }
    if links > 0 && follow_up(part, &task, Some(links - 1)) {
        // The chain is the follow-up's now.
        task.chain = None;
    }
    if task.chain.is_some() {
        part.truth.chain_ends();
    }
    task.note(Fate::Done);
    drop(task.done());
}

fn deal_with(part: &mut Part, mut task: Task<Item>) {
    match part.rng.u8(0..16) {
        0 => {
            task.note(Fate::Failed);
            drop(task.fail("for a reason"));
        }
        1 => dropping(&task, Fate::Abandoned).run(|| drop(task)),
        2 => dropping(&task, Fate::Panicked).run(|| {
            let unwind = AssertUnwindSafe(|| {
                let _task = task;
                resume_unwind(Box::new("worker"));
            });
            catch_unwind(unwind).unwrap_err();
        }),
        3 => split(part, task),
        4..=6 => {
            if part
                .truth
                .most_attempts
                .is_some_and(|most| task.attempt() == most.get())
            {
                task.note(Fate::Failed);
            }
            retry(task);
        }
        deed => {
            if deed < 10 {
                follow_up(part, &task, None);
            }
            task.note(Fate::Done);
            drop(task.done());
        }
    }
}

fn retry(task: Task<Item>) {
    match task.retry() {
        Ok(()) => {}
        Err(RetryError::Exhausted(item)) => assert!(item.is_noted, "attempts were left"),
        Err(RetryError::Terminated(item)) => item.came_back(Fate::Failed),
    }
}

/// Leaves a follow-up; returns whether the channel accepted it.
fn follow_up(part: &Part, task: &Task<Item>, chain: Option<u32>) -> bool {
    let Some(item) = part.truth.item(chain) else {
        return false;
    };
    match task.follow_up(item) {
        Ok(()) => {
            part.truth.followed_up.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.came_back(Fate::Refused);
            false
        }
    }
}

fn split(part: &mut Part, task: Task<Item>) {
    let fate = [Fate::Done, Fate::Failed, Fate::Abandoned][part.rng.usize(0..3)];
    let (mut item, ticket) = task.split();
    item.note(fate);
    drop(item);
    match fate {
        Fate::Done => ticket.done(),
        Fate::Failed => ticket.fail("for a reason"),
        _ => drop(ticket),
    }
}

/// Marks that a task of this item is about to be dropped.
struct Dropping(usize, Fate);

fn dropping(task: &Task<Item>, fate: Fate) -> Dropping {
    Dropping(task.number, fate)
}

impl Dropping {
    fn run(self, drop_it: impl FnOnce()) {
        DROPPING.set(Some((self.0, self.1)));
        drop_it();
        DROPPING.set(None);
    }
}

/// Joins again and again, and checks the statistics.
async fn join(mut part: Part, monitor: Monitor<Item>) {
    loop {
        let is_last = monitor.stats().closed;
        // SeqCst: if the epoch is the same afterwards, this chain was alive throughout.
        let before = part.truth.chain.load(Ordering::SeqCst);
        let result = monitor.join().await;
        let after = part.truth.chain.load(Ordering::SeqCst);
        let was_alive = before == after && before % 2 == 1;
        assert!(!was_alive, "joined while a chain was alive: {result:?}");
        assert_adds_up(report_of(&result));
        part.truth.joins.fetch_add(1, Ordering::Relaxed);
        if is_last {
            break;
        }
        for _ in 0..part.rng.u32(1..16) {
            part.executor.pause().await;
            let stats = monitor.stats();
            if !stats.closed {
                assert!(stats.in_hand <= WORKERS * HAND, "{stats:?}");
            }
            assert!(format!("{:?}", monitor.join()).contains("in_hand: "));
        }
    }
}
