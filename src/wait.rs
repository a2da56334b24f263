//! Waiting: the wait lists of a channel, and the one wait loop of all futures and streams.
//!
//! # Fairness
//!
//! A waiter keeps its place until it succeeds or gives up (Q1 of `waiters`). That does not help if,
//! each time it is notified, a caller that need not wait takes the item or the slot first:
//!
//! 1. Sender B sends into the last vacant slot and yields to other tasks. Sender A finds the
//!    channel full and waits.
//! 2. The receiver takes an item and notifies A, which is scheduled behind B.
//! 3. B finds the vacant slot and sends. A is polled, finds the channel full, and waits again.
//!
//! Waiters do the same to each other. A waiter may be notified late, because the waiter before it saw
//! more items. It may then be polled just before the waiter that was notified of the next item.
//!
//! So a waiter that was notified in vain requests that all others [yield](Yields): each other
//! caller lets other tasks run before its first try, or before its first try after it was notified.
//!
//! For callers that are not registered, one yield is not always enough, nor is any other fixed number.
//! They may be polled in a rhythm in which they are too early each time:
//!
//! 1. A and B have yielded, and so are scheduled. The sender finds room for two items, and notifies
//!    C and D, which have requested. They are scheduled behind A and B.
//! 2. A takes an item, which notifies the sender. Its next call yields. B does the same.
//! 3. C and D are polled in vain, and request again. The sender is next, then A and B, as in step 1.
//!
//! So while the request stands, such a caller yields again with probability 1/2. It stands for a limited
//! number of yields (Y2 of `yields`), so a waiter that requests and is never polled again holds up no
//! other caller for long.
//!
//! # Budget
//!
//! A task that never has to wait lets no other task of its thread run. So a channel may have a
//! budget: after that many calls of one side, the next caller yields before its first try. Only a
//! caller that is not registered does so. A waiter that was notified does not, so no notification is
//! held up.
//!
//! All callers of a side share its budget. If each merely used what the others had left, some tasks
//! could get the whole budget in each of their turns, and others nearly none of it:
//!
//! 1. Sender A sends as many items as the budget allows. This fills the channel, so A waits.
//! 2. A receiver takes them all, which notifies A.
//! 3. Sender B has yielded, and is polled first. It sends one item, finds the budget spent, renews it
//!    and yields. A is polled next, as in step 1.
//!
//! So a caller that has yielded renews the budget when it is polled again. If others have used it
//! meanwhile, its new size is random, since turns of equal size can also be in step with the capacity.

use core::mem;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::task::Context;
use core::task::Poll;
use core::task::Waker;
#[cfg(feature = "tracing")]
use core::time::Duration;

use crate::attempt::Attempt;
use crate::sync::Backoff;

// whether it pays to pause before waiting
mod adaptive_pause;
// a lock that publishes the front of the list it guards
mod front_lock;
// the waiters for one condition, in the order in which they came
mod waiters;
// whether callers yield before they try
mod yields;
// how long a caller has been waiting
mod since;
// the lists of one channel
mod lists;

pub(crate) use self::lists::WaitList;
pub(crate) use self::lists::WaitLists;
use self::since::Since;
use self::waiters::Registration;
pub(crate) use self::waiters::Waiters;
use self::waiters::Yielding;
use self::yields::Yields;

/// The state of one future or stream as a waiter of one list.
#[derive(Default)]
pub(crate) struct Wait(State, Since);

#[derive(Default)]
enum State {
    /// Not registered.
    #[default]
    Idle,
    /// Not registered, and has let other tasks run.
    Yielded,
    /// Registered, or notified.
    Waiting(Registration),
}

// A panic of user code leaves a `Wait` in a valid state.
impl UnwindSafe for Wait {}
impl RefUnwindSafe for Wait {}

