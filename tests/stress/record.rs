//! What the actors of a cell record, and what the channel may report in view of it.
//!
//! Sending and ending a task take some time, and the instant at which the channel counts them is
//! not known. So the checks allow every instant in between.
//!
//! Orderings are `Relaxed` wherever the channel itself must have ordered the two sides, so that the
//! checks do not provide the order they test.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tollgate::Failure;
use tollgate::JoinError;
use tollgate::Report;

use crate::cell::Cell;
use crate::cell::Ending;
use crate::cell::Kind;
use crate::common::assert_adds_up;

/// How many items a consumer receives at once.
pub(crate) const LARGEST_BATCH: usize = 5;

/// The history of an attempt to send: each mark is set once.
pub(crate) mod mark {
    pub(crate) const SENT: u8 = 1;
    pub(crate) const CANCELLED: u8 = 2;
    pub(crate) const REFUSED: u8 = 4;
    pub(crate) const RECEIVED: u8 = 8;
    /// Its task is about to be ended; on a plain channel, it was received.
    pub(crate) const ENDED: u8 = 16;
    pub(crate) const DROPPED: u8 = 32;
    /// A later send has evicted it.
    pub(crate) const EVICTED: u8 = 64;

    pub(super) const COMPLETE: [u8; 5] = [
        0,
        CANCELLED | DROPPED,
        REFUSED | DROPPED,
        SENT | RECEIVED | ENDED | DROPPED,
        SENT | EVICTED | DROPPED,
    ];
    pub(super) const DISCARDED: u8 = SENT | DROPPED;
}

/// How a task can end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Abandoned,
    Panicked,
}

impl Outcome {
    pub(crate) fn any(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(0..8) {
            0 => Self::Failed,
            1 => Self::Abandoned,
            2 => Self::Panicked,
            _ => Self::Done,
        }
    }
}

/// See the [module documentation](self).
pub(crate) struct Record {
    cell: Cell,
    /// A set of [`mark`]s for each attempt, producer by producer.
    marks: Vec<AtomicU8>,
    /// What workers write for joiners.
    traces: Vec<Trace>,
    /// How many attempts each producer has completed, with their marks.
    made: Vec<AtomicUsize>,
    /// How many attempts each producer has begun.
    begun: Vec<AtomicUsize>,
    /// The upper half counts sends that have succeeded, the lower half ends that have begun. They
    /// share one word so that their order is certain.
    sent_and_ends: AtomicU64,
    /// How many items were evicted.
    evicted: AtomicU64,
    /// How many sends had succeeded when the n-th end began.
    sent_when_ended: Vec<AtomicU32>,
    /// How many tasks are about to end with each outcome, and how many have.
    ending: [AtomicU64; 4],
    ended: [AtomicU64; 4],
    /// Set before an actor closes the channel or drops a receiver.
    closing: AtomicBool,
    /// Producers that have not dropped their senders.
    producing: AtomicUsize,
    /// What joins reported: how many items were sent, and how many were evicted or discarded.
    joins: Mutex<BTreeSet<(u64, u64)>>,
    finished: Mutex<Option<Result<Report, JoinError>>>,
    /// How many errors exist.
    errors: Arc<AtomicUsize>,
}

/// Plain memory that a worker writes before it ends a task and a joiner reads, so that a sanitizer
/// detects whether the channel orders the two.
struct Trace(UnsafeCell<usize>);

// SAFETY: the channel orders the accesses, which is what the test checks; see `check_trace`.
unsafe impl Sync for Trace {}

/// What was certain before a join began.
pub(crate) struct Before {
    made: Vec<usize>,
    ended: [u64; 4],
}

impl Record {
    pub(crate) fn new(cell: Cell) -> Self {
        let all = cell.producers * cell.attempts;
        Self {
            cell,
            marks: (0..all).map(|_| AtomicU8::new(0)).collect(),
            traces: (0..all).map(|_| Trace(UnsafeCell::new(0))).collect(),
            made: (0..cell.producers).map(|_| AtomicUsize::new(0)).collect(),
            begun: (0..cell.producers).map(|_| AtomicUsize::new(0)).collect(),
            sent_and_ends: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            sent_when_ended: (0..=all).map(|_| AtomicU32::new(0)).collect(),
            ending: Default::default(),
            ended: Default::default(),
            closing: AtomicBool::new(false),
            producing: AtomicUsize::new(cell.producers),
            joins: Mutex::default(),
            finished: Mutex::default(),
            errors: Arc::default(),
        }
    }

