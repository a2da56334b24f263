//! The wait lists of a channel, each named after the condition for which its waiters wait.

use core::num::NonZeroU32;

use super::adaptive_pause::AdaptivePause;
use super::waiters::Waiters;
use super::yields::Yields;
use crate::sync::CachePadded;

/// All wait lists of a channel.
pub(crate) struct WaitLists {
    /// Receivers and streams.
    pub(crate) not_empty: CachePadded<SideList>,
    /// Senders.
    pub(crate) not_full: CachePadded<SideList>,
    /// Callers that wait until nothing is queued and no task is in hand.
    pub(crate) idle: Waiters,
    /// Callers that wait for the close.
    pub(crate) closed: Waiters,
    /// Callers that wait until the channel is closed and idle; or for a failure, if one comes first.
    pub(crate) finished: Waiters,
    /// Every call reads these, but few calls write them. So they are not on the cache lines of
    /// `not_empty` and `not_full`.
    receiver_yields: Yields,
    sender_yields: Yields,
}

/// The waiters of one side of the channel, and whether it pays to pause before waiting. Only callers
/// that wait write to it.
pub(crate) struct SideList {
    pub(crate) waiters: Waiters,
    pub(crate) pause: AdaptivePause,
}

/// A list to wait in.
#[derive(Clone, Copy)]
pub(crate) struct WaitList<'a> {
    pub(crate) waiters: &'a Waiters,
    /// Whether its callers yield, and how its waiters request that.
    pub(crate) yields: Option<&'a Yields>,
}

impl<'a> From<&'a Waiters> for WaitList<'a> {
    fn from(waiters: &'a Waiters) -> Self {
        let yields = None;
        Self { waiters, yields }
    }
}

impl WaitLists {
    /// `budget` is after how many calls of one side one yields.
    pub(crate) fn new(budget: Option<NonZeroU32>) -> Self {
        let side = || SideList {
            waiters: Waiters::new(),
            pause: AdaptivePause::new(),
        };
        Self {
            not_empty: CachePadded::new(side()),
            not_full: CachePadded::new(side()),
            idle: Waiters::new(),
            closed: Waiters::new(),
            finished: Waiters::new(),
            receiver_yields: Yields::new(budget),
            sender_yields: Yields::new(budget),
        }
    }

    /// Where receivers wait for items.
    #[inline]
    pub(crate) fn of_receivers(&self) -> WaitList<'_> {
        WaitList {
            waiters: &self.not_empty.waiters,
            yields: Some(&self.receiver_yields),
        }
    }

    /// Where senders wait for room.
    #[inline]
    pub(crate) fn of_senders(&self) -> WaitList<'_> {
        WaitList {
            waiters: &self.not_full.waiters,
            yields: Some(&self.sender_yields),
        }
    }
}
