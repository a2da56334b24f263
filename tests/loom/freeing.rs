//! The channel's memory: the last of its handles and tasks frees it, once.

use loom::thread;
use tollgate::Monitor;
use tollgate::Task;

use crate::support::Item;
use crate::support::Tally;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::channels;
use crate::support::model;
use crate::support::requeuing_tasks;
use crate::support::send;
use crate::support::tasks;

/// A channel with only a monitor left, and as many tasks.
fn last_handle<const N: usize>(tally: &Tally) -> (Monitor<Item>, [Task<Item>; N]) {
    let (sender, receiver) = tasks(2);
    let tasks = std::array::from_fn(|number| {
        send(&sender, tally.item(number));
        receiver.try_recv().unwrap()
    });
    (sender.monitor(), tasks)
}

#[test]
fn last_handle_and_last_task() {
    model(|tally| {
        let (monitor, [task]) = last_handle(tally);
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(task.done());
        });
        drop(monitor);
        worker.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn last_handle_and_two_tasks() {
    model(|tally| {
        let (monitor, tasks) = last_handle::<2>(tally);
        let workers = tasks.map(|task| {
            thread::spawn(move || {
                assert_eq!(channels(), 1);
                drop(task.done());
            })
        });
        drop(monitor);
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(channels(), 0);
    });
}

#[test]
fn two_handles_and_task() {
    model(|tally| {
        let (monitor, [task]) = last_handle(tally);
        let other = monitor.clone();
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(task.done());
        });
        let watcher = thread::spawn(move || drop(other));
        drop(monitor);
        worker.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn last_handle_ticket_and_task() {
    model(|tally| {
        let (monitor, [task, other]) = last_handle(tally);
        let (item, ticket) = task.split();
        drop(item);
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            ticket.done();
        });
        let failing = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(other.fail("no"));
        });
        drop(monitor);
        worker.join().unwrap();
        failing.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

/// A failure needs a handle to notify waiters: a worker upgrades from a count that is falling.
#[test]
fn last_handle_and_two_abandoned_tasks() {
    model(|tally| {
        let (monitor, [task, other]) = last_handle(tally);
        let (item, ticket) = other.split();
        drop(item);
        let workers = [
            thread::spawn(move || {
                assert_eq!(channels(), 1);
                drop(task);
            }),
            thread::spawn(move || {
                assert_eq!(channels(), 1);
                drop(ticket);
            }),
        ];
        drop(monitor);
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(channels(), 0);
    });
}

#[test]
fn both_ends_and_task() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(task.done());
        });
        let last = thread::spawn(move || drop(receiver));
        drop(sender);
        worker.join().unwrap();
        last.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

/// A waiter completes and drops the last handle, while the worker still notifies.
#[test]
fn joiner_frees_channel_while_notified() {
    model(|tally| {
        let (monitor, [task]) = last_handle(tally);
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(task.done());
        });
        assert_eq!(block_on(monitor.finished()).unwrap().done, 1);
        drop(monitor);
        worker.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn both_ends_of_plain_channel() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let item = tally.item(1);
        let other = sender.clone();
        let last = thread::spawn(move || drop(receiver));
        let producer = thread::spawn(move || {
            let _ = other.try_send(item);
        });
        drop(sender);
        last.join().unwrap();
        producer.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

/// A channel with only a monitor left refuses a retry.
#[test]
fn last_handle_and_retried_task() {
    model(|tally| {
        let (monitor, [task]) = last_handle(tally);
        let item = tally.item(9);
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            assert!(task.follow_up(item).is_err());
            assert!(task.retry().unwrap_err().is_terminated());
        });
        drop(monitor);
        worker.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn both_ends_and_retried_task() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            let _ = task.retry();
        });
        drop(sender);
        let last = thread::spawn(move || drop(receiver));
        worker.join().unwrap();
        last.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn both_ends_and_follow_up() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let item = tally.item(2);
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            let _ = task.follow_up(item);
            drop(task.done());
        });
        drop(sender);
        let last = thread::spawn(move || drop(receiver));
        worker.join().unwrap();
        last.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn both_ends_and_requeued_task() {
    model(|tally| {
        let (sender, receiver) = requeuing_tasks(2);
        send(&sender, tally.item(1));
        let task = receiver.try_recv().unwrap();
        let worker = thread::spawn(move || {
            assert_eq!(channels(), 1);
            drop(task);
        });
        drop(sender);
        let last = thread::spawn(move || drop(receiver));
        worker.join().unwrap();
        last.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

#[test]
fn close_now_frees_channel() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let monitor = sender.monitor();
        drop(sender);
        let closer = thread::spawn(move || drop(monitor.close_now()));
        drop(receiver);
        closer.join().unwrap();
        assert_eq!(channels(), 0);
    });
}
