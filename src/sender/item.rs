//! Sending an item.

use core::future::Future;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;

use super::Sender;
use crate::error::SendError;
use crate::error::TrySendError;
use crate::future::ForceSendItem;
use crate::future::IntoSend;
use crate::future::Send;
use crate::future::SendFrom;
use crate::future::SendItem;
use crate::future::SendUntil;
use crate::operation::Operation;
use crate::operation::Refused;
use crate::operation::attempt_now;
use crate::operation::complete_now;
use crate::unwind::Guarded;
use crate::unwind::protect_in_place;

/// Sending an item.
impl<T> Sender<T> {
    /// Sends an item, waiting while the channel is full.
    ///
    /// Waiting senders are woken in the order in which they started to wait, one for each item
    /// taken. If another caller takes the free slot first, the woken sender keeps its place among
    /// the waiters and waits again. Other calls of `send` then let other tasks run before they try:
    /// their futures return `Pending` even though there is room, at least once, and at most twice on average. To
    /// send without waiting, call [`try_send`](Self::try_send).
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
    pub fn into_send(self, item: T) -> IntoSend<T> {
        let item = Guarded::new(item);
        let side = self.into_side();
        IntoSend::new(side, item.into_inner())
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
        let mut item = ManuallyDrop::new(item);
        let operation = SendItem::in_place(&mut *item);
        // SAFETY: O1 of `operation`: if it is done, the item is neither used nor dropped after this.
        let first = unsafe { operation.try_attempt(&self.0, &mut MaybeUninit::uninit()) };
        match first {
            Some(change) => {
                complete_now(&self.0, change);
                Ok(())
            }
            // SAFETY: the item is not used after this.
            None => unsafe { self.try_send_slow(&mut item) },
        }
    }

    /// # Safety
    ///
    /// The caller neither uses nor drops the item after this.
    #[inline(never)]
    unsafe fn try_send_slow(&self, item: &mut ManuallyDrop<T>) -> Result<(), TrySendError<T>> {
        let operation = SendItem::in_place(&mut **item);
        // SAFETY: O1 of `operation`: if it is done, the item is neither used nor dropped after this.
        let refused = match unsafe { attempt_now(operation, &self.0, &mut MaybeUninit::uninit()) } {
            Ok(change) => {
                complete_now(&self.0, change);
                return Ok(());
            }
            Err(refused) => refused,
        };
        // SAFETY: it has not moved out; it is taken once.
        let item = unsafe { ManuallyDrop::take(item) };
        // In this form, few copies of a large item are on the stack without optimisation.
        Err(match refused {
            Refused::Closed => TrySendError::Closed(item),
            Refused::Blocked => TrySendError::Full(item),
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
    #[inline]
    pub fn force_send(&self, item: T) -> Result<Option<T>, SendError<T>> {
        let mut item = ManuallyDrop::new(item);
        let operation = SendItem::in_place(&mut *item);
        // SAFETY: O1 of `operation`: if it is done, the item is neither used nor dropped after this.
        let first = unsafe { operation.try_attempt(&self.0, &mut MaybeUninit::uninit()) };
        match first {
            Some(change) => {
                complete_now(&self.0, change);
                Ok(None)
            }
            // SAFETY: the item is not used after this.
            None => unsafe { self.force_send_slow(&mut item) },
        }
    }

    /// # Safety
    ///
    /// The caller neither uses nor drops the item after this.
    #[inline(never)]
    unsafe fn force_send_slow(
        &self,
        item: &mut ManuallyDrop<T>,
    ) -> Result<Option<T>, SendError<T>> {
        let mut evicted = MaybeUninit::uninit();
        let mut has_evicted = MaybeUninit::uninit();
        let operation = &mut ForceSendItem {
            item: &mut **item,
            evicted: &mut evicted,
        };
        // SAFETY: O1 of `operation`: if it is done, the item is neither used nor dropped after this.
        match unsafe { attempt_now(operation, &self.0, &mut has_evicted) } {
            Ok(change) => {
                // SAFETY: O3 of `operation`.
                if !unsafe { has_evicted.assume_init() } {
                    complete_now(&self.0, change);
                    return Ok(None);
                }
                // SAFETY: the attempt has written it.
                unsafe { protect_in_place(&mut evicted, || complete_now(&self.0, change)) };
                // SAFETY: as above; it is taken once.
                Ok(Some(unsafe { evicted.assume_init_read() }))
            }
            // SAFETY: it has not moved out; it is taken once.
            Err(Refused::Closed) => Err(SendError(unsafe { ManuallyDrop::take(item) })),
            Err(Refused::Blocked) => unreachable!("a forced send does not have to wait"),
        }
    }
}
