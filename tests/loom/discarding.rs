//! Items that are taken out of the queue without a receiver: by `close_now`, and with the last
//! receiver.

use std::sync::Arc;
use std::task::Poll;
use std::task::Waker;

use loom::thread;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::TryRecvError;

use crate::joining::in_hand;
use crate::support::Item;
use crate::support::Tally;
use crate::support::account;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::deep_model;
use crate::support::failed_account;
use crate::support::flag;
use crate::support::large_model;
use crate::support::model;
use crate::support::operation;
use crate::support::poll;
use crate::support::report_of;
use crate::support::requeuing_tasks;
use crate::support::send;
use crate::support::shared;
use crate::support::tasks;
use crate::support::work_until_the_end;

/// A plain channel of capacity 2 with `count` items queued.
fn queued(tally: &Tally, count: usize) -> (Arc<Sender<Item>>, Arc<Receiver<Item>>) {
    let (sender, receiver) = shared(bounded(2));
    for number in 1..=count {
        send(&sender, tally.item(number));
    }
    (sender, receiver)
}

/// Receives an item unless the channel is closed and empty; returns how many.
fn receive_once(receiver: &Receiver<Item>) -> u64 {
    match operation(|| receiver.try_recv()) {
        Ok(_) => 1,
        Err(error) => {
            assert_eq!(error, TryRecvError::Closed);
            0
        }
    }
}

/// Does a task if there is one; returns how many.
fn work_once(receiver: &TaskReceiver<Item>) -> u64 {
    let task = operation(|| receiver.try_recv());
    task.map_or(0, |task| {
        drop(task.done());
        1
    })
}

/// The joiner may read at any instant: its report must be what really happened.
#[test]
fn report_separates_received_from_discarded() {
    model(|tally| {
        let (sender, receiver) = queued(tally, 1);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || receive_once(&receiver)
        });
        let report = account(block_on(sender.join()));
        let drained = closer.join().unwrap();
        let received = consumer.join().unwrap();
        assert_eq!((report.received, report.discarded), (received, drained));
        assert_eq!(received + drained, 1);
    });
}

/// Two items, so that one may be received between two that are returned.
#[test]
fn close_now_races_with_receivers() {
    large_model(|tally| {
        let (sender, receiver) = queued(tally, 2);
        let monitor = sender.monitor();
        let closer = thread::spawn({
            let monitor = monitor.clone();
            move || monitor.close_now().count() as u64
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || receive_once(&receiver)
        });
        let report = account(block_on(monitor.finished()));
        let drained = closer.join().unwrap();
        let received = consumer.join().unwrap();
        assert_eq!((report.received, report.discarded), (received, drained));
        assert_eq!(received + drained, 2);
    });
}

/// On a plain channel, where an item is resolved before it is counted as discarded.
#[test]
fn done_and_discarded_were_sent() {
    deep_model(|tally| {
        let (sender, _receiver) = queued(tally, 1);
        let monitor = sender.monitor();
        let closer = thread::spawn(move || assert_eq!(sender.close_now().count(), 1));
        let report = monitor.stats().report;
        assert!(report.done + report.discarded <= report.sent, "{report:?}");
        closer.join().unwrap();
        let report = monitor.stats().report;
        assert_eq!((report.done, report.discarded), (0, 1));
    });
}

#[test]
fn two_close_now_count_each_item_once() {
    large_model(|tally| {
        let (sender, _receiver) = queued(tally, 2);
        let closers = [(); 2].map(|()| {
            let sender = sender.clone();
            thread::spawn(move || sender.close_now().count() as u64)
        });
        let report = account(block_on(sender.join()));
        let drained = closers.map(|closer| closer.join().unwrap());
        assert_eq!(drained[0] + drained[1], 2);
        assert_eq!((report.received, report.discarded), (0, 2));
    });
}

#[test]
fn close_now_races_with_send() {
    model(|tally| {
        let (sender, _receiver) = queued(tally, 1);
        let item = tally.item(2);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let producer = thread::spawn({
            let sender = sender.clone();
            move || match operation(|| sender.try_send(item)) {
                Ok(()) => 1,
                Err(refused) => {
                    assert!(refused.is_closed());
                    assert_eq!(refused.into_inner().number, 2);
                    0
                }
            }
        });
        let report = account(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        let sent = producer.join().unwrap();
        assert_eq!((report.sent, report.discarded), (1 + sent, drained));
        assert_eq!(drained, 1 + sent);
    });
}

#[test]
fn close_now_returns_item_to_blocked_send() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || receiver.close_now().count()
        });
        let refused = block_on(sender.send(tally.item(2))).unwrap_err();
        assert_eq!(refused.into_inner().number, 2);
        assert_eq!(closer.join().unwrap(), 1);
    });
}

