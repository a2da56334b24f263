//! What the handles of one channel share, and which change notifies which waiters.
//!
//! # The life of an item
//!
//! | step | where | what happens | notifies |
//! |---|---|---|---|
//! | send | [`Send`](crate::future::Send) | claims a slot, or waits on `not_full`; fills it: the item is *accepted* | one of `not_empty` |
//! | send a batch | [`SendMany`](crate::future::SendMany) | claims several slots at once, then as above | as many of `not_empty` |
//! | receive | [`Recv`](crate::future::Recv) | removes the item, or waits on `not_empty` | one of `not_full` |
//! | receive a batch | [`RecvMany`](crate::future::RecvMany) | removes several items at once, or waits on `not_empty` | as many of `not_full` |
//! | | on a plain channel | the removal *resolves* the item | at quiescence, all of `idle` |
//! | work | [`Task`](crate::Task) | on a task channel, the worker owns the item and the duty to end its delivery | |
//! | evict | [`force_send`](crate::Sender::force_send) | a send into a full channel removes the oldest sent item, which is *resolved*, and its own takes the place: *accepted* | one of `not_empty` |
//! | requeue | [`Delivery`](crate::delivery::Delivery) | the worker pushes new work, or the item itself, to the lane: *accepted* | one of `not_empty` |
//! | delay | [`Delivery`](crate::delivery::Delivery) | the same, but no receiver finds the item before it is due: *accepted* | the timer |
//! | mature | [`Channel::mature`] | the timer makes the item receivable, once it is due | as many of `not_empty` |
//! | receive again | [`Recv`](crate::future::Recv) | removes from storage and lane in turn | |
//! | end | [`Delivery`](crate::delivery::Delivery) | the outcome is recorded and the delivery *resolved* | at quiescence, all of `idle` |
//! | join | [`Join`](crate::future::Join) | is ready when accepted == resolved | |
//!
//! A channel that is closed when it becomes quiescent is finished: all of `finished` are notified,
//! and the task receivers among `not_empty`.
//!
//! The only atomics here are the counts of handles. The queue holds the positions, the ledger the
//! outcomes, and the lists the waiters.

use alloc::vec::Vec;
use core::cell::Cell;
use core::mem::MaybeUninit;

use crate::accounting::Account;
use crate::accounting::Ledger;
use crate::attempt::Attempt;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::clock::Moment;
use crate::policy::Options;
use crate::policy::Policy;
use crate::queue::Batch;
use crate::queue::Origin;
use crate::queue::Queue;
use crate::report::Failure;
use crate::report::Stats;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::nanoseconds;
use crate::unwind::OnDrop;
use crate::unwind::abort;
use crate::unwind::run_all;
use crate::wait::WaitLists;
use crate::wait::Waiters;

// what the timer does to a channel
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod maturing;
// closing, and what is then discarded
mod ending;
// events for subscribers of tracing
#[cfg(feature = "tracing")]
mod events;

/// See the [module](self).
pub(crate) struct Channel<T> {
    pub(crate) queue: Queue<T>,
    pub(crate) lists: WaitLists,
    /// The fields above fill whole cache lines. So the ledger shares its line only with what follows,
    /// which changes rarely.
    pub(crate) ledger: Ledger,
    pub(crate) policy: Policy,
    pub(crate) senders: Count,
    pub(crate) receivers: Count,
    /// Senders, receivers and monitors: see [`Shared`](crate::shared::Shared).
    pub(crate) handles: Count,
    /// Which events were emitted: E2 of `events`.
    #[cfg(feature = "tracing")]
    traced: AtomicUsize,
}

/// A count of handles.
pub(crate) struct Count(AtomicUsize);

impl Count {
    /// Beyond this, handles have been forgotten in a loop.
    const MAX: usize = isize::MAX as usize;

    fn new(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }

    /// Counts one more. Aborts before the count overflows, as `Arc` does.
    pub(crate) fn up(&self) {
        // Relaxed: as in `Arc`; a new handle is made from an existing one.
        if self.0.fetch_add(1, Ordering::Relaxed) > Self::MAX {
            abort();
        }
    }

