//! What the handles of one channel share, and who wakes whom.
//!
//! # The life of an item
//!
//! | step | where | what happens | who is woken |
//! |---|---|---|---|
//! | send | [`Send::poll`](crate::future::Send) | [`Channel::reserve`] claims a slot, or the future waits on `not_full` | |
//! | accept | [`Channel::accept`] | the slot is filled; the item is *accepted* | one of `not_empty` |
//! | receive | [`Recv::poll`](crate::future::Recv) | [`Channel::take`] empties a slot, or the future waits on `not_empty` | one of `not_full` |
//! | hand over | [`Channel::item_taken`] | plain channel: that resolves it | at quiescence, all of `idle` |
//! | work | [`Task`](crate::Task) | task channel: the worker owns the item and the duty to end it | |
//! | end | [`Claim`](crate::shared::Claim) | an outcome is written and the item resolved | at quiescence, all of `idle` |
//! | join | [`Join::poll`](crate::future::Join) | ready when accepted == resolved | |
//!
//! When the channel is closed, quiescence is also its end: all of `finished` are woken, and the task
//! receivers among `not_empty`.
//!
//! The methods read as this table does. There are no atomics here but the counts of handles: the
//! ring has the positions, the ledger the outcomes, the lists their waiters.

use crate::error::TrySendError;
use crate::ledger::Ledger;
use crate::report::Failure;
use crate::report::JoinError;
use crate::report::Report;
use crate::report::Stats;
use crate::ring::NoItem;
use crate::ring::NoVacancy;
use crate::ring::Ring;
use crate::ring::Vacancy;
use crate::sync::CachePadded;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::seqcst_accesses_are_ordered;
use crate::unwind::run_all;
use crate::unwind::run_each;
use crate::wait::Attempt;
use crate::wait::Waiters;

/// When an item is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// When it is handed over.
    Plain,
    /// When its task has ended.
    Tasks,
}

/// See the [module](self).
pub(crate) struct Channel<T> {
    pub(crate) ring: Ring<T>,
    pub(crate) kind: Kind,
    /// Receivers and streams.
    pub(crate) not_empty: Waiters,
    /// Senders.
    pub(crate) not_full: Waiters,
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
    /// Senders, receivers and monitors: see [`Shared`](crate::shared::Shared).
    pub(crate) handles: AtomicUsize,
    pub(crate) ledger: CachePadded<Ledger>,
}

