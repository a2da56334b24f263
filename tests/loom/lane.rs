//! Retries, and the follow-ups of tasks.

use std::sync::Arc;
use std::task::Poll;
use std::task::Waker;

use loom::thread;
use tollgate::Failure;
use tollgate::RetryError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::joining::in_hand;
use crate::support::Item;
use crate::support::Tally;
use crate::support::account;
use crate::support::block_on;
use crate::support::failed_account;
use crate::support::join_work;
use crate::support::join_work_of_other;
use crate::support::large_model;
use crate::support::model;
use crate::support::poll;
use crate::support::requeuing_tasks;
use crate::support::send;
use crate::support::shared;
use crate::support::tasks;
use crate::support::work_until_the_end;

/// A task in hand that is requeued when it is dropped, with `most` attempts in all.
fn requeuing_in_hand(
    tally: &Tally,
    most: u32,
) -> (Sender<Item>, Arc<TaskReceiver<Item>>, Task<Item>) {
    let (sender, receiver) = requeuing_tasks(most);
    send(&sender, tally.item(1));
    let task = receiver.try_recv().unwrap();
    (sender, Arc::new(receiver), task)
}

#[test]
fn join_waits_for_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let worker = receiver.clone();
        let report = join_work(&sender, move |work| {
            task.retry().unwrap();
            let task = worker.try_recv().unwrap();
            assert_eq!(task.attempt(), 2);
            work.perform();
            drop(task.done());
        });
        assert_eq!((report.sent, report.retried, report.done), (1, 1, 1));
    });
}

#[test]
fn join_waits_for_retry_by_other_thread() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let first = thread::spawn(move || task.retry().unwrap());
        let report = join_work_of_other(&sender, &receiver, (0, 2));
        assert_eq!((report.sent, report.retried, report.done), (1, 1, 1));
        first.join().unwrap();
    });
}

#[test]
fn retry_into_full_channel_is_received() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        send(&sender, tally.item(2));
        let worker = thread::spawn(move || task.retry().unwrap());
        let mut got = [(); 2].map(|()| block_on(receiver.recv()).unwrap().done().number);
        got.sort();
        assert_eq!(got, [1, 2]);
        worker.join().unwrap();
        assert!(receiver.is_empty());
    });
}

/// An item that leaves the lane does not wake a waiting sender; one that leaves the ring does.
#[test]
fn retry_into_full_channel_keeps_sender_wake() {
    large_model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        send(&sender, tally.item(2));
        let item = tally.item(3);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        let worker = thread::spawn(move || task.retry().unwrap());
        let mut got = [(); 2].map(|()| block_on(receiver.recv()).unwrap().done().number);
        producer.join().unwrap();
        worker.join().unwrap();
        got.sort();
        assert_eq!(got[1] - got[0] + receiver.len(), 2, "{got:?}");
        while let Ok(task) = receiver.try_recv() {
            drop(task.done());
        }
    });
}

#[test]
fn closed_channel_waits_for_possible_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        assert!(sender.close());
        let worker = thread::spawn(move || task.retry().unwrap());
        let task = block_on(receiver.recv()).unwrap();
        assert_eq!(task.attempt(), 2);
        drop(task.done());
        assert!(block_on(receiver.recv()).is_err());
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.received, report.retried, report.done), (2, 1, 1));
        worker.join().unwrap();
    });
}

#[test]
fn two_receivers_end_after_retry() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        assert!(sender.close());
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || work_until_the_end(&receiver)
        });
        task.retry().unwrap();
        let count = work_until_the_end(&receiver);
        assert_eq!(count + other.join().unwrap(), 1);
    });
}

#[test]
fn retry_races_with_last_receiver() {
    retry_races_with_last_receiver_of(Task::retry);
}

/// The item is discarded or refused, whether `retry` delays it or not.
pub(crate) fn retry_races_with_last_receiver_of(
    retry: fn(Task<Item>) -> Result<(), RetryError<Item>>,
) {
    model(move |tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let last = thread::spawn(move || drop(receiver));
        let worker = thread::spawn(move || match retry(task) {
            Ok(()) => true,
            Err(refused) => {
                assert!(refused.is_terminated());
                assert_eq!(refused.into_inner().number, 1);
                false
            }
        });
        let error = failed_account(block_on(sender.monitor().finished()));
        let report = error.report;
        let ended = (report.sent, report.retried, report.failed, report.discarded);
        match error.first {
            Failure::Discarded => assert_eq!(ended, (1, 1, 0, 1)),
            Failure::Failed(_) => assert_eq!(ended, (1, 0, 1, 0)),
            other => panic!("{other:?}"),
        }
        let put_back = worker.join().unwrap();
        assert_eq!(put_back, report.retried == 1);
        last.join().unwrap();
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn join_waits_for_follow_up() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let first = thread::spawn(move || {
            task.follow_up(item).unwrap();
            drop(task.done());
        });
        let report = join_work_of_other(&sender, &receiver, (1, 1));
        assert_eq!((report.sent, report.followed_up, report.done), (1, 1, 2));
        first.join().unwrap();
    });
}

/// The receivers wait on a closed channel, or are about to.
#[test]
fn follow_up_of_last_task_is_received() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        assert!(sender.close());
        let item = tally.item(1);
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || work_until_the_end(&receiver)
        });
        task.follow_up(item).unwrap();
        drop(task.done());
        let count = work_until_the_end(&receiver);
        assert_eq!(count + other.join().unwrap(), 1);
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.followed_up, report.done), (1, 2));
    });
}

