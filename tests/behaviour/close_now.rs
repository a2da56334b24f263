//! `close_now`: it returns and counts what is queued, in order, lets nothing be queued any more, and touches
//! nothing else.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;
use std::thread;

use futures_util::FutureExt;
use tollgate::Drained;
use tollgate::Monitor;
use tollgate::RetryError;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::TryRecvError;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::ReceiverOf;
use crate::common::Requeued;
use crate::common::Tally;
use crate::common::Tasks;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    close_now_returns_queue_in_order,
    every_handle_can_close_now,
    close_now_returns_items_to_waiting_senders,
    close_now_ends_waiting_receivers,
    close_now_wakes_join_finished_failed_closed,
    close_now_drains_closed_channel,
    drained_drops_items_once,
    close_now_with_panicking_waker_wakes_others,
    close_now_races_with_senders_and_receivers,
    close_now_reports_are_exact,
}

fn numbered<K: Kind>(count: u32) -> (Sender<u32>, ReceiverOf<K>) {
    let (sender, receiver) = K::channel(count as usize);
    for item in 0..count {
        sender.try_send(item).unwrap();
    }
    (sender, receiver)
}

fn close_now_returns_queue_in_order<K: Kind>() {
    let (sender, receiver) = numbered::<K>(5);
    assert_eq!(take_one(&receiver), Ok(0));
    let drained = sender.close_now();
    assert_eq!(drained.len(), 4);
    assert!(sender.is_closed() && sender.is_empty());
    assert_eq!(drained.collect::<Vec<_>>(), [1, 2, 3, 4]);

    let report = now(sender.monitor().finished()).unwrap();
    assert_eq!((report.sent, report.received, report.done), (5, 1, 1));
    assert_eq!(report.discarded, 4);
    assert_adds_up(&report);
    assert_eq!(
        now(sender.monitor().failed()).map(|it| it.to_string()),
        None
    );
    // The last receiver finds nothing to discard, which would be a failure.
    drop(receiver);
    assert!(now(sender.join()).is_ok());
}

fn every_handle_can_close_now<K: Kind>() {
    type Close<R> = fn(&Sender<u32>, &R, &Monitor<u32>) -> Drained<u32>;
    let ways: [Close<ReceiverOf<K>>; 3] = [
        |sender, _, _| sender.close_now(),
        |_, receiver, _| receiver.close_now(),
        |_, _, monitor| monitor.close_now(),
    ];
    for close_now in ways {
        let (sender, receiver) = numbered::<K>(2);
        let drained = close_now(&sender, &receiver, &sender.monitor());
        assert!(drained.rev().eq([1, 0]));
        assert_eq!(sender.try_send(9).unwrap_err().into_inner(), 9);
        assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
    }
}

fn close_now_returns_items_to_waiting_senders<K: Kind>() {
    let (sender, _receiver) = numbered::<K>(1);
    let mut sends = [7, 8].map(|item| Waiter::waiting(sender.send(item)));
    assert_eq!(sender.close_now().collect::<Vec<_>>(), [0]);
    for (send, item) in sends.iter_mut().zip([7, 8]) {
        assert_eq!(send.wakes(), 1);
        assert_eq!(send.poll(), Poll::Ready(Err(SendError(item))));
    }
}

fn close_now_ends_waiting_receivers<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut recv = Waiter::waiting(receiver.recv());
    assert_eq!(sender.close_now().len(), 0);
    assert_eq!(recv.wakes(), 1);
    assert!(matches!(recv.poll(), Poll::Ready(Err(_))));
}

fn close_now_wakes_join_finished_failed_closed<K: Kind>() {
    let (sender, receiver) = numbered::<K>(2);
    let monitor = sender.monitor();
    let mut join = Waiter::waiting(monitor.join());
    let mut finished = Waiter::waiting(monitor.finished());
    let mut failed = Waiter::waiting(monitor.failed());
    let mut closed = Waiter::waiting(sender.closed());
    assert_eq!(monitor.close_now().len(), 2);
    assert!(join.wakes() >= 1 && finished.wakes() >= 1);
    assert!(failed.wakes() >= 1 && closed.wakes() >= 1);
    for outcome in [join.poll(), finished.poll()] {
        let Poll::Ready(Ok(report)) = outcome else {
            panic!("nothing is left");
        };
        assert_eq!((report.sent, report.discarded), (2, 2));
    }
    assert!(matches!(failed.poll(), Poll::Ready(None)));
    assert!(closed.poll().is_ready());
    drop(receiver);
}

