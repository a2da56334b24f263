//! The outcome of a channel's work: counts, and failures.

use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use core::time::Duration;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Instant;

// the error of joining, and the failures that it lists
mod join_error;

pub(crate) use self::join_error::Failures;
pub use self::join_error::JoinError;

/// An exact account of a channel's items at one instant. [`join`](crate::Monitor::join) and
/// [`finished`](crate::Monitor::finished) return it.
///
/// At that instant nothing is queued and no task is in hand, so the counts add up:
///
/// * `sent + followed_up + retried == received + evicted + discarded`: every item that was queued, by
///   a send, as new work or for another attempt, was either delivered, evicted or discarded.
/// * `received == done + failed + abandoned + panicked + retried`: each delivery ended in exactly
///   one way.
///
/// So every item that was sent, or queued as new work, ends as exactly one of done, failed,
/// abandoned, panicked, evicted and discarded, no matter how many attempts it took. On a plain
/// channel, a delivery is done when the item is received.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(2);
/// sender.send("page 1").await?;
/// sender.send("page 2").await?;
///
/// receiver.recv().await?.done();
/// receiver.recv().await?.done();
///
/// let report = sender.join().await?;
/// assert_eq!((report.sent, report.received, report.done), (2, 2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Items that were sent.
    pub sent: u64,
    /// Items that workers queued with [`Task::follow_up`](crate::Task::follow_up), at once or for later.
    pub followed_up: u64,
    /// Deliveries: the number of times that a receiver received an item. Each attempt at an item is
    /// a delivery of its own.
    pub received: u64,
    /// Deliveries that ended successfully.
    pub done: u64,
    /// Deliveries that ended with [`Task::fail`](crate::Task::fail) or
    /// [`Ticket::fail`](crate::Ticket::fail), or with a [`Task::retry`](crate::Task::retry) that
    /// was refused.
    pub failed: u64,
    /// Tasks dropped with neither `done` nor `fail`.
    pub abandoned: u64,
    /// Tasks dropped by a panic. Without the feature `std`, these count as abandoned.
    pub panicked: u64,
    /// Deliveries whose item was queued again for another attempt: by
    /// [`Task::retry`](crate::Task::retry), at once or for later, or because the task was dropped under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue).
    pub retried: u64,
    /// Items that were queued but never delivered, because
    /// [`force_send`](crate::Sender::force_send) evicted them. That is no failure.
    pub evicted: u64,
    /// Items that were queued but never delivered, because the last receiver was dropped, which is
    /// a failure, or because [`close_now`](crate::Monitor::close_now) returned them, which is not.
    pub discarded: u64,
    /// Senders that ended with [`Sender::fail`](crate::Sender::fail), or that were dropped by a panic. Each
    /// is a failure, on channels of both kinds. (Without the feature `std`, the latter are not known, and
    /// not counted.) Senders are no items, so this count is no part of the sums above.
    ///
    /// A sender counts in whatever task or thread it is. A worker that has a clone of a sender, and panics, is counted here
    /// too, besides its task. A worker that only queues new work needs no sender: see
    /// [`Task::follow_up`](crate::Task::follow_up).
    pub failed_senders: u64,
}

/// A snapshot of a channel's state. [`Monitor::stats`](crate::Monitor::stats) returns it.
///
/// Each of `queued`, `delayed` and `in_hand` is a value that was correct at one instant during the
/// call, or lies between the correct values at two such instants. For a moment, an item that is being
/// discarded or evicted may count as in hand on a task channel, or as done on a plain channel, and one
/// that was delayed may count as queued.
///
/// The counts of `report` are read one after another while the channel is in use, so they may not
/// add up exactly. `done` is computed from the other counts. It may be too low for a moment, by the
/// number of tasks that are just ending in another way, so a later snapshot can show a smaller
/// `done` than an earlier one.
///
/// While no call is changing the channel, all values are exact, and they add up:
///
/// `sent + followed_up == done + failed + abandoned + panicked + evicted + discarded + queued +
/// delayed + in_hand`.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks(4);
/// for page in 1..=3 {
///     sender.try_send(page)?;
/// }
/// let task = receiver.try_recv()?;
///
/// let stats = sender.monitor().stats();
/// assert_eq!((stats.queued, stats.in_hand, stats.report.done), (2, 1, 0));
/// # task.done();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Queued items, including those that tasks queued, but not those that are delayed.
    pub queued: usize,
    /// Items that tasks queued for later, by calls such as `Task::retry_after`, and that are not due yet.
    pub delayed: usize,
    /// When the first delayed item is due.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub next_due: Option<Instant>,
    /// Tasks that were received and have not ended yet.
    pub in_hand: usize,
    /// How long the oldest of the queued items has been queued, if the channel
    /// [measures time](crate::Builder::measure_time) and an item is queued.
    ///
    /// An item that was queued again counts from then on, and one that was delayed since it was due.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub oldest_queued: Option<Duration>,
    /// How long the oldest of the tasks in hand has been in hand, if the channel
    /// [measures time](crate::Builder::measure_time) and a task is in hand. A task that is just beginning or
    /// ending may not count.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub oldest_in_hand: Option<Duration>,
    /// `true` while queued items are being discarded: either the last receiver is dropping them, or
    /// [`close_now`](crate::Monitor::close_now) is taking them out. `join` and `finished` wait
    /// until this is over, and so until the destructors of the dropped items have run.
    pub discarding: bool,
    /// `true` if the channel is closed.
    pub closed: bool,
    /// The number of senders.
    pub senders: usize,
    /// The number of receivers.
    pub receivers: usize,
    /// The counts so far.
    pub report: Report,
}

/// The reason why an item was not processed successfully, or why a sender may not have sent everything. Its
/// [`source`](Error::source) is the error of the task or the sender, if it provided one.
///
/// # Examples
///
/// ```
/// use tollgate::Failure;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send("page 7")?;
/// receiver.try_recv()?.fail("disk full");
///
/// match sender.monitor().take_failure() {
///     Some(Failure::Failed(error)) => assert_eq!(error.to_string(), "disk full"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Failure {
    /// A task ended with [`fail`](crate::Task::fail), or with a [`retry`](crate::Task::retry) that
    /// was refused. In the second case the error is a [`RetryError<()>`](crate::RetryError), unless
    /// the worker provided its own.
    Failed(Arc<dyn Error + Send + Sync>),
    /// A task was dropped with neither `done` nor `fail`: its worker returned early or was
    /// cancelled.
    Abandoned,
    /// A task was dropped by a panic. Without the feature `std`, that is not known, and the task counts
    /// as abandoned.
    Panicked,
    /// The last receiver was dropped while items were queued.
    Discarded,
    /// A sender ended with [`fail`](crate::Sender::fail): its producer could not send everything.
    SenderFailed(Arc<dyn Error + Send + Sync>),
    /// A sender was dropped by a panic, so its producer may not have sent everything. A sender that a
    /// destructor drops while the thread unwinds counts too. Without the feature `std`, that is not known,
    /// and no failure.
    SenderPanicked,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("a task failed"),
            Self::Abandoned => f.write_str("a task was dropped before it was done"),
            Self::Panicked => f.write_str("a task's worker panicked"),
            Self::Discarded => f.write_str("the last receiver was dropped while items were queued"),
            Self::SenderFailed(_) => f.write_str("a sender failed"),
            Self::SenderPanicked => f.write_str("a sender was dropped by a panic"),
        }
    }
}

impl Error for Failure {
    /// Returns the error of the task or the sender, if it provided one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) | Self::SenderFailed(error) => Some(&**error),
            _ => None,
        }
    }
}
