//! The duty to end a task, without its item.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

#[cfg(doc)]
use super::Task;
use super::failed;
use crate::delivery::ErasedDelivery;

/// The duty to end a [`Task`] whose item was moved away with [`Task::split`].
///
/// A ticket ends as a task does. Only [`done`](Self::done) ends it as a success; if it is dropped,
/// the task counts as abandoned, or as panicked if the thread is unwinding. A ticket can be sent to
/// any thread, even if its item could not.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send("job")?;
/// let (job, ticket) = receiver.try_recv()?.split();
/// drop(job);
/// assert_eq!(sender.monitor().outstanding(), 1);
/// ticket.fail("disk full");
/// assert_eq!(sender.monitor().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a ticket that is dropped without `done` or `fail` counts as abandoned"]
pub struct Ticket(pub(super) ErasedDelivery);

impl Ticket {
    /// Ends the task as a success.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(1)?;
    /// let (_, ticket) = receiver.try_recv()?.split();
    /// ticket.done();
    /// assert_eq!(sender.monitor().stats().report.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn done(self) {
        self.0.end(None);
    }

    /// Ends the task as failed.
    ///
    /// # Panics
    ///
    /// Panics if the conversion of `error` panics. The task then counts as panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(1)?;
    /// let (_, ticket) = receiver.try_recv()?.split();
    /// ticket.fail("disk full");
    /// assert_eq!(sender.monitor().stats().report.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        let failure = failed(error);
        self.0.end(Some(failure));
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket { .. }")
    }
}
