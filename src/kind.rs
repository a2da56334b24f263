//! The two kinds of channel, as a parameter of [`Receiver`](crate::Receiver).

use alloc::vec::Vec;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::channel::Channel;
use crate::delivery::Delivery;
use crate::queue::Origin;
use crate::queue::Queue;
use crate::shared::Shared;
use crate::task::Task;

/// A kind of channel: [`Plain`] or [`Tasks`]. It decides what a receiver returns.
///
/// This trait is sealed: it has no other implementations.
///
/// # Examples
///
/// A function for receivers of both kinds:
///
/// ```
/// use tollgate::Receiver;
/// use tollgate::kind::Kind;
///
/// async fn skip<T, K: Kind>(receiver: &Receiver<T, K>, count: usize) {
///     for _ in 0..count {
///         let _ = receiver.recv().await;
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// sender.send(1).await?;
/// sender.send(2).await?;
/// skip(&receiver, 1).await;
/// assert_eq!(receiver.recv().await, Ok(2));
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
#[expect(private_bounds, reason = "sealed")]
pub trait Kind: Receive + 'static {
    /// What a receiver returns for an item of type `T`.
    type Received<T>;
}

/// The kind of a channel whose receivers return the items themselves. An item counts as done when it
/// is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plain {}

/// The kind of a channel whose receivers return each item as a [`Task`], which counts as outstanding
/// until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tasks {}

/// How a receiver of some kind takes an item from the queue.
pub(crate) trait Receive {
    /// The name of the receiver.
    const RECEIVER: &str;

    /// Whether the queue of the channel has a lane.
    const HAS_LANE: bool;

    /// Removes an item in one try. `None` says nothing about the channel.
    fn try_pop<T>(queue: &Queue<T>) -> Option<T>;

    /// Removes an item. The caller passes `Origin::Storage`, which is replaced if the item came from
    /// the lane.
    fn pop<T>(channel: &Channel<T>, origin: &mut Origin) -> Attempt<T>;

    /// Makes what a receiver returns for an item. Also returns what has changed.
    ///
    /// # Safety
    ///
    /// The caller has just removed the item from the queue of this channel, which is of this kind, and
    /// calls this once for it.
    unsafe fn received<T>(
        channel: &Shared<T>,
        item: T,
        origin: Origin,
    ) -> (Self::Received<T>, Change)
    where
        Self: Kind;

    /// Removes up to `max` items, and appends what a receiver returns for each to `out`. Returns how
    /// many, and what has changed.
    ///
    /// # Safety
    ///
    /// The channel is of this kind.
    unsafe fn pop_many<T>(
        channel: &Shared<T>,
        max: u64,
        out: &mut Vec<Self::Received<T>>,
    ) -> Attempt<(u64, Change)>
    where
        Self: Kind;
}

impl Kind for Plain {
    type Received<T> = T;
}

impl Receive for Plain {
    const RECEIVER: &str = "Receiver";
    const HAS_LANE: bool = false;

    #[inline]
    fn try_pop<T>(queue: &Queue<T>) -> Option<T> {
        queue.try_pop_sent()
    }

    #[inline]
    fn pop<T>(channel: &Channel<T>, _: &mut Origin) -> Attempt<T> {
        channel.queue.pop_sent()
    }

    #[inline]
    unsafe fn received<T>(_: &Shared<T>, item: T, _: Origin) -> (T, Change) {
        (item, Change::Resolved)
    }

    #[inline]
    unsafe fn pop_many<T>(
        channel: &Shared<T>,
        max: u64,
        out: &mut Vec<T>,
    ) -> Attempt<(u64, Change)> {
        let popped = channel.queue.pop_many_sent(max, out, |item| item);
        popped.map(|count| (count, Change::resolved(count)))
    }
}

impl Kind for Tasks {
    type Received<T> = Task<T>;
}

impl Receive for Tasks {
    const RECEIVER: &str = "TaskReceiver";
    const HAS_LANE: bool = true;

    #[inline]
    fn try_pop<T>(queue: &Queue<T>) -> Option<T> {
        queue.try_pop()
    }

    #[inline]
    fn pop<T>(channel: &Channel<T>, origin: &mut Origin) -> Attempt<T> {
        channel.pop_task(origin)
    }

    #[inline]
    unsafe fn received<T>(channel: &Shared<T>, item: T, origin: Origin) -> (Task<T>, Change) {
        // SAFETY: the caller's guarantee.
        let delivery = unsafe { Delivery::new(channel) };
        let change = match origin {
            Origin::Storage => Change::RoomMade,
            // What leaves the lane makes no room.
            Origin::Lane { .. } => Change::Nothing,
        };
        (Task::new((item, delivery), origin), change)
    }

    #[inline]
    unsafe fn pop_many<T>(
        channel: &Shared<T>,
        max: u64,
        out: &mut Vec<Task<T>>,
    ) -> Attempt<(u64, Change)> {
        let popped = channel.pop_many_tasks(max, out, |item, origin| {
            // SAFETY: just removed; and the channel is of this kind, by the caller's guarantee.
            unsafe { Self::received(channel, item, origin) }.0
        });
        popped.map(|batch| {
            let change = Change::room_made(batch.sent);
            (batch.sent + batch.requeued, change)
        })
    }
}
