//! The waiters for one condition, in the order in which they first waited.
//!
//! A [`Waiters`] is a list that is named by the condition its waiters want (`not_empty`,
//! `not_full`, …). It does not know items: a waiter that is notified tries again, and may find that
//! another caller was quicker. Then it returns to its old place.
//!
//! The oldest waiters stand in the *row*, which is kept sorted and holds their wakers in place.
//! While the row is full, newcomers stand in the *crowd*, which is an [`Event`] of event-listener,
//! and move to the end of the row, oldest first, as it empties. The row is therefore always ahead
//! of the crowd, and only its front is notified.
//!
//! # Invariants
//!
//! * **Q1** Each waiter has a *ticket*, drawn when it first waits and kept until it succeeds or
//!   gives up. A waiter that is listed is in the row or in the crowd, once. The row is sorted by
//!   ticket, and all tickets of the row are lower than those of the crowd.
//! * **Q2** The list's lock tells the lowest ticket in the list to those outside. A waiter that was
//!   listed and reads a higher one than its own has been taken out: by coherence, it reads what was
//!   stored when it was listed, or later.
//! * **Q3** No wake is lost. A waiter enters the list and tries again before it sleeps; it looks at
//!   its condition by `SeqCst` loads. A notifier makes the condition true by a `SeqCst` exchange, or
//!   sees it true by a `SeqCst` load, before it looks whether the list is empty. If it finds the
//!   list empty, that was before the waiter entered, so the waiter's second try sees what the
//!   notifier did (F3 of `front_lock`). Where a condition is made true otherwise, both sides use a
//!   fence.
//! * **Q4** A notification is spent on one waiter, which answers for it: it finds the condition
//!   untrue at one instant afterwards, or leaves the list and has the notification passed on if
//!   the condition still holds.
//! * **Q5** A user's waker is cloned, called and dropped outside all locks, event-listener's
//!   included. What event-listener holds is a [`Promotion`]: called under the locks, it moves the
//!   user's waker into the row.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use event_listener::Event;
use event_listener::EventListener;
use event_listener::IntoNotification;
use event_listener::Listener;

use crate::front_lock::EMPTY;
use crate::front_lock::FrontLock;
use crate::front_lock::HasFront;
use crate::sync::Mutex;
use crate::sync::with_lock;
use crate::unwind::run_all;
use crate::unwind::run_one;

/// How many waiters the row takes before newcomers stand in the crowd.
///
/// It bounds the memory that is kept after a burst, and, as long as no waiter is notified in vain,
/// the time that the lock is held: to take a waiter out of the middle moves half of the row at most.
/// Waiters that were notified in vain return to the row even if it is full, each to its place, so
/// these may be as many as were notified at once.
///
/// The length: a send beside 100 parked receivers costs 1.08 times one beside a single receiver;
/// with a row of 32 it was 3.4 times (`parked` in `benches/peers`). The row takes 3 KiB once two
/// waiters have waited.
const ROW: usize = if cfg!(loom) {
    2
} else if cfg!(test) {
    4
} else {
    128
};

/// The waiters for one condition.
pub(crate) struct Waiters(FrontLock<List>);

struct List {
    next_ticket: u64,
    /// The front of the row; none only if the list is empty. Apart from the others, so that a
    /// waiter alone allocates nothing.
    first: Option<Entry>,
    /// The others of the row, in the order of their tickets.
    rest: VecDeque<Entry>,
    /// Made when the row is full for the first time.
    crowd: Option<Box<Crowd>>,
}

/// A waiter in the row.
struct Entry {
    ticket: u64,
    waker: Waker,
}

/// The waiters behind the row.
struct Crowd {
    event: Event,
    /// How many of its listeners have not been notified.
    len: usize,
    promoted: Arc<Promoted>,
}

/// Waiters on their way from the crowd to the row.
type Promoted = Mutex<VecDeque<Entry>>;

