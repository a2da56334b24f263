//! What every operation does in every state of a channel, cell by cell of the table in the guide.
//!
//! The states are: open; closed with items queued; closed and empty with tasks in hand; finished.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::future::ready;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::task::Poll;

use tollgate::Failure;
use tollgate::JoinError;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::RecvUntilError;
use tollgate::Report;
use tollgate::SendError;
use tollgate::SendUntilError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::TryRecvError;
use tollgate::TrySendError;
use tollgate::kind;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_next;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    open_channel_accepts_or_blocks_sender,
    closed_channel_returns_every_item,
    close_returns_items_to_waiting_senders,
    waiting_send_never_completes_after_close,
    open_channel_delivers_or_blocks_receiver,
    open_channel_moves_or_blocks_batches,
    closed_channel_refuses_batches_and_drains,
    closed_channel_drains_then_stays_ended,
    close_wakes_receivers,
    join_waits_for_queued_items,
    finished_waits_for_close_and_queue,
    close_returns_true_once,
    last_sender_closes_channel,
    last_receiver_closes_and_discards_queue,
    last_receiver_discards_queue_after_close,
    last_receiver_wakes_senders,
    last_receiver_with_empty_queue_is_clean,
    failed_is_none_at_clean_end,
    failing_sender_is_failure_until_the_end,
}

fn closed_with_an_item<K: Kind>() -> (Sender<u32>, ReceiverOf<K>) {
    let (sender, receiver) = K::channel(2);
    sender.try_send(7).unwrap();
    assert!(sender.close());
    (sender, receiver)
}

fn closed_with_a_task_in_hand() -> (Sender<u32>, TaskReceiver<u32>, Task<u32>) {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(7).unwrap();
    let task = receiver.try_recv().unwrap();
    assert!(sender.close());
    (sender, receiver, task)
}

fn finished<K: Kind>() -> (Sender<u32>, ReceiverOf<K>) {
    let (sender, receiver) = closed_with_an_item::<K>();
    take_one(&receiver).unwrap();
    (sender, receiver)
}

#[track_caller]
fn assert_refuses(sender: &Sender<u32>) {
    assert_eq!(sender.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(sender.force_send(1), Err(SendError(1)));
    assert_eq!(now(sender.send(2)), Err(SendError(2)));
    let refused = now(sender.send_until(3, ready(())));
    assert_eq!(refused, Err(SendUntilError::Closed(3)));
}

#[track_caller]
fn assert_ended<T, K>(mut receiver: Receiver<T, K>)
where
    T: fmt::Debug,
    K: kind::Kind<Received<T>: Given<T>>,
{
    let waker = CountingWaker::new();
    for _ in 0..3 {
        assert_eq!(take_one(&receiver).unwrap_err(), TryRecvError::Closed);
        assert_eq!(now(receiver.recv()).err(), Some(RecvError));
        let ended = now(receiver.recv_until(ready(()))).err();
        assert_eq!(ended, Some(RecvUntilError::Closed));
        assert!(receiver.try_iter().next().is_none());
        assert!(receiver.drain().next().is_none());
        let mut stream = receiver.stream();
        assert!(matches!(poll_next(&mut stream, &waker), Poll::Ready(None)));
        drop(stream);
        let mut stream = receiver.clone().into_stream();
        assert!(matches!(poll_next(&mut stream, &waker), Poll::Ready(None)));
        assert!(matches!(
            poll_next(&mut receiver, &waker),
            Poll::Ready(None)
        ));
    }
}

#[track_caller]
fn assert_report(report: Report, sent: u64, done: u64, not_done: [u64; 4]) {
    let [failed, abandoned, panicked, discarded] = not_done;
    assert_eq!(report.sent, sent);
    assert_eq!(report.done, done);
    assert_eq!(report.failed, failed);
    assert_eq!(report.abandoned, abandoned);
    assert_eq!(report.panicked, panicked);
    assert_eq!(report.discarded, discarded);
    assert_eq!(report.evicted, 0);
    assert_eq!(report.received + report.discarded, report.sent);
    assert_eq!(report.received, done + failed + abandoned + panicked);
}

fn open_channel_accepts_or_blocks_sender<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(now(sender.send(2)), Ok(()));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));

    let mut send = Waiter::waiting(sender.send(4));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(sender.force_send(3), Ok(Some(1)));
    assert_eq!(send.wakes(), 0);
    assert_eq!(take_one(&receiver), Ok(2));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
    assert_eq!(take_one(&receiver), Ok(3));
    assert_eq!(take_one(&receiver), Ok(4));
}

