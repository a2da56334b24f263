//! The queue of a channel: a storage for the items that are sent, and on task channels a side lane for
//! the items that tasks queue.
//!
//! This is the only module that knows which storage a channel has.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use crate::attempt::Attempt;
use crate::clock::Moment;
use crate::sync::Section;

// positions and slots
mod slot;
// the storage of a bounded channel
mod ring;
// the storage of an unbounded channel
mod segments;
// the tasks in hand, if the queue measures
mod in_hand;
// what tasks queue
mod lane;
// what they queue for later
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod later;
// which tasks are in hand, if the queue measures
mod measuring;

pub(crate) use self::in_hand::Place;
use self::lane::Lane;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub(crate) use self::lane::Matured;
pub(crate) use self::lane::Rest;
use self::ring::Ring;
use self::segments::Segments;

/// The parts of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Storage,
    Lane,
}

/// Where an item came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) part: Part,
    /// The number of this delivery of the item; the first is 1.
    pub(crate) attempt: u32,
    /// When the item was queued for this delivery, if the queue measures.
    pub(crate) queued_at: Moment,
}

impl Origin {
    #[inline]
    fn storage(queued_at: Moment) -> Self {
        Self {
            part: Part::Storage,
            attempt: 1,
            queued_at,
        }
    }

    fn lane(attempt: u32, queued_at: Moment) -> Self {
        Self {
            part: Part::Lane,
            attempt,
            queued_at,
        }
    }
}

/// Where the sent items are kept.
#[expect(
    clippy::large_enum_variant,
    reason = "the ring is not behind a pointer"
)]
enum Storage<T> {
    Bounded(Ring<T>),
    /// Boxed, so that the address of the slots of a ring tells the two apart, and nothing else has to
    /// be read.
    Unbounded(Box<Segments<T>>),
}

/// Calls the same method of either storage.
macro_rules! storage {
    ($queue:expr, $storage:ident => $call:expr) => {
        match &$queue.storage {
            Storage::Bounded($storage) => $call,
            Storage::Unbounded($storage) => $call,
        }
    };
}

/// How many items a batch has taken from each part of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) sent: u64,
    pub(crate) requeued: u64,
}

/// Makes a call that claims a slot, and that releases it before it returns. This is done in one section,
/// so an interrupt handler never finds the storage *busy*, which it would do forever.
macro_rules! claim {
    ($queue:expr, $storage:ident => $call:expr) => {{
        let _section = Section::enter();
        storage!($queue, $storage => $call)
    }};
}

/// See the [module](self).
pub(crate) struct Queue<T> {
    storage: Storage<T>,
    /// `Some` on task channels. Boxed, so that plain channels stay small.
    lane: Option<Box<Lane<T>>>,
}

impl<T> Queue<T> {
    /// Creates a queue for `capacity` items.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is zero, or if the memory cannot be allocated.
    #[track_caller]
    pub(crate) fn bounded(capacity: usize, has_lane: bool, measures: bool) -> Self {
        assert!(
            capacity >= 1,
            "the capacity must be at least 1: a channel that holds nothing would have to hand an \
             item directly to a waiting receiver, and lose it when that receiver is cancelled"
        );
        let ring = Ring::starting_at(capacity, 0, measures);
        Self::new(Storage::Bounded(ring), has_lane, measures)
    }

    /// Creates a queue for any number of items.
    pub(crate) fn unbounded(has_lane: bool, measures: bool) -> Self {
        let segments = Box::new(Segments::starting_at(0, measures));
        Self::new(Storage::Unbounded(segments), has_lane, measures)
    }

    fn new(storage: Storage<T>, has_lane: bool, measures: bool) -> Self {
        Self {
            storage,
            lane: has_lane.then(|| Box::new(Lane::new(measures))),
        }
    }

    /// Whether this is the queue of a task channel: tasks resolve the items, and may requeue them
    /// until then.
    #[inline]
    pub(crate) fn has_lane(&self) -> bool {
        self.lane.is_some()
    }

