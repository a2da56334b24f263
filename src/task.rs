//! A received item that counts as outstanding until its task ends.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ops::DerefMut;
use core::ptr;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use core::time::Duration;

use crate::delivery::Delivery;
use crate::delivery::When;
use crate::error::RetryError;
use crate::error::SendError;
use crate::report::Failure;
use crate::unwind::Guarded;
use crate::unwind::protect;

// work for later
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod delayed;
// what is left of a task whose item was moved away
mod ticket;

pub use self::ticket::Ticket;

/// A received item of a [task channel](crate::tasks), which its worker must end.
///
/// A task dereferences to its item. While the task exists, [`join`](crate::Monitor::join) waits for
/// it. Only [`done`](Self::done) ends it as a success. A task that is dropped counts as
/// *abandoned*, or as *panicked* if the thread is unwinding. Either makes `join` fail, unless the
/// channel was [built](crate::Builder::on_abandon) to queue the item again. A task is never counted
/// twice, and only [`mem::forget`](std::mem::forget) can keep it from being counted.
///
/// A worker can queue the item for another attempt with [`retry`](Self::retry), and queue new work
/// with [`follow_up`](Self::follow_up). With [`retry_after`](Self::retry_after) and
/// [`follow_up_after`](Self::follow_up_after), it does so for later.
///
/// Everything that the worker did before the task ended happens before what follows the
/// `join().await` that waited for it.
///
/// Do not wait for the next task of a channel while you hold one of its tasks that you are not
/// processing. Once the channel is closed and empty, receivers wait until all tasks have ended, and
/// yours is one of them.
///
/// The methods of `Task` hide methods of the item with the same name. To call the item's method,
/// dereference the task first, as in `(*task).split(..)`.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.send(String::from("page")).await?;
///
/// let mut task = receiver.recv().await?;
/// task.push_str(".html");
/// assert_eq!(task.len(), 9);
/// assert_eq!(sender.monitor().outstanding(), 1);
///
/// let name = task.done();
/// assert_eq!(name, "page.html");
/// assert_eq!(sender.monitor().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// A task cannot be ended twice:
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
    /// Initialised until the task is ended or dropped.
    in_hand: ManuallyDrop<InHand<T>>,
}

struct InHand<T> {
    item: T,
    delivery: Delivery<T>,
}

impl<T> Task<T> {
    /// The place of the item in the place of its task. A large item is moved there once.
    #[inline]
    pub(crate) fn place_of_item(task: &mut MaybeUninit<Self>) -> &mut MaybeUninit<T> {
        let in_hand = Self::place_of_parts(task);
        // SAFETY: the pointer is that of a reference, and only a field is taken.
        let item = unsafe { &raw mut (*in_hand).item };
        // SAFETY: it is part of the task's place, which is borrowed.
        unsafe { &mut *item.cast::<MaybeUninit<T>>() }
    }

    /// Writes what a task has beside its item.
    #[inline]
    pub(crate) fn complete(task: &mut MaybeUninit<Self>, delivery: Delivery<T>) {
        let in_hand = Self::place_of_parts(task);
        // SAFETY: the pointer is that of a reference, and only a field is taken.
        let place = unsafe { &raw mut (*in_hand).delivery };
        // SAFETY: it is part of the task's place, which is borrowed.
        unsafe { place.write(delivery) };
    }

    /// The parts of a task. The item stays where it is.
    ///
    /// # Safety
    ///
    /// The place holds a task, which is neither used nor dropped after this.
    unsafe fn take_apart(task: &mut MaybeUninit<Self>) -> (&mut MaybeUninit<T>, Delivery<T>) {
        // SAFETY: the caller's guarantee.
        let in_hand = unsafe { &*Self::place_of_parts(task) };
        // SAFETY: as above; it is taken once.
        let delivery = unsafe { ptr::read(&raw const in_hand.delivery) };
        (Self::place_of_item(task), delivery)
    }

    #[inline]
    fn place_of_parts(task: &mut MaybeUninit<Self>) -> *mut InHand<T> {
        // SAFETY: the pointer is that of a reference, and only a field is taken.
        let in_hand = unsafe { &raw mut (*task.as_mut_ptr()).in_hand };
        // A `ManuallyDrop` has the layout of what it contains.
        in_hand.cast()
    }

    #[inline]
    fn end(self) -> InHand<T> {
        let mut task = ManuallyDrop::new(self);
        // SAFETY: the task is neither used nor dropped after this.
        unsafe { ManuallyDrop::take(&mut task.in_hand) }
    }

