//! The waiters for one condition, in the order in which they first waited.
//!
//! A [`Waiters`] is a list that is named after the condition for which its waiters wait (`not_empty`,
//! `not_full`, …). It contains no items: a waiter that is notified tries again, and may find that
//! another caller was quicker. Then it returns to its old place.
//!
//! The oldest waiters are in a sorted *list*, which holds their wakers in place. While the list is
//! full, newcomers wait in the *overflow*, which is an [`Event`] of event-listener, and move to the
//! end of the list, oldest first, as it empties. So all waiters in the list are older than those in
//! the overflow, and only the front of the list is notified.
//!
//! # Invariants
//!
//! * **Q1** Each waiter has a *sequence number*, which it gets when it first waits and keeps until it
//!   succeeds or gives up. A registered waiter is in the list or in the overflow, once. The list is
//!   sorted by sequence number, and all numbers in the list are lower than those in the overflow.
//! * **Q2** The list's lock publishes the lowest number in the list. A waiter that was in the list
//!   and reads a higher number than its own has been removed: by coherence, it reads what was stored
//!   when it was registered, or later.
//! * **Q3** No wakeup is lost. A waiter registers and tries again before it sleeps; it reads its
//!   condition by `SeqCst` loads. A notifier makes the condition true by a `SeqCst` exchange, or
//!   sees it true by a `SeqCst` load, before it reads whether the list is empty. If it finds the
//!   list empty, that was before the waiter registered, so the waiter's second try sees what the
//!   notifier did (F3 of `front_lock`). Where a condition is made true otherwise, both sides use a
//!   fence.
//! * **Q4** Each notification is given to one waiter, which is responsible for it: the waiter finds
//!   the condition untrue at one instant afterwards, or it leaves and passes the notification on if
//!   the condition still holds.
//! * **Q5** A user's waker is cloned, called and dropped outside all locks, those of event-listener
//!   included. What event-listener holds is a [`Promotion`]: called under the locks, it moves the
//!   user's waker into the list.

// notifying several waiters
mod several;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::Waker;

use event_listener::Event;
use event_listener::EventListener;
use event_listener::IntoNotification;
use event_listener::Listener;

use super::front_lock::EMPTY;
use super::front_lock::FrontLock;
use super::front_lock::HasFront;
use crate::sync::Mutex;
use crate::sync::with_lock;
use crate::unwind::run_all;
use crate::unwind::run_one;

/// How many waiters the list takes before newcomers wait in the overflow.
///
/// This bounds the memory that is kept after a burst. As long as no waiter is notified in vain, it also
/// bounds the time for which the lock is held: removing a waiter from the middle moves at most half of
/// the list. Waiters that were notified in vain return to the list even if it is full, each to its
/// place, so the list may exceed this number by as many waiters as were notified at once.
///
/// With this value, a send takes 1.08 times as long with 100 parked receivers as with a single one;
/// with a list of 32 waiters it took 3.4 times as long (`parked` in `benches/peers`). The list takes
/// 3 KiB once two callers have waited at the same time.
const CAPACITY: usize = if cfg!(loom) { 2 } else { 128 };

/// The waiters for one condition.
pub(crate) struct Waiters(FrontLock<List>);

struct List {
    next_seq: u64,
    /// The front. `None` only if the list is empty. It is separate from the others, so that a single
    /// waiter allocates nothing.
    first: Option<Entry>,
    /// The others, sorted by their sequence numbers.
    rest: VecDeque<Entry>,
    /// Allocated when the list is full for the first time.
    overflow: Option<Box<Overflow>>,
}

/// A waiter in the list.
struct Entry {
    seq: u64,
    waker: Waker,
}

/// The waiters behind the list.
struct Overflow {
    event: Event,
    /// How many listeners of `event` have not been notified.
    len: usize,
    promoted: Arc<Promoted>,
}

