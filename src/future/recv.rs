//! Waiting for an item, or a task.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use super::debug_as_opaque;
use super::polled_after_completion;
use crate::channel::Channel;
use crate::channel::Origin;
use crate::channel::Over;
use crate::error::RecvError;
use crate::shared::Claim;
use crate::shared::Shared;
use crate::task::Task;
use crate::unwind::OnDrop;
use crate::unwind::protect;
use crate::wait::Attempt;
use crate::wait::Operation;
use crate::wait::Wait;
use crate::wait::Yields;
use crate::waiters::Waiters;

/// Leaves `not_empty`, with success or without.
#[inline]
pub(crate) fn cancel_recv<T>(channel: &Channel<T>, wait: &mut Wait) {
    if wait.leave(&channel.not_empty, Some(&channel.yields.receivers)) {
        channel.pass_item_on();
    }
}

/// Taking the next item of a plain channel.
struct TakeItem<'a, T>(&'a Channel<T>);

impl<T> Operation for TakeItem<'_, T> {
    type Output = Result<T, Over>;

    #[inline]
    fn waiters(&self) -> &Waiters {
        &self.0.not_empty
    }

    #[inline]
    fn attempt(&mut self) -> Attempt<Self::Output> {
        self.0.take_item()
    }

    #[inline]
    fn pause(&self) -> bool {
        self.0.pause_for_item()
    }

    #[inline]
    fn yields(&self) -> Option<&Yields> {
        Some(&self.0.yields.receivers)
    }
}

/// Taking the next task of a task channel.
struct TakeTask<'a, T> {
    channel: &'a Shared<T>,
    origin: &'a mut Origin,
}

impl<T> Operation for TakeTask<'_, T> {
    type Output = Result<(T, Claim<T>), Over>;

    #[inline]
    fn waiters(&self) -> &Waiters {
        &self.channel.not_empty
    }

    #[inline]
    fn attempt(&mut self) -> Attempt<Self::Output> {
        self.channel.take_task(self.origin)
    }

    #[inline]
    fn pause(&self) -> bool {
        self.channel.pause_for_item()
    }

    #[inline]
    fn yields(&self) -> Option<&Yields> {
        Some(&self.channel.yields.receivers)
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
    if wait.may_be_quick() && !channel.yields.receivers.are_requested() {
        if let Some(item) = channel.ring.pop_at_once() {
            return Poll::Ready(Ok(channel.hand_over(item)));
        }
    }
    poll_item_in_line(channel, wait, cx)
}

#[inline(never)]
fn poll_item_in_line<T>(
    channel: &Channel<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<T, RecvError>> {
    let taken = ready!(wait.poll(&mut TakeItem(channel), cx));
    Poll::Ready(match taken {
        Ok(item) if wait.is_idle() => Ok(channel.hand_over(item)),
        Ok(item) => Ok(protect(item, || {
            let leave = OnDrop(|| cancel_recv(channel, wait));
            channel.notify_after_recv();
            drop(leave);
        })),
        Err(Over) => {
            cancel_recv(channel, wait);
            Err(RecvError)
        }
    })
}

/// Polls for the next task of a task channel, for [`RecvTask`] and for the stream.
#[inline]
pub(crate) fn poll_task<T>(
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<Task<T>, RecvError>> {
    if wait.may_be_quick() && !channel.yields.receivers.are_requested() {
        if let Some(taken) = channel.take_task_at_once() {
            return Poll::Ready(Ok(hand_over(channel, wait, taken, Origin::Ring)));
        }
    }
    poll_task_in_line(channel, wait, cx)
}

#[inline(never)]
fn poll_task_in_line<T>(
    channel: &Shared<T>,
    wait: &mut Wait,
    cx: &mut Context<'_>,
) -> Poll<Result<Task<T>, RecvError>> {
    let mut origin = Origin::default();
    let mut operation = TakeTask {
        channel,
        origin: &mut origin,
    };
    let taken = ready!(wait.poll(&mut operation, cx));
    Poll::Ready(match taken {
        Ok(taken) => Ok(hand_over(channel, wait, taken, origin)),
        Err(Over) => {
            cancel_recv(channel, wait);
            Err(RecvError)
        }
    })
}

/// Makes a task of what was taken, notifies those whom that concerns, and leaves `not_empty`.
///
/// Mostly there is no one to notify and no list to leave. Then nothing runs that could panic, and
/// the task stays in registers: it need not lie in memory for unwinding to find it.
#[inline]
pub(crate) fn hand_over<T>(
    channel: &Channel<T>,
    wait: &mut Wait,
    taken: (T, Claim<T>),
    origin: Origin,
) -> Task<T> {
    match wait.is_idle() && !channel.not_full.is_awaited() {
        true => Task::new(taken, origin),
        false => hand_over_and_notify(channel, wait, Task::new(taken, origin), origin),
    }
}

#[inline(never)]
fn hand_over_and_notify<T>(
    channel: &Channel<T>,
    wait: &mut Wait,
    task: Task<T>,
    origin: Origin,
) -> Task<T> {
    protect(task, || {
        let leave = OnDrop(|| cancel_recv(channel, wait));
        channel.task_taken(origin);
        drop(leave);
    })
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
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

    #[inline]
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