fn close_now_drains_closed_channel<K: Kind>() {
    let (sender, receiver) = numbered::<K>(2);
    sender.close();
    let mut join = Waiter::waiting(sender.join());
    assert_eq!(receiver.close_now().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(join.wakes(), 1);
    assert!(join.poll().is_ready());
    assert_eq!(receiver.close_now().next(), None);
    assert_eq!(now(sender.join()).unwrap().discarded, 2);
}

fn drained_drops_items_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, _receiver) = K::channel(3);
    for _ in 0..3 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let mut drained = sender.close_now();
    assert_eq!(format!("{drained:?}"), "Drained { len: 3, .. }");
    assert_eq!(tally.dropped(), 0);
    assert_eq!(drained.next().map(|item| item.id), Some(0));
    assert_eq!((drained.size_hint(), tally.dropped()), ((2, Some(2)), 1));
    drop(drained);
    assert_eq!(tally.drops(), [1, 1, 1]);
}

fn close_now_with_panicking_waker_wakes_others<K: Kind<Item>>() {
    struct Panicking;

    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("waker"));
        }
    }

    // The panicking waker waits for the close, for room, for a join, or for the end.
    for round in 0..4 {
        let tally = Tally::new();
        let (sender, receiver) = K::channel(1);
        let monitor = sender.monitor();
        assert!(sender.try_send(tally.item()).is_ok());
        let waker = Waker::from(Arc::new(Panicking));
        let mut cx = Context::from_waker(&waker);
        let mut closed = sender.closed();
        let mut send = sender.send(tally.item());
        let mut join = monitor.join();
        let mut finished = monitor.finished();
        assert!(match round {
            0 => closed.poll_unpin(&mut cx).is_pending(),
            1 => send.poll_unpin(&mut cx).is_pending(),
            2 => join.poll_unpin(&mut cx).is_pending(),
            _ => finished.poll_unpin(&mut cx).is_pending(),
        });
        let mut others = (
            Waiter::waiting(sender.closed()),
            Waiter::waiting(monitor.join()),
            Waiter::waiting(monitor.finished()),
        );
        catch_unwind(AssertUnwindSafe(|| monitor.close_now())).unwrap_err();

        assert!(sender.is_closed());
        // The items that were taken out are dropped.
        assert_eq!((receiver.len(), tally.drops()[0]), (0, 1));
        let wakes = (others.0.wakes(), others.1.wakes(), others.2.wakes());
        assert_eq!(wakes, (1, 1, 1), "round {round}");
        assert!(others.0.poll().is_ready());
        assert_eq!(
            others.1.poll().map(|end| end.unwrap().discarded),
            Poll::Ready(1)
        );
        assert!(others.2.poll().is_ready());
        drop(send);
        assert_eq!(tally.drops(), [1, 1]);
    }
}

/// Senders, receivers and two closers at once; every item ends in one place.
fn close_now_races_with_senders_and_receivers<K: Kind>() {
    const ITEMS: u32 = 64;
    for _ in 0..200 {
        let (sender, receiver) = K::channel(8);
        let monitor = sender.monitor();
        let sent = AtomicUsize::new(0);
        let (mut seen, received, drained) = thread::scope(|scope| {
            let producer = scope.spawn(|| {
                let items = 0..ITEMS;
                for item in items {
                    match pollster::block_on(sender.send(item)) {
                        Ok(()) => sent.fetch_add(1, Ordering::Relaxed),
                        Err(SendError(same)) => {
                            assert_eq!(same, item);
                            break;
                        }
                    };
                }
            });
            let consumer = scope.spawn(|| {
                let mut seen = Vec::new();
                while let Ok(given) = pollster::block_on(receiver.recv()) {
                    seen.push(given.end());
                }
                seen
            });
            let closers = [(); 2].map(|()| {
                let monitor = monitor.clone();
                scope.spawn(move || {
                    while monitor.stats().report.sent < 8 {
                        thread::yield_now();
                    }
                    monitor.close_now().collect::<Vec<_>>()
                })
            });
            producer.join().unwrap();
            let mut seen = consumer.join().unwrap();
            let received = seen.len();
            let mut drained = 0;
            for closer in closers {
                let items = closer.join().unwrap();
                drained += items.len();
                seen.extend(items);
            }
            (seen, received, drained)
        });
        seen.sort_unstable();
        let sent = sent.into_inner();
        assert!(seen.into_iter().eq(0..sent as u32));
        let report = now(monitor.finished()).unwrap();
        assert_eq!(report.sent, sent as u64);
        assert_eq!(report.received, received as u64);
        assert_eq!(report.discarded, drained as u64);
        assert_adds_up(&report);
    }
}

