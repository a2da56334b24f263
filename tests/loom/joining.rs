//! Waiting for quiescence, or for the end.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::support::Item;
use crate::support::Tally;
use crate::support::Work;
use crate::support::account;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::deep_model;
use crate::support::flag;
use crate::support::join_work;
use crate::support::large_model;
use crate::support::model;
use crate::support::operation;
use crate::support::poll;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;
use crate::support::tasks;

pub(crate) type InHand<const N: usize> =
    (Arc<Sender<Item>>, Arc<TaskReceiver<Item>>, [Task<Item>; N]);

/// As many tasks in hand.
pub(crate) fn in_hand<const N: usize>(tally: &Tally) -> InHand<N> {
    let (sender, receiver) = shared(tasks(2));
    let tasks = std::array::from_fn(|number| {
        send(&sender, tally.item(number));
        receiver.try_recv().unwrap()
    });
    (sender, receiver, tasks)
}

#[test]
fn l16_last_task_wakes_joiner() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let report = join_work(&sender, move |work| {
            work.perform();
            drop(task.done());
        });
        assert_eq!((report.sent, report.done), (1, 1));
    });
}

#[test]
fn l16_last_task_wakes_two_joiners() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let joiners = [(); 2].map(|()| {
            let sender = sender.clone();
            thread::spawn(move || assert_eq!(account(block_on(sender.join())).done, 1))
        });
        drop(task.done());
        for joiner in joiners {
            joiner.join().unwrap();
        }
    });
}

#[test]
fn l16_join_waits_for_two_workers() {
    model(|tally| {
        let (sender, _receiver, tasks) = in_hand::<2>(tally);
        let works = [(); 2].map(|()| Work::new());
        let mut jobs = works.clone().into_iter().zip(tasks);
        let workers = [(); 2].map(|()| {
            let (work, task) = jobs.next().unwrap();
            thread::spawn(move || {
                work.perform();
                drop(task.done());
            })
        });
        let report = block_on(async {
            let report = account(sender.join().await);
            for work in works {
                work.assert_performed();
            }
            report
        });
        assert_eq!((report.sent, report.done), (2, 2));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn l17_join_waits_for_item_sent_by_task() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let first = thread::spawn({
            let sender = sender.clone();
            move || {
                send(&sender, item);
                drop(task.done());
            }
        });
        let report = join_work(&sender, move |work| {
            let task = block_on(receiver.recv()).unwrap();
            work.perform();
            drop(task.done());
        });
        assert_eq!((report.sent, report.done), (2, 2));
        first.join().unwrap();
    });
}

#[test]
fn l18_joiner_outlasts_dropped_joiner_and_close() {
    large_model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let worker = thread::spawn(move || drop(task.done()));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        let survivor = thread::spawn({
            let sender = sender.clone();
            move || assert_eq!(account(block_on(sender.join())).done, 1)
        });
        let mut cancelled = sender.join();
        let _ = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        survivor.join().unwrap();
        worker.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn dropped_joiner_leaves_other_joiner_listed() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let worker = thread::spawn(move || drop(task.done()));
        let survivor = thread::spawn({
            let sender = sender.clone();
            move || assert_eq!(account(block_on(sender.join())).done, 1)
        });
        let mut cancelled = sender.join();
        let _ = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        survivor.join().unwrap();
        worker.join().unwrap();
    });
}

/// A second round of work begins while the first joiner is notified: its mark is not the second
/// one's.
#[test]
fn joiner_of_next_round_is_woken() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let worker = thread::spawn({
            let receiver = receiver.clone();
            move || {
                drop(task.done());
                drop(block_on(receiver.recv()).unwrap().done());
            }
        });
        let first = account(block_on(sender.join()));
        assert_eq!((first.sent, first.done), (1, 1));
        send(&sender, item);
        let second = account(block_on(sender.join()));
        assert_eq!((second.sent, second.done), (2, 2));
        worker.join().unwrap();
    });
}

/// The same for a joiner that has set its mark in the first round and is not listed yet: the mark
/// is cleared.
#[test]
fn joiner_listed_between_rounds_is_woken() {
    deep_model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let item = tally.item(1);
        let worker = thread::spawn({
            // The last receiver must outlive the worker: its drop would wake the joiner.
            let (sender, receiver) = (sender.clone(), receiver.clone());
            move || {
                drop(task.done());
                send(&sender, item);
                drop(receiver.try_recv().unwrap().done());
            }
        });
        let report = account(block_on(sender.join()));
        assert!((1..=2).contains(&report.sent), "{report:?}");
        worker.join().unwrap();
    });
}

