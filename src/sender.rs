//! The sending handle.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::future::Future;
use core::task::Context;
use core::task::Poll;

use crate::error::SendError;
use crate::error::TrySendError;
use crate::future::Closed;
use crate::future::ForceSendItem;
use crate::future::IntoSend;
use crate::future::Join;
use crate::future::Ready;
use crate::future::Send;
use crate::future::SendFrom;
use crate::future::SendItem;
use crate::future::SendItems;
use crate::future::SendMany;
use crate::future::SendUntil;
use crate::future::UntilRoom;
use crate::iter::Drained;
use crate::monitor::Monitor;
use crate::operation::Operation;
use crate::operation::leave;
use crate::operation::poll;
use crate::operation::try_now;
use crate::shared::SenderSide;
use crate::unwind::Guarded;
use crate::wait::Wait;

/// The sending side of a channel.
///
/// It can be cloned, and shared between threads. Dropping the last sender closes the channel;
/// queued items can still be received.
///
/// # Which call to use
///
/// | to send | futures | calls that block the thread | calls that never wait |
/// |---|---|---|---|
/// | an item | [`send`](Self::send) | [`send_blocking`](Self::send_blocking) | [`try_send`](Self::try_send) |
/// | an item, for a limited time | [`send_until`](Self::send_until) | [`send_timeout`](Self::send_timeout), [`send_deadline`](Self::send_deadline) | |
/// | an item that stays with you until it is sent | [`send_from`](Self::send_from) | | |
/// | an item, by a future that can be spawned | [`into_send`](Self::into_send) | | |
/// | the latest item, in place of the oldest | | | [`force_send`](Self::force_send) |
/// | several items | [`send_many`](Self::send_many) | | [`try_send_many`](Self::try_send_many) |
/// | an item that you make when there is room | [`ready`](Self::ready), [`poll_ready`](Self::poll_ready) | | |
///
/// With the feature `futures`, `into_sink` makes a futures `Sink` of a sender.
///
/// [`close`](Self::close) ends sending. [`close_now`](Self::close_now) also takes out what is queued.
/// [`closed`](Self::closed) waits until the channel is closed.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// let other = sender.clone();
/// sender.send(1).await?;
/// other.send(2).await?;
/// drop((sender, other));
///
/// assert_eq!(receiver.recv().await, Ok(1));
/// assert_eq!(receiver.recv().await, Ok(2));
/// assert!(receiver.recv().await.is_err());
/// # Ok::<(), tollgate::SendError<i32>>(())
/// # }).unwrap();
/// ```
pub struct Sender<T>(
    pub(crate) SenderSide<T>,
    /// What [`poll_ready`](Self::poll_ready) keeps between two polls. Allocated at the first, so that
    /// other senders stay small.
    Option<Box<Wait>>,
);

impl<T> Sender<T> {
    pub(crate) fn new(side: SenderSide<T>) -> Self {
        Self(side, None)
    }

    /// Polls an operation that waits for room, and keeps the state of the waiter in this handle.
    pub(crate) fn poll_operation<O: Operation<T>>(
        &mut self,
        operation: O,
        cx: &mut Context<'_>,
    ) -> Poll<O::Output> {
        poll(operation, &self.0, self.1.get_or_insert_default(), cx)
    }

    /// Leaves the list in which this sender waits since [`poll_ready`](Self::poll_ready), and passes its
    /// notification on. Called before a function makes its result: if a waker panicked while the function
    /// returns, the compiler would leak the result (rust-lang/rust#47949).
    pub(crate) fn stop_polling(&mut self) {
        if let Some(wait) = &mut self.1 {
            leave::<T, UntilRoom>(&self.0, wait);
        }
    }
}

