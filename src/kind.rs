//! The two kinds of channel, as a parameter of [`Receiver`](crate::Receiver).

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use crate::attempt::Attempt;
use crate::channel::Change;
use crate::delivery::Delivery;
use crate::queue::Origin;
use crate::queue::Part;
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
///
/// # Safety
///
/// When a method returns that items were removed, it has written what it made of them to `out`.
pub(crate) unsafe trait Receive {
    /// The name of the receiver.
    const RECEIVER: &str;

    /// Whether the queue of the channel has a lane.
    const HAS_LANE: bool;

    /// Removes an item in one try, and writes what a receiver returns for it to `out`. Returns what has
    /// changed. `None` says nothing about the channel.
    ///
    /// # Safety
    ///
    /// The channel is of this kind.
    unsafe fn try_pop<T>(
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Received<T>>,
    ) -> Option<Change>
    where
        Self: Kind;

    /// Removes an item, and writes what a receiver returns for it to `out`. Returns what has changed.
    ///
    /// # Safety
    ///
    /// The channel is of this kind.
    unsafe fn pop<T>(
        channel: &Shared<T>,
        out: &mut MaybeUninit<Self::Received<T>>,
    ) -> Attempt<Change>
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

// SAFETY: the queue has written the item to `out` when it says that it has removed one.
unsafe impl Receive for Plain {
    const RECEIVER: &str = "Receiver";
    const HAS_LANE: bool = false;

    #[inline]
    unsafe fn try_pop<T>(channel: &Shared<T>, out: &mut MaybeUninit<T>) -> Option<Change> {
        let popped = channel.queue.try_pop_sent(out);
        popped.then_some(Change::Resolved)
    }

    #[inline]
    unsafe fn pop<T>(channel: &Shared<T>, out: &mut MaybeUninit<T>) -> Attempt<Change> {
        let popped = channel.queue.pop_sent(out);
        popped.map(|()| Change::Resolved)
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

// SAFETY: as above, and `deliver` has made a task of the item.
unsafe impl Receive for Tasks {
    const RECEIVER: &str = "TaskReceiver";
    const HAS_LANE: bool = true;

    #[inline]
    unsafe fn try_pop<T>(channel: &Shared<T>, out: &mut MaybeUninit<Task<T>>) -> Option<Change> {
        if !channel.queue.try_pop(Task::place_of_item(out)) {
            return None;
        }
        // A queue that measures never gets here: its first tries fail.
        // SAFETY: just removed; and the channel is of this kind.
        let delivery = unsafe { Delivery::first(channel) };
        Task::complete(out, delivery);
        Some(Change::RoomMade)
    }

    #[inline]
    unsafe fn pop<T>(channel: &Shared<T>, out: &mut MaybeUninit<Task<T>>) -> Attempt<Change> {
        let popped = channel.pop_task(Task::place_of_item(out));
        popped.map(|origin| {
            // SAFETY: as above.
            unsafe { deliver(channel, origin, out) };
            match origin.part {
                Part::Storage => Change::RoomMade,
                // What leaves the lane makes no room.
                Part::Lane => Change::Nothing,
            }
        })
    }

    #[inline]
    unsafe fn pop_many<T>(
        channel: &Shared<T>,
        max: u64,
        out: &mut Vec<Task<T>>,
    ) -> Attempt<(u64, Change)> {
        let popped = channel.pop_many_tasks(max, out, |item, origin| {
            let mut task = MaybeUninit::uninit();
            Task::place_of_item(&mut task).write(item);
            // SAFETY: just removed; and the channel is of this kind, by the caller's guarantee.
            unsafe { deliver(channel, origin, &mut task) };
            // SAFETY: now it is whole.
            unsafe { task.assume_init() }
        });
        popped.map(|batch| {
            let change = Change::room_made(batch.sent);
            (batch.sent + batch.requeued, change)
        })
    }
}

/// Makes a task of an item that is in its place.
///
/// # Safety
///
/// The caller has just removed the item from the queue of this task channel, and makes one task of it.
#[inline]
unsafe fn deliver<T>(channel: &Shared<T>, origin: Origin, out: &mut MaybeUninit<Task<T>>) {
    // SAFETY: the caller's guarantee.
    let delivery = unsafe { Delivery::new(channel, origin) };
    Task::complete(out, delivery);
}
