//! What the handles of one channel share, and who wakes whom.
//!
//! # The life of an item
//!
//! | step | where | what happens | who is woken |
//! |---|---|---|---|
//! | send | [`Send::poll`](crate::future::Send) | [`Channel::reserve`] claims a slot, or the future waits on `not_full` | |
//! | accept | [`Channel::accept`] | the slot is filled; the item is *accepted* | one of `not_empty` |
//! | receive | [`Recv::poll`](crate::future::Recv) | [`Channel::take_item`] empties a slot, or the future waits on `not_empty` | one of `not_full` |
//! | hand over | [`Channel::hand_over`] | plain channel: that resolves it | at quiescence, all of `idle` |
//! | work | [`Task`](crate::Task) | task channel: the worker owns the item and the duty to end it | |
//! | come back | [`Channel::put_in_lane`] | the worker leaves new work, or the item itself, in the lane: *accepted* | one of `not_empty` |
//! | receive again | [`RecvTask::poll`](crate::future::RecvTask) | [`Channel::take_task`] takes from ring and lane in turn | |
//! | end | [`Claim`](crate::shared::Claim) | an outcome is written and the item resolved | at quiescence, all of `idle` |
//! | join | [`Join::poll`](crate::future::Join) | ready when accepted == resolved | |
//!
//! When the channel is closed, quiescence is also its end: all of `finished` are woken, and the
//! task receivers among `not_empty`.
//!
//! The methods read as this table does; [`figures`] has those that only look. There are no atomics
//! here but the counts of handles: the ring has the positions, the ledger the outcomes, the lists
//! their waiters.

use std::collections::VecDeque;
use std::mem;
use std::ops::Deref;

use crate::dwell::Dwell;
use crate::error::TryRecvError;
use crate::error::TrySendError;
use crate::lane::Lane;
use crate::lane::Waiting;
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::report::Failure;
use crate::ring::NoItem;
use crate::ring::NoVacancy;
use crate::ring::Ring;
use crate::ring::Vacancy;
use crate::sync::CachePadded;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::unwind::OnDrop;
use crate::unwind::protect;
use crate::unwind::run_all;
use crate::wait::Attempt;
use crate::wait::Yields;
use crate::waiters::Waiters;

mod figures;

/// When an item is resolved.
pub(crate) enum Kind<T> {
    /// When it is handed over.
    Plain,
    /// When its task has ended. Until then it may come back. (Boxed: plain channels stay small.)
    Tasks(Box<Lane<T>>),
}

impl<T> Kind<T> {
    pub(crate) fn tasks(policy: Policy) -> Self {
        Self::Tasks(Box::new(Lane::new(policy)))
    }
}

/// See the [module](self).
pub(crate) struct Channel<T> {
    pub(crate) ring: Ring<T>,
    pub(crate) kind: Kind<T>,
    /// Receivers and streams.
    pub(crate) not_empty: CachePadded<WaitList>,
    /// Senders.
    pub(crate) not_full: CachePadded<WaitList>,
    pub(crate) yields: SideYields,
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
    /// Senders, receivers and monitors: see [`Shared`](crate::shared::Shared).
    pub(crate) handles: AtomicUsize,
    pub(crate) ledger: CachePadded<Ledger>,
}

/// The waiters for items or for room, and whether it pays to pause before joining them: what is
/// written only where callers wait.
pub(crate) struct WaitList {
    waiters: Waiters,
    pub(crate) dwell: Dwell,
}

impl WaitList {
    fn new() -> CachePadded<Self> {
        CachePadded::new(Self {
            waiters: Waiters::new(),
            dwell: Dwell::new(),
        })
    }
}

impl Deref for WaitList {
    type Target = Waiters;

    #[inline]
    fn deref(&self) -> &Waiters {
        &self.waiters
    }
}

/// The requests to yield, for the callers of either side. Every call reads them and few write
/// them, so they are kept away from the lists.
pub(crate) struct SideYields {
    pub(crate) senders: Yields,
    pub(crate) receivers: Yields,
}

/// Where an item of a task channel was taken from. Told apart from the item, which then stays in
/// registers on its way to the worker: a larger whole would be copied through memory at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    #[default]
    Ring,
    Lane {
        attempt: u32,
    },
}

/// Nothing can be sent any more; or nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl Origin {
    /// Which delivery of its item this is.
    #[inline]
    pub(crate) fn attempt(self) -> u32 {
        match self {
            Self::Ring => 1,
            Self::Lane { attempt } => attempt,
        }
    }
}

