//! Receiving several items.

use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::Receiver;
use super::iter::Drain;
use super::iter::TryIter;
use super::why_none;
use crate::error::TryRecvError;
use crate::future::RecvMany;
use crate::kind::Kind;
use crate::operation::try_now;

/// Receiving several items.
impl<T, K: Kind> Receiver<T, K> {
    /// Receives all items that are queued, up to `max`, waiting while there is none. Returns how many,
    /// and appends them to `buf` in order.
    ///
    /// It waits for the first item only. All items of a batch are received at once, which costs far less
    /// than as many calls of [`recv`](Self::recv). (On an unbounded channel, a large batch is received in
    /// several pieces, and other receivers may take items in between.) `buf` grows as necessary, by the
    /// number of items that are received, so `max` may be any number.
    ///
    /// On a task channel, each of them becomes a [`Task`](crate::Task). If items that tasks have queued
    /// and items that were sent are both waiting, half of the batch comes from each.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, it has taken nothing
    /// out of the channel, and `buf` is unchanged. If it completes, or panics because of a waker, what
    /// it has received is in `buf`.
    ///
    /// # Errors
    ///
    /// Returns an error once the channel is finished, as [`recv`](Self::recv) does. `buf` is then
    /// unchanged.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed, or if the capacity of `buf` would
    /// exceed `isize::MAX` bytes. In the latter case, the items stay in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(4);
    /// for number in 1..=3 {
    ///     sender.send(number).await?;
    /// }
    /// let mut buf = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut buf, NonZeroUsize::MAX).await?.get(), 3);
    /// assert_eq!(buf, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn recv_many<'a>(
        &'a self,
        buf: &'a mut Vec<K::Received<T>>,
        max: NonZeroUsize,
    ) -> RecvMany<'a, T, K> {
        RecvMany::new(&self.side, Self::batch(buf, max))
    }

    /// Receives all items that are queued now, up to `max`. Returns how many, and appends them to `buf`,
    /// as [`recv_many`](Self::recv_many) does.
    ///
    /// Like [`try_recv`](Self::try_recv), it does not wait for items. While other threads send, it may
    /// receive fewer items than are queued.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no item, as [`try_recv`](Self::try_recv) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use tollgate::TryRecvError;
    ///
    /// let (sender, receiver) = tollgate::tasks::<i32>(4);
    /// for number in 1..=3 {
    ///     sender.try_send(number)?;
    /// }
    /// let two = NonZeroUsize::new(2).unwrap();
    /// let mut buf = Vec::new();
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Ok(two));
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Ok(NonZeroUsize::MIN));
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Err(TryRecvError::Empty));
    /// assert_eq!(buf.into_iter().map(|task| task.done()).sum::<i32>(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv_many(
        &self,
        buf: &mut Vec<K::Received<T>>,
        max: NonZeroUsize,
    ) -> Result<NonZeroUsize, TryRecvError> {
        let operation = Self::batch(buf, max);
        try_now(operation, &self.side, why_none)
    }

    /// Returns an iterator over the items that can be received now. It ends when there is none, and
    /// never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// sender.try_send(2)?;
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// # Ok::<(), tollgate::TrySendError<i32>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T, K> {
        TryIter {
            receiver: self,
            has_ended: false,
        }
    }

    /// Returns an iterator over the items that are queued now. It never waits.
    ///
    /// It yields at most as many items as are queued when `drain` is called. So it ends even if
    /// producers keep sending, or if its tasks are [retried](crate::Task::retry) or
    /// [followed up](crate::Task::follow_up); [`try_iter`](Self::try_iter) goes on as long as it finds an
    /// item.
    ///
    /// Each item is received when the iterator yields it, as by [`try_recv`](Self::try_recv). So an
    /// iterator that is dropped early leaves the other items in the channel, and on a task channel only
    /// the tasks that it has yielded are in hand. If other receivers take some of the items meanwhile,
    /// the iterator may yield fewer, or items that were sent later.
    ///
    /// To take out all queued items at once, and to close the channel, call
    /// [`close_now`](Self::close_now), which returns the items without tasks. (In flume, `drain` takes
    /// the items out when it is called, and drops what is left in the iterator.)
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(3);
    /// sender.try_send(1)?;
    /// sender.try_send(2)?;
    /// for item in receiver.drain() {
    ///     sender.try_send(item * 10)?;
    /// }
    /// assert_eq!(receiver.drain().next(), Some(10));
    /// assert_eq!(receiver.try_recv(), Ok(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self) -> Drain<'_, T, K> {
        Drain::new(self.try_iter(), self.len())
    }
}
