//! Retries and follow-ups: neither call waits, no item is lost, and `join` and the end of the
//! channel take both into account.

use std::cell::Cell;
use std::error::Error;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::StreamExt;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Failure;
use tollgate::RetryError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::TryRecvError;
use tollgate::TrySendError;

use crate::common::CountingWaker;
use crate::common::Item;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::poll_next;

/// A channel that delivers an item `most` times at most.
fn limited<T>(capacity: usize, most: u32, abandon: Abandon) -> (Sender<T>, TaskReceiver<T>) {
    Builder::new()
        .capacity(capacity)
        .max_attempts(NonZeroU32::new(most).unwrap())
        .on_abandon(abandon)
        .build_tasks()
}

/// A channel with one task in hand.
fn in_hand<T>(item: T) -> (Sender<T>, TaskReceiver<T>, Task<T>) {
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(item).is_ok());
    let task = receiver.try_recv().unwrap();
    (sender, receiver, task)
}

/// The error of a failure that was caused by a refused retry.
fn refusal(failure: Option<Failure>) -> Option<RetryError<()>> {
    match failure {
        Some(Failure::Failed(error)) => error.downcast_ref().copied(),
        _ => None,
    }
}

#[test]
fn retry_is_next_attempt_of_same_item() {
    let (sender, receiver, task) = in_hand("letter");
    assert_eq!(task.attempt(), 1);
    task.retry().unwrap();
    for attempt in 2..=5 {
        let task = receiver.try_recv().unwrap();
        assert_eq!((*task, task.attempt()), ("letter", attempt));
        task.retry().unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap().done(), "letter");

    let report = now(sender.join()).unwrap();
    assert_eq!((report.sent, report.done), (1, 1));
    assert_eq!((report.received, report.retried), (6, 5));
    assert_adds_up(&report);
}

#[test]
fn retry_needs_no_room() {
    let (sender, receiver, task) = in_hand(1);
    sender.try_send(2).unwrap();
    let mut send = Waiter::waiting(sender.send(3));
    task.retry().unwrap();
    assert_eq!((sender.len(), sender.capacity()), (2, Some(1)));
    assert!(sender.is_full() && receiver.is_full());
    assert_eq!(receiver.len(), 2);

    let mut taken = vec![receiver.try_recv().unwrap(), receiver.try_recv().unwrap()];
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
    taken.push(receiver.try_recv().unwrap());
    let mut items: Vec<_> = taken.into_iter().map(Task::done).collect();
    items.sort_unstable();
    assert_eq!(items, [1, 2, 3]);
}

#[test]
fn item_from_lane_wakes_no_sender() {
    let (sender, receiver, task) = in_hand(1);
    task.follow_up(2).unwrap();
    task.follow_up(3).unwrap();
    sender.try_send(9).unwrap();
    let mut sends = [10, 11].map(|item| Waiter::waiting(sender.send(item)));
    let tasks: Vec<_> = (0..3).map(|_| receiver.try_recv().unwrap()).collect();
    assert_eq!(sends.each_ref().map(Waiter::wakes), [1, 0]);
    assert!(sends[0].poll().is_ready());
    assert_eq!(receiver.try_recv().unwrap().done(), 10);
    tasks.into_iter().map(Task::done).for_each(drop);
    task.done();
}

#[test]
fn follow_up_is_own_task_after_close() {
    for close in [false, true] {
        let (sender, receiver, task) = in_hand("page");
        if close {
            sender.close();
        }
        task.follow_up("link").unwrap();
        assert_eq!(sender.monitor().outstanding(), 2);
        let link = receiver.try_recv().unwrap();
        assert_eq!((*link, link.attempt()), ("link", 1));
        task.done();
        let mut join = Waiter::waiting(sender.join());
        link.done();
        assert_eq!(join.wakes(), 1);
        let Poll::Ready(Ok(report)) = join.poll() else {
            panic!("the work is done");
        };
        assert_eq!((report.sent, report.followed_up, report.done), (1, 1, 2));
        assert_adds_up(&report);
    }
}

