//! `Builder::yield_after`: a call that need not wait yields now and then.

use std::cell::Cell;
use std::future::Future;
use std::num::NonZeroU32;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::StreamExt;
use tollgate::Builder;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::kind;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::poll_next;

/// A kind of channel, with a budget.
trait Budgeted {
    type Kind: kind::Kind<Received<u32>: Given<u32>>;

    fn budgeted(capacity: usize, calls: u32) -> (Sender<u32>, Receiver<u32, Self::Kind>);
}

fn builder(capacity: usize, calls: u32) -> Builder {
    let builder = Builder::new().capacity(capacity);
    builder.yield_after(NonZeroU32::new(calls).unwrap())
}

impl Budgeted for kind::Plain {
    type Kind = kind::Plain;

    fn budgeted(capacity: usize, calls: u32) -> (Sender<u32>, Receiver<u32>) {
        builder(capacity, calls).build()
    }
}

impl Budgeted for kind::Tasks {
    type Kind = kind::Tasks;

    fn budgeted(capacity: usize, calls: u32) -> (Sender<u32>, Receiver<u32, kind::Tasks>) {
        builder(capacity, calls).build_tasks()
    }
}

/// Whether each of these futures, polled until it is ready, yields first. It must do so once at most,
/// and wake its task.
fn yields<F: Future>(calls: impl Iterator<Item = F>) -> Vec<bool> {
    let yields = |call| {
        let mut waiter = Waiter::new(call);
        let yields = waiter.poll().is_pending();
        assert_eq!(waiter.wakes(), usize::from(yields));
        assert!(!yields || waiter.poll().is_ready());
        yields
    };
    calls.map(yields).collect()
}

fn one_in_four_yields<K: Budgeted>() {
    let expected: Vec<_> = (1..=11).map(|number| number % 4 == 0).collect();
    let (sender, mut receiver) = K::budgeted(16, 3);
    assert_eq!(yields((1..=11).map(|item| sender.send(item))), expected);
    assert_eq!(yields((1..=11).map(|_| receiver.recv())), expected);

    assert_eq!(yields((1..=11).map(|item| sender.send(item))).len(), 11);
    let waker = CountingWaker::new();
    let mut polls = 0;
    while !receiver.is_empty() {
        polls += 1;
        let _ = poll_next(&mut receiver, &waker).map(|given| given.map(Given::end));
        assert!(polls < 100);
    }
    // The last three of the futures left none of the budget, so the first poll yields.
    assert_eq!((polls, waker.wakes()), (14, 3));
}

#[test]
fn one_call_in_so_many_yields() {
    one_in_four_yields::<kind::Plain>();
    one_in_four_yields::<kind::Tasks>();
}

/// They share the budget of their side, and there is one for each side.
#[test]
fn handles_share_budget() {
    let (sender, receiver) = builder(16, 1).build();
    let others = (sender.clone(), receiver.clone());
    assert!(sender.send(1).now_or_never().is_some());
    assert!(receiver.recv().now_or_never().is_some());
    assert!(others.0.send(2).now_or_never().is_none());
    assert!(others.0.send(2).now_or_never().is_some());
    assert!(others.1.recv().now_or_never().is_none());
    assert!(others.1.recv().now_or_never().is_some());
}

#[cfg(feature = "std")]
#[test]
fn calls_without_future_do_not_yield() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = builder(16, 1).build();
    for item in 0..10 {
        sender.try_send(item).unwrap();
        assert_eq!(receiver.try_recv(), Ok(item));
        assert_eq!(sender.force_send(item), Ok(None));
        assert_eq!(receiver.try_iter().next(), Some(item));
        sender.send_blocking(item).unwrap();
        assert_eq!(receiver.recv_blocking(), Ok(item));
        sender.send_timeout(item, Duration::ZERO).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(item));
    }
}

