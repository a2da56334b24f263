//! The receiving handle.

// The documentation lists the methods in the order of these modules.

// receiving an item
mod item;
// iterators that do not wait
mod iter;
// receiving several items
mod several;
// receiving as a stream
mod stream;
// closing the channel
mod closing;
// observing the channel
mod observing;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;

use crate::error::TryRecvError;
use crate::future::RecvItem;
use crate::future::RecvItems;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::kind::Tasks;
use crate::operation::Refused;
use crate::shared::ReceiverSide;
use crate::shared::Shared;

pub use self::iter::Drain;
pub use self::iter::TryIter;
pub use self::stream::IntoStream;
pub use self::stream::RecvStream;
use self::stream::Streaming;

/// The receiving side of a channel.
///
/// On a plain channel, a receiver returns the items themselves, and an item counts as done when it
/// is received. On a task channel, it returns each item as a [`Task`](crate::Task); see
/// [`TaskReceiver`].
///
/// It can be cloned, and shared between threads; each item is received by one receiver. Dropping
/// the last receiver closes the channel and drops all queued items immediately; these count as
/// [discarded](crate::Report::discarded).
///
/// # Which call to use
///
/// | to receive | futures | calls that block the thread | calls that never wait |
/// |---|---|---|---|
/// | an item | [`recv`](Self::recv) | [`recv_blocking`](Self::recv_blocking) | [`try_recv`](Self::try_recv) |
/// | an item, for a limited time | [`recv_until`](Self::recv_until) | [`recv_timeout`](Self::recv_timeout), [`recv_deadline`](Self::recv_deadline) | |
/// | an item, by a future that can be spawned | [`into_recv`](Self::into_recv) | | |
/// | several items at once | [`recv_many`](Self::recv_many) | | [`try_recv_many`](Self::try_recv_many) |
/// | all items, until the end | the receiver as a `Stream`, [`stream`](Self::stream), [`into_stream`](Self::into_stream), [`poll_recv`](Self::poll_recv) | [`iter`](Self::iter), a `for` loop | |
/// | the items that are there | | | [`drain`](Self::drain), [`try_iter`](Self::try_iter) |
///
/// With the feature `futures`, `run` processes the items of a task channel inside one future, and
/// `run_tasks` its tasks.
///
/// [`close`](Self::close) ends sending. [`close_now`](Self::close_now) also takes out what is queued.
/// [`closed`](Self::closed) waits until the channel is closed.
///
/// # Streams
///
/// A receiver is also a [`Stream`] of the items. The stream ends when the channel is finished:
/// closed, with nothing queued and, on a task channel, no task in hand anywhere. Each item wakes
/// one waiter, which may be a stream or a [`recv`](Self::recv) future. A stream that returned
/// `Pending` remains a waiter. If it is then neither polled again nor dropped, it can keep the
/// wakeup for one item to itself. So in a `select!`, use [`recv`](Self::recv): its future is
/// dropped, and passes the wakeup on.
///
/// [`Stream`]: futures_core::Stream
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// sender.send(1).await?;
/// sender.send(2).await?;
/// drop(sender);
///
/// let items: Vec<i32> = receiver.collect().await;
/// assert_eq!(items, [1, 2]);
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
pub struct Receiver<T, K: Kind = Plain> {
    side: ReceiverSide<T>,
    /// Allocated at the first poll as a stream, so that other receivers stay small.
    stream: Option<Box<Streaming>>,
    kind: PhantomData<fn() -> K>,
}

/// The receiving side of a [task channel](crate::tasks). It returns each item as a
/// [`Task`](crate::Task), which counts as outstanding until it ends. The table at [`Receiver`] shows
/// which call to use.
///
/// It can be cloned, and shared between threads; each task is received by one receiver. Dropping
/// the last receiver closes the channel and drops all queued items immediately; these count as
/// *discarded*.
///
/// A receiver ends when the channel is *finished*: closed, with nothing queued and no task in hand
/// anywhere. So a worker that receives until the end also receives the items that tasks queue for
/// [another attempt](crate::Task::retry) or as [new work](crate::Task::follow_up). Receivers
/// alternate between these items and items that were sent.
///
/// Do not wait for the next task while you hold a task of the same channel that you are not
/// processing. Once the channel is closed and empty, [`recv`](Self::recv) waits for all tasks in
/// hand, because their workers may still queue items. Yours is one of them, so you wait for
/// yourself, and workers that all do this wait for each other. `StreamExt::chunks` and `collect`
/// hold tasks in this way. To take several tasks, use [`recv_many`](Self::recv_many), which waits for
/// the first one only. To process several at once, use `for_each_concurrent`.
///
/// While a receiver exists, queued items stay in the channel, even if no code receives from it. So
/// give each receiver to a worker, or drop it.
///
/// A receiver is also a [`Stream`] of the tasks. As on a plain channel, each item wakes one waiter.
/// A stream that was polled and then left alone can keep this wakeup to itself: the item stays
/// queued, even if another receiver is idle, until the stream is polled again or dropped.
/// `ready_chunks` and `buffer_unordered` leave the stream in this state while their consumer works,
/// so use them only if there is a single worker.
///
/// [`Stream`]: futures_core::Stream
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let (sender, mut receiver) = tollgate::tasks(2);
/// let monitor = sender.monitor();
/// sender.send(20).await?;
/// sender.send(22).await?;
/// drop(sender);
///
/// let mut sum = 0;
/// while let Some(task) = receiver.next().await {
///     sum += task.done();
/// }
/// assert_eq!(sum, 42);
/// assert_eq!(monitor.finished().await?.done, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type TaskReceiver<T> = Receiver<T, Tasks>;

impl<T, K: Kind> Receiver<T, K> {
    /// # Safety
    ///
    /// `K` is the kind of the channel: [`Tasks`] if its queue has a lane, [`Plain`] if not.
    pub(crate) unsafe fn new(side: ReceiverSide<T>) -> Self {
        Self {
            side,
            stream: None,
            kind: PhantomData,
        }
    }

    pub(crate) fn channel(&self) -> &Shared<T> {
        &self.side
    }

    #[inline]
    pub(crate) fn operation() -> RecvItem<K> {
        // SAFETY: it is used on the channel of a receiver, whose kind is `K` by `new`.
        unsafe { RecvItem::new() }
    }

    fn batch(buf: &mut Vec<K::Received<T>>, max: NonZeroUsize) -> RecvItems<'_, T, K> {
        // SAFETY: as in `operation`.
        unsafe { RecvItems::new(buf, max) }
    }
}

impl<T, K: Kind> Clone for Receiver<T, K> {
    /// Creates another receiver of the same channel. It does not get copies of the items: each item
    /// is received by one receiver.
    ///
    /// The clone is a new stream: it is not waiting, and has not ended, even if the original is or
    /// has.
    fn clone(&self) -> Self {
        // SAFETY: it is the same channel.
        unsafe { Self::new(self.side.clone()) }
    }
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        self.stop_streaming();
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {{ .. }}", K::RECEIVER)
    }
}

fn why_none(refused: Refused) -> TryRecvError {
    match refused {
        Refused::Closed => TryRecvError::Closed,
        Refused::Blocked => TryRecvError::Empty,
    }
}