    /// Adds an item in one try. False does not mean that there is no room. `item` is called if there
    /// is, and must not run user code: other callers are held up until it returns.
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this returns true.
    #[inline]
    pub(crate) unsafe fn try_push(&self, item: impl FnOnce() -> *const T) -> bool {
        // SAFETY: the caller's guarantee.
        claim!(self, it => unsafe { it.try_push(item) })
    }

    /// Adds an item. `item` is called if there is room, as by [`try_push`](Self::try_push).
    ///
    /// # Safety
    ///
    /// `item` returns a pointer to an item, which has moved out of there if this is done.
    #[inline]
    pub(crate) unsafe fn push(&self, item: impl FnMut() -> *const T) -> Attempt<()> {
        // SAFETY: the caller's guarantee.
        claim!(self, it => unsafe { it.push(item) })
    }

    /// Moves items from the front of `items` to the storage, as many as there is room for. Returns how
    /// many. The caller passes at least one item.
    pub(crate) fn push_many(&self, items: &mut VecDeque<T>) -> Attempt<u64> {
        claim!(self, it => it.push_many(items))
    }

    /// Adds an item. If there is no room, removes the oldest sent item, moves it to `oldest`, and returns
    /// true. Never [`Blocked`](Attempt::Blocked). See [`Ring::force_push`] for `item` and `evicted`.
    ///
    /// # Safety
    ///
    /// As [`push`](Self::push).
    #[inline]
    pub(crate) unsafe fn force_push(
        &self,
        item: impl FnOnce() -> *const T,
        evicted: impl FnOnce(),
        oldest: &mut MaybeUninit<T>,
    ) -> Attempt<bool> {
        let _section = Section::enter();
        match &self.storage {
            // SAFETY: the caller's guarantee.
            Storage::Bounded(ring) => unsafe { ring.force_push(item, evicted, oldest) },
            // There is always room. SAFETY: the caller's guarantee.
            Storage::Unbounded(segments) => unsafe { segments.push(item) }.map(|()| false),
        }
    }

    /// Removes the oldest sent item in one try, and moves it to `place`. False does not mean that there is
    /// none. Always false if the queue measures.
    #[inline]
    pub(crate) fn try_pop_sent(&self, place: &mut MaybeUninit<T>) -> bool {
        claim!(self, it => it.try_pop(place))
    }

    /// Removes the oldest sent item, and moves it to `place`.
    #[inline]
    pub(crate) fn pop_sent(&self, place: &mut MaybeUninit<T>) -> Attempt<()> {
        claim!(self, it => it.pop(place))
    }

    /// Removes an item in one try, if nothing was requeued, and moves it to `place`. False does not mean
    /// that there is none. Always false if the queue measures.
    #[inline]
    pub(crate) fn try_pop(&self, place: &mut MaybeUninit<T>) -> bool {
        self.lane_is_empty() && self.try_pop_sent(place)
    }

    /// Removes an item from the storage or the lane, in turn, moves it to `place`, and returns where it
    /// came from.
    ///
    /// The two are read one after the other. That loses no wakeup: a caller that adds an item to either
    /// notifies a receiver, and Q3 and Q4 of `waiters` hold for each of the two by itself.
    #[inline]
    pub(crate) fn pop(&self, place: &mut MaybeUninit<T>) -> Attempt<Origin> {
        if self.lane.as_ref().is_some_and(|lane| lane.is_next()) {
            if let Some(origin) = self.pop_requeued(place) {
                return Attempt::Done(origin);
            }
        }
        match claim!(self, it => it.pop_with_time(place)) {
            Attempt::Done(queued_at) => Attempt::Done(Origin::storage(queued_at)),
            nothing => match self.pop_requeued(place) {
                Some(origin) => Attempt::Done(origin),
                None => nothing.map(Origin::storage),
            },
        }
    }

