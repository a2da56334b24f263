//! The most common patterns, on tokio's current-thread runtime.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::runtime;
use tokio::task::yield_now;

use crate::common::Watchdog;

/// The share of each of several tasks, and how often any of them was polled.
#[derive(Clone)]
struct Figures(Arc<(Vec<AtomicU64>, AtomicU64)>);

impl Figures {
    fn new(tasks: usize) -> Self {
        let shares = (0..tasks).map(|_| AtomicU64::new(0));
        Self(Arc::new((shares.collect(), AtomicU64::new(0))))
    }

    fn count(&self, task: usize) {
        self.0.0[task].fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a task, and counts its polls.
    async fn watch(self, task: impl Future<Output = ()>) {
        let mut task = pin!(task);
        poll_fn(|cx| {
            self.0.1.fetch_add(1, Ordering::Relaxed);
            task.as_mut().poll(cx)
        })
        .await;
    }

    /// Runs the tasks until none is polled any more.
    async fn settle(&self) {
        let polls = || self.0.1.load(Ordering::Relaxed);
        let mut before = None;
        while before.replace(polls()) != Some(polls()) {
            for _ in 0..3 {
                yield_now().await;
            }
        }
    }

    #[track_caller]
    fn assert_no_starvation(&self) {
        let shares = self.0.0.iter().map(|share| share.load(Ordering::Relaxed));
        let shares: Vec<_> = shares.collect();
        let even = shares.iter().sum::<u64>() / shares.len() as u64;
        assert!(even >= 20, "too few to judge: {shares:?}");
        let starved = shares.iter().any(|share| 2 * share < even);
        assert!(!starved, "of {even} each: {shares:?}");
    }
}

fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test)
}

#[test]
fn five_receivers_share_bursts_of_two() {
    let _watchdog = Watchdog::start();
    let figures = Figures::new(5);
    run(async {
        let (sender, receiver) = tollgate::bounded(2);
        for task in 0..5 {
            let (receiver, figures) = (receiver.clone(), figures.clone());
            tokio::spawn(figures.clone().watch(async move {
                while receiver.recv().await.is_ok() {
                    figures.count(task);
                    yield_now().await;
                }
            }));
        }
        for _ in 0..1_000 {
            figures.settle().await;
            sender.try_send(()).unwrap();
            sender.try_send(()).unwrap();
        }
        figures.settle().await;
    });
    figures.assert_no_starvation();
}

/// Senders that send one item after another, to a consumer that waits for one, takes what is there,
/// and pauses until all senders wait.
fn share_slots(senders: usize, capacity: usize) {
    let _watchdog = Watchdog::start();
    let figures = Figures::new(senders);
    run(async {
        let (sender, receiver) = tollgate::bounded(capacity);
        for task in 0..senders {
            let (sender, figures) = (sender.clone(), figures.clone());
            tokio::spawn(figures.clone().watch(async move {
                while sender.send(()).await.is_ok() {
                    figures.count(task);
                }
            }));
        }
        for _ in 0..400 {
            receiver.recv().await.unwrap();
            while receiver.try_recv().is_ok() {}
            figures.settle().await;
        }
    });
    figures.assert_no_starvation();
}

#[test]
fn three_senders_share_two_slots() {
    share_slots(3, 2);
}

#[test]
fn six_senders_share_five_slots() {
    share_slots(6, 5);
}

/// One side of the channel is one task, the other is four, and no task pauses: see
/// [`busy`](super::busy).
#[test]
fn four_busy_tasks_share_two_slots() {
    let _watchdog = Watchdog::start();
    let receivers = Figures::new(4);
    run(async {
        let (sender, receiver) = tollgate::bounded(2);
        for task in 0..4 {
            let (receiver, figures) = (receiver.clone(), receivers.clone());
            tokio::spawn(async move {
                while receiver.recv().await.is_ok() {
                    figures.count(task);
                }
            });
        }
        let all_sent = tokio::spawn(async move {
            for _ in 0..2_000 {
                sender.send(()).await.unwrap();
            }
        });
        all_sent.await.unwrap();
    });
    receivers.assert_no_starvation();

    let senders = Figures::new(4);
    run(async {
        let (sender, receiver) = tollgate::bounded(2);
        for task in 0..4 {
            let (sender, figures) = (sender.clone(), senders.clone());
            tokio::spawn(async move {
                while sender.send(()).await.is_ok() {
                    figures.count(task);
                }
            });
        }
        let all_received = tokio::spawn(async move {
            for _ in 0..2_000 {
                receiver.recv().await.unwrap();
            }
        });
        all_received.await.unwrap();
    });
    senders.assert_no_starvation();
}
