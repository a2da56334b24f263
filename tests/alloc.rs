//! Heap memory: passing an item allocates nothing, and waiting leaves nothing allocated.

#![cfg(not(loom))]

mod common;

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::ready;
use std::mem::size_of;
use std::num::NonZeroUsize;
use std::task::Context;
#[cfg(feature = "futures")]
use std::task::Waker;

#[cfg(feature = "futures")]
use futures_util::SinkExt;
use tollgate::Sender;

use common::CountingWaker;
use common::Given;
use common::Kind;
use common::Plain;
use common::ReceiverOf;
use common::Tasks;
use common::on_both_kinds;
use common::poll;
use common::poll_next;
use common::poll_once;
use common::take_one;

const MILLION: usize = 1_000_000;

/// Counts the allocations of each thread; each test uses one thread.
struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(taken: usize, bytes: isize) {
    TAKEN.set(TAKEN.get() + taken);
    LIVE.set(LIVE.get() + bytes);
}

// SAFETY: it forwards to the system's allocator; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's obligations are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the caller's obligations are the same.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        // SAFETY: the caller's obligations are the same.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations `work` makes, and how many bytes stay allocated.
fn measure(work: impl FnOnce()) -> (usize, isize) {
    let before = (TAKEN.get(), LIVE.get());
    work();
    (TAKEN.get() - before.0, LIVE.get() - before.1)
}

on_both_kinds! {
    try_send_and_try_recv_allocate_nothing,
    force_send_allocates_nothing,
    ready_send_and_recv_allocate_nothing,
    send_from_and_ready_allocate_nothing,
    polled_sender_allocates_once,
    ready_stream_allocates_once,
    streams_and_stoppable_calls_allocate_nothing,
    batches_allocate_nothing,
    sole_waiter_is_notified_of_batch_without_allocation,
    sole_waiter_allocates_nothing,
    pending_polls_allocate_nothing,
    cancelled_futures_leave_nothing,
    many_waiters_leave_nothing,
    closed_channel_frees_everything,
}

#[test]
fn allocator_counts() {
    assert_eq!(measure(|| drop(Box::new(1_u64))), (1, 0));
    assert_eq!(measure(|| std::mem::forget(Box::new(1_u64))), (1, 8));
}

fn try_send_and_try_recv_allocate_nothing<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(16);
    let figures = measure(|| {
        for item in 0..MILLION {
            sender.try_send(item).unwrap();
            assert_eq!(take_one(&receiver), Ok(item));
        }
    });
    assert_eq!(figures, (0, 0));
}

fn force_send_allocates_nothing<K: Kind<usize>>() {
    let (sender, _receiver) = K::channel(16);
    let figures = measure(|| {
        for item in 0..MILLION {
            let evicted = sender.force_send(item).unwrap();
            assert_eq!(evicted, item.checked_sub(16));
        }
    });
    assert_eq!(figures, (0, 0));
}

fn ready_send_and_recv_allocate_nothing<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(16);
    let figures = measure(|| {
        pollster::block_on(async {
            for item in 0..MILLION {
                sender.send(item).await.unwrap();
                let given = receiver.recv().await.unwrap();
                assert_eq!(given.end(), item);
            }
        });
    });
    // What the executor allocates.
    let executor = measure(|| pollster::block_on(async {}));
    assert_eq!(figures, executor);
}

fn send_from_and_ready_allocate_nothing<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(16);
    let waker = CountingWaker::new();
    let figures = measure(|| {
        for item in 0..MILLION {
            let mut slot = Some(item);
            assert!(poll(&mut sender.ready(), &waker).is_ready());
            assert!(poll(&mut sender.send_from(&mut slot), &waker).is_ready());
            assert!(poll(&mut sender.send_from(&mut slot), &waker).is_ready());
            assert_eq!(take_one(&receiver), Ok(item));
            assert_eq!(sender.send(item).into_inner(), Some(item));
        }
    });
    assert_eq!(figures, (0, 0));
}

