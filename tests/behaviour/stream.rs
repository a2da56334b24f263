//! A receiver as a stream: what it yields, when it ends, how it waits and deregisters.

use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FusedStream;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
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
