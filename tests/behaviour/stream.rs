//! A receiver as a stream, and the streams of a receiver: what they yield, when they end, how they wait
//! and deregister.

use std::task::Context;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FusedStream;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_next;
use crate::common::take_one;

on_both_kinds! {
    stream_yields_all_items_then_ends,
    termination_is_per_handle,
    close_ends_stream_after_queued_items,
    clone_does_not_inherit_registration,
    woken_stream_dropped_passes_on_wake,
    woken_stream_without_item_waits_again,
    recv_between_polls_of_stream,
    stream_replaces_its_waker,
    dropped_stream_releases_its_waker,
    burst_wakes_lone_waiter_once,
    several_streams_share_items,
    forgotten_stream_absorbs_one_wake,
    stream_may_move_between_polls,
    poll_recv_and_stream_are_one_waiter,
    borrowed_streams_wait_each_in_its_place,
    dropped_streams_pass_on_wake,
    borrowed_and_owned_streams_end_for_good,
    into_stream_keeps_place_among_waiters,
    into_stream_of_ended_stream_has_ended,
    owned_stream_is_a_receiver,
}

fn stream_yields_all_items_then_ends<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    let items = receiver.map(Given::end).collect::<Vec<_>>();
    assert_eq!(pollster::block_on(items), [0, 1, 2]);
}

fn termination_is_per_handle<K: Kind>() {
    let (sender, mut receiver) = K::channel(1);
    let waker = CountingWaker::new();
    let mut other = receiver.clone();
    assert!(poll_next(&mut other, &waker).is_pending());
    assert!(!receiver.is_terminated() && !other.is_terminated());
    drop(sender);
    assert!(!receiver.is_terminated());
    for _ in 0..3 {
        assert!(matches!(
            poll_next(&mut receiver, &waker),
            Poll::Ready(None)
        ));
        assert!(receiver.is_terminated());
    }
    // Termination is a state of each handle.
    assert!(!other.is_terminated());
    let mut clone = receiver.clone();
    assert!(!clone.is_terminated());
    assert!(matches!(poll_next(&mut clone, &waker), Poll::Ready(None)));
    assert!(matches!(poll_next(&mut other, &waker), Poll::Ready(None)));
    assert!(clone.is_terminated() && other.is_terminated());
}

fn close_ends_stream_after_queued_items<K: Kind>() {
    let (sender, mut receiver) = K::channel(2);
    let waker = CountingWaker::new();
    sender.try_send(1).unwrap();
    sender.close();
    assert!(poll_next(&mut receiver, &waker).is_ready());
    assert!(!receiver.is_terminated());
    assert!(matches!(
        poll_next(&mut receiver, &waker),
        Poll::Ready(None)
    ));
    assert!(receiver.is_terminated());
}

fn clone_does_not_inherit_registration<K: Kind>() {
    let (sender, mut receiver) = K::channel(2);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    let clone = receiver.clone();
    drop(clone);
    assert_eq!(waker.wakes(), 0);
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
}

fn woken_stream_dropped_passes_on_wake<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let wakers = [(); 3].map(|()| CountingWaker::new());
    let mut streams: Vec<_> = wakers.iter().map(|_| receiver.clone()).collect();
    for (stream, waker) in streams.iter_mut().zip(&wakers) {
        assert!(poll_next(stream, waker).is_pending());
    }
    let mut recv = Waiter::waiting(receiver.recv());
    let wakes = || wakers.each_ref().map(CountingWaker::wakes);
    sender.try_send(1).unwrap();
    assert_eq!(wakes(), [1, 0, 0]);
    drop(streams.remove(0));
    assert_eq!(wakes(), [1, 1, 0]);
    // A stream that was not woken has no wake to pass on.
    drop(streams.remove(1));
    assert_eq!((wakes(), recv.wakes()), ([1, 1, 0], 0));
    drop(streams);
    assert_eq!(recv.wakes(), 1);
    assert!(recv.poll().is_ready());
}

fn woken_stream_without_item_waits_again<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    for item in 0..3 {
        assert!(poll_next(&mut stream, &waker).is_pending());
        sender.try_send(item).unwrap();
        assert_eq!(waker.wakes(), item as usize + 1);
        assert_eq!(take_one(&receiver), Ok(item));
    }
}

fn recv_between_polls_of_stream<K: Kind>() {
    let (sender, mut receiver) = K::channel(2);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(now(receiver.recv()).map(Given::end), Ok(1));
    assert_eq!(take_one(&receiver), Ok(2));
    assert!(poll_next(&mut receiver, &waker).is_pending());
    sender.try_send(3).unwrap();
    assert_eq!(waker.wakes(), 2);
    assert!(poll_next(&mut receiver, &waker).is_ready());
}

