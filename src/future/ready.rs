//! Waiting for room, without sending.

use core::fmt;
use core::future::Future;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::SendError;
use crate::operation::Operation;
use crate::operation::Waiting;
use crate::shared::Shared;
use crate::wait::WaitList;

/// Waits for room, and takes none.
///
/// It waits in the list of the senders. So a notification for a vacant slot may be given to it, while a
/// sender waits behind it:
///
/// 1. `Ready` R and sender S wait, in this order. A slot becomes vacant, and R is notified.
/// 2. R completes. Its caller sends nothing.
/// 3. S sleeps although there is room.
///
/// Step 3 does not happen: R was given a notification (Q4 of `waiters`), so it passes it on when it
/// leaves the list, and there still is room, as R takes none. If another caller has taken the room in
/// the meantime, the receiver that removes that caller's item notifies S.
pub(crate) struct UntilRoom;

// SAFETY: O3: the output takes no space.
unsafe impl<T> Operation<T> for UntilRoom {
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
        let room = channel.queue.look_for_room().done();
        room.map(|()| Change::Nothing)
    }

    #[inline]
    unsafe fn attempt(&mut self, channel: &Shared<T>, _: &mut MaybeUninit<()>) -> Attempt<Change> {
        let room = channel.queue.look_for_room();
        room.map(|()| Change::Nothing)
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

/// The future returned by [`Sender::ready`](crate::Sender::ready). It waits for room.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
///
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.try_send(1)?;
/// let mut ready = sender.ready();
/// assert!(future::block_on(future::poll_once(&mut ready)).is_none());
/// receiver.try_recv()?;
/// assert_eq!(future::block_on(&mut ready), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Ready<'a, T>(Waiting<&'a Shared<T>, T, UntilRoom>);

impl<'a, T> Ready<'a, T> {
    pub(crate) fn new(channel: &'a Shared<T>) -> Self {
        Self(Waiting::new(channel, UntilRoom))
    }
}

impl<T> Future for Ready<'_, T> {
    type Output = Result<(), SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll("Ready", cx)
    }
}

fused!([T] Ready<'_, T>: 0);

impl<T> fmt::Debug for Ready<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready { .. }")
    }
}
