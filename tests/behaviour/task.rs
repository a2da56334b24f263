//! A task: access to its item, and how each way of ending it is counted.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;

use tollgate::Failure;
use tollgate::Report;
use tollgate::Task;
use tollgate::Ticket;

use crate::common::Item;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::poll_once;

/// Lets `end` end the only task of a channel; returns the report and how often the item was
/// dropped.
fn report_of(end: impl FnOnce(Task<Item>)) -> (Report, u32) {
    let _watchdog = Watchdog::start();
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    sender.try_send(tally.item()).unwrap();
    let mut join = Waiter::waiting(monitor.join());
    let task = receiver.try_recv().unwrap();
    assert_eq!((join.wakes(), tally.dropped()), (0, 0));
    end(task);
    assert_eq!(join.wakes(), 1);
    assert!(join.poll().is_ready());
    assert_eq!(monitor.outstanding(), 0);
    drop((sender, receiver));
    (monitor.stats().report, tally.dropped())
}

/// The report of one item that ended in this way.
macro_rules! one {
    ($($ended:ident)?) => {{
        let mut report = Report::default();
        (report.sent, report.received) = (1, 1);
        $(report.$ended = 1;)?
        (report, 1)
    }};
}

fn while_unwinding(drop_it: impl FnOnce()) {
    struct Dropper<F: FnOnce()>(Option<F>);

    impl<F: FnOnce()> Drop for Dropper<F> {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(|it| it());
        }
    }

    let unwind = AssertUnwindSafe(|| {
        let _dropper = Dropper(Some(drop_it));
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
}

#[test]
fn done_returns_item_and_counts() {
    assert_eq!(report_of(|task| assert_eq!(task.done().id, 0)), one!(done));
}

#[test]
fn fail_returns_item_and_counts() {
    let end = |task: Task<Item>| assert_eq!(task.fail("cannot").id, 0);
    assert_eq!(report_of(end), one!(failed));
}

#[test]
fn dropped_task_counts_as_abandoned() {
    assert_eq!(report_of(drop), one!(abandoned));
}

/// How a task counts that a panic drops.
fn one_dropped_by_panic() -> (Report, u32) {
    if cfg!(feature = "std") {
        one!(panicked)
    } else {
        one!(abandoned)
    }
}

#[test]
fn task_dropped_by_panic_counts_as_panicked() {
    let end = |task: Task<Item>| while_unwinding(|| drop(task));
    assert_eq!(report_of(end), one_dropped_by_panic());
}

#[test]
fn done_while_unwinding_counts_as_done() {
    let end = |task: Task<Item>| while_unwinding(|| drop(task.done()));
    assert_eq!(report_of(end), one!(done));
}

#[test]
fn ticket_ends_like_task() {
    let of = |end: fn(Ticket)| {
        report_of(move |task| {
            let (item, ticket) = task.split();
            assert_eq!(item.id, 0);
            end(ticket);
        })
    };
    assert_eq!(of(Ticket::done), one!(done));
    assert_eq!(of(|ticket| ticket.fail("cannot")), one!(failed));
    assert_eq!(of(drop), one!(abandoned));
    let panicked = of(|ticket| while_unwinding(|| drop(ticket)));
    assert_eq!(panicked, one_dropped_by_panic());
}

#[test]
fn item_is_dropped_before_task_ends() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(tally.item()).unwrap();
    let (item, ticket) = receiver.try_recv().unwrap().split();
    drop(item);
    assert_eq!(tally.drops(), [1]);
    assert_eq!(sender.monitor().outstanding(), 1);
    ticket.done();
    assert_eq!(sender.monitor().outstanding(), 0);

    struct Asks(tollgate::Monitor<Self>);

    impl Drop for Asks {
        fn drop(&mut self) {
            assert_eq!(self.0.outstanding(), 1);
        }
    }

    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(Asks(sender.monitor())).is_ok());
    drop(receiver.try_recv().unwrap());
    assert_eq!(sender.monitor().outstanding(), 0);
}

#[test]
fn task_derefs_to_item() {
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(vec![1, 2]).unwrap();
    let mut task = receiver.try_recv().unwrap();
    assert_eq!(task.len(), 2);
    task.push(3);
    assert_eq!(format!("{task:?}"), "Task([1, 2, 3])");
    assert_eq!(*task, [1, 2, 3]);
    assert_eq!(task.done(), [1, 2, 3]);
}

#[test]
fn tasks_outlive_every_handle() {
    let _watchdog = Watchdog::start();
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(4);
    (0..4).for_each(|_| sender.try_send(tally.item()).unwrap());
    let [first, second, third] = [(); 3].map(|()| receiver.try_recv().unwrap());
    drop((sender, receiver));
    assert_eq!(tally.drops(), [0, 0, 0, 1]);
    let (_, ticket) = first.split();
    drop(second.fail("nobody will know"));
    drop(third);
    ticket.done();
    assert_eq!(tally.drops(), [1; 4]);
}

#[test]
fn forgotten_task_stays_outstanding() {
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    mem::forget(receiver.try_recv().unwrap());
    receiver.try_recv().unwrap().done();
    assert_eq!(monitor.outstanding(), 1);
    assert_eq!(monitor.stats().in_hand, 1);
    assert!(poll_once(&mut monitor.join()).is_pending());
}

#[test]
fn tasks_end_in_any_order_on_threads() {
    const ITEMS: usize = 100;
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(ITEMS);
    let monitor = sender.monitor();
    (0..ITEMS).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    let mut tasks: Vec<_> = (0..ITEMS).map(|_| receiver.try_recv().unwrap()).collect();
    let threads: Vec<_> = (0..4)
        .map(|index| {
            let mut own: Vec<_> = tasks.drain(..ITEMS / 4).collect();
            thread::spawn(move || {
                while let Some(task) = own.pop() {
                    match (index, *task % 2) {
                        (0, 0) => drop(task),
                        (1, 0) => task.split().1.fail("cannot"),
                        _ => assert!(task.done() < ITEMS),
                    }
                }
            })
        })
        .collect();
    let error = pollster::block_on(monitor.finished()).unwrap_err();
    let Report {
        done,
        failed,
        abandoned,
        ..
    } = error.report;
    assert_eq!((done, failed, abandoned), (75, 12, 13));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn cancelled_worker_abandons_task() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    let mut worker = Waiter::new(async {
        let task = receiver.recv().await.unwrap();
        std::future::pending::<()>().await;
        task.done();
    });
    assert!(worker.poll().is_pending());
    assert_eq!(sender.monitor().outstanding(), 1);
    drop(worker);
    let error = now(sender.join()).unwrap_err();
    assert!(matches!(error.first, Failure::Abandoned));
}
