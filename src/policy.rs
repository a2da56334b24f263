//! The policy for tasks that are not done.

use core::num::NonZeroU32;

/// What happens to a [`Task`](crate::Task) that is dropped with neither `done` nor `fail`. Set it
/// with [`Builder::on_abandon`](crate::Builder::on_abandon).
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use tollgate::Abandon;
/// use tollgate::Builder;
///
/// let (sender, receiver) = Builder::new()
///     .capacity(1)
///     .max_attempts(NonZeroU32::new(2).unwrap())
///     .on_abandon(Abandon::Requeue)
///     .build_tasks();
///
/// sender.try_send("job")?;
/// drop(receiver.try_recv()?);
/// let again = receiver.try_recv()?;
/// assert_eq!(again.attempt(), 2);
/// # again.done();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abandon {
    /// The task counts as abandoned, or as panicked if the thread is unwinding. Either is a
    /// failure.
    #[default]
    Count,
    /// The item is queued again, as by [`Task::retry`](crate::Task::retry), while attempts remain
    /// and a receiver is left, and until [`close_now`](crate::Monitor::close_now) is called. After that
    /// the task counts as under [`Count`](Self::Count).
    ///
    /// A [`Ticket`](crate::Ticket) has no item to requeue, and neither has a task that
    /// `TaskReceiver::run` is processing. These always count as under [`Count`](Self::Count). (In a
    /// pool of `run_tasks`, the futures have the tasks, and can drop them.)
    ///
    /// An item may therefore be processed more than once. It keeps the changes that its worker made
    /// to it, and any work that the worker queued with [`follow_up`](crate::Task::follow_up) stays
    /// queued.
    ///
    /// If the last receiver is dropped right after the item was queued again, for example because
    /// the only worker panicked, the item is discarded from the queue. `join` then returns
    /// [`Discarded`](crate::Failure::Discarded), unless there was an earlier failure.
    Requeue,
}

/// What a channel does beyond queueing, as a builder sets it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) policy: Policy,
    /// When callers yield. `None` means never, except for fairness.
    pub(crate) yield_after: Option<NonZeroU32>,
    /// How many failures are kept. 0 and 1 mean the first only.
    pub(crate) keep_failures: usize,
}

/// The options that a channel looks at again and again: the limit on deliveries of an item of a task channel,
/// what happens to its dropped tasks, and whether time is measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// `None` means no limit.
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) on_abandon: Abandon,
    /// From which length on a wait is reported; `None` means the default.
    #[cfg(feature = "tracing")]
    pub(crate) warn_after: Option<core::time::Duration>,
    pub(crate) measures_time: bool,
}

impl Policy {
    /// Returns whether an item may be delivered again after its delivery number `attempt`.
    pub(crate) fn allows_another(&self, attempt: u32) -> bool {
        self.max_attempts.is_none_or(|most| attempt < most.get())
    }
}