impl Wait {
    /// The wait loop: attempts; if that was in vain, registers and attempts again; and if that was in
    /// vain too, returns `Pending`.
    ///
    /// `pause` is called before the first attempt of a caller that has not waited. It may pause the
    /// thread, and returns whether the task should then yield to others. `attempt` may be called
    /// several times, but not after it returned `Done`. Returns `None` if it returned `Closed`.
    ///
    /// When this returns `Ready`, no user code has run since the attempt, and the waiter may still be
    /// registered. The caller immediately notifies other waiters of what the attempt changed, and then
    /// calls [`leave`](Self::leave).
    #[inline(always)]
    pub(crate) fn poll<R>(
        &mut self,
        list: WaitList<'_>,
        cx: &mut Context<'_>,
        pause: impl FnOnce() -> bool,
        mut attempt: impl FnMut() -> Attempt<R>,
    ) -> Poll<Option<R>> {
        if list.yields.is_some_and(Yields::are_possible) && self.yields_to_others(list) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A caller that has not waited has usually made a cheap first try already. A full attempt
        // reads what the other end writes, and slows the other end down, so it comes after the pause.
        if self.is_idle() && pause() {
            self.0 = State::Yielded;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut backoff = Backoff::default();
        let mut has_registered = false;
        loop {
            match attempt() {
                Attempt::Done(output) => return Poll::Ready(Some(output)),
                Attempt::Closed => return Poll::Ready(None),
                // This call has just registered its waker.
                Attempt::Blocked if has_registered => return Poll::Pending,
                Attempt::Blocked if self.is_registered() => {
                    if self.update_waker(list.waiters, cx.waker()) {
                        return Poll::Pending;
                    }
                }
                Attempt::Blocked => {
                    // A notification came before the attempt, so the waiter has done its duty (Q4).
                    self.register(list, cx.waker());
                    has_registered = true;
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

    /// Whether this poll lets other tasks run, because a waiter has requested it, or because the budget
    /// is spent.
    #[cold]
    fn yields_to_others(&mut self, list: WaitList<'_>) -> bool {
        let Some(yields) = list.yields else {
            return false;
        };
        let may_yield = match &mut self.0 {
            State::Idle => {
                let is_due = yields.take();
                if is_due {
                    self.0 = State::Yielded;
                }
                return is_due;
            }
            State::Yielded => return yields.take_again(),
            State::Waiting(Registration::InOverflow(_)) => false,
            State::Waiting(_) if !yields.are_requested() => false,
            State::Waiting(registration) => {
                let is_notified = list.waiters.is_notified(registration);
                let (Registration::InList { yielding, .. }
                | Registration::Notified { yielding, .. }) = registration
                else {
                    return false;
                };
                is_notified
                    && !yielding.has_requested
                    && !mem::replace(&mut yielding.has_yielded, true)
            }
        };
        may_yield && yields.take_requested()
    }

    /// Whether it has neither waited nor yielded.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.0, State::Idle)
    }

    fn is_registered(&self) -> bool {
        matches!(
            self.0,
            State::Waiting(Registration::InList { .. } | Registration::InOverflow(_))
        )
    }

    fn register(&mut self, list: WaitList<'_>, waker: &Waker) {
        self.1.begin();
        let waker = waker.clone();
        let registration = match self.0 {
            State::Waiting(Registration::Notified { seq, .. }) => {
                list.waiters.register_again(seq, waker);
                list.yields.inspect(|yields| yields.request());
                let yielding = Yielding {
                    has_requested: list.yields.is_some(),
                    has_yielded: false,
                };
                Registration::InList { seq, yielding }
            }
            _ => list.waiters.register(waker),
        };
        self.0 = State::Waiting(registration);
    }

    /// Makes `waker` the one to wake. Returns false if the waiter has been notified.
    fn update_waker(&mut self, waiters: &Waiters, waker: &Waker) -> bool {
        match &mut self.0 {
            State::Waiting(registration) => waiters.update_waker(registration, waker),
            State::Idle | State::Yielded => false,
        }
    }

    /// Called before [`leave`](Self::leave). Returns how long the caller has waited, if that was measured.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(crate) fn end(&mut self) -> Option<Duration> {
        self.1.end()
    }

    /// Leaves the list, whether the operation succeeded or not. Returns true if this waiter was given
    /// a notification: if the condition still holds, the caller notifies another waiter (Q4).
    ///
    /// The caller does so even after a success, because another waiter may keep a notification without
    /// using it:
    ///
    /// 1. Stream S and receivers R and T wait, in this order. Two items come, and S and R are
    ///    notified.
    /// 2. S is neither polled again nor dropped. R takes the first item.
    /// 3. The second item is queued, but T sleeps: the notification for that item was given to S.
    #[inline]
    #[must_use = "a notification that this waiter was given must be passed on"]
    pub(crate) fn leave(&mut self, list: WaitList<'_>) -> bool {
        match &self.0 {
            State::Idle => false,
            State::Waiting(registration @ Registration::InList { yielding, .. })
                if !yielding.has_requested && list.waiters.is_notified(registration) =>
            {
                // Nothing to drop.
                mem::forget(mem::take(&mut self.0));
                true
            }
            _ => self.leave_slow(list),
        }
    }

    #[inline(never)]
    fn leave_slow(&mut self, list: WaitList<'_>) -> bool {
        let State::Waiting(registration) = mem::take(&mut self.0) else {
            return false;
        };
        if registration.yielding().has_requested {
            list.yields.inspect(|yields| yields.withdraw());
        }
        list.waiters.unregister(registration)
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use alloc::vec::Vec;
    use core::sync::atomic::AtomicUsize;
    use core::sync::atomic::Ordering;
    use core::task::Context;
    use core::task::Poll;
    use core::task::Waker;

    use super::Attempt;
    use super::Wait;
    use super::WaitLists;
    use super::Waiters;
    use super::Yields;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Y1 to Y3 of `yields`, for a caller that is not registered.
    #[test]
    fn caller_yields_again_while_there_is_request() {
        let lists = WaitLists::new(None);
        let list = lists.of_receivers();
        let call = |before_poll: fn(&Yields)| {
            let calls = Arc::new(Calls::default());
            let waker = Waker::from(calls.clone());
            let mut wait = Wait::default();
            let mut polls = 0..100;
            while polls.next().is_some() {
                before_poll(list.yields.unwrap());
                let cx = &mut Context::from_waker(&waker);
                let polled = wait.poll(list, cx, || false, || Attempt::Done(()));
                if polled.is_ready() {
                    break;
                }
                // It has woken itself.
                assert_eq!(calls.0.load(Ordering::Relaxed), polls.start);
                assert!(!list.waiters.has_waiters());
            }
            assert!(!wait.leave(list));
            polls.start - 1
        };
        let counts: Vec<_> = (0..100).map(|_| call(Yields::request)).collect();
        assert!(counts.iter().all(|it| (1..20).contains(it)), "{counts:?}");
        let sum: usize = counts.iter().sum();
        assert!((150..250).contains(&sum), "{counts:?}");
        let counts: Vec<_> = (0..100).map(|_| call(|_| {})).collect();
        assert!(counts.iter().sum::<usize>() <= Yields::PER_REQUEST);
        assert_eq!(counts[99], 0);
    }

    #[test]
    fn pause_that_asks_to_yield_yields_once() {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let cx = &mut Context::from_waker(&waker);
        let waiters = Waiters::new();
        let mut wait = Wait::default();
        let mut poll = || wait.poll((&waiters).into(), cx, || true, || Attempt::Done(()));
        assert_eq!(poll(), Poll::Pending);
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(!waiters.has_waiters());
        assert_eq!(poll(), Poll::Ready(Some(())));
        assert!(!wait.leave((&waiters).into()));
    }
}
