//! Sending and receiving several items at once.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::task::Poll;

use tollgate::Builder;
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
use crate::common::wakes;

on_both_kinds! {
    batches_of_every_size_keep_order,
    batch_moves_what_there_is_room_for,
    close_leaves_rest_with_caller,
    batch_sent_in_full_survives_close,
    dropped_batch_leaves_rest_with_caller,
    empty_batch_completes_at_once,
    try_send_many_sends_what_fits,
    recv_many_takes_up_to_maximum,
    recv_many_takes_any_maximum,
    recv_many_grows_vector_by_what_it_takes,
    recv_many_waits_for_one_item,
    dropped_recv_many_takes_nothing,
    closed_channel_is_received_in_batches,
    batch_wakes_as_many_receivers,
    batch_wakes_receivers_beyond_list,
    received_batch_wakes_as_many_senders,
    batches_wake_batches,
    cancelled_batch_passes_notifications_on,
    small_batch_passes_notification_on,
    batch_waits_behind_others_after_each_move,
    batch_received_completes_join,
    items_without_size_move_in_batches,
    items_of_batches_are_dropped_once,
    unbounded_channel_takes_any_batch,
    unbounded_batch_wakes_as_many_receivers,
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

fn batch_wakes_as_many_receivers<K: Kind>() {
    let (sender, receiver) = K::channel(8);
    let mut recvs: Vec<_> = (0..5).map(|_| Waiter::waiting(receiver.recv())).collect();
    fill(&sender, 0..3);
    assert_eq!(wakes(&recvs), [1, 1, 1, 0, 0]);
    fill(&sender, 3..8);
    assert_eq!(wakes(&recvs), [1; 5]);
    for (recv, item) in recvs.iter_mut().zip(0..) {
        assert_eq!(
            recv.poll().map(|it| it.map(Given::end)),
            Poll::Ready(Ok(item))
        );
    }
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![5, 6, 7]));
}

/// A list takes up to 128 waiters. The others wait in its overflow.
fn batch_wakes_receivers_beyond_list<K: Kind>() {
    for count in [127, 128, 129, 200, 299, 300, 301, 512] {
        let (sender, receiver) = K::channel(512);
        let mut recvs: Vec<_> = (0..300).map(|_| Waiter::waiting(receiver.recv())).collect();
        fill(&sender, 0..count);
        let woken = wakes(&recvs);
        let expected = (0..300).map(|it| usize::from(it < count));
        assert!(woken.into_iter().eq(expected), "{count}");
        for (recv, item) in recvs.iter_mut().zip(0..count) {
            assert_eq!(
                recv.poll().map(|it| it.map(Given::end)),
                Poll::Ready(Ok(item))
            );
        }
    }
}

fn received_batch_wakes_as_many_senders<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    fill(&sender, 0..4);
    let mut sends: Vec<_> = (4..9).map(|it| Waiter::waiting(sender.send(it))).collect();
    assert_eq!(take::<K>(&receiver, 3), Ok(vec![0, 1, 2]));
    assert_eq!(wakes(&sends), [1, 1, 1, 0, 0]);
    for send in &mut sends[..3] {
        assert_eq!(send.poll(), Poll::Ready(Ok(())));
    }
    assert_eq!(take::<K>(&receiver, 9), Ok(vec![3, 4, 5, 6]));
    assert_eq!(wakes(&sends), [1; 5]);
    for send in &mut sends[3..] {
        assert_eq!(send.poll(), Poll::Ready(Ok(())));
    }
}

fn batches_wake_batches<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    let (mut buf, mut items) = (Vec::new(), VecDeque::from_iter(0..9));
    let [receiver_waker, sender_waker] = [(); 2].map(|()| CountingWaker::new());
    let mut send = sender.send_many(&mut items);
    for round in 1.. {
        let mut recv = receiver.recv_many(&mut buf, NonZeroUsize::MAX);
        assert!(poll(&mut recv, &receiver_waker).is_pending());
        let is_sent = poll(&mut send, &sender_waker).is_ready();
        assert_eq!(receiver_waker.wakes(), round);
        assert_eq!(poll(&mut recv, &receiver_waker), Poll::Ready(Ok(max(3))));
        if is_sent {
            break;
        }
        assert_eq!(sender_waker.wakes(), round);
    }
    assert!(buf.into_iter().map(Given::end).eq(0..9));
}