#[test]
fn retry_or_follow_up_wakes_waiting_receiver() {
    for close in [false, true] {
        let come_back: [fn(Task<u8>); 2] = [
            |task| task.retry().unwrap(),
            |task| {
                task.follow_up(1).unwrap();
                task.done();
            },
        ];
        for come_back in come_back {
            let (sender, mut receiver, task) = in_hand(1);
            let other = receiver.clone();
            let mut recv = Waiter::waiting(other.recv());
            let stream = CountingWaker::new();
            assert!(poll_next(&mut receiver, &stream).is_pending());
            if close {
                sender.close();
            }
            assert_eq!((recv.wakes(), stream.wakes()), (0, 0));
            come_back(task);
            assert_eq!((recv.wakes(), stream.wakes()), (1, 0));
            let Poll::Ready(Ok(task)) = recv.poll() else {
                panic!("the task was retried");
            };
            assert_eq!(task.done(), 1);
            // With the close, the last task ends both receivers.
            assert_eq!(stream.wakes(), usize::from(close));
            assert_eq!(poll_next(&mut receiver, &stream).is_ready(), close);
        }
    }
}

#[test]
fn cancelled_receiver_passes_on_wake_for_lane() {
    let (_sender, receiver, task) = in_hand(1);
    let first = Waiter::waiting(receiver.recv());
    let mut second = Waiter::waiting(receiver.recv());
    task.follow_up(2).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    let Poll::Ready(Ok(follow_up)) = second.poll() else {
        panic!("the task that woke it is there");
    };
    assert_eq!(follow_up.done(), 2);
    task.done();
}

#[test]
fn closed_channel_ends_after_last_retry() {
    let (sender, receiver, task) = in_hand(3_u32);
    sender.close();
    let mut recv = Waiter::waiting(receiver.recv());
    task.follow_up(2).unwrap();
    task.done();
    let Poll::Ready(Ok(task)) = recv.poll() else {
        panic!("the follow-up is there");
    };
    let mut recv = Waiter::waiting(receiver.recv());
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    task.retry().unwrap();
    let Poll::Ready(Ok(task)) = recv.poll() else {
        panic!("the task was retried");
    };
    let mut recv = Waiter::waiting(receiver.recv());
    task.done();
    assert_eq!(recv.wakes(), 1);
    assert!(matches!(recv.poll(), Poll::Ready(Err(_))));
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Closed);
}

#[test]
fn join_never_completes_between_task_and_successor() {
    /// Joins in every wake, as an executor would that runs tasks inside `wake`.
    struct Joiner(tollgate::Monitor<u8>);

    impl Wake for Joiner {
        fn wake(self: Arc<Self>) {
            assert!(self.0.join().now_or_never().is_none(), "{:?}", self.0);
            assert!(self.0.finished().now_or_never().is_none());
            assert!(self.0.outstanding() >= 1);
        }
    }

    let (sender, receiver, task) = in_hand(1);
    let waker = Waker::from(Arc::new(Joiner(sender.monitor())));
    let mut cx = Context::from_waker(&waker);
    sender.close();
    let mut recv = receiver.recv();
    assert!(recv.poll_unpin(&mut cx).is_pending());
    task.retry().unwrap();
    let Poll::Ready(Ok(task)) = recv.poll_unpin(&mut cx) else {
        panic!("the task was retried");
    };
    let mut recv = receiver.recv();
    assert!(recv.poll_unpin(&mut cx).is_pending());
    task.follow_up(2).unwrap();
    let Poll::Ready(Ok(follow_up)) = recv.poll_unpin(&mut cx) else {
        panic!("the follow-up is there");
    };
    task.done();
    assert!(sender.join().now_or_never().is_none());
    follow_up.done();
    assert_adds_up(&now(sender.join()).unwrap());
}

#[test]
fn ring_and_lane_alternate_in_order() {
    let (sender, receiver) = tollgate::tasks(8);
    sender.try_send(0).unwrap();
    let parent = receiver.try_recv().unwrap();
    for item in 1..=4 {
        sender.try_send(item).unwrap();
        parent.follow_up(-item).unwrap();
    }
    let taken: Vec<i32> = (0..8)
        .map(|_| receiver.try_recv().unwrap().done())
        .collect();
    let (sent, left): (Vec<_>, Vec<_>) = taken.iter().partition(|item| **item > 0);
    assert_eq!((sent, left), (vec![1, 2, 3, 4], vec![-1, -2, -3, -4]));
    for pair in taken.chunks(2) {
        assert!(pair[0].signum() != pair[1].signum(), "{taken:?}");
    }
    parent.done();
}

