//! A sender as a futures [`Sink`].
//!
//! A sink has two steps: `poll_ready`, and `start_send`, which cannot wait. Room that `poll_ready` has
//! seen is not reserved, so `start_send` may find the channel full. Then the sink keeps the item, and
//! the next poll sends it.
//!
//! # Invariants
//!
//! * **I1** The sink keeps at most one item. The channel has accepted each item that was started before
//!   it: `start_send` is only called while the sink keeps none.
//! * **I2** An item leaves the sink in the attempt that sends it, or by `take`, or when the sink is
//!   dropped. So no error and no panic of a waker loses it.
//! * **I3** The sink waits as one waiter, whether for room or with an item: both operations wait in one
//!   list, with the state that its sender keeps.

use core::fmt;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use futures_util::Sink;

use crate::error::SendError;
use crate::future::SendSlot;
use crate::operation::Refused;
use crate::operation::try_now;
use crate::sender::Sender;
use crate::sync::Exclusive;
use crate::unwind::Guarded;

/// A sender as a [`Sink`]. Created by [`Sender::into_sink`].
///
/// # Readiness
///
/// `poll_ready` waits until there is room. This is a hint, as it is for [`Sender::ready`]: another
/// sender may take the room first. `start_send` then keeps the item, and `poll_ready`, `poll_flush` and
/// `poll_close` first send that item, waiting as [`Sender::send`] does. So a sink holds at most one item
/// beyond the capacity of the channel, and only if it was outrun.
///
/// # Flush and close
///
/// A flush completes when the channel has accepted all items. It does not wait until they are received.
/// Await `flush`, `send` or `close` at the end: a sink that is dropped drops the item that it keeps.
///
/// `close` flushes, and then gives up this sender. It closes the channel only if no other sender is left.
/// From then on, the sink returns an error for every item.
///
/// # Errors
///
/// If the channel is closed, no item can be sent: `poll_ready` returns an error, and so do the others if
/// they have an item to send. The sink keeps the item that it could not send, and [`take`](Self::take)
/// returns it.
///
/// # Cancel safety
///
/// The channel and the sink lose no item if a future is dropped or fails. But the combinators of
/// futures-util hold an item themselves until `poll_ready` has succeeded, and drop it if they are dropped
/// before that, or if it fails. This applies to the item of `send` and `feed`, and to one that `forward`
/// or `send_all` has taken out of its stream. Where items must not be lost, use [`Sender::send_from`].
///
/// A sink that returned `Pending` remains a waiter until it is ready or dropped, and may keep one wakeup
/// to itself if it is left alone. See [`Sender::poll_ready`].
///
/// # Examples
///
/// ```
/// use futures_util::SinkExt;
/// use futures_util::StreamExt;
/// use futures_util::stream;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(8);
/// let mut sink = sender.into_sink();
/// sink.send(1).await?;
/// sink.send_all(&mut stream::iter([Ok(2), Ok(3)])).await?;
/// stream::iter([Ok(4)]).forward(sink).await?;
///
/// assert_eq!(receiver.collect::<Vec<_>>().await, [1, 2, 3, 4]);
/// # Ok::<(), tollgate::SendError<()>>(())
/// # }).unwrap();
/// ```
#[must_use = "sinks do nothing unless polled"]
pub struct SendSink<T> {
    /// `None` once closed.
    sender: Option<Sender<T>>,
    /// Guarded, because its destructor and those of the sender's wakers are user code.
    kept: Guarded<Exclusive<Option<T>>>,
}

// Items are never pinned.
impl<T> Unpin for SendSink<T> {}

/// Sending as a sink.
impl<T> Sender<T> {
    /// Makes a futures [`Sink`] of this sender.
    ///
    /// This method requires the feature `futures`.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::SinkExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let mut sink = sender.clone().into_sink();
    /// sink.send(1).await?;
    /// sink.close().await?;
    ///
    /// assert!(!sender.is_closed());
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// # Ok::<(), tollgate::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_sink(self) -> SendSink<T> {
        SendSink {
            sender: Some(self),
            kept: Guarded::new(Exclusive::new(None)),
        }
    }
}

impl<T> SendSink<T> {
    /// Takes the item that the sink keeps: one that the channel has not accepted yet, or that it refused
    /// because it is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::SinkExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let mut sink = sender.clone().into_sink();
    /// sink.feed(1).await?;
    /// assert_eq!(sink.take(), None);
    ///
    /// receiver.try_recv().unwrap();
    /// std::future::poll_fn(|cx| sink.poll_ready_unpin(cx)).await?;
    /// sender.try_send(2).unwrap();
    /// // The other sender was quicker.
    /// sink.start_send_unpin(3)?;
    /// receiver.close();
    /// assert!(sink.flush().await.is_err());
    /// assert_eq!(sink.take(), Some(3));
    /// # Ok::<(), tollgate::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    pub fn take(&mut self) -> Option<T> {
        let kept = self.kept.get_mut();
        if let (Some(_), Some(sender)) = (&kept, &mut self.sender) {
            // There is nothing to wait for any more. First, because a waker may panic (I2).
            sender.stop_polling();
        }
        kept.take()
    }

    /// Returns the sender of this sink. Returns `None` once the sink is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let sink = sender.into_sink();
    /// assert!(sink.sender().is_some_and(|sender| sender.is_empty()));
    /// ```
    pub fn sender(&self) -> Option<&Sender<T>> {
        self.sender.as_ref()
    }

    /// Sends the item that the sink keeps, if there is one.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        let kept = self.kept.get_mut();
        if kept.is_none() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.sender {
            Some(sender) => sender.poll_operation(SendSlot::new(kept), cx),
            None => Poll::Ready(Err(SendError(()))),
        }
    }
}

impl<T> Sink<T> for SendSink<T> {
    type Error = SendError<()>;

    /// Sends the item that the sink keeps, and then waits for room.
    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        ready!(self.poll_kept(cx))?;
        match &mut self.sender {
            Some(sender) => sender.poll_ready(cx),
            None => Poll::Ready(Err(SendError(()))),
        }
    }

    /// Sends the item, or keeps it if the channel is full.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel or the sink is closed. The sink keeps the item.
    ///
    /// # Panics
    ///
    /// Panics if the sink keeps an item. It keeps none after `poll_ready` has returned `Ok`.
    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SendError<()>> {
        let item = Guarded::new(item);
        let this = &mut *self;
        let kept = this.kept.get_mut();
        assert!(
            kept.is_none(),
            "`start_send` called before `poll_ready` returned `Ok`"
        );
        *kept = Some(item.into_inner());
        match &this.sender {
            // If the channel is full, the item stays in the slot.
            Some(sender) => {
                let sent = try_now(SendSlot::new(kept), &sender.0, |refused| refused);
                match sent {
                    Ok(()) | Err(Refused::Blocked) => Ok(()),
                    Err(Refused::Closed) => Err(SendError(())),
                }
            }
            None => Err(SendError(())),
        }
    }

    /// Sends the item that the sink keeps. All others have been accepted by the channel (I1).
    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        self.poll_kept(cx)
    }

    /// Flushes, and then gives up the sender of this sink.
    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        ready!(self.poll_kept(cx))?;
        drop(self.sender.take());
        Poll::Ready(Ok(()))
    }
}

impl<T> Clone for SendSink<T> {
    /// Creates another sink of the same channel. It keeps no item, and is not waiting. The clone of a
    /// closed sink is closed.
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            kept: Guarded::new(Exclusive::new(None)),
        }
    }
}

impl<T> fmt::Debug for SendSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendSink { .. }")
    }
}