fn cancelled_batch_passes_notifications_on<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    fill(&sender, 0..2);
    let mut items = VecDeque::from_iter(2..9);
    let first = Waiter::waiting(sender.send_many(&mut items));
    let sends = [9, 10].map(|item| Waiter::waiting(sender.send(item)));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((first.wakes(), wakes(&sends)), (1, vec![0, 0]));
    drop(first);
    assert_eq!(wakes(&sends), [1, 0]);
    drop(sends);
    assert_eq!(take_one(&receiver), Ok(1));

    let mut buf = Vec::new();
    let first = Waiter::waiting(receiver.recv_many(&mut buf, max(2)));
    let recvs = [(); 2].map(|()| Waiter::waiting(receiver.recv()));
    sender.try_send(0).unwrap();
    assert_eq!((first.wakes(), wakes(&recvs)), (1, vec![0, 0]));
    drop(first);
    assert_eq!(wakes(&recvs), [1, 0]);
}

/// Two items wake two receivers. The first takes one of them, and the second is forgotten.
fn small_batch_passes_notification_on<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let mut buf = Vec::new();
    let mut first = Waiter::waiting(receiver.recv_many(&mut buf, max(1)));
    let second = Waiter::waiting(receiver.recv()).forget();
    let mut third = Waiter::waiting(receiver.recv());
    fill(&sender, 0..2);
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    assert!(first.poll().is_ready());
    assert_eq!(third.wakes(), 1);
    assert!(third.poll().is_ready());
    drop((first, third));
    buf.into_iter().map(Given::end).for_each(drop);

    // The same for room, of which the batch needs half.
    fill(&sender, 0..4);
    let mut items = VecDeque::from([4]);
    let mut first = Waiter::waiting(sender.send_many(&mut items));
    let second = Waiter::waiting(sender.send(5)).forget();
    let mut third = Waiter::waiting(sender.send(6));
    take::<K>(&receiver, 2).unwrap();
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    assert!(first.poll().is_ready());
    assert_eq!(third.wakes(), 1);
    assert!(third.poll().is_ready());
}

fn batch_waits_behind_others_after_each_move<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut items = VecDeque::from_iter(1..9);
    let mut batch = Waiter::waiting(sender.send_many(&mut items));
    let mut send = Waiter::waiting(sender.send(100));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((batch.wakes(), send.wakes()), (1, 0));
    assert!(batch.poll().is_pending());
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!((batch.wakes(), send.wakes()), (1, 1));
    assert!(send.poll().is_ready());
    assert_eq!(take_one(&receiver), Ok(100));
    assert_eq!(batch.wakes(), 2);

    // In vain, it keeps its place.
    sender.try_send(101).unwrap();
    let send = Waiter::waiting(sender.send(102));
    assert!(batch.poll().is_pending());
    assert_eq!(take_one(&receiver), Ok(101));
    assert_eq!((batch.wakes(), send.wakes()), (3, 0));
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

fn unbounded_batch_wakes_as_many_receivers<K: Kind>() {
    let (sender, receiver) = K::unbounded();
    let mut recvs: Vec<_> = (0..200).map(|_| Waiter::waiting(receiver.recv())).collect();
    let mut join = Waiter::new(sender.join());
    fill(&sender, 0..150);
    assert!(join.poll().is_pending());
    assert_eq!(wakes(&recvs).iter().sum::<usize>(), 150);
    assert_eq!(wakes(&recvs[149..151]), [1, 0]);
    for (recv, item) in recvs.iter_mut().zip(0..100) {
        assert_eq!(
            recv.poll().map(|it| it.map(Given::end)),
            Poll::Ready(Ok(item))
        );
    }
    assert_eq!(join.wakes(), 0);
    assert_eq!(take::<K>(&receiver, 100), Ok(Vec::from_iter(100..150)));
    assert_eq!(join.wakes(), 1);
    assert!(join.poll().is_ready());
}

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
