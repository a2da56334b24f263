//! Conversions from the error of a call that waits. On a channel that is closed, or finished, the other
//! calls fail for the same reason.

use super::RecvError;
use super::RecvTimeoutError;
use super::RecvUntilError;
use super::SendError;
use super::SendTimeoutError;
use super::SendUntilError;
use super::TryRecvError;
use super::TrySendError;

/// # Examples
///
/// In a function that sends in two ways, `?` converts the error of one:
///
/// ```
/// use tollgate::Sender;
/// use tollgate::TrySendError;
///
/// async fn send_two(sender: &Sender<i32>) -> Result<(), TrySendError<i32>> {
///     sender.send(1).await?;
///     sender.try_send(2)?;
///     Ok(())
/// }
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(1);
/// assert_eq!(send_two(&sender).await, Err(TrySendError::Full(2)));
/// drop(receiver);
/// assert_eq!(send_two(&sender).await, Err(TrySendError::Closed(1)));
/// # });
/// ```
impl<T> From<SendError<T>> for TrySendError<T> {
    /// Returns [`Closed`](Self::Closed) with the item.
    fn from(SendError(item): SendError<T>) -> Self {
        Self::Closed(item)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    /// Returns [`Closed`](Self::Closed) with the item.
    fn from(SendError(item): SendError<T>) -> Self {
        Self::Closed(item)
    }
}

impl<T, R> From<SendError<T>> for SendUntilError<T, R> {
    /// Returns [`Closed`](Self::Closed) with the item.
    fn from(SendError(item): SendError<T>) -> Self {
        Self::Closed(item)
    }
}

impl From<RecvError> for TryRecvError {
    /// Returns [`Closed`](Self::Closed).
    fn from(RecvError: RecvError) -> Self {
        Self::Closed
    }
}

impl From<RecvError> for RecvTimeoutError {
    /// Returns [`Closed`](Self::Closed).
    fn from(RecvError: RecvError) -> Self {
        Self::Closed
    }
}

impl<R> From<RecvError> for RecvUntilError<R> {
    /// Returns [`Closed`](Self::Closed).
    fn from(RecvError: RecvError) -> Self {
        Self::Closed
    }
}
