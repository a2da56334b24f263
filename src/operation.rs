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
//! * **O3** An attempt that is done has written its output to the place that it was given (unless that
//!   takes no space). Any other attempt has not.
//!
//! A large item is moved from one place to another as rarely as possible: an attempt to send copies it
//! from where it is to its slot, and an attempt to receive from the slot to where its caller wants it.
//! Without optimisation, each function that takes or returns an item by value has copies of its own on
//! the stack.

// an operation that waits, as a future
mod waiting;
// waiting on a thread
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
#[cfg(test)]
mod tests;
// waiting until another future is ready
mod until;

use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::task::Context;
use core::task::Poll;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::unwind::OnDrop;
use crate::unwind::protect;
use crate::unwind::protect_in_place;
use crate::wait::Wait;
use crate::wait::WaitList;

pub(crate) use self::until::Until;
pub(crate) use self::waiting::Waiting;

/// A verb of a channel.
///
/// # Safety
///
/// O3: an attempt that is done has written its output.
pub(crate) unsafe trait Operation<T>: Sized {
    /// What a caller gets from an attempt that is done.
    type Output;

    /// What a caller gets from an attempt that is [`Closed`](Attempt::Closed).
    type Error;

    /// The list in which its callers wait.
    fn list(channel: &Channel<T>) -> WaitList<'_>;

    /// Attempts the operation in one try, for callers that have not waited. `None` says nothing about
    /// the channel. Otherwise it writes its output to `out`, and returns what it has changed.
    ///
    /// # Safety
    ///
    /// O1: the caller does not use the operation after an attempt that was done.
    #[inline]
    unsafe fn try_attempt(
        &mut self,
        _: &Shared<T>,
        _: &mut MaybeUninit<Self::Output>,
    ) -> Option<Change> {
        None
    }

    /// Attempts the operation. When it is done, it writes its output to `out`, and returns what it has
    /// changed.
    ///
    /// # Safety
    ///
    /// O1: the caller does not use the operation after an attempt that was done.
    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change>;