/// A caller that yields has not registered, and one that was woken does not yield: no wakeup is lost.
#[test]
fn yielding_call_holds_up_no_waiter() {
    let (sender, receiver) = builder(4, 2).build();
    let mut first = Waiter::waiting(receiver.recv());
    let mut second = Waiter::waiting(receiver.recv());
    // These two have spent the budget.
    sender.try_send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    assert_eq!(first.poll(), Poll::Ready(Ok(1)));
    sender.try_send(2).unwrap();
    assert_eq!(second.wakes(), 1);
    let mut yielding = Waiter::new(receiver.recv());
    assert!(yielding.poll().is_pending());
    drop(yielding);
    assert_eq!(second.poll(), Poll::Ready(Ok(2)));
    assert_eq!(second.wakes(), 1);
}

/// Runs a future on a tokio runtime of one thread.
fn on_one_thread<R>(future: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// Whether a timeout fires that is around a loop of calls which never wait. The loop ends by itself
/// after `limit`.
fn times_out(builder: &Builder, limit: Duration) -> bool {
    let (sender, receiver) = builder.build();
    let start = Instant::now();
    let busy = async {
        while start.elapsed() < limit {
            sender.send(1).await.unwrap();
            receiver.recv().await.unwrap();
        }
    };
    on_one_thread(async { tokio::time::timeout(Duration::from_millis(200), busy).await }).is_err()
}

#[test]
fn timeout_fires_around_busy_loop() {
    let _watchdog = Watchdog::start();
    assert!(times_out(&builder(4, 128), Duration::from_secs(30)));
    // Without a budget, the loop gets past the timeout.
    let without = Builder::new().capacity(4);
    assert!(!times_out(&without, Duration::from_millis(400)));
}

/// Drains a backlog beside another task of the same thread. Returns how often the other task ran.
fn runs_beside_drain(builder: &Builder, backlog: u32, as_stream: bool) -> u32 {
    let (sender, mut receiver) = builder.build();
    (0..backlog).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    let runs = Cell::new(0);
    let other = async {
        loop {
            runs.set(runs.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let drain = async {
        let mut drained = 0;
        if as_stream {
            while receiver.next().await.is_some() {
                drained += 1;
            }
        } else {
            while receiver.recv().await.is_ok() {
                drained += 1;
            }
        }
        drained
    };
    let drained = on_one_thread(async {
        tokio::select! {
            biased;
            drained = drain => drained,
            () = other => unreachable!(),
        }
    });
    assert_eq!(drained, backlog);
    runs.get()
}

#[test]
fn backlog_lets_other_tasks_run() {
    const BACKLOG: u32 = 100_000;
    let _watchdog = Watchdog::start();
    let without = Builder::new().capacity(BACKLOG as usize);
    let with = without.clone().yield_after(NonZeroU32::new(100).unwrap());
    for as_stream in [false, true] {
        let runs = runs_beside_drain(&with, BACKLOG, as_stream);
        assert!((900..=1100).contains(&runs), "it ran {runs} times");
        assert_eq!(runs_beside_drain(&without, BACKLOG, as_stream), 0);
    }
}

/// A stream counts the items that it returned in a row, whatever others receive. After a wait it begins
/// anew.
#[test]
fn stream_with_budget_yields_between_items() {
    let two = NonZeroU32::new(2).unwrap();
    let (sender, receiver) = tollgate::unbounded();
    let waker = CountingWaker::new();
    let mut stream = receiver.stream().yield_after(two);
    let mut polls = Vec::new();
    let mut poll = |stream: &mut _| polls.push(poll_next(stream, &waker).map(Option::unwrap));
    (0..5).for_each(|item| sender.try_send(item).unwrap());
    assert_eq!(receiver.try_recv(), Ok(0));
    for _ in 0..7 {
        poll(&mut stream);
    }
    // It waits now. Only this item wakes it, and the count begins anew.
    sender.try_send(5).unwrap();
    sender.try_send(6).unwrap();
    sender.try_send(7).unwrap();
    for _ in 0..4 {
        poll(&mut stream);
    }
    let (pending, ready) = (Poll::Pending, Poll::Ready);
    let before = [
        ready(1),
        ready(2),
        pending,
        ready(3),
        ready(4),
        pending,
        pending,
    ];
    let after = [ready(5), ready(6), pending, ready(7)];
    assert_eq!(polls, [&before[..], &after[..]].concat());
    assert_eq!(waker.wakes(), 3 + 1);
}