#[test]
fn close_now_gives_receiver_item_or_end() {
    model(|tally| {
        let (sender, receiver) = queued(tally, 0);
        let item = tally.item(1);
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || usize::from(block_on(receiver.recv()).is_ok())
        });
        send(&sender, item);
        let drained = sender.close_now().count();
        assert_eq!(drained + consumer.join().unwrap(), 1);
    });
}

#[test]
fn close_now_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        send(&sender, tally.item(1));
        let monitor = sender.monitor();
        let last = thread::spawn(move || drop(receiver));
        let closer = thread::spawn({
            let monitor = monitor.clone();
            move || monitor.close_now().count()
        });
        let outcome = block_on(monitor.finished());
        if closer.join().unwrap() == 1 {
            assert_eq!(account(outcome).discarded, 1);
        } else {
            let error = failed_account(outcome);
            assert!(matches!(error.first, Failure::Discarded));
            assert_eq!(error.report.discarded, 1);
        }
        last.join().unwrap();
        assert_eq!(tally.alive(), 0);
        drop(sender);
    });
}

/// On a plain channel, an item is resolved when it is taken out, before it is counted.
#[test]
fn failed_returns_discard_of_last_item() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        send(&sender, tally.item(1));
        let last = thread::spawn(move || drop(receiver));
        let failure = block_on(sender.monitor().failed());
        assert!(matches!(failure, Some(Failure::Discarded)), "{failure:?}");
        last.join().unwrap();
    });
}

#[test]
fn failed_is_none_after_close_now() {
    model(|tally| {
        let (sender, _receiver) = queued(tally, 1);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count()
        });
        assert!(block_on(sender.monitor().failed()).is_none());
        assert_eq!(closer.join().unwrap(), 1);
    });
}

#[test]
fn close_now_races_with_task_receiver() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let worker = thread::spawn({
            let receiver = receiver.clone();
            move || work_once(&receiver)
        });
        let report = account(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        let received = worker.join().unwrap();
        assert_eq!((report.received, report.discarded), (received, drained));
        assert_eq!(received + drained, 1);
    });
}

/// Nothing is queued. The end comes with the last of these: the close, the empty discard, the task.
#[test]
fn task_in_hand_outlives_close_now() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert_eq!(sender.close_now().count(), 0)
        });
        let worker = thread::spawn(move || drop(task.done()));
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.done, report.discarded), (1, 0));
        closer.join().unwrap();
        worker.join().unwrap();
    });
}

/// The worker retries for as long as it may: its item is returned by `close_now`, or to the worker.
#[test]
fn close_now_ends_endless_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let mut refused = 0;
        let mut retry = |task: Task<Item>| match task.retry() {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_terminated());
                refused += 1;
            }
        };
        retry(task);
        // At most twice, as loom explores no endless loop.
        if let Ok(task) = block_on(receiver.recv()) {
            retry(task);
        }
        let drained = closer.join().unwrap();
        let report = report_of(block_on(sender.monitor().finished()));
        assert_eq!((report.failed, report.discarded), (refused, drained));
        assert_eq!((report.sent, refused + drained), (1, 1));
        assert!(block_on(receiver.recv()).is_err());
    });
}

#[test]
fn close_now_races_with_retry() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let worker = thread::spawn(move || u64::from(task.retry().is_ok()));
        let report = report_of(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        let retried = worker.join().unwrap();
        assert_eq!((report.retried, report.discarded), (retried, drained));
        assert_eq!((drained, report.failed), (retried, 1 - retried));
    });
}

#[test]
fn close_now_races_with_requeued_task() {
    model(|tally| {
        let (sender, receiver) = shared(requeuing_tasks(2));
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let worker = thread::spawn(move || drop(task));
        let report = report_of(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        assert_eq!((report.retried, report.discarded), (drained, drained));
        assert_eq!(report.abandoned, 1 - drained);
        worker.join().unwrap();
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn close_now_races_with_follow_up() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let worker = thread::spawn(move || {
            let queued = match task.follow_up(item) {
                Ok(()) => 1,
                Err(refused) => {
                    assert_eq!(refused.into_inner().number, 1);
                    0
                }
            };
            drop(task.done());
            queued
        });
        let report = account(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        let queued = worker.join().unwrap();
        assert_eq!((report.followed_up, report.discarded), (queued, drained));
        assert_eq!((drained, report.done), (queued, 1));
    });
}

/// Whichever ends the lane, the other finds nothing.
#[test]
fn close_now_and_last_receiver_race_with_retry() {
    large_model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let receiver = Arc::into_inner(receiver).unwrap();
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let last = thread::spawn(move || drop(receiver));
        let retried = u64::from(task.retry().is_ok());
        let report = report_of(block_on(sender.monitor().finished()));
        assert!(closer.join().unwrap() <= report.discarded);
        assert_eq!((report.retried, report.discarded), (retried, retried));
        last.join().unwrap();
    });
}