impl<T> Channel<T> {
    /// A channel with one sender, one receiver and one handle for each.
    ///
    /// # Panics
    ///
    /// When `capacity` is zero or its memory cannot be had.
    pub(crate) fn new(capacity: usize, kind: Kind<T>) -> Self {
        assert!(
            capacity >= 1,
            "the capacity must be at least 1: a channel that holds nothing would have to hand an \
             item directly to a waiting receiver, and lose it when that receiver is cancelled"
        );
        Self {
            ring: Ring::new(capacity),
            kind,
            not_empty: WaitList::new(),
            not_full: WaitList::new(),
            yields: SideYields {
                senders: Yields::new(),
                receivers: Yields::new(),
            },
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
        self.not_empty.notify_one();
    }

    #[inline]
    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self.ring.reserve_at_once() {
            Some(vacancy) => {
                self.accept(vacancy, item);
                Ok(())
            }
            None => self.try_send_slow(item),
        }
    }

    #[inline(never)]
    fn try_send_slow(&self, item: T) -> Result<(), TrySendError<T>> {
        match Attempt::decided(|| self.reserve()) {
            Some(Ok(vacancy)) => {
                self.accept(vacancy, item);
                Ok(())
            }
            Some(Err(Over)) => Err(TrySendError::Closed(item)),
            None => Err(TrySendError::Full(item)),
        }
    }