    /// Ends the task as a success, and returns the item.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("job")?;
    /// assert_eq!(receiver.try_recv()?.done(), "job");
    /// assert_eq!(sender.monitor().stats().report.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn done(self) -> T {
        let task = ManuallyDrop::new(self);
        // SAFETY: the task is not dropped.
        let is_ended = unsafe { task.in_hand.delivery.try_end() };
        // SAFETY: as above; it is taken once.
        let item = unsafe { ptr::read(&raw const task.in_hand.item) };
        if is_ended {
            return item;
        }
        // SAFETY: as above; it has not ended.
        let delivery = unsafe { ptr::read(&raw const task.in_hand.delivery) };
        end_slow(item, delivery, None)
    }

    /// Ends the task as failed, and returns the item.
    ///
    /// `join` returns the first failure of a channel. Later failures are only counted, unless the channel
    /// [keeps them](crate::Builder::keep_failures).
    ///
    /// # Panics
    ///
    /// Panics if the conversion of `error` panics. The task is then treated like one that is
    /// dropped by any other panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use tollgate::Failure;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("job")?;
    /// assert_eq!(receiver.try_recv()?.fail("disk full"), "job");
    ///
    /// let first = sender.monitor().take_failure();
    /// assert!(matches!(first, Some(Failure::Failed(error)) if error.to_string() == "disk full"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> T {
        let failure = failed(error);
        let InHand { item, delivery } = self.end();
        end_slow(item, delivery, Some(failure))
    }

    /// Ends this delivery, and queues the item for another attempt, behind the items that tasks
    /// have queued before.
    ///
    /// It never waits. The item takes no room in the channel, so this works even if the channel is
    /// full or closed; the receivers of a closed channel wait for such items. Receivers alternate
    /// between items that tasks queued and items that were sent. There is no delay before the next
    /// attempt; [`retry_after`](Self::retry_after) has one.
    ///
    /// The number of attempts is unlimited, unless
    /// [`Builder::max_attempts`](crate::Builder::max_attempts) sets a limit.
    ///
    /// # Errors
    ///
    /// Returns an error with the item if this was the last attempt, after
    /// [`close_now`](crate::Monitor::close_now), or if no receiver is left. The task has then ended as
    /// failed, with a [`RetryError<()>`](RetryError) as its error. To provide an error of your own, call
    /// [`retry_or_fail`](Self::retry_or_fail).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send("job").await?;
    /// sender.close();
    ///
    /// receiver.recv().await?.retry()?;
    /// let task = receiver.recv().await?;
    /// assert_eq!((*task, task.attempt()), ("job", 2));
    /// task.done();
    ///
    /// let report = sender.join().await?;
    /// assert_eq!((report.sent, report.received, report.retried, report.done), (1, 2, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry(self) -> Result<(), RetryError<T>> {
        self.retry_or(|reason| Failure::Failed(Arc::new(reason)))
    }

    /// Queues the item for another attempt. If that is refused, ends the task with the failure that
    /// `refused` makes of the reason.
    fn retry_or(
        self,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<T>> {
        let mut task = MaybeUninit::new(self);
        // SAFETY: the task is not used after this.
        unsafe { Self::retry_in_place(&mut task, When::Now, refused) }
    }

    /// [`retry_or`](Self::retry_or), of a task in its place, at `when`.
    ///
    /// # Safety
    ///
    /// The place holds a task, which is neither used nor dropped after this.
    unsafe fn retry_in_place(
        task: &mut MaybeUninit<Self>,
        when: When,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<T>> {
        // SAFETY: the caller's guarantee.
        let (item, delivery) = unsafe { Self::take_apart(task) };
        // SAFETY: the item is not used after this, unless it is returned here.
        match unsafe { delivery.retry(item, when, refused) } {
            Ok(()) => Ok(()),
            Err(RetryError::Exhausted(())) => Err(RetryError::Exhausted(
                // SAFETY: it has not moved out; it is taken once.
                unsafe { item.assume_init_read() },
            )),
            Err(RetryError::Terminated(())) => Err(RetryError::Terminated(
                // SAFETY: as above.
                unsafe { item.assume_init_read() },
            )),
        }
    }

    /// Queues the item for another attempt, like [`retry`](Self::retry); if that is refused, ends
    /// the task as failed, like [`fail`](Self::fail). The failure that `join` returns is then the
    /// error of the last attempt.
    ///
    /// # Errors
    ///
    /// Returns an error with the item if this was the last attempt, after
    /// [`close_now`](crate::Monitor::close_now), or if no receiver is left. The task has then ended as
    /// failed with `error`.
    ///
    /// # Panics
    ///
    /// Panics if the conversion of `error` panics; the task then counts as panicked. The conversion
    /// runs only if the retry is refused.
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
    /// sender.send("job").await?;
    /// sender.close();
    ///
    /// while let Ok(task) = receiver.recv().await {
    ///     let error = format!("timed out, attempt {}", task.attempt());
    ///     let _ = task.retry_or_fail(error);
    /// }
    /// let first = sender.join().await.unwrap_err().first;
    /// assert_eq!(first.source().unwrap().to_string(), "timed out, attempt 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_or_fail(
        self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), RetryError<T>> {
        // If the item is queued again, the error is dropped unused, perhaps while the panic of a
        // waker unwinds.
        let error = Guarded::new(error);
        self.retry_or(|_| failed(error.into_inner()))
    }

    /// Queues new work, which is received as a task of its own.
    ///
    /// It never waits. The item takes no room in the channel, so this works even if the channel is
    /// full or closed. Workers can therefore feed their own queue without a deadlock, however small
    /// its capacity is. The amount of work that they queue in this way is not limited. `join` never
    /// sees an instant without work between this task and its follow-up.
    ///
    /// # Errors
    ///
    /// Returns an error with the item after [`close_now`](crate::Monitor::close_now), or if no receiver is
    /// left.
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
        let mut item = MaybeUninit::new(item);
        // SAFETY: the item is not used after this.
        unsafe { self.follow_up_in_place(&mut item, When::Now) }
    }

    /// Queues new work that is in its place, at `when`.
    ///
    /// # Safety
    ///
    /// `item` holds an item, which is neither used nor dropped after this.
    unsafe fn follow_up_in_place(
        &self,
        item: &mut MaybeUninit<T>,
        when: When,
    ) -> Result<(), SendError<T>> {
        // SAFETY: the caller's guarantee.
        if unsafe { self.in_hand.delivery.follow_up(item.as_ptr(), when) } {
            Ok(())
        } else {
            // SAFETY: it has not moved out; it is taken once.
            Err(SendError(unsafe { item.assume_init_read() }))
        }
    }

    /// Returns the number of this delivery of the item: 1 for the first, and one more for each
    /// further attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.try_send("job")?;
    /// let task = receiver.try_recv()?;
    /// assert_eq!(task.attempt(), 1);
    /// task.retry()?;
    /// let task = receiver.try_recv()?;
    /// assert_eq!(task.attempt(), 2);
    /// # task.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempt(&self) -> u32 {
        self.in_hand.delivery.attempt()
    }

    /// Returns how long the item was queued before this delivery: from the moment at which it could be
    /// received until it was. Returns `None` unless the channel
    /// [measures time](crate::Builder::measure_time).
    ///
    /// For an item that was queued again, this is the time since then, and for a
    /// [delayed](Self::retry_after) item the time since it was due.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = tollgate::Builder::new().measure_time().build_tasks();
    /// sender.try_send("job")?;
    /// std::thread::sleep(Duration::from_millis(2));
    /// let task = receiver.try_recv()?;
    /// assert!(task.waited().unwrap() >= Duration::from_millis(2));
    /// # task.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub fn waited(&self) -> Option<Duration> {
        self.in_hand.delivery.waited()
    }

    /// Separates the item from the duty to end the task, for a worker that must move the item away
    /// before the work is done.
    ///
    /// The [`Ticket`] has no item to queue again. If it is dropped, the task counts as abandoned,
    /// or as panicked if the thread is unwinding, even under
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
        let InHand { item, delivery } = self.end();
        (item, Ticket(delivery.erase()))
    }
}

#[inline(never)]
fn end_slow<T>(item: T, delivery: Delivery<T>, failure: Option<Failure>) -> T {
    protect(item, || delivery.end(failure))
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
        // SAFETY: the task is not used after this, and the methods that end it do not drop it. So its
        // parts may be moved out.
        let task = unsafe { &mut *ptr::from_mut(self).cast::<MaybeUninit<Self>>() };
        // SAFETY: as above.
        let (item, delivery) = unsafe { Self::take_apart(task) };
        // SAFETY: as above.
        unsafe { delivery.abandon(item) };
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&**self).finish()
    }
}