/// Sending an item.
impl<T> Sender<T> {
    /// Sends an item, waiting while the channel is full.
    ///
    /// Waiting senders are woken in the order in which they started to wait, one for each item
    /// taken. If another caller takes the free slot first, the woken sender keeps its place among
    /// the waiters and waits again. Other calls of `send` then let other tasks run once before they
    /// try: their futures return `Pending` once even though there is room. To send without waiting,
    /// call [`try_send`](Self::try_send).
    ///
    /// Apart from that, `send` completes immediately while there is room. A loop that never finds the
    /// channel full never lets other futures of its task or thread run. Let it yield now and then, or
    /// build the channel with [`yield_after`](crate::Builder::yield_after).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing has been sent, and the item is
    /// dropped. To keep the item, call [`send_from`](Self::send_from), which leaves it in your slot, or
    /// take it out of the future with [`into_inner`](Send::into_inner).
    ///
    /// # Errors
    ///
    /// Returns an error with the item if the channel is closed, or is closed while `send` waits. An
    /// item that had not been sent when the channel was closed is never delivered.
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
    /// assert_eq!(sender.send("first").await, Ok(()));
    /// receiver.close();
    /// assert_eq!(sender.send("second").await.unwrap_err().into_inner(), "second");
    /// # });
    /// ```
    #[inline]
    pub fn send(&self, item: T) -> Send<'_, T> {
        Send::new(&self.0, item)
    }

    /// Sends an item like [`send`](Self::send), with a future that owns this sender, and so can be
    /// spawned.
    ///
    /// The sender is dropped when the future completes or is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(sender.into_send(1).await, Ok(()));
    /// assert!(receiver.is_closed());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # });
    /// ```
    pub fn into_send(mut self, item: T) -> IntoSend<T> {
        let item = Guarded::new(item);
        self.stop_polling();
        IntoSend::new(self.0.clone(), item.into_inner())
    }

    /// Sends the item of `slot`, waiting while the channel is full. It takes the item out of the slot
    /// only when it sends it.
    ///
    /// So a send that is cancelled or refused loses nothing: the item is still in the slot, and can be
    /// sent again. It waits as [`send`](Self::send) does. If the slot is empty, there is nothing to wait
    /// for, and the future completes.
    ///
    /// Other channels offer permits instead: `reserve` waits, and returns a slot of the channel to send
    /// into later. Here, an item is in its slot a few instructions after the slot was claimed. A permit
    /// would claim a slot and leave it empty for as long as its owner likes. Items are received in the
    /// order of their slots, so all items behind it would wait, and a permit that is forgotten
    /// (`mem::forget`) would block the channel for good. `send_from` serves the same purpose and claims
    /// nothing while it waits.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, nothing has been sent,
    /// and the item is in the slot. But the call loses its place among the waiting senders. To keep it,
    /// poll the same future again, as in `select! { result = &mut send => … }`.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed, or is closed while `send_from` waits. The item is in
    /// the slot. An empty slot makes no difference: the result is `Ok` while the channel is open.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// Each time the timer wins, the item stays where it is:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let consumer = tokio::spawn(async move {
    ///     let mut items = Vec::new();
    ///     while let Ok(item) = receiver.recv().await {
    ///         items.push(item);
    ///         tokio::time::sleep(Duration::from_millis(3)).await;
    ///     }
    ///     items
    /// });
    ///
    /// let mut timer = tokio::time::interval(Duration::from_millis(1));
    /// for item in ["first", "second", "third"] {
    ///     let mut slot = Some(item);
    ///     while slot.is_some() {
    ///         tokio::select! {
    ///             sent = sender.send_from(&mut slot) => assert_eq!(sent, Ok(())),
    ///             _ = timer.tick() => {}
    ///         }
    ///     }
    /// }
    /// drop(sender);
    /// assert_eq!(consumer.await.unwrap(), ["first", "second", "third"]);
    /// # }
    /// ```
    #[inline]
    pub fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> SendFrom<'a, T> {
        SendFrom::new(&self.0, slot)
    }

    /// Sends an item like [`send`](Self::send), but waits only until the future `stop` is ready.
    ///
    /// `stop` can be the timer of any runtime, or any other future. It is polled only when the channel
    /// is full. So even if `stop` is ready from the start, as is a timer whose deadline is past, the item
    /// is sent if there is room.
    ///
    /// When `stop` is ready, its output is always returned, in the error. So a loop can pass `&mut stop`
    /// to each call, and end at this error. As long as every call finds room, however, `stop` is not
    /// polled and does not end the loop. If it must, check for that in the loop too.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing has been sent, and the item is dropped. If
    /// it is stopped, nothing has been sent, and the error contains the item.
    ///
    /// # Errors
    ///
    /// Returns an error with the item and the output of `stop` if `stop` is ready while the channel is
    /// full, or an error with the item if the channel is closed, before or during the call.
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
    /// use tollgate::SendUntilError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, _receiver) = tollgate::bounded(1);
    /// let millisecond = Duration::from_millis(1);
    /// assert_eq!(sender.send_until("first", sleep(millisecond)).await, Ok(()));
    /// assert_eq!(
    ///     sender.send_until("second", sleep(millisecond)).await,
    ///     Err(SendUntilError::Stopped("second", ())),
    /// );
    /// # }
    /// ```
    ///
    /// With any other future, here the end of another channel:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, _receiver) = tollgate::bounded(1);
    /// let (shutdown, on_shutdown) = tollgate::bounded::<()>(1);
    /// shutdown.close();
    ///
    /// // There is room, so the first item is sent.
    /// assert_eq!(sender.send_until(1, on_shutdown.closed()).await, Ok(()));
    /// let error = sender.send_until(2, on_shutdown.closed()).await.unwrap_err();
    /// assert!(error.is_stopped());
    /// assert_eq!(error.into_inner(), 2);
    /// # });
    /// ```
    pub fn send_until<F: Future>(&self, item: T, stop: F) -> SendUntil<'_, T, F> {
        SendUntil::new(&self.0, item, stop)
    }

    /// Sends an item if there is room now.
    ///
    /// It does not wait for room. It may wait for another thread that is within a few instructions
    /// of taking an item out of the slot that this call needs.
    ///
    /// # Errors
    ///
    /// Returns an error with the item if the channel is full or closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::TrySendError;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        try_now(SendItem::new(item), &self.0, |tried| match tried {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SendError(item))) => Err(TrySendError::Closed(item)),
            Err(operation) => Err(TrySendError::Full(operation.into_item())),
        })
    }

    /// Sends an item, even if the channel is full: then it removes the oldest sent item and returns
    /// it. So a receiver always gets the latest items.
    ///
    /// At most one item is evicted, and none if a receiver takes an item at the same time. An item
    /// that a [task](crate::Task) has queued, for another attempt or as new work, is never evicted.
    /// The evicted item counts as [`evicted`](crate::Report::evicted), which is no failure.
    ///
    /// It does not wait for room, and does not make any: sends that wait for room go on waiting. It
    /// may wait for another thread that is within a few instructions of moving an item into or out of
    /// a slot that this call needs.
    ///
    /// # Errors
    ///
    /// Returns an error with `item` if the channel is closed. Nothing is evicted then.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(2);
    /// assert_eq!(sender.force_send(1), Ok(None));
    /// assert_eq!(sender.force_send(2), Ok(None));
    /// assert_eq!(sender.force_send(3), Ok(Some(1)));
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 3]);
    ///
    /// let report = sender.monitor().stats().report;
    /// assert_eq!((report.sent, report.received, report.evicted), (3, 2, 1));
    ///
    /// receiver.close();
    /// assert_eq!(sender.force_send(4).unwrap_err().into_inner(), 4);
    /// ```
    pub fn force_send(&self, item: T) -> Result<Option<T>, SendError<T>> {
        try_now(ForceSendItem::new(item), &self.0, |tried| match tried {
            Ok(sent) => sent,
            Err(_) => unreachable!("a forced send does not have to wait"),
        })
    }
}

