//! Receiving a batch of items, or of tasks.

use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::RecvError;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::operation::Operation;
use crate::operation::Waiting;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::wait::WaitList;

/// Receives as many items of a channel of the kind `K` as there are, up to a maximum, but at least one.
/// Its output is how many.
pub(crate) struct RecvItems<'a, T, K: Kind> {
    buf: Exclusive<&'a mut Vec<K::Received<T>>>,
    max: u64,
}

// A panic leaves the vector valid: it holds what was received.
impl<T: UnwindSafe, K: Kind> UnwindSafe for RecvItems<'_, T, K> {}
impl<T: UnwindSafe, K: Kind> RefUnwindSafe for RecvItems<'_, T, K> {}

impl<'a, T, K: Kind> RecvItems<'a, T, K> {
    /// # Safety
    ///
    /// It is used on channels of kind `K` only.
    pub(crate) unsafe fn new(buf: &'a mut Vec<K::Received<T>>, max: NonZeroUsize) -> Self {
        Self {
            buf: Exclusive::new(buf),
            max: max.get() as u64,
        }
    }
}

// SAFETY: O3: what is done has written a count.
unsafe impl<T, K: Kind> Operation<T> for RecvItems<'_, T, K> {
    type Output = NonZeroUsize;
    type Error = RecvError;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_receivers()
    }

    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Option<Change> {
        if !channel.queue.looks_filled(1) {
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
        // SAFETY: the channel is of kind `K`, by `new`.
        let popped = unsafe { K::pop_many(channel, self.max, self.buf.get_mut()) };
        popped.map(|(count, change)| {
            // No more than `max`, so it is a `usize`.
            match NonZeroUsize::new(count as usize) {
                Some(count) => out.write(count),
                None => unreachable!("an attempt that is done has removed an item"),
            };
            change
        })
    }

    fn closed(self) -> Self::Error {
        RecvError
    }

    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_item()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_item_on();
    }
}

/// The future returned by [`Receiver::recv_many`](crate::Receiver::recv_many). It waits for an item,
/// and then receives all that are queued, up to a maximum.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(2);
/// let mut buf = Vec::new();
/// let mut recv = receiver.recv_many(&mut buf, NonZeroUsize::MAX);
/// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
/// sender.try_send(1)?;
/// sender.try_send(2)?;
/// assert_eq!(future::block_on(recv)?.get(), 2);
/// assert_eq!(buf, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvMany<'a, T, K: Kind = Plain>(Waiting<&'a Shared<T>, T, RecvItems<'a, T, K>>);

impl<'a, T, K: Kind> RecvMany<'a, T, K> {
    pub(crate) fn new(channel: &'a Shared<T>, operation: RecvItems<'a, T, K>) -> Self {
        Self(Waiting::new(channel, operation))
    }
}

impl<T, K: Kind> Future for RecvMany<'_, T, K> {
    type Output = Result<NonZeroUsize, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("RecvMany", cx)
    }
}

fused!([T, K: Kind] RecvMany<'_, T, K>: 0);

impl<T, K: Kind> fmt::Debug for RecvMany<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecvMany { .. }")
    }
}