#[test]
fn full_ring_and_lane_get_equal_turns() {
    let (sender, receiver) = tollgate::tasks(2);
    let mut lane = 0;
    let mut ring = 0;
    sender.try_send(true).unwrap();
    receiver.try_recv().unwrap().retry().unwrap();
    for _ in 0..1000 {
        while sender.try_send(false).is_ok() {}
        let task = receiver.try_recv().unwrap();
        // One item is retried forever; the ring is never empty.
        match *task {
            true => {
                lane += 1;
                task.retry().unwrap();
            }
            false => {
                ring += 1;
                task.done();
            }
        }
    }
    assert_eq!((lane, ring), (500, 500));
}

#[test]
fn pool_that_feeds_itself_ends() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks::<u32>(1);
    sender.try_send(12).unwrap();
    let monitor = sender.monitor();
    drop(sender);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let receiver = receiver.clone();
            std::thread::spawn(move || {
                pollster::block_on(async {
                    while let Ok(task) = receiver.recv().await {
                        if task.attempt() == 1 && *task % 3 == 0 {
                            task.retry().unwrap();
                            continue;
                        }
                        if *task > 0 {
                            task.follow_up(*task - 1).unwrap();
                            task.follow_up(*task - 1).unwrap();
                        }
                        task.done();
                    }
                });
            })
        })
        .collect();
    drop(receiver);
    let report = pollster::block_on(monitor.finished()).unwrap();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(report.done, (1 << 13) - 1);
    let multiples_of_three = (0..=12).filter(|depth| depth % 3 == 0);
    let retried: u64 = multiples_of_three.map(|depth| 1 << (12 - depth)).sum();
    assert_eq!(report.retried, retried);
    assert_adds_up(&report);
}

#[test]
fn max_attempts_is_exact() {
    for most in 1..=4 {
        let tally = Tally::new();
        let (sender, receiver) = limited(1, most, Abandon::Count);
        assert!(sender.try_send(tally.item()).is_ok());
        for attempt in 1..most {
            let task = receiver.try_recv().unwrap();
            assert_eq!(task.attempt(), attempt);
            task.retry().unwrap();
        }
        let task = receiver.try_recv().unwrap();
        let Err(RetryError::Exhausted(item)) = task.retry() else {
            panic!("no attempts are left");
        };
        assert_eq!((item.id, tally.dropped()), (0, 0));
        assert!(receiver.is_empty());

        let error = now(sender.join()).unwrap_err();
        let report = error.report;
        assert_eq!((report.failed, report.retried), (1, u64::from(most) - 1));
        assert_adds_up(&report);
        assert_eq!(refusal(Some(error.first)), Some(RetryError::Exhausted(())));
    }
}

#[test]
fn exhausted_retry_is_source_of_join_error() {
    let (sender, receiver) = limited(1, 1, Abandon::Count);
    sender.try_send(1).unwrap();
    receiver.try_recv().unwrap().retry().unwrap_err();
    let error = now(sender.join()).unwrap_err();
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    assert_eq!(
        chain[1..],
        ["a task failed", "retrying a task that has no attempts left"]
    );
}

#[test]
fn retry_or_fail_records_its_error() {
    let (sender, receiver) = limited(1, 2, Abandon::Requeue);
    sender.try_send(1).unwrap();
    assert!(receiver.try_recv().unwrap().retry_or_fail("first").is_ok());
    assert!(sender.monitor().take_failure().is_none());
    let refused = receiver.try_recv().unwrap().retry_or_fail("second");
    assert_eq!(refused, Err(RetryError::Exhausted(1)));
    let error = now(sender.join()).unwrap_err();
    assert_eq!((error.report.failed, error.report.retried), (1, 1));
    assert!(matches!(error.first, Failure::Failed(error) if error.to_string() == "second"));

    let (sender, receiver) = limited(1, 2, Abandon::Count);
    sender.try_send(1).unwrap();
    let task = receiver.try_recv().unwrap();
    drop(receiver);
    assert_eq!(task.retry_or_fail("alone"), Err(RetryError::Terminated(1)));
    let first = now(sender.join()).unwrap_err().first;
    assert!(matches!(first, Failure::Failed(error) if error.to_string() == "alone"));
}

#[test]
fn retry_and_follow_up_fail_without_receiver() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    for _ in 0..2 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let [first, second] = [(), ()].map(|()| receiver.try_recv().unwrap());
    let failed = Waiter::waiting(monitor.failed());
    drop(receiver);
    let Err(error) = first.follow_up(tally.item()) else {
        panic!("no receiver is left");
    };
    assert_eq!(error.into_inner().id, 2);
    assert_eq!(failed.wakes(), 0);
    let Err(RetryError::Terminated(item)) = first.retry() else {
        panic!("no receiver is left");
    };
    assert_eq!(item.id, 0);
    assert_eq!(failed.wakes(), 1);
    drop(item);
    second.done();

    let error = now(monitor.finished()).unwrap_err();
    let report = error.report;
    assert_eq!((report.done, report.failed, report.followed_up), (1, 1, 0));
    assert_adds_up(&report);
    assert_eq!(refusal(Some(error.first)), Some(RetryError::Terminated(())));
    assert_eq!(tally.drops(), [1, 1, 1]);
}

