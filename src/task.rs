//! A received item that counts as outstanding until it is ended.

use std::error::Error;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;

use crate::channel::Origin;
use crate::error::RetryError;
use crate::error::SendError;
use crate::report::Failure;
use crate::shared::Claim;
use crate::shared::ErasedClaim;
use crate::unwind::Guarded;
use crate::unwind::protect;

/// An item of a [task channel](crate::tasks), and the duty to say how it ended.
///
/// It dereferences to the item. While it lives, [`join`](crate::Monitor::join) waits. It counts as
/// a success by [`done`](Self::done) only: dropped otherwise it is *abandoned*, or *panicked* if
/// the thread unwinds, and either is a failure at join (or it is tried again, if the channel was
/// [built](crate::Builder::on_abandon) so). Nothing can count it twice, and only a
/// [`mem::forget`](std::mem::forget) can keep it from being counted.
///
/// A worker may put the item back to be tried again ([`retry`](Self::retry)), and leave new work
/// ([`follow_up`](Self::follow_up)).
///
/// Everything before its end happens before what follows the `join().await` that waited for it.
///
/// Do not await the next task of the same channel while holding one: after a close the channel ends
/// when all tasks have, and yours is one of them.
///
/// Its own methods hide those of the item that have the same name: call `(*task).split(..)` where
/// you mean the item's.
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
    /// There until the task is ended or dropped, whichever it is.
    in_hand: ManuallyDrop<InHand<T>>,
}

struct InHand<T> {
    item: T,
    claim: Claim<T>,
    /// Holds a `u32`. It is a whole word, for a task may be copied word by word just after it has
    /// been written: to read a word of which only half has just been written stalls the processor.
    attempt: u64,
}

impl<T> InHand<T> {
    fn attempt(&self) -> u32 {
        self.attempt as u32
    }

    fn into_parts(self) -> (T, Claim<T>, u32) {
        let attempt = self.attempt();
        (self.item, self.claim, attempt)
    }
}

impl<T> Task<T> {
    #[inline]
    pub(crate) fn new((item, claim): (T, Claim<T>), origin: Origin) -> Self {
        Self {
            in_hand: ManuallyDrop::new(InHand {
                item,
                claim,
                attempt: origin.attempt().into(),
            }),
        }
    }

    #[inline]
    fn end(self) -> InHand<T> {
        let mut task = ManuallyDrop::new(self);
        // SAFETY: the task is neither used nor dropped after this.
        unsafe { ManuallyDrop::take(&mut task.in_hand) }
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
        let InHand { item, claim, .. } = self.end();
        match claim.settle_at_once() {
            Ok(()) => item,
            Err(claim) => protect(item, || claim.settle(None)),
        }
    }

