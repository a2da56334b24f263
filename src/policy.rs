//! What becomes of a task that is not done.

use std::num::NonZeroU32;

/// What becomes of a [`Task`](crate::Task) that is dropped with neither `done` nor `fail`: what
/// [`Builder::on_abandon`](crate::Builder::on_abandon) takes.
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
/// sender.try_send("letter")?;
/// drop(receiver.try_recv()?);
/// let again = receiver.try_recv()?;
/// assert_eq!(again.attempt(), 2);
/// # again.done();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abandon {
    /// It counts as abandoned, or as panicked while the thread unwinds, and is a failure.
    #[default]
    Count,
    /// Its item is queued again, as by [`Task::retry`](crate::Task::retry), while attempts remain
    /// and a receiver lives. After that it counts as with [`Count`](Self::Count), and so does what
    /// has parted from its item: a [`Ticket`](crate::Ticket), and what `TaskReceiver::run` has at
    /// work.
    ///
    /// So an item may be worked on more than once, and comes back as its worker left it: with what
    /// was changed in it, and whatever [followed it](crate::Task::follow_up) already.
    ///
    /// If the last receiver goes right after, as with a sole worker that panics, the item is
    /// discarded from the queue, and that is the failure that `join` gives, unless there was one
    /// before.
    Requeue,
}

/// How often an item of a task channel is delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// No limit if there is none.
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) on_abandon: Abandon,
}

impl Policy {
    /// Whether an item may be delivered again whose delivery was the n-th.
    pub(crate) fn allows_another(&self, attempt: u32) -> bool {
        self.max_attempts.is_none_or(|most| attempt < most.get())
    }
}
