//! `force_send`: which item it evicts, which waiters it notifies, and how the report counts it.

use std::collections::VecDeque;
use std::task::Poll;

use tollgate::RecvError;
use tollgate::SendError;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::assert_adds_up;
use crate::common::assert_each_is_counted;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    oldest_item_is_evicted,
    random_calls_agree_with_model,
    closed_channel_evicts_nothing,
    evicted_item_belongs_to_caller,
    each_send_wakes_one_receiver,
    waiting_sender_keeps_waiting,
    eviction_is_counted_and_no_failure,
}

fn oldest_item_is_evicted<K: Kind>() {
    for capacity in 1..=9 {
        let (sender, receiver) = K::channel(capacity as usize);
        for item in 0..capacity {
            assert_eq!(sender.force_send(item), Ok(None));
        }
        for item in capacity..30 {
            assert_eq!(sender.force_send(item), Ok(Some(item - capacity)));
            assert_eq!(sender.len(), capacity as usize);
            assert!(sender.is_full());
        }
        for item in 30 - capacity..30 {
            assert_eq!(take_one(&receiver), Ok(item));
        }
        assert!(receiver.is_empty());
    }
}

/// The channel does what a queue does from which the first item is taken when it is too long.
fn random_calls_agree_with_model<K: Kind>() {
    for capacity in 1..=9 {
        let mut rng = fastrand::Rng::with_seed(capacity as u64);
        let (sender, receiver) = K::channel(capacity);
        let mut model = VecDeque::new();
        let mut evictions = 0;
        for item in 0..5_000 {
            match rng.u8(0..4) {
                0 | 1 => {
                    model.push_back(item);
                    let evicted = (model.len() > capacity).then(|| model.pop_front().unwrap());
                    assert_eq!(sender.force_send(item), Ok(evicted));
                    evictions += u64::from(evicted.is_some());
                }
                2 => {
                    let is_sent = sender.try_send(item).is_ok();
                    assert_eq!(is_sent, model.len() < capacity);
                    model.extend(is_sent.then_some(item));
                }
                _ => assert_eq!(take_one(&receiver).ok(), model.pop_front()),
            }
            assert_eq!(receiver.len(), model.len());
        }
        let stats = sender.monitor().stats();
        assert_eq!(stats.report.evicted, evictions);
        assert_each_is_counted(&stats);
    }
}

fn closed_channel_evicts_nothing<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    receiver.close();
    let refused = sender.force_send(2);
    assert_eq!(refused, Err(SendError(2)));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "sending into a closed channel"
    );
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(sender.force_send(3), Err(SendError(3)));
    drop(receiver);
    assert_eq!(sender.force_send(4), Err(SendError(4)));
    assert_eq!(now(sender.join()).unwrap().evicted, 0);
}

/// The channel drops no item that it returns.
fn evicted_item_belongs_to_caller<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    sender.try_send(tally.item()).unwrap();
    let evicted = sender.force_send(tally.item()).unwrap().unwrap();
    assert_eq!((evicted.id, tally.dropped()), (0, 0));
    let mut send = Waiter::waiting(sender.send(tally.item()));
    drop(evicted);
    assert_eq!(tally.drops(), [1, 0, 0]);
    drop(take_one(&receiver));
    assert!(matches!(send.poll(), Poll::Ready(Ok(()))));
    drop((send, receiver));
    assert_eq!(tally.drops(), [1, 1, 1]);
}

/// Also if it evicts an item: a receiver that was woken for that item may never be polled again.
fn each_send_wakes_one_receiver<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let forgotten = Waiter::waiting(receiver.recv());
    let mut next = Waiter::waiting(receiver.recv());
    let last = Waiter::waiting(receiver.recv());
    assert_eq!(sender.force_send(1), Ok(None));
    let forgotten = forgotten.forget();
    assert_eq!((forgotten.wakes(), next.wakes()), (1, 0));
    assert_eq!(sender.force_send(2), Ok(Some(1)));
    assert_eq!((next.wakes(), last.wakes()), (1, 0));
    let Poll::Ready(Ok(given)) = next.poll() else {
        panic!("an item is queued");
    };
    assert_eq!(given.end(), 2);
    assert_eq!(last.wakes(), 0);
}

/// An eviction makes no room.
fn waiting_sender_keeps_waiting<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(sender.force_send(3), Ok(Some(1)));
    assert_eq!(send.wakes(), 0);
    assert!(send.poll().is_pending());
    assert_eq!(take_one(&receiver), Ok(3));
    assert_eq!(send.wakes(), 1);
    // It takes the room from the sender that was woken, which keeps its place.
    assert_eq!(sender.force_send(4), Ok(None));
    assert!(send.poll().is_pending());
    assert_eq!(take_one(&receiver), Ok(4));
    assert_eq!(send.wakes(), 2);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
    assert_eq!(take_one(&receiver), Ok(2));
}

fn eviction_is_counted_and_no_failure<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let mut join = Waiter::waiting(monitor.join());
    let mut failed = Waiter::waiting(monitor.failed());
    for item in 2..=4 {
        assert_eq!(sender.force_send(item), Ok(Some(item - 1)));
        let stats = monitor.stats();
        assert_each_is_counted(&stats);
        assert_eq!(
            (stats.queued, stats.in_hand, monitor.outstanding()),
            (1, 0, 1)
        );
    }
    assert_eq!((join.wakes(), failed.wakes()), (0, 0));
    assert_eq!(take_one(&receiver), Ok(4));
    let Poll::Ready(Ok(report)) = join.poll() else {
        panic!("all is done");
    };
    assert_adds_up(&report);
    let counts = (report.sent, report.received, report.done, report.evicted);
    assert_eq!(counts, (4, 1, 1, 3));
    drop(sender);
    assert!(matches!(failed.poll(), Poll::Ready(None)));
    assert_eq!(now(monitor.finished()).unwrap(), report);
    assert!(matches!(now(receiver.recv()), Err(RecvError)));
}

/// What tasks queue takes no room, so it need not make any.
#[test]
fn lane_is_never_evicted() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    let task = receiver.try_recv().unwrap();
    task.follow_up(10).unwrap();
    task.retry().unwrap();
    assert_eq!(sender.force_send(2), Ok(None));
    assert_eq!(sender.force_send(3), Ok(None));
    assert_eq!(sender.force_send(4), Ok(Some(2)));
    assert_eq!(receiver.len(), 4);
    let mut left: Vec<_> = receiver.try_iter().map(|task| task.done()).collect();
    left.sort();
    assert_eq!(left, [1, 3, 4, 10]);
    let report = now(sender.join()).unwrap();
    assert_adds_up(&report);
    assert_eq!((report.sent, report.evicted, report.done), (4, 1, 4));
}

/// A task in hand has left the queue.
#[test]
fn task_in_hand_is_never_evicted() {
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    let task = receiver.try_recv().unwrap();
    assert_eq!(sender.force_send(2), Ok(None));
    assert_eq!(sender.force_send(3), Ok(Some(2)));
    assert_eq!(task.done(), 1);
    assert_eq!(sender.monitor().outstanding(), 1);
    receiver.try_recv().unwrap().done();
    assert_eq!(now(sender.join()).unwrap().evicted, 1);
}

/// There is always room.
#[test]
fn unbounded_channel_evicts_nothing() {
    let (sender, receiver) = tollgate::unbounded();
    for item in 0..1_000 {
        assert_eq!(sender.force_send(item), Ok(None));
    }
    assert!(receiver.try_iter().eq(0..1_000));
    sender.close();
    assert_eq!(sender.force_send(7), Err(SendError(7)));
}