    /// The error after an attempt that is [`Closed`](Attempt::Closed). Required if an attempt can be.
    fn closed(self) -> Self::Error {
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
pub(crate) fn look<R>(
    out: &mut MaybeUninit<R>,
    look: impl FnOnce() -> Attempt<R>,
) -> Attempt<Change> {
    // Pairs with what precedes the notification (Q3 of `waiters`).
    fence(Ordering::SeqCst);
    look().map(|output| {
        out.write(output);
        Change::Nothing
    })
}

/// Polls an operation that needs no memory between two polls, as that of a stream. `wait` is the state
/// of its caller as a waiter.
#[inline]
pub(crate) fn poll<T, O: Operation<T>>(
    operation: O,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<O::Output, O::Error>> {
    let done = |output| Poll::Ready(Ok(output));
    poll_or(operation, channel, wait, done, |operation, wait| {
        poll_slow(operation, channel, wait, cx)
    })
}

/// Makes the first try of [`poll`]. Returns what `done` makes of the output. If the caller may have to
/// wait, returns what `slow` returns, which is to call [`poll_slow`].
#[inline]
pub(crate) fn poll_or<T, O: Operation<T>, R>(
    operation: O,
    channel: &Shared<T>,
    wait: &mut Wait,
    done: impl FnOnce(O::Output) -> R,
    slow: impl FnOnce(O, &mut Wait) -> R,
) -> R {
    let mut operation = ManuallyDrop::new(operation);
    let mut out = MaybeUninit::uninit();
    // SAFETY: O1: the operation is not used after it is done.
    match unsafe { poll_first(&mut *operation, channel, wait, &mut out) } {
        Some(change) => {
            // SAFETY: O3.
            unsafe { complete_first(channel, &mut out, change) };
            // SAFETY: O3; it is taken once.
            done(unsafe { out.assume_init_read() })
        }
        None => slow(ManuallyDrop::into_inner(operation), wait),
    }
}

#[inline(never)]
pub(crate) fn poll_slow<T, O: Operation<T>>(
    operation: O,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<O::Output, O::Error>> {
    let mut operation = ManuallyDrop::new(operation);
    let mut out = MaybeUninit::uninit();
    // SAFETY: O1: the operation is not used after it is done.
    match unsafe { poll_in_loop(&mut *operation, channel, wait, cx, &mut out) } {
        Poll::Ready(Some(change)) => {
            // SAFETY: O3.
            unsafe { complete::<T, O>(channel, wait, &mut out, change) };
            // SAFETY: O3; it is taken once.
            Poll::Ready(Ok(unsafe { out.assume_init_read() }))
        }
        Poll::Ready(None) => {
            let error = ManuallyDrop::into_inner(operation).closed();
            Poll::Ready(Err(protect(error, || leave::<T, O>(channel, wait))))
        }
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
    operation: &mut O,
    channel: &Shared<T>,
    wait: &Wait,
    out: &mut MaybeUninit<O::Output>,
) -> Option<Change> {
    let yields = O::list(channel).yields;
    let are_due = || yields.is_some_and(|it| it.are_possible() && it.are_due());
    let may_try = wait.is_idle() && !are_due() && cfg!(not(loom));
    // SAFETY: the caller's guarantee.
    may_try.then(|| unsafe { operation.try_attempt(channel, out) })?
}

/// Polls in the wait loop. Ready with `None` if the last attempt was [`Closed`](Attempt::Closed).
///
/// # Safety
///
/// O1: the caller does not use the operation after this is ready with `Some`.
#[inline(always)]
unsafe fn poll_in_loop<T, O: Operation<T>>(
    operation: &mut O,
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
    out: &mut MaybeUninit<O::Output>,
) -> Poll<Option<Change>> {
    let pause = || O::pause(channel);
    // SAFETY: O1: the wait loop does not attempt again after it is done.
    let attempt = || unsafe { operation.attempt(channel, out) };
    wait.poll(O::list(channel), cx, pause, attempt)
}

/// Completes an operation after the first try of a caller that has not waited: notifies others of the
/// change. Drops the output in `out` if a waker panics (O2).
///
/// Usually there is no waiter to notify. Then no code runs that could panic, so the output can stay in
/// registers: it need not be in memory for unwinding to drop it.
///
/// # Safety
///
/// O3: the attempt was done, and `out` is its output.
#[inline]
unsafe fn complete_first<T, R>(channel: &Channel<T>, out: &mut MaybeUninit<R>, change: Change) {
    if channel.must_notify(change) {
        // SAFETY: the caller's guarantee.
        unsafe { protect_in_place(out, || notify(channel, change)) };
    }
}

#[inline(never)]
fn notify<T>(channel: &Channel<T>, change: Change) {
    channel.notify(change);
}

/// Completes an operation after an attempt in the wait loop: notifies others of the change, and leaves
/// the list. Drops the output in `out` if a waker panics (O2).
///
/// # Safety
///
/// O3: the attempt was done, and `out` is its output.
#[inline]
unsafe fn complete<T, O: Operation<T>>(
    channel: &Channel<T>,
    wait: &mut Wait,
    out: &mut MaybeUninit<O::Output>,
    change: Change,
) {
    let run = || {
        let leave = OnDrop(|| leave::<T, O>(channel, wait));
        channel.notify(change);
        drop(leave);
    };
    // SAFETY: the caller's guarantee.
    unsafe { protect_in_place(out, run) };
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

/// Completes an operation without an output, for a caller that has not waited. (A caller whose attempt
/// has an output protects it meanwhile.)
#[inline]
pub(crate) fn complete_now<T>(channel: &Channel<T>, change: Change) {
    if channel.must_notify(change) {
        notify(channel, change);
    }
}

/// Why an operation is not done.
pub(crate) enum Refused {
    Closed,
    /// It would have to wait.
    Blocked,
}

/// Completes an operation if it need not wait. Otherwise drops it, and returns what `error` returns.
#[inline(always)]
pub(crate) fn try_now<T, O: Operation<T>, E>(
    operation: O,
    channel: &Shared<T>,
    error: impl FnOnce(Refused) -> E,
) -> Result<O::Output, E> {
    let mut operation = ManuallyDrop::new(operation);
    let mut out = MaybeUninit::uninit();
    // SAFETY: O1: it is used only if there was no success.
    match unsafe { operation.try_attempt(channel, &mut out) } {
        Some(change) => {
            // SAFETY: O3.
            unsafe { complete_first(channel, &mut out, change) };
            // SAFETY: O3; it is taken once.
            Ok(unsafe { out.assume_init_read() })
        }
        None => try_now_slow(ManuallyDrop::into_inner(operation), channel, error),
    }
}

#[inline(never)]
fn try_now_slow<T, O: Operation<T>, E>(
    operation: O,
    channel: &Shared<T>,
    error: impl FnOnce(Refused) -> E,
) -> Result<O::Output, E> {
    let mut operation = ManuallyDrop::new(operation);
    let mut out = MaybeUninit::uninit();
    // SAFETY: O1: it is used only if there was no success.
    match unsafe { attempt_now(&mut *operation, channel, &mut out) } {
        Ok(change) => {
            // SAFETY: O3.
            unsafe { complete_first(channel, &mut out, change) };
            // SAFETY: O3; it is taken once.
            Ok(unsafe { out.assume_init_read() })
        }
        Err(refused) => {
            drop(ManuallyDrop::into_inner(operation));
            Err(error(refused))
        }
    }
}

/// Attempts an operation without waiting. The caller then notifies others of the change.
///
/// # Safety
///
/// O1: the caller does not use the operation after this returns `Ok`.
pub(crate) unsafe fn attempt_now<T, O: Operation<T>>(
    operation: &mut O,
    channel: &Shared<T>,
    out: &mut MaybeUninit<O::Output>,
) -> Result<Change, Refused> {
    // SAFETY: O1: it does not attempt again after it is done.
    let attempt = || unsafe { operation.attempt(channel, out) };
    match Attempt::retry_while_busy(attempt) {
        Attempt::Done(change) => Ok(change),
        Attempt::Closed => Err(Refused::Closed),
        Attempt::Blocked | Attempt::Busy => Err(Refused::Blocked),
    }
}

#[cold]
pub(crate) fn polled_after_completion(name: &str) -> ! {
    panic!("`{name}` polled after completion")
}