    pub(crate) fn has_tasks(&self) -> bool {
        self.cell.kind == Kind::Tasks
    }

    fn index(&self, producer: usize, attempt: usize) -> usize {
        producer * self.cell.attempts + attempt
    }

    fn set(&self, producer: usize, attempt: usize, mark: u8) {
        let index = self.index(producer, attempt);
        let old = self.marks[index].fetch_or(mark, Ordering::Relaxed);
        assert!(
            old & mark == 0,
            "item {attempt} of producer {producer}, marked {old:#b}, is marked {mark:#b} again"
        );
    }

    /// How many received items may not be recorded yet: on a plain channel, a batch for each consumer.
    /// Ends of tasks are recorded before they begin.
    fn unrecorded(&self) -> u64 {
        match self.cell.kind {
            Kind::Plain => (self.cell.consumers * LARGEST_BATCH) as u64,
            Kind::Tasks => 0,
        }
    }

    /// How many evicted items may not be recorded yet: one for each producer.
    fn unmarked(&self) -> u64 {
        if self.cell.forces() {
            self.cell.producers as u64
        } else {
            0
        }
    }

    /// Makes an item that a producer is about to send.
    pub(crate) fn item(self: &Arc<Self>, producer: usize, attempt: usize) -> Item {
        self.begun[producer].store(attempt + 1, Ordering::Relaxed);
        Item {
            canary: Box::new(self.index(producer, attempt)),
            producer,
            attempt,
            record: Arc::clone(self),
        }
    }

    /// Records the outcome of a send: `SENT`, `CANCELLED` or `REFUSED`.
    pub(crate) fn item_sent(&self, producer: usize, attempt: usize, mark: u8) {
        match mark {
            mark::SENT => drop(self.sent_and_ends.fetch_add(1 << 32, Ordering::Relaxed)),
            mark::REFUSED => assert!(self.may_be_closed(), "refused by an open channel"),
            _ => {}
        }
        self.set(producer, attempt, mark);
        // Release: pairs with the Acquire in `before_join`, and publishes the marks and
        // `sent_and_ends`.
        self.made[producer].store(attempt + 1, Ordering::Release);
    }

    /// A producer is about to drop its sender.
    pub(crate) fn producer_ends(&self) {
        self.producing.fetch_sub(1, Ordering::Relaxed);
    }

    /// The channel is about to be closed, or may be.
    pub(crate) fn closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_be_closed(&self) -> bool {
        self.closing.load(Ordering::Relaxed) || self.producing.load(Ordering::Relaxed) == 0
    }

