//! Receiving an item.

use core::future::Future;

use super::Receiver;
use super::why_none;
use crate::error::TryRecvError;
use crate::future::IntoRecv;
use crate::future::Recv;
use crate::future::RecvUntil;
use crate::kind::Kind;
use crate::operation::try_now;

/// Receiving an item.
impl<T, K: Kind> Receiver<T, K> {
    /// Receives the next item, waiting while there is none.
    ///
    /// Waiting receivers are woken in the order in which they started to wait, one for each item
    /// queued. If another caller takes the item first, the woken receiver keeps its place among the
    /// waiters and waits again. Other calls of `recv` then let other tasks run before they try: their
    /// futures return `Pending` even though an item is queued, at least once, and at most twice on average. To
    /// receive without waiting, call [`try_recv`](Self::try_recv).
    ///
    /// Apart from that, `recv` completes immediately while the channel holds items. A loop that
    /// never finds the channel empty never lets other futures of its task or thread run. Let it yield
    /// now and then, or build the channel with [`yield_after`](crate::Builder::yield_after).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has taken nothing out of the channel.
    ///
    /// On a task channel, this does not cover the task that a completed `recv` returns. A task that
    /// is dropped counts as abandoned, or is queued again under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue).
    ///
    /// # Errors
    ///
    /// Returns an error once the channel is finished: it is closed, nothing is queued and, on a
    /// task channel, no task is in hand anywhere. A finished channel stays finished.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
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
    pub fn recv(&self) -> Recv<'_, T, K> {
        Recv::new(&self.side, Self::operation())
    }

    /// Receives the next item like [`recv`](Self::recv), with a future that owns this receiver, and so
    /// can be spawned.
    ///
    /// The receiver is dropped when the future completes or is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// assert_eq!(receiver.into_recv().await, Ok(1));
    /// assert!(sender.is_closed());
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_recv(mut self) -> IntoRecv<T, K> {
        self.stop_streaming();
        IntoRecv::new(self.side.clone(), Self::operation())
    }

    /// Receives the next item like [`recv`](Self::recv), but waits only until the future `stop` is
    /// ready.
    ///
    /// `stop` can be the timer of any runtime, or any other future. It is polled only when nothing can
    /// be received. So even if `stop` is ready from the start, as is a timer whose deadline is past, an
    /// item is received if there is one.
    ///
    /// When `stop` is ready, its output is always returned, in the error. So a loop can pass `&mut stop`
    /// to each call, and end at this error. As long as every call finds an item, however, `stop` is not
    /// polled and does not end the loop. If it must, check for that in the loop too.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, or if it is stopped, it has taken nothing out of
    /// the channel.
    ///
    /// # Errors
    ///
    /// Returns an error with the output of `stop` if `stop` is ready while nothing can be received, or
    /// an error without it once the channel is finished, as for [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// The future panics if `stop` panics, or if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// With a timer of tokio:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::sleep;
    /// use tollgate::RecvUntilError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// let millisecond = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Ok(1));
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Err(RecvUntilError::Stopped(())));
    /// drop(sender);
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Err(RecvUntilError::Closed));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With a timer of smol, in a loop, so that the deadline is one for all items:
    ///
    /// ```
    /// use smol::Timer;
    /// use std::time::Duration;
    ///
    /// # smol::block_on(async {
    /// let (sender, receiver) = tollgate::tasks::<i32>(4);
    /// sender.send(1).await?;
    /// sender.send(2).await?;
    ///
    /// let mut timer = Timer::after(Duration::from_millis(1));
    /// let mut sum = 0;
    /// while let Ok(task) = receiver.recv_until(&mut timer).await {
    ///     sum += task.done();
    /// }
    /// assert_eq!(sum, 3);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn recv_until<F: Future>(&self, stop: F) -> RecvUntil<'_, T, F, K> {
        RecvUntil::new(&self.side, Self::operation(), stop)
    }

    /// Receives an item if there is one now.
    ///
    /// It does not wait for items. It may wait for another thread that is within a few instructions
    /// of completing a send or, on an unbounded channel, a receive.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no item: [`Closed`](TryRecvError::Closed) if the channel is
    /// finished, as for [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) otherwise.
    ///
    /// On a task channel, the error is [`Empty`](TryRecvError::Empty) even after the channel was
    /// closed, while tasks are in hand or while another thread is in
    /// [`close_now`](Self::close_now).
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
    pub fn try_recv(&self) -> Result<K::Received<T>, TryRecvError> {
        try_now(Self::operation(), &self.side, why_none)
    }
}
