//! The sending handle.

// The documentation lists the methods in the order of these modules.

// sending an item
mod item;
// sending several items
mod several;
// waiting for room
mod room;
// closing the channel
mod closing;
// observing the channel
mod observing;

use alloc::boxed::Box;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr;
use core::task::Context;
use core::task::Poll;

use crate::future::UntilRoom;
use crate::operation::Operation;
use crate::operation::leave;
use crate::operation::poll;
use crate::shared::SenderSide;
use crate::wait::Wait;

/// The sending side of a channel.
///
/// It can be cloned, and shared between threads. Dropping the last sender closes the channel;
/// queued items can still be received.
///
/// A sender that a panic drops is a failure, which `join`, `finished` and `failed` report: its producer may
/// not have sent everything. So is a future of [`into_send`](Self::into_send) or a sink that a panic drops,
/// because each owns a sender. The report counts them in [`failed_senders`](crate::Report::failed_senders),
/// whatever task or thread held them. (None is counted after a call has seen that the channel is finished.) A producer that
/// ends early with an error says so by [`fail`](Self::fail). (Without the feature `std`, it is not known
/// whether a panic drops a sender.)
///
/// # Which call to use
///
/// | to send | futures | calls that block the thread | calls that never wait |
/// |---|---|---|---|
/// | an item | [`send`](Self::send) | [`send_blocking`](Self::send_blocking) | [`try_send`](Self::try_send) |
/// | an item, for a limited time | [`send_until`](Self::send_until) | [`send_timeout`](Self::send_timeout), [`send_deadline`](Self::send_deadline) | |
/// | an item that stays with you until it is sent | [`send_from`](Self::send_from) | | |
/// | an item, by a future that can be spawned | [`into_send`](Self::into_send) | | |
/// | the latest item, in place of the oldest | | | [`force_send`](Self::force_send) |
/// | several items | [`send_many`](Self::send_many) | | [`try_send_many`](Self::try_send_many) |
/// | an item that you make when there is room | [`ready`](Self::ready), [`poll_ready`](Self::poll_ready) | | |
///
/// With the feature `futures`, `into_sink` makes a futures `Sink` of a sender.
///
/// [`close`](Self::close) ends sending. [`close_now`](Self::close_now) also takes out what is queued.
/// [`closed`](Self::closed) waits until the channel is closed. [`fail`](Self::fail) ends one sender with
/// an error.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// let other = sender.clone();
/// sender.send(1).await?;
/// other.send(2).await?;
/// drop((sender, other));
///
/// assert_eq!(receiver.recv().await, Ok(1));
/// assert_eq!(receiver.recv().await, Ok(2));
/// assert!(receiver.recv().await.is_err());
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
pub struct Sender<T>(
    pub(crate) SenderSide<T>,
    /// What [`poll_ready`](Self::poll_ready) keeps between two polls. Allocated at the first, so that
    /// other senders stay small.
    Option<Box<Wait>>,
);

impl<T> Sender<T> {
    pub(crate) fn new(side: SenderSide<T>) -> Self {
        Self(side, None)
    }

    /// Polls an operation that waits for room, and keeps the state of the waiter in this handle.
    pub(crate) fn poll_operation<O: Operation<T>>(
        &mut self,
        operation: O,
        cx: &mut Context<'_>,
    ) -> Poll<Result<O::Output, O::Error>> {
        poll(operation, &self.0, self.1.get_or_insert_default(), cx)
    }

    /// The side of this sender, which has stopped polling.
    pub(crate) fn into_side(mut self) -> SenderSide<T> {
        self.stop_polling();
        self.1 = None;
        let sender = ManuallyDrop::new(self);
        // SAFETY: `sender` is neither used nor dropped after this, and its other field needs no drop.
        unsafe { ptr::read(&raw const sender.0) }
    }

    /// Leaves the list in which this sender waits since [`poll_ready`](Self::poll_ready), and passes its
    /// notification on. Called before a function makes its result: if a waker panicked while the function
    /// returns, the compiler would leak the result (rust-lang/rust#47949).
    pub(crate) fn stop_polling(&mut self) {
        if let Some(wait) = &mut self.1 {
            leave::<T, UntilRoom>(&self.0, wait);
        }
    }
}

impl<T> Clone for Sender<T> {
    /// Creates another sender into the same channel.
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.stop_polling();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}
