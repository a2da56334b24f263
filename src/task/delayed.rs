//! Work for later.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::mem::MaybeUninit;
use core::time::Duration;
use std::time::Instant;

use super::Task;
use super::failed;
use crate::delivery::When;
use crate::error::RetryError;
use crate::error::SendError;
use crate::report::Failure;
use crate::timer;
use crate::timer::Alarm;
use crate::unwind::Guarded;
use crate::unwind::protect_in_place;

/// Queueing work for later. These calls are absent on WebAssembly and without `std`.
///
/// Until it is due, an item is *delayed*: it is queued, but cannot be received yet. It takes no room in
/// the channel, and [`len`](crate::Receiver::len) does not count it. But it is
/// [outstanding](crate::Monitor::outstanding): `join`, `finished` and the end of a receiver wait for it,
/// also after a close. [`close_now`](crate::Monitor::close_now) returns delayed items, and dropping the
/// last receiver drops them. [`Stats`](crate::Stats) tells how many there are, and when the next is due.
///
/// When an item is due, it joins the end of the line of items that tasks have queued. So it is received
/// when it is due or later, and never earlier. Items join that line in order of due time.
/// (An item whose time has passed when it is queued joins the line at once.)
///
/// Delays work with any executor, and without one: a thread makes the items receivable. All channels of a
/// process share it. It starts when an item is delayed, and ends a moment after none is. It calls the wakers
/// of waiting receivers, so a waker that blocks its thread would hold up all delayed items.
impl<T> Task<T> {
    /// Ends this delivery, and queues the item for another attempt after a delay.
    ///
    /// It never waits: the worker can receive its next task at once, while the item waits in the channel.
    ///
    /// If the delay is zero, this is [`retry`](Self::retry). If it is so long that the clock cannot
    /// represent its end, such as [`Duration::MAX`], the item is due in the far future.
    ///
    /// The number of attempts is limited as for `retry`. This call is what counts, not the time at which
    /// the item is due.
    ///
    /// # Errors
    ///
    /// Returns an error with the item in the same cases as [`retry`](Self::retry). The task has then ended
    /// as failed, with a [`RetryError<()>`](RetryError) as its error.
    ///
    /// # Panics
    ///
    /// Panics if the thread that delays need cannot be started. The task is then treated like one that is
    /// dropped by any other panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use std::time::Instant;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send("job").await?;
    /// sender.close();
    ///
    /// let start = Instant::now();
    /// receiver.recv().await?.retry_after(Duration::from_millis(10))?;
    /// // The receiver waits although the channel is closed.
    /// let task = receiver.recv().await?;
    /// assert!(start.elapsed() >= Duration::from_millis(10));
    /// assert_eq!(task.attempt(), 2);
    /// task.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// An exponential backoff with jitter: a random delay, whose limit doubles with each attempt.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    ///
    /// const BASE: Duration = Duration::from_millis(1);
    ///
    /// # futures_lite::future::block_on(async {
    /// let builder = tollgate::Builder::new().max_attempts(NonZeroU32::new(5).unwrap());
    /// let (sender, receiver) = builder.build_tasks();
    /// sender.send("job").await?;
    /// sender.close();
    ///
    /// while let Ok(task) = receiver.recv().await {
    ///     let limit = BASE * 2_u32.pow(task.attempt().min(10));
    ///     let _ = task.retry_after(limit.mul_f64(fastrand::f64()));
    /// }
    /// assert_eq!(sender.join().await.unwrap_err().report.received, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_after(self, delay: Duration) -> Result<(), RetryError<T>> {
        let mut task = MaybeUninit::new(self);
        // SAFETY: the task is not used after this.
        unsafe { Self::retry_when(&mut task, timer::after(delay), refused) }
    }

    /// Ends this delivery, and queues the item for another attempt when it is `due`. If that is past, this
    /// is [`retry`](Self::retry). See [`retry_after`](Self::retry_after).
    ///
    /// # Errors
    ///
    /// Returns an error with the item in the same cases as [`retry`](Self::retry). The task has then ended
    /// as failed, with a [`RetryError<()>`](RetryError) as its error.
    ///
    /// # Panics
    ///
    /// Panics in the same case as [`retry_after`](Self::retry_after).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use std::time::Instant;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// sender.send("job").await?;
    ///
    /// let due = Instant::now() + Duration::from_millis(10);
    /// receiver.recv().await?.retry_at(due)?;
    /// assert_eq!(sender.monitor().outstanding(), 1);
    ///
    /// assert_eq!(receiver.recv().await?.done(), "job");
    /// assert!(Instant::now() >= due);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_at(self, due: Instant) -> Result<(), RetryError<T>> {
        let mut task = MaybeUninit::new(self);
        // SAFETY: the task is not used after this.
        unsafe { Self::retry_when(&mut task, timer::at(due), refused) }
    }

    /// Queues the item for another attempt after a delay, like [`retry_after`](Self::retry_after). If that
    /// is refused, ends the task as failed, like [`fail`](Self::fail). The failure that `join` returns is
    /// then the error of the last attempt.
    ///
    /// # Errors
    ///
    /// Returns an error with the item in the same cases as [`retry`](Self::retry). The task has then ended
    /// as failed with `error`.
    ///
    /// # Panics
    ///
    /// Panics in the same case as [`retry_after`](Self::retry_after), and if the conversion of `error`
    /// panics. The task then counts as panicked. The conversion runs only if the retry is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::error::Error;
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    ///
    /// # futures_lite::future::block_on(async {
    /// let builder = tollgate::Builder::new().capacity(1).max_attempts(NonZeroU32::new(2).unwrap());
    /// let (sender, receiver) = builder.build_tasks();
    /// sender.send("job").await?;
    /// sender.close();
    ///
    /// while let Ok(task) = receiver.recv().await {
    ///     let error = format!("timed out, attempt {}", task.attempt());
    ///     let _ = task.retry_after_or_fail(Duration::from_millis(1), error);
    /// }
    /// let first = sender.join().await.unwrap_err().first;
    /// assert_eq!(first.source().unwrap().to_string(), "timed out, attempt 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_after_or_fail(
        self,
        delay: Duration,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), RetryError<T>> {
        // As in `retry_or_fail`.
        let error = Guarded::new(error);
        let refused = |_| failed(error.into_inner());
        let mut task = MaybeUninit::new(self);
        // SAFETY: the task is not used after this.
        unsafe { Self::retry_when(&mut task, timer::after(delay), refused) }
    }

    /// Queues the item for another attempt when it is due, or now. If that is refused, ends the task with
    /// the failure that `refused` makes of the reason. Drops the task if the thread cannot be started.
    ///
    /// # Safety
    ///
    /// The place holds a task, which is neither used nor dropped after this.
    unsafe fn retry_when(
        task: &mut MaybeUninit<Self>,
        due: Option<Instant>,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<T>> {
        // SAFETY: the caller's guarantee.
        let delivery = &unsafe { task.assume_init_ref() }.in_hand.delivery;
        let due = due.filter(|_| !delivery.refuses_retry());
        // SAFETY: as above.
        let when = unsafe { when(task, due) };
        // SAFETY: as above.
        unsafe { Self::retry_in_place(task, when, refused) }
    }

    /// Queues new work after a delay. It is received as a task of its own.
    ///
    /// It never waits. The delay is treated as by [`retry_after`](Self::retry_after), and the item
    /// otherwise as by [`follow_up`](Self::follow_up).
    ///
    /// # Errors
    ///
    /// Returns an error with the item in the same cases as [`follow_up`](Self::follow_up).
    ///
    /// # Panics
    ///
    /// Panics if the thread that delays need cannot be started. The item is then dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.send("upload").await?;
    /// sender.close();
    ///
    /// let task = receiver.recv().await?;
    /// task.follow_up_after("check the upload", Duration::from_millis(10))?;
    /// task.done();
    /// assert_eq!(receiver.recv().await?.done(), "check the upload");
    /// assert_eq!(monitor.finished().await?.followed_up, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn follow_up_after(&self, item: T, delay: Duration) -> Result<(), SendError<T>> {
        let mut item = MaybeUninit::new(item);
        let due = self.due_unless_refused(delay);
        // SAFETY: it holds the item, which is not used if this panics.
        let when = unsafe { when(&mut item, due) };
        // SAFETY: the item is not used after this.
        unsafe { self.follow_up_in_place(&mut item, when) }
    }

    /// The time after a delay, unless it is past, or new work is refused. (Not inlined, as [`when`].)
    #[inline(never)]
    fn due_unless_refused(&self, delay: Duration) -> Option<Instant> {
        timer::after(delay).filter(|_| !self.in_hand.delivery.refuses_all())
    }
}

/// When to queue what is in `place`: when it is `due`, or now. A call that is certain to be refused passes no
/// time, and so starts no thread. Drops what is in `place` if the thread cannot be started. (Not inlined, so
/// that the callers are small enough to be: they need no copy of a large item then.)
///
/// # Safety
///
/// The place holds a value. If this panics, the caller does not use the value any more.
#[inline(never)]
unsafe fn when<V>(place: &mut MaybeUninit<V>, due: Option<Instant>) -> When {
    let mut when = When::Now;
    if let Some(due) = due {
        // SAFETY: the caller's guarantee.
        unsafe { protect_in_place(place, || when = When::At(Alarm::at(due))) };
    }
    when
}

/// The failure of a task whose retry was refused, if its worker provides no error.
fn refused(reason: RetryError<()>) -> Failure {
    Failure::Failed(Arc::new(reason))
}