fn closed_channel_returns_every_item<K: Kind>() {
    let (sender, receiver) = closed_with_an_item::<K>();
    assert_refuses(&sender);
    assert_eq!(take_one(&receiver), Ok(7));
    assert_refuses(&sender);
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));

    let (sender, receiver) = finished::<K>();
    assert_refuses(&sender);
    assert_ended(receiver);
}

#[test]
fn closed_channel_returns_items_with_tasks_in_hand() {
    let (sender, receiver, task) = closed_with_a_task_in_hand();
    assert_refuses(&sender);
    task.done();
    assert_refuses(&sender);
    drop(receiver);
    assert_refuses(&sender);
}

fn close_returns_items_to_waiting_senders<K: Kind>() {
    type Close<R> = fn(&Sender<u32>, &mut Option<R>);
    let closers: [Close<ReceiverOf<K>>; 4] = [
        |sender, _| assert!(sender.close()),
        |_, receiver| assert!(receiver.as_ref().unwrap().close()),
        |sender, _| assert!(sender.monitor().close()),
        |_, receiver| *receiver = None,
    ];
    for close in closers {
        let (sender, receiver) = K::channel(1);
        sender.try_send(1).unwrap();
        // One is in the front slot, the others are behind it.
        let mut sends: Vec<_> = (2..5)
            .map(|item| Waiter::waiting(sender.send(item)))
            .collect();

        let mut receiver = Some(receiver);
        close(&sender, &mut receiver);
        // Each has its own item, in whatever order they are polled.
        for (send, item) in sends.iter_mut().zip(2..5).rev() {
            assert_eq!(send.wakes(), 1);
            assert_eq!(send.poll(), Poll::Ready(Err(SendError(item))));
        }
        if let Some(receiver) = receiver {
            assert_eq!(take_one(&receiver), Ok(1));
            assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
        }
    }
}

fn waiting_send_never_completes_after_close<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    sender.close();
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(send.poll(), Poll::Ready(Err(SendError(2))));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

#[test]
fn close_returns_item_of_notified_send() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::bounded(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(send.wakes(), 1);
    sender.close();
    assert_eq!(send.poll(), Poll::Ready(Err(SendError(2))));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

fn open_channel_delivers_or_blocks_receiver<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    assert_eq!(take_one(&receiver), Err(TryRecvError::Empty));

    let mut recv = Waiter::waiting(receiver.recv());
    let mut stream = receiver.clone();
    let stream_waker = CountingWaker::new();
    assert!(poll_next(&mut stream, &stream_waker).is_pending());

    sender.try_send(1).unwrap();
    assert_eq!((recv.wakes(), stream_waker.wakes()), (1, 0));
    sender.try_send(2).unwrap();
    assert_eq!((recv.wakes(), stream_waker.wakes()), (1, 1));

    assert_eq!(recv.poll().map(|it| it.map(Given::end)), Poll::Ready(Ok(1)));
    assert_eq!(
        poll_next(&mut stream, &stream_waker).map(|it| it.map(Given::end)),
        Poll::Ready(Some(2))
    );
    assert!(poll_once(&mut receiver.recv()).is_pending());
    assert!(poll_next(&mut stream, &stream_waker).is_pending());
}

fn open_channel_moves_or_blocks_batches<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let (mut items, mut buf) = (VecDeque::from([1, 2, 3]), Vec::new());
    let empty = receiver.try_recv_many(&mut buf, NonZeroUsize::MAX);
    assert_eq!(empty, Err(TryRecvError::Empty));
    assert!(poll_once(&mut receiver.recv_many(&mut buf, NonZeroUsize::MAX)).is_pending());
    assert_eq!(sender.try_send_many(&mut items), Ok(2));
    assert_eq!(
        sender.try_send_many(&mut items),
        Err(TrySendError::Full(()))
    );
    assert!(poll_once(&mut sender.send_many(&mut items)).is_pending());
    assert_eq!(items, [3]);
    assert!(now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).is_ok());
    assert_eq!(now(sender.send_many(&mut items)), Ok(()));
    assert!(receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).is_ok());
    assert!(buf.into_iter().map(Given::end).eq(1..4));
}

