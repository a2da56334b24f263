//! Notifying several waiters. The invariants are those of [`waiters`](super).

use alloc::collections::VecDeque;
use core::mem;

use event_listener::IntoNotification;

use super::CAPACITY;
use super::Entry;
use super::List;
use super::Waiters;
use crate::sync::with_lock;
use crate::unwind::run_all;

impl Waiters {
    /// Notifies up to `count` waiters, the oldest first, for a change that may serve as many. What Q3
    /// asks of the caller is as for [`notify_one`](Self::notify_one).
    ///
    /// One notification for each item of a batch is enough:
    ///
    /// 1. A sender queues two items with one exchange, and receivers A, B and C wait.
    /// 2. A and B are notified. A receives a batch, and takes both items.
    /// 3. B finds nothing, and C sleeps.
    ///
    /// C may sleep: its condition is untrue. If A had taken one item only, B would have taken the
    /// other (Q4).
    #[inline]
    pub(crate) fn notify_many(&self, count: u32) {
        if self.has_waiters() {
            self.notify_fronts(count);
        }
    }

    /// Takes the lock once for [`CAPACITY`] waiters, so that it is not held for long. They are called
    /// outside the lock (Q5), and each of them even if another one panics.
    #[inline(never)]
    fn notify_fronts(&self, count: u32) {
        let mut left = count as usize;
        // Without the first, so that a single waiter allocates nothing.
        let mut others = VecDeque::new();
        let next = || {
            if let Some(entry) = others.pop_front() {
                return Some(entry);
            }
            if left == 0 {
                return None;
            }
            let take = left.min(CAPACITY);
            let first = self.0.with(|list| list.pop_fronts(take, &mut others))?;
            left -= take;
            if others.len() + 1 < take {
                // The list is empty. A waiter that comes now sees what it waits for (Q3).
                left = 0;
            }
            Some(first)
        };
        run_all(next, |entry| entry.waker.wake());
    }

    /// Notifies all waiters.
    pub(crate) fn notify_all(&self) {
        if !self.has_waiters() {
            return;
        }
        let (mut first, mut rest, overflow) = self.0.with(|list| {
            (
                list.first.take(),
                mem::take(&mut list.rest),
                list.overflow.take(),
            )
        });
        if let Some(overflow) = overflow {
            // Outside the lock, because there may be many waiters. Until then, each of them may still
            // change its waker, or leave.
            overflow.event.notify(usize::MAX.additional());
            rest.append(&mut with_lock(&overflow.promoted, mem::take));
        }
        let next = || first.take().or_else(|| rest.pop_front());
        run_all(next, |entry| entry.waker.wake());
    }
}

impl List {
    /// Removes up to `count` of the oldest waiters. Returns the first, and appends the others to
    /// `others`.
    fn pop_fronts(&mut self, count: usize, others: &mut VecDeque<Entry>) -> Option<Entry> {
        let first = self.pop_front()?;
        // Those in the overflow move to the list meanwhile.
        others.extend((1..count).map_while(|_| self.pop_front()));
        Some(first)
    }
}
