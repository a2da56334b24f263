//! Which waiter is woken and how often: in order of arrival, whatever waits; one for each item;
//! none without a reason.

use std::task::Poll;

use futures_util::StreamExt;

use crate::common::CountingWaker;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::mixed;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_next;
use crate::common::take_one;
use crate::common::wakes;

on_both_kinds! {
    futures_and_streams_are_woken_in_order,
    senders_are_woken_in_order,
    order_holds_when_front_waiters_leave,
    one_item_wakes_one_of_eight_receivers,
    one_item_wakes_one_of_eight_streams,
    one_receive_wakes_one_of_eight_senders,
    burst_wakes_one_receiver_per_item,
    burst_wakes_one_sender_per_slot,
    single_items_cost_one_wake_each,
    burst_costs_two_wakes_per_item_at_most,
    close_wakes_each_waiter_once,
    woken_receiver_without_item_waits_again,
    woken_sender_without_room_waits_again,
    receiver_that_sees_more_items_wakes_another,
    sender_that_sees_more_room_wakes_another,
    vainly_notified_waiters_keep_their_order,
    only_last_waker_of_future_is_woken,
    moved_future_wakes_its_new_task,
    forgotten_receiver_absorbs_one_wake,
    forgotten_sender_absorbs_one_wake,
    unpolled_stream_absorbs_one_wake,
    ready_poll_leaves_no_waker,
}

fn futures_and_streams_are_woken_in_order<K: Kind>() {
    let (sender, receiver) = K::channel(6);
    let mut waiters = mixed::<K>(&receiver, 6);
    for item in 0..6 {
        sender.try_send(item).unwrap();
        let expected: Vec<_> = (0..6).map(|it| usize::from(it <= item)).collect();
        assert_eq!(wakes(&waiters), expected);
    }
    for (waiter, item) in waiters.iter_mut().zip(0..) {
        assert_eq!(waiter.poll(), Poll::Ready(Some(item)));
    }
}

fn senders_are_woken_in_order<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..=5).map(|it| Waiter::waiting(sender.send(it))).collect();
    for item in 0..5 {
        assert_eq!(take_one(&receiver), Ok(item as u32));
        let expected: Vec<_> = (0..5).map(|it| usize::from(it <= item)).collect();
        assert_eq!(wakes(&sends), expected);
        assert_eq!(sends[item].poll(), Poll::Ready(Ok(())));
    }
    assert_eq!(take_one(&receiver), Ok(5));
}

fn order_holds_when_front_waiters_leave<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    let mut waiters = mixed::<K>(&receiver, 5);
    // The first one, and one in the middle.
    drop(waiters.remove(0));
    drop(waiters.remove(1));
    // A newcomer does not overtake.
    waiters.extend(mixed::<K>(&receiver, 1));
    for expected in [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]] {
        sender.try_send(1).unwrap();
        assert_eq!(wakes(&waiters), expected);
    }
}

fn one_item_wakes_one_of_eight_receivers<K: Kind>() {
    let (sender, receiver) = K::channel(8);
    let recvs: Vec<_> = (0..8).map(|_| Waiter::waiting(receiver.recv())).collect();
    sender.try_send(1).unwrap();
    assert_eq!(wakes(&recvs).iter().sum::<usize>(), 1);
}

fn one_item_wakes_one_of_eight_streams<K: Kind>() {
    let (sender, receiver) = K::channel(8);
    let streams: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = receiver.clone();
            Waiter::waiting(async move { stream.next().await.is_some() })
        })
        .collect();
    sender.try_send(1).unwrap();
    assert_eq!(wakes(&streams), [1, 0, 0, 0, 0, 0, 0, 0]);
}

fn one_receive_wakes_one_of_eight_senders<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let sends: Vec<_> = (0..8).map(|it| Waiter::waiting(sender.send(it))).collect();
    take_one(&receiver).unwrap();
    assert_eq!(wakes(&sends), [1, 0, 0, 0, 0, 0, 0, 0]);
}

fn burst_wakes_one_receiver_per_item<K: Kind>() {
    for burst in 1..=8 {
        let (sender, receiver) = K::channel(8);
        let waiters = mixed::<K>(&receiver, 8);
        (0..burst).for_each(|_| sender.try_send(1).unwrap());
        assert_eq!(wakes(&waiters).iter().sum::<usize>(), burst);
        assert!(wakes(&waiters)[..burst].iter().all(|it| *it == 1));
    }
}