fn closed_channel_refuses_batches_and_drains<K: Kind>() {
    for finish in [false, true] {
        let (sender, receiver) = match finish {
            false => closed_with_an_item::<K>(),
            true => finished::<K>(),
        };
        let (mut items, mut buf) = (VecDeque::from([1, 2]), Vec::new());
        let refused = sender.try_send_many(&mut items);
        assert_eq!(refused, Err(TrySendError::Closed(())));
        assert_eq!(now(sender.send_many(&mut items)), Err(SendError(())));
        assert_eq!(items, [1, 2]);
        if !finish {
            assert!(now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).is_ok());
            assert!(buf.drain(..).map(Given::end).eq([7]));
        }
        let recv = receiver.recv_many(&mut buf, NonZeroUsize::MAX);
        assert_eq!(now(recv), Err(RecvError));
        let ended = receiver.try_recv_many(&mut buf, NonZeroUsize::MAX);
        assert_eq!(ended, Err(TryRecvError::Closed));
    }
}

#[test]
fn closed_channel_with_tasks_in_hand_blocks_batches() {
    let (_sender, receiver, task) = closed_with_a_task_in_hand();
    let mut buf = Vec::new();
    let empty = receiver.try_recv_many(&mut buf, NonZeroUsize::MAX);
    assert_eq!(empty, Err(TryRecvError::Empty));
    let mut recv = Waiter::waiting(receiver.recv_many(&mut buf, NonZeroUsize::MAX));
    task.done();
    assert_eq!(recv.wakes(), 1);
    assert_eq!(recv.poll(), Poll::Ready(Err(RecvError)));
}

fn closed_channel_drains_then_stays_ended<K: Kind>() {
    let (sender, mut receiver) = K::channel(3);
    for item in 1..=3 {
        sender.try_send(item).unwrap();
    }
    sender.close();
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(now(receiver.recv()).map(Given::end), Ok(2));
    assert_eq!(
        poll_next(&mut receiver, &CountingWaker::new()).map(|it| it.map(Given::end)),
        Poll::Ready(Some(3))
    );
    assert_ended(receiver.clone());
    assert_ended(receiver);
}

fn close_wakes_receivers<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut recvs: Vec<_> = (0..3).map(|_| Waiter::waiting(receiver.recv())).collect();
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    assert!(poll_next(&mut stream, &waker).is_pending());

    drop(sender);
    for recv in &mut recvs {
        assert_eq!(recv.wakes(), 1);
        assert!(matches!(recv.poll(), Poll::Ready(Err(RecvError))));
    }
    assert_eq!(waker.wakes(), 1);
    assert!(matches!(poll_next(&mut stream, &waker), Poll::Ready(None)));
}

#[test]
fn task_receiver_ends_with_last_task() {
    let _watchdog = Watchdog::start();
    let ends: [fn(Task<u32>); 5] = [
        |task| assert_eq!(task.done(), 7),
        |task| assert_eq!(task.fail("cannot"), 7),
        drop,
        |task| task.split().1.done(),
        |task| drop(task.split()),
    ];
    for end in ends {
        let (_sender, receiver, task) = closed_with_a_task_in_hand();
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
        let mut recvs: Vec<_> = (0..2).map(|_| Waiter::waiting(receiver.recv())).collect();
        let mut stream = receiver.clone();
        let waker = CountingWaker::new();
        assert!(poll_next(&mut stream, &waker).is_pending());

        end(task);
        for recv in &mut recvs {
            assert_eq!(recv.wakes(), 1);
            assert!(matches!(recv.poll(), Poll::Ready(Err(RecvError))));
        }
        assert_eq!(waker.wakes(), 1);
        assert!(matches!(poll_next(&mut stream, &waker), Poll::Ready(None)));
        assert_ended(receiver.clone());
    }
}