fn polled_sender_allocates_once<K: Kind<usize>>() {
    let (other, receiver) = K::channel(1);
    let waker = CountingWaker::new();
    let (allocations, bytes) = measure(|| {
        let mut sender = other.clone();
        let mut poll_ready = || {
            let cx = &mut Context::from_waker(waker.waker());
            sender.poll_ready(cx).is_ready()
        };
        for item in 0..MILLION / 5 {
            assert!(poll_ready());
            other.try_send(item).unwrap();
            assert!(!poll_ready());
            assert_eq!(take_one(&receiver), Ok(item));
        }
    });
    assert_eq!((allocations, bytes), (1, 0));
}

fn ready_stream_allocates_once<K: Kind<usize>>() {
    let (sender, mut receiver) = K::channel(16);
    let waker = CountingWaker::new();
    let (allocations, _) = measure(|| {
        for item in 0..MILLION {
            sender.try_send(item).unwrap();
            assert!(poll_next(&mut receiver, &waker).is_ready());
        }
    });
    // A stream keeps state between polls, whether it waits or not.
    assert_eq!(allocations, 1);
}

fn streams_and_stoppable_calls_allocate_nothing<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(16);
    let waker = CountingWaker::new();
    let mut owned = receiver.clone().into_stream();
    let figures = measure(|| {
        let mut borrowed = receiver.stream();
        assert!(poll_next(&mut borrowed, &waker).is_pending());
        drop(borrowed);
        assert!(poll_next(&mut owned, &waker).is_pending());
        let mut borrowed = receiver.stream();
        for item in 0..MILLION / 10 {
            assert!(poll_once(&mut sender.send_until(item, ready(()))).is_ready());
            assert!(poll_next(&mut owned, &waker).is_ready());
            assert!(poll_once(&mut sender.send_until(item, ready(()))).is_ready());
            assert!(poll_next(&mut borrowed, &waker).is_ready());
            assert!(poll_once(&mut sender.send_until(item, ready(()))).is_ready());
            assert_eq!(receiver.drain().map(Given::end).sum::<usize>(), item);
            // It is stopped.
            assert!(poll_once(&mut receiver.recv_until(ready(()))).is_ready());
        }
    });
    assert_eq!(figures, (0, 0));
}

#[cfg(feature = "futures")]
#[test]
fn sink_allocates_once() {
    let (sender, receiver) = tollgate::bounded(1);
    let cx = &mut Context::from_waker(Waker::noop());
    let (allocations, bytes) = measure(|| {
        let mut sink = sender.clone().into_sink();
        for item in 0..MILLION / 5 {
            assert!(sink.poll_ready_unpin(cx).is_ready());
            sink.start_send_unpin(item).unwrap();
            sink.start_send_unpin(item).unwrap();
            assert!(sink.poll_flush_unpin(cx).is_pending());
            assert_eq!(receiver.try_recv(), Ok(item));
            assert!(sink.poll_flush_unpin(cx).is_ready());
            assert_eq!(receiver.try_recv(), Ok(item));
        }
    });
    assert_eq!((allocations, bytes), (1, 0));
}

fn batches_allocate_nothing<K: Kind<usize>>() {
    const SIZE: usize = 10;
    let (sender, receiver) = K::channel(SIZE);
    let mut items = VecDeque::with_capacity(SIZE);
    let mut buf = Vec::with_capacity(SIZE);
    let figures = measure(|| {
        for first in 0..MILLION / SIZE {
            items.extend(first..first + SIZE);
            if first % 2 == 0 {
                assert!(poll_once(&mut sender.send_many(&mut items)).is_ready());
                assert!(poll_once(&mut receiver.recv_many(&mut buf, NonZeroUsize::MAX)).is_ready());
            } else {
                sender.try_send_many(&mut items).unwrap();
                receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).unwrap();
            }
            assert_eq!((items.len(), buf.len()), (0, SIZE));
            buf.drain(..).map(Given::end).for_each(drop);
        }
    });
    assert_eq!(figures, (0, 0));
}

