//! Sending an item.

use core::fmt;
use core::future::Future;
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
pub(crate) struct SendItem<T>(Exclusive<T>);

impl<T> SendItem<T> {
    #[inline]
    pub(crate) fn new(item: T) -> Self {
        Self(Exclusive::new(item))
    }

    #[inline]
    pub(crate) fn into_item(self) -> T {
        self.0.into_inner()
    }
}

impl<T> Operation<T> for SendItem<T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    #[inline]
    unsafe fn try_attempt(&mut self, channel: &Shared<T>) -> Option<(Self::Output, Change)> {
        // SAFETY: O1.
        let item = || unsafe { ptr::read(self) }.into_item();
        let is_sent = channel.queue.try_push(item);
        is_sent.then_some((Ok(()), Change::Queued))
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>) -> Attempt<(Self::Output, Change)> {
        // SAFETY: O1.
        let item = || unsafe { ptr::read(self) }.into_item();
        channel.queue.push(item).map(|()| (Ok(()), Change::Queued))
    }

    fn closed(self) -> Self::Output {
        Err(SendError(self.into_item()))
    }

    #[inline]
    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_room()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_room_on();
    }
}

/// Sends an item, and evicts another if the channel is full. It never has to wait.
pub(crate) struct ForceSendItem<T>(SendItem<T>);

impl<T> ForceSendItem<T> {
    #[inline]
    pub(crate) fn new(item: T) -> Self {
        Self(SendItem::new(item))
    }
}

impl<T> Operation<T> for ForceSendItem<T> {
    type Output = Result<Option<T>, SendError<T>>;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    #[inline]
    unsafe fn try_attempt(&mut self, channel: &Shared<T>) -> Option<(Self::Output, Change)> {
        // SAFETY: O1.
        let (sent, change) = unsafe { self.0.try_attempt(channel) }?;
        Some((sent.map(|()| None), change))
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>) -> Attempt<(Self::Output, Change)> {
        // SAFETY: O1.
        let item = || unsafe { ptr::read(&self.0) }.into_item();
        // An eviction makes no room: the new item takes the place.
        channel
            .force_push(item)
            .map(|evicted| (Ok(evicted), Change::Queued))
    }

    fn closed(self) -> Self::Output {
        self.0.closed().map(|()| None)
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
        Self(Waiting::new(channel, SendItem::new(item)))
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
        Self(Waiting::new(sender, SendItem::new(item)))
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
        let polled = self.project().until.poll("SendUntil", cx);
        polled.map(|result| match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SendError(item))) => Err(SendUntilError::Closed(item)),
            Err((operation, output)) => Err(SendUntilError::Stopped(operation.into_item(), output)),
        })
    }
}

impl<T, F> fmt::Debug for SendUntil<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendUntil { .. }")
    }
}
