//! Waiting for an operation on a thread. A task has the timers of its runtime instead.

use std::borrow::Borrow;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;
use std::thread;
use std::thread::Thread;
use std::time::Instant;

use super::Operation;
use super::Waiting;
use super::leave;
use crate::shared::Shared;
use crate::unwind::Guarded;

/// Unparks a thread that waits in a blocking call. The thread polls again, whoever unparked it.
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
    /// at `deadline`; also a deadline that is past is tried for.
    pub(crate) fn block_until(mut self, deadline: Option<Instant>) -> Result<O::Output, O> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let cx = &mut Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = self.poll("a blocking call", cx) {
                return Ok(output);
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::park_timeout(left);
                continue;
            }
            // The last poll may have yielded to others without an attempt. Two in a row do not.
            if let Poll::Ready(output) = self.poll("a blocking call", cx) {
                return Ok(output);
            }
            return Err(self.cancel());
        }
    }

    /// Gives the operation up.
    fn cancel(mut self) -> O {
        let channel = Guarded::new(self.take_channel());
        // SAFETY: O1: `channel` was there, so the operation is, and it is taken once.
        let operation = Guarded::new(unsafe { ManuallyDrop::take(&mut self.operation) });
        leave::<T, O>(channel.deref().borrow(), &mut self.wait);
        drop(channel);
        operation.into_inner()
    }
}