    /// Ends it as failed, and gives the item back.
    ///
    /// The first failure of a channel is what `join` gives; later ones are counted.
    ///
    /// # Panics
    ///
    /// If the conversion of `error` does; the task is then dropped as by any panic.
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
        let InHand { item, claim, .. } = self.end();
        protect(item, || claim.settle(Some(failure)))
    }

    /// Ends this delivery and queues the item to be tried again, behind what tasks have put back or
    /// left there before.
    ///
    /// It never waits: it takes no room, and works on a full channel and on a closed one, whose
    /// receivers wait for just that. What is put back and what was sent are received in turn. There
    /// is no pause before the next attempt; a worker that wants one sleeps while it holds the task.
    ///
    /// Attempts are without limit unless [`Builder::max_attempts`](crate::Builder::max_attempts)
    /// sets one.
    ///
    /// # Errors
    ///
    /// When this was the last attempt, or no receiver is left. The task has then ended as failed,
    /// with a [`RetryError<()>`](RetryError) as its error; [`retry_or_fail`](Self::retry_or_fail)
    /// gives your own.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send("shy door").await?;
    /// sender.close();
    ///
    /// receiver.recv().await?.retry()?;
    /// let task = receiver.recv().await?;
    /// assert_eq!((*task, task.attempt()), ("shy door", 2));
    /// task.done();
    ///
    /// let report = sender.join().await?;
    /// assert_eq!((report.sent, report.received, report.retried, report.done), (1, 2, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry(self) -> Result<(), RetryError<T>> {
        let (item, claim, attempt) = self.end().into_parts();
        claim.retry(item, attempt, |reason| Failure::Failed(Arc::new(reason)))
    }

    /// As [`retry`](Self::retry), and where that is refused, as [`fail`](Self::fail): the failure
    /// that `join` gives is then what went wrong with the last attempt.
    ///
    /// # Errors
    ///
    /// When this was the last attempt, or no receiver is left. The task has then ended as failed
    /// with `error`.
    ///
    /// # Panics
    ///
    /// If the conversion of `error` does, which is made only where the retry is refused; the task
    /// then counts as panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::error::Error;
    /// use std::num::NonZeroU32;
    ///
    /// # futures_lite::future::block_on(async {
    /// let builder = tollgate::Builder::new().capacity(1).max_attempts(NonZeroU32::new(2).unwrap());
    /// let (sender, receiver) = builder.build_tasks();
    /// sender.send("letter").await?;
    /// sender.close();
    ///
    /// while let Ok(task) = receiver.recv().await {
    ///     let error = format!("nobody opened, attempt {}", task.attempt());
    ///     let _ = task.retry_or_fail(error);
    /// }
    /// let first = sender.join().await.unwrap_err().first;
    /// assert_eq!(first.source().unwrap().to_string(), "nobody opened, attempt 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_or_fail(
        self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), RetryError<T>> {
        let (item, claim, attempt) = self.end().into_parts();
        // If the item is put back, the error is dropped unused, perhaps by the panic of a waker.
        let error = Guarded::new(error);
        claim.retry(item, attempt, |_| failed(error.into_inner()))
    }

    /// Queues new work that this task has come upon, to be received as a task of its own.
    ///
    /// It never waits: it takes no room, and works on a full channel and on a closed one. So
    /// workers may feed their own queue without a deadlock, however small it is; but nothing bounds
    /// how much they leave there. `join` does not see an instant without work between this task and
    /// what follows it.
    ///
    /// # Errors
    ///
    /// When no receiver is left; the item comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send(3).await?;
    /// sender.close();
    ///
    /// let mut countdown = Vec::new();
    /// while let Ok(task) = receiver.recv().await {
    ///     if *task > 0 {
    ///         task.follow_up(*task - 1)?;
    ///     }
    ///     countdown.push(task.done());
    /// }
    /// assert_eq!(countdown, [3, 2, 1, 0]);
    ///
    /// let report = sender.join().await?;
    /// assert_eq!((report.sent, report.followed_up, report.done), (1, 3, 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn follow_up(&self, item: T) -> Result<(), SendError<T>> {
        self.in_hand.claim.follow_up(item).map_err(SendError)
    }

    /// Which delivery of the item this is: 1 for the first, and one more each time it is tried
    /// again.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("letter")?;
    /// let task = receiver.try_recv()?;
    /// assert_eq!(task.attempt(), 1);
    /// task.retry()?;
    /// let task = receiver.try_recv()?;
    /// assert_eq!(task.attempt(), 2);
    /// # task.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempt(&self) -> u32 {
        self.in_hand.attempt()
    }

    /// Parts the item from the duty, for a worker that must move the item away before it is done.
    ///
    /// A ticket without its item cannot be tried again: dropped, it counts as abandoned, also under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue).
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
        let InHand { item, claim, .. } = self.end();
        (item, Ticket(claim.erase()))
    }
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::Failed(Arc::from(error.into()))
}

impl<T> Deref for Task<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.in_hand.item
    }
}

impl<T> DerefMut for Task<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.in_hand.item
    }
}

impl<T> Drop for Task<T> {
    /// Abandons the task.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the task is not used after this, and what ends it otherwise does not drop it.
        let in_hand = unsafe { ManuallyDrop::take(&mut self.in_hand) };
        let (item, claim, attempt) = in_hand.into_parts();
        claim.abandon(item, attempt);
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&**self).finish()
    }
}

/// The duty of a [`Task`] whose item has been moved away.
///
/// Ends as a task does: well by [`done`](Self::done) only, and dropped otherwise it is abandoned,
/// or panicked. It may go to any thread, whatever its item was.
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
