//! Senders that fail, against the close, the end, and the callers that wait for the end. Loom's threads do not unwind, so
//! the senders fail with an error. A panic takes the same way from the first step on.

use std::sync::Arc;

use loom::thread;
use tollgate::Failure;
use tollgate::JoinError;
use tollgate::Report;

use crate::joining::in_hand;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::channels;
use crate::support::failed_account;
use crate::support::model;
use crate::support::tasks;

/// How many senders have failed, after checking that the outcome agrees. Nothing else fails.
fn failed_senders(outcome: &Result<Report, JoinError>) -> u64 {
    match outcome {
        Ok(report) => {
            assert_eq!(report.failed_senders, 0);
            0
        }
        Err(error) => {
            assert!(matches!(error.first, Failure::SenderFailed(_)));
            assert!(error.report.failed_senders > 0);
            error.report.failed_senders
        }
    }
}

/// The last sender closes the channel, whichever of the two that is.
#[test]
fn finished_sees_failed_sender() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let monitor = sender.monitor();
        let (other, error) = (sender.clone(), tally.item(1));
        let producers = [
            thread::spawn(move || sender.fail(error)),
            thread::spawn(move || drop(other)),
        ];
        let error = failed_account(block_on(monitor.finished()));
        assert_eq!(error.report.failed_senders, 1);
        for producer in producers {
            producer.join().unwrap();
        }
        drop(receiver);
    });
}

#[test]
fn finished_sees_failed_sender_of_tasks() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        let monitor = sender.monitor();
        let error = tally.item(1);
        let producer = thread::spawn(move || sender.fail(error));
        assert!(block_on(receiver.recv()).is_err());
        // The receiver has seen the end.
        let error = failed_account(block_on(monitor.finished()));
        assert_eq!(error.report.failed_senders, 1);
        producer.join().unwrap();
    });
}

#[test]
fn failed_returns_sender_of_open_channel() {
    model(|tally| {
        let (sender, _receiver) = bounded(1);
        let (other, error) = (sender.clone(), tally.item(1));
        let producer = thread::spawn(move || other.fail(error));
        let failure = block_on(sender.monitor().failed());
        assert!(matches!(failure, Some(Failure::SenderFailed(_))));
        assert!(!sender.is_closed());
        producer.join().unwrap();
    });
}

/// The count and the first failure are those of one instant.
#[test]
fn join_agrees_with_failing_sender() {
    model(|tally| {
        let (sender, _receiver) = bounded(1);
        let (other, error) = (sender.clone(), tally.item(1));
        let producer = thread::spawn(move || other.fail(error));
        failed_senders(&block_on(sender.join()));
        producer.join().unwrap();
        assert_eq!(failed_senders(&block_on(sender.join())), 1);
    });
}

/// Two senders fail on a channel that another handle closes: some in time, some late.
#[test]
fn seen_end_outlasts_failing_senders() {
    model(|tally| {
        let (sender, _receiver) = bounded(1);
        let monitor = sender.monitor();
        let (other, errors) = (sender.clone(), [1, 2].map(|number| tally.item(number)));
        let producer = thread::spawn(move || {
            for (sender, error) in [sender, other].into_iter().zip(errors) {
                sender.fail(error);
            }
        });
        monitor.close();
        let seen = failed_senders(&block_on(monitor.finished()));
        let failed = block_on(monitor.failed());
        assert_eq!(failed.is_some(), seen > 0);
        producer.join().unwrap();
        assert_eq!(failed_senders(&block_on(monitor.finished())), seen);
        assert_eq!(failed_senders(&block_on(monitor.join())), seen);
    });
}

/// The last task and a failing sender of a closed channel.
#[test]
fn last_task_races_with_failing_sender() {
    model(|tally| {
        let (sender, receiver, [task]) = in_hand(tally);
        let sender = Arc::into_inner(sender).unwrap();
        let monitor = sender.monitor();
        assert!(sender.close());
        let error = tally.item(9);
        let producer = thread::spawn(move || sender.fail(error));
        drop(task.done());
        let seen = failed_senders(&block_on(monitor.finished()));
        producer.join().unwrap();
        assert_eq!(failed_senders(&block_on(monitor.finished())), seen);
        drop(receiver);
    });
}

/// The sender is the last handle, or the receiver is.
#[test]
fn failing_sender_frees_channel_and_error() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let error = tally.item(1);
        let last = thread::spawn(move || drop(receiver));
        sender.fail(error);
        last.join().unwrap();
        assert_eq!((channels(), tally.alive()), (0, 0));
    });
}