/// Sending several items at once.
impl<T> Sender<T> {
    /// Sends all items of a deque in order, waiting while the channel is full.
    ///
    /// The items move from the front of the deque into the channel as there is room for them, several
    /// at once. That costs far less than as many calls of [`send`](Self::send), and wakes a waiting
    /// receiver for each item. Items of other senders may come between those of two such moves. After
    /// each move, the future waits behind the senders that are already waiting, so that a large batch
    /// does not hold them up.
    ///
    /// If the deque is empty, the future completes at once.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the items that have not been sent stay in the deque, in order. Those
    /// that are no longer there have been sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed, or is closed while `send_many` waits. The items that
    /// have not been sent stay in the deque, and are never delivered. For an empty deque too, it is an
    /// error if the channel is closed.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(4);
    /// let mut items = VecDeque::from(["a", "b", "c"]);
    /// sender.send_many(&mut items).await?;
    /// assert!(items.is_empty());
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    ///
    /// items.push_back("d");
    /// receiver.close();
    /// assert!(sender.send_many(&mut items).await.is_err());
    /// assert_eq!(items, ["d"]);
    /// # Ok::<(), tollgate::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    pub fn send_many<'a>(&'a self, items: &'a mut VecDeque<T>) -> SendMany<'a, T> {
        SendMany::new(&self.0, items)
    }

    /// Sends items from the front of a deque, as many as there is room for now. Returns how many. The
    /// others stay in the deque, in order.
    ///
    /// On a bounded channel, all of them are sent at one instant, so no item of another sender comes
    /// between them. An unbounded channel has room for all items. If the deque is empty, the result is
    /// `Ok(0)`.
    ///
    /// Like [`try_send`](Self::try_send), it does not wait for room. While other threads receive, it may
    /// send fewer items than a bounded channel has room for.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is full, so that no item was sent, or if it is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::VecDeque;
    /// use tollgate::TrySendError;
    ///
    /// let (sender, receiver) = tollgate::bounded(2);
    /// let mut items = VecDeque::from([1, 2, 3]);
    /// assert_eq!(sender.try_send_many(&mut items), Ok(2));
    /// assert_eq!(items, [3]);
    /// assert_eq!(sender.try_send_many(&mut items), Err(TrySendError::Full(())));
    /// drop(receiver);
    /// assert_eq!(sender.try_send_many(&mut items), Err(TrySendError::Closed(())));
    /// ```
    pub fn try_send_many(&self, items: &mut VecDeque<T>) -> Result<usize, TrySendError<()>> {
        try_now(SendItems::new(items), &self.0, |tried| match tried {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(SendError(()))) => Err(TrySendError::Closed(())),
            Err(_) => Err(TrySendError::Full(())),
        })
    }
}

