//! What only `run_tasks` can do: its futures have the task.

use std::cell::RefCell;
use std::future::pending;
use std::num::NonZeroU32;

use futures_util::FutureExt;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Failure;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use super::at_most;
use super::closed_with;
use crate::common::Item;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::now;

/// A channel whose dropped tasks are queued again, up to `attempts` deliveries of an item.
pub(super) fn requeuing(attempts: u32) -> (Sender<u32>, TaskReceiver<u32>) {
    Builder::new()
        .max_attempts(NonZeroU32::new(attempts).unwrap())
        .on_abandon(Abandon::Requeue)
        .build_tasks()
}

#[test]
fn futures_retry_and_follow_up() {
    let (sender, receiver) = closed_with(3);
    let run = receiver.run_tasks(at_most(2), |task: Task<u32>| async move {
        match (*task, task.attempt()) {
            (0, 1) => task.follow_up(10).unwrap(),
            (1, 1..=3) => return task.retry().unwrap(),
            _ => {}
        }
        task.done();
    });
    run.now_or_never().unwrap();
    let report = now(sender.join()).unwrap();
    assert_eq!((report.sent, report.followed_up, report.retried), (3, 1, 3));
    assert_eq!((report.received, report.done), (7, 4));
}

#[test]
fn closure_may_end_task() {
    let (sender, receiver) = closed_with(3);
    let run = receiver.run_tasks(at_most(1), |task: Task<u32>| {
        match *task {
            0 => drop(task.fail("zero")),
            1 => drop(task),
            _ => drop(task.done()),
        }
        async {}
    });
    run.now_or_never().unwrap();
    let error = now(sender.join()).unwrap_err();
    let report = error.report;
    assert_eq!((report.failed, report.abandoned, report.done), (1, 1, 1));
    assert!(matches!(error.first, Failure::Failed(error) if error.to_string() == "zero"));
}

#[test]
fn task_that_future_drops_is_abandoned_or_requeued() {
    let (sender, receiver) = closed_with(2);
    let run = receiver.run_tasks(at_most(1), |task: Task<u32>| async move { drop(task) });
    run.now_or_never().unwrap();
    assert_eq!(now(sender.join()).unwrap_err().report.abandoned, 2);

    let (sender, receiver) = requeuing(3);
    let attempts = RefCell::new(Vec::new());
    let run = receiver.run_tasks(at_most(1), |task: Task<u32>| {
        attempts.borrow_mut().push(task.attempt());
        async move { drop(task) }
    });
    sender.try_send(0).unwrap();
    sender.close();
    run.now_or_never().unwrap();
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.retried, report.abandoned), (2, 1));
    assert_eq!(attempts.into_inner(), [1, 2, 3]);
}

#[test]
fn requeued_task_wakes_run_that_waits() {
    let (sender, receiver) = requeuing(2);
    let other = receiver.clone();
    let mut run = Waiter::waiting(
        receiver.run_tasks(at_most(1), |task: Task<u32>| async move {
            task.done();
        }),
    );
    sender.try_send(0).unwrap();
    let task = other.try_recv().unwrap();
    assert!(run.poll().is_pending());
    let before = run.wakes();
    drop(task);
    assert_eq!(run.wakes(), before + 1);
    assert!(run.poll().is_pending());
    let report = now(sender.join()).unwrap();
    assert_eq!((report.retried, report.done), (1, 1));
}

#[test]
fn dropped_run_leaves_requeued_items_to_others() {
    let (sender, receiver) = requeuing(2);
    let other = receiver.clone();
    let run = receiver.run_tasks(at_most(2), |task: Task<u32>| async move {
        pending::<()>().await;
        task.done();
    });
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    drop(Waiter::waiting(run));
    let mut left: Vec<_> = other
        .try_iter()
        .map(|it| (it.attempt(), it.done()))
        .collect();
    left.sort_unstable();
    assert_eq!(left, [(1, 2), (2, 0), (2, 1)]);
    assert_eq!(now(sender.join()).unwrap().retried, 2);
}

#[test]
fn dropped_run_discards_requeued_items_with_last_receiver() {
    let (sender, receiver) = requeuing(2);
    let run = receiver.run_tasks(at_most(2), |task: Task<u32>| async move {
        pending::<()>().await;
        task.done();
    });
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    drop(Waiter::waiting(run));
    let error = now(sender.join()).unwrap_err();
    assert_eq!((error.report.retried, error.report.discarded), (2, 3));
    assert!(matches!(error.first, Failure::Discarded));
}