fn sole_waiter_is_notified_of_batch_without_allocation<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(2);
    let waker = CountingWaker::new();
    let (mut items, mut buf) = (VecDeque::with_capacity(4), Vec::with_capacity(4));
    let figures = measure(|| {
        for _ in 0..100 {
            let mut recv = receiver.recv_many(&mut buf, NonZeroUsize::MAX);
            assert!(poll(&mut recv, &waker).is_pending());
            items.extend(0..4);
            let mut send = sender.send_many(&mut items);
            assert!(poll(&mut send, &waker).is_pending());
            assert!(poll(&mut recv, &waker).is_ready());
            drop(recv);
            assert!(poll(&mut send, &waker).is_ready());
            receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).unwrap();
            buf.drain(..).map(Given::end).for_each(drop);
        }
    });
    assert_eq!((figures, waker.wakes()), ((0, 0), 200));
}

fn sole_waiter_allocates_nothing<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let waker = CountingWaker::new();
    for earlier in 1..4 {
        let mut recvs: Vec<_> = (0..earlier).map(|_| receiver.recv()).collect();
        for recv in &mut recvs {
            assert!(poll(recv, &waker).is_pending());
        }
        // The first is notified; the others are dropped without a notification.
        sender.try_send(0).unwrap();
        assert!(poll(&mut recvs[0], &waker).is_ready());
        drop(recvs);
        let alone = measure(|| {
            let mut recv = receiver.recv();
            assert!(poll(&mut recv, &waker).is_pending());
            drop(recv);
            let mut recv = receiver.recv();
            assert!(poll(&mut recv, &waker).is_pending());
            sender.try_send(0).unwrap();
            assert!(poll(&mut recv, &waker).is_ready());
            sender.try_send(0).unwrap();
            let mut send = sender.send(1);
            assert!(poll(&mut send, &waker).is_pending());
            drop(send);
            let mut join = monitor.join();
            assert!(poll(&mut join, &waker).is_pending());
            take_one(&receiver).unwrap();
        });
        assert_eq!(alone, (0, 0), "after {earlier}");
    }
}

fn pending_polls_allocate_nothing<K: Kind>() {
    for many_wait in [false, true] {
        let (full, _full_receiver) = K::channel(1);
        full.try_send(0).unwrap();
        let (_empty_sender, empty) = K::channel(1);
        let monitor = full.monitor();
        let waker = CountingWaker::new();
        let mut slots = [Some(1), Some(1)];
        let [slot, other_slot] = &mut slots;
        let mut first = (full.send(1), empty.recv(), monitor.join(), full.closed());
        let mut first_sends = (full.send_from(slot), full.ready());
        if many_wait {
            let first = &mut first;
            assert!(poll(&mut first.0, &waker).is_pending());
            assert!(poll(&mut first.1, &waker).is_pending());
            assert!(poll(&mut first.2, &waker).is_pending());
            assert!(poll(&mut first.3, &waker).is_pending());
            assert!(poll(&mut first_sends.0, &waker).is_pending());
            assert!(poll(&mut first_sends.1, &waker).is_pending());
        }
        let mut waiting = (full.send(1), empty.recv(), monitor.join(), full.closed());
        let mut sends = (full.send_from(other_slot), full.ready());
        let mut stream = empty.clone();
        let mut sender = full.clone();
        let others = [CountingWaker::new(), CountingWaker::new()];
        let mut poll_all = |times: usize| {
            for waker in others.iter().cycle().take(times) {
                assert!(poll(&mut waiting.0, waker).is_pending());
                assert!(poll(&mut waiting.1, waker).is_pending());
                assert!(poll(&mut waiting.2, waker).is_pending());
                assert!(poll(&mut waiting.3, waker).is_pending());
                assert!(poll(&mut sends.0, waker).is_pending());
                assert!(poll(&mut sends.1, waker).is_pending());
                assert!(poll_next(&mut stream, waker).is_pending());
                let cx = &mut Context::from_waker(waker.waker());
                assert!(sender.poll_ready(cx).is_pending());
            }
        };
        poll_all(1);
        assert_eq!(measure(|| poll_all(MILLION / 5)), (0, 0));
    }
}

