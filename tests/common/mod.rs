//! What tests share: both kinds of channel behind one trait, wakers that count, items that count
//! their drops, and a watchdog.

#![allow(dead_code, unused_imports, unused_macros)] // Each test binary uses a part.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::io::Write;
use std::mem;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FusedStream;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Drained;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::Ticket;
use tollgate::TryRecvError;

/// Makes of each generic function a test for plain channels and one for task channels.
macro_rules! on_both_kinds {
    ($($name:ident,)*) => {
        mod plain {
            $(#[test]
            fn $name() {
                let _watchdog = crate::common::Watchdog::start();
                super::$name::<crate::common::Plain>();
            })*
        }
        mod tasks {
            $(#[test]
            fn $name() {
                let _watchdog = crate::common::Watchdog::start();
                super::$name::<crate::common::Tasks>();
            })*
        }
    };
}
pub(crate) use on_both_kinds;

/// A kind of channel.
pub(crate) trait Kind: 'static {
    type Receiver<T>: Inlet<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, Self::Receiver<T>);
}

/// The receiving handle of a kind of channel.
pub(crate) trait Inlet<T>: Clone + Debug + Unpin + FusedStream<Item = Self::Given> {
    /// What it gives: an item, or a task.
    type Given;

    fn recv(&self) -> impl Future<Output = Result<Self::Given, RecvError>> + Unpin + Debug;
    fn try_recv(&self) -> Result<Self::Given, TryRecvError>;
    fn close(&self) -> bool;
    fn close_now(&self) -> Drained<T>;
    fn monitor(&self) -> Monitor<T>;
    fn len(&self) -> usize;
    fn capacity(&self) -> Option<usize>;
    fn is_empty(&self) -> bool;
    fn is_full(&self) -> bool;
    fn is_closed(&self) -> bool;
    fn sender_count(&self) -> usize;
    fn receiver_count(&self) -> usize;
    fn same_channel(&self, other: &Self) -> bool;

    /// Ends a task well.
    fn end(given: Self::Given) -> T;
    /// Ends a task as failed.
    fn fail(given: Self::Given, error: impl Into<Box<dyn Error + Send + Sync>>) -> T;
    /// Has a task tried again. A plain item is just ended.
    fn retry(given: Self::Given);
    /// Has a task tried again, or ends it as failed. A plain item is just ended.
    fn retry_or_fail(given: Self::Given, error: impl Into<Box<dyn Error + Send + Sync>>);
    /// Parts an item from its duty, which a plain item does not have.
    fn split(given: Self::Given) -> (T, Option<Ticket>);
    /// Has a task leave new work. A plain item cannot.
    fn follow_up(given: &Self::Given, item: T);
    fn peek(given: &Self::Given) -> &T;

    /// Receives an item and ends it well.
    fn take_one(&self) -> Result<T, TryRecvError> {
        self.try_recv().map(Self::end)
    }
}

#[derive(Debug)]
pub(crate) enum Plain {}

#[derive(Debug)]
pub(crate) enum Tasks {}

/// Tasks that are tried twice when they are dropped.
#[derive(Debug)]
pub(crate) enum Requeued {}

impl Kind for Requeued {
    type Receiver<T> = TaskReceiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        Builder::new()
            .capacity(cap)
            .max_attempts(NonZeroU32::new(2).unwrap())
            .on_abandon(Abandon::Requeue)
            .build_tasks()
    }
}

impl Kind for Plain {
    type Receiver<T> = Receiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
        tollgate::bounded(cap)
    }
}

impl Kind for Tasks {
    type Receiver<T> = TaskReceiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        tollgate::tasks(cap)
    }
}

macro_rules! impl_inlet {
    (
        $receiver:ident, $given:ty, $end:expr, $fail:expr, $retry:expr, $retry_or_fail:expr,
        $split:expr, $follow_up:expr
    ) => {
        impl<T> Inlet<T> for $receiver<T> {
            type Given = $given;

            fn recv(&self) -> impl Future<Output = Result<Self::Given, RecvError>> + Unpin + Debug {
                self.recv()
            }
            fn try_recv(&self) -> Result<Self::Given, TryRecvError> {
                self.try_recv()
            }
            fn close(&self) -> bool {
                self.close()
            }
            fn close_now(&self) -> Drained<T> {
                self.close_now()
            }
            fn monitor(&self) -> Monitor<T> {
                self.monitor()
            }
            fn len(&self) -> usize {
                self.len()
            }
            fn capacity(&self) -> Option<usize> {
                self.capacity()
            }
            fn is_empty(&self) -> bool {
                self.is_empty()
            }
            fn is_full(&self) -> bool {
                self.is_full()
            }
            fn is_closed(&self) -> bool {
                self.is_closed()
            }
            fn sender_count(&self) -> usize {
                self.sender_count()
            }
            fn receiver_count(&self) -> usize {
                self.receiver_count()
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.same_channel(other)
            }
            fn end(given: Self::Given) -> T {
                $end(given)
            }
            fn fail(given: Self::Given, error: impl Into<Box<dyn Error + Send + Sync>>) -> T {
                $fail(given, error)
            }
            fn retry(given: Self::Given) {
                let _ = $retry(given);
            }
            fn retry_or_fail(given: Self::Given, error: impl Into<Box<dyn Error + Send + Sync>>) {
                let _ = $retry_or_fail(given, error);
            }
            fn split(given: Self::Given) -> (T, Option<Ticket>) {
                $split(given)
            }
            fn follow_up(given: &Self::Given, item: T) {
                let _ = $follow_up(given, item);
            }
            fn peek(given: &Self::Given) -> &T {
                given
            }
        }
    };
}

