//! The cost of the channel's operations, also while others wait, on a closed channel, and after a
//! `join` was dropped. The comparison with other crates is in `benches/peers`.
//!
//! ```text
//! cargo bench
//! cargo bench -- --quick "parked"
//! ```

fn main() {
    #[cfg(not(loom))]
    questions::ask();
}

// Builds for loom have no criterion, and measure nothing.
#[cfg(not(loom))]
mod questions {
    use std::collections::VecDeque;
    use std::future::Future;
    use std::hint::black_box;
    use std::num::NonZeroUsize;
    use std::pin::Pin;
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use criterion::BatchSize;
    use criterion::Criterion;
    use criterion::Throughput;
    use tokio::runtime::Builder;

    const CAPACITY: usize = 64;

    pub(crate) fn ask() {
        let mut criterion = Criterion::default().configure_from_args();
        try_pair(&mut criterion);
        never_waiting(&mut criterion);
        batches(&mut criterion);
        one_to_one(&mut criterion);
        beside_parked_receivers(&mut criterion);
        after_close(&mut criterion);
        after_join(&mut criterion);
        criterion.final_summary();
    }

    /// The minimum cost of an item.
    fn try_pair(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("try_send and try_recv");
        for capacity in [1, 64] {
            group.bench_function(format!("capacity {capacity}"), |bencher| {
                let (sender, receiver) = tollgate::bounded(capacity);
                bencher.iter(|| {
                    sender.try_send(black_box(1_u64)).unwrap();
                    receiver.try_recv().unwrap()
                });
            });
        }
    }

    /// The cost that the futures, the counting of tasks and a joiner add.
    fn never_waiting(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("send and recv that never wait");
        group.bench_function("plain", |bencher| {
            let (sender, receiver) = tollgate::bounded(CAPACITY);
            bencher.iter(|| {
                now(sender.send(black_box(1_u64))).unwrap();
                now(receiver.recv()).unwrap()
            });
        });
        group.bench_function("tasks, with done", |bencher| {
            let (sender, receiver) = tollgate::tasks(CAPACITY);
            bencher.iter(|| {
                now(sender.send(black_box(1_u64))).unwrap();
                now(receiver.recv()).unwrap().done()
            });
        });
        group.bench_function("tasks, with done, while a joiner waits", |bencher| {
            let (sender, receiver) = tollgate::tasks(CAPACITY);
            // One item is always queued, so that the joiner keeps waiting.
            sender.try_send(0).unwrap();
            let mut join = sender.join();
            assert!(glance(&mut join).is_pending());
            bencher.iter(|| {
                now(sender.send(black_box(1_u64))).unwrap();
                now(receiver.recv()).unwrap().done()
            });
            assert!(glance(&mut join).is_pending());
        });
    }

    /// The cost of an item in a batch of 64.
    fn batches(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("send_many and recv_many that never wait");
        group.throughput(Throughput::Elements(CAPACITY as u64));
        let mut items = VecDeque::with_capacity(CAPACITY);
        group.bench_function("plain", |bencher| {
            let (sender, receiver) = tollgate::bounded(CAPACITY);
            let mut buf = Vec::with_capacity(CAPACITY);
            bencher.iter(|| {
                items.extend(0..black_box(CAPACITY as u64));
                now(sender.send_many(&mut items)).unwrap();
                now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
                buf.drain(..).sum::<u64>()
            });
        });
        group.bench_function("tasks, with done", |bencher| {
            let (sender, receiver) = tollgate::tasks(CAPACITY);
            let mut buf = Vec::with_capacity(CAPACITY);
            bencher.iter(|| {
                items.extend(0..black_box(CAPACITY as u64));
                now(sender.send_many(&mut items)).unwrap();
                now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
                buf.drain(..).map(|task| task.done()).sum::<u64>()
            });
        });
    }