/// The report of a joiner counts exactly the items that are gone.
fn close_now_reports_are_exact<K: Kind>() {
    for _ in 0..500 {
        let (sender, receiver) = numbered::<K>(16);
        let monitor = sender.monitor();
        let (report, received, drained) = thread::scope(|scope| {
            let joiner = scope.spawn(|| pollster::block_on(monitor.join()).unwrap());
            let closer = scope.spawn(|| monitor.close_now().len());
            let mut received = 0;
            while take_one(&receiver).is_ok() {
                received += 1;
            }
            (joiner.join().unwrap(), received, closer.join().unwrap())
        });
        assert_eq!(report.received, received);
        assert_eq!(report.discarded, drained as u64);
        assert_adds_up(&report);
    }
}

#[test]
fn tasks_in_hand_outlive_close_now() {
    let (sender, receiver) = numbered::<Tasks>(4);
    let monitor = sender.monitor();
    let [first, second] = [(); 2].map(|()| receiver.try_recv().unwrap());
    assert_eq!(monitor.close_now().collect::<Vec<_>>(), [2, 3]);
    let mut finished = Waiter::waiting(monitor.finished());
    let mut recv = Waiter::waiting(receiver.recv());
    assert_eq!(take_one(&receiver), Err(TryRecvError::Empty));
    first.done();
    assert_eq!((finished.wakes(), recv.wakes()), (0, 0));
    second.done();
    assert_eq!((finished.wakes(), recv.wakes()), (1, 1));
    assert!(matches!(recv.poll(), Poll::Ready(Err(_))));
    let Poll::Ready(Ok(report)) = finished.poll() else {
        panic!("all work is done");
    };
    assert_eq!((report.discarded, report.done), (2, 2));
    assert_adds_up(&report);
}

/// Even while receivers are left.
#[test]
fn nothing_is_queued_after_close_now() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered::<Tasks>(4);
    let monitor = sender.monitor();
    let hand = [(); 4].map(|()| receiver.try_recv().unwrap());
    hand[0].follow_up(10).unwrap();
    assert_eq!(monitor.close_now().collect::<Vec<_>>(), [10]);
    // The second time, nothing is left to take out, and nothing changes.
    assert_eq!(receiver.close_now().len(), 0);

    let mut finished = Waiter::waiting(monitor.finished());
    assert_eq!(hand[0].follow_up(11), Err(SendError(11)));
    let [first, second, third, fourth] = hand;
    assert_eq!(first.retry(), Err(RetryError::Terminated(0)));
    assert_eq!(second.retry_or_fail("late"), Err(RetryError::Terminated(1)));
    assert!(monitor.stats().queued == 0 && finished.wakes() <= 1);
    drop(third);
    fourth.done();
    let Poll::Ready(Err(error)) = finished.poll() else {
        panic!("retries were refused");
    };
    let report = error.report;
    assert_eq!((report.failed, report.abandoned, report.done), (2, 1, 1));
    assert_eq!((report.followed_up, report.retried), (1, 0));
    assert_eq!(report.discarded, 1);
    assert_adds_up(&report);
    let refused = error.first.source().unwrap();
    assert_eq!(
        refused.to_string(),
        "retrying a task of a channel that accepts no more work"
    );
}

