//! Waiting for an operation on a thread. A task has the timers of its runtime instead.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::borrow::Borrow;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::task::Context;
use core::task::Poll;
use core::task::Waker;
use std::thread;
use std::thread::Thread;
use std::time::Instant;

use super::Operation;
use super::Waiting;
use super::complete;
use crate::attempt::Attempt;
use crate::channel::Change;
use crate::shared::Shared;
use crate::unwind::Guarded;
use crate::unwind::protect;

/// The name of the future. It is not polled after completion, so no user sees it.
const NAME: &str = "a blocking call";

/// Unparks a thread that waits in a blocking call. The thread polls again after every unpark.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Waiting<C, T, O> {
    /// Blocks the thread until the operation completes.
    pub(crate) fn block(self) -> O::Output {
        match self.block_until(None) {
            Ok(output) => output,
            Err(_) => unreachable!("there is no deadline"),
        }
    }

    /// Blocks the thread until the operation completes. Returns the operation if it has not completed
    /// at `deadline`. Attempts at least once, even if the deadline is past.
    pub(crate) fn block_until(mut self, deadline: Option<Instant>) -> Result<O::Output, O> {
        // Often nothing has to be waited for, and then nothing is allocated.
        let cx = &mut Context::from_waker(Waker::noop());
        match self.poll(NAME, cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => self.park_until(deadline),
        }
    }

    /// Waits for an operation that has to wait. A function of its own, so that calls which need not wait
    /// have no copies of a large item for it on their stack.
    #[inline(never)]
    fn park_until(mut self, deadline: Option<Instant>) -> Result<O::Output, O> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let cx = &mut Context::from_waker(&waker);
        loop {
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return self.give_up();
            }
            if let Poll::Ready(output) = self.poll(NAME, cx) {
                return Ok(output);
            }
            match left {
                None => thread::park(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Attempts for the last time. A poll would not do: it may yield to other waiters, or give up on
    /// [`Busy`](Attempt::Busy), although there is an item.
    fn give_up(mut self) -> Result<O::Output, O> {
        let Some(channel) = &self.channel else {
            unreachable!("the future has not completed");
        };
        // SAFETY: O1: the operation is used only if no attempt was done.
        let attempt = || unsafe { self.operation.attempt(channel.borrow()) };
        let done = match Attempt::retry_while_busy(attempt) {
            Attempt::Done(done) => Some(done),
            Attempt::Closed => None,
            Attempt::Blocked | Attempt::Busy => {
                let Some(operation) = self.cancel() else {
                    unreachable!("the future has not completed");
                };
                return Err(operation);
            }
        };
        let channel = Guarded::new(self.take_channel());
        let done = done.unwrap_or_else(|| {
            // SAFETY: O1: no attempt was done, and it is taken once.
            let operation = unsafe { ManuallyDrop::take(&mut self.operation) };
            (operation.closed(), Change::Nothing)
        });
        let output = complete::<T, O>(channel.deref().borrow(), &mut self.wait, done);
        Ok(protect(output, || drop(channel)))
    }
}
