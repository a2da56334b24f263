//! The tasks in hand, if the queue measures.

#[cfg(all(feature = "std", not(target_family = "wasm")))]
use core::time::Duration;

use super::Place;
use super::Queue;
use crate::clock::Moment;

impl<T> Queue<T> {
    /// Records that a task is in hand whose item was queued at `queued_at`, if the queue measures.
    #[inline]
    pub(crate) fn enter_hand(&self, queued_at: Moment) -> Option<Place> {
        self.lane.as_ref()?.in_hand()?.enter(queued_at)
    }

    /// Records that a task is no longer in hand, before it is resolved (I3 of `in_hand`).
    #[cold]
    pub(crate) fn leave_hand(&self, place: Place) {
        if let Some(in_hand) = self.lane.as_ref().and_then(|lane| lane.in_hand()) {
            in_hand.leave(place);
        }
    }

    /// How long the item of a task in hand was queued.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn waited(&self, place: Place) -> Option<Duration> {
        Some(self.lane.as_ref()?.in_hand()?.waited(place))
    }

    /// When the first task of those in hand was received, if the queue measures and there is one.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest_in_hand(&self) -> Option<Moment> {
        self.lane.as_ref()?.in_hand()?.oldest()
    }
}