/// Even though the channel is closed, another item may come.
#[test]
fn calls_wait_for_tasks_in_hand() {
    let _watchdog = Watchdog::start();
    let (_sender, receiver, task) = closed_with_a_task_in_hand();
    let waker = CountingWaker::new();
    assert!(receiver.drain().next().is_none());
    assert!(poll_next(&mut receiver.stream(), &waker).is_pending());
    assert!(poll_next(&mut receiver.clone().into_stream(), &waker).is_pending());
    let stopped = now(receiver.recv_until(ready("time"))).err();
    assert_eq!(stopped, Some(RecvUntilError::Stopped("time")));
    let mut recv = Waiter::waiting(receiver.recv_until(pending::<()>()));
    task.follow_up(8).unwrap();
    assert_eq!(recv.wakes(), 1);
    assert!(recv.poll().map(|task| task.unwrap().done()) == Poll::Ready(8));
    let mut recv = Waiter::waiting(receiver.recv_until(pending::<()>()));
    task.done();
    assert_eq!(recv.wakes(), 1);
    assert!(matches!(
        recv.poll(),
        Poll::Ready(Err(RecvUntilError::Closed))
    ));
}

/// A delayed item counts as a task in hand.
#[cfg(feature = "std")]
#[test]
fn delayed_items_in_every_state() {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);
    for (close, queued) in [(false, 0_u32), (false, 1), (true, 0), (true, 1)] {
        let (sender, receiver) = tollgate::tasks(2);
        for item in 0..=queued {
            sender.try_send(item).unwrap();
        }
        let task = receiver.try_recv().unwrap();
        if close {
            sender.close();
        }
        assert_eq!(task.follow_up_after(8, HOUR), Ok(()));
        assert_eq!(task.retry_after(HOUR), Ok(()));
        assert_eq!(receiver.try_iter().map(Task::done).count(), queued as usize);
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
        assert!(poll_once(&mut receiver.recv()).is_pending());
        assert!(poll_once(&mut sender.join()).is_pending());
        assert!(receiver.close_now().eq([8, 0]));
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Closed);
        let report = now(sender.join()).unwrap();
        assert_eq!((report.done, report.discarded), (queued.into(), 2));
    }
}

#[test]
fn waiting_task_receiver_outlasts_close() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    let task = receiver.try_recv().unwrap();
    let mut recv = Waiter::waiting(receiver.recv());
    sender.close();
    assert!(recv.poll().is_pending());
    let before = recv.wakes();
    task.done();
    assert_eq!(recv.wakes(), before + 1);
    assert!(matches!(recv.poll(), Poll::Ready(Err(RecvError))));
}

fn join_waits_for_queued_items<K: Kind>() {
    for close_first in [false, true] {
        let (sender, receiver) = K::channel(2);
        let monitor = sender.monitor();
        assert_report(now(monitor.join()).unwrap(), 0, 0, [0; 4]);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        if close_first {
            sender.close();
        }

        let mut joins = [
            Waiter::waiting(monitor.join()),
            Waiter::waiting(sender.join()),
        ];
        take_one(&receiver).unwrap();
        for join in &mut joins {
            assert_eq!(join.wakes(), 0);
            assert!(join.poll().is_pending());
        }
        take_one(&receiver).unwrap();
        for join in &mut joins {
            assert_eq!(join.wakes(), 1);
            let Poll::Ready(report) = join.poll() else {
                panic!("no work is left");
            };
            assert_report(report.unwrap(), 2, 2, [0; 4]);
        }
    }
}

#[test]
fn join_waits_for_tasks_in_hand() {
    let _watchdog = Watchdog::start();
    for close_first in [false, true] {
        let (sender, receiver) = tollgate::tasks(2);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        let tasks = [receiver.try_recv().unwrap(), receiver.try_recv().unwrap()];
        if close_first {
            sender.close();
        }
        let mut join = Waiter::waiting(receiver.join());
        let [first, second] = tasks;
        second.done();
        assert_eq!(join.wakes(), 0);
        assert!(join.poll().is_pending());
        first.done();
        assert_eq!(join.wakes(), 1);
        assert!(matches!(join.poll(), Poll::Ready(Ok(_))));
    }
}