/// Three joiners of the first round are notified while three of the second register. The last of
/// each three waits in an overflow. The others leave, which must not remove the last of the second.
#[test]
fn leaving_joiners_keep_next_overflow_listed() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let join = || {
            let mut join = sender.join();
            let _ = poll(&mut join, Waker::noop());
            join
        };
        let old = [(); 3].map(|()| join());
        let worker = thread::spawn(move || drop(task.done()));
        send(&sender, tally.item(1));
        let (first, second) = (join(), join());
        let (flag, waker) = flag();
        let mut last = sender.join();
        assert!(poll(&mut last, &waker).is_pending());
        drop((old, first, second));
        worker.join().unwrap();
        drop(receiver.try_recv().unwrap().done());
        assert_eq!(flag.calls(), 1);
        assert_eq!(account(block_on(last)).done, 2);
    });
}

#[test]
fn close_or_last_task_wakes_finished() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let worker = thread::spawn(move || drop(task.done()));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        let report = account(block_on(monitor.finished()));
        assert_eq!((report.sent, report.done), (1, 1));
        worker.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn one_task_wakes_finished_and_join() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        assert!(sender.close());
        let worker = thread::spawn(move || drop(task.done()));
        let joiner = thread::spawn({
            let sender = sender.clone();
            move || assert_eq!(account(block_on(sender.join())).done, 1)
        });
        assert_eq!(account(block_on(monitor.finished())).done, 1);
        worker.join().unwrap();
        joiner.join().unwrap();
    });
}

#[test]
fn close_or_last_task_ends_task_receiver() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let worker = thread::spawn(move || drop(task.done()));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        assert!(block_on(receiver.recv()).is_err());
        assert!(receiver.try_recv().unwrap_err().is_closed());
        worker.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn last_task_ends_two_task_receivers() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        assert!(sender.close());
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(block_on(receiver.recv()).is_err())
        });
        let worker = thread::spawn(move || drop(task.done()));
        assert!(block_on(receiver.recv()).is_err());
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn received_task_makes_room() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let worker = thread::spawn({
            let receiver = receiver.clone();
            move || drop(receiver.try_recv().unwrap().done())
        });
        block_on(sender.send(tally.item(2))).unwrap();
        worker.join().unwrap();
        drop(receiver.try_recv().unwrap().done());
    });
}

/// A pool of two that works until the end, as in the documentation.
#[test]
fn pool_works_until_end() {
    large_model(|tally| {
        let (sender, receiver) = tasks(2);
        let monitor = sender.monitor();
        let workers = [receiver.clone(), receiver].map(|receiver| {
            thread::spawn(move || {
                let mut count = 0;
                while let Ok(task) = block_on(receiver.recv()) {
                    drop(task.done());
                    count += 1;
                }
                count
            })
        });
        send(&sender, tally.item(1));
        drop(sender);
        let counts = workers.map(|worker| worker.join().unwrap());
        assert_eq!(counts[0] + counts[1], 1);
        assert_eq!(account(block_on(monitor.finished())).done, 1);
    });
}

#[test]
fn last_item_wakes_joiner() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || drop(block_on(receiver.recv()).unwrap())
        });
        let report = account(block_on(sender.join()));
        assert_eq!((report.sent, report.received), (1, 1));
        consumer.join().unwrap();
    });
}

/// `try_recv` notifies only if it finds the channel quiescent.
#[test]
fn try_recv_of_last_item_wakes_joiner() {
    last_item_wakes_joiner_of(|| bounded(1));
}

pub(crate) fn last_item_wakes_joiner_of(open: fn() -> (Sender<Item>, Receiver<Item>)) {
    model(move |tally| {
        let (sender, receiver) = shared(open());
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || drop(receive(&receiver))
        });
        let report = account(block_on(sender.join()));
        assert_eq!((report.sent, report.received), (1, 1));
        consumer.join().unwrap();
    });
}

#[test]
fn plain_join_completes_amid_traffic() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let [one, two] = [1, 2].map(|number| tally.item(number));
        send(&sender, one);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, two)
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || {
                for _ in 0..2 {
                    drop(block_on(receiver.recv()).unwrap());
                }
            }
        });
        let report = account(block_on(sender.join()));
        assert!((1..=2).contains(&report.sent), "{report:?}");
        producer.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(account(block_on(sender.join())).sent, 2);
    });
}

#[test]
fn close_or_last_item_wakes_finished() {
    close_or_last_item_wakes_finished_of(|| bounded(1));
}

pub(crate) fn close_or_last_item_wakes_finished_of(open: fn() -> (Sender<Item>, Receiver<Item>)) {
    model(move |tally| {
        let (sender, receiver) = shared(open());
        let monitor = sender.monitor();
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || drop(receive(&receiver))
        });
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(operation(|| sender.close()))
        });
        let report = account(block_on(monitor.finished()));
        assert_eq!((report.sent, report.received), (1, 1));
        consumer.join().unwrap();
        closer.join().unwrap();
    });
}