/// `close` is gentle: workers may retry as long as they like.
#[test]
fn worker_that_retries_forever_ends_at_close_now() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered::<Tasks>(3);
    let monitor = sender.monitor();
    let worker = thread::spawn(move || {
        while let Ok(task) = pollster::block_on(receiver.recv()) {
            let _ = task.retry();
        }
    });
    sender.close();
    while monitor.stats().report.retried < 1_000 {
        thread::yield_now();
    }
    assert!(poll_once(&mut monitor.finished()).is_pending());
    let drained = monitor.close_now().len() as u64;
    let outcome = pollster::block_on(monitor.finished());
    worker.join().unwrap();
    let report = match outcome {
        Ok(report) => report,
        Err(error) => error.report,
    };
    assert_eq!((report.sent, report.discarded), (3, drained));
    assert_eq!(report.failed, 3 - drained);
    assert_adds_up(&report);
}

#[test]
fn dropped_task_is_not_requeued_after_close_now() {
    let tally = Tally::new();
    let (sender, receiver) = <Requeued as Kind<Item>>::channel(2);
    let monitor = sender.monitor();
    for _ in 0..2 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let [first, second] = [(); 2].map(|()| receiver.try_recv().unwrap());
    assert_eq!(monitor.close_now().len(), 0);
    drop(first);
    let worker = || {
        let _task = second;
        resume_unwind(Box::new("worker"));
    };
    catch_unwind(AssertUnwindSafe(worker)).unwrap_err();
    // Each is dropped with its task.
    assert_eq!(tally.drops(), [1, 1]);
    let report = now(monitor.finished()).unwrap_err().report;
    assert_eq!((report.retried, report.discarded), (0, 0));
    assert_eq!(report.abandoned + report.panicked, 2);
    assert_eq!(report.panicked, u64::from(cfg!(feature = "std")));
    assert_adds_up(&report);
}

/// Workers requeue in every way while another thread closes. What is requeued in time is returned, and
/// the rest is refused; nothing is both, and nothing stays.
#[test]
fn close_now_races_with_requeueing_workers() {
    let _watchdog = Watchdog::start();
    let rounds = if cfg!(miri) { 2 } else { 200 };
    for round in 0..rounds {
        let (sender, receiver) = numbered::<Requeued>(8);
        let monitor = sender.monitor();
        let drained = thread::scope(|scope| {
            for number in 0..2 {
                let receiver = receiver.clone();
                scope.spawn(move || {
                    while let Ok(task) = pollster::block_on(receiver.recv()) {
                        match number {
                            0 if *task % 2 == 0 => drop(task),
                            0 => drop(task.retry()),
                            _ => {
                                let _ = task.follow_up(*task + 100);
                                task.done();
                            }
                        }
                    }
                });
            }
            while monitor.stats().report.received < round % 16 {
                thread::yield_now();
            }
            monitor.close_now().len() as u64
        });
        let report = match now(monitor.finished()) {
            Ok(report) => report,
            Err(error) => error.report,
        };
        assert_eq!(report.discarded, drained);
        assert_adds_up(&report);
        drop(receiver);
        assert_eq!(monitor.stats().report, report);
    }
}

#[test]
fn close_now_returns_lane_after_ring() {
    let (sender, receiver) = numbered::<Tasks>(4);
    let [first, second] = [(); 2].map(|()| receiver.try_recv().unwrap());
    first.follow_up(10).unwrap();
    second.retry().unwrap();
    first.follow_up(11).unwrap();
    let drained = sender.close_now();
    assert_eq!(drained.collect::<Vec<_>>(), [2, 3, 10, 1, 11]);
    first.done();
    let report = now(sender.join()).unwrap();
    assert_eq!((report.discarded, report.done, report.retried), (5, 1, 1));
    assert_eq!((report.sent, report.followed_up), (4, 2));
    assert_adds_up(&report);
}

/// A caller that stops early and takes the rest back gets the same counts on both kinds.
#[test]
fn close_now_reports_same_on_both_kinds() {
    let _watchdog = Watchdog::start();
    let plain = {
        let (sender, receiver) = numbered::<Plain>(3);
        take_one(&receiver).unwrap();
        sender.close_now().for_each(drop);
        now(sender.join()).unwrap()
    };
    let tasks = {
        let (sender, receiver) = numbered::<Tasks>(3);
        take_one(&receiver).unwrap();
        sender.close_now().for_each(drop);
        now(sender.join()).unwrap()
    };
    assert_eq!(plain, tasks);
}
