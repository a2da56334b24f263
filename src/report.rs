//! What became of the items: counts, and the first failure.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An exact account of a channel at one instant: what [`join`](crate::Monitor::join) and
/// [`finished`](crate::Monitor::finished) give.
///
/// Nothing was queued and nothing in hand then, so it adds up:
///
/// * `sent + followed_up + retried == received + discarded`: whatever was queued, by a send, as new
///   work or to be tried again, was delivered or discarded.
/// * `received == done + failed + abandoned + panicked + retried`: each delivery ended in one way.
///
/// So every item that was accepted is exactly one of done, failed, abandoned, panicked and
/// discarded, however often it was tried. On a plain channel every delivery is done when it is
/// handed over.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(2);
/// sender.send("sow").await?;
/// sender.send("reap").await?;
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
    /// Items that a send put into the channel.
    pub sent: u64,
    /// Items that workers put into the channel with [`Task::follow_up`](crate::Task::follow_up).
    pub followed_up: u64,
    /// Deliveries: items handed over to a receiver, each time anew when they are tried again.
    pub received: u64,
    /// Deliveries that ended well.
    pub done: u64,
    /// Deliveries that ended with [`Task::fail`](crate::Task::fail) or
    /// [`Ticket::fail`](crate::Ticket::fail), or with a [`Task::retry`](crate::Task::retry) that
    /// was refused.
    pub failed: u64,
    /// Tasks dropped with neither `done` nor `fail`.
    pub abandoned: u64,
    /// Tasks dropped by a panic.
    pub panicked: u64,
    /// Deliveries whose item was put back to be tried again: with
    /// [`Task::retry`](crate::Task::retry), or dropped under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue).
    pub retried: u64,
    /// Items that were queued when the last receiver went, which is a failure, or when
    /// [`close_now`](crate::Monitor::close_now) handed them back, which is none. Their delivery
    /// never came.
    pub discarded: u64,
}

/// How a channel is doing right now: what [`Monitor::stats`](crate::Monitor::stats) gives.
///
/// `queued` and `in_hand` were each true at one instant during the call, or lie between what was
/// true at two; an item that is being discarded may count as in hand for a moment, or as done, on a
/// plain channel. The counts of the report are read one after the other while the channel goes on,
/// so they need not add up to the last item; `done`, which is what the others leave, may fall back
/// by the tasks that are just ending otherwise. When it stands still, all of it is exact, and
/// `sent + followed_up == done + failed + abandoned + panicked + discarded + queued + in_hand`.
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
    /// Items waiting in the channel, those that tasks put there included.
    pub queued: usize,
    /// Tasks received and not yet ended.
    pub in_hand: usize,
    /// Whether the last receiver is dropping what was queued, or
    /// [`close_now`](crate::Monitor::close_now) is taking it out. `join` and `finished` wait for
    /// the end of that, and so for the destructors.
    pub discarding: bool,
    /// Whether the channel is closed.
    pub closed: bool,
    /// Senders alive.
    pub senders: usize,
    /// Receivers alive.
    pub receivers: usize,
    /// The counts so far.
    pub report: Report,
}

/// What went wrong with an item. As an [`Error`], its source is the task's own error.
///
/// # Examples
///
/// ```
/// use tollgate::Failure;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send("page 7")?;
/// receiver.try_recv()?.fail("ink ran out");
///
/// match sender.monitor().take_failure() {
///     Some(Failure::Failed(error)) => assert_eq!(error.to_string(), "ink ran out"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Failure {
    /// A task ended with [`fail`](crate::Task::fail); or with a [`retry`](crate::Task::retry) that
    /// was refused, and then the error is a [`RetryError<()>`](crate::RetryError) unless the worker
    /// gave its own.
    Failed(Arc<dyn Error + Send + Sync>),
    /// A task was dropped with neither `done` nor `fail`: its worker returned early or was
    /// cancelled.
    Abandoned,
    /// A task was dropped by a panic.
    Panicked,
    /// The last receiver went while items were queued.
    Discarded,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("a task failed"),
            Self::Abandoned => f.write_str("a task was dropped before it was done"),
            Self::Panicked => f.write_str("a task's worker panicked"),
            Self::Discarded => f.write_str("the last receiver went while items were queued"),
        }
    }
}

impl Error for Failure {
    /// The task's own error, if it gave one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Work that has ended, not all of it well: the first failure, and the whole account.
///
/// It stays: every later [`join`](crate::Monitor::join) gives the same `first`, until
/// [`take_failure`](crate::Monitor::take_failure) takes it away.
///
/// # Examples
///
/// ```
/// use std::error::Error;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.send(7).await?;
/// receiver.recv().await?.fail("ink ran out");
///
/// let error = sender.join().await.unwrap_err();
/// assert_eq!(error.report.failed, 1);
/// assert_eq!(error.to_string(), "not all work ended well: 1 failed, 0 abandoned, 0 panicked, 0 discarded");
/// let first = error.source().unwrap();
/// assert_eq!(first.to_string(), "a task failed");
/// assert_eq!(first.source().unwrap().to_string(), "ink ran out");
/// # Ok::<(), Box<dyn Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct JoinError {
    /// The account, at the instant the work was found ended.
    pub report: Report,
    /// What went wrong first.
    pub first: Failure,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            failed,
            abandoned,
            panicked,
            discarded,
            ..
        } = self.report;
        write!(
            f,
            "not all work ended well: {failed} failed, {abandoned} abandoned, {panicked} panicked, \
             {discarded} discarded"
        )
    }
}

impl Error for JoinError {
    /// The first failure, whose source in turn is the task's own error.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.first)
    }
}
