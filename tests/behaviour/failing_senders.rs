//! Senders that fail: with an error, or because a panic drops them.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;

use tollgate::Failure;
use tollgate::JoinError;
use tollgate::Report;

use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_once;
use crate::common::take_one;

/// Whether a channel sees that a panic drops a sender. If not, that is no failure.
const SEEN: bool = cfg!(feature = "std");

on_both_kinds! {
    finished_reports_panic_of_producer,
    finished_reports_error_of_producer,
    failed_completes_while_channel_is_open,
    join_reports_failed_sender_of_open_channel,
    every_failed_sender_is_counted,
    failure_of_last_sender_wakes_all,
    failed_sender_closes_channel_only_if_last,
    sender_fails_on_closed_channel,
    outcome_of_finished_channel_is_final,
    end_that_no_call_has_seen_includes_late_failure,
    late_error_is_dropped_once,
    taken_failure_of_sender_stays_counted,
    sender_that_fails_in_panic_fails_once,
    owned_send_and_upgraded_sender_fail_too,
    other_handles_never_fail,
    panic_of_conversion_is_panic_of_sender,
    failing_senders_race_with_end,
}

/// A worker that panics while it owns `owned`.
fn panic_with<R>(owned: R) {
    let worker = || {
        let _owned = owned;
        resume_unwind(Box::new("worker"));
    };
    catch_unwind(AssertUnwindSafe(worker)).unwrap_err();
}

/// Calls `act` in a destructor, while a panic unwinds the stack.
fn while_unwinding(act: impl FnOnce()) {
    struct OnDrop<F: FnOnce()>(Option<F>);

    impl<F: FnOnce()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }

    panic_with(OnDrop(Some(act)));
}

#[track_caller]
fn error_of(outcome: Result<Report, JoinError>) -> JoinError {
    let error = outcome.unwrap_err();
    assert_adds_up(&error.report);
    error
}

fn text_of(failure: &Failure) -> String {
    match failure {
        Failure::SenderFailed(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn drain<K: Kind>(receiver: &ReceiverOf<K>) -> usize {
    let mut count = 0;
    while take_one(receiver).is_ok() {
        count += 1;
    }
    count
}

/// The producer meant to send more.
fn finished_reports_panic_of_producer<K: Kind>() {
    let (sender, receiver) = K::channel(10);
    let monitor = sender.monitor();
    let producer = thread::spawn(move || {
        for item in 0..1_000 {
            if item == 10 {
                resume_unwind(Box::new("cannot read the rest"));
            }
            sender.try_send(item).unwrap();
        }
    });
    assert!(producer.join().is_err());
    assert_eq!(drain::<K>(&receiver), 10);
    if !SEEN {
        assert_eq!(now(monitor.finished()).unwrap().failed_senders, 0);
        return;
    }
    let error = error_of(now(monitor.finished()));
    assert!(matches!(error.first, Failure::SenderPanicked));
    assert!(error.first.source().is_none());
    let report = error.report;
    assert_eq!((report.sent, report.done), (10, 10));
    assert_eq!((report.failed_senders, report.panicked), (1, 0));
    assert_eq!(
        error.to_string(),
        "not all work ended well: 0 failed, 0 abandoned, 0 panicked, 0 discarded, 1 sender failed"
    );
    assert_eq!(error.first.to_string(), "a sender was dropped by a panic");
}

fn finished_reports_error_of_producer<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.clone().fail("first");
    sender.fail("disk full");
    assert_eq!(drain::<K>(&receiver), 1);
    let error = error_of(now(monitor.finished()));
    assert_eq!(text_of(&error.first), "first");
    assert_eq!(error.first.to_string(), "a sender failed");
    assert_eq!(error.first.source().unwrap().to_string(), "first");
    assert_eq!((error.report.failed_senders, error.report.failed), (2, 0));
    assert!(error.to_string().ends_with("0 discarded, 2 senders failed"));
}

fn failed_completes_while_channel_is_open<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let mut failed: Vec<_> = (0..3).map(|_| Waiter::waiting(monitor.failed())).collect();
    let join = Waiter::waiting(monitor.join());
    sender.clone().fail("early");
    for failed in &mut failed {
        assert_eq!(failed.wakes(), 1);
        let Poll::Ready(Some(failure)) = failed.poll() else {
            panic!("a sender has failed");
        };
        assert_eq!(text_of(&failure), "early");
    }
    assert_eq!(join.wakes(), 0);
    assert!(!sender.is_closed());
    drop(receiver);
}

fn join_reports_failed_sender_of_open_channel<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let mut join = Waiter::waiting(monitor.join());
    sender.clone().fail("early");
    assert!(join.poll().is_pending());
    take_one(&receiver).unwrap();
    let Poll::Ready(outcome) = join.poll() else {
        panic!("no work is left");
    };
    assert_eq!(error_of(outcome).report.failed_senders, 1);
    assert_eq!(monitor.stats().report.failed_senders, 1);
    // An idle channel, too.
    assert!(monitor.take_failure().is_some());
    assert!(now(monitor.join()).is_ok());
    sender.clone().fail("idle");
    assert_eq!(text_of(&error_of(now(monitor.join())).first), "idle");
}

