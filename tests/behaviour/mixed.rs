//! Threads, futures and streams that use one channel at the same time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future;
use futures_util::stream::FuturesUnordered;
use tollgate::SendError;
use tollgate::Sender;

use crate::common::Given;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Waiter;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    blocked_threads_and_tasks_share_channel,
    both_ends_in_one_task_keep_order,
    hundreds_of_futures_and_streams_end,
    item_can_be_received_as_soon_as_it_is_sent,
    len_never_exceeds_capacity,
    channels_of_one_item_lose_none,
    dropped_recv_wakes_blocked_thread,
    last_receiver_ends_blocked_sends,
}

fn blocked_threads_and_tasks_share_channel<K: Kind>() {
    const ITEMS: u32 = 1_000;
    let (sender, receiver) = K::channel(2);
    let other = sender.clone();
    let threads = [
        thread::spawn(move || (0..ITEMS).for_each(|item| sender.send_blocking(item).unwrap())),
        thread::spawn(move || {
            pollster::block_on(async {
                for item in 0..ITEMS {
                    other.send(item).await.unwrap();
                }
            });
        }),
    ];
    let second = receiver.clone();
    let blocking = thread::spawn(move || second.iter().map(Given::end).collect::<Vec<_>>());
    let mut items = pollster::block_on(receiver.map(Given::end).collect::<Vec<_>>());
    for thread in threads {
        thread.join().unwrap();
    }
    items.extend(blocking.join().unwrap());
    items.sort_unstable();
    assert_eq!(items, Vec::from_iter((0..ITEMS).flat_map(|it| [it, it])));
}

/// The waker of both ends is the same.
fn both_ends_in_one_task_keep_order<K: Kind>() {
    for capacity in 1..4 {
        let (sender, receiver) = K::channel(capacity);
        let produce = async move {
            for item in 0..100 {
                sender.send(item).await.unwrap();
            }
        };
        let consume = receiver.map(Given::end).collect::<Vec<_>>();
        let ((), items) = pollster::block_on(future::join(produce, consume));
        assert_eq!(items, Vec::from_iter(0..100));
    }
}

/// `FuturesUnordered` polls a future only when its own waker is woken, so a lost wake would hang.
fn hundreds_of_futures_and_streams_end<K: Kind>() {
    const ITEMS: u32 = 5_000;
    let (sender, receiver) = K::channel(16);
    let producer = thread::spawn(move || {
        pollster::block_on(async {
            for item in 0..ITEMS {
                sender.send(item).await.unwrap();
            }
        });
    });
    let receiver = &receiver;
    let workers = (0..200).map(|number| async move {
        let mut count = 0;
        if number % 2 == 0 {
            let mut stream = receiver.clone();
            while stream.next().await.map(Given::end).is_some() {
                count += 1;
            }
        } else {
            while receiver.recv().await.map(Given::end).is_ok() {
                count += 1;
            }
        }
        count
    });
    let mut workers = workers.collect::<FuturesUnordered<_>>();
    let mut total = 0;
    while let Some(count) = pollster::block_on(workers.next()) {
        total += count;
    }
    assert_eq!(total, ITEMS);
    producer.join().unwrap();
}

/// Each thread receives right after it has sent. So at every call of `try_recv` there is an item.
fn item_can_be_received_as_soon_as_it_is_sent<K: Kind>() {
    const THREADS: usize = 4;
    let (sender, receiver) = K::channel(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for item in 0..20_000 {
                    sender
                        .try_send(item)
                        .expect("each thread sends one item at a time");
                    take_one(&receiver).expect("an item is queued");
                }
            });
        }
    });
    assert!(receiver.is_empty());
}

fn len_never_exceeds_capacity<K: Kind>() {
    const CAPACITY: usize = 3;
    let (sender, receiver) = K::channel(CAPACITY);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let producers = [(); 2].map(|()| {
            scope.spawn(|| {
                for item in 0..5_000 {
                    let _ = sender.try_send(item);
                    sender.send_blocking(item).unwrap();
                    assert!(sender.len() <= CAPACITY);
                }
            })
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) || !receiver.is_empty() {
                    let _ = take_one(&receiver);
                    assert!(receiver.len() <= CAPACITY);
                }
            });
        }
        for producer in producers {
            producer.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(receiver.len(), 0);
}

/// One thread sends, the other receives or drops its receiver, and then drops the channel.
fn channels_of_one_item_lose_none<K: Kind<Arc<()>>>() {
    let item = Arc::new(());
    let (give, take) = mpsc::channel();
    let (give_receiver, take_receiver) = mpsc::channel();
    let sending = thread::spawn(move || {
        let mut sent = 0;
        while let Ok((sender, item)) = take.recv() {
            let sender: Sender<_> = sender;
            sent += usize::from(sender.send_blocking(item).is_ok());
        }
        sent
    });
    let receiving = thread::spawn(move || {
        let mut received = 0;
        for number in 0.. {
            let Ok(receiver) = take_receiver.recv() else {
                return received;
            };
            let receiver: ReceiverOf<K, _> = receiver;
            if number % 4 != 0 {
                received += usize::from(receiver.recv_blocking().map(Given::end).is_ok());
            }
        }
        unreachable!()
    });
    for _ in 0..2_000 {
        let (sender, receiver) = K::channel(1);
        give.send((sender, Arc::clone(&item))).unwrap();
        give_receiver.send(receiver).unwrap();
    }
    drop((give, give_receiver));
    let sent = sending.join().unwrap();
    assert_eq!(receiving.join().unwrap(), 1_500);
    assert!((1_500..=2_000).contains(&sent));
    assert_eq!(Arc::strong_count(&item), 1);
}

/// The thread may wait already when the future that was woken is dropped, or only start to.
fn dropped_recv_wakes_blocked_thread<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let second = receiver.clone();
    let thread = thread::spawn(move || {
        while asked.recv().is_ok() {
            let item = second.recv_blocking().map(Given::end);
            answer.send(item).unwrap();
        }
    });
    for item in 0..200 {
        let first = Waiter::waiting(receiver.recv());
        ask.send(()).unwrap();
        for _ in 0..item {
            thread::yield_now();
        }
        sender.try_send(item).unwrap();
        drop(first);
        assert_eq!(answered.recv().unwrap(), Ok(item));
    }
    drop(ask);
    thread.join().unwrap();
}

fn last_receiver_ends_blocked_sends<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    thread::scope(|scope| {
        let threads = [1, 2, 3].map(|item| {
            let sender = &sender;
            scope.spawn(move || sender.send_blocking(item).unwrap_err().into_inner())
        });
        let mut task = Waiter::waiting(sender.send(4));
        drop(receiver);
        assert_eq!(task.poll(), Poll::Ready(Err(SendError(4))));
        assert_eq!(threads.map(|it| it.join().unwrap()), [1, 2, 3]);
    });
    assert!(sender.closed().now_or_never().is_some());
}
