//! Closing a channel, by a call or by dropping handles, and which waiters that wakes.

use std::cell::OnceCell;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use futures_util::FutureExt;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::RecvError;
use tollgate::SendError;
use tollgate::TryRecvError;

use crate::common::CountingWaker;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_next;
use crate::common::take_one;

on_both_kinds! {
    closed_completes_on_close_or_last_receiver,
    closed_of_receiver_completes_on_last_sender,
    closed_wakes_all_waiters,
    dropped_closed_future_strands_no_waiter,
    monitor_keeps_no_side_alive,
    clone_keeps_channel_open,
    stream_counts_as_receiver,
    close_keeps_queued_items,
    second_close_wakes_no_waiter,
    send_dropped_after_close_drops_item_once,
    last_receiver_drops_while_thread_unwinds,
    no_end_while_items_are_discarded,
}

fn closed_completes_on_close_or_last_receiver<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let other = receiver.clone();
    let mut closed = Waiter::waiting(sender.closed());
    drop(receiver);
    assert_eq!(closed.wakes(), 0);
    assert!(closed.poll().is_pending());
    drop(other);
    assert_eq!(closed.wakes(), 1);
    assert!(closed.poll().is_ready());
    now(sender.closed());

    let (sender, receiver) = K::channel(1);
    let mut closed = Waiter::waiting(sender.closed());
    receiver.close();
    assert_eq!(closed.wakes(), 1);
    assert!(closed.poll().is_ready());
}

fn closed_of_receiver_completes_on_last_sender<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let other = sender.clone();
    let mut closed = Waiter::waiting(receiver.closed());
    drop(sender);
    assert_eq!(closed.wakes(), 0);
    drop(other);
    assert_eq!(closed.wakes(), 1);
    assert!(closed.poll().is_ready());
    assert_eq!(take_one(&receiver), Ok(1));
}

fn closed_wakes_all_waiters<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut closed: Vec<_> = (0..5).map(|_| Waiter::waiting(sender.closed())).collect();
    drop(receiver);
    for closed in &mut closed {
        assert_eq!(closed.wakes(), 1);
        assert!(closed.poll().is_ready());
    }
}

/// An item whose destructor checks that the channel has not ended.
struct Watching(Rc<OnceCell<Monitor<Self>>>);

impl Drop for Watching {
    fn drop(&mut self) {
        let monitor = self.0.get().unwrap();
        assert!(monitor.join().now_or_never().is_none());
        assert!(monitor.finished().now_or_never().is_none());
        assert!(monitor.failed().now_or_never().is_none());
        // The items were not received and are not in hand; the statistics show that a discard
        // is going on.
        let stats = monitor.stats();
        let report = stats.report;
        assert!(stats.discarding && format!("{monitor:?}").contains("discarding: true"));
        assert_eq!((stats.in_hand, report.received, report.done), (0, 0, 0));
        assert_eq!(stats.queued as u64 + report.discarded, 2);
    }
}

/// The destructors run before the end is notified, and the final report counts the items.
fn no_end_while_items_are_discarded<K: Kind<Watching>>() {
    let (sender, receiver) = K::channel(2);
    let monitor = Rc::new(OnceCell::new());
    for _ in 0..2 {
        let item = Watching(Rc::clone(&monitor));
        assert!(sender.try_send(item).is_ok());
    }
    assert!(monitor.set(sender.monitor()).is_ok());
    let mut failed = Waiter::waiting(monitor.get().unwrap().failed());
    drop(receiver);
    assert_eq!(failed.wakes(), 1);
    let Poll::Ready(Some(Failure::Discarded)) = failed.poll() else {
        panic!("two items were discarded");
    };
    drop(failed);
    let monitor = Rc::into_inner(monitor).unwrap().into_inner().unwrap();
    assert_eq!(now(monitor.finished()).unwrap_err().report.discarded, 2);
    assert!(!monitor.stats().discarding && !format!("{monitor:?}").contains("discarding"));
}

