//! Batches of a task channel: the lane, and tasks in hand.

use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::task::Poll;

use tollgate::Builder;
use tollgate::RecvError;
use tollgate::Sender;

use super::fill;
use super::max;
use crate::common::CountingWaker;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::poll;
use crate::common::wakes;

/// A task channel with items in the lane, as retries of attempt 1, and in the ring.
fn with_lane(lane: u32, ring: u32) -> (Sender<u32>, tollgate::TaskReceiver<u32>) {
    let (sender, receiver) = tollgate::tasks(64);
    fill(&sender, 0..lane);
    let mut tasks = Vec::new();
    if lane > 0 {
        receiver
            .try_recv_many(&mut tasks, NonZeroUsize::MAX)
            .unwrap();
    }
    for task in tasks {
        task.retry().unwrap();
    }
    if ring > 0 {
        fill(&sender, 100..100 + ring);
    }
    (sender, receiver)
}

/// How many items a batch takes from the lane and from the ring.
fn batch_of(receiver: &tollgate::TaskReceiver<u32>, count: usize) -> (usize, usize) {
    let mut tasks = Vec::new();
    let taken = receiver.try_recv_many(&mut tasks, max(count)).unwrap();
    assert_eq!(taken.get(), tasks.len());
    let requeued = tasks.iter().filter(|task| task.attempt() == 2).count();
    for task in tasks {
        assert_eq!(task.attempt() == 2, *task < 100);
        task.done();
    }
    (requeued, taken.get() - requeued)
}

#[test]
fn batch_takes_half_from_lane() {
    let _watchdog = Watchdog::start();
    let (_sender, receiver) = with_lane(20, 20);
    assert_eq!(batch_of(&receiver, 10), (5, 5));
    // The odd one, in turn.
    let odd = [batch_of(&receiver, 3), batch_of(&receiver, 3)];
    assert!(
        odd == [(1, 2), (2, 1)] || odd == [(2, 1), (1, 2)],
        "{odd:?}"
    );
    let single = [batch_of(&receiver, 1), batch_of(&receiver, 1)];
    assert!(single == [(0, 1), (1, 0)] || single == [(1, 0), (0, 1)]);
    assert_eq!(receiver.len(), 22);
    assert_eq!(batch_of(&receiver, usize::MAX), (11, 11));
    assert_eq!(receiver.len(), 0);

    // What one of them lacks, the other gives.
    assert_eq!(batch_of(&with_lane(2, 20).1, 10), (2, 8));
    assert_eq!(batch_of(&with_lane(20, 2).1, 10), (8, 2));
    assert_eq!(batch_of(&with_lane(20, 0).1, 10), (10, 0));
    assert_eq!(batch_of(&with_lane(0, 20).1, 10), (0, 10));
    assert_eq!(batch_of(&with_lane(3, 4).1, usize::MAX), (3, 4));
}

#[test]
fn batch_from_lane_makes_no_room() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(2);
    fill(&sender, 0..2);
    let parent = receiver.try_recv().unwrap();
    (10..20).for_each(|item| parent.follow_up(item).unwrap());
    sender.try_send(2).unwrap();
    let mut sends: Vec<_> = (3..6).map(|it| Waiter::waiting(sender.send(it))).collect();
    let mut tasks = Vec::new();
    receiver
        .try_recv_many(&mut tasks, NonZeroUsize::MAX)
        .unwrap();
    assert_eq!(tasks.len(), 12);
    // Room for two.
    assert_eq!(wakes(&sends), [1, 1, 0]);
    sends.truncate(0);
    tasks.into_iter().for_each(|task| assert!(task.done() < 20));
    parent.done();
    assert_eq!(now(sender.join()).unwrap().done, 13);
}

#[test]
fn batch_of_tasks_is_in_hand_until_each_ends() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = Builder::new()
        .capacity(8)
        .max_attempts(NonZeroU32::new(2).unwrap())
        .build_tasks();
    let monitor = sender.monitor();
    fill(&sender, 0..6);
    drop(sender);
    let mut tasks = Vec::new();
    now(receiver.recv_many(&mut tasks, max(9))).unwrap();
    assert_eq!(monitor.stats().in_hand, 6);
    // The channel is closed and empty, but these tasks may still be retried.
    let (mut more, waker) = (Vec::new(), CountingWaker::new());
    let mut recv = receiver.recv_many(&mut more, max(9));
    assert!(poll(&mut recv, &waker).is_pending());
    let mut finished = Waiter::waiting(monitor.finished());

    tasks.pop().unwrap().retry().unwrap();
    assert_eq!(waker.wakes(), 1);
    assert_eq!(poll(&mut recv, &waker), Poll::Ready(Ok(max(1))));
    drop(recv);
    let retried = more.pop().unwrap();
    assert_eq!((retried.attempt(), *retried), (2, 5));
    retried.fail("again");
    tasks.pop().unwrap().done();
    // Dropping the vector drops the tasks in it.
    drop(tasks);
    assert_eq!(finished.wakes(), 1);
    let Poll::Ready(Err(error)) = finished.poll() else {
        panic!("tasks were dropped");
    };
    let report = error.report;
    assert_adds_up(&report);
    assert_eq!((report.done, report.failed, report.abandoned), (1, 1, 4));
    assert_eq!(now(receiver.recv_many(&mut more, max(9))), Err(RecvError));
}