    /// How many attempts have been completed in all.
    pub(crate) fn progress(&self) -> usize {
        self.made.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn received(&self, item: &Item) {
        assert_eq!(*item.canary, self.index(item.producer, item.attempt));
        self.set(item.producer, item.attempt, mark::RECEIVED);
    }

    /// Records that a send has evicted an item.
    pub(crate) fn evicted(&self, item: &Item) {
        assert_eq!(*item.canary, self.index(item.producer, item.attempt));
        self.set(item.producer, item.attempt, mark::EVICTED);
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that an item ends: called before its task is ended, or when a plain item is
    /// received.
    pub(crate) fn end_begins(&self, producer: usize, attempt: usize, outcome: Outcome) {
        let trace = self.traces[self.index(producer, attempt)].0.get();
        // SAFETY: an item is received once, or `received` has panicked.
        unsafe { trace.write(attempt + 1) };
        let sent_and_ends = self.sent_and_ends.fetch_add(1, Ordering::Relaxed);
        let ends = sent_and_ends as u32 + 1;
        let sent = (sent_and_ends >> 32) as u32;
        self.sent_when_ended[ends as usize].store(sent, Ordering::Relaxed);
        self.ending[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.set(producer, attempt, mark::ENDED);
    }

    pub(crate) fn end_is_over(&self, outcome: Outcome) {
        // Release: pairs with the Acquire in `before_join`.
        self.ended[outcome as usize].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn error(&self) -> CountedError {
        self.errors.fetch_add(1, Ordering::Relaxed);
        CountedError(Arc::clone(&self.errors))
    }

    /// Checks that the channel may have ended for a consumer.
    pub(crate) fn check_end(&self) {
        assert!(self.may_be_closed(), "an open channel ended");
        let sent_and_ends = self.sent_and_ends.load(Ordering::Relaxed);
        let (sent, ends) = (sent_and_ends >> 32, u64::from(sent_and_ends as u32));
        let evicted = self.evicted.load(Ordering::Relaxed);
        assert!(
            sent <= ends + self.unrecorded() + evicted + self.unmarked(),
            "the end comes after {sent} sends, when only {ends} items have ended, and {evicted} were \
             evicted"
        );
    }

    pub(crate) fn before_join(&self) -> Before {
        // Acquire: pairs with `item_sent` and `end_is_over`; what was counted there has happened.
        let made = self.made.iter().map(|it| it.load(Ordering::Acquire));
        Before {
            made: made.collect(),
            ended: [0, 1, 2, 3].map(|it| self.ended[it].load(Ordering::Acquire)),
        }
    }

    /// Checks the report of a join that began after `before` was taken.
    pub(crate) fn check_join(&self, before: &Before, result: &Result<Report, JoinError>) {
        let report = adds_up(result);
        let begun = self
            .begun
            .iter()
            .map(|it| it.load(Ordering::Relaxed) as u64);
        assert!(report.sent <= begun.sum(), "too many sent: {report:?}");
        let outcomes = [
            report.done,
            report.failed,
            report.abandoned,
            report.panicked,
        ];
        for (kind, count) in outcomes.into_iter().enumerate() {
            let least = before.ended[kind];
            let most = self.ending[kind].load(Ordering::Relaxed);
            let most = most + if kind == 0 { self.unrecorded() } else { 0 };
            assert!(
                (least..=most).contains(&count),
                "outcome {kind} not in {least}..={most}: {report:?}"
            );
        }
        self.check_items(before, report);
        let mut joins = self.joins.lock().unwrap();
        joins.insert((report.sent, report.evicted + report.discarded));
    }

    /// Checks that what was sent before the join began has ended.
    fn check_items(&self, before: &Before, report: &Report) {
        let mut sent = 0;
        let mut unmarked = 0;
        for (producer, made) in before.made.iter().enumerate() {
            for attempt in 0..*made {
                let index = self.index(producer, attempt);
                let marks = self.marks[index].load(Ordering::Relaxed);
                sent += u64::from(marks & mark::SENT != 0);
                if self.has_tasks() && marks & mark::SENT != 0 {
                    // Evicted and discarded items are dropped, but do not end.
                    if marks & mark::ENDED != 0 {
                        self.check_trace(index, attempt);
                    } else if marks & (mark::EVICTED | mark::DROPPED) == 0 {
                        unmarked += 1;
                    }
                }
            }
        }
        // Each producer may have evicted an item that it has not marked yet.
        assert!(
            unmarked <= report.evicted.min(self.unmarked()),
            "joined with {unmarked} items that have not ended: {report:?}"
        );
        assert!(
            sent <= report.sent,
            "{sent} were sent before, but: {report:?}"
        );
    }

    fn check_trace(&self, index: usize, attempt: usize) {
        // SAFETY: the end of the task and the join order the worker's write before this.
        let trace = unsafe { self.traces[index].0.get().read() };
        assert_eq!(trace, attempt + 1, "the write of the worker is not visible");
    }

    /// Checks that the channel may be finished, and the report.
    pub(crate) fn check_finished(&self, before: &Before, result: Result<Report, JoinError>) {
        self.check_join(before, &result);
        assert!(self.may_be_closed(), "an open channel is finished");
        let mut finished = self.finished.lock().unwrap();
        if let Some(earlier) = &*finished {
            assert_eq!(
                adds_up(earlier),
                adds_up(&result),
                "the final report has changed"
            );
        }
        *finished = Some(result);
    }

    /// Checks the result of `failed`.
    pub(crate) fn check_failed(&self, failure: Option<&Failure>) {
        let failures: u64 = [Outcome::Failed, Outcome::Abandoned, Outcome::Panicked]
            .map(|it| self.ending[it as usize].load(Ordering::Relaxed))
            .iter()
            .sum();
        match failure {
            None => assert_eq!(failures, 0, "a failure was not reported"),
            Some(Failure::Discarded) => assert_eq!(self.cell.ending, Ending::ReceiversDropped),
            Some(_) => assert!(failures > 0, "reported a failure, but there was none"),
        }
    }

    /// Checks the final state, after all actors have ended and the channel was freed.
    pub(crate) fn check_all(&self, wakers: &AtomicUsize) {
        let (mut evicted, mut discarded) = (0, 0);
        for (index, marks) in self.marks.iter().enumerate() {
            let marks = marks.load(Ordering::Relaxed);
            evicted += u64::from(marks & mark::EVICTED != 0);
            if marks == mark::DISCARDED && self.cell.ending == Ending::ReceiversDropped {
                discarded += 1;
            } else {
                assert!(
                    mark::COMPLETE.contains(&marks),
                    "item {} of producer {} ends with marks {marks:#b}",
                    index % self.cell.attempts,
                    index / self.cell.attempts
                );
            }
        }
        let sent_and_ends = self.sent_and_ends.load(Ordering::Relaxed);
        let ended = |outcome| self.ended[outcome as usize].load(Ordering::Relaxed);
        let finished = self.finished.lock().unwrap().take();
        let report = *adds_up(finished.as_ref().expect("an actor awaited the end"));
        assert_eq!(report.sent, sent_and_ends >> 32);
        assert_eq!(report.received, u64::from(sent_and_ends as u32));
        assert_eq!(report.done, ended(Outcome::Done));
        assert_eq!(report.failed, ended(Outcome::Failed));
        assert_eq!(report.abandoned, ended(Outcome::Abandoned));
        assert_eq!(report.panicked, ended(Outcome::Panicked));
        assert_eq!((report.evicted, report.discarded), (evicted, discarded));
        self.check_instants();
        drop(finished);
        self.check_errors_are_gone();
        assert_eq!(wakers.load(Ordering::Relaxed), 0, "wakers are left");
    }

    /// Checks that each join is right for one instant: when all items that it reports as sent
    /// had ended, no further item had been sent.
    fn check_instants(&self) {
        for (sent, lost) in self.joins.lock().unwrap().iter() {
            let ends = (sent - lost).saturating_sub(self.unrecorded()) as usize;
            let already = u64::from(self.sent_when_ended[ends].load(Ordering::Relaxed));
            assert!(
                already <= *sent,
                "joined when {sent} were sent, but {already} were sent when {ends} had ended"
            );
        }
    }

    /// Checks that the channel has dropped the error it kept.
    pub(crate) fn check_errors_are_gone(&self) {
        assert_eq!(self.errors.load(Ordering::Relaxed), 0, "errors are left");
    }
}

/// Checks that the report adds up, and that the result is an error exactly if there was a failure.
fn adds_up(result: &Result<Report, JoinError>) -> &Report {
    let report = match result {
        Ok(report) | Err(JoinError { report, .. }) => report,
    };
    assert_adds_up(report);
    let failures = report.failed + report.abandoned + report.panicked;
    assert_eq!(result.is_err(), failures + report.discarded > 0);
    report
}

/// An item.
pub(crate) struct Item {
    pub(crate) producer: usize,
    pub(crate) attempt: usize,
    /// A separate allocation, for sanitizers.
    canary: Box<usize>,
    record: Arc<Record>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.record.set(self.producer, self.attempt, mark::DROPPED);
    }
}

/// An error that is counted while it exists.
pub(crate) struct CountedError(Arc<AtomicUsize>);

impl Drop for CountedError {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for CountedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountedError")
    }
}

impl fmt::Display for CountedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expected error")
    }
}

impl Error for CountedError {}
