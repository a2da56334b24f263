//! The futures that handles give: each is one attempt for the wait loop.
//!
//! All are `Unpin`, fused to panic when polled after completion, and **cancel safe**: a future that is
//! dropped before it was ready has done nothing, and a wake that had been spent on it goes to the next
//! in line.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use crate::channel::Channel;
use crate::channel::Over;
use crate::error::RecvError;
use crate::error::SendError;
use crate::report::Failure;
use crate::report::JoinError;
use crate::report::Report;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::task::Task;
use crate::wait::Attempt;
use crate::wait::Wait;
use crate::wait::Waiters;

#[cold]
fn polled_after_completion(future: &str) -> ! {
    panic!("`{future}` polled after completion")
}

/// Waits for room and sends an item: [`Sender::send`](crate::Sender::send).
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.try_send(1)?;
///
/// let mut send = sender.send(2);
/// assert!(future::block_on(future::poll_once(&mut send)).is_none());
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(future::block_on(&mut send), Ok(()));
/// assert_eq!(receiver.try_recv(), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Send<'a, T>(Option<Sending<'a, T>>);

struct Sending<'a, T> {
    channel: &'a Shared<T>,
    wait: Wait,
    item: Exclusive<T>,
}

// No item is ever pinned.
impl<T> Unpin for Send<'_, T> {}

impl<'a, T> Send<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>, item: T) -> Self {
        Self(Some(Sending {
            channel,
            wait: Wait::default(),
            item: Exclusive::new(item),
        }))
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(Sending { channel, wait, .. }) = &mut self.0 else {
            polled_after_completion("Send");
        };
        let channel: &Shared<T> = channel;
        let reserved = ready!(wait.poll(&channel.not_full, cx, || channel.reserve()));
        let Some(Sending { mut wait, item, .. }) = self.0.take() else {
            unreachable!("it was there above");
        };
        let item = item.into_inner();
        // A claimed slot is filled first of all (R5 of `ring`).
        let leaving = Leaving(|| cancel_send(channel, &mut wait));
        let result = match reserved {
            Ok(vacancy) => {
                channel.accept(vacancy, item);
                Ok(())
            }
            Err(Over) => Err(SendError(item)),
        };
        drop(leaving);
        Poll::Ready(result)
    }
}

impl<T> Drop for Send<'_, T> {
    fn drop(&mut self) {
        if let Some(Sending { channel, wait, .. }) = &mut self.0 {
            cancel_send(channel, wait);
        }
    }
}

/// Leaves `not_full`, with success or without.
#[inline]
fn cancel_send<T>(channel: &Channel<T>, wait: &mut Wait) {
    if wait.cancel(&channel.not_full) {
        channel.pass_room_on();
    }
}

/// Leaves `not_empty`, with success or without.
#[inline]
pub(crate) fn cancel_recv<T>(channel: &Channel<T>, wait: &mut Wait) {
    if wait.cancel(&channel.not_empty) {
        channel.pass_item_on();
    }
}

/// Leaves a list when dropped, so also when a stranger's waker panics.
///
/// To be dropped by name, before its function returns: should it panic in turn, the compiler leaks
/// a return value that is made already (rust-lang/rust#47949), and a leaked task is never ended.
struct Leaving<F: FnMut()>(F);

impl<F: FnMut()> Drop for Leaving<F> {
    #[inline]
    fn drop(&mut self) {
        self.0();
    }
}

/// Waits for an item: [`Receiver::recv`](crate::Receiver::recv).
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// let mut recv = receiver.recv();
/// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
/// sender.try_send(1)?;
/// assert_eq!(future::block_on(&mut recv), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Recv<'a, T> {
    /// None when completed.
    channel: Option<&'a Shared<T>>,
    wait: Wait,
}

impl<'a, T> Recv<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self {
            channel: Some(channel),
            wait: Wait::default(),
        }
    }
}

/// Polls for the next item of a plain channel, for [`Recv`] and for the stream.
#[inline]
pub(crate) fn poll_item<T>(
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<T, RecvError>> {
    let taken = ready!(wait.poll(&channel.not_empty, cx, || channel.take()));
    let leaving = Leaving(|| cancel_recv(channel, wait));
    let result = match taken {
        Ok(item) => {
            channel.item_taken();
            Ok(item)
        }
        Err(Over) => Err(RecvError),
    };
    drop(leaving);
    Poll::Ready(result)
}

/// Polls for the next task of a task channel, for [`RecvTask`] and for the stream.
#[inline]
pub(crate) fn poll_task<T>(
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<Task<T>, RecvError>> {
    let taken = ready!(wait.poll(&channel.not_empty, cx, || channel.take_task()));
    let leaving = Leaving(|| cancel_recv(channel, wait));
    let result = match taken {
        Ok(taken) => {
            let task = Task::new(taken);
            channel.task_taken();
            Ok(task)
        }
        Err(Over) => Err(RecvError),
    };
    drop(leaving);
    Poll::Ready(result)
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(channel) = self.channel else {
            polled_after_completion("Recv");
        };
        let result = ready!(poll_item(channel, &mut self.wait, cx));
        self.channel = None;
        Poll::Ready(result)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            cancel_recv(channel, &mut self.wait);
        }
    }
}

/// Waits for a task: [`TaskReceiver::recv`](crate::TaskReceiver::recv).
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// let mut recv = receiver.recv();
/// assert!(future::block_on(future::poll_once(&mut recv)).is_none());
/// sender.try_send(1)?;
/// assert_eq!(future::block_on(&mut recv)?.done(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvTask<'a, T> {
    /// None when completed.
    channel: Option<&'a Shared<T>>,
    wait: Wait,
}

impl<'a, T> RecvTask<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self {
            channel: Some(channel),
            wait: Wait::default(),
        }
    }
}

impl<T> Future for RecvTask<'_, T> {
    type Output = Result<Task<T>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(channel) = self.channel else {
            polled_after_completion("RecvTask");
        };
        let result = ready!(poll_task(channel, &mut self.wait, cx));
        self.channel = None;
        Poll::Ready(result)
    }
}

impl<T> Drop for RecvTask<'_, T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            cancel_recv(channel, &mut self.wait);
        }
    }
}

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
        let attempt = || look(channel).map_or(Attempt::Blocked, Attempt::Ready);
        let result = ready!(self.wait.poll((self.waiters)(channel), cx, attempt));
        self.leave();
        Poll::Ready(result)
    }

    fn leave(&mut self) {
        if let Some(channel) = self.channel.take() {
            // All others have been woken too: there is nothing to pass on.
            let _ = self.wait.cancel((self.waiters)(channel));
        }
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

macro_rules! debug_as_opaque {
    ($($future:ident),*) => {$(
        impl<T> fmt::Debug for $future<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($future), " { .. }"))
            }
        }
    )*};
}

debug_as_opaque!(Send, Recv, RecvTask, Closed, Join, Finished, Failed);