/// Waiters on their way from the overflow to the list.
type Promoted = Mutex<VecDeque<Entry>>;

/// What event-listener holds of a waiter in the overflow (Q5).
struct Promotion {
    seq: u64,
    /// `None` once the waiter has moved to the list, or has left.
    waker: Mutex<Option<Waker>>,
    promoted: Arc<Promoted>,
}

impl Wake for Promotion {
    /// Moves the waiter towards the list. Runs under the list's lock and that of event-listener. Each
    /// lock taken here is held for one move.
    fn wake(self: Arc<Self>) {
        if let Some(waker) = with_lock(&self.waker, Option::take) {
            let seq = self.seq;
            with_lock(&self.promoted, |it| it.push_back(Entry { seq, waker }));
        }
    }
}

/// A waiter's registration in the overflow.
pub(crate) struct InOverflow {
    promotion: Arc<Promotion>,
    listener: EventListener,
}

/// Where a registered waiter is.
pub(crate) enum Registration {
    /// In the list, unless it has been notified since.
    InList { seq: u64, yielding: Yielding },
    /// In the overflow, unless it has moved to the list or has been notified since.
    InOverflow(Box<InOverflow>),
    /// In neither, with a notification that it is responsible for (Q4).
    Notified { seq: u64, yielding: Yielding },
}

/// What a waiter has done for fairness. See `wait`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Yielding {
    /// It was notified in vain, and has requested others to yield.
    pub(crate) has_requested: bool,
    /// It has yielded to another waiter since it was last notified in vain.
    pub(crate) has_yielded: bool,
}

impl Registration {
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::InList { seq, .. } | Self::Notified { seq, .. } => *seq,
            Self::InOverflow(it) => it.promotion.seq,
        }
    }

    pub(crate) fn yielding(&self) -> Yielding {
        match self {
            Self::InList { yielding, .. } | Self::Notified { yielding, .. } => *yielding,
            Self::InOverflow(_) => Yielding::default(),
        }
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self(FrontLock::new(List {
            next_seq: 0,
            first: None,
            rest: VecDeque::new(),
            overflow: None,
        }))
    }

    /// Whether a notification would find a waiter.
    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        !self.0.is_empty()
    }

    /// Notifies the oldest waiter, if there is one.
    ///
    /// What Q3 asks of the caller, and why:
    ///
    /// 1. A receiver finds the ring empty.
    /// 2. A sender claims a slot and fills it.
    /// 3. The sender finds this list empty.
    /// 4. The receiver registers, and sleeps although the ring holds an item.
    ///
    /// Step 4 does not sleep: after it has registered, the receiver tries again. By 3, the sender
    /// read the list before the receiver registered. So its claim came before that try, which sees
    /// it.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if self.has_waiters() {
            self.notify_front();
        }
    }

    #[inline(never)]
    fn notify_front(&self) {
        if let Some(entry) = self.0.with(List::pop_front) {
            run_one(|| entry.waker.wake());
        }
    }

    /// Registers a waiter that has not waited before, at the end.
    #[inline]
    pub(crate) fn register(&self, waker: Waker) -> Registration {
        // The sequence number is returned in registers. A registration would be copied through
        // memory.
        let registered = self.0.add(|list| {
            let seq = list.next_seq;
            list.next_seq += 1;
            let entry = Entry { seq, waker };
            if list.is_full() {
                return Err(Box::new(list.push_overflow(entry)));
            }
            list.push_back(entry);
            Ok(seq)
        });
        match registered {
            Ok(seq) => Registration::InList {
                seq,
                yielding: Yielding::default(),
            },
            Err(in_overflow) => Registration::InOverflow(in_overflow),
        }
    }

    /// Registers a waiter again that was notified in vain, at its old place.
    pub(crate) fn register_again(&self, seq: u64, waker: Waker) {
        self.0.add(|list| list.insert(Entry { seq, waker }));
    }

    /// Makes `waker` the one to wake. Returns false if the waiter has been notified.
    pub(crate) fn update_waker(&self, registration: &mut Registration, waker: &Waker) -> bool {
        let is_registered = self.replace_waker(registration, waker);
        if !is_registered {
            *registration = Registration::Notified {
                seq: registration.seq(),
                yielding: registration.yielding(),
            };
        }
        is_registered
    }

    fn replace_waker(&self, registration: &mut Registration, waker: &Waker) -> bool {
        if self.is_notified(registration) {
            return false;
        }
        let is_current = self
            .0
            .with(|list| list.with_waker(registration, |current| current.will_wake(waker)));
        if is_current != Some(false) {
            return is_current.is_some();
        }
        // Cloned before and dropped after the lock is held (Q5).
        let mut waker = waker.clone();
        let replaced = self
            .0
            .with(|list| list.with_waker(registration, |current| mem::swap(current, &mut waker)));
        replaced.is_some()
    }

    /// Whether a waiter has certainly been notified (Q2). Takes no lock.
    #[inline]
    pub(crate) fn is_notified(&self, registration: &Registration) -> bool {
        match registration {
            Registration::InList { seq, .. } => self.0.front() > *seq,
            Registration::InOverflow(_) => false,
            Registration::Notified { .. } => true,
        }
    }

    /// Removes a waiter. Returns true if it had been notified.
    pub(crate) fn unregister(&self, registration: Registration) -> bool {
        if self.is_notified(&registration) {
            return true;
        }
        match self.0.with(|list| list.remove(registration)) {
            Some(waker) => {
                run_one(|| drop(waker));
                false
            }
            None => true,
        }
    }
}

