//! Delayed retries and follow-ups: when their items are received, what waits for them, and what becomes of
//! the thread that makes them receivable.
//!
//! No test depends on how soon an item is received once it is due, which a slow machine may delay at will.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::join_all;
use pollster::block_on;
use tollgate::Builder;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Report;
use tollgate::RetryError;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::TryRecvError;

use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::assert_each_is_counted;
use crate::common::now;
use crate::common::poll_once;

// the thread of the timer
#[cfg(all(target_os = "linux", not(miri)))]
mod timer;

const MILLI: Duration = Duration::from_millis(1);

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A task channel with items 0, 1, … queued.
fn numbered(count: usize) -> (Sender<usize>, TaskReceiver<usize>) {
    let (sender, receiver) = tollgate::unbounded_tasks();
    (0..count).for_each(|item| sender.try_send(item).unwrap());
    (sender, receiver)
}

/// A channel with one task in hand.
fn in_hand<T>(item: T) -> (Sender<T>, TaskReceiver<T>, Task<T>) {
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(item).is_ok());
    let task = receiver.try_recv().unwrap();
    (sender, receiver, task)
}

/// Waits until something is true. The caller has a watchdog.
fn wait_until(mut is_true: impl FnMut() -> bool) {
    while !is_true() {
        thread::sleep(MILLI);
    }
}

/// How many items are delayed, while none becomes due.
fn delayed<T>(monitor: &Monitor<T>) -> usize {
    let stats = monitor.stats();
    assert_each_is_counted(&stats);
    assert_eq!(stats.next_due.is_some(), stats.delayed > 0, "{stats:?}");
    stats.delayed
}

/// Calls `delay` with a time and all tasks of a closed channel, until no task was due before the last call
/// was over: a call whose item is due already is an ordinary one. Returns the channel.
fn delay_all(
    count: usize,
    mut delay: impl FnMut(Instant, Vec<Task<usize>>),
) -> (Monitor<usize>, TaskReceiver<usize>) {
    for unit in (0..).map(|doubling| 20 * MILLI * 2_u32.pow(doubling)) {
        let (sender, receiver) = numbered(count);
        let first_due = Instant::now() + unit;
        delay(first_due, receiver.try_iter().collect());
        if Instant::now() < first_due {
            return (sender.monitor(), receiver);
        }
    }
    unreachable!("the machine is too slow");
}

#[test]
fn items_come_in_order_of_due_time_and_not_before() {
    let _watchdog = Watchdog::start();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut dues = Vec::new();
    let (monitor, receiver) = delay_all(64, |first_due, tasks| {
        dues.clear();
        for task in tasks {
            let due = first_due + rng.u32(0..40) * MILLI;
            dues.push((due, *task));
            task.retry_at(due).unwrap();
        }
    });
    // Of two that are due at the same time, the first was delayed first.
    dues.sort_unstable();
    for (due, item) in dues {
        let task = block_on(receiver.recv()).unwrap();
        let now = Instant::now();
        assert!(now >= due, "early by {:?}", due - now);
        assert_eq!((task.attempt(), task.done()), (2, item));
    }
    let report = now(monitor.finished()).unwrap();
    assert_eq!((report.retried, report.done), (64, 64));
    assert_adds_up(&report);
}

#[test]
fn items_due_at_same_time_come_in_order_of_calls() {
    let _watchdog = Watchdog::start();
    // More than become receivable at once.
    let (_monitor, receiver) = delay_all(300, |due, tasks| {
        tasks.into_iter().for_each(|it| it.retry_at(due).unwrap());
    });
    let received = receiver.iter().map(Task::done);
    assert!(received.eq(0..300));
}

