//! The watching handle.

use std::fmt;

use crate::future::Failed;
use crate::future::Finished;
use crate::future::Join;
use crate::future::fmt_stats;
use crate::iter::Drained;
use crate::report::Failure;
use crate::report::Stats;
use crate::shared::Shared;

/// Watches a channel: awaits the end of its work, hears of failures, closes it.
///
/// It is neither a sender nor a receiver, and keeps the channel neither open nor received from.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(8);
/// let monitor = sender.monitor();
/// for number in 1..=8 {
///     sender.send(number).await?;
/// }
/// drop(sender);
///
/// let worker = async {
///     let mut sum = 0;
///     while let Ok(task) = receiver.recv().await {
///         sum += task.done();
///     }
///     sum
/// };
/// let (sum, finished) = futures_lite::future::zip(worker, monitor.finished()).await;
/// assert_eq!(sum, 36);
/// assert_eq!(finished?.done, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Monitor<T>(Shared<T>);

impl<T> Monitor<T> {
    pub(crate) fn new(shared: &Shared<T>) -> Self {
        Self(shared.clone())
    }

    /// Waits until no work is left, whether the channel is open or closed: nothing queued, and no
    /// task in hand, at one instant.
    ///
    /// On a plain channel an item is dealt with when it is received. An item counts from the moment
    /// its send succeeds; a send that waits for room does not count yet. A channel that was never
    /// used has no work left.
    ///
    /// Everything that workers did before they ended their tasks happens before what follows.
    ///
    /// When the last receiver goes, items that are still queued are dropped: it waits for their
    /// destructors too.
    ///
    /// While items keep coming there may never be an instant with none, and this waits on. To be
    /// sure of an end, pause the producers, or close the channel and await
    /// [`finished`](Self::finished). Awaited by a worker with a task in hand, or in such a
    /// destructor, it waits for itself.
    ///
    /// Cancel safe: it takes nothing. The future panics when polled after it was ready.
    ///
    /// # Errors
    ///
    /// When anything has failed since the channel was made, or since
    /// [`take_failure`](Self::take_failure): with the first failure and the whole account. It waits
    /// for the rest of the work first; to hear of a failure early, await [`failed`](Self::failed).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send("egg").await?;
    /// receiver.recv().await?.done();
    /// assert_eq!(monitor.join().await?.done, 1);
    ///
    /// sender.send("egg").await?;
    /// receiver.recv().await?.fail("dropped it");
    /// assert_eq!(monitor.join().await.unwrap_err().report.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// Waits for the end: the channel is closed, and no work is left. It stays so.
    ///
    /// What a clean shutdown awaits. Somebody must close the channel, or drop all senders: this
    /// does not. And while a receiver is alive that nobody receives from, what is queued stays
    /// queued: leave the receivers to those who work.
    ///
    /// Cancel safe: it takes nothing. The future panics when polled after it was ready.
    ///
    /// # Errors
    ///
    /// When anything has failed: as [`join`](Self::join).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send("egg").await?;
    /// drop(sender);
    /// receiver.recv().await?.done();
    ///
    /// let report = monitor.finished().await?;
    /// assert_eq!((report.sent, report.done), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn finished(&self) -> Finished<'_, T> {
        Finished::new(&self.0)
    }

    /// Waits for the first failure, while the rest of the work goes on; none if the channel is
    /// [finished](Self::finished) without one.
    ///
    /// A failure that was [taken](Self::take_failure) does not count. Items that the last receiver
    /// leaves are one when all of them have been dropped.
    ///
    /// Cancel safe: it takes nothing. The future panics when polled after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::Failure;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(2);
    /// let monitor = sender.monitor();
    /// sender.send(1).await?;
    /// sender.send(2).await?;
    /// receiver.recv().await?.fail("cannot");
    ///
    /// assert!(matches!(monitor.failed().await, Some(Failure::Failed(_))));
    /// assert_eq!(monitor.outstanding(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn failed(&self) -> Failed<'_, T> {
        Failed::new(&self.0)
    }

    /// How much work is left: items queued and tasks in hand. Items that are being
    /// [discarded](crate::Stats::discarding) are not work any more.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(2);
    /// sender.try_send(1)?;
    /// sender.try_send(2)?;
    /// let task = receiver.try_recv()?;
    /// assert_eq!(sender.monitor().outstanding(), 2);
    /// task.done();
    /// assert_eq!(sender.monitor().outstanding(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outstanding(&self) -> usize {
        self.0.outstanding()
    }

    /// How the channel is doing. It takes no lock, and costs little enough to be asked for a
    /// progress bar sixty times a second.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::tasks(2);
    /// sender.try_send(1)?;
    /// let stats = sender.monitor().stats();
    /// assert_eq!((stats.queued, stats.in_hand, stats.senders), (1, 0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Takes the first failure away, so that it is no longer what [`join`](Self::join) gives. The
    /// counts in the report stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send(1).await?;
    /// receiver.recv().await?.fail("cannot");
    ///
    /// assert!(monitor.join().await.is_err());
    /// assert!(monitor.take_failure().is_some());
    /// assert_eq!(monitor.join().await?.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn take_failure(&self) -> Option<Failure> {
        self.0.ledger.take_failure()
    }

    /// Closes the channel; true if it was open. See [`Sender::close`](crate::Sender::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::tasks(1);
    /// assert!(sender.monitor().close());
    /// assert!(sender.try_send(1).is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Closes the channel, and takes out and hands back what is queued: work that nobody has begun.
    ///
    /// Tasks in hand are not touched: they end as they would, and what they put back or leave there
    /// meanwhile is received as always. To stop that too, have the workers look at
    /// [`is_closed`](crate::TaskReceiver::is_closed), or drop the receivers. What is handed back
    /// counts as [`discarded`](crate::Report::discarded), which is no failure here. It may wait for
    /// another thread that is within a few instructions of the end of a send.
    ///
    /// # Panics
    ///
    /// When the waker of somebody who is told does. What has been taken out is dropped then.
    ///
    /// # Examples
    ///
    /// Stop at the first failure, and tell what never ran:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(3);
    /// let monitor = sender.monitor();
    /// for stop in ["harbour", "bridge", "castle"] {
    ///     sender.send(stop).await?;
    /// }
    /// receiver.recv().await?.fail("rain");
    ///
    /// assert!(monitor.failed().await.is_some());
    /// let missed: Vec<_> = monitor.close_now().collect();
    /// assert_eq!(missed, ["bridge", "castle"]);
    ///
    /// let error = monitor.finished().await.unwrap_err();
    /// assert_eq!((error.report.failed, error.report.discarded), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        Drained::new(self.0.close_now())
    }
}

impl<T> Clone for Monitor<T> {
    /// Another monitor of the same channel.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Monitor<T> {
    /// Says how the channel is doing, so that a program that hangs explains itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_stats(f, "Monitor", Some(self.0.stats()))
    }
}