fn dropped_closed_future_strands_no_waiter<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut closed: Vec<_> = (0..4).map(|_| Waiter::waiting(sender.closed())).collect();
    drop(closed.remove(0));
    drop(closed.remove(1));
    receiver.close();
    assert!(closed.iter().all(|it| it.wakes() == 1));
}

fn monitor_keeps_no_side_alive<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitors = [
        sender.monitor(),
        receiver.monitor(),
        sender.monitor().clone(),
    ];
    drop(sender);
    assert!(receiver.is_closed());
    assert_eq!(now(receiver.recv()).err(), Some(RecvError));
    drop(receiver);
    assert!(monitors.iter().all(|it| it.stats().closed && !it.close()));

    let (sender, receiver) = K::channel(1);
    let monitor = receiver.monitor();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(monitor.stats().receivers, 0);
}

fn clone_keeps_channel_open<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (other_sender, other_receiver) = (sender.clone(), receiver.clone());
    drop((sender, receiver));
    assert!(!other_sender.is_closed() && !other_receiver.is_closed());
    now(other_sender.send(1)).unwrap();
    assert_eq!(take_one(&other_receiver), Ok(1));
}

fn stream_counts_as_receiver<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    drop(receiver);
    assert!(poll_next(&mut stream, &waker).is_pending());
    assert!(!sender.is_closed());
    sender.try_send(1).unwrap();
    drop(stream);
    assert!(sender.is_closed());
    assert_eq!(sender.len(), 0);
}

fn close_keeps_queued_items<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    receiver.close();
    drop(sender);
    for item in 0..3 {
        assert_eq!(receiver.len(), 3 - item);
        assert_eq!(take_one(&receiver), Ok(item));
    }
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

fn second_close_wakes_no_waiter<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let sends: Vec<_> = (0..3).map(|it| Waiter::waiting(sender.send(it))).collect();
    assert!(receiver.close());
    assert!(!receiver.close() && !sender.close());
    drop(receiver);
    assert!(sends.iter().all(|it| it.wakes() == 1));
}

fn send_dropped_after_close_drops_item_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let unpolled = sender.send(tally.item());
    sender.try_send(tally.item()).unwrap();
    let waiting = Waiter::waiting(sender.send(tally.item()));
    let mut refused = Waiter::waiting(sender.send(tally.item()));
    receiver.close();
    assert!(matches!(refused.poll(), Poll::Ready(Err(SendError(_)))));
    assert_eq!(tally.drops(), [0, 0, 0, 1]);
    drop((unpolled, waiting, refused));
    assert_eq!(tally.drops(), [1, 0, 1, 1]);
    drop(receiver);
    assert_eq!(tally.drops(), [1; 4]);
}

fn last_receiver_drops_while_thread_unwinds<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    sender.try_send(tally.item()).unwrap();
    sender.try_send(tally.item()).unwrap();
    let unwind = std::panic::AssertUnwindSafe(|| {
        let _receiver = receiver;
        std::panic::resume_unwind(Box::new("worker"));
    });
    std::panic::catch_unwind(unwind).unwrap_err();
    assert!(sender.is_closed());
    assert_eq!(tally.drops(), [1; 2]);
    assert_eq!(now(monitor.finished()).unwrap_err().report.discarded, 2);
}

#[test]
fn close_wakes_other_threads() {
    let _watchdog = Watchdog::start();
    let (full, full_receiver) = tollgate::bounded(1);
    full.try_send(0).unwrap();
    let (empty_sender, empty) = tollgate::tasks::<u32>(1);
    let mut threads = Vec::new();
    for _ in 0..3 {
        let (full, empty) = (full.clone(), empty.clone());
        threads.push(thread::spawn(move || {
            assert_eq!(pollster::block_on(full.send(1)), Err(SendError(1)));
        }));
        threads.push(thread::spawn(move || {
            assert!(pollster::block_on(empty.recv()).is_err());
        }));
    }
    // Some threads may wait already, others only start to.
    full_receiver.close();
    drop(empty_sender);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(full_receiver.try_recv(), Ok(0));
}
