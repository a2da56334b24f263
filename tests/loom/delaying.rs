//! Delayed items. A model has no timer, because loom has no clock: a thread of the model makes the items
//! receivable, as the timer does at some moment after an item was delayed.

use std::sync::Arc;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;
use std::time::Instant;

use loom::thread;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::joining::in_hand;
use crate::lane::retry_races_with_last_receiver_of;
use crate::support::Item;
use crate::support::Tally;
use crate::support::account;
use crate::support::block_on;
use crate::support::failed_account;
use crate::support::join_work_of_other;
use crate::support::large_model;
use crate::support::model;
use crate::support::poll;
use crate::support::report_of;
use crate::support::send;
use crate::support::tasks;
use crate::support::work_until_the_end;

/// A time that does not come while a model runs.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Makes all delayed items receivable, which are due at the same time, and none before.
fn mature(monitor: &Monitor<Item>, due: Instant) {
    assert_eq!(monitor.mature(due - Duration::from_nanos(1)), Some(due));
    assert_eq!(monitor.mature(due), None);
}

/// A channel with one delayed item, which is due at the returned time.
fn delayed(tally: &Tally) -> (Arc<Sender<Item>>, Arc<TaskReceiver<Item>>, Instant) {
    let (sender, receiver, [task]) = in_hand(tally);
    let due = later();
    task.retry_at(due).unwrap();
    (sender, receiver, due)
}

/// The item is outstanding while it is delayed.
#[test]
fn join_waits_for_delayed_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let (monitor, due) = (sender.monitor(), later());
        let worker = thread::spawn(move || {
            task.retry_at(due).unwrap();
            mature(&monitor, due);
        });
        let report = join_work_of_other(&sender, &receiver, (0, 2));
        assert_eq!((report.sent, report.retried, report.done), (1, 1, 1));
        worker.join().unwrap();
    });
}

#[test]
fn join_waits_for_delayed_follow_up() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let item = tally.item(1);
        let worker = thread::spawn(move || {
            task.follow_up_after(item, Duration::from_secs(3600))
                .unwrap();
            drop(task.done());
            assert_eq!(monitor.mature(later() + Duration::from_secs(3600)), None);
        });
        let report = join_work_of_other(&sender, &receiver, (1, 1));
        assert_eq!((report.sent, report.followed_up, report.done), (1, 1, 2));
        worker.join().unwrap();
    });
}

/// The receiver finds nothing and is about to sleep when the item becomes receivable.
#[test]
fn matured_item_wakes_receiver() {
    model(|tally| {
        let (sender, receiver, due) = delayed(tally);
        let monitor = sender.monitor();
        let timer = thread::spawn(move || mature(&monitor, due));
        let task = block_on(receiver.recv()).unwrap();
        assert_eq!(task.attempt(), 2);
        drop(task.done());
        timer.join().unwrap();
        let stats = sender.monitor().stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
    });
}

/// The same on a closed channel, whose receiver must not end before.
#[test]
fn closed_channel_waits_for_delayed_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        assert!(sender.close());
        let (monitor, due) = (sender.monitor(), later());
        let worker = thread::spawn(move || {
            task.retry_at(due).unwrap();
            mature(&monitor, due);
        });
        assert_eq!(work_until_the_end(&receiver), 1);
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.received, report.retried, report.done), (2, 1, 1));
        worker.join().unwrap();
    });
}