fn every_failed_sender_is_counted<K: Kind>() {
    let (sender, _receiver) = K::channel(1);
    for _ in 0..3 {
        panic_with(sender.clone());
        sender.clone().fail("an error");
        drop(sender.clone());
    }
    let report = error_of(now(sender.join())).report;
    assert_eq!(report.failed_senders, if SEEN { 6 } else { 3 });
    assert_eq!(sender.sender_count(), 1);
}

fn failure_of_last_sender_wakes_all<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let mut finished = Waiter::waiting(monitor.finished());
    let mut failed = Waiter::waiting(monitor.failed());
    let mut closed = Waiter::waiting(receiver.closed());
    let mut recv = Waiter::waiting(receiver.recv());
    sender.fail("last");
    for wakes in [
        finished.wakes(),
        failed.wakes(),
        closed.wakes(),
        recv.wakes(),
    ] {
        assert_eq!(wakes, 1);
    }
    assert!(matches!(finished.poll(), Poll::Ready(Err(_))));
    assert!(matches!(failed.poll(), Poll::Ready(Some(_))));
    assert!(closed.poll().is_ready());
    assert!(matches!(recv.poll(), Poll::Ready(Err(_))));
}

fn failed_sender_closes_channel_only_if_last<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let other = sender.clone();
    sender.fail("first");
    assert!(!receiver.is_closed());
    assert_eq!(other.try_send(1), Ok(()));
    panic_with(other);
    assert!(receiver.is_closed());
    assert_eq!(take_one(&receiver), Ok(1));
}

fn sender_fails_on_closed_channel<K: Kind>() {
    for fails in [true, false] {
        let (sender, receiver) = K::channel(1);
        let monitor = sender.monitor();
        sender.try_send(1).unwrap();
        monitor.close();
        let mut failed = Waiter::waiting(monitor.failed());
        match fails {
            true => sender.fail("late, but before the end"),
            false => panic_with(sender),
        }
        let counts = fails || SEEN;
        assert_eq!(failed.wakes(), usize::from(counts));
        assert_eq!(failed.poll().is_ready(), counts);
        take_one(&receiver).unwrap();
        assert_eq!(now(monitor.finished()).is_err(), counts);
    }
}

fn outcome_of_finished_channel_is_final<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let senders = [(); 2].map(|()| sender.clone());
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    sender.close();
    let report = now(monitor.finished()).unwrap();
    let [first, second] = senders;
    panic_with(first);
    second.fail("too late");
    sender.fail("too late");
    assert_eq!(now(monitor.finished()).unwrap(), report);
    assert_eq!(now(monitor.join()).unwrap(), report);
    assert!(now(monitor.failed()).is_none());
    assert_eq!(monitor.stats().report, report);
    assert!(monitor.take_failure().is_none());
}

/// The end is what counts, not whether a call has reported it.
fn end_that_no_call_has_seen_includes_late_failure<K: Kind>() {
    if cfg!(feature = "tracing") {
        // The event of the end has reported the outcome.
        return;
    }
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    drop(receiver);
    sender.fail("not all was sent");
    let error = now(monitor.finished()).unwrap_err();
    assert_eq!(error.report.failed_senders, 1);
}

/// An error that counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

impl Error for Counted {}

fn late_error_is_dropped_once<K: Kind>() {
    let drops = Arc::new(AtomicUsize::new(0));
    let error = || Counted(Arc::clone(&drops));
    let dropped = || drops.load(Ordering::Relaxed);
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.clone().fail(error());
    assert_eq!(dropped(), 0);
    // Not the first.
    sender.clone().fail(error());
    assert_eq!(dropped(), 1);
    sender.close();
    assert!(now(monitor.finished()).is_err());
    sender.fail(error());
    assert_eq!(dropped(), 2);
    drop((receiver, monitor));
    assert_eq!(dropped(), 3);
}

