//! One verb of the channel as an [`Operation`], and everything that all verbs have in common: polling,
//! completion, cancellation, and trying without waiting.
//!
//! A verb defines what one attempt does, and in which list its callers wait. [`Waiting`] makes a future
//! of it, and [`Until`] one that another future can stop.
//!
//! # Invariants
//!
//! * **O1** An attempt that is done consumes the operation: it is neither used nor dropped after that.
//! * **O2** Between the last attempt and the notification of others, no user code runs. If a waker
//!   panics then, the waiter still leaves its list, and the output is dropped.

// waiting on a thread
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[cfg(test)]
mod tests;
// waiting until another future is ready
mod until;

use core::borrow::Borrow;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::unwind::Guarded;
use crate::unwind::OnDrop;
use crate::unwind::protect;
use crate::wait::Wait;
use crate::wait::WaitList;

pub(crate) use self::until::Until;

/// A verb of a channel.
pub(crate) trait Operation<T>: Sized {
    type Output;

    /// The list in which its callers wait.
    fn list(channel: &Channel<T>) -> WaitList<'_>;

    /// Attempts the operation in one try, for callers that have not waited. `None` says nothing about
    /// the channel.
    ///
    /// # Safety
    ///
    /// O1: the caller does not use the operation after an attempt that was done.
    #[inline]
    unsafe fn try_attempt(&mut self, _: &Shared<T>) -> Option<(Self::Output, Change)> {
        None
    }

    /// Attempts the operation. When it is done, also returns what it has changed.
    ///
    /// # Safety
    ///
    /// O1: the caller does not use the operation after an attempt that was done.
    unsafe fn attempt(&mut self, channel: &Shared<T>) -> Attempt<(Self::Output, Change)>;

    /// The output of an attempt that is [`Closed`](Attempt::Closed). Required if any is.
    fn closed(self) -> Self::Output {
        unreachable!("no attempt of this operation is `Closed`")
    }

    /// May pause the thread before a newcomer waits. Returns whether the task should then yield to
    /// others.
    #[inline]
    fn pause(_: &Channel<T>) -> bool {
        false
    }

    /// Notifies another waiter if the condition holds. Called for a waiter that was notified and does
    /// not need its notification.
    fn pass_on(_: &Channel<T>) {}
}

/// Makes an attempt of a check that changes nothing.
pub(crate) fn look<R>(look: impl FnOnce() -> Attempt<R>) -> Attempt<(R, Change)> {
    // Pairs with what precedes the notification (Q3 of `waiters`).
    fence(Ordering::SeqCst);
    look().map(|output| (output, Change::Nothing))
}

