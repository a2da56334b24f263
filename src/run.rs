//! A pool of workers inside one future.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;

use futures_core::FusedFuture;
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use crate::receiver::TaskReceiver;
use crate::task::Task;
use crate::unwind::Guarded;
use crate::unwind::run_all;

// the processing of one item
mod running;

use self::running::Given;
use self::running::Outcome;
use self::running::Running;
use self::running::call;

/// How many items one poll starts or ends before it lets other futures run. For this many items, the
/// channel itself takes a few microseconds.
const BUDGET: usize = 128;

/// The future returned by [`TaskReceiver::run`] and [`TaskReceiver::run_tasks`]. It is a pool of workers.
///
/// `F` is the closure, and `Fut` the future that it returns. `G` is what the closure is given: the item,
/// or, in a pool of `run_tasks`, its [`Task`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use std::num::NonZeroUsize;
///
/// let (sender, receiver) = tollgate::tasks(1);
/// let run = receiver.run(NonZeroUsize::MIN, |number: u32| async move {
///     (number < 3).then_some(()).ok_or("too large")
/// });
/// let feed = async {
///     for number in 1..=3 {
///         sender.send(number).await.unwrap();
///     }
///     sender.close();
/// };
/// futures_lite::future::zip(run, feed).await;
///
/// let error = sender.join().await.unwrap_err();
/// assert_eq!((error.report.done, error.report.failed), (2, 1));
/// # });
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Run<T, F, Fut, G = T> {
    /// `None` once the channel is finished.
    receiver: Option<TaskReceiver<T>>,
    limit: usize,
    begin: Guarded<F>,
    /// Guarded because of the waker that it holds.
    running: Guarded<FuturesUnordered<Running<Fut>>>,
    /// Whether a panic ends only the processing of one item.
    catches: bool,
    completed: bool,
    /// What the closure is given.
    given: PhantomData<fn() -> G>,
}

// The closure is never pinned, and the futures are boxed.
impl<T, F, Fut, G> Unpin for Run<T, F, Fut, G> {}

impl<T, F, Fut, G> Run<T, F, Fut, G> {
    fn new(receiver: TaskReceiver<T>, limit: NonZeroUsize, begin: F) -> Self {
        Self {
            receiver: Some(receiver),
            limit: limit.get(),
            begin: Guarded::new(begin),
            running: Guarded::new(FuturesUnordered::new()),
            catches: false,
            completed: false,
            given: PhantomData,
        }
    }
}