    /// The cost of waiting. The smaller the capacity, the more often the two ends wait.
    fn one_to_one(criterion: &mut Criterion) {
        const ITEMS: u64 = 10_000;

        let runtime = Builder::new_current_thread().build().unwrap();
        let mut group = criterion.benchmark_group("one sender, one receiver, one tokio thread");
        group.throughput(Throughput::Elements(ITEMS));
        for capacity in [1, 16, 128] {
            group.bench_function(format!("capacity {capacity}"), |bencher| {
                bencher.iter(|| {
                    runtime.block_on(async {
                        let (sender, receiver) = tollgate::bounded(capacity);
                        tokio::spawn(async move {
                            for item in 0..ITEMS {
                                sender.send(black_box(item)).await.unwrap();
                            }
                        });
                        while let Ok(item) = receiver.recv().await {
                            black_box(item);
                        }
                    });
                });
            });
        }
    }

    /// Whether the number of waiters matters.
    fn beside_parked_receivers(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("try_send beside parked receivers");
        for count in [1, 100, 10_000] {
            group.bench_function(format!("{count} parked"), |bencher| {
                let (sender, receiver) = tollgate::bounded(CAPACITY);
                let park = || {
                    let mut recv = receiver.recv();
                    assert!(glance(&mut recv).is_pending());
                    recv
                };
                let mut parked = (0..count).map(|_| park()).collect::<VecDeque<_>>();
                // The receiver that has waited longest is woken and takes the item. Another one
                // takes its place.
                bencher.iter(|| {
                    sender.try_send(black_box(1_u64)).unwrap();
                    let item = now(parked.pop_front().unwrap()).unwrap();
                    parked.push_back(park());
                    item
                });
            });
        }
    }

    /// Whether items of a closed channel are received as fast as items of an open one.
    fn after_close(criterion: &mut Criterion) {
        const ITEMS: usize = 1_000;

        let mut group = criterion.benchmark_group("receiving what is queued");
        group.throughput(Throughput::Elements(ITEMS as u64));
        for (name, closed) in [("before close", false), ("after close", true)] {
            group.bench_function(name, |bencher| {
                let filled = || {
                    let (sender, receiver) = tollgate::bounded(ITEMS);
                    (0..ITEMS).for_each(|item| sender.try_send(item).unwrap());
                    if closed {
                        sender.close();
                    }
                    // The sender is also kept, because the channel would close without it.
                    (sender, receiver)
                };
                bencher.iter_batched_ref(
                    filled,
                    |(_, receiver)| {
                        for _ in 0..ITEMS {
                            black_box(receiver.try_recv().unwrap());
                        }
                    },
                    BatchSize::LargeInput,
                );
            });
        }
    }

    /// Whether calls cost more after a `join` that was dropped.
    fn after_join(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("try_send and try_recv, join given up");
        for (name, joined) in [("never joined", false), ("joined once", true)] {
            group.bench_function(format!("plain, {name}"), |bencher| {
                let (sender, receiver) = tollgate::bounded(CAPACITY);
                sender.try_send(0).unwrap();
                if joined {
                    assert!(glance(&mut sender.join()).is_pending());
                }
                receiver.try_recv().unwrap();
                bencher.iter(|| {
                    sender.try_send(black_box(1_u64)).unwrap();
                    receiver.try_recv().unwrap()
                });
            });
            group.bench_function(format!("tasks, with done, {name}"), |bencher| {
                let (sender, receiver) = tollgate::tasks(CAPACITY);
                sender.try_send(0).unwrap();
                if joined {
                    assert!(glance(&mut sender.join()).is_pending());
                }
                receiver.try_recv().unwrap().done();
                bencher.iter(|| {
                    sender.try_send(black_box(1_u64)).unwrap();
                    receiver.try_recv().unwrap().done()
                });
            });
        }
    }

    /// Polls a future once, with a waker that does nothing.
    fn glance<F>(future: &mut F) -> Poll<F::Output>
    where
        F: Future + Unpin,
    {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// The output of a future that completes at its first poll.
    fn now<F>(mut future: F) -> F::Output
    where
        F: Future + Unpin,
    {
        match glance(&mut future) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future is not ready"),
        }
    }
}
