//! What a channel tells of itself: whether work is left, how much, and what became of the rest.

use std::mem;

use super::Channel;
use super::Kind;
use crate::lane::Lane;
use crate::report::JoinError;
use crate::report::Report;
use crate::report::Stats;
use crate::sync::atomic::Ordering;

impl<T> Channel<T> {
    /// How many deliveries are accepted: see `ledger`.
    pub(crate) fn accepted(&self) -> u64 {
        self.ring.pushed() + self.lane().map_or(0, Lane::pushed)
    }

    /// How many items have been taken out of the queue.
    fn taken(&self) -> u64 {
        self.ring.popped() + self.lane().map_or(0, Lane::popped)
    }

    /// How many deliveries are resolved: see `ledger`.
    fn resolved(&self) -> u64 {
        match self.kind {
            Kind::Plain => self.ring.popped(),
            Kind::Tasks(_) => self.ledger.resolved(),
        }
    }

    /// Whether nothing was queued and nothing in hand at one instant during the call.
    pub(crate) fn is_quiescent(&self) -> bool {
        // In this order: see `ledger`.
        let resolved = self.resolved();
        resolved == self.accepted()
    }

    /// Whether the channel is closed and quiescent, for good, and all that became of the items has
    /// been written down.
    pub(crate) fn is_finished(&self) -> bool {
        // In this order: see L5 and L6 of `ledger`.
        let resolved = self.resolved();
        let finished =
            self.ring.is_closed() && !self.ledger.is_discarding() && resolved == self.accepted();
        if finished {
            self.ledger.set_ended();
        }
        finished
    }

    /// The outcome of all work, if none was left at one instant during the call and all that became
    /// of it has been written down.
    pub(crate) fn outcome(&self) -> Option<Result<Report, JoinError>> {
        // In this order: see `ledger`.
        let resolved = self.resolved();
        if self.ledger.is_discarding() {
            // Who does will tell when it is done.
            return None;
        }
        // Before what is accepted is read, so that no send can come between: L6.
        let closed = self.ring.is_closed();
        let report = self.account(resolved, resolved);
        let first = self.ledger.first_failure();
        // So all of the above was read while nothing was accepted or resolved, and is exact.
        if resolved != self.accepted() {
            return None;
        }
        if closed {
            self.ledger.set_ended();
        }
        Some(match first {
            None => Ok(report),
            Some(first) => Err(JoinError { report, first }),
        })
    }

    /// The account, given how many items were `taken` and how many are `resolved`. See `ledger`.
    fn account(&self, taken: u64, resolved: u64) -> Report {
        let retried = self.lane().map_or(0, Lane::retried);
        let account = self.ledger.account(taken, resolved, retried);
        Report {
            sent: self.ring.pushed(),
            followed_up: self.lane().map_or(0, Lane::followed_up),
            ..account
        }
    }

    /// The account while the channel goes on. Done is what is resolved and has no other outcome,
    /// so those are read before and after, until they stand still.
    fn account_by_now(&self) -> Report {
        /// How often at most: nothing but figures depends on it.
        const LOOKS: u32 = 8;
        let look = || self.account(self.taken(), self.resolved());
        let outcomes = |account: Report| Report {
            sent: 0,
            followed_up: 0,
            received: 0,
            done: 0,
            ..account
        };
        let mut account = look();
        for _ in 1..LOOKS {
            let before = mem::replace(&mut account, look());
            if outcomes(before) == outcomes(account) {
                break;
            }
        }
        account
    }

    /// How far one count is ahead of another: at one instant during the call, if the one rises by
    /// ones. Else between what was true at two.
    fn ahead(&self, count: impl Fn(&Self) -> u64, of: impl Fn(&Self) -> u64) -> usize {
        let mut behind = of(self);
        loop {
            let ahead = count(self);
            let now = of(self);
            // What has not moved stood still while the other was read.
            if now == behind {
                return to_usize(ahead - behind);
            }
            behind = now;
        }
    }

    /// How many items are queued.
    pub(crate) fn len(&self) -> usize {
        match self.kind {
            Kind::Plain => self.ring.len(),
            Kind::Tasks(_) => self.ahead(Self::accepted, Self::taken),
        }
    }

    /// Whether there is no room for a sender.
    pub(crate) fn is_full(&self) -> bool {
        self.ring.len() == self.ring.capacity()
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.ahead(Self::accepted, Self::resolved)
    }

    pub(crate) fn stats(&self) -> Stats {
        let in_hand = self.ahead(Self::taken, Self::resolved);
        Stats {
            queued: self.len(),
            in_hand,
            discarding: self.ledger.is_discarding(),
            closed: self.ring.is_closed(),
            // Relaxed: figures to look at.
            senders: self.senders.load(Ordering::Relaxed),
            receivers: self.receivers.load(Ordering::Relaxed),
            report: self.account_by_now(),
        }
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