#[test]
fn last_receiver_discards_lane() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    for _ in 0..2 {
        assert!(sender.try_send(tally.item()).is_ok());
    }
    let parent = receiver.try_recv().unwrap();
    assert!(parent.follow_up(tally.item()).is_ok());
    parent.retry().unwrap();
    assert_eq!(monitor.stats().queued, 3);
    let mut finished = Waiter::waiting(monitor.finished());
    drop(receiver);
    assert_eq!(tally.drops(), [1, 1, 1]);
    assert_eq!(finished.wakes(), 1);
    let Poll::Ready(Err(error)) = finished.poll() else {
        panic!("nothing is left");
    };
    let report = error.report;
    assert_eq!((report.discarded, report.retried), (3, 1));
    assert_adds_up(&report);
    assert!(matches!(error.first, Failure::Discarded));
    assert!(matches!(
        sender.try_send(tally.item()),
        Err(TrySendError::Closed(_))
    ));
}

fn while_panicking(task: Task<Item>) {
    let unwind = AssertUnwindSafe(|| {
        let _task = task;
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
}

#[test]
fn dropped_task_is_requeued_while_attempts_remain() {
    let ends: [fn(Task<Item>); 2] = [drop, while_panicking];
    for (number, end) in ends.into_iter().enumerate() {
        let tally = Tally::new();
        let (sender, receiver) = limited(1, 3, Abandon::Requeue);
        assert!(sender.try_send(tally.item()).is_ok());
        sender.close();
        for attempt in 1..=3 {
            assert_eq!(tally.dropped(), 0);
            let task = receiver.try_recv().unwrap();
            assert_eq!(task.attempt(), attempt);
            end(task);
        }
        assert_eq!(tally.drops(), [1]);
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Closed);

        let error = now(sender.join()).unwrap_err();
        let report = error.report;
        assert_eq!(report.retried, 2);
        let panicked = number == 1 && cfg!(feature = "std");
        let expected = if panicked { (0, 1) } else { (1, 0) };
        assert_eq!((report.abandoned, report.panicked), expected);
        assert_adds_up(&report);
    }
}

#[test]
fn requeued_task_that_succeeds_is_no_failure() {
    let (sender, receiver) = limited(1, 2, Abandon::Requeue);
    sender.try_send("crash course").unwrap();
    drop(receiver.try_recv().unwrap());
    receiver.try_recv().unwrap().done();
    let report = now(sender.join()).unwrap();
    assert_eq!((report.done, report.retried, report.abandoned), (1, 1, 0));
}

#[test]
fn dropped_task_without_receiver_is_abandoned() {
    let tally = Tally::new();
    let (sender, receiver) = limited(1, 9, Abandon::Requeue);
    assert!(sender.try_send(tally.item()).is_ok());
    let task = receiver.try_recv().unwrap();
    drop(receiver);
    drop(task);
    assert_eq!(tally.drops(), [1]);
    let error = now(sender.monitor().finished()).unwrap_err();
    assert!(matches!(error.first, Failure::Abandoned));
    assert_adds_up(&error.report);
}

#[test]
fn ticket_is_not_requeued() {
    let (sender, receiver) = limited(1, 9, Abandon::Requeue);
    sender.try_send(1).unwrap();
    let (_, ticket) = receiver.try_recv().unwrap().split();
    drop(ticket);
    assert!(receiver.is_empty());
    assert_eq!(now(sender.join()).unwrap_err().report.abandoned, 1);
}

#[test]
fn fail_and_retry_do_not_requeue() {
    let (sender, receiver) = limited(2, 2, Abandon::Requeue);
    sender.try_send(1).unwrap();
    receiver.try_recv().unwrap().fail("no use");
    assert!(receiver.is_empty());
    sender.try_send(2).unwrap();
    receiver.try_recv().unwrap().retry().unwrap();
    assert!(
        receiver
            .try_recv()
            .unwrap()
            .retry()
            .unwrap_err()
            .is_exhausted()
    );
    assert!(receiver.is_empty());
    let report = now(sender.join()).unwrap_err().report;
    assert_eq!((report.failed, report.retried), (2, 1));
}

#[test]
fn task_retries_without_any_handle() {
    let tally = Tally::new();
    for abandon in [Abandon::Count, Abandon::Requeue] {
        let (sender, receiver) = limited(1, 2, abandon);
        assert!(sender.try_send(tally.item()).is_ok());
        let task = receiver.try_recv().unwrap();
        drop((sender, receiver));
        assert!(task.follow_up(tally.item()).is_err());
        match abandon {
            Abandon::Count => assert!(task.retry().unwrap_err().is_terminated()),
            _ => drop(task),
        }
    }
    assert_eq!(tally.drops(), [1; 4]);
}

#[test]
fn panicking_waker_keeps_retry_and_task() {
    struct Panicking;

    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("waker"));
        }
    }

    let waker = Waker::from(Arc::new(Panicking));
    let mut cx = Context::from_waker(&waker);
    let (sender, receiver) = limited(1, 9, Abandon::Requeue);
    sender.try_send(1).unwrap();
    let come_back: [fn(Task<i32>); 2] = [|task| task.retry().unwrap(), drop];
    for come_back in come_back {
        let task = receiver.try_recv().unwrap();
        let mut recv = receiver.recv();
        assert!(recv.poll_unpin(&mut cx).is_pending());
        catch_unwind(AssertUnwindSafe(|| come_back(task))).unwrap_err();
        assert_eq!((receiver.len(), sender.monitor().outstanding()), (1, 1));
    }
    let task = receiver.try_recv().unwrap();
    let mut recv = receiver.recv();
    assert!(recv.poll_unpin(&mut cx).is_pending());
    catch_unwind(AssertUnwindSafe(|| task.follow_up(2))).unwrap_err();
    drop(recv);
    assert_eq!(receiver.try_recv().unwrap().done(), 2);
    assert_eq!((*task, task.attempt()), (1, 3));
    task.done();
    assert_adds_up(&now(sender.join()).unwrap());
}

