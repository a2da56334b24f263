//! The receiving handle.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::num::NonZeroUsize;

use crate::error::RecvError;
use crate::error::TryRecvError;
use crate::future::Closed;
use crate::future::IntoRecv;
use crate::future::Join;
use crate::future::Recv;
use crate::future::RecvItem;
use crate::future::RecvItems;
use crate::future::RecvMany;
use crate::future::RecvUntil;
use crate::iter::Drained;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::kind::Tasks;
use crate::monitor::Monitor;
use crate::operation::try_now;
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
/// With the feature `futures`, `run` processes the items of a task channel inside one future.
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

/// Receiving an item.
impl<T, K: Kind> Receiver<T, K> {
    /// Receives the next item, waiting while there is none.
    ///
    /// Waiting receivers are woken in the order in which they started to wait, one for each item
    /// queued. If another caller takes the item first, the woken receiver keeps its place among the
    /// waiters and waits again. Other calls of `recv` then let other tasks run once before they
    /// try: their futures return `Pending` once even though an item is queued. To receive without
    /// waiting, call [`try_recv`](Self::try_recv).
    ///
    /// Apart from that, `recv` completes immediately while the channel holds items. A loop that
    /// never finds the channel empty never lets other futures of its task or thread run. Let it yield
    /// now and then, or build the channel with [`yield_after`](crate::Builder::yield_after).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has taken nothing out of the channel.
    ///
    /// On a task channel, this does not cover the task that a completed `recv` returns. A task that
    /// is dropped counts as abandoned, or is queued again under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue).
    ///
    /// # Errors
    ///
    /// Returns an error once the channel is finished: it is closed, nothing is queued and, on a
    /// task channel, no task is in hand anywhere. A finished channel stays finished.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send("last").await?;
    /// sender.close();
    /// assert_eq!(receiver.recv().await, Ok("last"));
    /// assert_eq!(receiver.recv().await, Err(tollgate::RecvError));
    /// # Ok::<(), tollgate::SendError<&str>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn recv(&self) -> Recv<'_, T, K> {
        Recv::new(&self.side, Self::operation())
    }

    /// Receives the next item like [`recv`](Self::recv), with a future that owns this receiver, and so
    /// can be spawned.
    ///
    /// The receiver is dropped when the future completes or is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// assert_eq!(receiver.into_recv().await, Ok(1));
    /// assert!(sender.is_closed());
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_recv(mut self) -> IntoRecv<T, K> {
        self.stop_streaming();
        IntoRecv::new(self.side.clone(), Self::operation())
    }

    /// Receives the next item like [`recv`](Self::recv), but waits only until the future `stop` is
    /// ready.
    ///
    /// `stop` can be the timer of any runtime, or any other future. It is polled only when nothing can
    /// be received. So even if `stop` is ready from the start, as is a timer whose deadline is past, an
    /// item is received if there is one.
    ///
    /// When `stop` is ready, its output is always returned, in the error. So a loop can pass `&mut stop`
    /// to each call, and end at this error. As long as every call finds an item, however, `stop` is not
    /// polled and does not end the loop. If it must, check for that in the loop too.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, or if it is stopped, it has taken nothing out of
    /// the channel.
    ///
    /// # Errors
    ///
    /// Returns an error with the output of `stop` if `stop` is ready while nothing can be received, or
    /// an error without it once the channel is finished, as for [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// The future panics if `stop` panics, or if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// With a timer of tokio:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::sleep;
    /// use tollgate::RecvUntilError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// let millisecond = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Ok(1));
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Err(RecvUntilError::Stopped(())));
    /// drop(sender);
    /// assert_eq!(receiver.recv_until(sleep(millisecond)).await, Err(RecvUntilError::Closed));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With a timer of smol, in a loop, so that the deadline is one for all items:
    ///
    /// ```
    /// use smol::Timer;
    /// use std::time::Duration;
    ///
    /// # smol::block_on(async {
    /// let (sender, receiver) = tollgate::tasks::<i32>(4);
    /// sender.send(1).await?;
    /// sender.send(2).await?;
    ///
    /// let mut timer = Timer::after(Duration::from_millis(1));
    /// let mut sum = 0;
    /// while let Ok(task) = receiver.recv_until(&mut timer).await {
    ///     sum += task.done();
    /// }
    /// assert_eq!(sum, 3);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn recv_until<F: Future>(&self, stop: F) -> RecvUntil<'_, T, F, K> {
        RecvUntil::new(&self.side, Self::operation(), stop)
    }

    /// Receives an item if there is one now.
    ///
    /// It does not wait for items. It may wait for another thread that is within a few instructions
    /// of completing a send.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no item: [`Closed`](TryRecvError::Closed) if the channel is
    /// finished, as for [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) otherwise.
    ///
    /// On a task channel, the error is [`Empty`](TryRecvError::Empty) even after the channel was
    /// closed, while tasks are in hand or while another thread is in
    /// [`close_now`](Self::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::TryRecvError;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.try_send(1)?;
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<K::Received<T>, TryRecvError> {
        try_now(Self::operation(), &self.side, |tried| match tried {
            Ok(Ok(received)) => Ok(received),
            Ok(Err(RecvError)) => Err(TryRecvError::Closed),
            Err(_) => Err(TryRecvError::Empty),
        })
    }
}

