//! The account of a channel: whether work is left, how much, and the outcome of the finished work.
//!
//! A delivery is *accepted* when a send claims a position in the storage, or when a task pushes an
//! item to the lane, as new work or for another attempt. It is *resolved* when nothing more can
//! happen to it: its task has ended or has requeued the item, or the item was discarded or evicted. On
//! a plain channel, it is also resolved when the item is received. Neither count ever falls, and
//! `resolved <= accepted` at every instant. So a channel is *quiescent*, with nothing queued and
//! nothing in hand, if `resolved == accepted`, and one reading of each is enough:
//!
//! > Read `resolved`, then the two parts of `accepted`: that of the storage and that of the lane.
//! > Neither part falls. If their sum equals `resolved`, then at the instant at which the first part
//! > was read, `resolved` was at least this sum, and `accepted` was at most this sum. So the channel
//! > was quiescent at that instant.
//!
//! A task in hand needs no count of its own: it is an item that has left the queue and is not
//! resolved. What a task pushes to the lane is accepted before the task is resolved, so there is no
//! instant between the two at which all work looks done.
//!
//! # Invariants
//!
//! * **L1** On a task channel, the upper bits of the ledger's word are `resolved`. Each delivery adds
//!   one, once, and no longer keeps the channel's memory alive afterwards. On a plain channel, the
//!   upper bits stay zero: the storage's `head` is the count.
//! * **L2** An outcome is recorded before its delivery is resolved, and resolving releases. So a
//!   caller that reads `resolved` with acquire sees the outcomes of those deliveries, and everything
//!   that their workers did before.
//! * **L3** A caller that waits for quiescence sets NOTICE after it has registered and before its
//!   last check. Resolving is an exchange of the same word, so either the exchange sees the mark, or
//!   the check sees the resolution. The same holds for CLOSED, which a close sets for the callers
//!   that wait for the end.
//! * **L4** NO_HANDLES is set once, when the last handle is dropped. From then on nothing is accepted,
//!   and the caller that resolves the last item frees the channel.
//! * **L5** A call that discards items raises `discarding` before it removes the first. It lowers
//!   `discarding` when `discarded` includes all of these items, those that are to be dropped have been
//!   dropped, and the failure, if discarding is one, is noted. So if a caller reads `discarding` as
//!   zero, after `resolved` and before the counts, the counts are of the same items (on a plain
//!   channel, removing an item resolves it), and no destructor is still to run.
//! * **L6** END_SEEN is set by a caller that reads `resolved`, then finds the channel closed and
//!   `discarding` zero, and then reads an `accepted` that equals `resolved`. So at one instant the
//!   channel was closed and quiescent, and by L5 its counts were complete. From then on nothing is
//!   accepted and nothing can be removed, so all of this stays true, although a later `close_now` may
//!   raise `discarding` and find nothing.
//! * **L7** A send that evicts an item has accepted its own before it removes the other. It records
//!   and resolves the eviction before its own item can be received. So its own item is unresolved all
//!   that time, the channel is not quiescent, and no waiter need be notified. A caller that reads
//!   `resolved` later and finds the channel quiescent sees the eviction: the receiver of the item has
//!   acquired from the send.
//! * **L8** A sender that fails records this before it counts as gone. So if the last sender closes the
//!   channel, a caller that finds it closed sees the failures of all senders. A sender may also fail
//!   after another handle has closed the channel, and be late:
//!
//!   1. Reader R reads the verdict: nothing has failed.
//!   2. Sender S fails, and records this.
//!   3. R reports the end without a failure, and later readers report it with one.
//!
//!   So R first sets END_SEEN, and then reads the verdict, under the lock of the failures. S looks for
//!   END_SEEN under that lock, and records nothing if it is set. Either S comes first, and R reads what it
//!   has recorded, or S sees the mark. (An end that no call has seen yet includes S.) The count of failed senders and the first failure are also read
//!   together, under the lock, so they agree even on an open channel.

use core::mem;

use crate::attempt::Attempt;
use crate::queue::Queue;
use crate::queue::stable_difference;
use crate::report::JoinError;
use crate::report::Report;

// the failures that are kept
mod kept;
// the counters, and the failures
mod ledger;

pub(crate) use self::ledger::Ledger;
use self::ledger::Outcomes;
pub(crate) use self::ledger::Resolution;

/// What can be read from the counts of a channel.
pub(crate) struct Account<'a, T> {
    pub(crate) queue: &'a Queue<T>,
    pub(crate) ledger: &'a Ledger,
}

/// Something that was read while the channel was quiescent and its counts were complete.
struct AtRest<R> {
    read: R,
    /// Whether the channel was also closed, so that it stays quiescent.
    is_finished: bool,
}

impl<R> AtRest<R> {
    /// What was read, if the channel is finished.
    fn finished(self) -> Attempt<R> {
        if self.is_finished {
            Attempt::Done(self.read)
        } else {
            Attempt::Blocked
        }
    }
}

