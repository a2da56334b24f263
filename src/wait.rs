//! Waiting: where one future stands in a list of waiters, and the one wait loop of all futures and
//! streams.
//!
//! # Fairness
//!
//! A waiter keeps its place until it succeeds or gives up (Q1 of `waiters`). That does not help a
//! waiter if callers that need not wait are quicker every time it is notified:
//!
//! 1. Sender B sends into the last vacant slot and yields to other tasks. Sender A finds the
//!    channel full and waits.
//! 2. The receiver takes an item and notifies A, which is scheduled behind B.
//! 3. B finds the vacant slot and sends. A is polled, finds the channel full, and waits again.
//!
//! Waiters do the same to each other: one that is notified late, because a waiter before it saw
//! more items, may be polled just before the waiter that the next items are meant for.
//!
//! So a waiter that was notified in vain asks all others to [yield](Yields): each lets other tasks
//! run once before its first try, or before its first try after it was notified. After that it tries
//! like any other, so a waiter that asks and is never polled again holds up no other.

use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use crate::sync::Backoff;
use crate::sync::Hint;
use crate::waiters::Luck;
use crate::waiters::Place;
use crate::waiters::Waiters;

/// What a future does in the wait loop.
pub(crate) trait Operation {
    type Output;

    /// Where it waits.
    fn waiters(&self) -> &Waiters;

    /// Tries to complete. It may be called several times, and not after it is ready.
    fn attempt(&mut self) -> Attempt<Self::Output>;

    /// Pauses before it waits, if that is likely to pay; whether the task should then yield to
    /// others.
    fn pause(&self) -> bool {
        false
    }

    /// How those that wait ask newcomers to yield, if they may.
    fn yields(&self) -> Option<&Yields> {
        None
    }
}

/// What an attempt came to.
pub(crate) enum Attempt<R> {
    /// It has succeeded, or never can.
    Ready(R),
    /// The condition was untrue at one instant during the call. A notification follows when it may
    /// be true.
    Blocked,
    /// Another thread is within a few instructions of deciding it. No notification follows.
    Busy,
}

impl<R> Attempt<R> {
    #[inline]
    pub(crate) fn map<S>(self, f: impl FnOnce(R) -> S) -> Attempt<S> {
        match self {
            Self::Ready(result) => Attempt::Ready(f(result)),
            Self::Blocked => Attempt::Blocked,
            Self::Busy => Attempt::Busy,
        }
    }

    /// Attempts until it is decided; none if it is blocked. For callers that do not wait.
    #[inline]
    pub(crate) fn decided(mut attempt: impl FnMut() -> Self) -> Option<R> {
        let mut backoff = Backoff::default();
        loop {
            match attempt() {
                Self::Ready(result) => return Some(result),
                Self::Blocked => return None,
                Self::Busy => backoff.snooze(),
            }
        }
    }
}

/// How many more callers yield before their first try.
pub(crate) struct Yields(Hint);

impl Yields {
    /// How many callers yield for one request, so that it does not outlive its waiter for long.
    const FOR_ONE_REQUEST: usize = 64;

    pub(crate) fn new() -> Self {
        Self(Hint::new(0))
    }

    #[inline]
    pub(crate) fn are_requested(&self) -> bool {
        self.0.get() != 0
    }

    fn request(&self) {
        self.0.set(Self::FOR_ONE_REQUEST);
    }

    fn withdraw(&self) {
        self.0.set(0);
    }

    /// Whether the caller is to yield.
    fn take(&self) -> bool {
        let left = self.0.get();
        if left > 0 {
            self.0.set(left - 1);
        }
        left > 0
    }
}

/// Where one future stands in one list of waiters.
#[derive(Default)]
pub(crate) struct Wait(State);

#[derive(Default)]
enum State {
    /// In no list.
    #[default]
    Idle,
    /// In no list, and has let other tasks run.
    Yielded,
    /// In the list, or notified.
    Waiting(Place),
}

// A panic of user code leaves it in one of its states.
impl UnwindSafe for Wait {}
impl RefUnwindSafe for Wait {}