#[test]
fn close_now_returns_ring_and_lane() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        send(&sender, tally.item(1));
        task.follow_up(tally.item(2)).unwrap();
        drop(task.done());
        let worker = thread::spawn({
            let receiver = receiver.clone();
            move || work_once(&receiver)
        });
        let drained = sender.close_now().count() as u64;
        let received = worker.join().unwrap();
        assert_eq!(drained + received, 2);
        assert!(receiver.is_empty());
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.followed_up, report.done), (1, 1 + received));
        assert_eq!(report.discarded, drained);
    });
}

fn is_finished(monitor: &Monitor<Item>) -> bool {
    let (_, waker) = flag();
    poll(&mut monitor.finished(), &waker).is_ready()
}

/// Also for a plain channel, whose items are resolved when they are taken out.
#[test]
fn seen_end_outlasts_close_now() {
    model(|tally| {
        let (sender, receiver) = queued(tally, 1);
        let monitor = sender.monitor();
        assert!(sender.close());
        let closer = thread::spawn({
            let monitor = monitor.clone();
            move || monitor.close_now().count() as u64
        });
        let received = receive_once(&receiver);
        if is_finished(&monitor) {
            assert!(is_finished(&monitor), "the channel was finished before");
            let report = account(block_on(monitor.join()));
            assert_eq!(
                (report.received, report.discarded),
                (received, 1 - received)
            );
        }
        assert_eq!(closer.join().unwrap() + received, 1);
    });
}

#[test]
fn seen_end_outlasts_last_receiver() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let receiver = Arc::into_inner(receiver).unwrap();
        assert!(sender.close());
        let last = thread::spawn(move || drop(receiver));
        drop(task.done());
        let monitor = sender.monitor();
        if is_finished(&monitor) {
            assert!(is_finished(&monitor), "the channel was finished before");
        }
        last.join().unwrap();
        assert!(is_finished(&monitor));
    });
}

/// Returned items are resolved before waiters are notified.
#[test]
fn task_receiver_ends_when_channel_is_finished() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let received = work_until_the_end(&receiver);
        let monitor = sender.monitor();
        assert!(is_finished(&monitor));
        assert_eq!(closer.join().unwrap() + received, 1);
    });
}

/// A join of an open channel is not the end: more items may be sent, and discarded.
#[test]
fn join_of_open_channel_is_no_end() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let monitor = sender.monitor();
        account(block_on(monitor.join()));
        send(&sender, tally.item(1));
        let last = thread::spawn(move || drop(receiver));
        let error = failed_account(block_on(monitor.finished()));
        assert_eq!(error.report.discarded, 1);
        last.join().unwrap();
        drop(sender);
    });
}

/// Sends, closes, and leaves the item in the channel.
fn send_and_leave<R>(sender: Sender<Item>, receiver: R, item: Item) {
    send(&sender, item);
    drop(sender);
    drop(receiver);
}

/// A reader may find nothing left before the send, and the channel closed after it. That is not the
/// end either, so later reports count the item.
fn look_while_it_closes<R: Send + 'static>(
    tally: &Tally,
    (sender, receiver): (Sender<Item>, R),
    look: impl FnOnce(&Monitor<Item>, &Waker),
) {
    let monitor = sender.monitor();
    let item = tally.item(1);
    let other = thread::spawn(move || send_and_leave(sender, receiver, item));
    look(&monitor, &flag().1);
    let error = failed_account(block_on(monitor.finished()));
    assert_eq!((error.report.sent, error.report.discarded), (1, 1));
    other.join().unwrap();
}

fn look_at_join(monitor: &Monitor<Item>, waker: &Waker) {
    let _ = poll(&mut monitor.join(), waker);
}

#[test]
fn join_racing_with_close_is_no_end() {
    deep_model(|tally| look_while_it_closes(tally, bounded(1), look_at_join));
}

#[test]
fn task_join_racing_with_close_is_no_end() {
    deep_model(|tally| look_while_it_closes(tally, tasks(1), look_at_join));
}

#[test]
fn no_clean_end_when_close_races_with_discard() {
    deep_model(|tally| {
        look_while_it_closes(tally, bounded(1), |monitor, waker| {
            let failed = poll(&mut monitor.failed(), waker);
            assert!(!matches!(failed, Poll::Ready(None)));
        });
    });
}
