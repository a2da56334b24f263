//! The counters behind the account, and the failures. The invariants are those of
//! [`accounting`](super).

use alloc::sync::Arc;

use super::kept::Kept;
use crate::report::Failure;
use crate::report::Failures;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::with_lock;
use crate::unwind::Guarded;

/// A caller waits for quiescence.
const NOTICE: u64 = 1;
/// The channel is closed: once it is quiescent, it is finished.
const CLOSED: u64 = 2;
/// No handle is left.
const NO_HANDLES: u64 = 4;
/// The channel measures time. This mark stays as it is.
const MEASURED: u64 = 8;
/// One resolved item.
const ONE: u64 = 16;

/// A caller has seen the end of the channel.
const END_SEEN: usize = 1;
/// One call that discards items.
const DISCARDING: usize = 2;

/// See the [module](self).
pub(crate) struct Ledger {
    word: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
    panicked: AtomicU64,
    evicted: AtomicU64,
    discarded: AtomicU64,
    /// Changes under the lock of `failures` only (L8).
    failed_senders: AtomicU64,
    /// How many calls are discarding items; and END_SEEN.
    discarding: AtomicUsize,
    failures: Mutex<Guarded<Kept>>,
}

/// The outcome of [`Ledger::try_resolve`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Resolved. The channel may already be freed.
    Resolved,
    /// Resolved as the last delivery of a channel without handles. The caller now frees the channel.
    Last,
    /// Not resolved: it may make the channel quiescent. Waiters must then be notified, and that
    /// requires a handle.
    NeedsHandle,
}

/// How many deliveries ended without success, and how many items were evicted and discarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) failed: u64,
    pub(crate) abandoned: u64,
    pub(crate) panicked: u64,
    pub(crate) evicted: u64,
    pub(crate) discarded: u64,
    pub(crate) failed_senders: u64,
}

/// What decides whether the work has failed, at one instant (L8).
pub(crate) struct Verdict {
    /// The first failure since one was last taken.
    pub(crate) first: Option<Failure>,
    /// All that are kept, if that may be more than the first.
    pub(crate) kept: Option<Arc<Failures>>,
    pub(crate) failed_senders: u64,
}

impl Ledger {
    /// Up to `keep_failures` failures are kept, and at least one.
    pub(crate) fn new(keep_failures: usize, measures_time: bool) -> Self {
        Self {
            word: AtomicU64::new(if measures_time { MEASURED } else { 0 }),
            failed: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            failed_senders: AtomicU64::new(0),
            discarding: AtomicUsize::new(0),
            failures: Mutex::new(Guarded::new(Kept::up_to(keep_failures))),
        }
    }

    /// Only the word, because a call that resolves must not borrow the rest of the channel, which may
    /// be freed meanwhile.
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// How many items of a task channel are resolved.
    pub(crate) fn resolved(&self) -> u64 {
        // Acquire: pairs with the Release in resolving (L2).
        self.word.load(Ordering::Acquire) / ONE
    }

