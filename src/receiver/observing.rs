//! Observing the channel.

use super::Receiver;
use crate::future::Join;
use crate::kind::Kind;
use crate::monitor::Monitor;

/// Observing the channel.
impl<T, K: Kind> Receiver<T, K> {
    /// Waits until no work is left. See [`Monitor::join`].
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed. See [`Monitor::join`].
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
        Join::new(&self.side)
    }

    /// Creates a handle that observes the channel and does not receive.
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
        Monitor::new(&self.side)
    }

    /// Returns the number of queued items. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// On a task channel, this includes items that tasks queued, for another attempt or as new
    /// work, but not while they are delayed. These take no room, so the number may exceed the capacity. For a moment, it may also
    /// include both the item of a [`force_send`](crate::Sender::force_send) and the one that it
    /// evicts.
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
        self.side.queue.len()
    }

    /// Returns `true` if nothing is queued. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
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

    /// Returns `true` if there is no room for another item to be sent. Other handles may send and
    /// receive concurrently, so the result may already be out of date.
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
        !self.side.queue.has_room()
    }

    /// Returns the capacity: how many sent items can be queued at once. It is `None` on an unbounded
    /// channel.
    ///
    /// Items that tasks queued do not count against it. To find out whether there is room, call
    /// [`is_full`](Self::is_full).
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(receiver.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.side.queue.capacity()
    }

    /// Returns the number of senders.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(sender);
    /// assert_eq!(receiver.sender_count(), 0);
    /// ```
    pub fn sender_count(&self) -> usize {
        self.side.senders.get()
    }

    /// Returns the number of receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let other = receiver.clone();
    /// assert_eq!(other.receiver_count(), 2);
    /// ```
    pub fn receiver_count(&self) -> usize {
        self.side.receivers.get()
    }

    /// Returns `true` if `other` receives from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let (_sender, unrelated) = tollgate::bounded::<i32>(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&unrelated));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.side.same_channel(&other.side)
    }
}
