//! Measured time: how long items were queued, and how long tasks are in hand.
//!
//! A test knows that time has passed since a moment, and how much at most. It does not know how much exactly.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use pollster::block_on;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::Stats;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::common::Watchdog;
use crate::common::poll_once;

const ITEMS: u32 = 100_000;

const MILLI: Duration = Duration::from_millis(1);

fn capacities() -> [Builder; 3] {
    let builder = Builder::new().measure_time();
    [
        builder.clone().capacity(3),
        builder.clone().capacity(4),
        builder,
    ]
}

fn plain() -> impl Iterator<Item = (Sender<u32>, Receiver<u32>)> {
    capacities().into_iter().map(|builder| builder.build())
}

fn tasks() -> impl Iterator<Item = (Sender<u32>, TaskReceiver<u32>)> {
    capacities()
        .into_iter()
        .map(|builder| builder.build_tasks())
}

/// Lets time pass, so that an earlier moment and a later one differ.
fn let_time_pass() {
    thread::sleep(MILLI);
}

/// A span of time in which something has happened.
#[derive(Clone, Copy)]
struct Span(Instant, Instant);

fn span<R>(f: impl FnOnce() -> R) -> (Span, R) {
    let_time_pass();
    let begin = Instant::now();
    let result = f();
    let end = Instant::now();
    let_time_pass();
    (Span(begin, end), result)
}

impl Span {
    /// Asserts that an age, which `read` returns, is the time since this span.
    #[track_caller]
    fn assert_age(self, read: impl FnOnce() -> Option<Duration>) {
        let before = Instant::now();
        let age = read().expect("an age");
        let after = Instant::now();
        assert!(age >= before - self.1, "{age:?} is too short");
        assert!(age <= after - self.0, "{age:?} is too long");
    }

    /// Asserts that a duration is that from this span to a later one.
    #[track_caller]
    fn assert_until(self, later: Self, duration: Option<Duration>) {
        let duration = duration.expect("a duration");
        assert!(duration >= later.0 - self.1, "{duration:?} is too short");
        assert!(duration <= later.1 - self.0, "{duration:?} is too long");
    }
}

fn ages(stats: &Stats) -> (Option<Duration>, Option<Duration>) {
    (stats.oldest_queued, stats.oldest_in_hand)
}

/// The channel has neither queued items nor tasks in hand.
#[track_caller]
fn assert_no_ages<T>(monitor: &Monitor<T>) {
    assert_eq!(ages(&monitor.stats()), (None, None));
}

#[test]
fn age_of_queue_is_that_of_its_first_item() {
    for (sender, receiver) in plain() {
        let monitor = sender.monitor();
        // More than a lap, and more than a segment.
        for round in 0..200 {
            assert_no_ages(&monitor);
            let pause = if round % 50 == 0 {
                MILLI
            } else {
                Duration::ZERO
            };
            let sent = [round, round + 1].map(|item| {
                let begin = Instant::now();
                sender.try_send(item).unwrap();
                let end = Instant::now();
                thread::sleep(pause);
                Span(begin, end)
            });
            for (item, sent) in (round..).zip(sent) {
                sent.assert_age(|| monitor.stats().oldest_queued);
                assert_eq!(receiver.try_recv(), Ok(item));
            }
        }
    }
}

#[test]
fn age_of_queue_survives_eviction() {
    let (sender, receiver) = Builder::new().measure_time().capacity(2).build();
    let monitor = sender.monitor();
    let sent = [1, 2, 3, 4].map(|item| span(|| sender.force_send(item).unwrap()).0);
    sent[2].assert_age(|| monitor.stats().oldest_queued);
    assert_eq!(receiver.try_recv(), Ok(3));
    sent[3].assert_age(|| monitor.stats().oldest_queued);
    assert_eq!(receiver.try_recv(), Ok(4));
    assert_no_ages(&monitor);
}

