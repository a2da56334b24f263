//! The items, and the record of what becomes of each.

use std::cell::Cell as ThreadCell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tollgate::JoinError;
use tollgate::Report;

use super::Case;
use super::Ending;
use super::ITEMS;
use crate::common::assert_adds_up;

/// How an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
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
    pub(super) static DROPPING: ThreadCell<Option<(usize, Outcome)>> = const { ThreadCell::new(None) };
}

/// What the actors of a case record.
#[derive(Default)]
pub(super) struct Record {
    pub(super) outcomes: Vec<AtomicU8>,
    /// How many items were made, and how many were dropped.
    pub(super) made: AtomicUsize,
    pub(super) dropped: AtomicUsize,
    pub(super) sent: AtomicU64,
    pub(super) followed_up: AtomicU64,
    pub(super) delivered: AtomicU64,
    /// Odd while a chain is outstanding.
    pub(super) chain: AtomicUsize,
    pub(super) most_attempts: Option<NonZeroU32>,
    pub(super) keep_failures: usize,
    /// When the case began, if the channel measures time.
    #[cfg(feature = "std")]
    pub(super) start: Option<Instant>,
    /// How many senders have failed.
    pub(super) failed_senders: AtomicU64,
    /// Whether `close_now` has returned.
    pub(super) is_over: AtomicBool,
    /// Whether the workers should stop.
    pub(super) stop: AtomicBool,
    /// How many joins completed.
    pub(super) joins: AtomicUsize,
    /// How many items were delayed.
    pub(super) delays: AtomicU64,
    pub(super) finished: Mutex<Option<Result<Report, JoinError>>>,
}

/// An item, with a record of its deliveries.
pub(super) struct Item {
    pub(super) number: usize,
    pub(super) deliveries: u32,
    pub(super) has_outcome: bool,
    /// How many items follow in its chain, if it is part of one.
    pub(super) chain: Option<u32>,
    /// When it is due, if it is delayed.
    pub(super) due: Option<Instant>,
    pub(super) record: Arc<Record>,
}

impl Item {
    pub(super) fn set_outcome(&mut self, outcome: Outcome) {
        let old = self.record.outcomes[self.number].swap(outcome as u8, Ordering::Relaxed);
        assert_eq!(
            old, 0,
            "item {} has two outcomes, the second is {outcome:?}",
            self.number
        );
        self.has_outcome = true;
    }

    /// The channel returned the item; its destructor must not record another outcome.
    pub(super) fn return_with(mut self, outcome: Outcome) {
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
    pub(super) fn new(case: &Case) -> Self {
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
    pub(super) fn item(self: &Arc<Self>, chain: Option<u32>) -> Option<Item> {
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
    pub(super) fn chain_begins(&self) {
        let begin = |epoch| (epoch % 2 == 0).then_some(epoch + 1);
        let _ = self
            .chain
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, begin);
    }

    /// Must be called before the chain may end.
    pub(super) fn chain_ends(&self) {
        let end = |epoch| (epoch % 2 == 1).then_some(epoch + 1);
        let _ = self
            .chain
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, end);
    }

    pub(super) fn is_over(&self) -> bool {
        // Acquire: pairs with the Release in `end_early`.
        self.is_over.load(Ordering::Acquire)
    }

    /// Checks a call that has queued something, given whether the channel was over before the call.
    pub(super) fn check_accepted(&self, was_over: bool) {
        assert!(!was_over, "queued after `close_now`");
    }

    /// Checks the report of a join while nothing is queued or in hand, and no sender is failing.
    pub(super) fn check(&self, result: &Result<Report, JoinError>) {
        let failed = self.failed_senders.load(Ordering::Relaxed);
        assert_eq!(report_of(result).failed_senders, failed);
        self.check_items(result);
    }

    /// Checks the final report. A sender that fails after the end is not counted.
    pub(super) fn check_final(&self, result: &Result<Report, JoinError>, ending: Ending) {
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

pub(super) fn report_of(result: &Result<Report, JoinError>) -> &Report {
    match result {
        Ok(report) | Err(JoinError { report, .. }) => report,
    }
}
