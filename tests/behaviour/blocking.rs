//! Calls that block the thread, until they complete, for some time, or until a deadline.

use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tollgate::RecvTimeoutError;
use tollgate::SendTimeoutError;
use tollgate::Sender;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_next;

on_both_kinds! {
    blocking_calls_move_all_items,
    close_ends_blocking_calls,
    past_deadline_takes_what_is_there,
    past_deadline_succeeds_although_others_request_yield,
    timeout_returns_item,
    timed_out_waiter_leaves_list,
    into_iter_leaves_stream_list,
    huge_timeout_never_ends,
    iterators_end_with_channel,
    dropped_into_iter_closes_channel,
    blocking_calls_work_while_thread_exits,
    try_iter_never_waits,
    join_blocking_waits_for_worker,
    join_and_finished_time_out,
    random_timeouts_lose_no_item,
}

fn blocking_calls_move_all_items<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let producer = thread::spawn(move || (0..100).try_for_each(|it| sender.send_blocking(it)));
    for number in 0..100 {
        assert_eq!(receiver.recv_blocking().unwrap().end(), number);
    }
    assert!(receiver.recv_blocking().is_err());
    assert_eq!(producer.join().unwrap(), Ok(()));
}

fn close_ends_blocking_calls<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send_blocking(2));
        let timed = scope.spawn(|| sender.send_timeout(3, Duration::from_secs(600)));
        sender.close();
        assert_eq!(blocked.join().unwrap().unwrap_err().into_inner(), 2);
        assert_eq!(timed.join().unwrap(), Err(SendTimeoutError::Closed(3)));
    });
    assert_eq!(receiver.recv_blocking().unwrap().end(), 1);
    assert!(receiver.recv_blocking().is_err());
    let closed = receiver.recv_timeout(Duration::from_secs(600)).err();
    assert_eq!(closed, Some(RecvTimeoutError::Closed));
}

fn past_deadline_takes_what_is_there<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let past = Instant::now();
    assert_eq!(sender.send_deadline(1, past), Ok(()));
    let full = sender.send_deadline(2, past);
    assert_eq!(full, Err(SendTimeoutError::Timeout(2)));
    assert_eq!(receiver.recv_deadline(past).unwrap().end(), 1);
    let empty = receiver.recv_deadline(past).err();
    assert_eq!(empty, Some(RecvTimeoutError::Timeout));
}

/// A waiter that was notified in vain requests others to yield, which must not look like the end of the
/// time.
fn past_deadline_succeeds_although_others_request_yield<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let past = Instant::now();
    let mut waiting = Waiter::waiting(receiver.recv());
    for number in 0..100 {
        sender.try_send(number).unwrap();
        assert_eq!(receiver.try_recv().unwrap().end(), number);
        // It was notified in vain.
        assert!(waiting.poll().is_pending());
        sender.try_send(number).unwrap();
        let received = receiver.recv_deadline(past);
        assert_eq!(received.expect("there is an item").end(), number);
        assert!(waiting.poll().is_pending());
    }
}

fn timeout_returns_item<K: Kind<Item>>() {
    let (sender, receiver) = K::channel(1);
    let tally = Tally::default();
    assert!(sender.send_timeout(tally.item(), Duration::ZERO).is_ok());
    let error = sender.send_timeout(tally.item(), Duration::from_millis(1));
    let item = error.unwrap_err().into_inner();
    assert_eq!(tally.drops(), [0, 0]);
    drop(item);
    drop(receiver);
    assert_eq!(tally.drops(), [1, 1]);
}

fn timed_out_waiter_leaves_list<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let timed_out = receiver.recv_timeout(Duration::from_millis(1)).err();
    assert_eq!(timed_out, Some(RecvTimeoutError::Timeout));
    let waker = CountingWaker::new();
    let mut recv = receiver.recv();
    assert!(poll(&mut recv, &waker).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
}

/// A stream that waits is older than the iterator, and is never polled again.
fn into_iter_leaves_stream_list<K: Kind>() {
    let (sender, mut receiver) = K::channel(1);
    assert!(poll_next(&mut receiver, &CountingWaker::new()).is_pending());
    let other = receiver.clone();
    let mut iter = receiver.into_iter();
    let waker = CountingWaker::new();
    let mut recv = other.recv();
    assert!(poll(&mut recv, &waker).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
    assert!(poll(&mut recv, &waker).is_ready());
    sender.try_send(2).unwrap();
    assert_eq!(iter.next().unwrap().end(), 2);
}

fn huge_timeout_never_ends<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let consumer = thread::spawn(move || receiver.recv_timeout(Duration::MAX).map(Given::end));
    sender.send_timeout(1, Duration::MAX).unwrap();
    assert_eq!(consumer.join().unwrap(), Ok(1));
}

fn iterators_end_with_channel<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let producer = thread::spawn(move || (0..100).try_for_each(|it| sender.send_blocking(it)));
    let mut iter = receiver.iter();
    let first: Vec<u32> = iter.by_ref().take(10).map(Given::end).collect();
    assert_eq!(first, Vec::from_iter(0..10));
    let mut numbers = Vec::new();
    for given in &receiver {
        numbers.push(given.end());
        if numbers.len() == 40 {
            break;
        }
    }
    numbers.extend(receiver.into_iter().map(Given::end));
    assert_eq!(numbers, Vec::from_iter(10..100));
    assert_eq!(producer.join().unwrap(), Ok(()));
}