/// The limit is one of futures; the end of the pool is that of the channel.
#[test]
fn task_may_leave_its_future() {
    let (sender, receiver) = closed_with(3);
    let elsewhere = RefCell::new(Vec::new());
    let mut run = Waiter::waiting(receiver.run_tasks(at_most(1), |task: Task<u32>| {
        elsewhere.borrow_mut().push(task);
        async {}
    }));
    assert_eq!(elsewhere.borrow().len(), 3);
    for task in elsewhere.take() {
        assert!(run.poll().is_pending());
        task.done();
    }
    assert_eq!(run.wakes(), 1);
    assert!(run.poll().is_ready());
    assert_eq!(now(sender.join()).unwrap().done, 3);
}

#[test]
fn each_item_is_dropped_once() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks::<Item>(4);
    let mut run = Waiter::waiting(
        receiver.run_tasks(at_most(3), |task: Task<Item>| async move {
            match task.id {
                0 => drop(task.done()),
                1 => drop(task.fail("one")),
                _ => pending().await,
            }
        }),
    );
    for _ in 0..4 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    assert!(run.poll().is_pending());
    assert_eq!(tally.drops(), [1, 1, 0, 0]);
    drop(run);
    assert_eq!(tally.drops(), [1; 4]);
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.done, report.failed, report.abandoned), (1, 1, 2));
}

/// How pools delay items. On a slow machine, a short delay may be over at once.
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod delaying {
    use std::panic::resume_unwind;
    use std::time::Duration;
    use std::time::Instant;

    use pollster::block_on;

    use super::Task;
    use super::Waiter;
    use super::at_most;
    use super::closed_with;
    use super::now;
    use crate::common::Watchdog;

    const MILLI: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn futures_delay_retries_and_follow_ups() {
        let _watchdog = Watchdog::start();
        let (sender, receiver) = closed_with(4);
        let run = receiver.run_tasks(at_most(2), |task: Task<u32>| async move {
            match (*task, task.attempt()) {
                (0, 1..=3) => return task.retry_after(MILLI).unwrap(),
                (1, 1) => return task.retry_at(Instant::now() + MILLI).unwrap(),
                (2, 1) => return task.retry_after_or_fail(MILLI, "refused").unwrap(),
                (3, 1) => task.follow_up_after(10, MILLI).unwrap(),
                _ => {}
            }
            task.done();
        });
        block_on(run);
        let report = now(sender.join()).unwrap();
        assert_eq!((report.sent, report.followed_up, report.retried), (4, 1, 5));
        assert_eq!((report.received, report.done), (10, 5));
    }

    #[test]
    fn delayed_item_takes_no_place_in_pool() {
        let (sender, receiver) = closed_with(3);
        let mut run = Waiter::waiting(receiver.run_tasks(at_most(1), |task: Task<u32>| async {
            match *task {
                0 => task.retry_after(HOUR).unwrap(),
                _ => drop(task.done()),
            }
        }));
        let stats = sender.monitor().stats();
        assert_eq!((stats.delayed, stats.report.done), (1, 2));
        // The pool ends when the item has left the channel.
        assert!(sender.close_now().eq([0]));
        assert_eq!(run.wakes(), 1);
        assert!(run.poll().is_ready());
    }

    #[test]
    fn dropped_run_leaves_delayed_items_to_others() {
        let (sender, receiver) = closed_with(2);
        let other = receiver.clone();
        let run = receiver.run_tasks(at_most(1), |task: Task<u32>| async {
            task.retry_after(HOUR).unwrap();
        });
        drop(Waiter::waiting(run));
        assert_eq!(sender.monitor().stats().delayed, 2);
        drop(other);
        let error = now(sender.join()).unwrap_err();
        assert_eq!((error.report.retried, error.report.discarded), (2, 2));
    }

    #[test]
    fn panic_in_later_attempt_is_caught() {
        let _watchdog = Watchdog::start();
        let (sender, receiver) = closed_with(3);
        let run = receiver.run_tasks(at_most(1), |task: Task<u32>| async move {
            match (*task, task.attempt()) {
                (0 | 1, 1) => return task.retry_after(MILLI).unwrap(),
                (1, 2) => resume_unwind(Box::new("poisoned")),
                _ => {}
            }
            task.done();
        });
        block_on(run.catch_panics());
        let report = now(sender.join()).unwrap_err().report;
        assert_eq!((report.retried, report.done, report.panicked), (2, 2, 1));
    }
}
