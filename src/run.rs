//! A pool of workers inside one future.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

use crate::task::Ticket;
use crate::task_receiver::TaskReceiver;
use crate::unwind::Guarded;
use crate::unwind::run_all;
use crate::unwind::run_one;

/// How many items are begun, or ended, before a poll gives way to other futures. A choice: a few
/// microseconds of the channel's own work.
const BUDGET: usize = 128;

/// Works off a channel: [`TaskReceiver::run`].
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
pub struct Run<T, F, Fut> {
    /// None when the channel has ended.
    receiver: Option<TaskReceiver<T>>,
    limit: usize,
    begin: Guarded<F>,
    /// Guarded for the waker that it holds.
    running: Guarded<FuturesUnordered<Running<Fut>>>,
    completed: bool,
}

pin_project! {
    /// One item at work.
    struct Running<Fut> {
        // None when abandoned.
        #[pin]
        future: Option<Fut>,
        // None when ended.
        ticket: Option<Ticket>,
    }

    impl<Fut> PinnedDrop for Running<Fut> {
        fn drop(this: Pin<&mut Self>) {
            this.abandon();
        }
    }
}

impl<Fut> Running<Fut> {
    /// Drops the future, and then the ticket, also if the destructor of the future panics.
    fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _ticket = this.ticket.take();
        run_one(|| this.future.set(None));
    }
}

impl<Fut, E> Future for Running<Fut>
where
    Fut: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let result = Guarded::new(ready!(future.poll(cx)));
        let ticket = this.ticket.take();
        // In this order: who is told of the end finds what the future held released. If that
        // panics, so has the task.
        this.future.set(None);
        if let Some(ticket) = ticket {
            match result.into_inner() {
                Ok(()) => ticket.done(),
                Err(error) => ticket.fail(error),
            }
        }
        Poll::Ready(())
    }
}

// The closure is never pinned, and the futures are boxed.
impl<T, F, Fut> Unpin for Run<T, F, Fut> {}

impl<T> TaskReceiver<T> {
    /// Works the channel off inside this one future: calls `f` on each item, and has up to `limit`
    /// of the futures it gives at work at once. `Ok` is [done](crate::Ticket::done), and an error
    /// [fails](crate::Ticket::fail) the task.
    ///
    /// A task ends when its future has been dropped, so who awaits the end finds released what the
    /// futures held.
    ///
    /// It spawns nothing: all of it runs wherever this future is polled, and no two of the futures
    /// run in parallel. It is ready when the channel is finished. How the work went,
    /// [`join`](Self::join) and [`Monitor`](crate::Monitor) tell.
    ///
    /// Every 128 items it lets other futures of its thread run.
    ///
    /// The items are parted from their tasks, so they can neither be
    /// [tried again](crate::Task::retry), also under
    /// [`Abandon::Requeue`](crate::Abandon::Requeue), nor leave
    /// [new work](crate::Task::follow_up).
    ///
    /// Needs the feature `futures`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it drops the futures that are at work, and their tasks count as
    /// abandoned; also when the destructor of one of them panics, whose own task then counts as
    /// panicked. What it had not received stays in the channel, if there are other receivers.
    ///
    /// # Panics
    ///
    /// When `f` or one of its futures does, or the destructor of one; that task then counts as
    /// panicked, and so do the others at work if the panic drops this future. The future also
    /// panics when polled after it was ready.
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
    ///     if page == 13 { Err("unlucky") } else { Ok(()) }
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
        Run {
            receiver: Some(self),
            limit: limit.get(),
            begin: Guarded::new(f),
            running: Guarded::new(FuturesUnordered::new()),
            completed: false,
        }
    }
}

impl<T, F, Fut, E> Run<T, F, Fut>
where
    F: FnMut(T) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Begins an item; false if there is no place, or no item for now, or none any more.
    fn begin_one(&mut self, cx: &mut Context<'_>) -> bool {
        // While there is no place it does not wait either, so no wake goes to it that others need.
        if self.running.len() >= self.limit {
            return false;
        }
        let Some(receiver) = &mut self.receiver else {
            return false;
        };
        match Pin::new(receiver).poll_next(cx) {
            Poll::Pending => false,
            Poll::Ready(None) => {
                self.receiver = None;
                false
            }
            Poll::Ready(Some(task)) => {
                let (item, ticket) = task.split();
                let future = (self.begin)(item);
                self.running.push(Running {
                    future: Some(future),
                    ticket: Some(ticket),
                });
                true
            }
        }
    }

    /// Ends an item; false if none has ended.
    fn end_one(&mut self, cx: &mut Context<'_>) -> bool {
        let running = Pin::new(&mut *self.running);
        matches!(running.poll_next(cx), Poll::Ready(Some(())))
    }
}

impl<T, F, Fut, E> Future for Run<T, F, Fut>
where
    F: FnMut(T) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
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

impl<T, F, Fut> Drop for Run<T, F, Fut> {
    /// Drops all that are at work, although the destructor of one panics: `FuturesUnordered` would
    /// leak the others then, and their tasks would never end.
    fn drop(&mut self) {
        let mut running = Pin::new(&mut *self.running).iter_pin_mut();
        run_all(|| running.next(), Running::abandon);
    }
}

impl<T, F, Fut> fmt::Debug for Run<T, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("limit", &self.limit)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