impl<T> Account<'_, T> {
    /// How many deliveries are resolved. On a plain channel, a receiver may be resolving one more.
    fn resolved(&self) -> u64 {
        if self.queue.has_lane() {
            self.ledger.resolved()
        } else {
            self.queue.sent_popped()
        }
    }

    /// How many deliveries are resolved. Returns `None` if a receiver may be resolving one more, and
    /// may not notice that the caller waits for that.
    fn settled(&self) -> Option<u64> {
        if self.queue.has_lane() {
            Some(self.ledger.resolved())
        } else {
            self.queue.settled_sent_popped()
        }
    }

    /// Whether nothing was queued and nothing in hand at one instant during the call.
    pub(crate) fn is_quiescent(&self) -> bool {
        // In this order: see the module.
        let resolved = self.resolved();
        resolved == self.queue.accepted()
    }

    /// As [`is_quiescent`](Self::is_quiescent), for a caller that others rely on to notice the answer.
    pub(crate) fn quiescent(&self) -> Attempt<()> {
        match self.settled() {
            None => Attempt::Busy,
            Some(resolved) if resolved == self.queue.accepted() => Attempt::Done(()),
            Some(_) => Attempt::Blocked,
        }
    }

    /// Calls `read` with the number of resolved deliveries. Returns what it read if nothing was
    /// accepted or resolved meanwhile, the channel was quiescent, and its counts were complete.
    ///
    /// Whatever reports the end of the channel reads it here, so that all reports agree (L6).
    fn at_rest<R>(&self, read: impl FnOnce(u64) -> R) -> Attempt<AtRest<R>> {
        // In this order: L5 and L6.
        let Some(resolved) = self.settled() else {
            return Attempt::Busy;
        };
        if self.ledger.is_discarding() {
            // The call that discards notifies when it is done.
            return Attempt::Blocked;
        }
        if self.queue.is_closed() {
            return self.at_end(resolved, read);
        }
        let read = read(resolved);
        if resolved != self.queue.accepted() {
            return Attempt::Blocked;
        }
        Attempt::Done(AtRest {
            read,
            is_finished: false,
        })
    }

    /// [`at_rest`](Self::at_rest) of a closed channel. If all is resolved, the channel is finished. Only a
    /// late failure of a sender could change what is read then, and the mark prevents that (L8).
    fn at_end<R>(&self, resolved: u64, read: impl FnOnce(u64) -> R) -> Attempt<AtRest<R>> {
        if resolved != self.queue.accepted() {
            return Attempt::Blocked;
        }
        self.ledger.set_end_seen();
        Attempt::Done(AtRest {
            read: read(resolved),
            is_finished: true,
        })
    }

    /// Is done if the channel is closed and quiescent, for good, and its counts are complete.
    pub(crate) fn finished(&self) -> Attempt<()> {
        self.at_rest(|_| ()).and_then(AtRest::finished)
    }

    /// The outcome of all work, if none was left at one instant during the call.
    pub(crate) fn outcome(&self) -> Attempt<Result<Report, JoinError>> {
        self.at_rest(|resolved| self.read_outcome(resolved))
            .map(|rest| rest.read)
    }

    /// The outcome of all work, if the channel is finished.
    pub(crate) fn final_outcome(&self) -> Attempt<Result<Report, JoinError>> {
        self.at_rest(|resolved| self.read_outcome(resolved))
            .and_then(AtRest::finished)
    }

    fn read_outcome(&self, resolved: u64) -> Result<Report, JoinError> {
        let verdict = self.ledger.verdict();
        let report = Report {
            failed_senders: verdict.failed_senders,
            ..self.read_report(resolved, resolved)
        };
        match verdict.first {
            None => Ok(report),
            Some(first) => Err(JoinError::new(report, first, verdict.kept)),
        }
    }

    /// The report, given how many items were removed from the queue, and how many are resolved.
    fn read_report(&self, popped: u64, resolved: u64) -> Report {
        let retried = self.queue.retried();
        let Outcomes {
            failed,
            abandoned,
            panicked,
            evicted,
            discarded,
            failed_senders,
        } = self.ledger.outcomes();
        // What left the queue and was not delivered.
        let lost = evicted + discarded;
        // Saturating: while the channel is active, the counts are of different instants.
        Report {
            sent: self.queue.sent(),
            followed_up: self.queue.followed_up(),
            received: popped.saturating_sub(lost),
            done: resolved.saturating_sub(failed + abandoned + panicked + retried + lost),
            failed,
            abandoned,
            panicked,
            retried,
            evicted,
            discarded,
            failed_senders,
        }
    }

    /// The report while the channel is active. `done` is computed as the resolved deliveries that
    /// have no other outcome. So the other outcomes are read repeatedly, until two readings agree.
    pub(crate) fn current_report(&self) -> Report {
        /// The maximum number of readings. Only `Monitor::stats` depends on it.
        const READINGS: u32 = 8;
        let read = || self.read_report(self.queue.popped(), self.resolved());
        let outcomes = |report: Report| Report {
            sent: 0,
            followed_up: 0,
            received: 0,
            done: 0,
            ..report
        };
        let mut report = read();
        for _ in 1..READINGS {
            let before = mem::replace(&mut report, read());
            if outcomes(before) == outcomes(report) {
                break;
            }
        }
        report
    }

    /// How many items are queued or in hand.
    pub(crate) fn outstanding(&self) -> usize {
        stable_difference(|| self.queue.accepted(), || self.resolved())
    }

    /// How many tasks are in hand.
    pub(crate) fn in_hand(&self) -> usize {
        stable_difference(|| self.queue.popped(), || self.resolved())
    }
}