/// Items that were delayed and others are in one line, whichever call takes them out.
#[test]
fn item_that_is_due_joins_end_of_line() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered(9);
    let monitor = sender.monitor();
    let tasks: Vec<_> = receiver.try_iter().collect();
    for task in tasks {
        if *task % 3 == 1 {
            task.retry_after(MILLI).unwrap();
            wait_until(|| monitor.stats().delayed == 0);
        } else {
            task.retry().unwrap();
        }
    }
    let single = [(); 3].map(|()| receiver.try_recv().unwrap().done());
    assert_eq!(single, [0, 1, 2]);
    let mut batch = Vec::new();
    receiver
        .try_recv_many(&mut batch, NonZeroUsize::new(3).unwrap())
        .unwrap();
    assert!(batch.into_iter().map(Task::done).eq(3..6));
    assert!(sender.close_now().eq(6..9));
}

#[test]
fn item_that_is_due_earlier_overtakes() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered(2);
    let monitor = sender.monitor();
    receiver.try_recv().unwrap().retry_after(HOUR).unwrap();
    // The thread sleeps for an hour by now, perhaps.
    thread::yield_now();
    receiver.try_recv().unwrap().retry_after(5 * MILLI).unwrap();
    assert_eq!(block_on(receiver.recv()).unwrap().done(), 1);
    assert_eq!(delayed(&monitor), 1);
    assert!(monitor.stats().next_due > Some(Instant::now() + HOUR / 2));
    assert!(monitor.close_now().eq([0]));
}

