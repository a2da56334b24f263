//! Sending several items at once.

use alloc::collections::VecDeque;

use super::Sender;
use crate::error::TrySendError;
use crate::future::SendItems;
use crate::future::SendMany;
use crate::operation::Refused;
use crate::operation::try_now;

/// Sending several items at once.
impl<T> Sender<T> {
    /// Sends all items of a deque in order, waiting while the channel is full.
    ///
    /// The items move from the front of the deque into the channel as there is room for them, several
    /// at once. That costs far less than as many calls of [`send`](Self::send), and wakes a waiting
    /// receiver for each item. Items of other senders may come between those of two such moves. After
    /// each move, the future waits behind the senders that are already waiting, so that a large batch
    /// does not hold them up.
    ///
    /// If the deque is empty, the future completes at once.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the items that have not been sent stay in the deque, in order. Those
    /// that are no longer there have been sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed, or is closed while `send_many` waits. The items that
    /// have not been sent stay in the deque, and are never delivered. For an empty deque too, it is an
    /// error if the channel is closed.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(4);
    /// let mut items = VecDeque::from(["a", "b", "c"]);
    /// sender.send_many(&mut items).await?;
    /// assert!(items.is_empty());
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    ///
    /// items.push_back("d");
    /// receiver.close();
    /// assert!(sender.send_many(&mut items).await.is_err());
    /// assert_eq!(items, ["d"]);
    /// # Ok::<(), tollgate::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    pub fn send_many<'a>(&'a self, items: &'a mut VecDeque<T>) -> SendMany<'a, T> {
        SendMany::new(&self.0, items)
    }

    /// Sends items from the front of a deque, as many as there is room for now. Returns how many. The
    /// others stay in the deque, in order.
    ///
    /// On a bounded channel, all of them are sent at one instant, so no item of another sender comes
    /// between them. An unbounded channel has room for all items. If the deque is empty, the result is
    /// `Ok(0)`.
    ///
    /// Like [`try_send`](Self::try_send), it does not wait for room. While other threads receive, it may
    /// send fewer items than a bounded channel has room for.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is full, so that no item was sent, or if it is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::VecDeque;
    /// use tollgate::TrySendError;
    ///
    /// let (sender, receiver) = tollgate::bounded(2);
    /// let mut items = VecDeque::from([1, 2, 3]);
    /// assert_eq!(sender.try_send_many(&mut items), Ok(2));
    /// assert_eq!(items, [3]);
    /// assert_eq!(sender.try_send_many(&mut items), Err(TrySendError::Full(())));
    /// drop(receiver);
    /// assert_eq!(sender.try_send_many(&mut items), Err(TrySendError::Closed(())));
    /// ```
    pub fn try_send_many(&self, items: &mut VecDeque<T>) -> Result<usize, TrySendError<()>> {
        try_now(SendItems::new(items), &self.0, |refused| match refused {
            Refused::Closed => TrySendError::Closed(()),
            Refused::Blocked => TrySendError::Full(()),
        })
    }
}
