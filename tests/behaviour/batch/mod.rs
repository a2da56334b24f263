//! Sending and receiving several items at once.

// Batches of a task channel.
mod of_tasks;
// Which waiters are woken.
mod wakes;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use tollgate::RecvError;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::TryRecvError;
use tollgate::TrySendError;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceivedBy;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    batches_of_every_size_keep_order,
    batch_moves_what_there_is_room_for,
    close_leaves_rest_with_caller,
    batch_sent_in_full_survives_close,
    batch_sent_in_full_in_many_moves_completes,
    dropped_batch_leaves_rest_with_caller,
    empty_batch_completes_at_once,
    try_send_many_sends_what_fits,
    recv_many_takes_up_to_maximum,
    recv_many_takes_any_maximum,
    recv_many_grows_vector_by_what_it_takes,
    recv_many_waits_for_one_item,
    dropped_recv_many_takes_nothing,
    closed_channel_is_received_in_batches,
    batch_received_completes_join,
    items_without_size_move_in_batches,
    items_of_batches_are_dropped_once,
    unbounded_channel_takes_any_batch,
}

fn max(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Receives up to `count` items now, and ends them well.
fn take<K: Kind>(receiver: &ReceiverOf<K>, count: usize) -> Result<Vec<u32>, TryRecvError> {
    let mut buf = Vec::new();
    let taken = receiver.try_recv_many(&mut buf, max(count))?;
    assert_eq!(taken.get(), buf.len());
    Ok(buf.into_iter().map(Given::end).collect())
}

/// Sends all items now.
fn fill(sender: &Sender<u32>, items: impl IntoIterator<Item = u32>) {
    let mut items = VecDeque::from_iter(items);
    let count = items.len();
    assert_eq!(sender.try_send_many(&mut items), Ok(count));
}

/// A deque whose items are in two pieces of its memory, if there are several.
fn in_two_pieces(items: Range<u32>) -> VecDeque<u32> {
    let count = items.len();
    let mut deque = VecDeque::with_capacity(count);
    for _ in 0..count / 2 {
        deque.push_back(0);
        deque.pop_front();
    }
    deque.extend(items);
    assert!(count == 1 || !deque.as_slices().1.is_empty());
    deque
}

fn batches_of_every_size_keep_order<K: Kind>() {
    for capacity in 1..=9 {
        for size in 1..=11 {
            let (sender, receiver) = K::channel(capacity);
            let (mut sent, mut received) = (0, Vec::new());
            // The ring wraps several times.
            for round in 0..30 {
                let mut items = in_two_pieces(sent..sent + size);
                let count = sender.try_send_many(&mut items).unwrap() as u32;
                assert_eq!(count, size.min(capacity as u32));
                assert!(items.iter().copied().eq(sent + count..sent + size));
                sent += count;
                let mut left = count as usize;
                while left > 0 {
                    let taken = take::<K>(&receiver, round % 4 + 1).unwrap();
                    left -= taken.len();
                    received.extend(taken);
                }
            }
            assert!(received.into_iter().eq(0..sent));
        }
    }
}

fn batch_moves_what_there_is_room_for<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let waker = CountingWaker::new();
    let mut items = VecDeque::from_iter(0..5);
    let mut send = sender.send_many(&mut items);
    assert!(poll(&mut send, &waker).is_pending());
    assert_eq!((receiver.len(), waker.wakes()), (2, 0));
    for item in 0..2 {
        assert_eq!(take_one(&receiver), Ok(item));
    }
    assert_eq!(waker.wakes(), 1);
    assert!(poll(&mut send, &waker).is_pending());
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![2, 3]));
    assert_eq!(waker.wakes(), 2);
    assert_eq!(poll(&mut send, &waker), Poll::Ready(Ok(())));
    drop(send);
    assert!(items.is_empty());
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![4]));
    assert!(waker.is_released());
}

