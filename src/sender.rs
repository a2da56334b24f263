//! The sending handle.

use std::fmt;

use crate::error::TrySendError;
use crate::future::Closed;
use crate::future::Join;
use crate::future::Send;
use crate::iter::Drained;
use crate::monitor::Monitor;
use crate::shared::SenderSide;
use crate::sync::atomic::Ordering;

/// The sending side of a channel.
///
/// It can be cloned and shared between threads. When the last sender is dropped, the channel is
/// closed; what is queued can still be received.
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
pub struct Sender<T>(pub(crate) SenderSide<T>);

impl<T> Sender<T> {
    /// Sends an item, waiting while the channel is full.
    ///
    /// Waiting senders are woken in the order they came, one for each item taken. If another caller
    /// is quicker than a woken sender, the sender keeps its place and waits on. Other calls of `send`
    /// then let other tasks run once before they try: their futures are pending once although there
    /// is room. To try without waiting, call [`try_send`](Self::try_send).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has sent nothing, and drops the item. If the item is
    /// worth keeping, send when [`try_send`](Self::try_send) gives it back.
    ///
    /// # Errors
    ///
    /// When the channel is closed, before or while it waits; the error has the item. An item that
    /// was not sent when the close came is never delivered.
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
    /// assert_eq!(sender.send("first").await, Ok(()));
    /// receiver.close();
    /// assert_eq!(sender.send("second").await.unwrap_err().into_inner(), "second");
    /// # });
    /// ```
    #[inline]
    pub fn send(&self, item: T) -> Send<'_, T> {
        Send::new(&self.0, item)
    }

    /// Sends an item if there is room now.
    ///
    /// It does not wait for room. It may wait for another thread that is within a few instructions
    /// of taking an item from the very slot.
    ///
    /// # Errors
    ///
    /// When the channel is full or closed; the error has the item.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::TrySendError;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(item)
    }

    /// Closes the channel; true if it was open.
    ///
    /// From then on nothing can be sent, from any sender; sends that wait give their items back.
    /// What is queued can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert!(sender.close());
    /// assert!(!sender.close());
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
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
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(sender.close_now().next(), Some(1));
    /// assert!(sender.is_closed() && sender.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        Drained::new(self.0.close_now())
    }

    /// Waits until the channel is closed, by whomever, or the last receiver is dropped.
    ///
    /// Cancel safe: it takes nothing. The future panics when polled after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(receiver);
    /// sender.closed().await;
    /// assert!(sender.is_closed());
    /// # });
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.0)
    }

    /// Whether the channel is closed, so that no send that begins now can succeed. If so, it stays
    /// so.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.0.ring.is_closed()
    }

    /// Waits until no work is left: [`Monitor::join`].
    ///
    /// This sender keeps the channel open meanwhile, so receivers go on waiting. To await the end,
    /// take a [`monitor`](Self::monitor), drop the sender, and await
    /// [`finished`](Monitor::finished).
    ///
    /// # Errors
    ///
    /// When something has failed: see [`Monitor::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// assert_eq!(sender.join().await?.sent, 0);
    ///
    /// sender.send(1).await?;
    /// receiver.recv().await?.done();
    /// assert_eq!(sender.join().await?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// A handle to watch the channel by, which does not keep it open.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let monitor = sender.monitor();
    /// drop(sender);
    /// assert!(monitor.stats().closed);
    /// # drop(receiver);
    /// ```
    pub fn monitor(&self) -> Monitor<T> {
        Monitor::new(&self.0)
    }

    /// How many items are queued; on a task channel, those that tasks have put back or left there
    /// included: these take no room, so there may be more than fit. Others may send and receive
    /// meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(sender.len(), 1);
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
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// assert!(sender.is_empty());
    /// sender.try_send(1)?;
    /// assert!(!sender.is_empty());
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
    /// let (sender, _receiver) = tollgate::bounded(1);
    /// assert!(!sender.is_full());
    /// sender.try_send(1)?;
    /// assert!(sender.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// How many items can be sent that nobody has received: `Some`, as every channel of this crate
    /// is bounded. What tasks put back or leave there is not counted: [`is_full`](Self::is_full)
    /// tells whether there is room.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(sender.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        Some(self.0.ring.capacity())
    }

    /// How many senders there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let other = sender.clone();
    /// assert_eq!(other.sender_count(), 2);
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
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(receiver);
    /// assert_eq!(sender.receiver_count(), 0);
    /// ```
    pub fn receiver_count(&self) -> usize {
        // Relaxed: a figure to look at.
        self.0.receivers.load(Ordering::Relaxed)
    }

    /// Whether `other` sends into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let (stranger, _receiver) = tollgate::bounded::<i32>(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// assert!(!sender.same_channel(&stranger));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Clone for Sender<T> {
    /// Another sender into the same channel.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}
