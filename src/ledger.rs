//! The account of a channel's items: how many are resolved, what became of them, what failed first;
//! and who waits to be told.
//!
//! A delivery is *accepted* when a send claims a position in the ring, or when a task puts an item
//! into the lane, as new work or to be tried again. It is *resolved* when nothing more will become
//! of it: its task has ended or has put the item back, or it was discarded; on a plain channel,
//! when it is handed over. Neither count ever falls, and `resolved <= accepted` at every instant.
//! So quiescence, nothing queued and nothing in hand, is `resolved == accepted`, and one reading of
//! each tells it:
//!
//! > Read `resolved`, then the two parts of `accepted`: the ring's and the lane's. Neither part
//! > falls, so if their sum is what `resolved` was, then at the instant of the second reading
//! > `resolved` was at least that, and `accepted` at most: the channel was quiescent at that
//! > instant.
//!
//! A task in hand costs no count of its own: it is an item that has left the queue and is not
//! resolved. What a task puts into the lane is accepted before the task is resolved, so there is no
//! instant between them at which all work looks done.
//!
//! # Invariants
//!
//! * **L1** On a task channel the word's upper bits are `resolved`; each delivery adds one, once,
//!   and has then given up its claim on the channel's memory. On a plain channel they stay zero:
//!   the ring's `head` is the count.
//! * **L2** An outcome is written before its delivery is resolved, and resolving releases. So who
//!   reads `resolved` with acquire sees all that became of those deliveries, and all that their
//!   workers did before.
//! * **L3** Who awaits quiescence sets [`AWAITED`] after it has listed itself and before it looks a
//!   last time. Resolving is an exchange of the same word, so either it sees the mark, or the look
//!   sees it resolved. Likewise [`ENDING`], set by closing, for those who await the end.
//! * **L4** [`ORPHANED`] is set once, when the last handle goes. From then on nothing is accepted,
//!   and whoever resolves the last item frees the channel; nobody else is left to.
//! * **L5** Who takes items out without handing them over raises `discarding` before the first, and
//!   lowers it when `discarded` counts them all, those to be dropped have been, and the failure, if
//!   it is one, is noted. So who reads it as zero, after `resolved` and before the counts, sees
//!   counts of the same items (on a plain channel, taking an item resolves it), and no destructor
//!   is still to run.
//! * **L6** [`ENDED`] is set by who finds the channel closed and `discarding` zero after reading
//!   `resolved`, and what is accepted equal to it after both. So it was closed and quiescent at one
//!   instant, and by L5 told of in full. From then on nothing is accepted and nothing can be taken
//!   out: all of that stays true, though somebody may yet raise `discarding` to take out what is
//!   not there.

use crate::report::Failure;
use crate::report::Report;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::with_lock;
use crate::unwind::Guarded;
use crate::waiters::Waiters;

/// Somebody awaits quiescence.
const AWAITED: u64 = 1;
/// The channel is closed: quiescence is its end.
const ENDING: u64 = 2;
/// No handle is left.
const ORPHANED: u64 = 4;
/// One resolved item.
const ONE: u64 = 8;

/// Somebody has seen the end.
const ENDED: usize = 1;
/// One that takes items out without handing them over.
const DISCARDING: usize = 2;

/// See the [module](self).
pub(crate) struct Ledger {
    word: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
    panicked: AtomicU64,
    discarded: AtomicU64,
    /// How many take items out without handing them over; and ENDED.
    discarding: AtomicUsize,
    first: Mutex<Guarded<Option<Failure>>>,
    /// Who awaits quiescence.
    pub(crate) idle: Waiters,
    /// Who awaits that nothing is accepted any more.
    pub(crate) closed: Waiters,
    /// Who awaits the end, closed and quiescent; or a failure, if one comes first.
    pub(crate) finished: Waiters,
}