#[test]
fn task_waited_from_sending_to_receiving() {
    for (sender, receiver) in tasks() {
        for item in 0..3 {
            let (sent, ()) = span(|| sender.try_send(item).unwrap());
            let (received, task) = span(|| receiver.try_recv().unwrap());
            sent.assert_until(received, task.waited());
            // It does not change.
            sent.assert_until(received, task.waited());
            assert_eq!((task.attempt(), task.done()), (1, item));
        }
    }
}

/// The time for which a send waits does not count.
#[test]
fn wait_for_room_is_not_measured() {
    let _watchdog = Watchdog::of("wait_for_room_is_not_measured");
    let (sender, receiver) = Builder::new().measure_time().capacity(1).build_tasks();
    sender.try_send(1).unwrap();
    let mut second = sender.send(2);
    assert!(poll_once(&mut second).is_pending());
    let_time_pass();
    receiver.try_recv().unwrap().done();
    let (sent, result) = span(|| block_on(second));
    result.unwrap();
    sent.assert_age(|| sender.monitor().stats().oldest_queued);
    let (received, task) = span(|| receiver.try_recv().unwrap());
    sent.assert_until(received, task.waited());
    task.done();
}

#[test]
fn batches_are_measured() {
    for (sender, receiver) in tasks() {
        let mut items = VecDeque::from([1, 2]);
        let (first, sent) = span(|| sender.try_send_many(&mut items));
        assert_eq!(sent, Ok(2));
        let (second, ()) = span(|| sender.try_send(3).unwrap());
        first.assert_age(|| sender.monitor().stats().oldest_queued);

        let (mut batch, max) = (Vec::new(), NonZeroUsize::new(3).unwrap());
        let (received, count) = span(|| receiver.try_recv_many(&mut batch, max));
        assert_eq!(count, Ok(max));
        for (task, sent) in batch.into_iter().zip([first, first, second]) {
            sent.assert_until(received, task.waited());
            received.assert_age(|| sender.monitor().stats().oldest_in_hand);
            task.done();
        }
        assert_no_ages(&sender.monitor());
    }
}

type End = fn(Task<u32>);

