//! The errors of sending, receiving and retrying. The errors of sending and retrying contain the
//! item, if the call has taken it.

use core::error::Error;
use core::fmt;

use crate::unwind::protect;

// from the errors of calls that wait to those of other calls
mod convert;
// the error of retrying
mod retry;

pub use self::retry::RetryError;

/// The error of a send on a closed channel. It contains the item that was not sent. Calls that leave the
/// items with their caller, such as [`send_from`](crate::Sender::send_from) and
/// [`send_many`](crate::Sender::send_many), return `SendError<()>`.
///
/// [`Task::follow_up`](crate::Task::follow_up) also returns it. That method works on a closed
/// channel, so there the error means that [`close_now`](crate::Monitor::close_now) was called, or that
/// no receiver is left.
///
/// It converts into the errors of the other sending calls.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(1);
/// drop(receiver);
///
/// # futures_lite::future::block_on(async {
/// let error = sender.send("hello").await.unwrap_err();
/// assert_eq!(error.to_string(), "sending into a closed channel");
/// assert_eq!(error.into_inner(), "hello");
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sending into a closed channel")
    }
}

impl<T> Error for SendError<T> {}

/// The error of [`Sender::try_send`](crate::Sender::try_send). It contains the item that was not
/// sent. [`try_send_many`](crate::Sender::try_send_many) leaves the items with its caller, and returns
/// `TrySendError<()>`.
///
/// # Examples
///
/// ```
/// use tollgate::TrySendError;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// assert_eq!(sender.try_send(1), Ok(()));
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
///
/// receiver.close();
/// let error = sender.try_send(3).unwrap_err();
/// assert!(error.is_closed() && !error.is_full());
/// assert_eq!(error.into_inner(), 3);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full at present.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }

    /// Returns `true` if the channel was full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns `true` if the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "sending into a full channel",
            Self::Closed(_) => "sending into a closed channel",
        })
    }
}

impl<T> Error for TrySendError<T> {}

/// The error of [`Sender::send_timeout`](crate::Sender::send_timeout) and
/// [`send_deadline`](crate::Sender::send_deadline). It contains the item that was not sent.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::SendTimeoutError;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.try_send(1)?;
///
/// let error = sender.send_timeout(2, Duration::ZERO).unwrap_err();
/// assert_eq!(error, SendTimeoutError::Timeout(2));
/// assert_eq!(error.to_string(), "timed out while sending into a full channel");
/// assert!(error.is_timeout() && !error.is_closed());
/// assert_eq!(error.into_inner(), 2);
/// # drop(receiver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The timeout elapsed, or the deadline passed, while the channel was full.
    Timeout(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> SendTimeoutError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(item) | Self::Closed(item) => item,
        }
    }

    /// Returns `true` if the timeout elapsed, or the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Returns `true` if the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "Timeout(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "timed out while sending into a full channel",
            Self::Closed(_) => "sending into a closed channel",
        })
    }
}

impl<T> Error for SendTimeoutError<T> {}

/// The error of [`Sender::send_until`](crate::Sender::send_until). It contains the item that was not
/// sent.
///
/// # Examples
///
/// ```
/// use std::future::ready;
/// use tollgate::SendUntilError;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.send(1).await?;
///
/// let error = sender.send_until(2, ready("shutdown")).await.unwrap_err();
/// assert_eq!(error, SendUntilError::Stopped(2, "shutdown"));
/// assert_eq!(error.to_string(), "stopped while sending into a full channel");
/// assert!(error.is_stopped() && !error.is_closed());
/// assert_eq!(error.into_inner(), 2);
/// # drop(receiver);
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendUntilError<T, R> {
    /// The future `stop` was ready while the channel was full. The second field is its output.
    Stopped(T, R),
    /// The channel is closed.
    Closed(T),
}

impl<T, R> SendUntilError<T, R> {
    /// Returns the item, and drops the output of `stop`.
    pub fn into_inner(self) -> T {
        match self {
            Self::Stopped(item, output) => protect(item, || drop(output)),
            Self::Closed(item) => item,
        }
    }