impl HasFront for List {
    #[inline]
    fn front(&self) -> u64 {
        self.first.as_ref().map_or(EMPTY, |entry| entry.seq)
    }
}

impl Drop for List {
    /// Drops the wakers of forgotten waiters.
    fn drop(&mut self) {
        let next = || self.first.take().or_else(|| self.rest.pop_front());
        run_all(next, drop);
    }
}

impl List {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether a newcomer must wait in the overflow: the list is full, or others wait there already.
    fn is_full(&self) -> bool {
        self.len() >= CAPACITY || self.overflow.as_ref().is_some_and(|it| it.len > 0)
    }

    /// Adds a waiter whose sequence number is higher than all others of the list.
    #[inline]
    fn push_back(&mut self, entry: Entry) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.push_back_behind(entry),
        }
    }

    fn push_back_behind(&mut self, entry: Entry) {
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(CAPACITY);
        }
        self.rest.push_back(entry);
    }

    /// Adds a waiter at the place that its sequence number gives.
    fn insert(&mut self, entry: Entry) {
        let Some(first) = &mut self.first else {
            self.first = Some(entry);
            return;
        };
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(CAPACITY);
        }
        if entry.seq < first.seq {
            self.rest.push_front(mem::replace(first, entry));
        } else {
            let index = self.rest.partition_point(|it| it.seq < entry.seq);
            self.rest.insert(index, entry);
        }
    }

    /// Removes the oldest waiter.
    #[inline]
    fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.first.take();
        // Only if there is one: to copy a `None` as a whole stalls the processor.
        if let Some(next) = self.rest.pop_front() {
            self.first = Some(next);
        }
        self.refill();
        entry
    }

    /// Removes a waiter. Returns `None` if it has been notified.
    fn remove(&mut self, registration: Registration) -> Option<Waker> {
        let waker = self.remove_listed(registration.seq());
        let Registration::InOverflow(in_overflow) = registration else {
            return waker;
        };
        // If the listener were dropped instead, it would pass its notification on.
        in_overflow.listener.discard();
        if waker.is_some() {
            return waker;
        }
        let waker = with_lock(&in_overflow.promotion.waker, Option::take);
        if let (Some(_), Some(overflow)) = (&waker, &mut self.overflow) {
            // Not if this is another overflow: `notify_all` takes the overflow out of the list.
            if Arc::ptr_eq(&overflow.promoted, &in_overflow.promotion.promoted) {
                overflow.len -= 1;
            }
        }
        waker
    }

    fn remove_listed(&mut self, seq: u64) -> Option<Waker> {
        if self.first.as_ref()?.seq == seq {
            return self.pop_front().map(|entry| entry.waker);
        }
        let index = self.index_of(seq)?;
        let entry = self.rest.remove(index);
        self.refill();
        entry.map(|entry| entry.waker)
    }

    /// The index of a waiter in `rest`.
    fn index_of(&self, seq: u64) -> Option<usize> {
        self.rest.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }

    /// Runs `f` on the waker of a waiter. Returns `None` if the waiter has been notified. Updates the
    /// registration if the waiter has moved from the overflow to the list.
    fn with_waker<R>(
        &mut self,
        registration: &mut Registration,
        mut f: impl FnOnce(&mut Waker) -> R,
    ) -> Option<R> {
        let seq = registration.seq();
        if let Registration::InOverflow(in_overflow) = registration {
            // Under one lock: `notify_all` may take the waker at any time.
            let result = with_lock(&in_overflow.promotion.waker, |waker| match waker {
                Some(waker) => Ok(f(waker)),
                None => Err(f),
            });
            let Err(unused) = result else {
                return result.ok();
            };
            f = unused;
            let in_list = Registration::InList {
                seq,
                yielding: Yielding::default(),
            };
            if let Registration::InOverflow(it) = mem::replace(registration, in_list) {
                // If the listener were dropped instead, it would pass its notification on.
                it.listener.discard();
            }
        }
        if self.first.as_ref()?.seq == seq {
            return self.first.as_mut().map(|entry| f(&mut entry.waker));
        }
        let index = self.index_of(seq)?;
        Some(f(&mut self.rest[index].waker))
    }

    /// Fills the list from the overflow when the list is half empty, and frees the memory that a burst
    /// has left.
    #[inline]
    fn refill(&mut self) {
        let may_shrink = self.overflow.is_some() || self.rest.capacity() > 2 * CAPACITY;
        if self.rest.len() < CAPACITY / 2 && may_shrink {
            self.refill_half_empty();
        }
    }

    #[cold]
    fn refill_half_empty(&mut self) {
        self.promote(CAPACITY - self.len());
        if self.first.is_none() {
            self.overflow = None;
        }
        if self.rest.capacity() > 2 * CAPACITY {
            self.rest.shrink_to(CAPACITY);
        }
    }

    /// Moves up to `count` waiters from the overflow to the end of the list.
    fn promote(&mut self, count: usize) {
        let Some(overflow) = &mut self.overflow else {
            return;
        };
        if overflow.len == 0 {
            return;
        }
        overflow.len -= overflow.event.notify(count.additional());
        let promoted = with_lock(&overflow.promoted, mem::take);
        for entry in promoted {
            self.push_back(entry);
        }
    }

    fn push_overflow(&mut self, entry: Entry) -> InOverflow {
        let overflow = self.overflow.get_or_insert_with(|| {
            Box::new(Overflow {
                event: Event::new(),
                len: 0,
                promoted: Arc::new(Mutex::new(VecDeque::new())),
            })
        });
        overflow.len += 1;
        let promotion = Arc::new(Promotion {
            seq: entry.seq,
            waker: Mutex::new(Some(entry.waker)),
            promoted: Arc::clone(&overflow.promoted),
        });
        let mut listener = overflow.event.listen();
        let waker = Waker::from(Arc::clone(&promotion));
        let polled = Pin::new(&mut listener).poll(&mut Context::from_waker(&waker));
        debug_assert_eq!(polled, Poll::Pending, "notified only under the lock");
        InOverflow {
            promotion,
            listener,
        }
    }
}