    /// Counts one more, unless the count is zero. Returns whether it did.
    pub(crate) fn up_unless_zero(&self) -> bool {
        // Relaxed: as in `Arc::upgrade` of a value known to be alive.
        let mut count = self.0.load(Ordering::Relaxed);
        while count != 0 {
            match self.0.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => count = now,
            }
        }
        false
    }

    /// Counts one less. Returns true for the last handle, whose thread then sees what the threads of
    /// all other handles did before they dropped them.
    pub(crate) fn last_down(&self) -> bool {
        // Release: pairs with the load below; what this handle did happens before the end.
        if self.0.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // Acquire: pairs with the Release above, in all others. A load rather than a fence, because
        // ThreadSanitizer does not understand fences.
        self.0.load(Ordering::Acquire);
        true
    }

    pub(crate) fn get(&self) -> usize {
        // Relaxed: nothing is ordered by this count.
        self.0.load(Ordering::Relaxed)
    }
}

/// What a successful call has changed. This decides which waiters are notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// An item was queued.
    Queued,
    /// A sent item was handed over as a task.
    RoomMade,
    /// A sent item was handed over and is resolved, on a plain channel.
    Resolved,
    /// The same, of several items at once.
    QueuedMany(u32),
    RoomMadeMany(u32),
    ResolvedMany(u32),
}

// `notify` takes it in a register.
const _: () = assert!(size_of::<Change>() <= size_of::<u64>());

impl Change {
    /// This many items were queued.
    pub(crate) fn queued(items: u64) -> Self {
        Self::of(items, Self::Queued, Self::QueuedMany)
    }

    /// This many sent items were handed over as tasks.
    pub(crate) fn room_made(items: u64) -> Self {
        Self::of(items, Self::RoomMade, Self::RoomMadeMany)
    }

    /// This many sent items were handed over and are resolved, on a plain channel.
    pub(crate) fn resolved(items: u64) -> Self {
        Self::of(items, Self::Resolved, Self::ResolvedMany)
    }

    fn of(items: u64, one: Self, many: impl FnOnce(u32) -> Self) -> Self {
        match items {
            0 => Self::Nothing,
            1 => one,
            // There are never as many waiters, so no notification is lost.
            _ => many(u32::try_from(items).unwrap_or(u32::MAX)),
        }
    }
}

impl<T> Channel<T> {
    /// The capacity from which a pause before a wait takes its length and its batch, on an unbounded
    /// channel.
    const UNBOUNDED_BATCH: usize = 128;

    /// Creates a channel with one sender, one receiver and one handle for each.
    pub(crate) fn new(queue: Queue<T>, options: Options) -> Self {
        Self {
            queue,
            lists: WaitLists::new(options.yield_after),
            ledger: Ledger::new(options.keep_failures, options.policy.measures_time),
            policy: options.policy,
            senders: Count::new(1),
            receivers: Count::new(1),
            handles: Count::new(2),
            #[cfg(feature = "tracing")]
            traced: AtomicUsize::new(0),
        }
    }

    pub(crate) fn account(&self) -> Account<'_, T> {
        Account {
            queue: &self.queue,
            ledger: &self.ledger,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let account = self.account();
        let (in_hand, delayed) = (account.in_hand(), self.queue.delayed());
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        let age = |since: Moment| Moment::now().since(since);
        Stats {
            queued: self.queue.len(),
            delayed,
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            next_due: (delayed > 0).then(|| self.queue.next_due()).flatten(),
            in_hand,
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            oldest_queued: self.queue.oldest().map(age),
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            oldest_in_hand: self.queue.oldest_in_hand().map(age),
            discarding: self.ledger.is_discarding(),
            closed: self.queue.is_closed(),
            senders: self.senders.get(),
            receivers: self.receivers.get(),
            report: account.current_report(),
        }
    }

    /// Removes the next item of a task channel, moves it to `place`, and returns where it came from.
    #[inline]
    pub(crate) fn pop_task(&self, place: &mut MaybeUninit<T>) -> Attempt<Origin> {
        match self.queue.pop(place) {
            Attempt::Closed => self.end_of_tasks(),
            popped => popped,
        }
    }

