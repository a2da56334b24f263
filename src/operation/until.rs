//! Waiting for an operation until another future is ready.

use core::borrow::Borrow;
use core::future::Future;
use core::mem;
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
use crate::unwind::run_one;
use crate::wait::WaitList;

/// The output of the operation; or, if it was stopped, the operation and the output of `stop`.
type Ended<T, O, F> = Result<<O as Operation<T>>::Output, (O, <F as Future>::Output)>;

/// An operation that records whether its last attempt was [`Blocked`](Attempt::Blocked).
struct Recording<O> {
    operation: O,
    is_blocked: bool,
}

impl<T, O: Operation<T>> Operation<T> for Recording<O> {
    type Output = O::Output;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        O::list(channel)
    }

    #[inline]
    unsafe fn try_attempt(&mut self, channel: &Shared<T>) -> Option<(Self::Output, Change)> {
        // SAFETY: the caller's guarantee.
        unsafe { self.operation.try_attempt(channel) }
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>) -> Attempt<(Self::Output, Change)> {
        // SAFETY: the caller's guarantee.
        let outcome = unsafe { self.operation.attempt(channel) };
        self.is_blocked = matches!(outcome, Attempt::Blocked);
        outcome
    }

    fn closed(self) -> Self::Output {
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
    ///    outcome. It has woken its task then, and the next poll attempts. So the operation is done if
    ///    it can be done, even if `stop` is ready from the start.
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

    pub(crate) fn has_completed(&self) -> bool {
        self.waiting.has_completed()
    }

    /// Polls the future called `name`.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        name: &str,
        cx: &mut Context<'_>,
    ) -> Poll<Ended<T, O, F>> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.waiting.poll(name, cx) {
            return Poll::Ready(Ok(protect(output, || this.stop.set(None))));
        }
        // Taken, so that it is from this poll.
        if !mem::take(&mut this.waiting.operation.is_blocked) {
            return Poll::Pending;
        }
        let Some(stop) = this.stop.as_mut().as_pin_mut() else {
            unreachable!("the future has not completed");
        };
        let output = Guarded::new(ready!(stop.poll(cx)));
        let Some(Recording { operation, .. }) = this.waiting.cancel() else {
            unreachable!("the future has not completed");
        };
        let operation = Guarded::new(operation);
        this.stop.set(None);
        Poll::Ready(Err((operation.into_inner(), output.into_inner())))
    }
}