impl_inlet!(
    Receiver,
    T,
    |item| item,
    |item, _| item,
    drop,
    |item, _| item,
    |item| (item, None),
    |_, item| item
);
impl_inlet!(
    TaskReceiver,
    Task<T>,
    Task::done,
    Task::fail,
    Task::retry,
    Task::retry_or_fail,
    |task: Task<T>| {
        let (item, ticket) = task.split();
        (item, Some(ticket))
    },
    Task::follow_up
);

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

    /// How often it has been woken so far.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether nothing else holds on to it.
    pub(crate) fn is_let_go(&self) -> bool {
        // This, and the one in `waker`.
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
pub(crate) fn glance<F>(future: &mut F) -> Poll<F::Output>
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
    match glance(&mut future) {
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

    /// One that has been polled and waits.
    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = R> + 'a) -> Self {
        let mut waiter = Self::new(future);
        assert!(waiter.poll().is_pending(), "nothing to wait for");
        waiter
    }

    pub(crate) fn poll(&mut self) -> Poll<R> {
        poll(&mut self.future, &self.waker)
    }

    pub(crate) fn wakes(&self) -> usize {
        self.waker.wakes()
    }

    /// Forgets the future, and keeps the waker.
    pub(crate) fn forget(self) -> CountingWaker {
        mem::forget(self.future);
        self.waker
    }
}

/// Makes items and counts how often each is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Vec<u32>>>);

/// An item of a [`Tally`].
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: usize,
    tally: Tally,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn item(&self) -> Item {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Item {
            id: drops.len() - 1,
            tally: self.clone(),
        }
    }

    /// How often each item made so far was dropped, by its id.
    pub(crate) fn drops(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    /// How many items have been dropped.
    pub(crate) fn dropped(&self) -> u32 {
        self.0.lock().unwrap().iter().sum()
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.tally.0.lock().unwrap()[self.id] += 1;
    }
}

/// Aborts the process unless it is dropped in time, so that a test that hangs fails.
#[derive(Debug)]
pub(crate) struct Watchdog(#[allow(dead_code)] mpsc::Sender<()>);

impl Watchdog {
    /// Far longer than any test takes on the slowest machine.
    pub(crate) fn start() -> Self {
        Self::for_seconds(120)
    }

    pub(crate) fn for_seconds(seconds: u64) -> Self {
        Self::over(thread::current().name().unwrap_or("a test"), seconds)
    }

    /// `what` is what the message says if it hangs.
    pub(crate) fn over(what: &str, seconds: u64) -> Self {
        let (alive, watch) = mpsc::channel::<()>();
        let what = what.to_owned();
        thread::spawn(move || {
            let patience = Duration::from_secs(seconds);
            if watch.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not `eprintln`, which the test harness captures.
                let _ = writeln!(io::stderr(), "watchdog: hangs for {seconds} s: {what}");
                process::abort();
            }
        });
        Self(alive)
    }
}

/// How often each waiter has been woken.
pub(crate) fn wakes<R>(waiters: &[Waiter<'_, R>]) -> Vec<usize> {
    waiters.iter().map(Waiter::wakes).collect()
}

/// Receivers that wait: futures and streams in turn.
pub(crate) fn mixed<'a, K: Kind>(
    receiver: &'a K::Receiver<u32>,
    count: usize,
) -> Vec<Waiter<'a, Option<u32>>> {
    let waiters = (0..count).map(|index| match index % 2 {
        0 => Waiter::waiting(async { receiver.recv().await.ok().map(K::Receiver::end) }),
        _ => {
            let mut stream = receiver.clone();
            Waiter::waiting(async move { stream.next().await.map(K::Receiver::end) })
        }
    });
    waiters.collect()
}
