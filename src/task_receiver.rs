//! The receiving handle of a task channel.

use std::fmt;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use futures_core::FusedStream;
use futures_core::Stream;

use crate::channel::Origin;
use crate::error::TryRecvError;
use crate::future::Join;
use crate::future::RecvTask;
use crate::future::hand_over;
use crate::future::poll_task;
use crate::iter::Drained;
use crate::monitor::Monitor;
use crate::shared::ReceiverSide;
use crate::stream::Inlet;
use crate::sync::atomic::Ordering;
use crate::task::Task;
use crate::wait::Attempt;
use crate::wait::Wait;

/// The receiving side of a [task channel](crate::tasks): every item comes as a [`Task`], which
/// counts as outstanding until it is ended.
///
/// It can be cloned and shared between threads; each task goes to one receiver. When the last
/// receiver is dropped, the channel is closed and what is queued is dropped at once, counted as
/// *discarded*.
///
/// It ends when the channel is *finished*: closed, with nothing queued and no task in hand
/// anywhere. So a worker that goes on until the end is there for all the work there is, also for
/// what tasks [put back](Task::retry) or [leave](Task::follow_up), which is received in turn with
/// what was sent.
///
/// So a worker that holds a task of a closed channel while it awaits the next one waits for itself,
/// and all who do so wait for each other: `StreamExt::chunks` and `collect` do that. To take
/// several at a time, await one, and take along what [`try_recv`](Self::try_recv) gives; to work on
/// several, use `for_each_concurrent`. And a receiver that nobody receives from keeps what is
/// queued queued: give it to a worker, or drop it.
///
/// It is a [`Stream`] of the tasks. As of a [`Receiver`](crate::Receiver), one item wakes one of
/// those that wait, and a stream that is left half-way keeps that wake to itself: the item waits
/// until the stream is polled again or dropped, though another receiver be idle. `ready_chunks` and
/// `buffer_unordered` leave the stream so while their consumer works, which is right for a sole
/// worker only.
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
pub struct TaskReceiver<T>(Inlet<T>);

impl<T> TaskReceiver<T> {
    pub(crate) fn new(side: ReceiverSide<T>) -> Self {
        Self(Inlet::new(side))
    }

    /// Receives the next task, waiting while there is none.
    ///
    /// Waiting receivers are woken in the order they came, one for each item sent. If another
    /// caller is quicker than a woken receiver, the receiver keeps its place and waits on. Other
    /// calls of `recv` then let other tasks run once before they try: their futures are pending once
    /// although an item is there. To try without waiting, call [`try_recv`](Self::try_recv).
    ///
    /// While tasks are there it is ready at once. A loop that never finds the channel empty never
    /// lets other futures of its task or thread run: let it yield now and then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has taken nothing. The task that it gives is another
    /// matter: dropped, it counts as abandoned.
    ///
    /// # Errors
    ///
    /// When the channel is finished, for good: closed, nothing queued, and no task in hand
    /// anywhere.
    ///
    /// # Panics
    ///
    /// The future does when polled after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send("last").await?;
    /// sender.close();
    /// assert_eq!(receiver.recv().await?.done(), "last");
    /// assert!(receiver.recv().await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn recv(&self) -> RecvTask<'_, T> {
        RecvTask::new(&self.0)
    }

    /// Receives a task if there is one now.
    ///
    /// It does not wait for items. It may wait for another thread that is within a few instructions
    /// of the end of a send.
    ///
    /// # Errors
    ///
    /// When there is no task: [`Closed`](TryRecvError::Closed) when the channel is finished,
    /// [`Empty`](TryRecvError::Empty) otherwise, also after a close while tasks are in hand, or
    /// while another thread is at [`close_now`](Self::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::TryRecvError;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(1)?;
    /// drop(sender);
    ///
    /// let task = receiver.try_recv()?;
    /// assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    /// task.done();
    /// assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<Task<T>, TryRecvError> {
        let mut origin = Origin::default();
        match Attempt::decided(|| self.0.take_task(&mut origin)) {
            Some(Ok(taken)) => Ok(hand_over(&self.0, &mut Wait::default(), taken, origin)),
            Some(Err(_)) => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Closes the channel; true if it was open. See [`Sender::close`](crate::Sender::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// assert!(receiver.close());
    /// assert!(!receiver.close());
    /// assert!(sender.try_send(1).is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Closes the channel, and takes out and hands back what is queued. See
    /// [`Monitor::close_now`](crate::Monitor::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.close_now().next(), Some(1));
    /// assert!(receiver.is_closed() && receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        Drained::new(self.0.close_now())
    }

    /// Whether the channel is closed. What was queued may still be received: to receive until the
    /// end, go on until [`recv`](Self::recv) says that it is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// assert!(!receiver.is_closed());
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.0.ring.is_closed()
    }

    /// Waits until no work is left: [`Monitor::join`].
    ///
    /// # Errors
    ///
    /// When something has failed: see [`Monitor::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (_sender, receiver) = tollgate::tasks::<i32>(1);
    /// assert_eq!(receiver.join().await?.sent, 0);
    /// # Ok::<(), tollgate::JoinError>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// A handle to watch the channel by, which does not receive.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let monitor = receiver.monitor();
    /// drop(receiver);
    /// assert_eq!(monitor.stats().receivers, 0);
    /// # drop(sender);
    /// ```
    pub fn monitor(&self) -> Monitor<T> {
        Monitor::new(&self.0)
    }

    /// How many items are queued, those that tasks have put back or left there included: these take
    /// no room, so there may be more than fit. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(2);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is queued. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(2);
    /// assert!(receiver.is_empty());
    /// sender.try_send(1)?;
    /// assert!(!receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Others may send and receive meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(1)?;
    /// assert!(receiver.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// How many items can be sent that nobody has received: `Some`, as every channel of this crate
    /// is bounded. What tasks put back or leave there is not counted: [`is_full`](Self::is_full)
    /// tells whether there is room.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::tasks::<i32>(5);
    /// assert_eq!(receiver.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        Some(self.0.ring.capacity())
    }

    /// How many senders there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// drop(sender);
    /// assert_eq!(receiver.sender_count(), 0);
    /// ```
    pub fn sender_count(&self) -> usize {
        // Relaxed: a figure to look at.
        self.0.senders.load(Ordering::Relaxed)
    }

    /// How many receivers there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::tasks::<i32>(1);
    /// let other = receiver.clone();
    /// assert_eq!(other.receiver_count(), 2);
    /// ```
    pub fn receiver_count(&self) -> usize {
        // Relaxed: a figure to look at.
        self.0.receivers.load(Ordering::Relaxed)
    }

    /// Whether `other` receives from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = tollgate::tasks::<i32>(1);
    /// let (_sender, stranger) = tollgate::tasks::<i32>(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&stranger));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Stream for TaskReceiver<T> {
    type Item = Task<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Task<T>>> {
        self.0.poll_next(cx, poll_task)
    }
}

impl<T> FusedStream for TaskReceiver<T> {
    /// Whether this handle, as a stream, has given `None`. (That of async-channel says whether the
    /// channel is closed and empty.)
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl<T> Clone for TaskReceiver<T> {
    /// Another receiver of the same channel. It gets other items, not copies: each item goes to one
    /// receiver.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for TaskReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskReceiver { .. }")
    }
}