/// What [`Ledger::try_resolve`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Resolved. The channel may be gone already.
    Resolved,
    /// Resolved as the last of an orphaned channel, which is now the caller's to free.
    Last,
    /// Not resolved: this may bring quiescence, and somebody must be told, which takes a handle.
    NeedsHandle,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            discarding: AtomicUsize::new(0),
            first: Mutex::new(Guarded::new(None)),
            idle: Waiters::new(),
            closed: Waiters::new(),
            finished: Waiters::new(),
        }
    }

    /// The word, alone: resolving and orphaning must not borrow what may be freed meanwhile.
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// How many items of a task channel are resolved.
    pub(crate) fn resolved(&self) -> u64 {
        // Acquire: pairs with the Release in resolving (L2).
        self.word.load(Ordering::Acquire) / ONE
    }

    /// Resolves one delivery of a task channel, if nobody must hear of it.
    ///
    /// `accepted` is read only before the exchange, for the channel may be gone right after it.
    /// With `no_handles` the caller knows that the last handle has gone, or is going, and that so
    /// nobody is left to be told.
    #[inline]
    pub(crate) fn try_resolve(
        word: &AtomicU64,
        accepted: impl Fn() -> u64,
        no_handles: bool,
    ) -> Resolution {
        // Acquire: `accepted` is then at least what this counts.
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let marked = seen & (AWAITED | ENDING | ORPHANED) != 0;
            let brings_quiescence = marked && seen / ONE + 1 == accepted();
            let orphaned = seen & ORPHANED != 0;
            if brings_quiescence && !orphaned && !no_handles {
                return Resolution::NeedsHandle;
            }
            // Release: publishes what the worker did (L2). Acquire: who frees the channel sees
            // what all others did to it. Together they chain the resolutions.
            match word.compare_exchange_weak(seen, seen + ONE, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if brings_quiescence && orphaned => return Resolution::Last,
                Ok(_) => return Resolution::Resolved,
                Err(now) => seen = now,
            }
        }
    }

    /// Tries once to resolve one delivery of a task channel. Returns false, and changes nothing, if
    /// another may have to be notified, if the channel may have to be freed, or if another thread
    /// was quicker.
    #[inline]
    pub(crate) fn try_resolve_at_once(word: &AtomicU64, accepted: impl Fn() -> u64) -> bool {
        // Acquire: as in `try_resolve`.
        let seen = word.load(Ordering::Acquire);
        let marked = seen & (AWAITED | ENDING | ORPHANED) != 0;
        if marked && seen / ONE + 1 == accepted() {
            return false;
        }
        // Release: publishes what the worker did (L2). It frees nothing, so it does not acquire.
        // Relaxed on failure: nothing follows from it.
        word.compare_exchange_weak(seen, seen + ONE, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Resolves `count` items of a task channel. The caller holds a handle, and looks afterwards
    /// whether somebody must be told.
    pub(crate) fn resolve(&self, count: u64) {
        // AcqRel: as in `try_resolve`.
        self.word.fetch_add(count * ONE, Ordering::AcqRel);
    }

    /// Asks to be told of quiescence (L3).
    pub(crate) fn set_awaited(&self) {
        // SeqCst: on a plain channel this is one half of the store-load race with `is_watched`.
        self.word.fetch_or(AWAITED, Ordering::SeqCst);
    }

    /// Before all who await quiescence are told: who sets the mark again will look again.
    pub(crate) fn clear_awaited(&self) {
        // AcqRel: who sets the mark after this, in the order of the word, then sees the quiescence;
        // who set it before and has listed itself is told; who has not will set it again.
        self.word.fetch_and(!AWAITED, Ordering::AcqRel);
    }

    /// Asks for the end to be told (L3).
    pub(crate) fn set_ending(&self) {
        // SeqCst: as `set_awaited`.
        self.word.fetch_or(ENDING, Ordering::SeqCst);
    }

    /// Whether somebody must be told of quiescence.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        // SeqCst: pairs with `set_awaited` and `set_ending`; the caller's exchange on the ring's
        // `head` is the other half.
        self.word.load(Ordering::SeqCst) & (AWAITED | ENDING) != 0
    }

    /// Marks that no handle is left; gives how many were resolved by then. Unless that is all, the
    /// channel may be gone already (L4).
    pub(crate) fn orphan(word: &AtomicU64) -> u64 {
        // AcqRel: between this and the last resolution, the second sees the first.
        word.fetch_or(ORPHANED, Ordering::AcqRel) / ONE
    }

    /// Writes down what became of a delivery, before it is resolved (L2); whether it is the first
    /// failure.
    pub(crate) fn record(&self, failure: Failure) -> bool {
        let count = match failure {
            Failure::Failed(_) => &self.failed,
            Failure::Abandoned => &self.abandoned,
            Failure::Panicked => &self.panicked,
            Failure::Discarded => &self.discarded,
        };
        // Release: pairs with the Acquire in `account`; the items were accepted before.
        count.fetch_add(1, Ordering::Release);
        self.note(failure)
    }

    /// Keeps a failure unless there is one; whether it is the first.
    pub(crate) fn note(&self, failure: Failure) -> bool {
        // A later failure is dropped when the lock is gone: an error's destructor is user code.
        let later = with_lock(&self.first, |first| match **first {
            None => {
                **first = Some(failure);
                None
            }
            Some(_) => Some(failure),
        });
        later.is_none()
    }

    /// Items are about to be taken out without being handed over (L5).
    pub(crate) fn begin_discarding(&self) {
        // AcqRel: before the first of them is taken, which releases.
        self.discarding.fetch_add(DISCARDING, Ordering::AcqRel);
    }

    /// Writes down that so many items were taken out without being handed over, before they are
    /// resolved (L2).
    pub(crate) fn record_discarded(&self, items: u64) {
        // Release: as in `record`.
        self.discarded.fetch_add(items, Ordering::Release);
    }

    /// All that were taken out are counted, and dropped if they are to be; and the failure is noted
    /// (L5). The caller looks afterwards whether somebody must be told.
    pub(crate) fn end_discarding(&self) {
        // AcqRel: after all of that.
        self.discarding.fetch_sub(DISCARDING, Ordering::AcqRel);
        // Before the caller looks for quiescence. Pairs with the fence of whoever brings it later
        // and then tells who could not be told meanwhile.
        fence(Ordering::SeqCst);
    }

    /// Whether `discarded` may lag behind what has been taken out.
    pub(crate) fn is_discarding(&self) -> bool {
        // Acquire: pairs with the above, and with `set_ended`.
        let discarding = self.discarding.load(Ordering::Acquire);
        discarding >= DISCARDING && discarding & ENDED == 0
    }

    /// Marks that the end has been seen (L6).
    pub(crate) fn set_ended(&self) {
        // Relaxed: an exchange goes on with the release sequences of those who discarded, so who
        // finds the mark acquires from them as who set it did.
        self.discarding.fetch_or(ENDED, Ordering::Relaxed);
    }

    /// The first failure since it was last taken.
    pub(crate) fn first_failure(&self) -> Option<Failure> {
        with_lock(&self.first, |first| first.clone())
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        with_lock(&self.first, |first| first.take())
    }

    /// What became of the deliveries, given how many were `taken` out of the queue, how many are
    /// `resolved`, and how many of their items were then put back. What was accepted is to be
    /// filled in by the caller, who reads it afterwards. The account is exact if `resolved` was
    /// read first, nothing was being discarded then (L5), and what is accepted equals it.
    pub(crate) fn account(&self, taken: u64, resolved: u64, retried: u64) -> Report {
        // Acquire: what is accepted, read later, counts at least the items that these outcomes are
        // of.
        let failed = self.failed.load(Ordering::Acquire);
        let abandoned = self.abandoned.load(Ordering::Acquire);
        let panicked = self.panicked.load(Ordering::Acquire);
        let discarded = self.discarded.load(Ordering::Acquire);
        // Saturating: while the channel goes on, the counts are of different instants.
        Report {
            received: taken.saturating_sub(discarded),
            done: resolved.saturating_sub(failed + abandoned + panicked + retried + discarded),
            failed,
            abandoned,
            panicked,
            retried,
            discarded,
            ..Report::default()
        }
    }
}