#[test]
fn stats_count_retries_and_follow_ups() {
    let (sender, receiver, task) = in_hand(1);
    task.follow_up(2).unwrap();
    task.follow_up(3).unwrap();
    task.retry().unwrap();
    sender.try_send(4).unwrap();
    let first = receiver.try_recv().unwrap();
    let stats = sender.monitor().stats();
    assert_eq!((stats.queued, stats.in_hand), (3, 1));
    let report = stats.report;
    assert_eq!((report.sent, report.followed_up, report.retried), (2, 2, 1));
    assert_eq!((report.received, report.done), (2, 0));
    // Every accepted item is counted in one place.
    let ended = report.done + report.failed + report.abandoned + report.panicked + report.discarded;
    let here = (stats.queued + stats.in_hand) as u64;
    assert_eq!(report.sent + report.followed_up, ended + here);
    first.done();
}

/// The deadlock that the documentation of `Task` and `TaskReceiver` describes, and how to avoid it.
#[test]
fn holding_task_while_receiving_deadlocks() {
    let (sender, receiver) = tollgate::tasks(4);
    for item in 1..=3 {
        sender.try_send(item).unwrap();
    }
    sender.close();

    // The second chunk holds the last task and waits for another one, which only a retry or a
    // follow-up of that task could bring.
    let mut chunks = receiver.clone().chunks(2);
    let first = now(chunks.next()).unwrap();
    assert_eq!(first.len(), 2);
    first.into_iter().map(Task::done).for_each(drop);
    let mut second = Waiter::waiting(chunks.next());
    assert!(second.poll().is_pending());
    assert_eq!(second.wakes(), 0);
    assert_eq!(sender.monitor().stats().in_hand, 1);
    drop(second);
    drop(chunks);
    assert!(matches!(
        sender.monitor().take_failure(),
        Some(Failure::Abandoned)
    ));

    // Wait for one task, then take only what is there.
    let (sender, receiver) = tollgate::tasks(4);
    for item in 1..=3 {
        sender.try_send(item).unwrap();
    }
    sender.close();
    let mut batches = Vec::new();
    while let Some(Ok(first)) = receiver.recv().now_or_never() {
        let mut batch = vec![first];
        while batch.len() < 2 {
            match receiver.try_recv() {
                Ok(task) => batch.push(task),
                Err(_) => break,
            }
        }
        batches.push(batch.into_iter().map(Task::done).collect::<Vec<_>>());
    }
    assert_eq!(batches, [vec![1, 2], vec![3]]);
    assert_eq!(now(sender.join()).unwrap().done, 3);
}