/// Polls an operation that needs no memory between two polls, as that of a stream. `wait` is the state
/// of its caller as a waiter.
#[inline]
pub(crate) fn poll<T, O: Operation<T>>(
    operation: O,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<O::Output> {
    let mut operation = ManuallyDrop::new(operation);
    // SAFETY: O1: the operation is not used after it is done.
    match unsafe { poll_first(&mut operation, channel, wait) } {
        Some(done) => Poll::Ready(complete_first(channel, done)),
        None => poll_slow(ManuallyDrop::into_inner(operation), channel, wait, cx),
    }
}

#[inline(never)]
fn poll_slow<T, O: Operation<T>>(
    operation: O,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<O::Output> {
    let mut operation = ManuallyDrop::new(operation);
    // SAFETY: O1: the operation is not used after it is done.
    match unsafe { poll_in_loop(&mut operation, channel, wait, cx) } {
        Poll::Ready(done) => Poll::Ready(complete::<T, O>(channel, wait, done)),
        Poll::Pending => {
            drop(ManuallyDrop::into_inner(operation));
            Poll::Pending
        }
    }
}

/// The first try of a caller that has not waited. It is skipped if the caller has to yield before. Small,
/// so that callers inline it.
///
/// It is also skipped in a model, which would explore each attempt twice. (Models of `try_send` and
/// `try_recv` cover this first try.)
///
/// # Safety
///
/// O1: the caller does not use the operation after this returns `Some`.
#[inline]
unsafe fn poll_first<T, O: Operation<T>>(
    operation: &mut ManuallyDrop<O>,
    channel: &Shared<T>,
    wait: &Wait,
) -> Option<(O::Output, Change)> {
    let yields = O::list(channel).yields;
    let are_due = || yields.is_some_and(|it| it.are_possible() && it.are_due());
    let may_try = wait.is_idle() && !are_due() && cfg!(not(loom));
    // SAFETY: the caller's guarantee.
    may_try.then(|| unsafe { operation.try_attempt(channel) })?
}

/// Polls in the wait loop.
///
/// # Safety
///
/// O1: the caller does not use the operation after this is ready.
#[inline(always)]
unsafe fn poll_in_loop<T, O: Operation<T>>(
    operation: &mut ManuallyDrop<O>,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<(O::Output, Change)> {
    let pause = || O::pause(channel);
    // SAFETY: O1: the wait loop does not attempt again after it is done.
    let attempt = || unsafe { operation.attempt(channel) };
    let done = ready!(wait.poll(O::list(channel), cx, pause, attempt));
    Poll::Ready(done.unwrap_or_else(|| {
        // SAFETY: O1: no attempt was done, and by the caller's guarantee the operation is not used
        // after this.
        let operation = unsafe { ManuallyDrop::take(operation) };
        (operation.closed(), Change::Nothing)
    }))
}

/// Completes an operation after the first try of a caller that has not waited: notifies others of the
/// change.
///
/// Usually there is no waiter to notify. Then no code runs that could panic, so the output can stay in
/// registers: it need not be in memory for unwinding to drop it.
#[inline]
fn complete_first<T, R>(channel: &Channel<T>, (output, change): (R, Change)) -> R {
    if channel.must_notify(change) {
        protect(output, || notify(channel, change))
    } else {
        output
    }
}

#[inline(never)]
fn notify<T>(channel: &Channel<T>, change: Change) {
    channel.notify(change);
}

/// Completes an operation after a ready attempt: notifies others of the change, and leaves the list.
#[inline]
fn complete<T, O: Operation<T>>(
    channel: &Channel<T>,
    wait: &mut Wait,
    (output, change): (O::Output, Change),
) -> O::Output {
    // O2.
    protect(output, || {
        let leave = OnDrop(|| leave::<T, O>(channel, wait));
        channel.notify(change);
        drop(leave);
    })
}

/// Leaves the list, with success or without (Q4 of `waiters`).
#[inline]
pub(crate) fn leave<T, O: Operation<T>>(channel: &Channel<T>, wait: &mut Wait) {
    let list = O::list(channel);
    // Last (E1 of `channel::events`), and even if a waker panics.
    #[cfg(feature = "tracing")]
    let waited = wait.end();
    #[cfg(feature = "tracing")]
    let trace = OnDrop(|| {
        if let Some(waited) = waited {
            channel.trace_wait(list, waited);
        }
    });
    if wait.leave(list) {
        O::pass_on(channel);
    }
    #[cfg(feature = "tracing")]
    drop(trace);
}

/// Completes an operation if it need not wait. Calls `tried` with its output, or with the operation
/// itself if it would have to wait, and returns what `tried` returns.
#[inline(always)]
pub(crate) fn try_now<T, O: Operation<T>, R>(
    operation: O,
    channel: &Shared<T>,
    tried: impl FnOnce(Result<O::Output, O>) -> R,
) -> R {
    let mut operation = ManuallyDrop::new(operation);
    // SAFETY: O1: it is used only if there was no success.
    match unsafe { operation.try_attempt(channel) } {
        Some(done) => tried(Ok(complete_first(channel, done))),
        None => try_now_slow(ManuallyDrop::into_inner(operation), channel, tried),
    }
}

#[inline(never)]
fn try_now_slow<T, O: Operation<T>, R>(
    operation: O,
    channel: &Shared<T>,
    tried: impl FnOnce(Result<O::Output, O>) -> R,
) -> R {
    let mut operation = ManuallyDrop::new(operation);
    // SAFETY: O1: it does not attempt again after it is done.
    let attempt = || unsafe { operation.attempt(channel) };
    tried(match Attempt::retry_while_busy(attempt) {
        Attempt::Done(done) => Ok(complete_first(channel, done)),
        Attempt::Closed => Ok(ManuallyDrop::into_inner(operation).closed()),
        Attempt::Blocked | Attempt::Busy => Err(ManuallyDrop::into_inner(operation)),
    })
}

/// An operation on a channel, as a future: `C` is a handle, or a reference to one.
pub(crate) struct Waiting<C: Borrow<Shared<T>>, T, O: Operation<T>> {
    /// `None` once completed.
    channel: Option<C>,
    /// Idle once it has left the list, so there is nothing to drop then.
    wait: ManuallyDrop<Wait>,
    /// Initialised while `channel` is `Some` (O1).
    operation: ManuallyDrop<O>,
    item: PhantomData<fn() -> T>,
}

// Items are never pinned.
impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Unpin for Waiting<C, T, O> {}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Waiting<C, T, O> {
    #[inline]
    pub(crate) fn new(channel: C, operation: O) -> Self {
        Self {
            channel: Some(channel),
            wait: ManuallyDrop::default(),
            operation: ManuallyDrop::new(operation),
            item: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn has_completed(&self) -> bool {
        self.channel.is_none()
    }

    /// The channel, unless the future has completed.
    pub(crate) fn channel(&self) -> Option<&Channel<T>> {
        self.channel.as_ref().map(|channel| &**channel.borrow())
    }

    /// Polls the future called `name`.
    #[inline(always)]
    pub(crate) fn poll(&mut self, name: &str, cx: &mut Context<'_>) -> Poll<O::Output> {
        let Some(channel) = &self.channel else {
            polled_after_completion(name);
        };
        let shared = channel.borrow();
        // Read once: after an exchange, the compiler would read it through `shared` again.
        let channel: &Channel<T> = shared;
        // SAFETY: O1: the future is marked as completed before anything else can use the operation.
        let first = unsafe { poll_first(&mut self.operation, shared, &self.wait) };
        let Some((output, change)) = first else {
            return self.poll_slow(cx);
        };
        if channel.must_notify(change) {
            let channel = Guarded::new(self.take_channel());
            let output = protect(output, || notify(channel.deref().borrow(), change));
            return Poll::Ready(protect(output, || drop(channel)));
        }
        // A handle may be the last of its side, whose destructor runs user code.
        Poll::Ready(protect(output, || self.channel = None))
    }

    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        let Some(channel) = &self.channel else {
            unreachable!("the future has not completed");
        };
        let channel = channel.borrow();
        let wait = &mut self.wait;
        // SAFETY: O1: as in `poll`.
        let done = ready!(unsafe { poll_in_loop(&mut self.operation, channel, wait, cx) });
        let channel = Guarded::new(self.take_channel());
        let output = complete::<T, O>(channel.deref().borrow(), &mut self.wait, done);
        Poll::Ready(protect(output, || drop(channel)))
    }

    /// Cancels the operation and returns it. Returns `None` if the future has completed, as it then has.
    pub(crate) fn cancel(&mut self) -> Option<O> {
        let channel = Guarded::new(self.channel.take()?);
        // SAFETY: O1: `channel` was `Some`, so the operation is initialised. It is taken once.
        let operation = Guarded::new(unsafe { ManuallyDrop::take(&mut self.operation) });
        leave::<T, O>(channel.deref().borrow(), &mut self.wait);
        // Here, because both this and the above run user code. If it panicked while this function
        // returned, the compiler would leak the operation (rust-lang/rust#47949).
        drop(channel);
        Some(operation.into_inner())
    }

    /// Marks the future as completed. After a ready attempt this comes first, so that the operation is
    /// not used again if a waker panics.
    #[inline]
    fn take_channel(&mut self) -> C {
        match self.channel.take() {
            Some(channel) => channel,
            None => unreachable!("the future has not completed"),
        }
    }
}

#[cold]
pub(crate) fn polled_after_completion(name: &str) -> ! {
    panic!("`{name}` polled after completion")
}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Drop for Waiting<C, T, O> {
    /// Cancels the operation, unless the future has completed.
    #[inline]
    fn drop(&mut self) {
        let Some(channel) = &self.channel else {
            return;
        };
        // SAFETY: O1: `channel` is `Some`, so the operation is initialised. It is taken once.
        let operation = Guarded::new(unsafe { ManuallyDrop::take(&mut self.operation) });
        leave::<T, O>(channel.borrow(), &mut self.wait);
        drop(operation);
    }
}
