//! When `join`, `finished` and `failed` are ready, whom they wake, and what they report.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;

use tollgate::Failure;

use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    unused_channel_is_joined,
    all_joiners_are_woken,
    join_can_be_repeated,
    join_rechecks_when_polled,
    waiting_send_does_not_count,
    dropped_join_strands_no_joiner,
    monitor_outlives_other_handles,
    outstanding_counts_queued_and_in_hand,
    report_adds_up_at_every_join,
    finished_is_permanent,
    intermediate_items_wake_no_joiner,
}

fn unused_channel_is_joined<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    assert_eq!(now(monitor.join()).unwrap(), Default::default());
    assert_eq!(now(sender.join()).unwrap(), Default::default());
    assert!(poll_once(&mut monitor.finished()).is_pending());
    drop(receiver);
    assert_eq!(now(monitor.finished()).unwrap(), Default::default());
}

fn all_joiners_are_woken<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let mut joins: Vec<_> = (0..9).map(|_| Waiter::waiting(monitor.join())).collect();
    take_one(&receiver).unwrap();
    for join in &mut joins {
        assert_eq!(join.wakes(), 1);
        assert!(matches!(join.poll(), Poll::Ready(Ok(report)) if report.done == 1));
    }
}

fn join_can_be_repeated<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    for round in 1..=5 {
        sender.try_send(1).unwrap();
        let mut join = Waiter::waiting(sender.join());
        take_one(&receiver).unwrap();
        assert_eq!(join.wakes(), 1);
        assert!(matches!(join.poll(), Poll::Ready(Ok(report)) if report.done == round));
        assert_eq!(now(sender.join()).unwrap().sent, round);
    }
}

fn join_rechecks_when_polled<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut join = Waiter::waiting(sender.join());
    take_one(&receiver).unwrap();
    // All work was done for a moment, but there is new work when the joiner is polled.
    sender.try_send(2).unwrap();
    assert!(join.poll().is_pending());
    let before = join.wakes();
    take_one(&receiver).unwrap();
    assert_eq!(join.wakes(), before + 1);
    assert!(matches!(join.poll(), Poll::Ready(Ok(report)) if report.done == 2));
}

fn waiting_send_does_not_count<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(sender.monitor().outstanding(), 1);
    take_one(&receiver).unwrap();
    assert_eq!(now(sender.join()).unwrap().sent, 1);
    assert!(send.poll().is_ready());
    assert!(poll_once(&mut sender.join()).is_pending());
}

fn dropped_join_strands_no_joiner<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let mut joins: Vec<_> = (0..5).map(|_| Waiter::waiting(monitor.join())).collect();
    drop(joins.remove(0));
    drop(joins.remove(2));
    joins.remove(1).forget();
    take_one(&receiver).unwrap();
    assert!(joins.iter().all(|it| it.wakes() == 1));
    // Dropped after it was woken.
    drop(joins.remove(0));
    assert!(joins[0].poll().is_ready());
}

fn monitor_outlives_other_handles<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let given = receiver.try_recv().unwrap();
    let mut finished = Waiter::waiting(monitor.finished());
    drop((sender, receiver));
    given.end();
    assert!(finished.wakes() >= 1);
    let Poll::Ready(Err(error)) = finished.poll() else {
        panic!("an item was discarded");
    };
    assert_eq!((error.report.done, error.report.discarded), (1, 1));
}

fn outstanding_counts_queued_and_in_hand<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(3);
    let monitor = sender.monitor();
    for item in 1..=3 {
        sender.try_send(item).unwrap();
        assert_eq!(monitor.outstanding(), item);
    }
    for left in (0..3).rev() {
        let given = receiver.try_recv().unwrap();
        let stats = monitor.stats();
        assert_eq!(stats.queued + stats.in_hand, monitor.outstanding());
        assert_eq!(stats.queued, left);
        given.end();
        assert_eq!(monitor.outstanding(), left);
    }
}