#[test]
fn delay_that_is_over_is_ordinary_call() {
    let (sender, receiver) = numbered(5);
    let monitor = sender.monitor();
    let (past, error) = (Instant::now(), "unused");
    let calls: [fn(Task<usize>, Instant, &'static str); 5] = [
        |task, _, _| task.retry_after(Duration::ZERO).unwrap(),
        |task, past, _| task.retry_at(past).unwrap(),
        |task, past, _| {
            task.retry_at(past.checked_sub(MILLI).unwrap_or(past))
                .unwrap()
        },
        |task, _, error| task.retry_after_or_fail(Duration::ZERO, error).unwrap(),
        |task, _, _| {
            task.follow_up_after(*task, Duration::ZERO).unwrap();
            task.done();
        },
    ];
    let hand: Vec<_> = receiver.try_iter().collect();
    for (call, task) in calls.into_iter().zip(hand) {
        call(task, past, error);
        assert_eq!(delayed(&monitor), 0);
    }
    assert!(receiver.try_iter().map(Task::done).eq(0..5));
}

#[test]
fn longest_delay_is_far_future() {
    let (sender, receiver) = numbered(3);
    let monitor = sender.monitor();
    receiver
        .try_recv()
        .unwrap()
        .retry_after(Duration::MAX)
        .unwrap();
    let task = receiver.try_recv().unwrap();
    task.follow_up_after(10, Duration::MAX).unwrap();
    task.done();
    let task = receiver.try_recv().unwrap();
    task.retry_after_or_fail(Duration::MAX, "unused").unwrap();
    assert_eq!((delayed(&monitor), receiver.len()), (3, 0));
    assert!(monitor.stats().next_due > Some(Instant::now() + 1_000 * HOUR));
    assert!(monitor.close_now().eq([0, 10, 2]));
    assert_adds_up(&now(monitor.finished()).unwrap());
}

#[test]
fn delayed_items_need_no_room() {
    let (sender, receiver, task) = in_hand(1);
    sender.try_send(2).unwrap();
    task.follow_up_after(3, HOUR).unwrap();
    task.retry_after(HOUR).unwrap();
    assert!(sender.is_full());
    assert_eq!((receiver.len(), receiver.drain().count()), (1, 1));
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn join_and_end_wait_while_item_is_delayed() {
    for close in [false, true] {
        let (sender, receiver, task) = in_hand("job");
        let monitor = sender.monitor();
        let mut recv = Waiter::waiting(receiver.recv());
        task.retry_after(HOUR).unwrap();
        if close {
            sender.close();
        }
        assert_eq!((delayed(&monitor), monitor.outstanding()), (1, 1));
        assert!(poll_once(&mut monitor.join()).is_pending());
        assert!(poll_once(&mut monitor.finished()).is_pending());
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(recv.wakes(), 0);
        assert!(recv.poll().is_pending());
    }
}

#[test]
fn join_and_end_come_after_delayed_item() {
    let _watchdog = Watchdog::start();
    for close in [false, true] {
        let (sender, receiver, task) = in_hand("job");
        let monitor = sender.monitor();
        let mut join = Waiter::waiting(monitor.join());
        let mut finished = Waiter::waiting(monitor.finished());
        let mut recv = Waiter::waiting(receiver.recv());
        let due = Instant::now() + 5 * MILLI;
        task.retry_at(due).unwrap();
        if close {
            sender.close();
        }
        wait_until(|| recv.wakes() > 0);
        assert!(Instant::now() >= due);
        let Poll::Ready(Ok(task)) = recv.poll() else {
            panic!("the item is due");
        };
        assert_eq!((monitor.outstanding(), delayed(&monitor)), (1, 0));
        assert!(join.poll().is_pending() && finished.poll().is_pending());
        task.done();
        assert!(matches!(join.poll(), Poll::Ready(Ok(_))));
        assert_eq!(finished.poll().is_ready(), close);
        assert_eq!(receiver.try_recv().is_err_and(|it| it.is_closed()), close);
    }
}

#[test]
fn worker_is_free_while_item_is_delayed() {
    let (sender, receiver) = numbered(3);
    receiver.try_recv().unwrap().retry_after(HOUR).unwrap();
    assert!(receiver.try_iter().map(Task::done).eq([1, 2]));
    assert_eq!(delayed(&sender.monitor()), 1);
}

#[test]
fn max_attempts_holds_at_call() {
    let _watchdog = Watchdog::start();
    let builder = Builder::new().max_attempts(NonZeroU32::new(2).unwrap());
    let (sender, receiver) = builder.build_tasks();
    let monitor = sender.monitor();
    sender.try_send("job").unwrap();
    receiver.try_recv().unwrap().retry_after(MILLI).unwrap();
    let task = block_on(receiver.recv()).unwrap();
    assert_eq!(task.attempt(), 2);
    // A delayed follow-up is an item of its own.
    task.follow_up_after("another", MILLI).unwrap();
    assert_eq!(task.retry_after(HOUR), Err(RetryError::Exhausted("job")));
    let another = block_on(receiver.recv()).unwrap();
    assert_eq!((*another, another.attempt()), ("another", 1));
    let due = Instant::now() + MILLI;
    another.retry_at(due).unwrap();
    let another = block_on(receiver.recv()).unwrap();
    let refused = another.retry_at(Instant::now() + HOUR);
    assert_eq!(refused, Err(RetryError::Exhausted("another")));
    let report = now(monitor.join()).unwrap_err().report;
    assert_eq!((report.failed, report.retried, report.received), (2, 2, 4));
    assert_adds_up(&report);
}

#[test]
fn refused_delay_fails_with_error_of_worker() {
    let _watchdog = Watchdog::start();
    let builder = Builder::new().max_attempts(NonZeroU32::new(2).unwrap());
    let (sender, receiver) = builder.build_tasks();
    sender.try_send("job").unwrap();
    sender.close();
    while let Ok(task) = block_on(receiver.recv()) {
        let error = format!("attempt {}", task.attempt());
        let outcome = task.retry_after_or_fail(MILLI, error);
        assert!(outcome.is_ok() || outcome == Err(RetryError::Exhausted("job")));
    }
    let first = now(sender.join()).unwrap_err().first;
    assert_eq!(first.source().unwrap().to_string(), "attempt 2");
}

#[test]
fn close_now_returns_delayed_items_last_and_in_order() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered(6);
    let monitor = sender.monitor();
    let hand: Vec<_> = (0..5).map(|_| receiver.try_recv().unwrap()).collect();
    let [first, second, third, fourth, fifth] = hand.try_into().unwrap();
    let start = Instant::now();
    first.retry_at(start + 3 * HOUR).unwrap();
    second.retry_at(start + HOUR).unwrap();
    third.follow_up_after(20, 2 * HOUR).unwrap();
    third.retry().unwrap();
    assert_eq!((delayed(&monitor), receiver.len()), (3, 2));
    let mut finished = Waiter::waiting(monitor.finished());
    assert_eq!(monitor.close_now().collect::<Vec<_>>(), [5, 2, 1, 20, 0]);
    assert_eq!((delayed(&monitor), monitor.outstanding()), (0, 2));

    // Nothing is delayed any more.
    let refused = fourth.follow_up_after(30, HOUR);
    assert_eq!(refused, Err(SendError(30)));
    assert_eq!(fourth.retry_after(HOUR), Err(RetryError::Terminated(3)));
    fifth.done();
    let Poll::Ready(Err(error)) = finished.poll() else {
        panic!("a retry was refused");
    };
    assert_eq!((error.report.discarded, error.report.retried), (5, 3));
    assert_adds_up(&error.report);
}

#[test]
fn last_receiver_discards_delayed_items() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(4);
    let monitor = sender.monitor();
    for _ in 0..4 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let other = receiver.clone();
    assert!(receiver.try_recv().unwrap().retry_after(HOUR).is_ok());
    let task = receiver.try_recv().unwrap();
    assert!(task.follow_up_after(tally.item(), HOUR).is_ok());
    drop(receiver);
    assert_eq!(tally.dropped(), 0);
    drop(other);
    // All but the task in hand.
    assert_eq!(tally.drops(), [1, 0, 1, 1, 1]);
    assert_eq!((delayed(&monitor), monitor.outstanding()), (0, 1));
    let refused = task.follow_up_after(tally.item(), HOUR);
    drop(refused.unwrap_err());
    let refused = task.retry_after(HOUR).unwrap_err();
    assert!(refused.is_terminated());
    drop(refused);
    assert_eq!(tally.drops(), [1; 6]);
    let error = now(monitor.finished()).unwrap_err();
    assert!(matches!(error.first, Failure::Discarded));
    assert_eq!((error.report.discarded, error.report.failed), (4, 1));
    assert_adds_up(&error.report);
}