/// Receiving several items.
impl<T, K: Kind> Receiver<T, K> {
    /// Receives all items that are queued, up to `max`, waiting while there is none. Returns how many,
    /// and appends them to `buf` in order.
    ///
    /// It waits for the first item only. All items of a batch are received at once, which costs far less
    /// than as many calls of [`recv`](Self::recv). `buf` grows as necessary, by the number of items that
    /// are received, so `max` may be any number.
    ///
    /// On a task channel, each of them becomes a [`Task`](crate::Task). If items that tasks have queued
    /// and items that were sent are both waiting, half of the batch comes from each.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, it has taken nothing
    /// out of the channel, and `buf` is unchanged. If it completes, or panics because of a waker, what
    /// it has received is in `buf`.
    ///
    /// # Errors
    ///
    /// Returns an error once the channel is finished, as [`recv`](Self::recv) does. `buf` is then
    /// unchanged.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed, or if the capacity of `buf` would
    /// exceed `isize::MAX` bytes. In the latter case, the items stay in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(4);
    /// for number in 1..=3 {
    ///     sender.send(number).await?;
    /// }
    /// let mut buf = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut buf, NonZeroUsize::MAX).await?.get(), 3);
    /// assert_eq!(buf, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn recv_many<'a>(
        &'a self,
        buf: &'a mut Vec<K::Received<T>>,
        max: NonZeroUsize,
    ) -> RecvMany<'a, T, K> {
        RecvMany::new(&self.side, Self::batch(buf, max))
    }

    /// Receives all items that are queued now, up to `max`. Returns how many, and appends them to `buf`,
    /// as [`recv_many`](Self::recv_many) does.
    ///
    /// Like [`try_recv`](Self::try_recv), it does not wait for items. While other threads send, it may
    /// receive fewer items than are queued.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no item, as [`try_recv`](Self::try_recv) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use tollgate::TryRecvError;
    ///
    /// let (sender, receiver) = tollgate::tasks::<i32>(4);
    /// for number in 1..=3 {
    ///     sender.try_send(number)?;
    /// }
    /// let two = NonZeroUsize::new(2).unwrap();
    /// let mut buf = Vec::new();
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Ok(two));
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Ok(NonZeroUsize::MIN));
    /// assert_eq!(receiver.try_recv_many(&mut buf, two), Err(TryRecvError::Empty));
    /// assert_eq!(buf.into_iter().map(|task| task.done()).sum::<i32>(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv_many(
        &self,
        buf: &mut Vec<K::Received<T>>,
        max: NonZeroUsize,
    ) -> Result<NonZeroUsize, TryRecvError> {
        let operation = Self::batch(buf, max);
        try_now(operation, &self.side, |tried| match tried {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(RecvError)) => Err(TryRecvError::Closed),
            Err(_) => Err(TryRecvError::Empty),
        })
    }

    /// Returns an iterator over the items that can be received now. It ends when there is none, and
    /// never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// sender.try_send(2)?;
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// # Ok::<(), tollgate::TrySendError<i32>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T, K> {
        TryIter {
            receiver: self,
            has_ended: false,
        }
    }

    /// Returns an iterator over the items that are queued now. It never waits.
    ///
    /// It yields at most as many items as are queued when `drain` is called. So it ends even if
    /// producers keep sending, or if its tasks are [retried](crate::Task::retry) or
    /// [followed up](crate::Task::follow_up); [`try_iter`](Self::try_iter) goes on as long as it finds an
    /// item.
    ///
    /// Each item is received when the iterator yields it, as by [`try_recv`](Self::try_recv). So an
    /// iterator that is dropped early leaves the other items in the channel, and on a task channel only
    /// the tasks that it has yielded are in hand. If other receivers take some of the items meanwhile,
    /// the iterator may yield fewer, or items that were sent later.
    ///
    /// To take out all queued items at once, and to close the channel, call
    /// [`close_now`](Self::close_now), which returns the items without tasks. (In flume, `drain` takes
    /// the items out when it is called, and drops what is left in the iterator.)
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(3);
    /// sender.try_send(1)?;
    /// sender.try_send(2)?;
    /// for item in receiver.drain() {
    ///     sender.try_send(item * 10)?;
    /// }
    /// assert_eq!(receiver.drain().next(), Some(10));
    /// assert_eq!(receiver.try_recv(), Ok(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self) -> Drain<'_, T, K> {
        Drain::new(self.try_iter(), self.len())
    }
}

