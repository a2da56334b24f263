//! Waiting for an item, or a task.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use super::Leaving;
use super::debug_as_opaque;
use super::polled_after_completion;
use crate::channel::Channel;
use crate::channel::Origin;
use crate::channel::Over;
use crate::error::RecvError;
use crate::shared::Claim;
use crate::shared::Shared;
use crate::task::Task;
use crate::unwind::Guarded;
use crate::wait::Wait;

/// Leaves `not_empty`, with success or without.
#[inline]
pub(crate) fn cancel_recv<T>(channel: &Channel<T>, wait: &mut Wait) {
    if wait.cancel(&channel.not_empty) {
        channel.pass_item_on();
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
    /// Nowhere once it has been left, so there is nothing to drop then.
    wait: ManuallyDrop<Wait>,
}

impl<'a, T> Recv<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self {
            channel: Some(channel),
            wait: ManuallyDrop::default(),
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
    let taken = ready!(wait.poll(&channel.not_empty, cx, || channel.take_item()));
    let leaving = Leaving(|| cancel_recv(channel, wait));
    let result = match taken {
        Ok(item) => {
            let item = Guarded::new(item);
            channel.item_taken();
            Ok(item)
        }
        Err(Over) => Err(RecvError),
    };
    drop(leaving);
    Poll::Ready(result.map(Guarded::into_inner))
}

/// Polls for the next task of a task channel, for [`RecvTask`] and for the stream.
#[inline]
pub(crate) fn poll_task<T>(
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<Task<T>, RecvError>> {
    let mut origin = Origin::default();
    let taken = ready!(wait.poll(&channel.not_empty, cx, || channel.take_task(&mut origin)));
    Poll::Ready(match taken {
        Ok(taken) => Ok(hand_over(channel, wait, taken, origin)),
        Err(Over) => {
            cancel_recv(channel, wait);
            Err(RecvError)
        }
    })
}

/// Makes a task of what was taken, tells those whom that concerns, and leaves `not_empty`.
///
/// Mostly there is nobody to tell and nothing to leave. Then nothing runs that could panic, and the
/// task stays in registers: it need not lie in memory for unwinding to find it.
#[inline]
pub(crate) fn hand_over<T>(
    channel: &Channel<T>,
    wait: &mut Wait,
    taken: (T, Claim<T>),
    origin: Origin,
) -> Task<T> {
    match wait.is_away() && !channel.is_room_awaited() {
        true => Task::new(taken, origin),
        false => hand_over_aloud(channel, wait, Task::new(taken, origin), origin),
    }
}

#[cold]
fn hand_over_aloud<T>(
    channel: &Channel<T>,
    wait: &mut Wait,
    task: Task<T>,
    origin: Origin,
) -> Task<T> {
    let leaving = Leaving(|| cancel_recv(channel, wait));
    channel.task_taken(origin);
    drop(leaving);
    task
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
    /// Nowhere once it has been left, so there is nothing to drop then.
    wait: ManuallyDrop<Wait>,
}

impl<'a, T> RecvTask<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self {
            channel: Some(channel),
            wait: ManuallyDrop::default(),
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

debug_as_opaque!(Recv, RecvTask);