fn finished_waits_for_close_and_queue<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let mut finished = Waiter::waiting(monitor.finished());
    sender.try_send(1).unwrap();
    assert!(finished.poll().is_pending());
    take_one(&receiver).unwrap();
    assert!(finished.poll().is_pending());
    sender.try_send(2).unwrap();
    sender.close();
    assert!(finished.poll().is_pending());
    let before = finished.wakes();
    take_one(&receiver).unwrap();
    assert_eq!(finished.wakes(), before + 1);
    assert!(matches!(finished.poll(), Poll::Ready(Ok(_))));
    assert_report(now(monitor.finished()).unwrap(), 2, 2, [0; 4]);
    assert_report(now(monitor.join()).unwrap(), 2, 2, [0; 4]);

    // If the close comes last, it completes `finished`.
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let mut finished = Waiter::waiting(monitor.finished());
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    assert_eq!(finished.wakes(), 0);
    drop(sender);
    assert_eq!(finished.wakes(), 1);
    assert!(matches!(finished.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn finished_waits_for_tasks_in_hand() {
    let _watchdog = Watchdog::start();
    let (sender, _receiver, task) = closed_with_a_task_in_hand();
    let monitor = sender.monitor();
    let mut finished = Waiter::waiting(monitor.finished());
    task.done();
    assert_eq!(finished.wakes(), 1);
    assert!(matches!(finished.poll(), Poll::Ready(Ok(_))));
}

fn close_returns_true_once<K: Kind>() {
    for first in 0..3 {
        let (sender, receiver) = K::channel(1);
        let monitor = receiver.monitor();
        let mut closed = Waiter::waiting(sender.closed());
        for caller in (first..first + 3).map(|it| it % 3) {
            let did_it = match caller {
                0 => sender.close(),
                1 => receiver.close(),
                _ => monitor.close(),
            };
            assert_eq!(did_it, caller == first);
            assert!(sender.is_closed() && receiver.is_closed() && monitor.stats().closed);
            assert_eq!(closed.wakes(), 1);
        }
        assert!(closed.poll().is_ready());
        now(sender.closed());
    }
}

fn last_sender_closes_channel<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let other = sender.clone();
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    drop(sender);
    assert!(!receiver.is_closed());
    other.try_send(2).unwrap();
    drop(other);
    assert!(receiver.is_closed() && monitor.stats().closed);
    assert_eq!((take_one(&receiver), take_one(&receiver)), (Ok(1), Ok(2)));
    assert_ended(receiver);
    assert_report(now(monitor.finished()).unwrap(), 2, 2, [0; 4]);
}

fn last_receiver_closes_and_discards_queue<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(4);
    let monitor = sender.monitor();
    for _ in 0..4 {
        sender.try_send(tally.item()).unwrap();
    }
    drop(take_one(&receiver).unwrap());
    let mut join = Waiter::waiting(monitor.join());
    let mut finished = Waiter::waiting(monitor.finished());
    let mut failed = Waiter::waiting(monitor.failed());
    let mut closed = Waiter::waiting(sender.closed());

    let other = receiver.clone();
    drop(receiver);
    assert!(!sender.is_closed());
    assert_eq!(tally.dropped(), 1);
    drop(other);
    assert!(sender.is_closed());
    assert_eq!(tally.drops(), [1; 4]);
    assert_eq!((sender.len(), monitor.outstanding()), (0, 0));

    assert_eq!((closed.wakes(), closed.poll()), (1, Poll::Ready(())));
    assert!(join.wakes() >= 1 && finished.wakes() >= 1 && failed.wakes() >= 1);
    for outcome in [join.poll(), finished.poll()] {
        let Poll::Ready(Err(JoinError { report, first, .. })) = outcome else {
            panic!("discarded items are a failure: {outcome:?}");
        };
        assert!(matches!(first, Failure::Discarded));
        assert_report(report, 4, 1, [0, 0, 0, 3]);
    }
    assert!(matches!(
        failed.poll(),
        Poll::Ready(Some(Failure::Discarded))
    ));
    let error = sender.try_send(tally.item()).unwrap_err();
    assert!(error.is_closed());
}

fn last_receiver_discards_queue_after_close<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    sender.try_send(tally.item()).unwrap();
    sender.try_send(tally.item()).unwrap();
    drop(sender);
    let mut join = Waiter::waiting(monitor.join());
    drop(receiver);
    assert_eq!(tally.drops(), [1; 2]);
    assert!(join.wakes() >= 1);
    let Poll::Ready(Err(error)) = join.poll() else {
        panic!("discarded items are a failure");
    };
    assert_report(error.report, 2, 0, [0, 0, 0, 2]);
}