fn burst_wakes_one_sender_per_slot<K: Kind<usize>>() {
    for burst in 1..=8 {
        let (sender, receiver) = K::channel(8);
        (0..8).for_each(|item| sender.try_send(item).unwrap());
        let sends: Vec<_> = (0..8).map(|it| Waiter::waiting(sender.send(it))).collect();
        (0..burst).for_each(|item| assert_eq!(take_one(&receiver), Ok(item)));
        assert_eq!(wakes(&sends).iter().sum::<usize>(), burst);
        assert!(wakes(&sends)[..burst].iter().all(|it| *it == 1));
    }
}

fn single_items_cost_one_wake_each<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    let mut total = 0;
    for item in 0..50 {
        let mut waiters = mixed::<K>(&receiver, 8);
        sender.try_send(item).unwrap();
        assert_eq!(waiters[0].poll(), Poll::Ready(Some(item)));
        drop(waiters.remove(0));
        total += 1 + wakes(&waiters).iter().sum::<usize>();
    }
    assert_eq!(total, 50);
}

fn burst_costs_two_wakes_per_item_at_most<K: Kind>() {
    const ITEMS: usize = 6;
    let (sender, receiver) = K::channel(ITEMS);
    let mut waiters = mixed::<K>(&receiver, 20);
    (0..ITEMS).for_each(|_| sender.try_send(1).unwrap());
    let mut polled = vec![0; waiters.len()];
    let mut received = 0;
    while let Some(index) = (0..20).find(|&it| waiters[it].wakes() > polled[it]) {
        polled[index] = waiters[index].wakes();
        if waiters[index].poll().is_ready() {
            received += 1;
            polled[index] = usize::MAX;
        }
    }
    assert_eq!(received, ITEMS);
    // One for each item, and one that each receiver but the last passes on.
    assert_eq!(wakes(&waiters).iter().sum::<usize>(), 2 * ITEMS - 1);
}

fn close_wakes_each_waiter_once<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let waiters = mixed::<K>(&receiver, 8);
    let closed: Vec<_> = (0..3).map(|_| Waiter::waiting(sender.closed())).collect();
    sender.close();
    sender.close();
    receiver.close();
    assert_eq!(wakes(&waiters), [1; 8]);
    assert_eq!(wakes(&closed), [1; 3]);
}

fn woken_receiver_without_item_waits_again<K: Kind>() {
    for behind in [false, true] {
        let (sender, receiver) = K::channel(1);
        let mut waiters = mixed::<K>(&receiver, 2);
        if behind {
            drop(waiters.remove(0));
        }
        let mut waiter = waiters.remove(0);
        drop(waiters);
        for item in 0..3 {
            sender.try_send(item).unwrap();
            assert_eq!(waiter.wakes(), item as usize + 1);
            assert_eq!(take_one(&receiver), Ok(item));
            assert!(waiter.poll().is_pending());
        }
        sender.try_send(3).unwrap();
        assert_eq!(waiter.poll(), Poll::Ready(Some(3)));
    }
}

fn woken_sender_without_room_waits_again<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut send = Waiter::waiting(sender.send(9));
    for item in 0..3 {
        assert_eq!(take_one(&receiver), Ok(item));
        assert_eq!(send.wakes(), item as usize + 1);
        sender.try_send(item + 1).unwrap();
        assert!(send.poll().is_pending());
    }
    take_one(&receiver).unwrap();
    assert_eq!(send.wakes(), 4);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
}

fn receiver_that_sees_more_items_wakes_another<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut waiters = mixed::<K>(&receiver, 3);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(wakes(&waiters), [1, 1, 0]);
    // The first is slow; the second takes an item, sees the other one, and notifies the third.
    assert!(waiters[1].poll().is_ready());
    assert_eq!(wakes(&waiters), [1, 1, 1]);
    assert!(waiters[2].poll().is_ready());
    assert!(waiters[0].poll().is_pending());
}

fn sender_that_sees_more_room_wakes_another<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let mut sends: Vec<_> = (3..6).map(|it| Waiter::waiting(sender.send(it))).collect();
    take_one(&receiver).unwrap();
    take_one(&receiver).unwrap();
    assert_eq!(wakes(&sends), [1, 1, 0]);
    assert!(sends[1].poll().is_ready());
    assert_eq!(wakes(&sends), [1, 1, 1]);
    assert!(sends[2].poll().is_ready());
    assert!(sends[0].poll().is_pending());
}