/// Waiting for room.
impl<T> Sender<T> {
    /// Waits until there is room for an item, and sends nothing.
    ///
    /// That there was room is a hint, and no reservation: another sender may take the room before you
    /// send. So send by a call that handles a full channel, such as [`try_send`](Self::try_send) or
    /// [`send_from`](Self::send_from). A caller that is outrun loses its place among the waiting
    /// senders, so a loop of `ready` and `try_send` may send less than its share where others wait in
    /// [`send`](Self::send).
    ///
    /// This call waits in one queue with the senders. It takes no room, so it passes its wakeup on: a
    /// vacant slot wakes each waiting `ready` up to the first sender that takes the slot.
    ///
    /// Use it to create an item only once it can be sent, so that it is up to date. On an unbounded
    /// channel, there always is room.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed, or is closed while `ready` waits.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let producer = async {
    ///     for _ in 0..3 {
    ///         sender.ready().await?;
    ///         // Measured only now. There is no other sender, so there still is room.
    ///         assert!(sender.try_send(Instant::now()).is_ok());
    ///     }
    ///     sender.close();
    ///     Ok::<(), tollgate::SendError<()>>(())
    /// };
    /// let consumer = async {
    ///     let mut times = Vec::new();
    ///     while let Ok(time) = receiver.recv().await {
    ///         times.push(time);
    ///     }
    ///     times
    /// };
    /// let (produced, times) = futures_lite::future::zip(producer, consumer).await;
    /// assert!(produced.is_ok() && times.is_sorted());
    /// # });
    /// ```
    pub fn ready(&self) -> Ready<'_, T> {
        Ready::new(&self.0)
    }

    /// Polls for room: [`ready`](Self::ready) for code that is written with `poll` functions.
    ///
    /// `Poll::Ready(Ok(()))` is a hint, and no reservation, as for `ready`. To keep an item that was
    /// outrun, use `into_sink` (feature `futures`).
    ///
    /// Only the waker of the last call is woken. A sender that returned `Pending` remains a waiter, and
    /// keeps its place, until it is ready or dropped. If it is then neither polled again nor dropped, it
    /// can keep the wakeup for one vacant slot to itself, as a receiver that is polled as a stream can
    /// do for an item. This is so for other calls on the same sender, too. In a `select!`, use `ready`:
    /// its future is dropped, and passes the wakeup on.
    ///
    /// The first call allocates memory for the state of the waiter. A clone is not waiting, even if the
    /// original is.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (mut sender, receiver) = tollgate::bounded(1);
    /// assert_eq!(poll_fn(|cx| sender.poll_ready(cx)).await, Ok(()));
    /// sender.try_send(1).unwrap();
    /// receiver.close();
    /// assert!(poll_fn(|cx| sender.poll_ready(cx)).await.is_err());
    /// # });
    /// ```
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        self.poll_operation(UntilRoom, cx)
    }
}

