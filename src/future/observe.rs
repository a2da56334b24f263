//! Waiting for an event of which all waiters are notified at once: the close, quiescence, the end, or
//! a failure.

use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Instant;

use super::fmt_stats;
use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::operation::Operation;
use crate::operation::Waiting;
use crate::operation::look;
use crate::report::Failure;
use crate::report::JoinError;
use crate::report::Report;
use crate::shared::Shared;
use crate::wait::WaitList;

fn without_error<R>(polled: Poll<Result<R, Infallible>>) -> Poll<R> {
    polled.map(|Ok(output)| output)
}

/// Waits for the close.
struct UntilClosed;

// SAFETY: O3: by `look`.
unsafe impl<T> Operation<T> for UntilClosed {
    type Output = ();
    type Error = Infallible;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        (&channel.lists.closed).into()
    }

    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        look(out, || {
            if channel.queue.is_closed() {
                Attempt::Done(())
            } else {
                Attempt::Blocked
            }
        })
    }
}

/// Waits until nothing is queued and no task is in hand.
struct UntilIdle;

// SAFETY: O3: by `look`.
unsafe impl<T> Operation<T> for UntilIdle {
    type Output = Result<Report, JoinError>;
    type Error = Infallible;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        (&channel.lists.idle).into()
    }

    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        look(out, || match channel.account().outcome() {
            Attempt::Done(outcome) => Attempt::Done(outcome),
            _ => {
                // Request the notification first, then check again: L3 of `accounting`.
                channel.ledger.request_notice();
                channel.account().outcome()
            }
        })
    }
}

/// Waits until the channel is finished.
struct UntilFinished;

// SAFETY: O3: by `look`.
unsafe impl<T> Operation<T> for UntilFinished {
    type Output = Result<Report, JoinError>;
    type Error = Infallible;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        (&channel.lists.finished).into()
    }

    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        look(out, || channel.account().final_outcome())
    }
}

/// Waits for the first failure, or until the channel is finished without one.
struct UntilFailed;

// SAFETY: O3: by `look`.
unsafe impl<T> Operation<T> for UntilFailed {
    type Output = Option<Failure>;
    type Error = Infallible;

    fn list(channel: &Channel<T>) -> WaitList<'_> {
        (&channel.lists.finished).into()
    }

    unsafe fn attempt(
        &mut self,
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Output>,
    ) -> Attempt<Change> {
        look(out, || {
            // First, so that a failure of the last task is not missed.
            let finished = channel.account().finished();
            match channel.ledger.first_failure() {
                Some(failure) => Attempt::Done(Some(failure)),
                None => finished.map(|()| None),
            }
        })
    }
}

/// The future returned by [`Sender::closed`](crate::Sender::closed) and
/// [`Receiver::closed`](crate::Receiver::closed). It waits until nothing can be sent any more.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded::<i32>(1);
/// let mut closed = sender.closed();
/// assert!(future::block_on(future::poll_once(&mut closed)).is_none());
/// drop(receiver);
/// future::block_on(closed);
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed<'a, T>(Waiting<&'a Shared<T>, T, UntilClosed>);

impl<'a, T> Closed<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilClosed))
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("Closed", cx))
    }
}

/// The future returned by [`Monitor::join`](crate::Monitor::join). It waits until no work is left.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send(1)?;
/// let mut join = sender.join();
/// assert!(future::block_on(future::poll_once(&mut join)).is_none());
/// receiver.try_recv()?.done();
/// assert_eq!(future::block_on(join)?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Join<'a, T>(Waiting<&'a Shared<T>, T, UntilIdle>);

impl<'a, T> Join<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilIdle))
    }

    /// Blocks the thread until the future completes. Returns `None` if the deadline passes first.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn block_until(
        self,
        deadline: Option<Instant>,
    ) -> Option<Result<Report, JoinError>> {
        self.0.block_until(deadline, drop).ok()
    }
}