fn vainly_notified_waiters_keep_their_order<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut waiters = mixed::<K>(&receiver, 3);
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    assert!(waiters[0].poll().is_pending());
    for expected in [[2, 0, 0], [3, 0, 0]] {
        sender.try_send(1).unwrap();
        take_one(&receiver).unwrap();
        assert_eq!(wakes(&waiters), expected);
        assert!(waiters[0].poll().is_pending());
    }
    // Also if it returns after a waiter behind it was notified, and before one that was notified
    // too.
    for expected in [[4, 0, 0], [4, 1, 0], [4, 1, 1]] {
        sender.try_send(1).unwrap();
        take_one(&receiver).unwrap();
        assert_eq!(wakes(&waiters), expected);
    }
    for index in [2, 0, 1] {
        // Those that have not asked others to yield yield first, and wake themselves.
        assert!(waiters[index].poll().is_pending());
        assert!(waiters[index].poll().is_pending());
    }
    let mut expected = wakes(&waiters);
    for index in 0..3 {
        sender.try_send(1).unwrap();
        take_one(&receiver).unwrap();
        expected[index] += 1;
        assert_eq!(wakes(&waiters), expected);
    }
}

fn only_last_waker_of_future_is_woken<K: Kind>() {
    for behind in [false, true] {
        let (sender, receiver) = K::channel(1);
        let ahead = behind.then(|| Waiter::waiting(receiver.recv()));
        let wakers = [(); 3].map(|()| CountingWaker::new());
        let mut recv = receiver.recv();
        for waker in &wakers {
            assert!(poll(&mut recv, waker).is_pending());
        }
        drop(ahead);
        assert!(wakers[0].is_released() && wakers[1].is_released());
        sender.try_send(1).unwrap();
        assert_eq!(wakers.each_ref().map(CountingWaker::wakes), [0, 0, 1]);
        assert!(poll(&mut recv, &wakers[0]).is_ready());
    }
}

fn moved_future_wakes_its_new_task<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let monitor = sender.monitor();
    let (old, new) = (CountingWaker::new(), CountingWaker::new());
    let _ahead = (
        Waiter::waiting(sender.send(1)),
        Waiter::waiting(monitor.join()),
    );
    let mut send = sender.send(2);
    let mut join = monitor.join();
    assert!(poll(&mut send, &old).is_pending());
    assert!(poll(&mut join, &old).is_pending());
    let (mut send, mut join) = *Box::new((send, join));
    assert!(poll(&mut send, &new).is_pending());
    assert!(poll(&mut join, &new).is_pending());
    take_one(&receiver).unwrap();
    assert_eq!(old.wakes(), 0);
    assert!(new.wakes() >= 1);
}

fn forgotten_receiver_absorbs_one_wake<K: Kind>() {
    for behind in [false, true] {
        let (sender, receiver) = K::channel(3);
        let ahead = behind.then(|| Waiter::waiting(receiver.recv()));
        let forgotten = Waiter::waiting(receiver.recv()).forget();
        let mut recv = Waiter::waiting(receiver.recv());
        drop(ahead);
        sender.try_send(1).unwrap();
        assert_eq!((forgotten.wakes(), recv.wakes()), (1, 0));
        sender.try_send(2).unwrap();
        assert_eq!((forgotten.wakes(), recv.wakes()), (1, 1));
        assert!(recv.poll().is_ready());
        // Later waiters are not affected.
        take_one(&receiver).unwrap();
        let mut late = Waiter::waiting(receiver.recv());
        sender.try_send(3).unwrap();
        assert_eq!(late.wakes(), 1);
        assert!(late.poll().is_ready());
    }
}

fn forgotten_sender_absorbs_one_wake<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    sender.try_send(0).unwrap();
    sender.try_send(1).unwrap();
    let forgotten = Waiter::waiting(sender.send(2)).forget();
    let mut send = Waiter::waiting(sender.send(3));
    take_one(&receiver).unwrap();
    assert_eq!((forgotten.wakes(), send.wakes()), (1, 0));
    take_one(&receiver).unwrap();
    assert_eq!((forgotten.wakes(), send.wakes()), (1, 1));
    assert!(send.poll().is_ready());
    assert_eq!(take_one(&receiver), Ok(3));
}

fn unpolled_stream_absorbs_one_wake<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    assert!(poll_next(&mut stream, &waker).is_pending());
    let mut recv = Waiter::waiting(receiver.recv());
    sender.try_send(1).unwrap();
    assert_eq!((waker.wakes(), recv.wakes()), (1, 0));
    // When it is dropped, it passes on the wake.
    drop(stream);
    assert_eq!(recv.wakes(), 1);
    assert!(recv.poll().is_ready());
}

fn ready_poll_leaves_no_waker<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut waiters = mixed::<K>(&receiver, 3);
    sender.try_send(1).unwrap();
    // It was not notified, and must not be notified later.
    assert_eq!(waiters[2].poll(), Poll::Ready(Some(1)));
    sender.try_send(2).unwrap();
    assert_eq!(wakes(&waiters), [1, 1, 0]);
}
