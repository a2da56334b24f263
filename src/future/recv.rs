//! Receiving an item, or a task.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;

use pin_project_lite::pin_project;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::RecvError;
use crate::error::RecvUntilError;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::kind::Tasks;
use crate::operation::Operation;
use crate::operation::Until;
use crate::operation::Waiting;
use crate::shared::ReceiverSide;
use crate::shared::Shared;
use crate::wait::WaitList;

/// Receives an item of a channel of the kind `K`.
pub(crate) struct RecvItem<K>(PhantomData<fn() -> K>);

impl<K> RecvItem<K> {
    /// # Safety
    ///
    /// It is used on channels of kind `K` only.
    #[inline]
    pub(crate) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

// SAFETY: O3: `Receive` guarantees the same.
unsafe impl<T, K: Kind> Operation<T> for RecvItem<K> {
    type Output = K::Received<T>;
    type Error = RecvError;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_receivers()
    }

    #[inline]
    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Option<Change> {
        // SAFETY: the channel is of kind `K`, by `new`.
        unsafe { K::try_pop(channel, out) }
    }

    #[inline]
    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        // SAFETY: the channel is of kind `K`, by `new`.
        unsafe { K::pop(channel, out) }
    }

    fn closed(self) -> RecvError {
        RecvError
    }

    #[inline]
    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_item()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_item_on();
    }
}

/// The future returned by [`Receiver::recv`](crate::Receiver::recv). It waits for an item.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// let mut recv = receiver.recv();
/// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
/// sender.try_send(1)?;
/// assert_eq!(future::block_on(&mut recv), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Recv<'a, T, K: Kind = Plain>(Waiting<&'a Shared<T>, T, RecvItem<K>>);

/// The future returned by [`TaskReceiver::recv`](crate::TaskReceiver::recv). It waits for a task.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// let mut recv = receiver.recv();
/// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
/// sender.try_send(1)?;
/// assert_eq!(future::block_on(&mut recv)?.done(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RecvTask<'a, T> = Recv<'a, T, Tasks>;

impl<'a, T, K: Kind> Recv<'a, T, K> {
    #[inline]
    pub(crate) fn new(channel: &'a Shared<T>, operation: RecvItem<K>) -> Self {
        Self(Waiting::new(channel, operation))
    }
}

impl<T, K: Kind> Future for Recv<'_, T, K> {
    type Output = Result<K::Received<T>, RecvError>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Recv", cx)
    }
}

fused!(
    [T, K: Kind] Recv<'_, T, K>: 0,
    [T, K: Kind] IntoRecv<T, K>: 0,
    [T, F: Future, K: Kind] RecvUntil<'_, T, F, K>: until,
);

impl<T, K: Kind> fmt::Debug for Recv<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recv { .. }")
    }
}

/// The future returned by [`Receiver::into_recv`](crate::Receiver::into_recv). It owns its receiver.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = tollgate::bounded(1);
/// let received = tokio::spawn(receiver.into_recv());
/// sender.send(1).await.unwrap();
/// assert_eq!(received.await.unwrap(), Ok(1));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct IntoRecv<T, K: Kind = Plain>(Waiting<ReceiverSide<T>, T, RecvItem<K>>);

impl<T, K: Kind> IntoRecv<T, K> {
    pub(crate) fn new(receiver: ReceiverSide<T>, operation: RecvItem<K>) -> Self {
        Self(Waiting::new(receiver, operation))
    }
}

impl<T, K: Kind> Future for IntoRecv<T, K> {
    type Output = Result<K::Received<T>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("IntoRecv", cx)
    }
}

impl<T, K: Kind> fmt::Debug for IntoRecv<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoRecv { .. }")
    }
}

pin_project! {
    /// The future returned by [`Receiver::recv_until`](crate::Receiver::recv_until). It waits for an
    /// item, until another future is ready.
    ///
    /// It is [`Unpin`] if the other future is.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::future;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let mut recv = receiver.recv_until(future::pending::<()>());
    /// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
    /// sender.try_send(1)?;
    /// assert_eq!(future::block_on(&mut recv), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct RecvUntil<'a, T, F, K: Kind = Plain> {
        #[pin]
        until: Until<&'a Shared<T>, T, RecvItem<K>, F>,
    }
}

impl<'a, T, F: Future, K: Kind> RecvUntil<'a, T, F, K> {
    pub(crate) fn new(channel: &'a Shared<T>, operation: RecvItem<K>, stop: F) -> Self {
        Self {
            until: Until::new(channel, operation, stop),
        }
    }
}

impl<T, F: Future, K: Kind> Future for RecvUntil<'_, T, F, K> {
    type Output = Result<K::Received<T>, RecvUntilError<F::Output>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let closed = |RecvError| RecvUntilError::Closed;
        let stopped = |_, output| RecvUntilError::Stopped(output);
        self.project().until.poll("RecvUntil", cx, closed, stopped)
    }
}

impl<T, F, K: Kind> fmt::Debug for RecvUntil<'_, T, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecvUntil { .. }")
    }
}
