//! The worst that a future must expect: it is cancelled, polled without a wake, and polled with a
//! new waker each time, as if it moved between tasks or out of a `select!`.

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
pub(crate) struct Hostility {
    pub(crate) rng: fastrand::Rng,
    /// Of 256 pending polls, how many end with a cancellation.
    pub(crate) cancels: u8,
    /// Counts the live wakers.
    pub(crate) wakers: Arc<AtomicUsize>,
}

impl Hostility {
    /// Wraps the future. The output is `None` if it was cancelled.
    pub(crate) fn around<F: Future + Unpin>(&mut self, future: F) -> Chaos<F> {
        Chaos {
            future: Some(future),
            doomed: self.rng.u8(..) < self.cancels / 4,
            waker: None,
            hostility: Self {
                rng: self.rng.fork(),
                ..self.clone()
            },
        }
    }

    fn chance(&mut self, of_256: u8) -> bool {
        self.rng.u8(..) < of_256
    }
}

pub(crate) struct Chaos<F> {
    future: Option<F>,
    /// It is cancelled at the next poll.
    doomed: bool,
    waker: Option<Arc<Moved>>,
    hostility: Hostility,
}

impl<F: Future + Unpin> Future for Chaos<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.doomed {
            self.future = None;
            return Poll::Ready(None);
        }
        let waker = self.waker(cx);
        let future = self.future.as_mut().expect("polled while it was pending");
        if let Poll::Ready(output) = Pin::new(future).poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(Some(output));
        }
        let cancels = self.hostility.cancels;
        if self.hostility.chance(cancels) {
            // Cancel at once; or after a while, in which it may be woken; or when it is woken.
            match self.hostility.rng.u8(0..3) {
                0 => {
                    self.future = None;
                    return Poll::Ready(None);
                }
                1 => cx.waker().wake_by_ref(),
                _ => {}
            }
            self.doomed = true;
        } else if self.hostility.chance(32) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<F> Chaos<F> {
    /// The waker to poll with. Often a new one; then wakes of earlier ones are ignored.
    fn waker(&mut self, cx: &Context<'_>) -> Waker {
        let fresh = self.hostility.chance(96);
        let current = self.waker.take();
        if let Some(current) = &current {
            if !fresh && current.target.will_wake(cx.waker()) {
                self.waker = Some(Arc::clone(current));
                return Waker::from(Arc::clone(current));
            }
            current.is_deaf.store(true, Ordering::Release);
        }
        let moved = Arc::new(Moved::new(cx.waker(), &self.hostility.wakers));
        self.waker = Some(Arc::clone(&moved));
        Waker::from(moved)
    }
}

/// The waker of a task that a future may move out of.
struct Moved {
    target: Waker,
    /// The future was polled with another waker since, so a wake of this one has no effect.
    is_deaf: AtomicBool,
    alive: Arc<AtomicUsize>,
}

impl Moved {
    fn new(target: &Waker, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self {
            target: target.clone(),
            is_deaf: AtomicBool::new(false),
            alive: Arc::clone(alive),
        }
    }
}

impl Wake for Moved {
    fn wake(self: Arc<Self>) {
        if !self.is_deaf.load(Ordering::Acquire) {
            self.target.wake_by_ref();
        }
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
