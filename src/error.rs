//! What can be wrong with sending, receiving and retrying. Errors give back the item that did not
//! go.

use std::error::Error;
use std::fmt;

/// The channel is closed; the item that was not sent. From
/// [`Task::follow_up`](crate::Task::follow_up), which works on a closed channel: no receiver is
/// left.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(1);
/// drop(receiver);
///
/// # futures_lite::future::block_on(async {
/// let error = sender.send("parcel").await.unwrap_err();
/// assert_eq!(error.to_string(), "sending into a closed channel");
/// assert_eq!(error.into_inner(), "parcel");
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// Gives the item back.
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

/// Why [`Sender::try_send`](crate::Sender::try_send) did not send, and the item.
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
    /// There is no room at present.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// Gives the item back.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the channel is closed.
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

/// Why [`Task::retry`](crate::Task::retry) did not queue the item again, and the item. The task has
/// ended as failed by then.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use tollgate::Builder;
/// use tollgate::RetryError;
///
/// let builder = Builder::new().capacity(1).max_attempts(NonZeroU32::MIN);
/// let (sender, receiver) = builder.build_tasks();
/// sender.try_send("parcel")?;
///
/// let error = receiver.try_recv()?.retry().unwrap_err();
/// assert_eq!(error, RetryError::Exhausted("parcel"));
/// assert_eq!(error.to_string(), "retrying a task that has no attempts left");
/// assert_eq!(error.into_inner(), "parcel");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RetryError<T> {
    /// This was the last of the attempts that
    /// [`Builder::max_attempts`](crate::Builder::max_attempts) allows.
    Exhausted(T),
    /// No receiver is left to try it.
    Terminated(T),
}

impl<T> RetryError<T> {
    /// Gives the item back.
    pub fn into_inner(self) -> T {
        match self {
            Self::Exhausted(item) | Self::Terminated(item) => item,
        }
    }

    /// Whether no attempts were left.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, Self::Exhausted(_))
    }

    /// Whether no receiver was left.
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Terminated(_))
    }
}

impl<T> fmt::Debug for RetryError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(_) => "Exhausted(..)",
            Self::Terminated(_) => "Terminated(..)",
        })
    }
}

impl<T> fmt::Display for RetryError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(_) => "retrying a task that has no attempts left",
            Self::Terminated(_) => "retrying a task that has no receiver left",
        })
    }
}

impl<T> Error for RetryError<T> {}

/// The channel is closed, and nothing more will come out of it.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// drop(sender);
/// let error = receiver.recv().await.unwrap_err();
/// assert_eq!(error.to_string(), "receiving from an empty and closed channel");
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

/// Why `try_recv` gave nothing.
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
    /// There is nothing at present.
    Empty,
    /// Nothing more will come.
    Closed,
}

impl TryRecvError {
    /// Whether there was nothing at present.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether nothing more will come.
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