fn close_leaves_rest_with_caller<K: Kind>() {
    for closed_after_poll in [false, true] {
        let (sender, receiver) = K::channel(2);
        let waker = CountingWaker::new();
        let mut items = VecDeque::from_iter(0..5);
        let mut send = sender.send_many(&mut items);
        if closed_after_poll {
            assert!(poll(&mut send, &waker).is_pending());
        }
        // There is room, but the channel is closed.
        receiver.close();
        assert_eq!(waker.wakes(), usize::from(closed_after_poll));
        let _ = take_one(&receiver);
        assert_eq!(poll(&mut send, &waker), Poll::Ready(Err(SendError(()))));
        drop(send);
        if closed_after_poll {
            assert_eq!(items, [2, 3, 4]);
            assert_eq!(take_one(&receiver), Ok(1));
        } else {
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
        let refused = sender.try_send_many(&mut items);
        assert_eq!(refused, Err(TrySendError::Closed(())));
    }
}

fn batch_sent_in_full_survives_close<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    let mut items = VecDeque::from_iter(0..3);
    now(sender.send_many(&mut items)).unwrap();
    sender.close();
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![0, 1, 2]));
    assert_eq!(take::<K>(&receiver, 9), Err(TryRecvError::Closed));
}

/// A waker that receives what is queued, and waits again.
struct Receives<K: Kind>(Mutex<ReceiverOf<K>>);

impl<K: Kind> Wake for Receives<K>
where
    ReceiverOf<K>: Send,
{
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let cx = &mut Context::from_waker(&waker);
        let mut receiver = self.0.lock().unwrap();
        while let Poll::Ready(Some(received)) = receiver.poll_recv(cx) {
            received.end();
        }
    }
}

/// The channel is closed after the last item was sent, and before the future is polled again, if it is.
fn batch_sent_in_full_in_many_moves_completes<K: Kind>() {
    for count in 1..=200 {
        let (sender, receiver) = K::channel(1);
        Arc::new(Receives::<K>(Mutex::new(receiver))).wake();
        let mut items = VecDeque::from_iter(0..count);
        let mut send = sender.send_many(&mut items);
        let mut sent = 0;
        let result = loop {
            let polled = poll_once(&mut send);
            let now_sent = sender.monitor().stats().report.sent;
            assert!(
                polled.is_ready() || now_sent > sent,
                "a poll sends something"
            );
            sent = now_sent;
            if sent == u64::from(count) {
                sender.close();
            }
            if let Poll::Ready(result) = polled {
                break result;
            }
        };
        assert_eq!((result, sent), (Ok(()), count.into()));
        drop(send);
        assert!(items.is_empty());
    }
}

fn dropped_batch_leaves_rest_with_caller<K: Kind<Item>>() {
    for polls in 0..=4 {
        let tally = Tally::new();
        let (sender, receiver) = <K as Kind<Item>>::channel(2);
        let mut items = VecDeque::from_iter((0..7).map(|_| tally.item()));
        let mut send = sender.send_many(&mut items);
        let mut ids = Vec::new();
        for _ in 0..polls {
            assert_eq!(poll_once(&mut send).is_ready(), ids.len() == 6);
            while let Ok(item) = take_one(&receiver) {
                ids.push(item.id);
            }
        }
        drop(send);
        assert_eq!(ids.len(), (2 * polls).min(7));
        assert_eq!(tally.dropped(), ids.len() as u32);
        ids.extend(items.iter().map(|item| item.id));
        assert!(ids.into_iter().eq(0..7), "none is lost, or sent twice");
        drop(items);
        assert_eq!(tally.drops(), [1; 7]);
    }
}

fn empty_batch_completes_at_once<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut nothing = VecDeque::new();
    let check = |sender: &Sender<u32>, nothing: &mut VecDeque<u32>| {
        assert_eq!(now(sender.send_many(nothing)), Ok(()));
        assert_eq!(sender.try_send_many(nothing), Ok(0));
    };
    check(&sender, &mut nothing);
    sender.try_send(1).unwrap();
    check(&sender, &mut nothing);
    // A waiter that was notified in vain requests that others yield. This batch need not.
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(take_one(&receiver), Ok(1));
    sender.try_send(3).unwrap();
    assert!(send.poll().is_pending());
    check(&sender, &mut nothing);
    drop(send);

    sender.close();
    assert_eq!(now(sender.send_many(&mut nothing)), Err(SendError(())));
    let refused = sender.try_send_many(&mut nothing);
    assert_eq!(refused, Err(TrySendError::Closed(())));
    assert_eq!(sender.monitor().stats().report.sent, 2);
}

fn try_send_many_sends_what_fits<K: Kind>() {
    // Of three slots in use, the ring has four.
    let (sender, receiver) = K::channel(3);
    sender.try_send(0).unwrap();
    let mut items = VecDeque::from_iter(1..6);
    assert_eq!(sender.try_send_many(&mut items), Ok(2));
    assert_eq!(items, [3, 4, 5]);
    assert_eq!(
        sender.try_send_many(&mut items),
        Err(TrySendError::Full(()))
    );
    assert_eq!(items, [3, 4, 5]);
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sender.try_send_many(&mut items), Ok(1));
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![1, 2, 3]));
    assert_eq!(sender.try_send_many(&mut items), Ok(2));
    assert!(items.is_empty());
}

