//! Sending a batch of items.

use alloc::collections::VecDeque;
use core::fmt;
use core::future::Future;
use core::mem::MaybeUninit;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use futures_core::FusedFuture;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::SendError;
use crate::operation::Operation;
use crate::operation::leave;
use crate::operation::poll;
use crate::operation::polled_after_completion;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::wait::Wait;
use crate::wait::WaitList;

/// Sends as many items of a batch as there is room for, but at least one. Its output is how many.
pub(crate) struct SendItems<'a, T>(&'a mut VecDeque<T>);

impl<'a, T> SendItems<'a, T> {
    pub(crate) fn new(items: &'a mut VecDeque<T>) -> Self {
        Self(items)
    }
}

// SAFETY: O3: what is done has written a count.
unsafe impl<T> Operation<T> for SendItems<'_, T> {
    type Output = usize;
    type Error = SendError<()>;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Option<Change> {
        if !channel.queue.looks_vacant(1) {
            return None;
        }
        // SAFETY: the caller's guarantee.
        unsafe { self.attempt(channel, out) }.done()
    }

    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        if self.0.is_empty() {
            return match channel.queue.is_closed() {
                true => Attempt::Closed,
                false => {
                    out.write(0);
                    Attempt::Done(Change::Nothing)
                }
            };
        }
        let pushed = channel.queue.push_many(self.0);
        // No more than were in the deque, so it is a `usize`.
        pushed.map(|count| {
            out.write(count as usize);
            Change::queued(count)
        })
    }

    fn closed(self) -> Self::Error {
        SendError(())
    }

    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_room()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_room_on();
    }
}

/// The future returned by [`Sender::send_many`](crate::Sender::send_many). It waits for room and sends
/// items, as often as necessary.
///
/// # Examples
///
/// ```
/// use std::collections::VecDeque;
///
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(2);
/// let mut items = VecDeque::from([1, 2, 3]);
/// let mut send = sender.send_many(&mut items);
/// assert!(future::block_on(future::poll_once(&mut send)).is_none());
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(future::block_on(&mut send), Ok(()));
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendMany<'a, T> {
    /// `None` once completed.
    channel: Option<&'a Shared<T>>,
    wait: Wait,
    items: Exclusive<&'a mut VecDeque<T>>,
}

// A panic leaves the deque valid: it holds the items that were not sent.
impl<T: UnwindSafe> UnwindSafe for SendMany<'_, T> {}
impl<T: UnwindSafe> RefUnwindSafe for SendMany<'_, T> {}

impl<'a, T> SendMany<'a, T> {
    /// How often a poll sends. Other threads may receive as fast as it sends, and a poll must end.
    const SENDS_PER_POLL: usize = 64;

    pub(crate) fn new(channel: &'a Shared<T>, items: &'a mut VecDeque<T>) -> Self {
        Self {
            channel: Some(channel),
            wait: Wait::default(),
            items: Exclusive::new(items),
        }
    }

    /// Sends until all items are sent. The deque is not empty. Each send that succeeds leaves the list,
    /// and the next one waits at its end, as if they were calls of `send`: a large batch does not hold
    /// up other senders.
    fn poll_sends(
        &mut self,
        channel: &Shared<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        for _ in 0..Self::SENDS_PER_POLL {
            let items = self.items.get_mut();
            ready!(poll(SendItems::new(items), channel, &mut self.wait, cx))?;
            // Last, so that a poll that returns `Pending` leaves items in the deque.
            if self.items.get_mut().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> Future for SendMany<'_, T> {
    type Output = Result<(), SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(channel) = this.channel else {
            polled_after_completion("SendMany");
        };
        // A poll that returns `Pending` leaves items in the deque, so it was empty from the start. It must
        // not yield to others.
        let result = match (this.items.get_mut().is_empty(), channel.queue.is_closed()) {
            (true, true) => Err(SendError(())),
            (true, false) => Ok(()),
            (false, _) => ready!(this.poll_sends(channel, cx)),
        };
        this.channel = None;
        Poll::Ready(result)
    }
}

impl<T> FusedFuture for SendMany<'_, T> {
    /// Returns `true` if the future has completed.
    fn is_terminated(&self) -> bool {
        self.channel.is_none()
    }
}

impl<T> Drop for SendMany<'_, T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            leave::<T, SendItems<'_, T>>(channel, &mut self.wait);
        }
    }
}

impl<T> fmt::Debug for SendMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendMany { .. }")
    }
}
