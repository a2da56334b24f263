//! Futures under the worst conditions that they must support: cancelled, polled without a wake, and
//! polled with a new waker each time, as if they moved between tasks or out of a `select!`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

/// How often each of these happens.
#[derive(Clone)]
pub(crate) struct Disturbance {
    pub(crate) rng: fastrand::Rng,
    /// Of 256 pending polls, how many end with a cancellation.
    pub(crate) cancels: u8,
    /// How many wakers exist.
    pub(crate) wakers: Arc<AtomicUsize>,
}

impl Disturbance {
    /// Wraps the future. The output is `None` if it was cancelled.
    pub(crate) fn disturb<F: Future + Unpin>(&mut self, future: F) -> Disturbed<F> {
        Disturbed {
            future: Some(future),
            cancel_next: self.rng.u8(..) < self.cancels / 4,
            waker: None,
            disturbance: Self {
                rng: self.rng.fork(),
                ..self.clone()
            },
        }
    }

    fn chance(&mut self, of_256: u8) -> bool {
        self.rng.u8(..) < of_256
    }
}

pub(crate) struct Disturbed<F> {
    future: Option<F>,
    /// Whether the next poll cancels it.
    cancel_next: bool,
    waker: Option<Arc<TaskWaker>>,
    disturbance: Disturbance,
}

impl<F: Future + Unpin> Future for Disturbed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.cancel_next {
            self.future = None;
            return Poll::Ready(None);
        }
        let waker = self.waker(cx);
        let future = self.future.as_mut().expect("polled while it was pending");
        if let Poll::Ready(output) = Pin::new(future).poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(Some(output));
        }
        let cancels = self.disturbance.cancels;
        if self.disturbance.chance(cancels) {
            // Cancel at once; or after a while, in which it may be woken; or when it is woken.
            match self.disturbance.rng.u8(0..3) {
                0 => {
                    self.future = None;
                    return Poll::Ready(None);
                }
                1 => cx.waker().wake_by_ref(),
                _ => {}
            }
            self.cancel_next = true;
        } else if self.disturbance.chance(32) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<F> Disturbed<F> {
    /// The waker to poll with. It is often a new one. Then wakes of earlier ones are ignored.
    fn waker(&mut self, cx: &Context<'_>) -> Waker {
        let fresh = self.disturbance.chance(96);
        let current = self.waker.take();
        if let Some(current) = &current {
            if !fresh && current.target.will_wake(cx.waker()) {
                self.waker = Some(Arc::clone(current));
                return Waker::from(Arc::clone(current));
            }
            current.is_replaced.store(true, Ordering::Release);
        }
        let waker = Arc::new(TaskWaker::new(cx.waker(), &self.disturbance.wakers));
        self.waker = Some(Arc::clone(&waker));
        Waker::from(waker)
    }
}

/// The waker of one of the tasks that a future moves between.
struct TaskWaker {
    target: Waker,
    /// The future was polled with another waker since, so a wake of this one has no effect.
    is_replaced: AtomicBool,
    count: Arc<AtomicUsize>,
}

impl TaskWaker {
    fn new(target: &Waker, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self {
            target: target.clone(),
            is_replaced: AtomicBool::new(false),
            count: Arc::clone(count),
        }
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_replaced.load(Ordering::Acquire) {
            self.target.wake_by_ref();
        }
    }
}

impl Drop for TaskWaker {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
