//! The handle that observes a channel.

use core::fmt;

use crate::future::Failed;
use crate::future::Finished;
use crate::future::IntoFinished;
use crate::future::IntoJoin;
use crate::future::Join;
use crate::future::fmt_stats;
use crate::iter::Drained;
use crate::report::Failure;
use crate::report::Stats;
use crate::shared::Shared;

/// A handle that observes a channel: it can wait until all work is done, report failures, and close
/// the channel.
///
/// A monitor counts neither as a sender nor as a receiver, so it does not keep the channel open.
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

    /// Waits until no work is left: at one instant, nothing is queued and no task is in hand. The
    /// channel may be open or closed.
    ///
    /// An item counts as work as soon as its send succeeds; a send that is still waiting for room
    /// does not count. On a plain channel, an item stops counting when it is received. A channel
    /// that was never used has no work left.
    ///
    /// Everything that workers did before they ended their tasks happens before what follows
    /// `join().await`.
    ///
    /// When the last receiver is dropped, items that are still queued are dropped. `join` also
    /// waits for their destructors.
    ///
    /// While new items keep arriving, there may never be an instant without work, and `join` keeps
    /// waiting. To make sure that it completes, pause the producers, or close the channel and await
    /// [`finished`](Self::finished).
    ///
    /// Do not await `join` in a worker that holds a task, or in the destructor of a queued item: it
    /// would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`JoinError`](crate::JoinError) with the first failure and the complete report if
    /// anything has failed since the channel was created, or since the last
    /// [`take_failure`](Self::take_failure). It still waits for the rest of the work first. To
    /// learn of a failure early, await [`failed`](Self::failed). A sender that was dropped by a panic, or
    /// that ended with [`fail`](crate::Sender::fail), is a failure too.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send("job").await?;
    /// receiver.recv().await?.done();
    /// assert_eq!(monitor.join().await?.done, 1);
    ///
    /// sender.send("job").await?;
    /// receiver.recv().await?.fail("disk full");
    /// assert_eq!(monitor.join().await.unwrap_err().report.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn join(&self) -> Join<'_, T> {
        Join::new(&self.0)
    }

    /// Waits until the channel is finished: it is closed, and no work is left. A finished channel
    /// stays finished.
    ///
    /// Await this for a clean shutdown. It does not close the channel itself: close it, or drop all
    /// senders. A receiver that is not used keeps queued items queued, so drop the receivers that
    /// no worker uses.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`JoinError`](crate::JoinError) if anything has failed, as [`join`](Self::join)
    /// does. Once a call has seen that the channel is finished, its outcome does not change any more: a
    /// sender that fails later is no failure of it.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send("job").await?;
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

    /// Waits like [`join`](Self::join), with a future that owns this monitor, and so can be spawned.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let join = sender.monitor().into_join();
    /// sender.send(1).await?;
    /// receiver.recv().await?.done();
    /// assert_eq!(join.await?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_join(self) -> IntoJoin<T> {
        IntoJoin::new(self.0)
    }

    /// Waits like [`finished`](Self::finished), with a future that owns this monitor, and so can be
    /// spawned.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let finished = sender.monitor().into_finished();
    /// drop((sender, receiver));
    /// assert_eq!(finished.await?.sent, 0);
    /// # Ok::<(), tollgate::JoinError>(())
    /// # }).unwrap();
    /// ```
    pub fn into_finished(self) -> IntoFinished<T> {
        IntoFinished::new(self.0)
    }

    /// Waits for the first failure, while the rest of the work continues. Returns `None` if the
    /// channel is [finished](Self::finished) without a failure.
    ///
    /// A failure that was [taken](Self::take_failure) does not count. Items that are discarded
    /// because the last receiver is dropped are a failure once all of them have been dropped.
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
    /// use tollgate::Failure;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(2);
    /// let monitor = sender.monitor();
    /// sender.send(1).await?;
    /// sender.send(2).await?;
    /// receiver.recv().await?.fail("disk full");
    ///
    /// assert!(matches!(monitor.failed().await, Some(Failure::Failed(_))));
    /// assert_eq!(monitor.outstanding(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn failed(&self) -> Failed<'_, T> {
        Failed::new(&self.0)
    }

    /// Returns how much work is left: the number of queued items, of delayed items, and of tasks in hand.
    /// Items that are being [discarded](crate::Stats::discarding) do not count.
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
        self.0.account().outstanding()
    }

    /// Returns a snapshot of the channel's state. The call is cheap enough to update a progress bar sixty
    /// times a second. It takes no lock, unless items are delayed or the channel
    /// [measures time](crate::Builder::measure_time).
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

    /// What the timer does, for models: makes items receivable that are due at `now`. Returns when the
    /// next one is due.
    #[cfg(loom)]
    #[doc(hidden)]
    pub fn mature(&self, now: std::time::Instant) -> Option<std::time::Instant> {
        self.0.mature(now)
    }

    /// Takes the first failure, so that [`join`](Self::join) no longer returns it. The counts in
    /// the report do not change.
    ///
    /// If the channel [keeps several](crate::Builder::keep_failures), the next one is then the first.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send(1).await?;
    /// receiver.recv().await?.fail("disk full");
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

    /// Closes the channel. Returns `true` if it was open. See
    /// [`Sender::close`](crate::Sender::close).
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

    /// Closes the channel for good, takes out all queued items and returns them. No worker is
    /// processing them.
    ///
    /// What is in hand is the last of the work. From now on, nothing comes back:
    /// [`Task::retry`](crate::Task::retry) returns
    /// [`Terminated`](crate::RetryError::Terminated), [`follow_up`](crate::Task::follow_up) returns
    /// [`SendError`](crate::SendError), each with the item, and a task that is dropped is not queued again
    /// under [`Abandon::Requeue`](crate::Abandon::Requeue). Apart from that, the tasks in hand are not
    /// affected. The channel is finished as soon as all of them have ended. To let workers retry what has
    /// been queued, call [`close`](Self::close) instead.
    ///
    /// The returned items count as [`discarded`](crate::Report::discarded). Unlike items that are
    /// discarded because the last receiver is dropped, they are not a failure. A retry that is refused
    /// is one: its task has failed.
    ///
    /// The page [*Stopping*](crate::guide::stopping) of the guide shows a shutdown with a grace period.
    ///
    /// The call may wait for another thread that is within a few instructions of completing a send.
    ///
    /// # Panics
    ///
    /// Panics if one of the wakers that it calls panics. The items that were taken out are then
    /// dropped.
    ///
    /// # Examples
    ///
    /// Stop at the first failure, and list the items that were never processed:
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(3);
    /// let monitor = sender.monitor();
    /// for name in ["first", "second", "third"] {
    ///     sender.send(name).await?;
    /// }
    /// receiver.recv().await?.fail("disk full");
    ///
    /// assert!(monitor.failed().await.is_some());
    /// let missed: Vec<_> = monitor.close_now().collect();
    /// assert_eq!(missed, ["second", "third"]);
    ///
    /// let error = monitor.finished().await.unwrap_err();
    /// assert_eq!((error.report.failed, error.report.discarded), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn close_now(&self) -> Drained<T> {
        self.0.close_now()
    }
}

impl<T> Clone for Monitor<T> {
    /// Returns another monitor of the same channel.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Monitor<T> {
    /// Shows the state of the channel, so that a program that hangs can be diagnosed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_stats(f, "Monitor", Some(self.0.stats()))
    }
}