fn stream_replaces_its_waker<K: Kind>() {
    for in_overflow in [false, true] {
        let (sender, receiver) = K::channel(1);
        let ahead = in_overflow.then(|| Waiter::waiting(receiver.recv()));
        let mut stream = receiver.clone();
        let (old, new) = (CountingWaker::new(), CountingWaker::new());
        assert!(poll_next(&mut stream, &old).is_pending());
        assert!(poll_next(&mut stream, &new).is_pending());
        drop(ahead);
        assert!(old.is_released());
        sender.try_send(1).unwrap();
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }
}

fn dropped_stream_releases_its_waker<K: Kind>() {
    for in_overflow in [false, true] {
        let (sender, receiver) = K::channel(1);
        let ahead = in_overflow.then(|| Waiter::waiting(receiver.recv()));
        let waker = CountingWaker::new();
        let mut stream = receiver.clone();
        assert!(poll_next(&mut stream, &waker).is_pending());
        assert!(!waker.is_released());
        drop(stream);
        assert!(waker.is_released());
        drop(ahead);
        assert!(!sender.is_closed());
    }
}

fn burst_wakes_lone_waiter_once<K: Kind>() {
    let (sender, mut receiver) = K::channel(3);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    assert_eq!(waker.wakes(), 1);
    let mut send = Waiter::waiting(sender.send(3));
    (0..3).for_each(|item| assert_eq!(take_one(&receiver), Ok(item)));
    assert_eq!((waker.wakes(), send.wakes()), (1, 1));
    assert!(send.poll().is_ready());
}

fn several_streams_share_items<K: Kind>() {
    let (sender, receiver) = K::channel(8);
    (0..8).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    let waker = CountingWaker::new();
    let mut streams = [receiver.clone(), receiver.clone(), receiver];
    let mut items = Vec::new();
    while !streams.iter().all(FusedStream::is_terminated) {
        for stream in &mut streams {
            if let Poll::Ready(Some(given)) = poll_next(stream, &waker) {
                items.push(given.end());
            }
        }
    }
    assert_eq!(items, (0..8).collect::<Vec<_>>());
}

fn forgotten_stream_absorbs_one_wake<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    assert!(poll_next(&mut stream, &waker).is_pending());
    std::mem::forget(stream);
    let mut recv = Waiter::waiting(receiver.recv());
    sender.try_send(1).unwrap();
    assert_eq!((waker.wakes(), recv.wakes()), (1, 0));
    sender.try_send(2).unwrap();
    assert_eq!((waker.wakes(), recv.wakes()), (1, 1));
    assert!(recv.poll().is_ready());
}

fn stream_may_move_between_polls<K: Kind>() {
    let (sender, mut receiver) = K::channel(1);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    let mut elsewhere = Box::new(receiver);
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
    assert!(poll_next(&mut *elsewhere, &waker).is_ready());
}

fn poll_recv<K: Kind>(receiver: &mut ReceiverOf<K>, waker: &CountingWaker) -> Poll<Option<u32>> {
    let polled = receiver.poll_recv(&mut Context::from_waker(waker.waker()));
    polled.map(|given| given.map(Given::end))
}

fn poll_recv_and_stream_are_one_waiter<K: Kind>() {
    let (sender, mut receiver) = K::channel(2);
    let [first, second, other] = [(); 3].map(|()| CountingWaker::new());
    assert!(poll_recv::<K>(&mut receiver, &first).is_pending());
    let mut behind = receiver.clone();
    assert!(poll_next(&mut behind, &other).is_pending());
    // It keeps its place, and only the latest waker is woken.
    assert!(poll_next(&mut receiver, &second).is_pending());
    sender.try_send(1).unwrap();
    let wakes = || [first.wakes(), second.wakes(), other.wakes()];
    assert_eq!(wakes(), [0, 1, 0]);
    assert_eq!(poll_recv::<K>(&mut receiver, &first), Poll::Ready(Some(1)));
    sender.try_send(2).unwrap();
    assert_eq!(wakes(), [0, 1, 1]);
    sender.close();
    assert_eq!(poll_recv::<K>(&mut receiver, &first), Poll::Ready(Some(2)));
    assert!(!receiver.is_terminated());
    assert_eq!(poll_recv::<K>(&mut receiver, &first), Poll::Ready(None));
    assert!(receiver.is_terminated());
    assert!(matches!(
        poll_next(&mut receiver, &first),
        Poll::Ready(None)
    ));
    assert_eq!(poll_recv::<K>(&mut receiver, &first), Poll::Ready(None));
}

