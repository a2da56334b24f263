//! Closing the channel.

use super::Sender;
use crate::future::Closed;
use crate::iter::Drained;

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