    /// Returns `true` if the send was stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped(..))
    }

    /// Returns `true` if the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T, R> fmt::Debug for SendUntilError<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped(..) => "Stopped(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T, R> fmt::Display for SendUntilError<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped(..) => "stopped while sending into a full channel",
            Self::Closed(_) => "sending into a closed channel",
        })
    }
}

impl<T, R> Error for SendUntilError<T, R> {}

/// The error of `recv`, `recv_many` and `recv_blocking` once the channel is closed and no item will ever
/// be received from it again.
///
/// It converts into the errors of the other receiving calls.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// drop(sender);
/// let error = receiver.recv().await.unwrap_err();
/// assert_eq!(error.to_string(), "receiving from an empty and closed channel");
/// assert!(tollgate::TryRecvError::from(error).is_closed());
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("receiving from an empty and closed channel")
    }
}

impl Error for RecvError {}

/// The error of `try_recv` and `try_recv_many` when they return no item.
///
/// # Examples
///
/// ```
/// use tollgate::TryRecvError;
///
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// assert!(TryRecvError::Closed.is_closed() && TryRecvError::Empty.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// No item is available at present.
    Empty,
    /// The channel is closed, and no item will ever be received from it again.
    Closed,
}

impl TryRecvError {
    /// Returns `true` if no item was available when the call was made.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Returns `true` if the channel is closed and no item will ever be received from it again.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "receiving from an empty channel",
            Self::Closed => "receiving from an empty and closed channel",
        })
    }
}

impl Error for TryRecvError {}

/// The error of [`Receiver::recv_timeout`](crate::Receiver::recv_timeout) and
/// [`recv_deadline`](crate::Receiver::recv_deadline).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tollgate::RecvTimeoutError;
///
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// let error = receiver.recv_timeout(Duration::ZERO).unwrap_err();
/// assert_eq!(error, RecvTimeoutError::Timeout);
/// assert_eq!(error.to_string(), "timed out while receiving from an empty channel");
/// drop(sender);
/// let error = receiver.recv_timeout(Duration::ZERO).unwrap_err();
/// assert!(error.is_closed() && !error.is_timeout());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The timeout elapsed, or the deadline passed, and there was no item.
    Timeout,
    /// The channel is finished: no item can come any more.
    Closed,
}

impl RecvTimeoutError {
    /// Returns `true` if the timeout elapsed, or the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Returns `true` if no item can come any more.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out while receiving from an empty channel",
            Self::Closed => "receiving from an empty and closed channel",
        })
    }
}

impl Error for RecvTimeoutError {}

/// The error of [`Receiver::recv_until`](crate::Receiver::recv_until).
///
/// # Examples
///
/// ```
/// use std::future::ready;
/// use tollgate::RecvUntilError;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// let error = receiver.recv_until(ready("shutdown")).await.unwrap_err();
/// assert_eq!(error, RecvUntilError::Stopped("shutdown"));
/// assert_eq!(error.to_string(), "stopped while receiving from an empty channel");
/// drop(sender);
/// let error = receiver.recv_until(ready("shutdown")).await.unwrap_err();
/// assert!(error.is_closed() && !error.is_stopped());
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RecvUntilError<R> {
    /// The future `stop` was ready, and there was no item. The field is its output.
    Stopped(R),
    /// The channel is finished: no item can come any more.
    Closed,
}

impl<R> RecvUntilError<R> {
    /// Returns `true` if the receive was stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped(_))
    }

    /// Returns `true` if no item can come any more.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl<R> fmt::Debug for RecvUntilError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped(_) => "Stopped(..)",
            Self::Closed => "Closed",
        })
    }
}

impl<R> fmt::Display for RecvUntilError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped(_) => "stopped while receiving from an empty channel",
            Self::Closed => "receiving from an empty and closed channel",
        })
    }
}

impl<R> Error for RecvUntilError<R> {}