fn last_receiver_wakes_senders<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    sender.try_send(tally.item()).unwrap();
    let mut sends: Vec<_> = (0..3)
        .map(|_| Waiter::waiting(sender.send(tally.item())))
        .collect();
    drop(receiver);
    assert_eq!(tally.drops(), [1, 0, 0, 0]);
    for (send, id) in sends.iter_mut().zip(1..) {
        assert_eq!(send.wakes(), 1);
        let Poll::Ready(Err(SendError(item))) = send.poll() else {
            panic!("the channel is closed");
        };
        assert_eq!(item.id, id);
    }
    assert_eq!(tally.drops(), [1; 4]);
}

fn last_receiver_with_empty_queue_is_clean<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    drop(receiver);
    assert_report(now(monitor.finished()).unwrap(), 1, 1, [0; 4]);
    assert!(now(monitor.failed()).is_none());
}

#[test]
fn tasks_in_hand_outlive_last_receiver() {
    let _watchdog = Watchdog::start();
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    sender.try_send(tally.item()).unwrap();
    sender.try_send(tally.item()).unwrap();
    let task = receiver.try_recv().unwrap();
    drop(receiver);
    assert_eq!(tally.drops(), [0, 1]);
    assert_eq!(monitor.outstanding(), 1);

    let mut join = Waiter::waiting(monitor.join());
    let mut finished = Waiter::waiting(monitor.finished());
    task.done();
    assert_eq!((join.wakes(), finished.wakes()), (1, 1));
    for outcome in [join.poll(), finished.poll()] {
        let Poll::Ready(Err(JoinError { report, first, .. })) = outcome else {
            panic!("an item was discarded");
        };
        assert!(matches!(first, Failure::Discarded));
        assert_report(report, 2, 1, [0, 0, 0, 1]);
    }
}

fn failed_is_none_at_clean_end<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    let mut failed = Waiter::waiting(monitor.failed());
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    assert!(failed.poll().is_pending());
    drop(sender);
    assert_eq!(failed.wakes(), 1);
    assert!(matches!(failed.poll(), Poll::Ready(None)));
    assert!(now(monitor.failed()).is_none());
}

/// Drops the next task in a panic of its worker.
fn panic_with_the_next(receiver: &TaskReceiver<u32>) {
    let worker = AssertUnwindSafe(|| {
        let _task = receiver.try_recv().unwrap();
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(worker).unwrap_err();
}

// Without `std`, a panic counts as abandonment.
#[cfg(feature = "std")]
#[test]
fn every_task_outcome_is_counted() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(5);
    let monitor = sender.monitor();
    for item in 0..5 {
        sender.try_send(item).unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap().done(), 0);
    panic_with_the_next(&receiver);
    assert_eq!(receiver.try_recv().unwrap().fail("cannot"), 2);
    drop(receiver.try_recv().unwrap());
    drop(receiver);

    let error = now(monitor.finished()).unwrap_err();
    assert!(matches!(error.first, Failure::Panicked));
    assert_report(error.report, 5, 1, [1, 1, 1, 1]);
    assert_eq!(
        error.to_string(),
        "not all work ended well: 1 failed, 1 abandoned, 1 panicked, 1 discarded"
    );
}

fn failing_sender_is_failure_until_the_end<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let counts = |sender: Sender<u32>| {
        let monitor = sender.monitor();
        sender.fail("an error");
        let counted = monitor.stats().report.failed_senders;
        assert_eq!(monitor.take_failure().is_some(), counted == 1);
        counted == 1
    };
    // Open.
    assert!(counts(sender.clone()) && !sender.is_closed());
    drop((sender, receiver));
    let (sender, _receiver) = closed_with_an_item::<K>();
    assert!(counts(sender));
    let (sender, _receiver) = finished::<K>();
    assert!(now(sender.monitor().finished()).is_ok());
    assert!(!counts(sender));
}

#[test]
fn failing_sender_is_failure_while_task_is_in_hand() {
    let (sender, receiver, task) = closed_with_a_task_in_hand();
    sender.fail("an error");
    task.done();
    let error = now(receiver.monitor().finished()).unwrap_err();
    assert_report(error.report, 1, 1, [0; 4]);
    assert!(matches!(error.first, Failure::SenderFailed(_)));
}