fn cancelled_futures_leave_nothing<K: Kind>() {
    let (full, _full_receiver) = K::channel(1);
    full.try_send(0).unwrap();
    let (_empty_sender, empty) = K::channel(1);
    let monitor = full.monitor();
    let waker = CountingWaker::new();
    let cancel_all = || {
        for _ in 0..2 {
            let (mut seated, mut standing) = (full.ready(), full.send(2));
            assert!(poll(&mut seated, &waker).is_pending());
            assert!(poll(&mut standing, &waker).is_pending());
            assert_eq!(standing.into_inner(), Some(2));
            let (mut seated, mut standing) = (full.send(1), full.send(2));
            assert!(poll(&mut seated, &waker).is_pending());
            assert!(poll(&mut standing, &waker).is_pending());
            let (mut seated, mut standing) = (empty.recv(), empty.recv());
            assert!(poll(&mut seated, &waker).is_pending());
            assert!(poll(&mut standing, &waker).is_pending());
            let (mut seated, mut standing) = (monitor.join(), monitor.join());
            assert!(poll(&mut seated, &waker).is_pending());
            assert!(poll(&mut standing, &waker).is_pending());
        }
    };
    // The lists are allocated once.
    cancel_all();
    let (_, bytes) = measure(|| (0..MILLION / 16).for_each(|_| cancel_all()));
    assert_eq!(bytes, 0);
}

fn many_waiters_leave_nothing<K: Kind>() {
    const WAITERS: usize = 100_000;
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let waker = CountingWaker::new();
    let wait_and_leave = |count| {
        let mut finished: Vec<_> = (0..count).map(|_| monitor.finished()).collect();
        let mut recvs: Vec<_> = (0..count).map(|_| receiver.recv()).collect();
        for (finished, recv) in finished.iter_mut().zip(&mut recvs) {
            assert!(poll(finished, &waker).is_pending());
            assert!(poll(recv, &waker).is_pending());
        }
    };
    wait_and_leave(2);
    assert_eq!(measure(|| wait_and_leave(WAITERS)).1, 0);

    // The same when all of them are notified at once.
    let (_, bytes) = measure(|| {
        let mut recvs: Vec<_> = (0..WAITERS).map(|_| receiver.recv()).collect();
        for recv in &mut recvs {
            assert!(poll(recv, &waker).is_pending());
        }
        monitor.close();
        assert!(recvs.iter_mut().all(|it| poll_once(it).is_ready()));
    });
    assert!(bytes <= 0, "{bytes} bytes stay allocated");
}

#[test]
fn retries_and_follow_ups_reuse_memory() {
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(0).unwrap();
    let come_back = |times: usize| {
        for _ in 0..times {
            receiver.try_recv().unwrap().retry().unwrap();
            let task = receiver.try_recv().unwrap();
            task.follow_up(1).unwrap();
            task.done();
        }
    };
    come_back(1);
    assert_eq!(measure(|| come_back(MILLION)), (0, 0));
}

#[test]
fn burst_of_follow_ups_frees_its_memory() {
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(0).unwrap();
    let parent = receiver.try_recv().unwrap();
    let mut burst = 0;
    let (_, left) = measure(|| {
        let (_, bytes) = measure(|| (1..=MILLION).for_each(|it| parent.follow_up(it).unwrap()));
        burst = bytes;
        for item in 1..=MILLION {
            assert_eq!(take_one(&receiver), Ok(item));
        }
    });
    assert!(burst > 8 * MILLION as isize, "{burst} bytes");
    assert!(left <= 1024, "{left} of {burst} bytes stay allocated");
    parent.done();
}

