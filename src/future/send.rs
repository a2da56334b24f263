//! Waiting for room.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use super::Leaving;
use super::debug_as_opaque;
use super::polled_after_completion;
use crate::channel::Channel;
use crate::channel::Over;
use crate::error::SendError;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::unwind::Guarded;
use crate::wait::Wait;

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
    item: Guarded<Exclusive<T>>,
}

// No item is ever pinned.
impl<T> Unpin for Send<'_, T> {}

impl<'a, T> Send<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>, item: T) -> Self {
        Self(Some(Sending {
            channel,
            wait: Wait::default(),
            item: Guarded::new(Exclusive::new(item)),
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
        // A claimed slot is filled first of all (R5 of `ring`).
        let leaving = Leaving(|| cancel_send(channel, &mut wait));
        let result = match reserved {
            Ok(vacancy) => {
                channel.accept(vacancy, item.into_inner().into_inner());
                Ok(())
            }
            Err(Over) => Err(item),
        };
        drop(leaving);
        Poll::Ready(result.map_err(|item| SendError(item.into_inner().into_inner())))
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

debug_as_opaque!(Send);
