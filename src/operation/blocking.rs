//! Waiting for an operation on a thread. A task has the timers of its runtime instead.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::borrow::Borrow;
use core::mem::MaybeUninit;
use core::task::Context;
use core::task::Poll;
use core::task::Waker;
use std::thread;
use std::thread::Thread;
use std::time::Instant;

use super::Operation;
use super::Waiting;
use crate::attempt::Attempt;
use crate::shared::Shared;

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
    /// Blocks the thread until the operation completes, but not beyond `deadline`. Attempts at least once,
    /// even if the deadline is past. Returns an error that `error` makes of the operation's own, or of
    /// `None` if the deadline has passed.
    #[inline]
    pub(crate) fn block_until<E>(
        mut self,
        deadline: Option<Instant>,
        error: impl FnOnce(Option<O::Error>) -> E,
    ) -> Result<O::Output, E> {
        self.poll_or(NAME, Ok, |this| this.block_slow(deadline, error))
    }

    #[inline(never)]
    fn block_slow<E>(
        &mut self,
        deadline: Option<Instant>,
        error: impl FnOnce(Option<O::Error>) -> E,
    ) -> Result<O::Output, E> {
        let mut out = MaybeUninit::uninit();
        match self.block_in_place(deadline, &mut out) {
            // SAFETY: this says that there is an output. It is taken once.
            Ok(()) => Ok(unsafe { out.assume_init_read() }),
            Err(ended) => Err(error(ended)),
        }
    }

    /// Waits for an operation after its first try. Its output is in `out` if this returns no error.
    fn block_in_place(
        &mut self,
        deadline: Option<Instant>,
        out: &mut MaybeUninit<O::Output>,
    ) -> Result<(), Option<O::Error>> {
        // Often nothing has to be waited for, and then nothing is allocated.
        let cx = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = self.poll_slow_in_place(cx, out) {
            return result.map_err(Some);
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let cx = &mut Context::from_waker(&waker);
        loop {
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return self.give_up(out);
            }
            if let Poll::Ready(result) = self.poll_in_place(NAME, cx, out) {
                return result.map_err(Some);
            }
            match left {
                None => thread::park(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Attempts for the last time. A poll would not do: it may yield to other waiters, or give up on
    /// [`Busy`](Attempt::Busy), although there is an item.
    fn give_up(&mut self, out: &mut MaybeUninit<O::Output>) -> Result<(), Option<O::Error>> {
        let Some((channel, _, operation)) = self.pending() else {
            unreachable!("the future has not completed");
        };
        // SAFETY: O1: the operation is used only if no attempt was done.
        let attempt = || unsafe { operation.attempt(channel.borrow(), out) };
        match Attempt::retry_while_busy(attempt) {
            Attempt::Done(change) => {
                // SAFETY: O3.
                unsafe { self.complete_in_place(change, out) };
                Ok(())
            }
            Attempt::Closed => Err(Some(self.complete_closed())),
            Attempt::Blocked | Attempt::Busy => {
                drop(self.cancel());
                Err(None)
            }
        }
    }
}
