//! Reports and failures: discarded items, and reports that add up.

use std::sync::Arc;

use loom::thread;
use tollgate::Failure;

use crate::joining::in_hand;
use crate::support::account;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::failed_account;
use crate::support::model;
use crate::support::send;
use crate::support::tasks;

#[test]
fn failed_returns_failure_before_end() {
    model(|tally| {
        let (sender, _receiver, [task, other]) = in_hand(tally);
        let monitor = sender.monitor();
        let error = tally.item(9);
        let worker = thread::spawn(move || drop(task.fail(error)));
        let failure = block_on(monitor.failed());
        assert!(matches!(failure, Some(Failure::Failed(error)) if error.to_string() == "item 9"));
        assert!(monitor.outstanding() >= 1);
        worker.join().unwrap();
        drop(other.done());
    });
}

#[test]
fn failed_returns_discard_before_end() {
    model(|tally| {
        let (sender, receiver) = tasks(2);
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let task = receiver.try_recv().unwrap();
        let last = thread::spawn(move || drop(receiver));
        let failure = block_on(sender.monitor().failed());
        assert!(matches!(failure, Some(Failure::Discarded)), "{failure:?}");
        last.join().unwrap();
        drop(task.done());
    });
}

#[test]
fn failed_sees_failure_of_last_task() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let worker = thread::spawn(move || drop(task));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        let failure = block_on(monitor.failed());
        assert!(matches!(failure, Some(Failure::Abandoned)), "{failure:?}");
        worker.join().unwrap();
        closer.join().unwrap();
    });
}

/// The accepted and the resolved count may be equal, but never at one instant.
#[test]
fn failed_sees_failure_between_tasks() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let item = tally.item(1);
        let worker = thread::spawn(move || {
            send(&sender, item);
            sender.close();
            drop(task.done());
            drop(receiver.try_recv().unwrap());
        });
        let failure = block_on(monitor.failed());
        assert!(matches!(failure, Some(Failure::Abandoned)), "{failure:?}");
        worker.join().unwrap();
    });
}

#[test]
fn failed_is_none_when_all_succeed() {
    model(|tally| {
        let (sender, _receiver, [task]) = in_hand(tally);
        let monitor = sender.monitor();
        let worker = thread::spawn(move || drop(task.done()));
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        assert!(block_on(monitor.failed()).is_none());
        worker.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn report_of_two_outcomes_adds_up() {
    model(|tally| {
        let (sender, _receiver, [task, other]) = in_hand(tally);
        let error = tally.item(9);
        let workers = [
            thread::spawn(move || drop(task.fail(error))),
            thread::spawn(move || drop(other)),
        ];
        let error = failed_account(block_on(sender.join()));
        let report = error.report;
        assert_eq!(
            (report.sent, report.done, report.failed, report.abandoned),
            (2, 0, 1, 1)
        );
        assert!(matches!(
            error.first,
            Failure::Failed(_) | Failure::Abandoned
        ));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Reads repeatedly, so that some read happens at every instant.
#[test]
fn report_adds_up_on_active_channel() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let [item, error] = [1, 9].map(|number| tally.item(number));
        let worker = thread::spawn({
            let sender = sender.clone();
            move || {
                drop(task.done());
                send(&sender, item);
                drop(receiver.try_recv().unwrap().fail(error));
            }
        });
        match block_on(sender.join()) {
            Ok(report) => {
                let report = account(Ok(report));
                assert_eq!((report.sent, report.done), (1, 1));
            }
            Err(error) => {
                let report = failed_account(Err(error)).report;
                assert_eq!((report.sent, report.done, report.failed), (2, 1, 1));
            }
        }
        worker.join().unwrap();
    });
}

/// `done` is computed from the other counts; a task that is ending is ahead of them by one.
#[test]
fn done_falls_by_one_at_most() {
    model(|tally| {
        let (sender, _receiver, [first, second, third, fourth]) = in_hand(tally);
        let monitor = sender.monitor();
        drop([first.done(), second.done()]);
        let worker = thread::spawn(move || drop([third, fourth]));
        let done = monitor.stats().report.done;
        assert!(done == 2 || done == 1, "{done}");
        worker.join().unwrap();
        assert_eq!(monitor.stats().report.done, 2);
    });
}

#[test]
fn last_receiver_reports_discarded() {
    model(|tally| {
        let (sender, receiver) = tasks(2);
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let last = thread::spawn(move || drop(receiver));
        let error = failed_account(block_on(sender.join()));
        assert!(matches!(error.first, Failure::Discarded));
        assert_eq!((error.report.sent, error.report.discarded), (2, 2));
        assert_eq!(tally.alive(), 0);
        last.join().unwrap();
    });
}

#[test]
fn task_send_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = tasks(2);
        let sender = Arc::new(sender);
        let [one, two] = [1, 2].map(|number| tally.item(number));
        send(&sender, one);
        let last = thread::spawn(move || drop(receiver));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || sender.try_send(two).is_ok()
        });
        let monitor = sender.monitor();
        let error = failed_account(block_on(monitor.finished()));
        assert!(matches!(error.first, Failure::Discarded));
        assert_eq!(error.report.sent, error.report.discarded);
        let sent = producer.join().unwrap();
        assert_eq!(error.report.sent, 1 + u64::from(sent));
        assert_eq!(tally.alive(), 0);
        last.join().unwrap();
    });
}

#[test]
fn plain_send_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let sender = Arc::new(sender);
        let item = tally.item(1);
        let last = thread::spawn(move || drop(receiver));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || sender.try_send(item).is_ok()
        });
        let monitor = sender.monitor();
        let outcome = block_on(monitor.finished());
        if producer.join().unwrap() {
            let error = failed_account(outcome);
            assert!(matches!(error.first, Failure::Discarded));
            assert_eq!((error.report.sent, error.report.discarded), (1, 1));
        } else {
            assert_eq!(account(outcome).sent, 0);
        }
        assert_eq!(tally.alive(), 0);
        last.join().unwrap();
    });
}

#[test]
fn task_in_hand_outlives_last_receiver() {
    model(|tally| {
        let (sender, receiver) = tasks(2);
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let task = receiver.try_recv().unwrap();
        let last = thread::spawn(move || drop(receiver));
        let worker = thread::spawn(move || drop(task.done()));
        let error = failed_account(block_on(sender.join()));
        let report = error.report;
        assert!(matches!(error.first, Failure::Discarded));
        assert_eq!((report.sent, report.done, report.discarded), (2, 1, 1));
        last.join().unwrap();
        worker.join().unwrap();
    });
}
