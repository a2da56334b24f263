//! Sending an item.

use core::fmt;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::ptr;
use core::task::Context;
use core::task::Poll;

use pin_project_lite::pin_project;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::SendError;
use crate::error::SendUntilError;
use crate::operation::Operation;
use crate::operation::Until;
use crate::operation::Waiting;
use crate::shared::SenderSide;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::wait::WaitList;

/// Sends an item.
#[repr(transparent)]
pub(crate) struct SendItem<T>(Exclusive<T>);

impl<T> SendItem<T> {
    #[inline]
    pub(crate) fn new(item: T) -> Self {
        Self(Exclusive::new(item))
    }

    /// The operation on an item that stays where it is until it is sent. Once that is done, the item has
    /// moved out (O1 of `operation`).
    #[inline]
    pub(crate) fn in_place(item: &mut T) -> &mut Self {
        // SAFETY: the layout is that of the item.
        unsafe { &mut *ptr::from_mut(item).cast::<Self>() }
    }

    #[inline]
    pub(crate) fn into_item(self) -> T {
        self.0.into_inner()
    }
}

// SAFETY: O3: the output takes no space.
unsafe impl<T> Operation<T> for SendItem<T> {
    type Output = ();
    type Error = SendError<T>;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    #[inline]
    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        _: &mut MaybeUninit<()>,
    ) -> Option<Change> {
        // SAFETY: O1: if this is done, the item is not used any more.
        let is_sent = unsafe { channel.queue.try_push(|| self.0.as_ptr()) };
        is_sent.then_some(Change::Queued)
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>, _: &mut MaybeUninit<()>) -> Attempt<Change> {
        // SAFETY: O1: as above.
        let sent = unsafe { channel.queue.push(|| self.0.as_ptr()) };
        sent.map(|()| Change::Queued)
    }

    fn closed(self) -> SendError<T> {
        SendError(self.into_item())
    }

    #[inline]
    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_room()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_room_on();
    }
}

/// Sends an item, and evicts another if the channel is full. It never has to wait. Its output is
/// whether it has evicted an item.
///
/// The item stays where it is until it is sent. Once that is done, it has moved out (O1 of `operation`).
pub(crate) struct ForceSendItem<'a, T> {
    pub(crate) item: &'a mut T,
    /// The place of the evicted item.
    pub(crate) evicted: &'a mut MaybeUninit<T>,
}

// SAFETY: O3: what is done has written whether it has evicted an item.
unsafe impl<T> Operation<T> for ForceSendItem<'_, T> {
    type Output = bool;
    type Error = SendError<()>;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    #[inline]
    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<bool>,
    ) -> Attempt<Change> {
        // SAFETY: O1: if this is done, the item is not used any more.
        let sent = unsafe { channel.force_push(self.item, self.evicted) };
        sent.map(|has_evicted| {
            out.write(has_evicted);
            // An eviction makes no room: the new item takes the place.
            Change::Queued
        })
    }

    fn closed(self) -> SendError<()> {
        SendError(())
    }
}

/// The future returned by [`Sender::send`](crate::Sender::send). It waits for room and sends an
/// item.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.try_send(1)?;
///
/// let mut send = sender.send(2);
/// assert!(future::block_on(future::poll_once(&mut send)).is_none());
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(future::block_on(&mut send), Ok(()));
/// assert_eq!(receiver.try_recv(), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Send<'a, T>(Waiting<&'a Shared<T>, T, SendItem<T>>);

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(crate) fn new(channel: &'a Shared<T>, item: T) -> Self {
        let mut item = ManuallyDrop::new(item);
        // SAFETY: the item is not used after this.
        Self(unsafe { Waiting::taking(channel, SendItem::in_place(&mut *item)) })
    }

    /// Gives up the send and returns the item. Returns `None` if the future has completed: the item was
    /// sent, or it was returned in the error.
    ///
    /// A wakeup that this future was given is passed on to the next waiter.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::future;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send("first")?;
    /// let mut send = sender.send("second");
    /// assert!(future::block_on(future::poll_once(&mut send)).is_none());
    /// assert_eq!(send.into_inner(), Some("second"));
    ///
    /// receiver.try_recv()?;
    /// let mut send = sender.send("third");
    /// assert_eq!(future::block_on(&mut send), Ok(()));
    /// assert_eq!(send.into_inner(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        self.0.cancel().map(SendItem::into_item)
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Send", cx)
    }
}

fused!([T] Send<'_, T>: 0, [T] IntoSend<T>: 0, [T, F: Future] SendUntil<'_, T, F>: until);

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Send { .. }")
    }
}

/// The future returned by [`Sender::into_send`](crate::Sender::into_send). It owns its sender.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = tollgate::bounded(1);
/// let sent = tokio::spawn(sender.into_send(1));
/// assert_eq!(sent.await.unwrap(), Ok(()));
/// assert_eq!(receiver.try_recv(), Ok(1));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct IntoSend<T>(Waiting<SenderSide<T>, T, SendItem<T>>);

impl<T> IntoSend<T> {
    pub(crate) fn new(sender: SenderSide<T>, item: T) -> Self {
        let mut item = ManuallyDrop::new(item);
        // SAFETY: the item is not used after this.
        Self(unsafe { Waiting::taking(sender, SendItem::in_place(&mut *item)) })
    }

    /// Gives up the send, drops the sender, and returns the item. Returns `None` if the future has
    /// completed. See [`Send::into_inner`].
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let send = sender.into_send("item");
    /// assert_eq!(send.into_inner(), Some("item"));
    /// assert!(receiver.is_closed() && receiver.is_empty());
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        self.0.cancel().map(SendItem::into_item)
    }
}

impl<T> Future for IntoSend<T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("IntoSend", cx)
    }
}

impl<T> fmt::Debug for IntoSend<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoSend { .. }")
    }
}

pin_project! {
    /// The future returned by [`Sender::send_until`](crate::Sender::send_until). It waits for room and
    /// sends an item, until another future is ready.
    ///
    /// It is [`Unpin`] if the other future is.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::future;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    ///
    /// let mut send = sender.send_until(2, future::pending::<()>());
    /// assert!(future::block_on(future::poll_once(&mut send)).is_none());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(future::block_on(&mut send), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct SendUntil<'a, T, F> {
        #[pin]
        until: Until<&'a Shared<T>, T, SendItem<T>, F>,
    }
}

impl<'a, T, F: Future> SendUntil<'a, T, F> {
    pub(crate) fn new(channel: &'a Shared<T>, item: T, stop: F) -> Self {
        Self {
            until: Until::new(channel, SendItem::new(item), stop),
        }
    }
}

impl<T, F: Future> Future for SendUntil<'_, T, F> {
    type Output = Result<(), SendUntilError<T, F::Output>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let closed = |SendError(item)| SendUntilError::Closed(item);
        let stopped = |send: SendItem<T>, output| SendUntilError::Stopped(send.into_item(), output);
        self.project().until.poll("SendUntil", cx, closed, stopped)
    }
}

impl<T, F> fmt::Debug for SendUntil<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendUntil { .. }")
    }
}