    /// Removes up to `max` items of a task channel. See [`Queue::pop_many`].
    pub(crate) fn pop_many_tasks<R>(
        &self,
        max: u64,
        out: &mut Vec<R>,
        make: impl FnMut(T, Origin) -> R,
    ) -> Attempt<Batch> {
        match self.queue.pop_many(max, out, make) {
            Attempt::Closed => self.end_of_tasks(),
            popped => popped,
        }
    }

    /// The queue is closed and empty. Tasks in hand may still requeue items.
    #[cold]
    fn end_of_tasks<R>(&self) -> Attempt<R> {
        // Pairs with the fence in `notify_quiescent` (Q3 of `waiters`).
        fence(Ordering::SeqCst);
        match self.account().finished() {
            Attempt::Done(()) => Attempt::Closed,
            _ => Attempt::Blocked,
        }
    }

    /// Whether a waiter may have to be notified of a change.
    #[inline]
    pub(crate) fn must_notify(&self, change: Change) -> bool {
        // Each read follows the exchange that made the change, as Q3 of `waiters` demands.
        match change {
            Change::Nothing => false,
            Change::Queued | Change::QueuedMany(_) => self.lists.not_empty.waiters.has_waiters(),
            Change::RoomMade | Change::RoomMadeMany(_) => self.lists.not_full.waiters.has_waiters(),
            Change::Resolved | Change::ResolvedMany(_) => {
                self.lists.not_full.waiters.has_waiters() || self.plain_is_quiescent()
            }
        }
    }

    /// Whether a plain channel is quiescent and a caller may be waiting for that. `has_observers`
    /// alone is not enough: after a close, or after a join that was dropped, it stays true, though
    /// the channel is mostly not quiescent.
    ///
    /// On an unbounded channel, another receiver may be removing the last item meanwhile, which this does
    /// not count:
    ///
    /// 1. Joiner J requests a notification, sees that `head` is not locked and that items are left, and
    ///    sleeps.
    /// 2. Receiver R removes an item, and receiver S locks `head` to remove the last one.
    /// 3. R finds one item left, and notifies no joiner.
    ///
    /// S looks here too. It has locked `head` after J saw it unlocked, so it sees the request of J (G6 of
    /// `segments`).
    #[inline]
    fn plain_is_quiescent(&self) -> bool {
        // In this order: see `accounting`.
        self.ledger.has_observers() && self.queue.sent_popped() == self.queue.sent()
    }

