//! The receiving handle of a plain channel.

use std::fmt;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use futures_core::FusedStream;
use futures_core::Stream;

use crate::error::TryRecvError;
use crate::future::Join;
use crate::future::Recv;
use crate::future::poll_item;
use crate::iter::Drained;
use crate::monitor::Monitor;
use crate::shared::ReceiverSide;
use crate::stream::Inlet;
use crate::sync::atomic::Ordering;

/// The receiving side of a plain channel: an item is dealt with when it is handed over.
///
/// It can be cloned and shared between threads; each item goes to one receiver. When the last
/// receiver is dropped, the channel is closed and what is queued is dropped at once.
///
/// It is a [`Stream`] of the items, which ends when the channel is closed and empty. One item wakes
/// one of those that wait, streams and [`recv`](Self::recv)s alike. So a stream that was polled, is
/// then neither polled again nor dropped, and has its turn, keeps an item's wake to itself: in a
/// `select!`, use [`recv`](Self::recv), whose future is dropped.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// sender.send(1).await?;
/// sender.send(2).await?;
/// drop(sender);
///
/// let items: Vec<i32> = receiver.collect().await;
/// assert_eq!(items, [1, 2]);
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
pub struct Receiver<T>(Inlet<T>);

impl<T> Receiver<T> {
    pub(crate) fn new(side: ReceiverSide<T>) -> Self {
        Self(Inlet::new(side))
    }

    /// Receives the next item, waiting while there is none.
    ///
    /// Waiting receivers are woken in the order they came, one for each item sent. If another
    /// caller is quicker than a woken receiver, the receiver keeps its place and waits on. Other
    /// calls of `recv` then let other tasks run once before they try: their futures are pending once
    /// although an item is there. To try without waiting, call [`try_recv`](Self::try_recv).
    ///
    /// While items are there it is ready at once. A loop that never finds the channel empty never
    /// lets other futures of its task or thread run: let it yield now and then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// When the channel is closed and nothing is queued: for good.
    ///
    /// # Panics
    ///
    /// The future does when polled after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send("last").await?;
    /// sender.close();
    /// assert_eq!(receiver.recv().await, Ok("last"));
    /// assert_eq!(receiver.recv().await, Err(tollgate::RecvError));
    /// # Ok::<(), tollgate::SendError<&str>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(&self.0)
    }

    /// Receives an item if there is one now.
    ///
    /// It does not wait for items. It may wait for another thread that is within a few instructions
    /// of the end of a send.
    ///
    /// # Errors
    ///
    /// When there is no item; the error says whether one may still come.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::TryRecvError;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.try_send(1)?;
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// Closes the channel; true if it was open. See [`Sender::close`](crate::Sender::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert!(receiver.close());
    /// assert!(!receiver.close());
    /// assert!(sender.try_send(1).is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Closes the channel, and takes out and hands back what is queued. See
    /// [`Monitor::close_now`](crate::Monitor::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.close_now().next(), Some(1));
    /// assert!(receiver.is_closed() && receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        Drained::new(self.0.close_now())
    }

    /// Whether the channel is closed. What was queued may still be received: to receive until the
    /// end, go on until [`recv`](Self::recv) says that it is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert!(!receiver.is_closed());
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.0.ring.is_closed()
    }

    /// Waits until no work is left: [`Monitor::join`].
    ///
    /// # Errors
    ///
    /// When something has failed: see [`Monitor::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert_eq!(receiver.join().await?.sent, 0);
    /// # Ok::<(), tollgate::JoinError>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// A handle to watch the channel by, which does not receive.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// let monitor = receiver.monitor();
    /// drop(receiver);
    /// assert_eq!(monitor.stats().receivers, 0);
    /// # drop(sender);
    /// ```
    pub fn monitor(&self) -> Monitor<T> {
        Monitor::new(&self.0)
    }

    /// How many items are queued. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is queued. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// assert!(receiver.is_empty());
    /// sender.try_send(1)?;
    /// assert!(!receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert!(receiver.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// How many items the channel holds at most: `Some`, as every channel of this crate is bounded.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(receiver.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        Some(self.0.ring.capacity())
    }

    /// How many senders there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(sender);
    /// assert_eq!(receiver.sender_count(), 0);
    /// ```
    pub fn sender_count(&self) -> usize {
        // Relaxed: a figure to look at.
        self.0.senders.load(Ordering::Relaxed)
    }

    /// How many receivers there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let other = receiver.clone();
    /// assert_eq!(other.receiver_count(), 2);
    /// ```
    pub fn receiver_count(&self) -> usize {
        // Relaxed: a figure to look at.
        self.0.receivers.load(Ordering::Relaxed)
    }

    /// Whether `other` receives from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let (_sender, stranger) = tollgate::bounded::<i32>(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&stranger));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next(cx, poll_item)
    }
}

impl<T> FusedStream for Receiver<T> {
    /// Whether this handle, as a stream, has given `None`. (That of async-channel says whether the
    /// channel is closed and empty.)
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl<T> Clone for Receiver<T> {
    /// Another receiver of the same channel. It gets other items, not copies: each item goes to one
    /// receiver.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver { .. }")
    }
}