impl<T> TaskReceiver<T> {
    /// Processes the tasks of the channel inside this one future. It calls `f` on each item and
    /// runs up to `limit` of the returned futures at once. If such a future returns `Ok`, its task
    /// is [done](crate::Ticket::done); if it returns an error, its task
    /// [fails](crate::Ticket::fail) with that error.
    ///
    /// A task ends only after its future was dropped. So when a joiner observes the end of the
    /// work, everything that the futures held has been released.
    ///
    /// Nothing is spawned: all the work runs where this future is polled, and no two of the
    /// returned futures run in parallel. The future completes when the channel is finished. To
    /// learn how the work ended, use [`join`](Self::join) or a [`Monitor`](crate::Monitor).
    ///
    /// After every 128 items, it lets other futures of its thread run.
    ///
    /// `f` gets only the item, without its task. So an item cannot be
    /// [retried](crate::Task::retry), not even under [`Abandon::Requeue`](crate::Abandon::Requeue),
    /// and neither `f` nor its futures can call [`follow_up`](crate::Task::follow_up). For these,
    /// use [`run_tasks`](Self::run_tasks).
    ///
    /// This method requires the feature `futures`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it drops the running futures, and their tasks
    /// count as abandoned. It does so even if the destructor of a running future panics; the task
    /// of that future then counts as panicked. Items that had not been received stay in the channel
    /// if there are other receivers.
    ///
    /// # Panics
    ///
    /// The future panics if `f` panics, or if one of the futures that `f` returned panics or has a
    /// destructor that panics. That task then counts as panicked, and so do the other running tasks
    /// if the panic drops this future. [`catch_panics`](Run::catch_panics) lets the pool continue
    /// instead. The future also panics if it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = tollgate::tasks(16);
    /// let monitor = sender.monitor();
    /// let work = tokio::spawn(receiver.run(NonZeroUsize::new(4).unwrap(), |page: u32| async move {
    ///     tokio::task::yield_now().await;
    ///     if page == 13 { Err("not found") } else { Ok(()) }
    /// }));
    ///
    /// for page in 1..=100 {
    ///     sender.send(page).await.unwrap();
    /// }
    /// drop(sender);
    ///
    /// let error = monitor.finished().await.unwrap_err();
    /// assert_eq!((error.report.done, error.report.failed), (99, 1));
    /// work.await.unwrap();
    /// # }
    /// ```
    pub fn run<F, Fut, E>(self, limit: NonZeroUsize, f: F) -> Run<T, F, Fut>
    where
        F: FnMut(T) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Run::new(self, limit, f)
    }

    /// Processes the tasks of the channel inside this one future, like [`run`](Self::run). But `f`
    /// gets the [`Task`] itself. So `f` and its futures can [retry](Task::retry) the item, queue new
    /// work by [`follow_up`](Task::follow_up), and read the number of the
    /// [attempt](Task::attempt).
    ///
    /// They must also end the task. A task that a future drops counts as abandoned, or is queued
    /// again under [`Abandon::Requeue`](crate::Abandon::Requeue). What a future holds while it ends
    /// the task, it releases only afterwards. So if joiners rely on the release, let the future end
    /// its task last.
    ///
    /// Up to `limit` futures run at once. A future may send its task elsewhere and complete; the
    /// task then does not count toward the limit. This future completes when the channel is
    /// finished, and so not before such tasks have ended.
    ///
    /// This method requires the feature `futures`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it drops the running futures, even if the
    /// destructors of some of them panic. Each of them drops its task, which then counts as
    /// abandoned, or as panicked if a panic drops it. Under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue), its item is queued again while attempts remain.
    /// Items that had not been received, and those that were queued again, stay in the channel if
    /// there are other receivers.
    ///
    /// # Panics
    ///
    /// The future panics if `f` panics, or if one of the futures that `f` returned panics or has a
    /// destructor that panics. A task that is dropped by the panic then counts as panicked, or is queued
    /// again, and so do the other running tasks if the panic drops this future.
    /// [`catch_panics`](Run::catch_panics) lets the pool continue instead. The future also panics if
    /// it is polled after it has completed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    ///
    /// use tollgate::Task;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = tollgate::tasks(16);
    /// let monitor = sender.monitor();
    /// let limit = NonZeroUsize::new(4).unwrap();
    /// let work = tokio::spawn(receiver.run_tasks(limit, |task: Task<u32>| async move {
    ///     tokio::task::yield_now().await;
    ///     if *task % 10 == 0 && task.attempt() == 1 {
    ///         // If this is refused, the task has failed.
    ///         let _ = task.retry();
    ///     } else {
    ///         task.done();
    ///     }
    /// }));
    ///
    /// for page in 1..=100 {
    ///     sender.send(page).await.unwrap();
    /// }
    /// drop(sender);
    ///
    /// let report = monitor.finished().await.unwrap();
    /// assert_eq!((report.done, report.retried), (100, 10));
    /// work.await.unwrap();
    /// # }
    /// ```
    pub fn run_tasks<F, Fut>(self, limit: NonZeroUsize, f: F) -> Run<T, F, Fut, Task<T>>
    where
        F: FnMut(Task<T>) -> Fut,
        Fut: Future<Output = ()>,
    {
        Run::new(self, limit, f)
    }
}