    #[inline]
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.ring.pop_at_once() {
            Some(item) => Ok(self.hand_over(item)),
            None => self.try_recv_slow(),
        }
    }

    #[inline(never)]
    fn try_recv_slow(&self) -> Result<T, TryRecvError> {
        match Attempt::decided(|| self.take_item()) {
            Some(Ok(item)) => Ok(self.hand_over(item)),
            Some(Err(Over)) => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Takes an item of a plain channel. The caller then calls [`hand_over`](Self::hand_over).
    #[inline]
    pub(crate) fn take_item(&self) -> Attempt<Result<T, Over>> {
        match self.ring.pop() {
            Ok(item) => Attempt::Ready(Ok(item)),
            Err(NoItem::Empty) => Attempt::Blocked,
            Err(NoItem::Closed) => Attempt::Ready(Err(Over)),
            Err(NoItem::Busy) => Attempt::Busy,
        }
    }

    /// Takes an item of a task channel, which must then be told to
    /// [`task_taken`](Self::task_taken). Says in `origin`, which is the ring's before, if it came
    /// from the lane.
    ///
    /// Ring and lane are looked at one after the other. That loses no wake: whoever puts something
    /// into one of them wakes for it, and Q3 and Q4 of `waiters` hold of each by itself.
    #[inline]
    pub(crate) fn take_task(
        &self,
        lane: &Lane<T>,
        origin: &mut Origin,
    ) -> Attempt<Result<T, Over>> {
        if lane.has_its_turn() {
            if let Some(item) = Self::take_from(lane, origin) {
                return Attempt::Ready(Ok(item));
            }
        }
        match self.ring.pop() {
            Ok(item) => Attempt::Ready(Ok(item)),
            Err(why) => self.take_what_came_back(lane, origin, why),
        }
    }

    /// Takes a task if the lane is empty and nothing stands in the way. `None` does not mean that
    /// there is none.
    #[inline]
    pub(crate) fn take_task_at_once(&self, lane: &Lane<T>) -> Option<T> {
        match lane.is_empty() {
            true => self.ring.pop_at_once(),
            false => None,
        }
    }

    /// The ring gives nothing, and why.
    #[cold]
    fn take_what_came_back(
        &self,
        lane: &Lane<T>,
        origin: &mut Origin,
        why: NoItem,
    ) -> Attempt<Result<T, Over>> {
        match Self::take_from(lane, origin) {
            Some(item) => Attempt::Ready(Ok(item)),
            None => match why {
                NoItem::Empty => Attempt::Blocked,
                NoItem::Closed => {
                    // Pairs with the fence in `announce` (Q3 of `waiters`).
                    fence(Ordering::SeqCst);
                    match self.is_finished() {
                        true => Attempt::Ready(Err(Over)),
                        // What is in hand may yet come back.
                        false => Attempt::Blocked,
                    }
                }
                NoItem::Busy => Attempt::Busy,
            },
        }
    }

    #[cold]
    fn take_from(lane: &Lane<T>, origin: &mut Origin) -> Option<T> {
        let Waiting { item, attempt } = lane.pop()?;
        *origin = Origin::Lane { attempt };
        Some(item)
    }

    /// Completes the receipt of an item of a plain channel: notifies senders and joiners that wait
    /// for it.
    #[inline]
    pub(crate) fn hand_over(&self, item: T) -> T {
        // The looks come after the ring's exchange, as Q3 of `waiters` wants.
        match self.not_full.is_awaited() || self.must_announce() {
            true => self.hand_over_and_notify(item),
            false => item,
        }
    }

    /// Whether this plain channel is quiescent, and another may wait for that. After a close, or a
    /// join that was dropped, it mostly is not.
    #[inline]
    fn must_announce(&self) -> bool {
        // In this order: see `ledger`.
        self.ledger.is_watched() && self.ring.popped() == self.ring.pushed()
    }

    #[inline(never)]
    fn hand_over_and_notify(&self, item: T) -> T {
        protect(item, || self.notify_after_recv())
    }

    /// Notifies senders and joiners that wait for an item of a plain channel to be taken.
    #[inline]
    pub(crate) fn notify_after_recv(&self) {
        let announce = OnDrop(|| {
            if self.ledger.is_watched() {
                self.announce(false);
            }
        });
        self.not_full.notify_one();
        drop(announce);
    }

    /// Pauses, if that is likely to pay, until items are likely to be there; whether the task should
    /// then yield to others.
    #[inline]
    pub(crate) fn pause_for_item(&self) -> bool {
        self.not_empty.dwell.may_pay() && self.pause_for_item_slow()
    }

    #[cold]
    #[inline(never)]
    fn pause_for_item_slow(&self) -> bool {
        let (dwell, ring) = (&self.not_empty.dwell, &self.ring);
        // Nothing is to be waited for if the lane holds an item.
        self.lane().is_none_or(Lane::is_empty)
            && dwell.pause(ring.capacity(), |count| ring.looks_filled(count))
    }

    /// Pauses, if that is likely to pay, until there is likely to be room; whether the task should
    /// then yield to others.
    #[inline]
    pub(crate) fn pause_for_room(&self) -> bool {
        let (dwell, ring) = (&self.not_full.dwell, &self.ring);
        dwell.may_pay() && dwell.pause(ring.capacity(), |count| ring.looks_vacant(count))
    }

    /// An item of a task channel has been handed over.
    pub(crate) fn task_taken(&self, origin: Origin) {
        // What leaves the lane makes no room.
        if origin == Origin::Ring {
            self.not_full.notify_one();
        }
    }

    /// A wake for an item went to a waiter that does not need it.
    #[cold]
    pub(crate) fn pass_item_on(&self) {
        let holds = self.ring.len() > 0 || self.lane().is_some_and(|lane| !lane.is_empty());
        if holds {
            self.not_empty.notify_one();
        }
    }

    /// A wake for room went to a waiter that does not need it.
    #[cold]
    pub(crate) fn pass_room_on(&self) {
        let holds = self.ring.len() < self.ring.capacity();
        if holds {
            self.not_full.notify_one();
        }
    }

    /// Ends sending; true for the call that did it.
    pub(crate) fn close(&self) -> bool {
        self.mark_closed().map(drop).is_some()
    }

    /// Ends sending, and gives, to the call that did it, the duty to tell.
    fn mark_closed(&self) -> Option<Closing<'_, T>> {
        self.ring.close().then(|| {
            self.ledger.set_ending();
            Closing(self)
        })
    }

    fn tell_closed(&self) {
        let ended = self.is_quiescent();
        let told = [
            Some(&**self.not_full),
            Some(&self.ledger.closed),
            (ended || self.lane().is_none()).then_some(&**self.not_empty),
            ended.then_some(&self.ledger.finished),
        ];
        wake_all_of(told.into_iter().flatten());
    }

    /// Drops what is queued, on behalf of the last receiver. The channel is closed.
    ///
    /// Tells others last: their wakers may panic, and an item left in the queue would outlive what
    /// it borrows (S4 of `shared`).
    pub(crate) fn discard(&self) {
        let mut discarding = Discarding::begin(self, true);
        let mut came_back = self.lane().map(Lane::end).unwrap_or_default();
        discarding.took(came_back.len() as u64);
        let next = || {
            if let Some(waiting) = came_back.pop_front() {
                return Some(waiting.item);
            }
            let item = self.next_queued()?;
            discarding.took(1);
            Some(item)
        };
        run_all(next, drop);
    }

    /// Closes the channel and takes out what is queued: first what was sent, then what tasks put
    /// back or left there.
    ///
    /// Tells others last: their wakers may panic, and what is queued would stay so.
    pub(crate) fn close_now(&self) -> VecDeque<T> {
        let closing = self.mark_closed();
        let mut items = Items(VecDeque::new());
        let mut discarding = Discarding::begin(self, false);
        while let Some(item) = self.next_queued() {
            discarding.took(1);
            items.0.push_back(item);
        }
        if let Some(lane) = self.lane() {
            let came_back = lane.drain();
            discarding.took(came_back.len() as u64);
            let came_back = came_back.into_iter().map(|waiting| waiting.item);
            items.0.extend(came_back);
        }
        // By name: should a waker panic, the items are dropped rather than leaked
        // (rust-lang/rust#47949).
        drop(discarding);
        drop(closing);
        mem::take(&mut items.0)
    }

    /// Takes an item out of the ring of a closed channel, if there is one, without handing it over.
    fn next_queued(&self) -> Option<T> {
        // A send that came before the close may be about to fill its slot.
        Attempt::decided(|| self.take_item())?.ok()
    }

    /// Puts an item into the lane, on behalf of a task that is not resolved; gives it back if no
    /// receiver is left.
    pub(crate) fn put_in_lane(&self, item: T, attempt: u32) -> Result<(), T> {
        match &self.kind {
            Kind::Plain => Err(item),
            Kind::Tasks(lane) => lane.push(item, attempt),
        }
    }

    /// Ends a delivery of a task channel. The caller holds a handle.
    pub(crate) fn settle(&self, failure: Option<Failure>) {
        let mut settlement = Settlement {
            channel: self,
            first_failure: false,
        };
        if let Some(failure) = failure {
            settlement.first_failure = self.ledger.record(failure);
        }
    }

    /// Items have been resolved, perhaps with the first failure, and somebody may wait for it.
    #[cold]
    fn announce(&self, first_failure: bool) {
        let quiescent = self.is_quiescent();
        if quiescent {
            self.ledger.clear_awaited();
        } else if !first_failure {
            return;
        }
        let ended = quiescent && self.ring.is_closed();
        let told = [
            quiescent.then_some(&self.ledger.idle),
            (ended || first_failure).then_some(&self.ledger.finished),
            (ended && self.lane().is_some()).then_some(&**self.not_empty),
        ];
        // Pairs with the fence of a waiter between its listing and its look (Q3 of `waiters`).
        fence(Ordering::SeqCst);
        wake_all_of(told.into_iter().flatten());
    }

    pub(crate) fn lane(&self) -> Option<&Lane<T>> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Tasks(lane) => Some(lane),
        }
    }
}