impl<T> Future for Join<'_, T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("Join", cx))
    }
}

/// The future returned by [`Monitor::finished`](crate::Monitor::finished). It waits until the
/// channel is finished.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// let monitor = sender.monitor();
/// sender.try_send(1)?;
/// receiver.try_recv()?.done();
///
/// let mut finished = monitor.finished();
/// assert!(future::block_on(future::poll_once(&mut finished)).is_none());
/// drop(sender);
/// assert_eq!(future::block_on(finished)?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Finished<'a, T>(Waiting<&'a Shared<T>, T, UntilFinished>);

impl<'a, T> Finished<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilFinished))
    }

    /// Blocks the thread until the future completes. Returns `None` if the deadline passes first.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn block_until(
        self,
        deadline: Option<Instant>,
    ) -> Option<Result<Report, JoinError>> {
        self.0.block_until(deadline, drop).ok()
    }
}

impl<T> Future for Finished<'_, T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("Finished", cx))
    }
}

/// The future returned by [`Monitor::failed`](crate::Monitor::failed). It waits for the first
/// failure.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
/// use tollgate::Failure;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// let monitor = sender.monitor();
/// let mut failed = monitor.failed();
/// assert!(future::block_on(future::poll_once(&mut failed)).is_none());
/// sender.try_send(1)?;
/// drop(receiver.try_recv()?);
/// assert!(matches!(future::block_on(failed), Some(Failure::Abandoned)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Failed<'a, T>(Waiting<&'a Shared<T>, T, UntilFailed>);

impl<'a, T> Failed<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilFailed))
    }
}

impl<T> Future for Failed<'_, T> {
    type Output = Option<Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("Failed", cx))
    }
}

/// The future returned by [`Monitor::into_join`](crate::Monitor::into_join). It owns its monitor.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sender, receiver) = tollgate::tasks(1);
/// let report = tokio::spawn(sender.monitor().into_join());
/// sender.send(1).await?;
/// receiver.recv().await?.done();
/// drop(sender);
/// assert_eq!(report.await??.failed, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct IntoJoin<T>(Waiting<Shared<T>, T, UntilIdle>);

impl<T> IntoJoin<T> {
    pub(crate) fn new(channel: Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilIdle))
    }
}

impl<T> Future for IntoJoin<T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("IntoJoin", cx))
    }
}

/// The future returned by [`Monitor::into_finished`](crate::Monitor::into_finished). It owns its monitor.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sender, receiver) = tollgate::tasks(1);
/// let report = tokio::spawn(sender.monitor().into_finished());
/// sender.send(1).await?;
/// receiver.recv().await?.done();
/// drop(sender);
/// assert_eq!(report.await??.failed, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct IntoFinished<T>(Waiting<Shared<T>, T, UntilFinished>);

impl<T> IntoFinished<T> {
    pub(crate) fn new(channel: Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilFinished))
    }
}

impl<T> Future for IntoFinished<T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        without_error(self.0.poll("IntoFinished", cx))
    }
}

fused!(
    [T] Closed<'_, T>: 0,
    [T] Join<'_, T>: 0,
    [T] Finished<'_, T>: 0,
    [T] Failed<'_, T>: 0,
    [T] IntoJoin<T>: 0,
    [T] IntoFinished<T>: 0,
);

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed { .. }")
    }
}

macro_rules! debug_as_stats {
    ($($future:ident<$($lifetime:lifetime,)? T>),*) => {$(
        impl<T> fmt::Debug for $future<$($lifetime,)? T> {
            /// Shows the state of the channel, so that a program that hangs can be diagnosed.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let stats = self.0.channel().map(Channel::stats);
                fmt_stats(f, stringify!($future), stats)
            }
        }
    )*};
}

debug_as_stats!(
    Join<'_, T>,
    Finished<'_, T>,
    Failed<'_, T>,
    IntoJoin<T>,
    IntoFinished<T>
);