/// Closing the channel.
impl<T> Sender<T> {
    /// Closes the channel. Returns `true` if it was open.
    ///
    /// From then on, no sender can send. Sends that are waiting return an error with their item.
    /// Queued items can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert!(sender.close());
    /// assert!(!sender.close());
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Closes the channel, takes out all queued items and returns them. See
    /// [`Monitor::close_now`](crate::Monitor::close_now).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(sender.close_now().next(), Some(1));
    /// assert!(sender.is_closed() && sender.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        self.0.close_now()
    }

    /// Waits until the channel is closed: by a call on any handle, or because the last receiver is
    /// dropped.
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
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(receiver);
    /// sender.closed().await;
    /// assert!(sender.is_closed());
    /// # });
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.0)
    }

    /// Returns `true` if the channel is closed, so that no send that starts now can succeed. A
    /// closed channel stays closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.0.queue.is_closed()
    }
}

/// Observing the channel.
impl<T> Sender<T> {
    /// Waits until no work is left. See [`Monitor::join`].
    ///
    /// This sender keeps the channel open while you wait, so receivers keep waiting for items. To
    /// wait for the end, create a [`monitor`](Self::monitor), drop the sender, and await
    /// [`finished`](Monitor::finished).
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed. See [`Monitor::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// assert_eq!(sender.join().await?.sent, 0);
    ///
    /// sender.send(1).await?;
    /// receiver.recv().await?.done();
    /// assert_eq!(sender.join().await?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// Creates a handle that observes the channel and does not keep it open.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let monitor = sender.monitor();
    /// drop(sender);
    /// assert!(monitor.stats().closed);
    /// # drop(receiver);
    /// ```
    pub fn monitor(&self) -> Monitor<T> {
        Monitor::new(&self.0)
    }

    /// Returns the number of queued items. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// On a task channel, this includes items that tasks queued, for another attempt or as new
    /// work. These take no room, so the number may exceed the capacity. For a moment, it may also
    /// include both the item of a [`force_send`](Self::force_send) and the one that it evicts.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// sender.try_send(1)?;
    /// assert_eq!(sender.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Returns `true` if nothing is queued. Other handles may send and receive concurrently, so the
    /// result may already be out of date.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded(2);
    /// assert!(sender.is_empty());
    /// sender.try_send(1)?;
    /// assert!(!sender.is_empty());
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
    /// let (sender, _receiver) = tollgate::bounded(1);
    /// assert!(!sender.is_full());
    /// sender.try_send(1)?;
    /// assert!(sender.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        !self.0.queue.has_room()
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
    /// let (sender, _receiver) = tollgate::bounded::<i32>(5);
    /// assert_eq!(sender.capacity(), Some(5));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.0.queue.capacity()
    }

    /// Returns the number of senders.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let other = sender.clone();
    /// assert_eq!(other.sender_count(), 2);
    /// ```
    pub fn sender_count(&self) -> usize {
        self.0.senders.get()
    }

    /// Returns the number of receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded::<i32>(1);
    /// drop(receiver);
    /// assert_eq!(sender.receiver_count(), 0);
    /// ```
    pub fn receiver_count(&self) -> usize {
        self.0.receivers.get()
    }

    /// Returns `true` if `other` sends into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::bounded::<i32>(1);
    /// let (unrelated, _receiver) = tollgate::bounded::<i32>(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// assert!(!sender.same_channel(&unrelated));
    /// ```
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Clone for Sender<T> {
    /// Creates another sender into the same channel.
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.stop_polling();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}