#[test]
fn stats_and_debug_show_what_is_delayed() {
    let (sender, receiver) = numbered(3);
    let monitor = sender.monitor();
    assert!(!format!("{monitor:?}").contains("delayed"));
    let due = Instant::now() + HOUR;
    receiver.try_recv().unwrap().retry_at(due + HOUR).unwrap();
    receiver.try_recv().unwrap().retry_at(due).unwrap();
    let stats = monitor.stats();
    assert_eq!((stats.queued, stats.delayed, stats.in_hand), (1, 2, 0));
    assert_eq!(stats.next_due, Some(due));
    assert_each_is_counted(&stats);
    for shown in [format!("{monitor:?}"), format!("{:?}", monitor.join())] {
        assert!(
            shown.contains("queued: 1, delayed: 2, next_due_in: 3"),
            "{shown}"
        );
    }
    drop(monitor.close_now());
    let stats = monitor.stats();
    assert_eq!((stats.delayed, stats.next_due), (0, None));
}

#[test]
fn cancelled_receiver_passes_on_wake_for_due_item() {
    let _watchdog = Watchdog::start();
    let (_sender, receiver, task) = in_hand(1);
    let first = Waiter::waiting(receiver.recv());
    let mut second = Waiter::waiting(receiver.recv());
    task.retry_after(MILLI).unwrap();
    wait_until(|| first.wakes() > 0);
    assert_eq!(second.wakes(), 0);
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(second.poll().map(|task| task.unwrap().done()).is_ready());
}