    /// Removes up to `max` sent items, and appends what `make` makes of each to `out`. Returns how many.
    /// `make` neither panics nor runs user code.
    pub(crate) fn pop_many_sent<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        mut make: impl FnMut(T) -> R,
    ) -> Attempt<u64> {
        claim!(self, it => it.pop_many(max, out, |item, _| make(item)))
    }

    /// Removes up to `max` items, and appends what `make` makes of each to `out`. While both the storage
    /// and the lane hold enough items, half of them come from each; if `max` is odd, the last one comes
    /// from each in turn. `make` neither panics nor runs user code.
    ///
    /// The two are read one after the other, as in [`pop`](Self::pop).
    pub(crate) fn pop_many<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        mut make: impl FnMut(T, Origin) -> R,
    ) -> Attempt<Batch> {
        let is_next = self.lane.as_ref().is_some_and(|lane| lane.is_next());
        let share = max / 2 + u64::from(is_next && max % 2 == 1);
        let mut requeued = self.pop_many_requeued(share, out, &mut make);
        let popped = match max - requeued {
            0 => Attempt::Blocked,
            rest => {
                let make = |item, queued_at| make(item, Origin::storage(queued_at));
                claim!(self, it => it.pop_many(rest, out, make))
            }
        };
        let sent = match popped {
            Attempt::Done(sent) => sent,
            _ => 0,
        };
        requeued += self.pop_many_requeued(max - requeued - sent, out, &mut make);
        if sent + requeued == 0 {
            return popped.map(|_| unreachable!("nothing was removed"));
        }
        Attempt::Done(Batch { sent, requeued })
    }

    fn pop_many_requeued<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        make: &mut impl FnMut(T, Origin) -> R,
    ) -> u64 {
        self.lane.as_ref().map_or(0, |lane| {
            lane.pop_many(max, out, |requeued| {
                let origin = Origin::lane(requeued.attempt, requeued.queued_at);
                // SAFETY: N5 of `lane`.
                make(unsafe { requeued.item.assume_init() }, origin)
            })
        })
    }

    #[cold]
    fn pop_requeued(&self, place: &mut MaybeUninit<T>) -> Option<Origin> {
        let (attempt, queued_at) = self.lane.as_ref()?.pop(place)?;
        Some(Origin::lane(attempt, queued_at))
    }

    /// Pushes an item to the lane. Returns false if the lane has ended. An item with attempt 1 is new
    /// work. The caller holds an unresolved delivery (N2 of `lane`).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this returns true.
    pub(crate) unsafe fn requeue(&self, item: *const T, attempt: u32) -> bool {
        match &self.lane {
            // SAFETY: the caller's guarantee.
            Some(lane) => unsafe { lane.push(item, attempt) },
            None => false,
        }
    }

    /// Removes a sent item of a closed queue, and moves it to `place`. Returns whether there was one.
    pub(crate) fn drain_sent(&self, place: &mut MaybeUninit<T>) -> bool {
        // A send that claimed its slot before the close may be about to fill it.
        let popped = Attempt::retry_while_busy(|| self.pop_sent(place));
        matches!(popped, Attempt::Done(()))
    }

    /// Removes all requeued items; from then on, none can be requeued (N3 of `lane`).
    pub(crate) fn end_lane(&self) -> Rest<T> {
        self.lane.as_ref().map(|it| it.end()).unwrap_or_default()
    }

    /// Ends sending. Returns true for the call that did it.
    pub(crate) fn close(&self) -> bool {
        storage!(self, it => it.close())
    }

    pub(crate) fn is_closed(&self) -> bool {
        storage!(self, it => it.is_closed())
    }

    /// How many items were sent so far.
    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        storage!(self, it => it.pushed())
    }

    /// How many sent items were removed so far. A receiver may be removing one more.
    #[inline]
    pub(crate) fn sent_popped(&self) -> u64 {
        storage!(self, it => it.popped())
    }

    /// How many sent items were removed so far. Returns `None` if a receiver may be removing one more,
    /// and may not notice what the caller did before this call (G6 of `segments`).
    pub(crate) fn settled_sent_popped(&self) -> Option<u64> {
        match &self.storage {
            Storage::Bounded(ring) => Some(ring.popped()),
            Storage::Unbounded(segments) => segments.settled_popped(),
        }
    }

    /// How many items were queued so far as new work of tasks.
    pub(crate) fn followed_up(&self) -> u64 {
        self.lane.as_ref().map_or(0, |lane| lane.followed_up())
    }

    /// How many items were queued so far for another attempt.
    pub(crate) fn retried(&self) -> u64 {
        self.lane.as_ref().map_or(0, |lane| lane.retried())
    }

    /// How many deliveries were accepted so far: see `accounting`.
    #[inline]
    pub(crate) fn accepted(&self) -> u64 {
        storage!(self, it => it.pushed()) + self.lane.as_ref().map_or(0, |lane| lane.pushed())
    }

    /// How many items were removed so far.
    pub(crate) fn popped(&self) -> u64 {
        storage!(self, it => it.popped()) + self.lane.as_ref().map_or(0, |lane| lane.popped())
    }

    /// How many items are queued and can be received.
    pub(crate) fn len(&self) -> usize {
        match &self.lane {
            None => storage!(self, it => it.len()),
            Some(lane) => {
                let receivable = || storage!(self, it => it.pushed()) + lane.readied();
                stable_difference(receivable, || self.popped())
            }
        }
    }

    /// How many items are queued and cannot be received yet.
    pub(crate) fn delayed(&self) -> usize {
        self.lane.as_ref().map_or(0, |lane| {
            stable_difference(|| lane.pushed(), || lane.readied())
        })
    }

    /// When the oldest item that can be received was queued, if the queue measures and holds one. Waits for
    /// another thread that is within a few instructions of filling or taking that item.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest(&self) -> Option<Moment> {
        let sent = Attempt::retry_while_busy(|| storage!(self, it => it.oldest()));
        let requeued = self.lane.as_ref().and_then(|lane| lane.oldest());
        sent.done().into_iter().chain(requeued).min()
    }

    /// Whether an item could be received at one instant during the call.
    pub(crate) fn has_items(&self) -> bool {
        storage!(self, it => it.len()) > 0 || !self.lane_is_empty()
    }

    /// Whether there was room for a sender at one instant during the call.
    pub(crate) fn has_room(&self) -> bool {
        match &self.storage {
            Storage::Bounded(ring) => ring.len() < ring.capacity(),
            Storage::Unbounded(_) => true,
        }
    }

    /// Looks whether there is room, and claims none. The outcome was true at one instant during the call.
    pub(crate) fn look_for_room(&self) -> Attempt<()> {
        let has_room = self.has_room();
        // Read second: a queue that is open now was open when there was room.
        if self.is_closed() {
            Attempt::Closed
        } else if has_room {
            Attempt::Done(())
        } else {
            Attempt::Blocked
        }
    }

    /// Whether the lane held no receivable item at one instant during the call.
    #[inline]
    pub(crate) fn lane_is_empty(&self) -> bool {
        self.lane.as_ref().is_none_or(|lane| lane.is_empty())
    }

    /// How many sent items can be queued at once. `None`: any number.
    pub(crate) fn capacity(&self) -> Option<usize> {
        match &self.storage {
            Storage::Bounded(ring) => Some(ring.capacity()),
            Storage::Unbounded(_) => None,
        }
    }

    /// Whether `count` items are likely to be queued. While the queue is empty, this reads only what
    /// receivers write. Not to be called if the queue measures: its marks would hide the answer.
    pub(crate) fn looks_filled(&self, count: u64) -> bool {
        claim!(self, it => it.looks_filled(count))
    }

    /// Whether there is likely to be room for `count` items. While the queue is full, this reads only
    /// what senders write. Not to be called if the queue measures.
    pub(crate) fn looks_vacant(&self, count: u64) -> bool {
        match &self.storage {
            Storage::Bounded(ring) => ring.looks_vacant(count),
            Storage::Unbounded(_) => true,
        }
    }
}

/// The difference of two counts that only rise. If `more` rises one by one, this is the difference at
/// one instant during the call. Otherwise it lies between the differences at two such instants.
pub(crate) fn stable_difference(more: impl Fn() -> u64, less: impl Fn() -> u64) -> usize {
    let mut subtrahend = less();
    loop {
        let minuend = more();
        let now = less();
        // A count that has not changed had this value when the other count was read.
        if now == subtrahend {
            return usize::try_from(minuend - subtrahend).unwrap_or(usize::MAX);
        }
        subtrahend = now;
    }
}

#[cfg(all(test, feature = "critical-section", not(feature = "std")))]
mod tests;
