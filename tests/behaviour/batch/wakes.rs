//! Which waiters a batch wakes, and how it waits itself.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::task::Poll;

use super::fill;
use super::max;
use super::take;
use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::take_one;
use crate::common::wakes;

on_both_kinds! {
    batch_wakes_as_many_receivers,
    batch_wakes_receivers_beyond_list,
    received_batch_wakes_as_many_senders,
    batches_wake_batches,
    cancelled_batch_passes_notifications_on,
    small_batch_passes_notification_on,
    batch_waits_behind_others_after_each_move,
    unbounded_batch_wakes_as_many_receivers,
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