/// A channel has been closed. Tells who waits for that when dropped, whatever panics meanwhile.
struct Closing<'a, T>(&'a Channel<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.tell_closed();
    }
}

/// Resolves a delivery when dropped, whatever panics meanwhile, and tells who waits for it.
struct Settlement<'a, T> {
    channel: &'a Channel<T>,
    /// Whether a failure was written down that is the first.
    first_failure: bool,
}

impl<T> Drop for Settlement<'_, T> {
    fn drop(&mut self) {
        self.channel.ledger.resolve(1);
        self.channel.announce(self.first_failure);
    }
}

/// Items that are dropped one by one, although the destructor of one panics.
struct Items<T>(VecDeque<T>);

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        run_all(|| self.0.pop_front(), drop);
    }
}

/// Items are being taken out that are not handed over: L5 of `ledger`. Ends when dropped, whatever
/// panics meanwhile, and tells who waits for it.
///
/// Each is counted when it has been taken, before its destructor runs. That may take long, and
/// whoever looks at the figures meanwhile finds it neither received nor in hand; who joins waits
/// for it.
struct Discarding<'a, T> {
    channel: &'a Channel<T>,
    /// Whether it is a failure if there are any.
    fails: bool,
    any: bool,
}

impl<'a, T> Discarding<'a, T> {
    fn begin(channel: &'a Channel<T>, fails: bool) -> Self {
        channel.ledger.begin_discarding();
        Self {
            channel,
            fails,
            any: false,
        }
    }

    fn took(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.any = true;
        let ledger = &self.channel.ledger;
        ledger.record_discarded(count);
        if let Kind::Tasks(_) = self.channel.kind {
            ledger.resolve(count);
        }
    }
}

impl<T> Drop for Discarding<'_, T> {
    fn drop(&mut self) {
        let ledger = &self.channel.ledger;
        let first_failure = self.fails && self.any && ledger.note(Failure::Discarded);
        ledger.end_discarding();
        // Also if nothing was taken out: a joiner may have been put off.
        self.channel.announce(first_failure);
    }
}

fn wake_all_of<'a>(mut lists: impl Iterator<Item = &'a Waiters>) {
    run_all(|| lists.next(), Waiters::notify_all);
}