fn borrowed_streams_wait_each_in_its_place<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    let wakers = [(); 3].map(|()| CountingWaker::new());
    let mut streams = [(); 3].map(|()| receiver.stream());
    for (stream, waker) in streams.iter_mut().zip(&wakers) {
        assert!(poll_next(stream, waker).is_pending());
    }
    let wakes = || wakers.each_ref().map(CountingWaker::wakes);
    for (item, woken) in [[1, 0, 0], [1, 1, 0], [1, 1, 1]].into_iter().enumerate() {
        sender.try_send(item as u32).unwrap();
        assert_eq!(wakes(), woken);
    }
    for (item, (stream, waker)) in streams.iter_mut().zip(&wakers).enumerate() {
        let next = poll_next(stream, waker).map(|given| given.map(Given::end));
        assert_eq!(next, Poll::Ready(Some(item as u32)));
    }
}

fn dropped_streams_pass_on_wake<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let wakers = [(); 2].map(|()| CountingWaker::new());
    let mut borrowed = receiver.stream();
    let mut owned = receiver.clone().into_stream();
    assert!(poll_next(&mut borrowed, &wakers[0]).is_pending());
    assert!(poll_next(&mut owned, &wakers[1]).is_pending());
    let mut recv = Waiter::waiting(receiver.recv());
    sender.try_send(1).unwrap();
    let wakes = || wakers.each_ref().map(CountingWaker::wakes);
    assert_eq!((wakes(), recv.wakes()), ([1, 0], 0));
    drop(borrowed);
    assert_eq!((wakes(), recv.wakes()), ([1, 1], 0));
    drop(owned);
    assert_eq!((wakes(), recv.wakes()), ([1, 1], 1));
    assert!(wakers.iter().all(CountingWaker::is_released));
    assert!(recv.poll().is_ready());
}

fn borrowed_and_owned_streams_end_for_good<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let waker = CountingWaker::new();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    drop(sender);
    let mut owned = receiver.clone().into_stream();
    let mut borrowed = receiver.stream();
    let first = poll_next(&mut owned, &waker).map(|given| given.map(Given::end));
    let second = poll_next(&mut borrowed, &waker).map(|given| given.map(Given::end));
    assert_eq!(
        (first, second),
        (Poll::Ready(Some(1)), Poll::Ready(Some(2)))
    );
    assert!(!owned.is_terminated() && !borrowed.is_terminated());
    for _ in 0..3 {
        assert!(matches!(poll_next(&mut owned, &waker), Poll::Ready(None)));
        assert!(matches!(
            poll_next(&mut borrowed, &waker),
            Poll::Ready(None)
        ));
    }
    assert!(owned.is_terminated() && borrowed.is_terminated());
    // The receiver itself has not been polled.
    assert!(!receiver.is_terminated());
}

fn into_stream_keeps_place_among_waiters<K: Kind>() {
    let (sender, mut receiver) = K::channel(1);
    let wakers = [(); 2].map(|()| CountingWaker::new());
    let mut other = receiver.clone();
    assert!(poll_next(&mut receiver, &wakers[0]).is_pending());
    assert!(poll_next(&mut other, &wakers[1]).is_pending());
    let mut stream = receiver.into_stream();
    sender.try_send(1).unwrap();
    let wakes = || wakers.each_ref().map(CountingWaker::wakes);
    assert_eq!(wakes(), [1, 0]);
    let next = poll_next(&mut stream, &wakers[0]).map(|given| given.map(Given::end));
    assert_eq!(next, Poll::Ready(Some(1)));
    assert!(poll_next(&mut stream, &wakers[0]).is_pending());
    drop(stream);
    sender.try_send(2).unwrap();
    assert_eq!(wakes(), [1, 1]);
    assert!(poll_next(&mut other, &wakers[1]).is_ready());
}

fn into_stream_of_ended_stream_has_ended<K: Kind>() {
    let (sender, mut receiver) = K::channel(1);
    drop(sender);
    let waker = CountingWaker::new();
    assert!(!receiver.clone().into_stream().is_terminated());
    assert!(poll_next(&mut receiver, &waker).is_ready());
    let mut stream = receiver.into_stream();
    assert!(stream.is_terminated());
    assert!(matches!(poll_next(&mut stream, &waker), Poll::Ready(None)));
}

fn owned_stream_is_a_receiver<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let stream = receiver.into_stream();
    assert_eq!(sender.receiver_count(), 1);
    assert!(!sender.is_closed());
    sender.try_send(1).unwrap();
    drop(stream);
    assert!(sender.is_closed() && sender.is_empty());
}
