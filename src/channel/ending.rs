//! Closing a channel, and discarding what is queued.

use core::cell::Cell;
use core::mem::MaybeUninit;

use super::Channel;
use super::notify_all_of;
use crate::attempt::Attempt;
use crate::iter::Drained;
use crate::queue::Rest;
use crate::report::Failure;
use crate::unwind::OnDrop;
use crate::unwind::run_all;

impl<T> Channel<T> {
    /// Ends sending. Returns true for the call that did it.
    pub(crate) fn close(&self) -> bool {
        let closes = self.mark_closed();
        if closes {
            self.notify_closed();
        }
        closes
    }

    fn mark_closed(&self) -> bool {
        let closes = self.queue.close();
        if closes {
            self.ledger.set_closed();
        }
        closes
    }

    fn notify_closed(&self) {
        let is_finished = self.is_settled_quiescent();
        let is_plain = !self.queue.has_lane();
        // Last (E1 of `events`), and even if a waker panics.
        #[cfg(feature = "tracing")]
        let trace = OnDrop(|| self.trace_closed());
        notify_all_of([
            Some(&self.lists.not_full.waiters),
            Some(&self.lists.closed),
            (is_finished || is_plain).then_some(&self.lists.not_empty.waiters),
            is_finished.then_some(&self.lists.finished),
        ]);
        #[cfg(feature = "tracing")]
        drop(trace);
    }

    /// Whether the channel was quiescent at one instant during the call. Waits for a receiver that is
    /// within a few instructions of removing an item: it may not have noticed the close, and would
    /// then notify only those that wait for quiescence.
    fn is_settled_quiescent(&self) -> bool {
        let account = self.account();
        Attempt::retry_while_busy(|| account.quiescent())
            .done()
            .is_some()
    }

    /// Drops what is queued, for the last receiver. The channel is closed.
    ///
    /// Waiters are notified last: a waker may panic, and an item left in the queue would outlive what
    /// it borrows (S4 of `shared`).
    pub(crate) fn discard(&self) {
        self.while_discarding(true, |count| {
            let mut requeued = self.end_lane();
            count(requeued.len() as u64);
            let drop_sent = OnDrop(|| self.drop_sent(count));
            let mut items = requeued.items();
            run_all(
                || items.next(),
                // SAFETY: N5 of `lane`: it is the only owner, and drops each item once.
                |item| unsafe { item.assume_init_drop() },
            );
            drop(drop_sent);
        });
    }

    /// Removes all requeued items; from then on, none can be requeued.
    fn end_lane(&self) -> Rest<T> {
        let rest = self.queue.end_lane();
        if rest.has_delayed {
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            self.leave_timer();
        }
        rest
    }

    /// Drops what was sent. It is moved out of its slot before, because a destructor is user code. (Not
    /// inlined, so that no other function has the place of a large item on its stack.)
    #[inline(never)]
    fn drop_sent(&self, count: &dyn Fn(u64)) {
        let mut place = MaybeUninit::uninit();
        let item = &raw mut place;
        let next = || {
            // SAFETY: the item before has been dropped, and no reference is left.
            let is_some = self.queue.drain_sent(unsafe { &mut *item });
            is_some.then(|| count(1))
        };
        run_all(next, |()| {
            // SAFETY: no reference is left.
            let item = unsafe { &mut *item };
            // SAFETY: it has just been moved there.
            unsafe { item.assume_init_drop() };
        });
    }

    /// Closes the channel, removes what is queued, and lets nothing be queued any more: first what was
    /// sent, then what was requeued. A task that requeues something meanwhile does so before the lane
    /// ends, or is refused (N3 of `lane`).
    ///
    /// Waiters are notified last: a waker may panic, and the items would then stay queued.
    pub(crate) fn close_now(&self) -> Drained<T> {
        let closes = self.mark_closed();
        let notify_closed = OnDrop(|| {
            if closes {
                self.notify_closed();
            }
        });
        let mut drained = Drained::new();
        self.while_discarding(false, |count| {
            let mut place = MaybeUninit::uninit();
            while self.queue.drain_sent(&mut place) {
                count(1);
                // SAFETY: it has just been moved there, and is taken once.
                drained.push(unsafe { place.assume_init_read() });
            }
            for item in self.end_lane().items() {
                count(1);
                // SAFETY: N5 of `lane`: it is the only owner, and takes each item once.
                drained.push(unsafe { item.assume_init_read() });
            }
        });
        drop(notify_closed);
        drained
    }

    /// Calls `remove`, which removes items without delivering them, and which calls its argument with
    /// the number of items that it has just removed (L5 of `accounting`). Then notifies waiters, even
    /// if `remove` panics.
    ///
    /// An item is counted when it has been removed, before its destructor runs. The destructor may
    /// take long; meanwhile the item is neither received nor in hand, and joiners wait.
    fn while_discarding(&self, is_failure: bool, remove: impl FnOnce(&dyn Fn(u64))) {
        let removed_any = Cell::new(false);
        let count = |items| {
            if items == 0 {
                return;
            }
            removed_any.set(true);
            self.ledger.record_discarded(items);
            if self.queue.has_lane() {
                self.ledger.resolve(items);
            }
        };
        self.ledger.begin_discarding();
        let end = OnDrop(|| {
            let fails = is_failure && removed_any.get();
            let is_first_failure = fails && self.ledger.note(Failure::Discarded);
            self.ledger.end_discarding();
            // Even if nothing was removed: a joiner may have found `discarding` raised, and waits.
            self.notify_quiescent(is_first_failure);
        });
        remove(&count);
        drop(end);
    }
}