/// Works until the end, and checks that no item comes before it is due.
async fn work(receiver: TaskReceiver<Option<Instant>>) {
    let mut rng = fastrand::Rng::with_seed(11);
    while let Ok(mut task) = receiver.recv().await {
        assert!(task.is_none_or(|due| Instant::now() >= due), "early");
        let delay = MILLI * rng.u32(0..4);
        let due = Instant::now() + delay;
        match task.attempt() {
            1 => {
                *task = Some(due);
                task.retry_at(due).unwrap();
            }
            2 => {
                // The delay begins at the call, or later than it is measured here.
                *task = Some(due);
                task.retry_after(delay).unwrap();
            }
            3 if rng.bool() => {
                task.follow_up_after(Some(due), delay).unwrap();
                task.done();
            }
            _ => drop(task.done()),
        }
    }
}

const JOBS: u64 = 200;

/// A channel with jobs, and workers for it.
fn pool() -> (
    Monitor<Option<Instant>>,
    Vec<impl Future<Output = ()> + Send>,
) {
    let (sender, receiver) = tollgate::unbounded_tasks();
    (0..JOBS).for_each(|_| sender.try_send(None).unwrap());
    let monitor = sender.monitor();
    (monitor, (0..4).map(|_| work(receiver.clone())).collect())
}

#[track_caller]
fn assert_worked(report: Report) {
    assert_eq!(report.sent, JOBS);
    assert_eq!(report.done, JOBS + report.followed_up);
    assert!(report.retried >= 2 * JOBS);
    assert_adds_up(&report);
}

#[test]
fn pool_delays_on_tokio() {
    let _watchdog = Watchdog::start();
    let runtimes = [
        tokio::runtime::Builder::new_current_thread().build(),
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build(),
    ];
    for runtime in runtimes {
        runtime.unwrap().block_on(async {
            let (monitor, workers) = pool();
            workers.into_iter().map(tokio::spawn).for_each(drop);
            assert_worked(monitor.finished().await.unwrap());
        });
    }
}

#[test]
fn pool_delays_on_async_std() {
    let _watchdog = Watchdog::start();
    async_std::task::block_on(async {
        let (monitor, workers) = pool();
        workers
            .into_iter()
            .map(async_std::task::spawn)
            .for_each(drop);
        assert_worked(monitor.finished().await.unwrap());
    });
}

#[test]
fn pool_delays_on_threads() {
    let _watchdog = Watchdog::start();
    let (monitor, workers) = pool();
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| block_on(worker));
        }
        assert_worked(monitor.finished_blocking().unwrap());
    });
}

#[test]
fn pool_delays_in_one_task() {
    let _watchdog = Watchdog::start();
    let (monitor, workers) = pool();
    block_on(join_all(workers));
    assert_worked(now(monitor.finished()).unwrap());
}

/// An item that may be used and dropped by one thread only.
struct Local {
    owner: ThreadId,
    dropped: Rc<Cell<usize>>,
}

impl Drop for Local {
    fn drop(&mut self) {
        assert_eq!(self.owner, thread::current().id());
        self.dropped.set(self.dropped.get() + 1);
    }
}

#[test]
fn item_that_is_not_send_stays_with_its_thread() {
    let _watchdog = Watchdog::start();
    let dropped = Rc::new(Cell::new(0));
    let item = || Local {
        owner: thread::current().id(),
        dropped: Rc::clone(&dropped),
    };
    let (sender, mut receiver, task) = in_hand(item());
    for _ in 0..3 {
        assert!(task.follow_up_after(item(), MILLI).is_ok());
    }
    assert!(task.retry_after(MILLI).is_ok());
    let first = block_on(receiver.next()).unwrap();
    assert!(first.follow_up_after(item(), HOUR).is_ok());
    drop(first.done());
    let second = block_on(receiver.next()).unwrap();
    drop(sender);
    assert_eq!(dropped.get(), 1);
    drop(receiver);
    assert_eq!(dropped.get(), 4);
    drop(second);
    assert_eq!(dropped.get(), 5);
}