/// The handling of panics.
#[cfg(feature = "std")]
impl<T, F, Fut, G> Run<T, F, Fut, G> {
    /// Continues after a panic in the processing of an item. By default, such a panic propagates out
    /// of this future, and so usually drops it with all other running futures.
    ///
    /// This applies to panics of the closure, of its futures when they are polled or dropped, of the
    /// conversion of an error, and of wakers that are notified because a task ends meanwhile. (The
    /// panic hook still prints its message.) All other panics propagate, such as that of a waker that
    /// is notified because an item is received.
    ///
    /// The panic drops the future and its task. So the task counts as
    /// [panicked](crate::Report::panicked), and [`join`](crate::Monitor::join) returns
    /// [`Failure::Panicked`](crate::Failure::Panicked) if there was no earlier failure. In a pool of
    /// [`run_tasks`](TaskReceiver::run_tasks), the item is queued again instead under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue) while attempts remain; and a task that had ended
    /// before the panic keeps its outcome. Then the next item takes the place of this one.
    ///
    /// The closure is called again after it, or one of its futures, has panicked. So what they share
    /// must still be usable then. The compiler does not check that it is
    /// [`UnwindSafe`](std::panic::UnwindSafe).
    ///
    /// This method requires the features `futures` and `std`. Where a panic aborts the process, it
    /// has no effect.
    ///
    /// # Examples
    ///
    /// Three items that panic do not end a pool of three:
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::num::NonZeroUsize;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = tollgate::tasks::<&str>(16);
    /// let monitor = sender.monitor();
    /// let pool = receiver.run(NonZeroUsize::new(3).unwrap(), |line| async {
    ///     let _number: u32 = line.parse().unwrap();
    ///     Ok::<(), Infallible>(())
    /// });
    /// let work = tokio::spawn(pool.catch_panics());
    ///
    /// for line in ["one", "two", "three", "4", "5"] {
    ///     sender.send(line).await.unwrap();
    /// }
    /// drop(sender);
    ///
    /// let error = monitor.finished().await.unwrap_err();
    /// assert_eq!((error.report.done, error.report.panicked), (2, 3));
    /// work.await.unwrap();
    /// # }
    /// ```
    pub fn catch_panics(mut self) -> Self {
        self.catches = true;
        // The pool may have been polled before.
        let running = Pin::new(&mut *self.running).iter_pin_mut();
        running.for_each(Running::catch_panics);
        self
    }
}

impl<T, F, Fut, G> Run<T, F, Fut, G>
where
    G: Given<T>,
    F: FnMut(G) -> Fut,
    Fut: Future<Output: Outcome>,
{
    /// Starts processing an item. Returns false if the limit is reached, if no item is available
    /// now, or if the channel is finished.
    fn begin_one(&mut self, cx: &mut Context<'_>) -> bool {
        // At the limit it does not wait for an item, so it takes no wakeup that another receiver
        // needs.
        if self.running.len() >= self.limit {
            return false;
        }
        let Some(receiver) = &mut self.receiver else {
            return false;
        };
        match receiver.poll_recv(cx) {
            Poll::Pending => false,
            Poll::Ready(None) => {
                self.receiver = None;
                false
            }
            Poll::Ready(Some(task)) => {
                self.begin_task(task);
                true
            }
        }
    }

    fn begin_task(&mut self, task: Task<T>) {
        let catches = self.catches;
        // If the closure panics, the task is dropped while the thread unwinds.
        call(catches, || {
            let (given, ticket) = G::from_task(task);
            let future = (self.begin)(given);
            self.running.push(Running::new(future, ticket, catches));
        });
    }

    /// Completes an item. Returns false if none has ended.
    fn end_one(&mut self, cx: &mut Context<'_>) -> bool {
        let running = Pin::new(&mut *self.running);
        matches!(running.poll_next(cx), Poll::Ready(Some(())))
    }
}

impl<T, F, Fut, G> Future for Run<T, F, Fut, G>
where
    G: Given<T>,
    F: FnMut(G) -> Fut,
    Fut: Future<Output: Outcome>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.completed, "`Run` polled after completion");
        for _ in 0..BUDGET {
            let begun = self.begin_one(cx);
            let ended = self.end_one(cx);
            if !begun && !ended {
                if self.receiver.is_some() || !self.running.is_empty() {
                    return Poll::Pending;
                }
                self.completed = true;
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, F, Fut, G> FusedFuture for Run<T, F, Fut, G>
where
    G: Given<T>,
    F: FnMut(G) -> Fut,
    Fut: Future<Output: Outcome>,
{
    /// Returns `true` if the future has completed.
    fn is_terminated(&self) -> bool {
        self.completed
    }
}

impl<T, F, Fut, G> Drop for Run<T, F, Fut, G> {
    /// Drops all running futures, even if the destructor of one panics. In that case,
    /// `FuturesUnordered` by itself would leak the others, and their tasks would never end.
    fn drop(&mut self) {
        let mut running = Pin::new(&mut *self.running).iter_pin_mut();
        run_all(|| running.next(), Running::discard);
    }
}

impl<T, F, Fut, G> fmt::Debug for Run<T, F, Fut, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("limit", &self.limit)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