/// What event-listener holds of a waiter in the crowd (Q5).
struct Promotion {
    ticket: u64,
    /// None when it has moved to the row, or left.
    waker: Mutex<Option<Waker>>,
    promoted: Arc<Promoted>,
}

impl Wake for Promotion {
    /// Moves the waiter towards the row. Runs under the list's lock and event-listener's; the locks
    /// taken here are held for a move each.
    fn wake(self: Arc<Self>) {
        if let Some(waker) = with_lock(&self.waker, Option::take) {
            let ticket = self.ticket;
            with_lock(&self.promoted, |it| it.push_back(Entry { ticket, waker }));
        }
    }
}

/// A place in the crowd.
pub(crate) struct CrowdPlace {
    promotion: Arc<Promotion>,
    listener: EventListener,
}

/// Where a waiter stands that has entered a list.
pub(crate) enum Place {
    /// In the row, unless it has been notified since.
    Row { ticket: u64, luck: Luck },
    /// In the crowd, unless it has moved to the row or has been notified since.
    Crowd(Box<CrowdPlace>),
    /// Out of the list, with a notification to answer for (Q4).
    Notified { ticket: u64, luck: Luck },
}

/// How a waiter has fared so far, for the wait loop to be fair by.
#[derive(Clone, Copy, Default)]
pub(crate) struct Luck {
    /// It was notified in vain, and has asked others to yield to it.
    pub(crate) has_asked: bool,
    /// It has yielded to another waiter since it was notified in vain last.
    pub(crate) has_yielded: bool,
}

impl Place {
    pub(crate) fn ticket(&self) -> u64 {
        match self {
            Self::Row { ticket, .. } | Self::Notified { ticket, .. } => *ticket,
            Self::Crowd(place) => place.promotion.ticket,
        }
    }

    pub(crate) fn luck(&self) -> Luck {
        match self {
            Self::Row { luck, .. } | Self::Notified { luck, .. } => *luck,
            Self::Crowd(_) => Luck::default(),
        }
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self(FrontLock::new(List {
            next_ticket: 0,
            first: None,
            rest: VecDeque::new(),
            crowd: None,
        }))
    }

