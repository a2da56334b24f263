//! The events of a channel, with the feature `tracing`. Without it, nothing is done here.
//!
//! # Invariants
//!
//! * **E1** A subscriber is user code: it may panic, and it may use the channel. So it is called where
//!   a waker may be called: no lock is held, nothing is claimed, and all waiters have been notified.
//! * **E2** The close is reported once, and then the end once. The thread that closes reports the
//!   close, sets CLOSED, and looks for the end. A thread that brings the end looks for CLOSED
//!   afterwards, and reports nothing if it is not set. Both sides use a fence in between, so one of
//!   them sees the other. If both do, the exchange that sets FINISHED decides.

use core::any::type_name;
use core::error::Error;
use core::ptr;
use core::time::Duration;

use tracing::Level;

use super::Channel;
use crate::attempt::Attempt;
use crate::report::JoinError;
use crate::report::Report;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::unwind::OnDrop;
use crate::unwind::run_one;
use crate::wait::WaitList;

/// The close was reported.
const CLOSED: usize = 1;
/// The end was reported.
const FINISHED: usize = 2;

/// The waits of this length and more are reported, if the builder does not say otherwise.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Emits an event at a level, with fields of its own and those that every event has.
macro_rules! emit {
    ($level:ident, $channel:expr, { $($fields:tt)* } $message:literal) => {{
        let channel = $channel;
        // Read once, and only if a subscriber wants the event.
        if tracing::enabled!(target: "tollgate", Level::$level) {
            let stats = channel.stats();
            tracing::event!(
                target: "tollgate",
                Level::$level,
                channel = ?ptr::from_ref(channel).cast::<()>(),
                item = type_name::<T>(),
                kind = if channel.queue.has_lane() { "tasks" } else { "plain" },
                queued = stats.queued,
                delayed = stats.delayed,
                in_hand = stats.in_hand,
                senders = stats.senders,
                receivers = stats.receivers,
                $($fields)*
                $message
            );
        }
    }};
}

impl<T> Channel<T> {
    /// Reports the close, and the end if it has come.
    #[cold]
    pub(super) fn trace_closed(&self) {
        // On drop: E2 holds even if the subscriber panics.
        let trace_finished = OnDrop(|| {
            // SeqCst: with the fence, one half of the store-load race with `trace_quiescent` (E2).
            self.traced.fetch_or(CLOSED, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            self.trace_finished();
        });
        run_one(|| emit!(DEBUG, self, {} "channel closed"));
        drop(trace_finished);
    }

    /// Reports the first failure, if it has just been recorded, and the end, if it has come.
    #[cold]
    pub(super) fn trace_quiescent(&self, is_first_failure: bool) {
        let trace_finished = OnDrop(|| {
            // Pairs with the fence in `trace_closed` (E2).
            fence(Ordering::SeqCst);
            self.trace_finished();
        });
        if is_first_failure {
            run_one(|| self.trace_failure());
        }
        drop(trace_finished);
    }

    fn trace_failure(&self) {
        // `None` if another thread has taken it.
        if let Some(failure) = self.ledger.first_failure() {
            let error = failure.source().map(tracing::field::display);
            emit!(WARN, self, { failure = %failure, error, } "first failure");
        }
    }

    /// Reports the end once it has come, unless it was reported before (E2).
    fn trace_finished(&self) {
        if self.traced.load(Ordering::SeqCst) != CLOSED {
            return;
        }
        let outcome = Attempt::retry_while_busy(|| self.account().final_outcome());
        let Some(outcome) = outcome.done() else {
            return;
        };
        // Relaxed: only the bit matters.
        if self.traced.fetch_or(FINISHED, Ordering::Relaxed) & FINISHED == 0 {
            run_one(|| self.emit_finished(&outcome));
        }
    }

    fn emit_finished(&self, outcome: &Result<Report, JoinError>) {
        let report = match outcome {
            Ok(report) => report,
            Err(error) => &error.report,
        };
        emit!(DEBUG, self, {
            is_ok = outcome.is_ok(),
            sent = report.sent,
            followed_up = report.followed_up,
            received = report.received,
            done = report.done,
            failed = report.failed,
            abandoned = report.abandoned,
            panicked = report.panicked,
            retried = report.retried,
            evicted = report.evicted,
            discarded = report.discarded,
            failed_senders = report.failed_senders,
        } "channel finished");
    }

    /// Reports that a caller has waited in `list`, if it has waited for long.
    #[cold]
    pub(crate) fn trace_wait(&self, list: WaitList<'_>, waited: Duration) {
        if waited < self.policy.warn_after.unwrap_or(LONG_WAIT) {
            return;
        }
        let is_in = |waiters| ptr::eq(list.waiters, waiters);
        // What a worker or a joiner waits for usually takes long.
        if is_in(&self.lists.not_full.waiters) {
            run_one(|| emit!(WARN, self, { waited = ?waited, } "long wait for room"));
        } else if is_in(&self.lists.not_empty.waiters) {
            run_one(|| emit!(DEBUG, self, { waited = ?waited, } "long wait for an item"));
        }
    }
}