fn dropped_into_iter_closes_channel<K: Kind<Item>>() {
    let (sender, receiver) = K::channel(3);
    let tally = Tally::default();
    for _ in 0..3 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let mut iter = receiver.into_iter();
    assert_eq!(iter.next().unwrap().end().id, 0);
    assert!(!sender.is_closed());
    drop(iter);
    assert!(sender.is_closed());
    assert_eq!(tally.drops(), [1; 3]);
}

/// The value of a thread-local. It is dropped when the thread exits.
struct AtExit<K: Kind>(Sender<u32>, ReceiverOf<K>);

impl<K: Kind> AtExit<K> {
    /// Waits for the other thread, and answers.
    fn answer(&self) {
        let item = self.1.recv_blocking().unwrap().end();
        self.0.send_blocking(item + 1).unwrap();
    }
}

impl<K: Kind> Drop for AtExit<K> {
    fn drop(&mut self) {
        self.answer();
    }
}

/// Thread-locals are dropped from the youngest to the oldest. Those that a blocking call may use are
/// younger, and gone.
fn blocking_calls_work_while_thread_exits<K: Kind>() {
    thread_local! {
        static AT_EXIT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    }

    let (sender, their_receiver) = K::channel(1);
    let (their_sender, receiver) = K::channel(1);
    let thread = thread::spawn(move || {
        AT_EXIT.with_borrow_mut(|at_exit| {
            let answers = AtExit::<K>(their_sender, their_receiver);
            let answers = at_exit.insert(Box::new(answers));
            answers.downcast_ref::<AtExit<K>>().unwrap().answer();
        });
    });
    for item in [1, 3] {
        sender.send_blocking(item).unwrap();
        assert_eq!(receiver.recv_blocking().unwrap().end(), item + 1);
    }
    thread.join().unwrap();
}

fn try_iter_never_waits<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let mut iter = receiver.try_iter();
    assert!(iter.next().is_none());
    sender.try_send(1).unwrap();
    assert!(iter.next().is_none(), "it has ended");
    sender.try_send(2).unwrap();
    let numbers: Vec<u32> = receiver.try_iter().map(Given::end).collect();
    assert_eq!(numbers, [1, 2]);
}

fn join_blocking_waits_for_worker<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let monitor = sender.monitor();
    let worker = thread::spawn(move || {
        while let Ok(given) = receiver.recv_blocking() {
            given.end();
        }
    });
    for number in 0..100 {
        sender.send_blocking(number).unwrap();
    }
    assert_eq!(monitor.join_blocking().unwrap().done, 100);
    drop(sender);
    assert_eq!(monitor.finished_blocking().unwrap().done, 100);
    let finished = monitor.finished_timeout(Duration::ZERO);
    assert_eq!(finished.unwrap().unwrap().done, 100);
    worker.join().unwrap();
}

fn join_and_finished_time_out<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let past = Instant::now();
    assert!(monitor.join_deadline(past).unwrap().is_ok());
    assert!(monitor.finished_deadline(past).is_none());
    sender.try_send(1).unwrap();
    assert!(monitor.join_timeout(Duration::from_millis(1)).is_none());
    assert!(monitor.finished_timeout(Duration::from_millis(1)).is_none());
    drop(receiver);
    assert!(
        monitor
            .join_timeout(Duration::from_secs(600))
            .unwrap()
            .is_err()
    );
}

/// Threads whose calls time out again and again neither lose an item nor a wake.
fn random_timeouts_lose_no_item<K: Kind>() {
    const ITEMS: u32 = 2_000;
    let (sender, receiver) = K::channel(2);
    let (next, received) = (AtomicU32::new(0), AtomicU32::new(0));
    let timeout = || Duration::from_micros(fastrand::u64(..30));
    thread::scope(|scope| {
        for _ in 0..3 {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            let (next, received) = (&next, &received);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ITEMS {
                        return;
                    }
                    let mut item = number;
                    while let Err(error) = sender.send_timeout(item, timeout()) {
                        item = error.into_inner();
                    }
                }
            });
            scope.spawn(move || {
                loop {
                    match receiver.recv_timeout(timeout()) {
                        Ok(given) => {
                            received.fetch_add(given.end() + 1, Ordering::Relaxed);
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Closed) => return,
                    }
                }
            });
        }
        drop(sender);
    });
    assert_eq!(received.into_inner(), (1..=ITEMS).sum());
}

#[test]
fn worker_in_hand_keeps_blocking_receiver_waiting() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks::<u32>(1);
    sender.try_send(1).unwrap();
    sender.close();
    let task = receiver.recv_blocking().unwrap();
    let timed_out = receiver.recv_timeout(Duration::from_millis(1)).err();
    assert_eq!(timed_out, Some(RecvTimeoutError::Timeout));
    task.retry().unwrap();
    assert_eq!(receiver.recv_blocking().unwrap().done(), 1);
    assert!(receiver.recv_blocking().is_err());
}