fn recv_many_takes_up_to_maximum<K: Kind>() {
    let (sender, receiver) = K::channel(8);
    fill(&sender, 0..8);
    assert_eq!(take::<K>(&receiver, 1), Ok(vec![0]));
    assert_eq!(take::<K>(&receiver, 3), Ok(vec![1, 2, 3]));
    let mut buf = Vec::new();
    // It appends.
    assert_eq!(now(receiver.recv_many(&mut buf, max(2))), Ok(max(2)));
    assert_eq!(now(receiver.recv_many(&mut buf, max(9))), Ok(max(2)));
    let items: Vec<u32> = buf.into_iter().map(Given::end).collect();
    assert_eq!(items, [4, 5, 6, 7]);
    assert_eq!(take::<K>(&receiver, 1), Err(TryRecvError::Empty));
}

fn recv_many_takes_any_maximum<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    for count in [1, 4] {
        fill(&sender, 0..count);
        let mut buf = Vec::new();
        let received = now(receiver.recv_many(&mut buf, NonZeroUsize::MAX));
        assert_eq!(received.map(NonZeroUsize::get), Ok(count as usize));
        fill(&sender, 0..count);
        let received = receiver.try_recv_many(&mut buf, NonZeroUsize::MAX);
        assert_eq!(received.map(NonZeroUsize::get), Ok(count as usize));
        assert!(
            buf.into_iter()
                .map(Given::end)
                .eq((0..count).chain(0..count))
        );
    }
}

fn recv_many_grows_vector_by_what_it_takes<K: Kind>() {
    let (sender, receiver) = K::channel(1 << 16);
    let mut buf = Vec::new();
    assert!(receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).is_err());
    assert!(poll_once(&mut receiver.recv_many(&mut buf, NonZeroUsize::MAX)).is_pending());
    assert_eq!(buf.capacity(), 0);
    fill(&sender, 0..3);
    now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
    assert!(buf.capacity() < 32, "{}", buf.capacity());
    buf.into_iter().map(Given::end).for_each(drop);
}

fn recv_many_waits_for_one_item<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let waker = CountingWaker::new();
    let mut buf = Vec::new();
    let mut recv = receiver.recv_many(&mut buf, max(3));
    assert!(poll(&mut recv, &waker).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
    fill(&sender, 2..4);
    assert_eq!(poll(&mut recv, &waker), Poll::Ready(Ok(max(3))));
    drop(recv);
    assert!(buf.into_iter().map(Given::end).eq(1..4));
    assert!(waker.is_released());
}

fn dropped_recv_many_takes_nothing<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut buf = Vec::new();
    let waker = CountingWaker::new();
    for polled in [false, true] {
        let mut recv = receiver.recv_many(&mut buf, max(9));
        if polled {
            assert!(poll(&mut recv, &waker).is_pending());
        }
        fill(&sender, 0..2);
        drop(recv);
        assert_eq!(buf.len(), 0);
        assert_eq!(take::<K>(&receiver, 9), Ok(vec![0, 1]));
    }
}

fn closed_channel_is_received_in_batches<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    fill(&sender, 0..4);
    sender.close();
    assert_eq!(take::<K>(&receiver, 3), Ok(vec![0, 1, 2]));
    assert_eq!(take::<K>(&receiver, 3), Ok(vec![3]));
    let mut buf = Vec::new();
    for _ in 0..2 {
        assert_eq!(now(receiver.recv_many(&mut buf, max(3))), Err(RecvError));
        assert_eq!(take::<K>(&receiver, 3), Err(TryRecvError::Closed));
    }
    assert_eq!(buf.capacity(), 0);
}

/// The vector grows before an item is claimed.
#[test]
fn vector_without_capacity_left_leaves_items_queued() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::bounded(4);
    sender.try_send(()).unwrap();
    sender.try_send(()).unwrap();
    let mut buf = vec![(); usize::MAX - 1];
    let overflow = catch_unwind(AssertUnwindSafe(|| {
        receiver.try_recv_many(&mut buf, max(2))
    }));
    assert!(overflow.is_err());
    assert_eq!((buf.len(), receiver.len()), (usize::MAX - 1, 2));

    let mut recv = receiver.recv_many(&mut buf, max(2));
    let overflow = catch_unwind(AssertUnwindSafe(|| poll_once(&mut recv)));
    assert!(overflow.is_err());
    drop(recv);
    assert_eq!(receiver.try_recv_many(&mut buf, max(1)), Ok(max(1)));
    assert_eq!((buf.len(), receiver.len()), (usize::MAX, 1));
    assert_eq!(receiver.try_recv(), Ok(()));
    sender.try_send(()).unwrap();
}