fn taken_failure_of_sender_stays_counted<K: Kind>() {
    let (sender, _receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.fail("taken");
    assert_eq!(text_of(&monitor.take_failure().unwrap()), "taken");
    assert_eq!(now(monitor.finished()).unwrap().failed_senders, 1);
    assert!(now(monitor.failed()).is_none());
}

/// Not with its error, and again because the thread unwinds.
fn sender_that_fails_in_panic_fails_once<K: Kind>() {
    let (sender, _receiver) = K::channel(1);
    let monitor = sender.monitor();
    while_unwinding(|| sender.fail("in a destructor"));
    let error = error_of(now(monitor.finished()));
    assert_eq!(text_of(&error.first), "in a destructor");
    assert_eq!(error.report.failed_senders, 1);
}

fn owned_send_and_upgraded_sender_fail_too<K: Kind>() {
    let (sender, _receiver) = K::channel(2);
    let count = || sender.monitor().stats().report.failed_senders;
    // A sender that becomes a future in a destructor has not failed.
    let mut send = None;
    while_unwinding(|| send = Some(sender.clone().into_send(1)));
    assert!(now(send.as_mut().unwrap()).is_ok());
    drop(send);
    assert_eq!((count(), sender.sender_count()), (0, 1));

    let each = u64::from(SEEN);
    panic_with(sender.clone().into_send(2));
    assert_eq!(count(), each);
    panic_with(sender.downgrade().upgrade());
    assert_eq!(count(), 2 * each);
    // A sender that waits.
    let mut waiting = sender.clone();
    sender.try_send(3).unwrap();
    let poll = std::future::poll_fn(|cx| waiting.poll_ready(cx));
    assert!(poll_once(&mut Box::pin(poll)).is_pending());
    panic_with(waiting);
    assert_eq!(count(), 3 * each);
    #[cfg(feature = "futures")]
    {
        panic_with(sender.clone().into_sink());
        assert_eq!(count(), 4 * each);
    }
    assert_eq!(sender.sender_count(), 1);
}

fn other_handles_never_fail<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    panic_with((receiver.clone(), sender.monitor(), sender.downgrade()));
    let send = sender.send(1);
    panic_with(send);
    panic_with(sender.join());
    panic_with(receiver);
    drop(sender.clone());
    assert_eq!(now(sender.join()).unwrap(), Report::default());
}

fn panic_of_conversion_is_panic_of_sender<K: Kind>() {
    struct Reason;

    impl From<Reason> for Box<dyn Error + Send + Sync> {
        fn from(_: Reason) -> Self {
            resume_unwind(Box::new("conversion"));
        }
    }

    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    catch_unwind(AssertUnwindSafe(|| sender.fail(Reason))).unwrap_err();
    assert!(receiver.is_closed());
    let outcome = now(monitor.finished());
    assert_eq!(outcome.is_err(), SEEN);
    if SEEN {
        assert!(matches!(error_of(outcome).first, Failure::SenderPanicked));
    }
}

/// Producers fail while another thread closes the channel: once the end is reported, it stays as it is.
fn failing_senders_race_with_end<K: Kind>() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    for round in 0..rounds {
        let (sender, _receiver) = K::channel(1);
        let monitor = sender.monitor();
        thread::scope(|scope| {
            for number in 0..2 {
                let sender = sender.clone();
                scope.spawn(move || match number {
                    0 => sender.fail("an error"),
                    _ => panic_with(sender),
                });
            }
            for _ in 0..round % 4 {
                thread::yield_now();
            }
            // The last sender is dropped after those that fail, or the channel is closed meanwhile.
            let closes = round % 2 == 0;
            scope.spawn(move || closes && sender.close());
            let counts = || {
                let outcome = pollster::block_on(monitor.finished());
                assert_eq!(outcome.is_err(), now(monitor.failed()).is_some());
                match outcome {
                    Ok(report) => {
                        assert!(closes && report.failed_senders == 0);
                        report
                    }
                    Err(error) => {
                        assert!(error.report.failed_senders > 0);
                        error.report
                    }
                }
            };
            let first = counts();
            for _ in 0..10 {
                assert_eq!(counts(), first);
                thread::yield_now();
            }
        });
    }
}

/// The failure of a sender comes before what it closes, in the order in which both are seen.
#[test]
fn first_failure_is_that_of_sender_before_task() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.fail("sender");
    receiver.try_recv().unwrap().fail("task");
    let error = error_of(now(monitor.finished()));
    assert_eq!(text_of(&error.first), "sender");
    assert_eq!((error.report.failed, error.report.failed_senders), (1, 1));
}

/// Without `std`, neither is known to be dropped by a panic.
#[cfg(feature = "std")]
#[test]
fn sender_of_worker_that_panics_counts_besides_its_task() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    panic_with((receiver.try_recv().unwrap(), sender.clone()));
    let error = error_of(now(sender.join()));
    assert_eq!((error.report.panicked, error.report.failed_senders), (1, 1));
}