// Here, because the documentation lists the methods in the order of the source.
// iterators that do not wait
mod iter;
// streams
mod stream;

/// Closing the channel.
impl<T, K: Kind> Receiver<T, K> {
    /// Closes the channel. Returns `true` if it was open. See
    /// [`Sender::close`](crate::Sender::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert!(receiver.close());
    /// assert!(!receiver.close());
    /// assert!(sender.try_send(1).is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.side.close()
    }

    /// Closes the channel, takes out all queued items and returns them. See
    /// [`Monitor::close_now`](crate::Monitor::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.close_now().next(), Some(1));
    /// assert!(receiver.is_closed() && receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        self.side.close_now()
    }

    /// Waits until the channel is closed: by a call on any handle, or because the last sender is
    /// dropped. Items may still be queued then.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// drop(sender);
    /// receiver.closed().await;
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.side)
    }

    /// Returns `true` if the channel is closed. Items that are still queued can be received. To
    /// receive everything, call [`recv`](Self::recv) until it returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert!(!receiver.is_closed());
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.side.queue.is_closed()
    }
}

/// Observing the channel.
impl<T, K: Kind> Receiver<T, K> {
    /// Waits until no work is left. See [`Monitor::join`].
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed. See [`Monitor::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert_eq!(receiver.join().await?.sent, 0);
    /// # Ok::<(), tollgate::JoinError>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.side)
    }

    /// Creates a handle that observes the channel and does not receive.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// let monitor = receiver.monitor();
    /// drop(receiver);
    /// assert_eq!(monitor.stats().receivers, 0);
    /// # drop(sender);
    /// ```
    pub fn monitor(&self) -> Monitor<T> {
        Monitor::new(&self.side)
    }

    /// Returns the number of queued items. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// On a task channel, this includes items that tasks queued, for another attempt or as new
    /// work. These take no room, so the number may exceed the capacity. For a moment, it may also
    /// include both the item of a [`force_send`](crate::Sender::force_send) and the one that it
    /// evicts.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.side.queue.len()
    }

    /// Returns `true` if nothing is queued. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// assert!(receiver.is_empty());
    /// sender.try_send(1)?;
    /// assert!(!receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if there is no room for another item to be sent. Other handles may send and
    /// receive concurrently, so the result may already be out of date.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert!(receiver.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        !self.side.queue.has_room()
    }

    /// Returns the capacity: how many sent items can be queued at once. It is `None` on an unbounded
    /// channel.
    ///
    /// Items that tasks queued do not count against it. To find out whether there is room, call
    /// [`is_full`](Self::is_full).
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(receiver.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.side.queue.capacity()
    }

    /// Returns the number of senders.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(sender);
    /// assert_eq!(receiver.sender_count(), 0);
    /// ```
    pub fn sender_count(&self) -> usize {
        self.side.senders.get()
    }

    /// Returns the number of receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let other = receiver.clone();
    /// assert_eq!(other.receiver_count(), 2);
    /// ```
    pub fn receiver_count(&self) -> usize {
        self.side.receivers.get()
    }

    /// Returns `true` if `other` receives from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::bounded::<i32>(1);
    /// let (_sender, unrelated) = tollgate::bounded::<i32>(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&unrelated));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.side.same_channel(&other.side)
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
