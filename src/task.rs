//! A received item that counts as outstanding until it is ended.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;

use crate::report::Failure;
use crate::shared::Claim;
use crate::shared::ErasedClaim;

/// An item of a [task channel](crate::tasks), and the duty to say how it ended.
///
/// It dereferences to the item. While it lives, [`join`](crate::Monitor::join) waits. It counts as a
/// success by [`done`](Self::done) only: dropped otherwise it is *abandoned*, or *panicked* if the
/// thread unwinds, and either is a failure at join. Nothing can count it twice, and only a
/// [`mem::forget`](std::mem::forget) can keep it from being counted.
///
/// Everything before its end happens before what follows the `join().await` that waited for it.
///
/// Do not await the next task of the same channel while holding one, unless others work too: after
/// a close the channel ends when all tasks have, and yours is one of them.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.send(String::from("dough")).await?;
///
/// let mut task = receiver.recv().await?;
/// task.push_str(", baked");
/// assert_eq!(task.len(), 12);
/// assert_eq!(sender.monitor().outstanding(), 1);
///
/// let bread = task.done();
/// assert_eq!(bread, "dough, baked");
/// assert_eq!(sender.monitor().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// It cannot be ended twice:
///
/// ```compile_fail,E0382
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send(1).unwrap();
/// let task = receiver.try_recv().unwrap();
/// task.done();
/// task.done();
/// ```
#[must_use = "a task that is dropped without `done` or `fail` counts as abandoned"]
pub struct Task<T> {
    /// First, so that the item is gone when its end is told.
    item: T,
    claim: Claim<T>,
}

impl<T> Task<T> {
    #[inline]
    pub(crate) fn new((item, claim): (T, Claim<T>)) -> Self {
        Self { item, claim }
    }

    /// Ends it well, and gives the item to move on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("letter")?;
    /// assert_eq!(receiver.try_recv()?.done(), "letter");
    /// assert_eq!(sender.monitor().stats().report.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn done(self) -> T {
        self.claim.settle(None);
        self.item
    }

    /// Ends it as failed, and gives the item back.
    ///
    /// The first failure of a channel is what `join` gives; later ones are counted.
    ///
    /// # Panics
    ///
    /// If the conversion of `error` does; the task then counts as panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::Failure;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("letter")?;
    /// assert_eq!(receiver.try_recv()?.fail("no such street"), "letter");
    ///
    /// let first = sender.monitor().take_failure();
    /// assert!(matches!(first, Some(Failure::Failed(error)) if error.to_string() == "no such street"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> T {
        let failure = failed(error);
        self.claim.settle(Some(failure));
        self.item
    }

    /// Parts the item from the duty, for a worker that must move the item away before it is done.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(vec![3, 1, 2])?;
    ///
    /// let (numbers, ticket) = receiver.try_recv()?.split();
    /// let sum: i32 = numbers.into_iter().sum();
    /// ticket.done();
    /// assert_eq!(sum, 6);
    /// assert_eq!(sender.monitor().stats().report.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(self) -> (T, Ticket) {
        (self.item, Ticket(self.claim.erase()))
    }
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::Failed(Arc::from(error.into()))
}

impl<T> Deref for Task<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Task<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.item).finish()
    }
}

/// The duty of a [`Task`] whose item has been moved away.
///
/// Ends as a task does: well by [`done`](Self::done) only, and dropped otherwise it is abandoned, or
/// panicked. It may go to any thread, whatever its item was.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.try_send("letter")?;
/// let (letter, ticket) = receiver.try_recv()?.split();
/// drop(letter);
/// assert_eq!(sender.monitor().outstanding(), 1);
/// ticket.fail("burnt");
/// assert_eq!(sender.monitor().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a ticket that is dropped without `done` or `fail` counts as abandoned"]
pub struct Ticket(ErasedClaim);

impl Ticket {
    /// Ends the task well.
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
        self.0.settle(None);
    }

    /// Ends the task as failed.
    ///
    /// # Panics
    ///
    /// If the conversion of `error` does; the task then counts as panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send(1)?;
    /// let (_, ticket) = receiver.try_recv()?.split();
    /// ticket.fail("out of paper");
    /// assert_eq!(sender.monitor().stats().report.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        let failure = failed(error);
        self.0.settle(Some(failure));
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket { .. }")
    }
}
