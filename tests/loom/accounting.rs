//! What is told of the work: failures, discarded items, accounts that add up.

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
fn a_failure_is_heard_of_before_the_end() {
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
fn a_discard_is_heard_of_before_the_end() {
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
fn the_failure_of_the_last_task_is_not_missed() {
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

/// What is accepted and what is resolved may be equal, though never at one instant.
#[test]
fn a_failure_is_not_missed_when_one_task_follows_another() {
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
fn no_failure_is_heard_of_when_all_ended_well() {
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
fn the_account_of_two_outcomes_adds_up() {
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

/// Looks again and again, so that it comes to every instant.
#[test]
fn the_account_adds_up_while_the_channel_goes_on() {
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

/// What is done is told by what else became of the items, which one that is ending is ahead of.
#[test]
fn what_is_done_does_not_fall_by_more_than_the_one_that_is_ending() {
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
fn the_last_receiver_tells_what_it_discards() {
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
fn what_is_sent_while_the_last_receiver_goes_is_discarded_or_comes_back() {
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
fn what_is_sent_on_a_plain_channel_while_the_last_receiver_goes_is_accounted_for() {
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
fn a_task_in_hand_outlives_the_last_receiver() {
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