    /// Whether a notification would find a waiter.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        !self.0.is_empty()
    }

    /// Notifies the waiter that has waited longest, if there is one.
    ///
    /// What Q3 asks of the caller, and why:
    ///
    /// 1. A receiver finds the ring empty.
    /// 2. A sender claims a slot and fills it.
    /// 3. The sender finds this list empty.
    /// 4. The receiver enters the list, and sleeps with an item in the ring.
    ///
    /// Step 4 does not sleep: having entered, the receiver tries again. By 3, the sender's look came
    /// before the receiver entered, so its claim came before that try, which sees it.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if self.is_awaited() {
            self.notify_front();
        }
    }

    #[inline(never)]
    fn notify_front(&self) {
        if let Some(entry) = self.0.with(List::pop_front) {
            run_one(|| entry.waker.wake());
        }
    }

    /// Notifies all waiters.
    pub(crate) fn notify_all(&self) {
        if !self.is_awaited() {
            return;
        }
        let (mut first, mut rest, crowd) = self.0.with(|list| {
            (
                list.first.take(),
                mem::take(&mut list.rest),
                list.crowd.take(),
            )
        });
        if let Some(crowd) = crowd {
            // Outside the lock, for there may be many. Until then, each may still change its waker,
            // or leave.
            crowd.event.notify(usize::MAX.additional());
            rest.append(&mut with_lock(&crowd.promoted, mem::take));
        }
        let next = || first.take().or_else(|| rest.pop_front());
        run_all(next, |entry| entry.waker.wake());
    }

    /// Lists a waiter that has not waited before, at the end.
    #[inline]
    pub(crate) fn enter(&self, waker: Waker) -> Place {
        // Not a place yet: the result is returned in registers, where a place would be copied
        // through memory.
        let entered = self.0.add(|list| {
            let ticket = list.next_ticket;
            list.next_ticket += 1;
            let entry = Entry { ticket, waker };
            if list.is_row_full() {
                return Err(Box::new(list.join_crowd(entry)));
            }
            list.push_back(entry);
            Ok(ticket)
        });
        match entered {
            Ok(ticket) => Place::Row {
                ticket,
                luck: Luck::default(),
            },
            Err(place) => Place::Crowd(place),
        }
    }

    /// Lists a waiter anew that was notified in vain, at its old place.
    pub(crate) fn reenter(&self, ticket: u64, waker: Waker) {
        self.0.add(|list| list.insert(Entry { ticket, waker }));
    }

    /// Whether a waiter is still listed; if so, `waker` is the one that will be woken.
    pub(crate) fn update(&self, place: &mut Place, waker: &Waker) -> bool {
        let is_listed = self.update_waker(place, waker);
        if !is_listed {
            *place = Place::Notified {
                ticket: place.ticket(),
                luck: place.luck(),
            };
        }
        is_listed
    }

    fn update_waker(&self, place: &mut Place, waker: &Waker) -> bool {
        if self.is_out(place) {
            return false;
        }
        let is_current = self
            .0
            .with(|list| list.with_waker(place, |current| current.will_wake(waker)));
        if is_current != Some(false) {
            return is_current.is_some();
        }
        // Cloned before and dropped after the lock is held (Q5).
        let mut waker = waker.clone();
        let replaced = self
            .0
            .with(|list| list.with_waker(place, |current| mem::swap(current, &mut waker)));
        replaced.is_some()
    }

    /// Whether a waiter is certainly not listed any more (Q2).
    #[inline]
    pub(crate) fn is_out(&self, place: &Place) -> bool {
        match place {
            Place::Row { ticket, .. } => self.0.front() > *ticket,
            Place::Crowd(_) => false,
            Place::Notified { .. } => true,
        }
    }

    /// Takes a waiter out of the list; true if it had been notified.
    pub(crate) fn leave(&self, place: Place) -> bool {
        if self.is_out(&place) {
            return true;
        }
        match self.0.with(|list| list.remove(place)) {
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
        self.first.as_ref().map_or(EMPTY, |entry| entry.ticket)
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
    fn row_len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether a newcomer must stand in the crowd, for the row is full or others stand there already.
    fn is_row_full(&self) -> bool {
        self.row_len() >= ROW || self.crowd.as_ref().is_some_and(|crowd| crowd.len > 0)
    }

    /// Adds a waiter whose ticket is higher than all others of the row.
    #[inline]
    fn push_back(&mut self, entry: Entry) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.push_back_behind(entry),
        }
    }

    fn push_back_behind(&mut self, entry: Entry) {
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(ROW);
        }
        self.rest.push_back(entry);
    }

    /// Adds a waiter where its ticket belongs.
    fn insert(&mut self, entry: Entry) {
        let Some(first) = &mut self.first else {
            self.first = Some(entry);
            return;
        };
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(ROW);
        }
        if entry.ticket < first.ticket {
            self.rest.push_front(mem::replace(first, entry));
        } else {
            let index = self.rest.partition_point(|it| it.ticket < entry.ticket);
            self.rest.insert(index, entry);
        }
    }

    /// Takes the oldest waiter out of the row.
    #[inline]
    fn pop_front(&mut self) -> Option<Entry> {
        let entry = mem::replace(&mut self.first, self.rest.pop_front());
        self.refill();
        entry
    }

    /// Takes a waiter out of the list; none if it has been notified.
    fn remove(&mut self, place: Place) -> Option<Waker> {
        let waker = self.remove_from_row(place.ticket());
        let Place::Crowd(place) = place else {
            return waker;
        };
        // A listener that is dropped instead would pass its notification on.
        place.listener.discard();
        if waker.is_some() {
            return waker;
        }
        let waker = with_lock(&place.promotion.waker, Option::take);
        if let (Some(_), Some(crowd)) = (&waker, &mut self.crowd) {
            // Unless it is another: `notify_all` takes the crowd away.
            if Arc::ptr_eq(&crowd.promoted, &place.promotion.promoted) {
                crowd.len -= 1;
            }
        }
        waker
    }

    fn remove_from_row(&mut self, ticket: u64) -> Option<Waker> {
        if self.first.as_ref()?.ticket == ticket {
            return self.pop_front().map(|entry| entry.waker);
        }
        let index = self.index_of(ticket)?;
        let entry = self.rest.remove(index);
        self.refill();
        entry.map(|entry| entry.waker)
    }

    /// Where in `rest` a waiter is.
    fn index_of(&self, ticket: u64) -> Option<usize> {
        self.rest
            .binary_search_by_key(&ticket, |entry| entry.ticket)
            .ok()
    }

    /// Runs `f` on the waker of a waiter; none if it has been notified. Brings its place up to date
    /// with the promotion of its waiter.
    fn with_waker<R>(
        &mut self,
        place: &mut Place,
        mut f: impl FnOnce(&mut Waker) -> R,
    ) -> Option<R> {
        let ticket = place.ticket();
        if let Place::Crowd(crowd) = place {
            // In one go: `notify_all` may take the waker at any time.
            let result = with_lock(&crowd.promotion.waker, |waker| match waker {
                Some(waker) => Ok(f(waker)),
                None => Err(f),
            });
            let Err(unused) = result else {
                return result.ok();
            };
            f = unused;
            let luck = Luck::default();
            let row = Place::Row { ticket, luck };
            if let Place::Crowd(place) = mem::replace(place, row) {
                // A listener that is dropped instead would pass its notification on.
                place.listener.discard();
            }
        }
        if self.first.as_ref()?.ticket == ticket {
            return self.first.as_mut().map(|entry| f(&mut entry.waker));
        }
        let index = self.index_of(ticket)?;
        Some(f(&mut self.rest[index].waker))
    }

    /// Fills the row from the crowd when it is half empty, and gives back what a burst has left.
    #[inline]
    fn refill(&mut self) {
        if self.rest.len() < ROW / 2 && (self.crowd.is_some() || self.rest.capacity() > 2 * ROW) {
            self.refill_half_empty_row();
        }
    }

    #[cold]
    fn refill_half_empty_row(&mut self) {
        self.promote(ROW - self.row_len());
        if self.first.is_none() {
            self.crowd = None;
        }
        if self.rest.capacity() > 2 * ROW {
            self.rest.shrink_to(ROW);
        }
    }

    /// Moves up to `count` waiters from the crowd to the end of the row.
    fn promote(&mut self, count: usize) {
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        if crowd.len == 0 {
            return;
        }
        crowd.len -= crowd.event.notify(count.additional());
        let promoted = with_lock(&crowd.promoted, mem::take);
        for entry in promoted {
            self.push_back(entry);
        }
    }

    fn join_crowd(&mut self, entry: Entry) -> CrowdPlace {
        let crowd = self.crowd.get_or_insert_with(|| {
            Box::new(Crowd {
                event: Event::new(),
                len: 0,
                promoted: Arc::new(Mutex::new(VecDeque::new())),
            })
        });
        crowd.len += 1;
        let promotion = Arc::new(Promotion {
            ticket: entry.ticket,
            waker: Mutex::new(Some(entry.waker)),
            promoted: Arc::clone(&crowd.promoted),
        });
        let mut listener = crowd.event.listen();
        let waker = Waker::from(Arc::clone(&promotion));
        let polled = Pin::new(&mut listener).poll(&mut Context::from_waker(&waker));
        debug_assert_eq!(polled, Poll::Pending, "notified only under the lock");
        CrowdPlace {
            promotion,
            listener,
        }
    }
}
