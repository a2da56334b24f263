//! The processing of one item: its future, and its task.

use alloc::boxed::Box;
use core::error::Error;
use core::future::Future;
use core::mem::forget;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use pin_project_lite::pin_project;

use crate::task::Task;
use crate::task::Ticket;
use crate::unwind::Guarded;
use crate::unwind::contain;
use crate::unwind::run_one;

/// What the closure of a pool is given for a task.
pub trait Given<T>: Sized {
    /// Takes the task apart. The pool keeps the ticket, if there is one.
    fn from_task(task: Task<T>) -> (Self, Option<Ticket>);
}

/// The item. The pool ends the task.
impl<T> Given<T> for T {
    fn from_task(task: Task<T>) -> (Self, Option<Ticket>) {
        let (item, ticket) = task.split();
        (item, Some(ticket))
    }
}

/// The task itself, which the closure and its future end.
impl<T> Given<T> for Task<T> {
    fn from_task(task: Task<T>) -> (Self, Option<Ticket>) {
        (task, None)
    }
}

/// What the future for an item returns.
pub trait Outcome {
    /// Ends the task, if the pool has its ticket.
    fn end(self, ticket: Option<Ticket>);
}

/// Of a pool that ends the tasks.
impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn end(self, ticket: Option<Ticket>) {
        match (self, ticket) {
            (Ok(()), Some(ticket)) => ticket.done(),
            (Err(error), Some(ticket)) => ticket.fail(error),
            (_, None) => {}
        }
    }
}

/// Of a pool whose futures end the tasks.
impl Outcome for () {
    fn end(self, _: Option<Ticket>) {}
}

/// Calls `run`, which runs user code for one item. If it panics, the panic propagates, or, if `catches`
/// is set, this returns `None`.
pub(super) fn call<R>(catches: bool, run: impl FnOnce() -> R) -> Option<R> {
    if catches { contain(run) } else { Some(run()) }
}

pin_project! {
    /// The processing of one item.
    pub(super) struct Running<Fut> {
        // None if it was abandoned.
        #[pin]
        future: Option<Fut>,
        // None if the task has ended, or if the future has it.
        ticket: Option<Ticket>,
        // Whether a panic ends only the processing of this item.
        catches: bool,
    }

    impl<Fut> PinnedDrop for Running<Fut> {
        fn drop(this: Pin<&mut Self>) {
            this.abandon();
        }
    }
}

impl<Fut> Running<Fut> {
    pub(super) fn new(future: Fut, ticket: Option<Ticket>, catches: bool) -> Self {
        Self {
            future: Some(future),
            ticket,
            catches,
        }
    }

    #[cfg(feature = "std")]
    pub(super) fn catch_panics(self: Pin<&mut Self>) {
        *self.project().catches = true;
    }

    /// [`abandon`](Self::abandon), by the pool.
    pub(super) fn discard(self: Pin<&mut Self>) {
        call(self.catches, || self.abandon());
    }

    /// Drops the future and then the ticket, even if the destructor of the future panics.
    fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _ticket = this.ticket.take();
        run_one(|| this.future.set(None));
    }
}

impl<Fut: Future<Output: Outcome>> Running<Fut> {
    /// Polls the future. Once it has completed, drops it and ends the task.
    fn process(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let output = Guarded::new(ready!(future.poll(cx)));
        let ticket = this.ticket.take();
        // The future is dropped before its task ends, so that everything that it held has been
        // released when a joiner is woken. If its destructor panics, the task counts as panicked.
        this.future.set(None);
        output.into_inner().end(ticket);
        Poll::Ready(())
    }
}

impl<Fut: Future<Output: Outcome>> Future for Running<Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let catches = self.catches;
        let process = || {
            // While the thread unwinds, so that the task counts as panicked, even if it is the future
            // that has it.
            let mut on_panic = AbandonOnDrop(self);
            let polled = on_panic.0.as_mut().process(cx);
            forget(on_panic);
            polled
        };
        call(catches, process).unwrap_or(Poll::Ready(()))
    }
}

/// Abandons the processing of an item when it is dropped.
struct AbandonOnDrop<'a, Fut>(Pin<&'a mut Running<Fut>>);

impl<Fut> Drop for AbandonOnDrop<'_, Fut> {
    fn drop(&mut self) {
        self.0.as_mut().abandon();
    }
}