/// The error of a failed task, as text.
fn text_of(failure: &Failure) -> String {
    failure
        .source()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[test]
fn first_failure_stays_until_taken() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    for item in 0..2 {
        sender.try_send(item).unwrap();
    }
    receiver.try_recv().unwrap().fail("first");
    receiver.try_recv().unwrap().fail("second");
    for _ in 0..2 {
        let error = now(monitor.join()).unwrap_err();
        assert!(text_of(&error.first) == "first");
        assert_eq!(error.report.failed, 2);
        assert!(matches!(now(monitor.failed()), Some(Failure::Failed(_))));
    }

    let taken = monitor.take_failure().unwrap();
    assert!(text_of(&taken) == "first");
    assert!(monitor.take_failure().is_none());
    // The counts stay; the second failure was counted but not kept.
    assert_eq!(now(monitor.join()).unwrap().failed, 2);

    let mut failed = Waiter::waiting(monitor.failed());
    sender.try_send(2).unwrap();
    drop(receiver.try_recv().unwrap());
    assert_eq!(failed.wakes(), 1);
    assert!(matches!(
        failed.poll(),
        Poll::Ready(Some(Failure::Abandoned))
    ));
    assert!(now(monitor.join()).is_err());
}

#[test]
fn failures_after_join_and_close_are_kept() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    receiver.try_recv().unwrap().done();
    assert!(now(monitor.join()).is_ok());

    sender.try_send(2).unwrap();
    let task = receiver.try_recv().unwrap();
    drop(sender);
    assert!(poll_once(&mut monitor.finished()).is_pending());
    task.fail("late");
    let error = now(monitor.finished()).unwrap_err();
    assert!(text_of(&error.first) == "late");
    assert_report(error.report, 2, 1, [1, 0, 0, 0]);

    // A failure that is taken after the end does not come back.
    assert!(monitor.take_failure().is_some());
    assert_eq!(now(monitor.finished()).unwrap().failed, 1);
    assert!(now(monitor.failed()).is_none());
}

#[test]
fn failed_completes_before_join() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let mut failed = Waiter::waiting(monitor.failed());
    let mut join = Waiter::waiting(monitor.join());
    receiver.try_recv().unwrap().fail("early");
    assert_eq!(failed.wakes(), 1);
    assert!(matches!(
        failed.poll(),
        Poll::Ready(Some(Failure::Failed(_)))
    ));
    assert_eq!(join.wakes(), 0);
    assert!(join.poll().is_pending());
    receiver.try_recv().unwrap().done();
    assert_eq!(join.wakes(), 1);
    assert!(matches!(join.poll(), Poll::Ready(Err(_))));
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inner")
    }
}

impl Error for Inner {}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn join_error_source_ends_in_task_error() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    receiver.try_recv().unwrap().fail(Outer(Inner));

    let error = now(sender.join()).unwrap_err();
    let failure = error.source().unwrap();
    assert!(failure.downcast_ref::<Failure>().is_some());
    assert_eq!(failure.to_string(), "a task failed");
    let outer = failure.source().unwrap();
    assert!(outer.downcast_ref::<Outer>().is_some());
    let inner = outer.source().unwrap();
    assert!(inner.downcast_ref::<Inner>().is_some());
    assert!(inner.source().is_none());
}

#[test]
fn join_error_source_ends_in_failure() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    sender.try_send(1).unwrap();
    drop(receiver.try_recv().unwrap());
    let error = now(sender.join()).unwrap_err();
    let failure = error.source().unwrap();
    assert_eq!(failure.to_string(), "a task was dropped before it was done");
    assert!(failure.source().is_none());
}

#[test]
fn join_returns_failure_that_came_late() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    let mut join = {
        sender.try_send(1).unwrap();
        sender.join()
    };
    let waker = CountingWaker::new();
    assert!(poll(&mut join, &waker).is_pending());
    panic_with_the_next(&receiver);
    assert_eq!(waker.wakes(), 1);
    let Poll::Ready(Err(error)) = poll(&mut join, &waker) else {
        panic!("the task's worker panicked");
    };
    let expected = if cfg!(feature = "std") {
        [0, 0, 1, 0]
    } else {
        [0, 1, 0, 0]
    };
    assert_report(error.report, 1, 0, expected);
}