/// If a receiver is forgotten, what its channel holds may outlive what it borrows. It is moved then, but not
/// used.
#[test]
fn forgotten_receiver_leaves_items_that_are_not_used() {
    let _watchdog = Watchdog::start();
    let words = vec![String::from("borrowed")];
    let (sender, receiver, task) = in_hand(&words[0]);
    let monitor = sender.monitor();
    task.retry_after(5 * MILLI).unwrap();
    std::mem::forget(receiver);
    // A monitor of another type, which borrows nothing.
    let (_other, others, task) = in_hand(1);
    drop((sender, monitor));
    drop(words);
    task.retry_after(10 * MILLI).unwrap();
    assert_eq!(block_on(others.recv()).unwrap().done(), 1);
}

/// A waker that panics when it is woken, and counts.
struct Panicking(AtomicUsize);

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        // Without the message of `panic!`.
        resume_unwind(Box::new(PanicsToo));
    }
}

/// The payload of a panic, whose destructor panics too.
struct PanicsToo;

impl Drop for PanicsToo {
    fn drop(&mut self) {
        resume_unwind(Box::new("a payload was dropped"));
    }
}

#[test]
fn panicking_waker_holds_up_no_other_item() {
    let _watchdog = Watchdog::start();
    let (_sender, receiver) = numbered(3);
    let hand = [(); 3].map(|()| receiver.try_recv().unwrap());
    let panicking = Arc::new(Panicking(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&panicking));
    let mut recvs = [(); 2].map(|()| receiver.recv());
    for recv in &mut recvs {
        assert!(
            recv.poll_unpin(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    let third = Waiter::waiting(receiver.recv());
    let (_other, others, task) = in_hand(7);
    let due = Instant::now() + 5 * MILLI;
    for task in hand {
        // On a slow machine, it may be due already, and the waker is called here.
        let _ = catch_unwind(AssertUnwindSafe(|| task.retry_at(due).unwrap()));
    }
    task.retry_at(due + MILLI).unwrap();
    // Another channel, and the third receiver, are woken after the panics.
    assert_eq!(block_on(others.recv()).unwrap().done(), 7);
    wait_until(|| third.wakes() > 0);
    assert_eq!(panicking.0.load(Ordering::SeqCst), 2);
    drop((third, recvs));
    assert_eq!(
        receiver.try_iter().map(Task::done).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

/// An error whose destructor panics on any other thread than its own.
#[derive(Debug)]
struct OfThread(ThreadId);

impl fmt::Display for OfThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("of a thread")
    }
}

impl Error for OfThread {}

impl Drop for OfThread {
    fn drop(&mut self) {
        if thread::current().id() != self.0 {
            resume_unwind(Box::new(PanicsToo));
        }
    }
}

/// A waker that is woken by the timer, and then drops all handles of the channel. So the timer has the
/// last one.
struct Dropping<T>(std::sync::Mutex<Option<T>>);

impl<T: Send> Wake for Dropping<T> {
    fn wake(self: Arc<Self>) {
        let all = self.0.lock().unwrap().take();
        drop(all);
    }
}

#[test]
fn timer_frees_channel_with_last_handle() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = numbered(2);
    let failed = receiver.try_recv().unwrap();
    failed.fail(OfThread(thread::current().id()));
    let task = receiver.try_recv().unwrap();
    let dropping = Arc::new(Dropping(std::sync::Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&dropping));
    let mut recv = receiver.clone().into_recv();
    assert!(
        recv.poll_unpin(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // Forgotten in the waker: the future has a handle, and is dropped there too.
    *dropping.0.lock().unwrap() = Some((sender, receiver, recv));
    task.retry_after(MILLI).unwrap();
    wait_until(|| dropping.0.lock().is_ok_and(|it| it.is_none()));
    // Its thread goes on.
    let (_sender, receiver, task) = in_hand(1);
    task.retry_after(MILLI).unwrap();
    assert_eq!(block_on(receiver.recv()).unwrap().done(), 1);
}
