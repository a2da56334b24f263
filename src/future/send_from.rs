//! Sending an item out of a slot of the caller.

use core::fmt;
use core::future::Future;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::ptr;
use core::task::Context;
use core::task::Poll;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::SendError;
use crate::operation::Operation;
use crate::operation::Waiting;
use crate::shared::Shared;
use crate::sync::Exclusive;
use crate::wait::WaitList;

/// Sends the item of a slot, if there is one.
///
/// The attempt that sends the item takes it, and no other code does. So the slot is empty exactly when
/// the item has been sent.
pub(crate) struct SendSlot<'a, T>(Exclusive<&'a mut Option<T>>);

impl<'a, T> SendSlot<'a, T> {
    #[inline]
    pub(crate) fn new(slot: &'a mut Option<T>) -> Self {
        Self(Exclusive::new(slot))
    }

    #[inline]
    fn slot(&mut self) -> &mut Option<T> {
        self.0.get_mut()
    }

    /// Where the item is, in a slot that has one.
    #[inline]
    fn item(&mut self) -> *const T {
        match self.slot() {
            Some(item) => item,
            None => unreachable!("the slot has an item"),
        }
    }

    /// Empties the slot, whose item has moved out.
    #[inline]
    fn forget(&mut self) {
        // SAFETY: the pointer is that of a reference.
        unsafe { ptr::write(self.slot(), None) };
    }
}

// SAFETY: O3: the output takes no space.
unsafe impl<T> Operation<T> for SendSlot<'_, T> {
    type Output = ();
    type Error = SendError<()>;

    #[inline]
    fn list(channel: &Channel<T>) -> WaitList<'_> {
        channel.lists.of_senders()
    }

    #[inline]
    unsafe fn try_attempt(
        &mut self,
        channel: &Shared<T>,
        _: &mut MaybeUninit<()>,
    ) -> Option<Change> {
        if self.slot().is_none() {
            return (!channel.queue.is_closed()).then_some(Change::Nothing);
        }
        let item = self.item();
        // SAFETY: if it is sent, the slot is emptied.
        let is_sent = unsafe { channel.queue.try_push(|| item) };
        if is_sent {
            self.forget();
        }
        is_sent.then_some(Change::Queued)
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>, _: &mut MaybeUninit<()>) -> Attempt<Change> {
        if self.slot().is_none() {
            return match channel.queue.is_closed() {
                true => Attempt::Closed,
                false => Attempt::Done(Change::Nothing),
            };
        }
        let item = self.item();
        // SAFETY: if it is sent, the slot is emptied.
        let sent = unsafe { channel.queue.push(|| item) };
        sent.map(|()| {
            self.forget();
            Change::Queued
        })
    }

    fn closed(self) -> Self::Error {
        SendError(())
    }

    #[inline]
    fn pause(channel: &Channel<T>) -> bool {
        channel.pause_for_room()
    }

    fn pass_on(channel: &Channel<T>) {
        channel.pass_room_on();
    }
}

/// The future returned by [`Sender::send_from`](crate::Sender::send_from). It waits for room and sends
/// the item of a slot.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.try_send(1)?;
///
/// let mut slot = Some(2);
/// let mut send = sender.send_from(&mut slot);
/// assert!(future::block_on(future::poll_once(&mut send)).is_none());
/// drop(send);
/// assert_eq!(slot, Some(2));
///
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(future::block_on(sender.send_from(&mut slot)), Ok(()));
/// assert_eq!((slot, receiver.try_recv()), (None, Ok(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendFrom<'a, T>(Waiting<&'a Shared<T>, T, SendSlot<'a, T>>);

impl<'a, T> SendFrom<'a, T> {
    #[inline]
    pub(crate) fn new(channel: &'a Shared<T>, slot: &'a mut Option<T>) -> Self {
        Self(Waiting::new(channel, SendSlot::new(slot)))
    }
}

impl<T> Future for SendFrom<'_, T> {
    type Output = Result<(), SendError<()>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("SendFrom", cx)
    }
}

fused!([T] SendFrom<'_, T>: 0);

impl<T> fmt::Debug for SendFrom<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendFrom { .. }")
    }
}