    /// Notifies the waiters that a change concerns.
    #[inline]
    pub(crate) fn notify(&self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Queued => self.lists.not_empty.waiters.notify_one(),
            Change::RoomMade => self.lists.not_full.waiters.notify_one(),
            Change::Resolved => self.notify_resolved(Waiters::notify_one),
            Change::QueuedMany(count) => self.lists.not_empty.waiters.notify_many(count),
            Change::RoomMadeMany(count) => self.lists.not_full.waiters.notify_many(count),
            Change::ResolvedMany(count) => {
                self.notify_resolved(|waiters| waiters.notify_many(count));
            }
        }
    }

    #[inline]
    fn notify_resolved(&self, notify_room: impl FnOnce(&Waiters)) {
        let notify_observers = OnDrop(|| {
            if self.ledger.has_observers() {
                self.notify_quiescent(false);
            }
        });
        notify_room(&self.lists.not_full.waiters);
        drop(notify_observers);
    }

    /// Notifies another receiver if an item is queued. Called for a waiter that was notified and does
    /// not need its notification.
    #[cold]
    pub(crate) fn pass_item_on(&self) {
        if self.queue.has_items() {
            self.lists.not_empty.waiters.notify_one();
        }
    }

    /// Notifies another sender if there is room. Called for a waiter that was notified and does not
    /// need its notification.
    #[cold]
    pub(crate) fn pass_room_on(&self) {
        if self.queue.has_room() {
            self.lists.not_full.waiters.notify_one();
        }
    }

    /// Pauses, if that is likely to pay, until items are likely to be queued. Returns whether the
    /// task should then yield to others.
    #[inline]
    pub(crate) fn pause_for_item(&self) -> bool {
        self.lists.not_empty.pause.is_due() && self.pause_for_item_slow()
    }

    #[cold]
    #[inline(never)]
    fn pause_for_item_slow(&self) -> bool {
        let (pause, queue) = (&self.lists.not_empty.pause, &self.queue);
        let capacity = queue.capacity().unwrap_or(Self::UNBOUNDED_BATCH);
        // If the lane holds an item, there is nothing to pause for.
        queue.lane_is_empty()
            && !self.policy.measures_time
            && pause.pause(nanoseconds, capacity, |count| queue.looks_filled(count))
    }

    /// Pauses, if that is likely to pay, until there is likely to be room. Returns whether the task
    /// should then yield to others.
    #[inline]
    pub(crate) fn pause_for_room(&self) -> bool {
        let (pause, queue) = (&self.lists.not_full.pause, &self.queue);
        let pause_for_room = |capacity| {
            pause.is_due()
                && !self.policy.measures_time
                && pause.pause(nanoseconds, capacity, |count| queue.looks_vacant(count))
        };
        // An unbounded channel always has room.
        queue.capacity().is_some_and(pause_for_room)
    }

    /// Adds an item. If the queue is full, removes the oldest sent item, moves it to `oldest`, and returns
    /// true. Never [`Blocked`](Attempt::Blocked).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this is done.
    pub(crate) unsafe fn force_push(
        &self,
        item: *const T,
        oldest: &mut MaybeUninit<T>,
    ) -> Attempt<bool> {
        let evicted = || {
            self.ledger.record_evicted();
            if self.queue.has_lane() {
                // This cannot make the channel quiescent (L7 of `accounting`).
                self.ledger.resolve(1);
            }
        };
        // SAFETY: the caller's guarantee.
        unsafe { self.queue.force_push(|| item, evicted, oldest) }
    }

    /// Ends a delivery of a task channel. The caller holds a handle.
    pub(crate) fn end_delivery(&self, failure: Option<Failure>) {
        let is_first_failure = Cell::new(false);
        // On drop, because a later failure is dropped while it is recorded, and its destructor may
        // panic.
        let resolve = OnDrop(|| {
            self.ledger.resolve(1);
            self.notify_quiescent(is_first_failure.get());
        });
        if let Some(failure) = failure {
            is_first_failure.set(self.ledger.record(failure));
        }
        drop(resolve);
    }

    /// Records that a sender has failed, before it counts as gone (L8 of `accounting`). The caller holds a
    /// handle.
    #[cold]
    pub(crate) fn fail_sender(&self, failure: Failure) {
        if self.ledger.record_sender(failure) {
            self.notify_quiescent(true);
        }
    }

    /// If the channel is quiescent, notifies the waiters for quiescence and for the end. If the first
    /// failure was just recorded, notifies the waiters for a failure.
    #[cold]
    fn notify_quiescent(&self, is_first_failure: bool) {
        let is_quiescent = self.account().is_quiescent();
        if is_quiescent {
            self.ledger.clear_notice();
        } else if !is_first_failure {
            return;
        }
        let is_finished = is_quiescent && self.queue.is_closed();
        // Last (E1 of `events`), and even if a waker panics.
        #[cfg(feature = "tracing")]
        let trace = OnDrop(|| self.trace_quiescent(is_first_failure));
        // Pairs with the fence of a waiter between its registration and its look (Q3 of `waiters`).
        fence(Ordering::SeqCst);
        notify_all_of([
            is_quiescent.then_some(&self.lists.idle),
            (is_finished || is_first_failure).then_some(&self.lists.finished),
            (is_finished && self.queue.has_lane()).then_some(&self.lists.not_empty.waiters),
        ]);
        #[cfg(feature = "tracing")]
        drop(trace);
    }
}

fn notify_all_of<const N: usize>(lists: [Option<&Waiters>; N]) {
    let mut lists = lists.into_iter().flatten();
    run_all(|| lists.next(), Waiters::notify_all);
}
