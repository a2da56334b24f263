//! Waiting for what all who wait for it hear of at once: the close, quiescence, the end, a failure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use super::debug_as_opaque;
use super::fmt_stats;
use super::polled_after_completion;
use crate::channel::Channel;
use crate::report::Failure;
use crate::report::JoinError;
use crate::report::Report;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::unwind::protect;
use crate::wait::Attempt;
use crate::wait::Operation;
use crate::wait::Wait;
use crate::waiters::Waiters;

/// A wait for something that all who wait for it hear of at once.
struct Signal<'a, T> {
    /// None when completed.
    channel: Option<&'a Shared<T>>,
    wait: Wait,
    waiters: fn(&Channel<T>) -> &Waiters,
}

impl<'a, T> Signal<'a, T> {
    fn new(channel: &'a Shared<T>, waiters: fn(&Channel<T>) -> &Waiters) -> Self {
        Self {
            channel: Some(channel),
            wait: Wait::default(),
            waiters,
        }
    }

    fn poll<R>(
        &mut self,
        name: &str,
        cx: &mut Context<'_>,
        look: impl Fn(&Channel<T>) -> Option<R>,
    ) -> Poll<R> {
        let Some(channel) = self.channel else {
            polled_after_completion(name);
        };
        let mut operation = Look {
            channel,
            waiters: (self.waiters)(channel),
            look,
        };
        let result = ready!(self.wait.poll(&mut operation, cx));
        // It may hold the only reference to a failure, which others can take from the channel.
        Poll::Ready(protect(result, || self.leave()))
    }

    fn leave(&mut self) {
        if let Some(channel) = self.channel.take() {
            // All others have been woken too: there is nothing to pass on.
            let _ = self.wait.leave((self.waiters)(channel), None);
        }
    }
}

/// Looking whether it has come.
struct Look<'a, T, F> {
    channel: &'a Channel<T>,
    waiters: &'a Waiters,
    look: F,
}

impl<T, R, F: Fn(&Channel<T>) -> Option<R>> Operation for Look<'_, T, F> {
    type Output = R;

    fn waiters(&self) -> &Waiters {
        self.waiters
    }

    fn attempt(&mut self) -> Attempt<R> {
        // Pairs with what comes before the notification (Q3 of `waiters`).
        fence(Ordering::SeqCst);
        (self.look)(self.channel).map_or(Attempt::Blocked, Attempt::Ready)
    }
}

impl<T> Drop for Signal<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Waits until nothing can be sent any more: [`Sender::closed`](crate::Sender::closed).
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
pub struct Closed<'a, T>(Signal<'a, T>);

impl<'a, T> Closed<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Signal::new(channel, |channel| &channel.ledger.closed))
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll("Closed", cx, |channel| {
            channel.ring.is_closed().then_some(())
        })
    }
}

/// Waits until no work is left: [`Monitor::join`](crate::Monitor::join).
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
pub struct Join<'a, T>(Signal<'a, T>);

impl<'a, T> Join<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Signal::new(channel, |channel| &channel.ledger.idle))
    }
}

impl<T> Future for Join<'_, T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Join", cx, |channel| {
            channel.outcome().or_else(|| {
                // Asked to be told, then looked once more: L3 of `ledger`.
                channel.ledger.set_awaited();
                channel.outcome()
            })
        })
    }
}

/// Waits for the end of the channel: [`Monitor::finished`](crate::Monitor::finished).
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
pub struct Finished<'a, T>(Signal<'a, T>);

impl<'a, T> Finished<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Signal::new(channel, |channel| &channel.ledger.finished))
    }
}

impl<T> Future for Finished<'_, T> {
    type Output = Result<Report, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Finished", cx, |channel| {
            // A closed channel that is quiescent stays so.
            let closed = channel.ring.is_closed();
            closed.then(|| channel.outcome()).flatten()
        })
    }
}

/// Waits for the first failure: [`Monitor::failed`](crate::Monitor::failed).
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
pub struct Failed<'a, T>(Signal<'a, T>);

impl<'a, T> Failed<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Signal::new(channel, |channel| &channel.ledger.finished))
    }
}

impl<T> Future for Failed<'_, T> {
    type Output = Option<Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Failed", cx, |channel| {
            // First, so that a failure of the last task is not missed.
            let finished = channel.is_finished();
            match channel.ledger.first_failure() {
                Some(first) => Some(Some(first)),
                None => finished.then_some(None),
            }
        })
    }
}

debug_as_opaque!(Closed);

macro_rules! debug_as_stats {
    ($($future:ident),*) => {$(
        impl<T> fmt::Debug for $future<'_, T> {
            /// Says how the channel is doing, so that a program that hangs explains itself.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let channel = self.0.channel;
                fmt_stats(f, stringify!($future), channel.map(|channel| channel.stats()))
            }
        }
    )*};
}

debug_as_stats!(Join, Finished, Failed);
