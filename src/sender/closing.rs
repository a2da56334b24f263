//! Closing the channel, and ending a sender with an error.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;

use super::Sender;
use crate::future::Closed;
use crate::iter::Drained;
use crate::report::Failure;
use crate::unwind::Guarded;

/// Closing the channel.
impl<T> Sender<T> {
    /// Closes the channel. Returns `true` if it was open.
    ///
    /// From then on, no sender can send. Sends that are waiting return an error with their item.
    /// Queued items can still be received.
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

    /// Closes the channel for good, takes out all queued items and returns them. See
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
        self.0.close_now()
    }

    /// Ends this sender with an error: its producer could not send everything.
    ///
    /// `join` and `finished` then return a [`JoinError`](crate::JoinError), on channels of both kinds, and
    /// [`failed`](crate::Monitor::failed) returns
    /// [`Failure::SenderFailed`], unless there was an earlier failure. The
    /// report counts it in [`failed_senders`](crate::Report::failed_senders). Otherwise the sender is dropped
    /// like any other: if it is the last one, the channel is closed, and what is queued can still be
    /// received. To stop everything, call [`close_now`](Self::close_now) first.
    ///
    /// Once a call has seen that the channel is [finished](crate::Monitor::finished), its outcome does not
    /// change any more, and the error is dropped. This can only happen if another handle has closed the
    /// channel, or if no receiver is left.
    ///
    /// # Panics
    ///
    /// Panics if the conversion of `error` panics. The sender is then treated like one that is dropped by
    /// any other panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(4);
    /// let monitor = sender.monitor();
    ///
    /// let producer = async move {
    ///     for line in ["1", "2", "three"] {
    ///         match line.parse::<u32>() {
    ///             Ok(number) => sender.send(number).await.unwrap(),
    ///             Err(error) => return sender.fail(error),
    ///         }
    ///     }
    /// };
    /// producer.await;
    /// while receiver.recv().await.is_ok() {}
    ///
    /// // All that was sent has been received, but that is not all there is.
    /// let error = monitor.finished().await.unwrap_err();
    /// assert_eq!((error.report.sent, error.report.done), (2, 2));
    /// assert_eq!(error.report.failed_senders, 1);
    /// assert!(matches!(error.first, tollgate::Failure::SenderFailed(_)));
    /// # });
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        // Guarded, because a waker may panic first.
        let error = Guarded::new(error);
        let side = self.into_side();
        let error = error.into_inner().into();
        side.fail(Failure::SenderFailed(Arc::from(error)));
    }

    /// Waits until the channel is closed: by a call on any handle, or because the last receiver is
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
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

    /// Returns `true` if the channel is closed, so that no send that starts now can succeed. A
    /// closed channel stays closed.
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
        self.0.queue.is_closed()
    }
}