/// The ways to end a task. Each leaves the channel without queued items.
fn ways_to_end() -> [(&'static str, End); 8] {
    [
        ("done", |task| assert!(task.done() > 0)),
        ("fail", |task| assert!(task.fail("broken") > 0)),
        ("drop", drop),
        ("panic", |task| {
            let panics = AssertUnwindSafe(|| {
                let _task = task;
                panic!("expected");
            });
            assert!(catch_unwind(panics).is_err());
        }),
        ("refused retry", |task| assert!(task.retry().is_err())),
        ("ticket done", |task| task.split().1.done()),
        ("ticket fail", |task| task.split().1.fail("broken")),
        ("ticket drop", |task| drop(task.split().1)),
    ]
}

#[test]
fn age_in_hand_is_that_of_first_task() {
    for (name, end) in ways_to_end() {
        println!("{name}");
        for open in [true, false] {
            for builder in capacities() {
                let builder = builder.max_attempts(NonZeroU32::MIN);
                let (sender, receiver) = builder.build_tasks();
                let monitor = sender.monitor();
                (1..=3).for_each(|item| sender.try_send(item).unwrap());
                let received = [(); 3].map(|()| span(|| receiver.try_recv().unwrap()));
                if !open {
                    sender.close();
                }
                let [(first, a), (_, b), (third, c)] = received;
                first.assert_age(|| monitor.stats().oldest_in_hand);
                // Not the first in the list.
                end(b);
                first.assert_age(|| monitor.stats().oldest_in_hand);
                end(a);
                third.assert_age(|| monitor.stats().oldest_in_hand);
                end(c);
                assert_no_ages(&monitor);
                assert_eq!(monitor.outstanding(), 0);
            }
        }
    }
}

#[test]
fn ticket_is_in_hand() {
    for (sender, receiver) in tasks() {
        sender.try_send(1).unwrap();
        let (received, task) = span(|| receiver.try_recv().unwrap());
        let (_, ticket) = task.split();
        received.assert_age(|| sender.monitor().stats().oldest_in_hand);
        ticket.done();
        assert_no_ages(&sender.monitor());
    }
}

/// The last task of a channel without handles frees it, and leaves the list before.
#[test]
fn task_outlives_handles() {
    for (name, end) in ways_to_end() {
        println!("{name}");
        for builder in capacities() {
            let (sender, receiver) = builder.max_attempts(NonZeroU32::MIN).build_tasks();
            sender.try_send(1).unwrap();
            sender.try_send(2).unwrap();
            let tasks = [(); 2].map(|()| receiver.try_recv().unwrap());
            drop((sender, receiver));
            tasks.into_iter().for_each(end);
        }
    }
}

/// An item that is queued again has waited since then.
#[test]
fn retry_and_follow_up_are_measured() {
    for (sender, receiver) in tasks() {
        let monitor = sender.monitor();
        sender.try_send(1).unwrap();
        let task = receiver.try_recv().unwrap();
        let (followed_up, result) = span(|| task.follow_up(2));
        result.unwrap();
        let (retried, result) = span(|| task.retry());
        result.unwrap();
        assert_eq!(monitor.stats().oldest_in_hand, None);
        followed_up.assert_age(|| monitor.stats().oldest_queued);

        let (received, task) = span(|| receiver.try_recv().unwrap());
        assert_eq!((*task, task.attempt()), (2, 1));
        followed_up.assert_until(received, task.waited());
        task.done();
        retried.assert_age(|| monitor.stats().oldest_queued);

        let mut batch = Vec::new();
        let (received, count) = span(|| receiver.try_recv_many(&mut batch, NonZeroUsize::MIN));
        assert_eq!(count, Ok(NonZeroUsize::MIN));
        let task = batch.pop().unwrap();
        assert_eq!((*task, task.attempt()), (1, 2));
        retried.assert_until(received, task.waited());
        received.assert_age(|| monitor.stats().oldest_in_hand);
        task.done();
        assert_no_ages(&monitor);
    }
}

/// The older of the two items counts, whichever part of the queue holds it.
#[test]
fn age_of_queue_includes_both_parts() {
    for (sender, receiver) in tasks() {
        let monitor = sender.monitor();
        for item in [1, 2] {
            sender.try_send(item).unwrap();
        }
        let task = receiver.try_recv().unwrap();
        let (_, task_2) = span(|| receiver.try_recv().unwrap());
        let (sent, result) = span(|| sender.try_send(3));
        result.unwrap();
        let (_, result) = span(|| task.retry());
        result.unwrap();
        sent.assert_age(|| monitor.stats().oldest_queued);
        drop(monitor.close_now());
        assert_eq!(monitor.stats().oldest_queued, None);
        task_2.done();
        assert_no_ages(&monitor);
    }
}

/// A dropped task is queued again, and is then no longer in hand.
#[test]
fn requeued_task_is_measured() {
    let builder = Builder::new().measure_time().capacity(1);
    let builder = builder
        .max_attempts(NonZeroU32::new(2).unwrap())
        .on_abandon(Abandon::Requeue);
    let (sender, receiver) = builder.build_tasks();
    sender.try_send(1).unwrap();
    let task = receiver.try_recv().unwrap();
    let (dropped, ()) = span(|| drop(task));
    assert_eq!(sender.monitor().stats().oldest_in_hand, None);
    dropped.assert_age(|| sender.monitor().stats().oldest_queued);
    let (received, task) = span(|| receiver.try_recv().unwrap());
    dropped.assert_until(received, task.waited());
    task.done();
}

/// A delayed item has waited since it was due, not since it was delayed.
#[test]
fn delay_is_not_measured() {
    let _watchdog = Watchdog::of("delay_is_not_measured");
    for (sender, receiver) in tasks() {
        let monitor = sender.monitor();
        sender.try_send(1).unwrap();
        let task = receiver.try_recv().unwrap();
        let due = Instant::now() + 20 * MILLI;
        task.retry_at(due).unwrap();
        while monitor.stats().queued == 0 {
            thread::sleep(MILLI);
        }
        Span(due, due).assert_age(|| monitor.stats().oldest_queued);
        let (received, task) = span(|| receiver.recv_blocking().unwrap());
        Span(due, due).assert_until(received, task.waited());
        task.done();
        assert_no_ages(&monitor);
    }
}

/// While an item is delayed, it is not queued.
#[test]
fn delayed_item_has_no_age() {
    for (sender, receiver) in tasks() {
        sender.try_send(1).unwrap();
        let task = receiver.try_recv().unwrap();
        task.retry_after(Duration::from_secs(60 * 60)).unwrap();
        assert_no_ages(&sender.monitor());
    }
}

/// However many receivers change the queue meanwhile, its age is that of the first item. All items were sent
/// before a moment, so an age that is less than the time since then is that of no item.
#[test]
fn age_of_backlog_is_never_too_short() {
    let _watchdog = Watchdog::of("age_of_backlog_is_never_too_short");
    let builder = Builder::new().measure_time();
    for builder in [builder.clone().capacity(ITEMS as usize), builder] {
        for max in [1, 64] {
            let (sender, receiver) = builder.build_tasks();
            let monitor = sender.monitor();
            (0..ITEMS).for_each(|item| sender.try_send(item).unwrap());
            let sent = Instant::now();
            drop(sender);
            thread::scope(|scope| {
                for _ in 0..2 {
                    let receiver = receiver.clone();
                    scope.spawn(move || receive_all(&receiver, NonZeroUsize::new(max).unwrap()));
                }
                while monitor.stats().queued > 0 {
                    let before = Instant::now();
                    let age = monitor.stats().oldest_queued;
                    assert!(age.is_none_or(|age| age >= before - sent), "{age:?}");
                }
            });
            assert_no_ages(&monitor);
        }
    }
}

fn receive_all(receiver: &TaskReceiver<u32>, max: NonZeroUsize) {
    let mut batch = Vec::new();
    while receiver.try_recv_many(&mut batch, max).is_ok() {
        batch
            .drain(..)
            .for_each(|task| assert!(task.done() < ITEMS));
    }
}

#[test]
fn ages_are_plausible_under_load() {
    let _watchdog = Watchdog::of("ages_are_plausible_under_load");
    let start = Instant::now();
    for (sender, receiver) in tasks() {
        let monitor = sender.monitor();
        thread::scope(|scope| {
            for _ in 0..2 {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                scope
                    .spawn(move || (0..5_000).for_each(|item| sender.send_blocking(item).unwrap()));
                scope.spawn(move || {
                    for task in &receiver {
                        assert!(task.waited().unwrap() <= start.elapsed());
                        task.done();
                    }
                });
            }
            drop((sender, receiver));
            while monitor.finished_timeout(Duration::ZERO).is_none() {
                let (queued, in_hand) = ages(&monitor.stats());
                assert!(queued.max(in_hand).unwrap_or_default() <= start.elapsed());
            }
        });
        assert_no_ages(&monitor);
        assert_eq!(monitor.stats().report.done, 10_000);
    }
}

#[test]
fn nothing_is_measured_unless_asked_for() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let task = receiver.try_recv().unwrap();
    assert_no_ages(&sender.monitor());
    assert_eq!(task.waited(), None);
    task.retry().unwrap();
    assert_no_ages(&sender.monitor());
}

#[test]
fn debug_shows_ages() {
    for (sender, receiver) in tasks() {
        let monitor = sender.monitor();
        assert!(!format!("{monitor:?}").contains("oldest"));
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        let task = receiver.try_recv().unwrap();
        let text = format!("{monitor:?}");
        assert!(
            text.contains("oldest_queued: ") && text.contains("oldest_in_hand: "),
            "{text}"
        );
        task.done();
    }
}
