//! Waiting for room.

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
use crate::channel::Over;
use crate::error::SendError;
use crate::ring::Vacancy;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::unwind::Guarded;
use crate::unwind::OnDrop;
use crate::unwind::protect;
use crate::wait::Attempt;
use crate::wait::Operation;
use crate::wait::Wait;
use crate::wait::Yields;
use crate::waiters::Waiters;

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
pub struct Send<'a, T> {
    /// None when completed.
    channel: Option<&'a Shared<T>>,
    /// Nowhere once it has been left, so there is nothing to drop then.
    wait: ManuallyDrop<Wait>,
    /// There while `channel` is.
    item: ManuallyDrop<Exclusive<T>>,
}

// No item is ever pinned.
impl<T> Unpin for Send<'_, T> {}

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(crate) fn new(channel: &'a Shared<T>, item: T) -> Self {
        Self {
            channel: Some(channel),
            wait: ManuallyDrop::default(),
            item: ManuallyDrop::new(Exclusive::new(item)),
        }
    }

    /// Completes the future, and gives the item; none if that has been done.
    #[inline]
    fn complete(&mut self) -> Option<T> {
        self.channel.take()?;
        // SAFETY: `channel` was there, so the item is, and it is taken once.
        Some(unsafe { ManuallyDrop::take(&mut self.item) }.into_inner())
    }

    #[inline(never)]
    fn poll_in_line(
        &mut self,
        channel: &Channel<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        let reserved = ready!(self.wait.poll(&mut Reserve(channel), cx));
        let Some(item) = self.complete() else {
            unreachable!("it is not complete");
        };
        let mut leave = || cancel_send(channel, &mut self.wait);
        Poll::Ready(match reserved {
            Ok(vacancy) => {
                let leave = OnDrop(leave);
                channel.accept(vacancy, item);
                drop(leave);
                Ok(())
            }
            Err(Over) => Err(SendError(protect(item, &mut leave))),
        })
    }
}

/// Claiming a slot for an item.
struct Reserve<'a, T>(&'a Channel<T>);

impl<'a, T> Operation for Reserve<'a, T> {
    type Output = Result<Vacancy<'a, T>, Over>;

    #[inline]
    fn waiters(&self) -> &Waiters {
        &self.0.not_full
    }

    #[inline]
    fn attempt(&mut self) -> Attempt<Self::Output> {
        self.0.reserve()
    }

    #[inline]
    fn pause(&self) -> bool {
        self.0.pause_for_room()
    }

    #[inline]
    fn yields(&self) -> Option<&Yields> {
        Some(&self.0.yields.senders)
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(channel) = self.channel else {
            polled_after_completion("Send");
        };
        if self.wait.may_be_quick() && !channel.yields.senders.are_requested() {
            if let Some(vacancy) = channel.ring.reserve_at_once() {
                if let Some(item) = self.complete() {
                    channel.accept(vacancy, item);
                }
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_in_line(channel, cx)
    }
}

impl<T> Drop for Send<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            if let Some(item) = self.complete().map(Guarded::new) {
                cancel_send(channel, &mut self.wait);
                drop(item);
            }
        }
    }
}

/// Leaves `not_full`, with success or without.
#[inline]
fn cancel_send<T>(channel: &Channel<T>, wait: &mut Wait) {
    if wait.leave(&channel.not_full, Some(&channel.yields.senders)) {
        channel.pass_room_on();
    }
}

debug_as_opaque!(Send);