/// More workers do not help: each waits for the tasks of the others.
#[test]
fn holders_of_tasks_wait_for_each_other() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    sender.close();
    let held = [(); 2].map(|()| receiver.try_recv().unwrap());
    let mut waiting = [(); 2].map(|()| Waiter::waiting(receiver.recv()));
    assert!(waiting.iter_mut().all(|recv| recv.poll().is_pending()));
    assert!(waiting.iter().all(|recv| recv.wakes() == 0));
    held.into_iter().map(Task::done).for_each(drop);
    assert!(waiting.iter_mut().all(|recv| recv.poll().is_ready()));
}

/// A pending stream, as the documentation of `TaskReceiver` describes it, and what to do instead.
#[test]
fn pending_stream_keeps_one_wake() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    let mut chunks = receiver.clone().ready_chunks(2);
    let chunk = now(chunks.next()).unwrap();
    let mut idle = Waiter::waiting(receiver.recv());
    chunk[0].follow_up(2).unwrap();
    assert_eq!((idle.wakes(), receiver.len()), (0, 1));
    // The dropped stream passes on its wake.
    drop(chunks);
    assert_eq!(idle.wakes(), 1);
    assert!(matches!(idle.poll(), Poll::Ready(Ok(_))));
    chunk.into_iter().map(Task::done).for_each(drop);

    sender.try_send(1).unwrap();
    let first = now(receiver.recv()).unwrap();
    assert!(receiver.try_recv().is_err());
    let idle = Waiter::waiting(receiver.recv());
    first.follow_up(2).unwrap();
    assert_eq!(idle.wakes(), 1);
    drop((idle, first));
}

/// Stream adapters that end tasks as they receive them, or take only what is there.
#[test]
fn adapters_that_hold_no_task_end() {
    fn three() -> (Sender<u32>, TaskReceiver<u32>) {
        let (sender, receiver) = tollgate::tasks(3);
        for item in 1..=3 {
            sender.try_send(item).unwrap();
        }
        sender.close();
        (sender, receiver)
    }

    let (sender, receiver) = three();
    let chunks = receiver.ready_chunks(2);
    let work = chunks.for_each(async |chunk| chunk.into_iter().map(Task::done).for_each(drop));
    now(work.boxed_local());
    assert_eq!(now(sender.join()).unwrap().done, 3);

    let (sender, receiver) = three();
    let work = receiver.for_each_concurrent(2, async |task| assert!(task.done() <= 3));
    now(work.boxed_local());
    assert_eq!(now(sender.join()).unwrap().done, 3);

    let (sender, receiver) = three();
    let work = receiver.map(|task| async { task.done() });
    assert_eq!(now(work.buffer_unordered(2).count().boxed_local()), 3);
    assert_eq!(now(sender.join()).unwrap().done, 3);

    // This one holds its tasks.
    let (_sender, receiver) = three();
    assert!(receiver.collect::<Vec<_>>().now_or_never().is_none());
}

#[test]
fn follow_ups_take_no_room() {
    let (sender, receiver, task) = in_hand(1);
    task.follow_up(2).unwrap();
    assert!(!sender.is_full() && !receiver.is_full());
    sender.try_send(3).unwrap();
    assert!(sender.is_full() && receiver.is_full());
    task.done();
}

/// A conversion may be expensive, and its error's destructor may have side effects.
#[test]
fn retry_error_is_converted_only_when_refused() {
    struct Reason(Rc<Cell<u32>>);

    impl From<Reason> for Box<dyn Error + Send + Sync> {
        fn from(reason: Reason) -> Self {
            reason.0.set(reason.0.get() + 1);
            "at last".into()
        }
    }

    let conversions = Rc::new(Cell::new(0));
    let (sender, receiver) = limited(1, 2, Abandon::Count);
    sender.try_send(1).unwrap();
    for (allowed, expected) in [(true, 0), (false, 1)] {
        let task = receiver.try_recv().unwrap();
        let retried = task.retry_or_fail(Reason(Rc::clone(&conversions)));
        assert_eq!((retried.is_ok(), conversions.get()), (allowed, expected));
    }
}

#[test]
#[should_panic = "`Abandon::Requeue` needs `max_attempts`"]
fn requeue_without_max_attempts_panics() {
    let builder = Builder::new().capacity(1).on_abandon(Abandon::Requeue);
    let _ = builder.build_tasks::<u32>();
}
