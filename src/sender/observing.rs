//! Observing the channel.

use super::Sender;
use crate::future::Join;
use crate::monitor::Monitor;

/// Observing the channel.
impl<T> Sender<T> {
    /// Waits until no work is left. See [`Monitor::join`].
    ///
    /// This sender keeps the channel open while you wait, so receivers keep waiting for items. To
    /// wait for the end, create a [`monitor`](Self::monitor), drop the sender, and await
    /// [`finished`](Monitor::finished).
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed. See [`Monitor::join`].
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

    /// Creates a handle that observes the channel and does not keep it open.
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

    /// Returns the number of queued items. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// On a task channel, this includes items that tasks queued, for another attempt or as new
    /// work. These take no room, so the number may exceed the capacity. For a moment, it may also
    /// include both the item of a [`force_send`](Self::force_send) and the one that it evicts.
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
        self.0.queue.len()
    }

    /// Returns `true` if nothing is queued. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
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

    /// Returns `true` if there is no room for another item to be sent. Other handles may send and
    /// receive concurrently, so the result may already be out of date.
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
        !self.0.queue.has_room()
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
    /// let (sender, _receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(sender.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.0.queue.capacity()
    }

    /// Returns the number of senders.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let other = sender.clone();
    /// assert_eq!(other.sender_count(), 2);
    /// ```
    pub fn sender_count(&self) -> usize {
        self.0.senders.get()
    }

    /// Returns the number of receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(receiver);
    /// assert_eq!(sender.receiver_count(), 0);
    /// ```
    pub fn receiver_count(&self) -> usize {
        self.0.receivers.get()
    }

    /// Returns `true` if `other` sends into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let (unrelated, _receiver) = tollgate::bounded::<i32>(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// assert!(!sender.same_channel(&unrelated));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}
