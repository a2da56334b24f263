//! Proves that a receiver is a stream: what it yields, when it ends, how it waits and lets go.

use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FusedStream;

use crate::common::AnyReceiver;
use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll_next;

on_both_kinds! {
    a_stream_yields_all_items_and_then_ends,
    the_end_is_sticky_for_the_handle_and_none_of_its_clones,
    a_stream_is_not_ended_by_close_while_items_are_left,
    a_clone_does_not_inherit_the_wait,
    a_stream_that_was_woken_and_dropped_passes_the_wake_on,
    a_stream_that_was_woken_and_finds_nothing_waits_again,
    a_stream_can_be_received_from_between_polls,
    a_stream_replaces_its_waker,
    several_streams_share_the_items,
    a_forgotten_stream_absorbs_one_wake,
    a_stream_may_be_moved_between_polls,
}

fn a_stream_yields_all_items_and_then_ends<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    let items = receiver.map(Given::end).collect::<Vec<_>>();
    assert_eq!(pollster::block_on(items), [0, 1, 2]);
}

fn the_end_is_sticky_for_the_handle_and_none_of_its_clones<K: Kind>() {
    let (sender, mut receiver) = K::channel::<u32>(1);
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
    // Each handle for itself.
    assert!(!other.is_terminated());
    let mut clone = receiver.clone();
    assert!(!clone.is_terminated());
    assert!(matches!(poll_next(&mut clone, &waker), Poll::Ready(None)));
    assert!(matches!(poll_next(&mut other, &waker), Poll::Ready(None)));
    assert!(clone.is_terminated() && other.is_terminated());
}

fn a_stream_is_not_ended_by_close_while_items_are_left<K: Kind>() {
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

fn a_clone_does_not_inherit_the_wait<K: Kind>() {
    let (sender, mut receiver) = K::channel::<u32>(2);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    let clone = receiver.clone();
    drop(clone);
    assert_eq!(waker.wakes(), 0);
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
}

fn a_stream_that_was_woken_and_dropped_passes_the_wake_on<K: Kind>() {
    let (sender, receiver) = K::channel::<u32>(1);
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
    // One that was not woken has nothing to pass on.
    drop(streams.remove(1));
    assert_eq!((wakes(), recv.wakes()), ([1, 1, 0], 0));
    drop(streams);
    assert_eq!(recv.wakes(), 1);
    assert!(recv.poll().is_ready());
}

fn a_stream_that_was_woken_and_finds_nothing_waits_again<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut stream = receiver.clone();
    let waker = CountingWaker::new();
    for item in 0..3 {
        assert!(poll_next(&mut stream, &waker).is_pending());
        sender.try_send(item).unwrap();
        assert_eq!(waker.wakes(), item as usize + 1);
        assert_eq!(receiver.take_one(), Ok(item));
    }
}

fn a_stream_can_be_received_from_between_polls<K: Kind>() {
    let (sender, mut receiver) = K::channel(2);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(now(receiver.recv()).map(Given::end), Ok(1));
    assert_eq!(receiver.take_one(), Ok(2));
    assert!(poll_next(&mut receiver, &waker).is_pending());
    sender.try_send(3).unwrap();
    assert_eq!(waker.wakes(), 2);
    assert!(poll_next(&mut receiver, &waker).is_ready());
}

fn a_stream_replaces_its_waker<K: Kind>() {
    for in_crowd in [false, true] {
        let (sender, receiver) = K::channel::<u32>(1);
        let ahead = in_crowd.then(|| Waiter::waiting(receiver.recv()));
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

fn several_streams_share_the_items<K: Kind>() {
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

fn a_forgotten_stream_absorbs_one_wake<K: Kind>() {
    let (sender, receiver) = K::channel::<u32>(2);
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

fn a_stream_may_be_moved_between_polls<K: Kind>() {
    let (sender, mut receiver) = K::channel::<u32>(1);
    let waker = CountingWaker::new();
    assert!(poll_next(&mut receiver, &waker).is_pending());
    let mut elsewhere = Box::new(receiver);
    sender.try_send(1).unwrap();
    assert_eq!(waker.wakes(), 1);
    assert!(poll_next(&mut *elsewhere, &waker).is_ready());
}