/// Nothing can be sent any more; or nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl<T> Channel<T> {
    /// A channel with one sender, one receiver and one handle for each.
    ///
    /// # Panics
    ///
    /// When `capacity` is zero or its memory cannot be had.
    pub(crate) fn new(capacity: usize, kind: Kind) -> Self {
        assert!(
            capacity >= 1,
            "the capacity must be at least 1: a channel that holds nothing would have to hand an \
             item directly to a waiting receiver, and lose it when that receiver is cancelled"
        );
        Self {
            ring: Ring::new(capacity),
            kind,
            not_empty: Waiters::new(),
            not_full: Waiters::new(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            handles: AtomicUsize::new(2),
            ledger: CachePadded::new(Ledger::new()),
        }
    }

    /// Claims a slot, which must then be given to [`accept`](Self::accept) with an item.
    #[inline]
    pub(crate) fn reserve(&self) -> Attempt<Result<Vacancy<'_, T>, Over>> {
        match self.ring.reserve() {
            Ok(vacancy) => Attempt::Ready(Ok(vacancy)),
            Err(NoVacancy::Full) => Attempt::Blocked,
            Err(NoVacancy::Closed) => Attempt::Ready(Err(Over)),
            Err(NoVacancy::Busy) => Attempt::Busy,
        }
    }

    /// Puts an item into a claimed slot.
    #[inline]
    pub(crate) fn accept(&self, vacancy: Vacancy<'_, T>, item: T) {
        vacancy.fill(item);
        self.not_empty.wake(1);
    }

    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match Attempt::decided(|| self.reserve()) {
            Some(Ok(vacancy)) => {
                self.accept(vacancy, item);
                Ok(())
            }
            Some(Err(Over)) => Err(TrySendError::Closed(item)),
            None => Err(TrySendError::Full(item)),
        }
    }

    /// Takes an item, which must then be told to [`item_taken`](Self::item_taken) or
    /// [`task_taken`](Self::task_taken).
    #[inline]
    pub(crate) fn take(&self) -> Attempt<Result<T, Over>> {
        match self.ring.pop() {
            Ok(item) => Attempt::Ready(Ok(item)),
            Err(NoItem::Empty) => Attempt::Blocked,
            Err(NoItem::Closed) if self.kind == Kind::Plain || self.is_quiescent() => {
                Attempt::Ready(Err(Over))
            }
            // What is in hand may yet come back.
            Err(NoItem::Closed) => Attempt::Blocked,
            Err(NoItem::Busy) => Attempt::Busy,
        }
    }

    /// An item of a plain channel has been handed over.
    #[inline]
    pub(crate) fn item_taken(&self) {
        // The look comes after the ring's exchange, as the one in `wake` does.
        if self.ledger.is_watched() {
            run_each(&[&|| self.not_full.wake(1), &|| self.announce(false)]);
        } else {
            self.not_full.wake(1);
        }
    }

    /// An item of a task channel has been handed over.
    #[inline]
    pub(crate) fn task_taken(&self) {
        self.not_full.wake(1);
    }

    /// A wake for an item went to a waiter that does not need it.
    #[cold]
    pub(crate) fn pass_item_on(&self) {
        let holds = self.ring.len() > 0;
        seqcst_accesses_are_ordered();
        if holds {
            self.not_empty.wake(1);
        }
    }

    /// A wake for room went to a waiter that does not need it.
    #[cold]
    pub(crate) fn pass_room_on(&self) {
        let holds = self.ring.len() < self.ring.capacity();
        seqcst_accesses_are_ordered();
        if holds {
            self.not_full.wake(1);
        }
    }

    /// Ends sending; true for the call that did it.
    pub(crate) fn close(&self) -> bool {
        if !self.ring.close() {
            return false;
        }
        self.ledger.set_ending();
        let ended = self.is_quiescent();
        let told = [
            Some(&self.not_full),
            Some(&self.ledger.closed),
            (ended || self.kind == Kind::Plain).then_some(&self.not_empty),
            ended.then_some(&self.ledger.finished),
        ];
        wake_all_of(told.into_iter().flatten());
        true
    }

    /// Drops what is queued, on behalf of the last receiver. The channel is closed.
    pub(crate) fn discard(&self) {
        // Exact: nothing is sent any more, and nobody else takes.
        let count = self.ring.len() as u64;
        if count == 0 {
            return;
        }
        // Tells others last: their wakers may panic, and an item left in the ring would outlive what
        // it borrows (S4 of `shared`). For the same reason only what is popped is resolved.
        let mut settlement = Settlement {
            channel: self,
            count: 0,
            first_failure: self.ledger.record(Failure::Discarded, count),
        };
        let next = || {
            if settlement.count == count {
                return None;
            }
            // A send that came before the close may be about to fill its slot.
            let item = Attempt::decided(|| self.take())?.ok()?;
            settlement.count += 1;
            Some(item)
        };
        run_all(next, drop);
    }

    /// Ends a delivery. The caller holds a handle.
    pub(crate) fn settle(&self, failure: Option<Failure>) {
        let mut settlement = Settlement {
            channel: self,
            count: 1,
            first_failure: false,
        };
        if let Some(failure) = failure {
            settlement.first_failure = self.ledger.record(failure, 1);
        }
    }

    /// Items have been resolved, perhaps with the first failure, and somebody may wait for it.
    #[cold]
    fn announce(&self, first_failure: bool) {
        let quiescent = self.is_quiescent();
        if quiescent {
            self.ledger.clear_awaited();
        }
        let ended = quiescent && self.ring.is_closed();
        let told = [
            quiescent.then_some(&self.ledger.idle),
            (ended || first_failure).then_some(&self.ledger.finished),
            (ended && self.kind == Kind::Tasks).then_some(&self.not_empty),
        ];
        // Pairs with the fences of those who list themselves and then look (W3).
        fence(Ordering::SeqCst);
        wake_all_of(told.into_iter().flatten());
    }

    fn resolved(&self) -> u64 {
        match self.kind {
            Kind::Plain => self.ring.popped(),
            Kind::Tasks => self.ledger.resolved(),
        }
    }

    /// Whether nothing was queued and nothing in hand at one instant during the call.
    pub(crate) fn is_quiescent(&self) -> bool {
        // In this order: see `ledger`.
        let resolved = self.resolved();
        resolved == self.ring.pushed()
    }

    /// Whether the channel is closed and quiescent: for good.
    pub(crate) fn is_finished(&self) -> bool {
        self.ring.is_closed() && self.is_quiescent()
    }

    /// The outcome of all work, if none was left at one instant during the call.
    pub(crate) fn outcome(&self) -> Option<Result<Report, JoinError>> {
        // In this order: see `ledger`.
        let resolved = self.resolved();
        let report = self.ledger.account(resolved, resolved, resolved);
        let first = self.ledger.first_failure();
        (resolved == self.ring.pushed()).then(|| match first {
            None => Ok(report),
            Some(first) => Err(JoinError { report, first }),
        })
    }

    /// How far a count is ahead of what is resolved, at one instant during the call.
    fn ahead_of_resolved(&self, count: impl Fn() -> u64) -> usize {
        let mut resolved = self.resolved();
        loop {
            let count = count();
            let now = self.resolved();
            // What has not moved stood still while the other was read.
            if now == resolved {
                return to_usize(count - resolved);
            }
            resolved = now;
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.ahead_of_resolved(|| self.ring.pushed())
    }

    pub(crate) fn stats(&self) -> Stats {
        let in_hand = self.ahead_of_resolved(|| self.ring.popped());
        let resolved = self.resolved();
        let received = self.ring.popped();
        let sent = self.ring.pushed();
        Stats {
            queued: self.ring.len(),
            in_hand,
            closed: self.ring.is_closed(),
            // Relaxed: figures to look at.
            senders: self.senders.load(Ordering::Relaxed),
            receivers: self.receivers.load(Ordering::Relaxed),
            report: self.ledger.account(sent, received, resolved),
        }
    }
}

/// Resolves items when dropped, whatever panics meanwhile, and tells who waits for it.
struct Settlement<'a, T> {
    channel: &'a Channel<T>,
    count: u64,
    /// Whether a failure was written down that is the first.
    first_failure: bool,
}

impl<T> Drop for Settlement<'_, T> {
    fn drop(&mut self) {
        if self.channel.kind == Kind::Tasks {
            self.channel.ledger.resolve(self.count);
        }
        self.channel.announce(self.first_failure);
    }
}

fn wake_all_of<'a>(mut lists: impl Iterator<Item = &'a Waiters>) {
    run_all(|| lists.next(), Waiters::wake_all);
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
