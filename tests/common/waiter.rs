//! Futures and streams that tests poll by hand, with wakers that count.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::StreamExt;
use futures_util::stream::FusedStream;

use super::Given;
use super::Kind;
use super::ReceiverOf;

/// A waker that counts how often it is woken.
#[derive(Debug)]
pub(crate) struct CountingWaker {
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl CountingWaker {
    pub(crate) fn new() -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Self { wakes, waker }
    }

    /// How often it has been woken.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether the channel has dropped every clone of it.
    pub(crate) fn is_released(&self) -> bool {
        // `wakes`, and the one in `waker`.
        Arc::strong_count(&self.wakes) == 2
    }
}

/// Polls a future once.
pub(crate) fn poll<F>(future: &mut F, waker: &CountingWaker) -> Poll<F::Output>
where
    F: Future + Unpin + ?Sized,
{
    Pin::new(future).poll(&mut Context::from_waker(waker.waker()))
}

/// Polls a stream once.
pub(crate) fn poll_next<S>(stream: &mut S, waker: &CountingWaker) -> Poll<Option<S::Item>>
where
    S: FusedStream + Unpin,
{
    Pin::new(stream).poll_next(&mut Context::from_waker(waker.waker()))
}

/// Polls a future once, with a waker that does nothing.
pub(crate) fn poll_once<F>(future: &mut F) -> Poll<F::Output>
where
    F: Future + Unpin + ?Sized,
{
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that is ready at once.
#[track_caller]
pub(crate) fn now<F>(mut future: F) -> F::Output
where
    F: Future + Unpin,
{
    match poll_once(&mut future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is not ready"),
    }
}

/// A future together with the waker it is polled with.
pub(crate) struct Waiter<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    waker: CountingWaker,
}

impl<'a, R> Waiter<'a, R> {
    pub(crate) fn new(future: impl Future<Output = R> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            waker: CountingWaker::new(),
        }
    }

    /// A waiter that has been polled and is pending.
    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = R> + 'a) -> Self {
        let mut waiter = Self::new(future);
        assert!(waiter.poll().is_pending(), "the future is ready at once");
        waiter
    }

    pub(crate) fn poll(&mut self) -> Poll<R> {
        poll(&mut self.future, &self.waker)
    }

    /// Polls until a poll is ready, or does not wake the waiter itself. Returns what the last poll returned.
    #[track_caller]
    pub(crate) fn poll_while_it_yields(&mut self) -> Poll<R> {
        for _ in 0..100 {
            let before = self.wakes();
            let polled = self.poll();
            if polled.is_ready() || self.wakes() == before {
                return polled;
            }
        }
        panic!("it yields again and again");
    }

    pub(crate) fn wakes(&self) -> usize {
        self.waker.wakes()
    }

    /// Leaks the future and returns its waker.
    pub(crate) fn forget(self) -> CountingWaker {
        mem::forget(self.future);
        self.waker
    }
}

/// How often each waiter has been woken.
pub(crate) fn wakes<R>(waiters: &[Waiter<'_, R>]) -> Vec<usize> {
    waiters.iter().map(Waiter::wakes).collect()
}

/// Waiting receivers: futures and streams in turn.
pub(crate) fn mixed<K: Kind>(
    receiver: &ReceiverOf<K>,
    count: usize,
) -> Vec<Waiter<'_, Option<u32>>> {
    let waiters = (0..count).map(|index| match index % 2 {
        0 => Waiter::waiting(async { receiver.recv().await.ok().map(Given::end) }),
        _ => {
            let mut stream = receiver.clone();
            Waiter::waiting(async move { stream.next().await.map(Given::end) })
        }
    });
    waiters.collect()
}