#[test]
fn follow_up_races_with_close() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let worker = thread::spawn(move || {
            task.follow_up(item).unwrap();
            drop(task.done());
        });
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        assert_eq!(work_until_the_end(&receiver), 1);
        worker.join().unwrap();
        closer.join().unwrap();
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.followed_up, report.done), (1, 2));
    });
}

#[test]
fn follow_up_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let item = tally.item(2);
        let last = thread::spawn(move || drop(receiver));
        let worker = thread::spawn(move || {
            let left = match task.follow_up(item) {
                Ok(()) => true,
                Err(refused) => {
                    assert_eq!(refused.into_inner().number, 2);
                    false
                }
            };
            drop(task.done());
            left
        });
        let report = match block_on(sender.monitor().finished()) {
            Ok(report) => account(Ok(report)),
            Err(error) => {
                assert!(matches!(error.first, Failure::Discarded));
                failed_account(Err(error)).report
            }
        };
        let left = u64::from(worker.join().unwrap());
        assert_eq!((report.sent, report.done), (1, 1));
        assert_eq!((report.followed_up, report.discarded), (left, left));
        last.join().unwrap();
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn join_waits_for_requeued_task() {
    model(|tally| {
        let (sender, receiver, task) = requeuing_in_hand(tally, 2);
        let first = thread::spawn(move || drop(task));
        let report = join_work_of_other(&sender, &receiver, (1, 2));
        assert_eq!((report.sent, report.retried, report.done), (1, 1, 1));
        first.join().unwrap();
    });
}

#[test]
fn task_is_abandoned_after_max_attempts() {
    model(|tally| {
        let (sender, receiver, task) = requeuing_in_hand(tally, 2);
        let worker = thread::spawn(move || drop(task));
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || drop(block_on(receiver.recv()).unwrap())
        });
        let error = failed_account(block_on(sender.join()));
        assert!(matches!(error.first, Failure::Abandoned));
        let report = error.report;
        assert_eq!((report.sent, report.retried, report.abandoned), (1, 1, 1));
        assert_eq!(tally.alive(), 0);
        worker.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn requeue_races_with_close() {
    model(|tally| {
        let (sender, receiver, task) = requeuing_in_hand(tally, 2);
        let worker = thread::spawn(move || drop(task));
        let closer = thread::spawn(move || drop(sender));
        assert_eq!(work_until_the_end(&receiver), 1);
        worker.join().unwrap();
        closer.join().unwrap();
        let report = account(block_on(receiver.join()));
        assert_eq!((report.received, report.retried, report.done), (2, 1, 1));
    });
}

#[test]
fn requeue_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver, task) = requeuing_in_hand(tally, 2);
        let last = thread::spawn(move || drop(receiver));
        let worker = thread::spawn(move || drop(task));
        let error = failed_account(block_on(sender.monitor().finished()));
        let report = error.report;
        let ended = (report.retried, report.abandoned, report.discarded);
        match error.first {
            Failure::Discarded => assert_eq!(ended, (1, 0, 1)),
            Failure::Abandoned => assert_eq!(ended, (0, 1, 0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(tally.alive(), 0);
        last.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn two_receivers_get_item_and_follow_up() {
    large_model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let [sent, left] = [1, 2].map(|number| tally.item(number));
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).unwrap().done().number)
        });
        send(&sender, sent);
        task.follow_up(left).unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort();
        assert_eq!(got, [1, 2]);
        drop(task.done());
    });
}

/// Two receive while both queues hold an item: one gets the lane's, the other the ring's.
#[test]
fn two_receivers_alternate_ring_and_lane() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        for number in [1, 2] {
            send(&sender, tally.item(number));
        }
        for number in [3, 4] {
            task.follow_up(tally.item(number)).unwrap();
        }
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || receiver.try_recv().unwrap().done().number
        });
        let mut got = [
            receiver.try_recv().unwrap().done().number,
            other.join().unwrap(),
        ];
        got.sort();
        assert_eq!(got, [1, 3]);
        for _ in 0..2 {
            drop(receiver.try_recv().unwrap().done());
        }
        drop(task.done());
    });
}

#[test]
fn cancelled_receiver_passes_on_wake_for_retry() {
    model(|tally| {
        let (_sender, receiver, [task]) = in_hand(tally);
        let survivor = thread::spawn({
            let receiver = receiver.clone();
            move || drop(block_on(receiver.recv()).unwrap().done())
        });
        let worker = thread::spawn(move || task.retry().unwrap());
        let mut cancelled = receiver.recv();
        let taken = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        if let Poll::Ready(task) = taken {
            // The first item; the other receiver needs one too.
            task.unwrap().retry().unwrap();
        }
        survivor.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn stats_of_retry_hold_at_one_instant() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let worker = thread::spawn({
            let receiver = receiver.clone();
            move || {
                task.retry().unwrap();
                drop(receiver.try_recv().unwrap().done());
            }
        });
        // The item, and for an instant its delivery too.
        assert!(monitor.outstanding() <= 2);
        let stats = monitor.stats();
        assert!(stats.queued <= 1 && stats.in_hand <= 1, "{stats:?}");
        // It counts as delayed for an instant.
        assert!(stats.delayed <= 1, "{stats:?}");
        assert_eq!(stats.report.followed_up, 0);
        assert!(receiver.len() <= 1);
        worker.join().unwrap();
        let stats = monitor.stats();
        assert_eq!((stats.queued, stats.in_hand), (0, 0));
        assert_eq!((stats.report.retried, stats.report.done), (1, 1));
    });
}