#[test]
fn matured_items_wake_two_receivers() {
    large_model(|tally| {
        let (sender, receiver, tasks) = in_hand::<2>(tally);
        let (monitor, due) = (sender.monitor(), later());
        for task in tasks {
            task.retry_at(due).unwrap();
        }
        let timer = thread::spawn(move || mature(&monitor, due));
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || drop(block_on(receiver.recv()).unwrap().done())
        });
        drop(block_on(receiver.recv()).unwrap().done());
        timer.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn cancelled_receiver_passes_on_wake_of_matured_item() {
    model(|tally| {
        let (sender, receiver, tasks) = in_hand::<2>(tally);
        let (monitor, due) = (sender.monitor(), later());
        for task in tasks {
            task.retry_at(due).unwrap();
        }
        let survivor = thread::spawn({
            let receiver = receiver.clone();
            move || drop(block_on(receiver.recv()).unwrap().done())
        });
        let timer = thread::spawn(move || mature(&monitor, due));
        let mut cancelled = receiver.recv();
        let taken = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        if let Poll::Ready(task) = taken {
            drop(task.unwrap().done());
        }
        survivor.join().unwrap();
        timer.join().unwrap();
        while let Ok(task) = receiver.try_recv() {
            drop(task.done());
        }
    });
}

/// The item is handed back by one of the two: by `close_now`, which comes after it was delayed, or by the
/// retry, which is refused.
#[test]
fn delayed_retry_races_with_close_now() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let worker = thread::spawn(move || match task.retry_at(later()) {
            Ok(()) => 1,
            Err(refused) => {
                assert!(refused.is_terminated());
                0
            }
        });
        let report = report_of(block_on(sender.monitor().finished()));
        let drained = closer.join().unwrap();
        let delayed = worker.join().unwrap();
        assert_eq!((report.retried, report.discarded), (delayed, drained));
        assert_eq!((drained, report.failed), (delayed, 1 - delayed));
        let stats = sender.monitor().stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
    });
}

/// The item becomes receivable while it is taken out: it is received or returned.
#[test]
fn maturing_races_with_close_now() {
    model(|tally| {
        let (sender, receiver, due) = delayed(tally);
        let monitor = sender.monitor();
        let closer = thread::spawn({
            let sender = sender.clone();
            move || sender.close_now().count() as u64
        });
        let timer = thread::spawn(move || {
            monitor.mature(due);
        });
        let received = work_until_the_end(&receiver);
        let drained = closer.join().unwrap();
        timer.join().unwrap();
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.done, report.discarded), (received, drained));
        assert_eq!(received + drained, 1);
        let stats = sender.monitor().stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
    });
}

#[test]
fn delayed_retry_races_with_last_receiver() {
    retry_races_with_last_receiver_of(|task| task.retry_at(later()));
}

/// The timer has the last handle, perhaps, and then frees the channel.
#[test]
fn maturing_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let (monitor, due) = (sender.monitor(), later());
        receiver.try_recv().unwrap().retry_at(due).unwrap();
        let last = thread::spawn(move || drop(receiver));
        let timer = thread::spawn(move || {
            monitor.mature(due);
        });
        let error = failed_account(block_on(sender.monitor().finished()));
        assert!(matches!(error.first, Failure::Discarded));
        assert_eq!((error.report.retried, error.report.discarded), (1, 1));
        assert_eq!(tally.alive(), 0);
        drop(sender);
        last.join().unwrap();
        timer.join().unwrap();
    });
}

#[test]
fn stats_of_delayed_retry_hold_at_one_instant() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let (monitor, due) = (sender.monitor(), later());
        let worker = thread::spawn({
            let (monitor, receiver) = (sender.monitor(), receiver.clone());
            move || {
                task.retry_at(due).unwrap();
                mature(&monitor, due);
                drop(receiver.try_recv().unwrap().done());
            }
        });
        // The item, and for an instant its delivery too.
        assert!(monitor.outstanding() <= 2);
        let stats = monitor.stats();
        let counts = [stats.queued, stats.delayed, stats.in_hand];
        assert!(counts.iter().all(|it| *it <= 1), "{stats:?}");
        assert!(stats.next_due.is_none_or(|next| next == due));
        assert!(receiver.len() <= 1);
        worker.join().unwrap();
        let stats = monitor.stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
        assert_eq!((stats.report.retried, stats.report.done), (1, 1));
    });
}