fn report_adds_up_at_every_join<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let monitor = sender.monitor();
    for round in 0..6 {
        for item in 0..4 {
            sender.try_send(item).unwrap();
        }
        for item in 0..4 {
            let given = receiver.try_recv().unwrap();
            match (item + round) % 3 {
                0 => drop(given),
                1 => assert_eq!(given.fail("cannot"), item),
                _ => assert_eq!(given.end(), item),
            }
        }
        let report = match now(monitor.join()) {
            Ok(report) => report,
            Err(error) => error.report,
        };
        assert_eq!(report.sent, 4 * (round as u64 + 1));
        assert_eq!(report.sent, report.received + report.discarded);
        let ended = report.done + report.failed + report.abandoned + report.panicked;
        assert_eq!(report.received, ended);
        assert_eq!(monitor.stats().report, report);
    }
}

fn finished_is_permanent<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    drop(sender);
    for _ in 0..3 {
        assert_eq!(now(monitor.finished()).unwrap().done, 1);
        assert_eq!(now(monitor.join()).unwrap().done, 1);
    }
    drop(receiver);
    assert_eq!(now(monitor.clone().finished()).unwrap().done, 1);
}

fn intermediate_items_wake_no_joiner<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    sender.try_send(0).unwrap();
    let join = Waiter::waiting(monitor.join());
    let finished = Waiter::waiting(monitor.finished());
    for item in 1..100 {
        sender.try_send(item).unwrap();
        take_one(&receiver).unwrap();
    }
    assert_eq!((join.wakes(), finished.wakes()), (0, 0));
    take_one(&receiver).unwrap();
    assert_eq!((join.wakes(), finished.wakes()), (1, 0));
    sender.close();
    assert_eq!((join.wakes(), finished.wakes()), (1, 1));
}

#[test]
fn failed_wakes_all_once_with_first_failure() {
    let (sender, receiver) = tollgate::tasks(3);
    let monitor = sender.monitor();
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut failed: Vec<_> = (0..3).map(|_| Waiter::waiting(monitor.failed())).collect();
    receiver.try_recv().unwrap().fail("first");
    drop(receiver.try_recv().unwrap());
    for failed in &mut failed {
        assert_eq!(failed.wakes(), 1);
        let Poll::Ready(Some(Failure::Failed(error))) = failed.poll() else {
            panic!("the first failure has an error");
        };
        assert_eq!(error.to_string(), "first");
    }
}

#[test]
fn join_synchronizes_with_workers() {
    const ITEMS: usize = 2_000;
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(8);
    let monitor = sender.monitor();
    let seen = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (receiver, seen) = (receiver.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                pollster::block_on(async {
                    while let Ok(task) = receiver.recv().await {
                        // Relaxed: ending the task publishes it.
                        seen.fetch_add(*task, Ordering::Relaxed);
                        task.done();
                    }
                });
            })
        })
        .collect();
    drop(receiver);
    pollster::block_on(async {
        for round in 1..=10 {
            for _ in 0..ITEMS / 10 {
                sender.send(1).await.unwrap();
            }
            let report = sender.join().await.unwrap();
            let expected = round * ITEMS / 10;
            assert_eq!(report.done, expected as u64);
            assert_eq!(seen.load(Ordering::Relaxed), expected);
        }
        drop(sender);
        assert_eq!(monitor.finished().await.unwrap().done, ITEMS as u64);
    });
    for worker in workers {
        worker.join().unwrap();
    }
}

#[test]
fn stats_never_count_item_twice() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    let worker = thread::spawn(move || {
        for item in 0..200_000 {
            sender.try_send(item).unwrap();
            receiver.try_recv().unwrap().done();
        }
    });
    while !worker.is_finished() {
        let stats = monitor.stats();
        assert!(stats.in_hand <= 1, "{stats:?}");
        assert!(stats.queued <= 1, "{stats:?}");
        assert!(monitor.outstanding() <= 1);
    }
    worker.join().unwrap();
}
