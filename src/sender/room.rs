//! Waiting for room.

use core::task::Context;
use core::task::Poll;

use super::Sender;
use crate::error::SendError;
use crate::future::Ready;
use crate::future::UntilRoom;

/// Waiting for room.
impl<T> Sender<T> {
    /// Waits until there is room for an item, and sends nothing.
    ///
    /// That there was room is a hint, and no reservation: another sender may take the room before you
    /// send. So send by a call that handles a full channel, such as [`try_send`](Self::try_send) or
    /// [`send_from`](Self::send_from). A caller that is outrun loses its place among the waiting
    /// senders, so a loop of `ready` and `try_send` may send less than its share where others wait in
    /// [`send`](Self::send).
    ///
    /// This call waits in one queue with the senders. It takes no room, so it passes its wakeup on: a
    /// vacant slot wakes each waiting `ready` up to the first sender that takes the slot.
    ///
    /// Use it to create an item only once it can be sent, so that it is up to date. On an unbounded
    /// channel, there always is room.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed, or is closed while `ready` waits.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let producer = async {
    ///     for _ in 0..3 {
    ///         sender.ready().await?;
    ///         // Measured only now. There is no other sender, so there still is room.
    ///         assert!(sender.try_send(Instant::now()).is_ok());
    ///     }
    ///     sender.close();
    ///     Ok::<(), tollgate::SendError<()>>(())
    /// };
    /// let consumer = async {
    ///     let mut times = Vec::new();
    ///     while let Ok(time) = receiver.recv().await {
    ///         times.push(time);
    ///     }
    ///     times
    /// };
    /// let (produced, times) = futures_lite::future::zip(producer, consumer).await;
    /// assert!(produced.is_ok() && times.is_sorted());
    /// # });
    /// ```
    pub fn ready(&self) -> Ready<'_, T> {
        Ready::new(&self.0)
    }

    /// Polls for room: [`ready`](Self::ready) for code that is written with `poll` functions.
    ///
    /// `Poll::Ready(Ok(()))` is a hint, and no reservation, as for `ready`. To keep an item that was
    /// outrun, use `into_sink` (feature `futures`).
    ///
    /// Only the waker of the last call is woken. A sender that returned `Pending` remains a waiter, and
    /// keeps its place, until it is ready or dropped. If it is then neither polled again nor dropped, it
    /// can keep the wakeup for one vacant slot to itself, as a receiver that is polled as a stream can
    /// do for an item. This is so for other calls on the same sender, too. In a `select!`, use `ready`:
    /// its future is dropped, and passes the wakeup on.
    ///
    /// The first call allocates memory for the state of the waiter. A clone is not waiting, even if the
    /// original is.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (mut sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(poll_fn(|cx| sender.poll_ready(cx)).await, Ok(()));
    /// sender.try_send(1).unwrap();
    /// receiver.close();
    /// assert!(poll_fn(|cx| sender.poll_ready(cx)).await.is_err());
    /// # });
    /// ```
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        self.poll_operation(UntilRoom, cx)
    }
}