impl Wait {
    /// The wait loop: tries, lists itself if that was in vain, tries again, sleeps.
    ///
    /// When it is ready, no user code has run since the attempt, and the waiter may still be
    /// listed: the caller does at once what the success calls for, and then
    /// [`leave`](Self::leave)s.
    #[inline]
    pub(crate) fn poll<O: Operation>(
        &mut self,
        operation: &mut O,
        cx: &mut Context<'_>,
    ) -> Poll<O::Output> {
        if operation.yields().is_some_and(Yields::are_requested) && self.yields_to(operation) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A newcomer has mostly just tried, at no cost to the other end. A full attempt reads what
        // the other end writes, and so it comes after the pause.
        if self.is_idle() && operation.pause() {
            self.0 = State::Yielded;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut backoff = Backoff::default();
        let mut has_entered = false;
        loop {
            match operation.attempt() {
                Attempt::Ready(output) => return Poll::Ready(output),
                // This call has just listed its waker.
                Attempt::Blocked if has_entered => return Poll::Pending,
                Attempt::Blocked if self.is_listed() => {
                    if self.is_still_listed(operation.waiters(), cx.waker()) {
                        return Poll::Pending;
                    }
                }
                Attempt::Blocked => {
                    // A notification came before the attempt, so it is answered for.
                    self.enter(operation, cx.waker());
                    has_entered = true;
                }
                Attempt::Busy => {
                    backoff.snooze();
                    if backoff.has_slept() {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Whether it is its turn to let other tasks run.
    #[cold]
    fn yields_to<O: Operation>(&mut self, operation: &O) -> bool {
        let may_yield = match &mut self.0 {
            State::Idle => {
                self.0 = State::Yielded;
                true
            }
            State::Yielded | State::Waiting(Place::Crowd(_)) => false,
            State::Waiting(place) => {
                let is_out = operation.waiters().is_out(place);
                let (Place::Row { luck, .. } | Place::Notified { luck, .. }) = place else {
                    return false;
                };
                is_out && !luck.has_asked && !mem::replace(&mut luck.has_yielded, true)
            }
        };
        may_yield && operation.yields().is_some_and(Yields::take)
    }

    /// Whether a future may try at once what needs no list. (Not in a model, where each try of the
    /// wait loop would then be explored twice; `try_send` and `try_recv` begin with the same try.)
    #[inline]
    pub(crate) fn may_be_quick(&self) -> bool {
        self.is_idle() && cfg!(not(loom))
    }

    /// Whether it has neither waited nor yielded.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.0, State::Idle)
    }

    fn is_listed(&self) -> bool {
        matches!(&self.0, State::Waiting(place) if !matches!(place, Place::Notified { .. }))
    }

    fn enter<O: Operation>(&mut self, operation: &O, waker: &Waker) {
        let own = waker.clone();
        let waiters = operation.waiters();
        let place = match self.0 {
            State::Waiting(Place::Notified { ticket, .. }) => {
                waiters.reenter(ticket, own);
                let asks = operation.yields().inspect(|yields| yields.request());
                let luck = Luck {
                    has_asked: asks.is_some(),
                    has_yielded: false,
                };
                Place::Row { ticket, luck }
            }
            _ => waiters.enter(own),
        };
        self.0 = State::Waiting(place);
    }

    /// Whether a listed waiter has not been notified yet; if so, `waker` is the one to wake.
    fn is_still_listed(&mut self, waiters: &Waiters, waker: &Waker) -> bool {
        match &mut self.0 {
            State::Waiting(place) => waiters.update(place, waker),
            State::Idle | State::Yielded => false,
        }
    }

    /// Leaves the list, with success or without; true if a notification was spent on this waiter.
    /// The caller answers for it: if the condition still holds, it notifies another (Q4).
    ///
    /// After a success too, for that makes up for notifications that others keep to themselves:
    ///
    /// 1. Stream S and receivers R and T wait, in this order; two items come, and S and R are
    ///    notified.
    /// 2. S is not polled again, nor dropped. R takes the first item.
    /// 3. The second item is there, and T sleeps: its notification was spent on S.
    #[inline]
    #[must_use = "a notification that was spent on this waiter must be passed on"]
    pub(crate) fn leave(&mut self, waiters: &Waiters, yields: Option<&Yields>) -> bool {
        match &self.0 {
            State::Idle => false,
            State::Waiting(place @ Place::Row { luck, .. })
                if !luck.has_asked && waiters.is_out(place) =>
            {
                // Nothing to drop.
                mem::forget(mem::take(&mut self.0));
                true
            }
            _ => self.leave_list(waiters, yields),
        }
    }

    #[inline(never)]
    fn leave_list(&mut self, waiters: &Waiters, yields: Option<&Yields>) -> bool {
        let State::Waiting(place) = mem::take(&mut self.0) else {
            return false;
        };
        if place.luck().has_asked {
            yields.inspect(|yields| yields.withdraw());
        }
        waiters.leave(place)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Context;
    use std::task::Poll;
    use std::task::Wake;
    use std::task::Waker;

    use super::Attempt;
    use super::Operation;
    use super::Wait;
    use super::Waiters;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Always succeeds, after a pause that pays.
    struct Eager(Waiters);

    impl Operation for Eager {
        type Output = ();

        fn waiters(&self) -> &Waiters {
            &self.0
        }

        fn attempt(&mut self) -> Attempt<()> {
            Attempt::Ready(())
        }

        fn pause(&self) -> bool {
            true
        }
    }

    #[test]
    fn task_that_paused_too_often_yields_once() {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut operation = Eager(Waiters::new());
        let mut wait = Wait::default();
        assert_eq!(wait.poll(&mut operation, cx), Poll::Pending);
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(!operation.0.is_awaited());
        assert_eq!(wait.poll(&mut operation, cx), Poll::Ready(()));
        assert!(!wait.leave(&operation.0, None));
    }
}
