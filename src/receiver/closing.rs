//! Closing the channel.

use super::Receiver;
use crate::future::Closed;
use crate::iter::Drained;
use crate::kind::Kind;

/// Closing the channel.
impl<T, K: Kind> Receiver<T, K> {
    /// Closes the channel. Returns `true` if it was open. See
    /// [`Sender::close`](crate::Sender::close).
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
        self.side.close()
    }

    /// Closes the channel for good, takes out all queued items and returns them. See
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
        self.side.close_now()
    }

    /// Waits until the channel is closed: by a call on any handle, or because the last sender is
    /// dropped. Items may still be queued then.
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
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// drop(sender);
    /// receiver.closed().await;
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.side)
    }

    /// Returns `true` if the channel is closed. Items that are still queued can be received. To
    /// receive everything, call [`recv`](Self::recv) until it returns an error.
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
        self.side.queue.is_closed()
    }
}
