//! Handles that do not keep their side of the channel alive.

use core::fmt;
use core::marker::PhantomData;

use crate::kind::Kind;
use crate::kind::Plain;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::shared::ReceiverSide;
use crate::shared::SenderSide;
use crate::shared::Shared;

/// A handle of a sender that does not keep the channel open. Created by
/// [`Sender::downgrade`](crate::Sender::downgrade).
///
/// It keeps the memory of the channel itself.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(1);
/// let weak = sender.downgrade();
/// weak.upgrade().expect("a sender is alive").try_send(1)?;
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// assert!(receiver.is_closed());
/// # Ok::<(), tollgate::TrySendError<i32>>(())
/// ```
pub struct WeakSender<T>(Shared<T>);

impl<T> WeakSender<T> {
    pub(crate) fn new(channel: &Shared<T>) -> Self {
        Self(channel.clone())
    }

    /// Creates a sender. Returns `None` if no sender is left, or if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// let weak = sender.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// receiver.close();
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn upgrade(&self) -> Option<Sender<T>> {
        SenderSide::upgrade(&self.0).map(Sender::new)
    }
}

/// A handle of a receiver that does not keep the channel open. Created by
/// [`Receiver::downgrade`](crate::Receiver::downgrade).
///
/// It keeps the memory of the channel itself, but no items: when the last receiver is dropped, queued
/// items are dropped.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(1);
/// let weak = receiver.downgrade();
/// sender.try_send(1)?;
/// assert_eq!(weak.upgrade().expect("a receiver is alive").try_recv(), Ok(1));
/// drop(receiver);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), tollgate::TrySendError<i32>>(())
/// ```
pub struct WeakReceiver<T, K: Kind = Plain> {
    channel: Shared<T>,
    kind: PhantomData<fn() -> K>,
}

impl<T, K: Kind> WeakReceiver<T, K> {
    pub(crate) fn new(channel: &Shared<T>) -> Self {
        Self {
            channel: channel.clone(),
            kind: PhantomData,
        }
    }

    /// Creates a receiver. Returns `None` if no receiver is left, or if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let weak = receiver.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn upgrade(&self) -> Option<Receiver<T, K>> {
        let side = ReceiverSide::upgrade(&self.channel)?;
        // SAFETY: a receiver of kind `K` made this handle.
        Some(unsafe { Receiver::new(side) })
    }
}

/// Creating a weak handle.
impl<T> Sender<T> {
    /// Creates a handle that does not keep the channel open. It can be upgraded to a sender while one is
    /// left and the channel is open.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// let weak = sender.downgrade();
    /// drop(sender);
    /// assert!(receiver.is_closed() && weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.0)
    }
}

/// Creating a weak handle.
impl<T, K: Kind> Receiver<T, K> {
    /// Creates a handle that does not keep the channel open. It can be upgraded to a receiver while one
    /// is left and the channel is open.
    ///
    /// A closed channel that is not empty can still be received from, but not by an upgraded handle. To
    /// add a receiver then, clone one.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// let weak = receiver.downgrade();
    /// drop(receiver);
    /// assert!(sender.is_closed() && weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakReceiver<T, K> {
        WeakReceiver::new(self.channel())
    }
}

impl<T> Clone for WeakSender<T> {
    /// Creates another weak handle of the same channel.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, K: Kind> Clone for WeakReceiver<T, K> {
    /// Creates another weak handle of the same channel.
    fn clone(&self) -> Self {
        Self::new(&self.channel)
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSender { .. }")
    }
}

impl<T, K: Kind> fmt::Debug for WeakReceiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakReceiver { .. }")
    }
}
