//! Waiting for an operation until another future is ready.

use core::borrow::Borrow;
use core::future::Future;
use core::mem;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use pin_project_lite::pin_project;

use super::Operation;
use super::Waiting;
use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::shared::Shared;
use crate::unwind::Guarded;
use crate::unwind::protect;
use crate::unwind::protect_in_place;
use crate::unwind::run_one;
use crate::wait::WaitList;

/// An operation that records whether its last attempt was [`Blocked`](Attempt::Blocked).
struct Recording<O> {
    operation: O,
    is_blocked: bool,
}

// SAFETY: O3: it attempts the operation it contains, with the same place.
unsafe impl<T, O: Operation<T>> Operation<T> for Recording<O> {
    type Output = O::Output;
    type Error = O::Error;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        O::list(channel)
    }

    #[inline]
    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Option<Change> {
        // SAFETY: the caller's guarantee.
        unsafe { self.operation.try_attempt(channel, out) }
    }

    #[inline]
    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        // SAFETY: the caller's guarantee.
        let outcome = unsafe { self.operation.attempt(channel, out) };
        self.is_blocked = matches!(outcome, Attempt::Blocked);
        outcome
    }

    fn closed(self) -> Self::Error {
        self.operation.closed()
    }

    #[inline]
    fn pause(channel: &Channel<T>) -> bool {
        O::pause(channel)
    }

    fn pass_on(channel: &Channel<T>) {
        O::pass_on(channel);
    }
}

pin_project! {
    /// An operation as a future, which ends early if the future `stop` is ready.
    ///
    /// The rules are:
    ///
    /// 1. `stop` is polled only in a poll whose last attempt found nothing to do. A poll may also be
    ///    `Pending` because it yields to a waiter, or because another thread is about to decide the
    ///    outcome. It has woken its task then, and one of the next polls attempts. So the operation is
    ///    done if it can be done, even if `stop` is ready from the start.
    /// 2. Once `stop` was ready, no attempt follows, and its output is returned. The caller may have
    ///    passed a reference to `stop`, and must learn that it may not be polled again.
    /// 3. `stop` is dropped in the poll that completes, while the result is guarded. Otherwise the
    ///    caller would drop it while it holds the result, and two panics would abort the process.
    pub(crate) struct Until<C: Borrow<Shared<T>>, T, O: Operation<T>, F> {
        waiting: Waiting<C, T, Recording<O>>,
        // `None` once completed.
        #[pin]
        stop: Option<F>,
    }

    impl<C: Borrow<Shared<T>>, T, O: Operation<T>, F> PinnedDrop for Until<C, T, O, F> {
        // The destructor of `stop` is user code. It may panic while the thread unwinds.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            run_one(|| this.stop.set(None));
        }
    }
}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>, F: Future> Until<C, T, O, F> {
    pub(crate) fn new(channel: C, operation: O, stop: F) -> Self {
        let operation = Recording {
            operation,
            is_blocked: false,
        };
        Self {
            waiting: Waiting::new(channel, operation),
            stop: Some(stop),
        }
    }

    #[inline]
    pub(crate) fn has_completed(&self) -> bool {
        self.waiting.has_completed()
    }

    /// Polls the future called `name`. If the operation ends without an output, returns what `closed`
    /// makes of its error, or `stopped` of the operation and the output of `stop`.
    pub(crate) fn poll<E>(
        self: Pin<&mut Self>,
        name: &str,
        cx: &mut Context<'_>,
        closed: impl FnOnce(O::Error) -> E,
        stopped: impl FnOnce(O, F::Output) -> E,
    ) -> Poll<Result<O::Output, E>> {
        let mut this = self.project();
        let mut out = MaybeUninit::uninit();
        match this.waiting.poll_in_place(name, cx, &mut out) {
            Poll::Ready(Ok(())) => {
                // SAFETY: this says that there is an output.
                unsafe { protect_in_place(&mut out, || this.stop.set(None)) };
                // SAFETY: as above; it is taken once.
                return Poll::Ready(Ok(unsafe { out.assume_init_read() }));
            }
            Poll::Ready(Err(error)) => {
                let error = protect(error, || this.stop.set(None));
                return Poll::Ready(Err(closed(error)));
            }
            Poll::Pending => {}
        }
        let Some((_, _, operation)) = this.waiting.pending() else {
            unreachable!("the future has not completed");
        };
        // Taken, so that it is from this poll.
        if !mem::take(&mut operation.is_blocked) {
            return Poll::Pending;
        }
        let Some(stop) = this.stop.as_mut().as_pin_mut() else {
            unreachable!("the future has not completed");
        };
        let output = Guarded::new(ready!(stop.poll(cx)));
        let Some(Recording { operation, .. }) = this.waiting.cancel() else {
            unreachable!("the future has not completed");
        };
        let operation = protect(operation, || this.stop.set(None));
        Poll::Ready(Err(stopped(operation, output.into_inner())))
    }
}