/// What the thread of the timer allocates and frees is not counted, so nothing is due here.
#[cfg(feature = "std")]
#[test]
fn delayed_items_take_memory_in_proportion() {
    const COUNT: usize = 100_000;
    let hour = std::time::Duration::from_secs(3600);
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(0_u64).unwrap();
    let parent = receiver.try_recv().unwrap();
    // The thread starts.
    parent.follow_up_after(0, hour).unwrap();
    let mut each = 0.0;
    let (_, left) = measure(|| {
        let delay_all =
            || (1..=COUNT as u64).for_each(|it| parent.follow_up_after(it, hour).unwrap());
        let (allocations, bytes) = measure(delay_all);
        each = bytes as f64 / COUNT as f64;
        // One for each item, and those of the heap as it grows.
        assert!(allocations < COUNT + 50, "{allocations} allocations");
        drop(receiver);
    });
    println!("{each} bytes for each delayed item");
    // An entry of the heap, of which half may be unused, and the item with its attempt.
    assert!(each <= 2.0 * 32.0 + 16.0, "{each} bytes for each item");
    assert!(left <= 0, "{left} bytes stay allocated");
    parent.done();
}

#[test]
fn drained_unbounded_channel_gives_memory_back() {
    drained_burst_leaves_little::<Plain>();
    drained_burst_leaves_little::<Tasks>();
}

fn drained_burst_leaves_little<K: Kind<u64>>() {
    let mut channel = None;
    let mut burst = 0;
    let (_, left) = measure(|| {
        let (sender, receiver) = K::unbounded();
        let send_all = || (0..MILLION as u64).for_each(|item| sender.try_send(item).unwrap());
        burst = measure(send_all).1;
        for item in 0..MILLION as u64 {
            assert_eq!(take_one(&receiver), Ok(item));
        }
        channel = Some((sender, receiver));
    });
    println!("{left} bytes of {burst} stay allocated");
    assert!(burst > 8 * MILLION as isize, "{burst} bytes");
    assert!(left <= 64 << 10, "{left} bytes stay allocated");
    let (_, freed) = measure(|| drop(channel));
    assert_eq!(left + freed, 0, "the rest is freed with the channel");
}

/// The segments that a receiver leaves are used again.
#[test]
fn short_unbounded_queue_allocates_nothing() {
    let (sender, receiver) = tollgate::unbounded();
    let pass = |count: usize| {
        for item in 0..count {
            sender.try_send(item).unwrap();
            assert_eq!(receiver.try_recv(), Ok(item));
        }
    };
    pass(1_000);
    assert_eq!(measure(|| pass(MILLION)), (0, 0));
}

fn idle<K: Kind<u64>>() -> (Sender<u64>, ReceiverOf<K, u64>) {
    K::channel(16)
}

#[test]
fn idle_channel_is_small() {
    // Subscribers of tracing need some state.
    let most = if cfg!(feature = "tracing") {
        1664
    } else {
        1536
    };
    an_idle_channel_takes_at_most::<Plain>(most);
    // A task channel has a lane, too.
    an_idle_channel_takes_at_most::<Tasks>(most + 128);
}

fn an_idle_channel_takes_at_most<K: Kind<u64>>(most: isize) {
    let mut channel = None;
    let (allocations, bytes) = measure(|| channel = Some(idle::<K>()));
    println!("an idle channel of 16 numbers takes {bytes} bytes in {allocations} allocations");
    assert!(bytes <= most, "{bytes} bytes");
    assert!(bytes >= 16 * size_of::<u64>() as isize);
}

fn closed_channel_frees_everything<K: Kind<u64>>() {
    let (_, bytes) = measure(|| {
        let (sender, receiver) = idle::<K>();
        let monitor = sender.monitor();
        let waker = CountingWaker::new();
        let mut streams = [receiver.clone(), receiver.clone()];
        for stream in &mut streams {
            assert!(poll_next(stream, &waker).is_pending());
        }
        let mut polled = sender.clone();
        let cx = &mut Context::from_waker(waker.waker());
        assert!(polled.poll_ready(cx).is_ready());
        let mut recv = receiver.recv();
        assert!(poll(&mut recv, &waker).is_pending());
        for item in 0..3 {
            sender.try_send(item).unwrap();
        }
        let given = receiver.try_recv().unwrap();
        drop(recv);
        drop((sender, polled, streams, receiver, monitor));
        // The task in hand is the last that keeps a task channel alive.
        given.end();
    });
    assert_eq!(bytes, 0);
}