    /// Resolves one delivery of a task channel, if no waiter must be notified of it.
    ///
    /// `accepted` is called only before the exchange, because the channel may be freed right after
    /// it. If `no_handles` is true, the caller knows that the last handle has been dropped, or is
    /// being dropped, so there are no waiters.
    #[inline]
    pub(crate) fn try_resolve(
        word: &AtomicU64,
        accepted: impl Fn() -> u64,
        no_handles: bool,
    ) -> Resolution {
        // Acquire: `accepted` is then at least what this counts.
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let marked = seen & (NOTICE | CLOSED | NO_HANDLES) != 0;
            let brings_quiescence = marked && seen / ONE + 1 == accepted();
            let has_no_handles = seen & NO_HANDLES != 0;
            if brings_quiescence && !has_no_handles && !no_handles {
                return Resolution::NeedsHandle;
            }
            // Release: publishes what the worker did (L2). Acquire: the caller that frees the channel
            // sees what all others did to it. Together they chain the resolutions.
            match word.compare_exchange_weak(seen, seen + ONE, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if brings_quiescence && has_no_handles => return Resolution::Last,
                Ok(_) => return Resolution::Resolved,
                Err(now) => seen = now,
            }
        }
    }

    /// Tries once to resolve one delivery of a task channel. Returns false, and changes nothing, if a
    /// waiter may have to be notified, if the channel may have to be freed, if another thread has
    /// changed the word meanwhile, or if the channel measures time (I3 of `in_hand`).
    #[inline]
    pub(crate) fn try_resolve_once(word: &AtomicU64, accepted: impl Fn() -> u64) -> bool {
        // Acquire: as in `try_resolve`.
        let seen = word.load(Ordering::Acquire);
        let marked = seen & (NOTICE | CLOSED | NO_HANDLES | MEASURED) != 0;
        if marked && (seen & MEASURED != 0 || seen / ONE + 1 == accepted()) {
            return false;
        }
        // Release: publishes what the worker did (L2). It frees nothing, so it does not acquire.
        // Relaxed on failure: nothing depends on the value.
        word.compare_exchange_weak(seen, seen + ONE, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Resolves `count` items of a task channel. The caller holds a handle, and afterwards notifies
    /// waiters if necessary.
    pub(crate) fn resolve(&self, count: u64) {
        // AcqRel: as in `try_resolve`.
        self.word.fetch_add(count * ONE, Ordering::AcqRel);
    }

    /// Requests a notification of quiescence (L3).
    pub(crate) fn request_notice(&self) {
        // SeqCst: on a plain channel this is one half of the store-load race with `has_observers`.
        self.word.fetch_or(NOTICE, Ordering::SeqCst);
    }

    /// Called before the waiters for quiescence are notified. A waiter that requests a notification
    /// again also checks again.
    pub(crate) fn clear_notice(&self) {
        // AcqRel: a waiter that sets the mark after this, in the order of the word, then sees the
        // quiescence. One that set it before and has registered is notified; one that has not
        // registered will set it again.
        self.word.fetch_and(!NOTICE, Ordering::AcqRel);
    }

    /// Requests a notification of the end (L3).
    pub(crate) fn set_closed(&self) {
        // SeqCst: as `request_notice`.
        self.word.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Whether quiescence must be notified.
    #[inline]
    pub(crate) fn has_observers(&self) -> bool {
        // SeqCst: pairs with `request_notice` and `set_closed`; the caller's exchange on the ring's
        // `head` is the other half.
        self.word.load(Ordering::SeqCst) & (NOTICE | CLOSED) != 0
    }

    /// Marks that no handle is left. Returns how many items were resolved by then. If that is not all
    /// of them, the channel may already be freed (L4).
    pub(crate) fn set_no_handles(word: &AtomicU64) -> u64 {
        // AcqRel: whichever comes second, this or the last resolution, sees the other.
        word.fetch_or(NO_HANDLES, Ordering::AcqRel) / ONE
    }

    /// Records a failed delivery, before it is resolved (L2). Returns true for the first failure.
    pub(crate) fn record(&self, failure: Failure) -> bool {
        let count = match failure {
            Failure::Failed(_) => &self.failed,
            Failure::Abandoned => &self.abandoned,
            Failure::Panicked => &self.panicked,
            Failure::Discarded => &self.discarded,
            Failure::SenderFailed(_) | Failure::SenderPanicked => &self.failed_senders,
        };
        // Release: pairs with the Acquire in `outcomes`; the items were accepted before.
        count.fetch_add(1, Ordering::Release);
        self.note(failure)
    }

    /// Keeps a failure if there is room. Returns true for the first.
    pub(crate) fn note(&self, failure: Failure) -> bool {
        let kept = with_lock(&self.failures, |failures| failures.keep(failure));
        // If it was not kept, it is dropped here, outside the lock: the destructor of an error is user code.
        kept.unwrap_or(false)
    }

    /// Records that a sender has failed, before it counts as gone, unless the end was seen (L8). Returns
    /// true for the first failure.
    pub(crate) fn record_sender(&self, failure: Failure) -> bool {
        let kept = with_lock(&self.failures, |failures| {
            // Relaxed: the lock orders this and what a caller does after it has set the mark.
            if self.discarding.load(Ordering::Relaxed) & END_SEEN != 0 {
                return Err(failure);
            }
            // Relaxed: read under the lock, except by `outcomes`, where nothing depends on it.
            self.failed_senders.fetch_add(1, Ordering::Relaxed);
            failures.keep(failure)
        });
        // Dropped as in `note`.
        kept.unwrap_or(false)
    }

    /// Records that an item was evicted, before it is resolved and before the item that replaces it can
    /// be received (L7).
    pub(crate) fn record_evicted(&self) {
        // Release: as in `record`.
        self.evicted.fetch_add(1, Ordering::Release);
    }

    /// Called before items are removed to be discarded (L5).
    pub(crate) fn begin_discarding(&self) {
        // AcqRel: ordered before the first removal, which releases.
        self.discarding.fetch_add(DISCARDING, Ordering::AcqRel);
    }

    /// Records that `items` were removed without being delivered, before they are resolved (L2).
    pub(crate) fn record_discarded(&self, items: u64) {
        // Release: as in `record`.
        self.discarded.fetch_add(items, Ordering::Release);
    }

    /// Called when all removed items are counted, those that are to be dropped have been dropped, and
    /// the failure is noted (L5). The caller then notifies waiters if necessary.
    pub(crate) fn end_discarding(&self) {
        // AcqRel: ordered after all of that.
        self.discarding.fetch_sub(DISCARDING, Ordering::AcqRel);
        // Before the caller reads whether the channel is quiescent. Pairs with the fence of a call
        // that makes the channel quiescent later, and that then notifies the waiters which found
        // `discarding` raised.
        fence(Ordering::SeqCst);
    }

    /// Whether `discarded` may not yet include all items that were removed.
    pub(crate) fn is_discarding(&self) -> bool {
        // SeqCst: acquires from the calls above and from `set_end_seen`; and pairs with the fence in
        // `end_discarding`. A caller that finds it raised sleeps. The call that lowers it looks at the
        // counts after the fence, and must then see all of what this caller has seen of them.
        let discarding = self.discarding.load(Ordering::SeqCst);
        discarding >= DISCARDING && discarding & END_SEEN == 0
    }

    /// Marks that the end has been seen (L6).
    pub(crate) fn set_end_seen(&self) {
        // Relaxed: an exchange continues the release sequences of the calls that discarded, so a
        // caller that reads the mark acquires from them, as the caller that set it did.
        self.discarding.fetch_or(END_SEEN, Ordering::Relaxed);
    }

    /// The failures, and how many senders have failed.
    pub(crate) fn verdict(&self) -> Verdict {
        with_lock(&self.failures, |failures| Verdict {
            first: failures.first(),
            kept: failures.list(),
            failed_senders: self.failed_senders.load(Ordering::Relaxed),
        })
    }

    /// The first failure since one was last taken.
    pub(crate) fn first_failure(&self) -> Option<Failure> {
        with_lock(&self.failures, |failures| failures.first())
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        with_lock(&self.failures, |failures| failures.take_first())
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        // Acquire: the count of accepted items, read later, includes at least the items that these
        // outcomes are of.
        Outcomes {
            failed: self.failed.load(Ordering::Acquire),
            abandoned: self.abandoned.load(Ordering::Acquire),
            panicked: self.panicked.load(Ordering::Acquire),
            evicted: self.evicted.load(Ordering::Acquire),
            discarded: self.discarded.load(Ordering::Acquire),
            // Relaxed: senders end no deliveries.
            failed_senders: self.failed_senders.load(Ordering::Relaxed),
        }
    }
}