fn batch_received_completes_join<K: Kind>() {
    for close_first in [false, true] {
        let (sender, receiver) = K::channel(8);
        let monitor = sender.monitor();
        fill(&sender, 0..8);
        if close_first {
            sender.close();
        }
        let mut join = Waiter::waiting(monitor.join());
        take::<K>(&receiver, 3).unwrap();
        assert_eq!((join.wakes(), monitor.outstanding()), (0, 5));
        let mut buf = Vec::new();
        now(receiver.recv_many(&mut buf, max(9))).unwrap();
        let given: Vec<_> = buf;
        given.into_iter().map(Given::end).for_each(drop);
        assert_eq!(join.wakes(), 1);
        let Poll::Ready(Ok(report)) = join.poll() else {
            panic!("no work is left");
        };
        assert_adds_up(&report);
        assert_eq!((report.sent, report.received, report.done), (8, 8, 8));
        sender.close();
        assert_eq!(now(monitor.finished()).unwrap(), report);
    }
}

fn items_without_size_move_in_batches<K: Kind<()>>() {
    const COUNT: usize = 10_000;
    let (sender, receiver) = <K as Kind<()>>::channel(7);
    let mut items = VecDeque::from(vec![(); COUNT]);
    let mut send = sender.send_many(&mut items);
    let mut buf: Vec<ReceivedBy<K, ()>> = Vec::new();
    while poll_once(&mut send).is_pending() {
        receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).unwrap();
    }
    receiver.try_recv_many(&mut buf, NonZeroUsize::MAX).unwrap();
    assert_eq!(buf.len(), COUNT);
    buf.into_iter().map(Given::end).for_each(drop);
    assert_eq!(now(sender.join()).unwrap().done, COUNT as u64);
}

fn items_of_batches_are_dropped_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = <K as Kind<Item>>::channel(4);
    let monitor = sender.monitor();
    let mut items = VecDeque::from_iter((0..9).map(|_| tally.item()));
    let mut send = sender.send_many(&mut items);
    assert!(poll_once(&mut send).is_pending());
    let mut buf = Vec::new();
    receiver.try_recv_many(&mut buf, max(2)).unwrap();
    assert!(poll_once(&mut send).is_pending());
    drop(send);
    // Two are received, four are queued, and three were not sent.
    assert_eq!((buf.len(), receiver.len(), items.len()), (2, 4, 3));
    drop(receiver);
    assert_eq!(tally.dropped(), 4);
    drop(buf);
    drop(items);
    assert_eq!(tally.drops(), [1; 9]);
    let report = now(monitor.finished()).unwrap_err().report;
    assert_eq!((report.sent, report.received, report.discarded), (6, 2, 4));
    assert_adds_up(&report);
}

fn unbounded_channel_takes_any_batch<K: Kind>() {
    for size in [1, 63, 64, 65, 1_000] {
        let (sender, receiver) = K::unbounded();
        let mut items = in_two_pieces(0..size);
        assert_eq!(sender.try_send_many(&mut items), Ok(size as usize));
        items.extend(size..2 * size);
        assert_eq!(now(sender.send_many(&mut items)), Ok(()));
        assert!(items.is_empty());
        let mut received = take::<K>(&receiver, size as usize / 2 + 1).unwrap();
        let mut buf = Vec::new();
        while received.len() < 2 * size as usize {
            now(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
            received.extend(buf.drain(..).map(Given::end));
        }
        assert!(received.into_iter().eq(0..2 * size));
        assert!(poll_once(&mut receiver.recv_many(&mut buf, max(1))).is_pending());
        assert_eq!(now(sender.join()).unwrap().done, 2 * u64::from(size));

        items.extend(0..size);
        sender.close();
        assert_eq!(now(sender.send_many(&mut items)), Err(SendError(())));
        assert_eq!(items.len(), size as usize);
        assert_eq!(take::<K>(&receiver, 1), Err(TryRecvError::Closed));
    }
}
