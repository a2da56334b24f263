//! Futures that own their handle.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_next;

on_both_kinds! {
    owned_futures_complete,
    owned_futures_keep_channel_open,
    dropped_owned_send_drops_item_once,
    dropped_owned_recv_passes_wake_on,
    owned_send_returns_item_of_closed_channel,
    into_recv_leaks_nothing_when_waker_panics,
}

fn is_static<F: Future + Unpin + 'static>(future: F) -> F {
    future
}

fn owned_futures_complete<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let waker = CountingWaker::new();
    let mut join = is_static(sender.monitor().into_join());
    let mut finished = is_static(sender.monitor().into_finished());
    let mut first = is_static(receiver.clone().into_recv());
    assert!(poll(&mut first, &waker).is_pending());
    assert_eq!(now(is_static(sender.clone().into_send(1))), Ok(()));
    let mut second = is_static(sender.into_send(2));
    assert!(poll(&mut second, &waker).is_pending());
    assert_eq!(waker.wakes(), 1);
    assert_eq!(now(first).unwrap().end(), 1);
    assert_eq!(now(second), Ok(()));
    assert!(poll(&mut join, &waker).is_pending());
    assert!(poll(&mut finished, &waker).is_pending());
    assert_eq!(now(receiver.into_recv()).unwrap().end(), 2);
    assert_eq!(now(join).unwrap().done, 2);
    assert_eq!(now(finished).unwrap().done, 2);
}

fn owned_futures_keep_channel_open<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let recv = receiver.into_recv();
    assert!(!sender.is_closed());
    drop(recv);
    assert!(sender.is_closed());

    let (sender, receiver) = K::channel(1);
    let send = sender.into_send(1);
    assert!(!receiver.is_closed());
    assert_eq!(now(send), Ok(()));
    assert!(receiver.is_closed());
    assert_eq!(receiver.try_recv().unwrap().end(), 1);
}

fn dropped_owned_send_drops_item_once<K: Kind<Item>>() {
    let (sender, receiver) = K::channel(1);
    let tally = Tally::default();
    sender.try_send(tally.item()).unwrap();
    let mut send = sender.into_send(tally.item());
    assert!(poll(&mut send, &CountingWaker::new()).is_pending());
    drop(send);
    assert_eq!(tally.drops(), [0, 1]);
    assert!(receiver.is_closed());
    drop(receiver);
    assert_eq!(tally.drops(), [1, 1]);
}

fn dropped_owned_recv_passes_wake_on<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let wakers = [CountingWaker::new(), CountingWaker::new()];
    let mut first = receiver.clone().into_recv();
    let mut second = receiver.into_recv();
    assert!(poll(&mut first, &wakers[0]).is_pending());
    assert!(poll(&mut second, &wakers[1]).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!([wakers[0].wakes(), wakers[1].wakes()], [1, 0]);
    drop(first);
    assert_eq!([wakers[0].wakes(), wakers[1].wakes()], [1, 1]);
    assert_eq!(now(second).unwrap().end(), 1);
}

fn owned_send_returns_item_of_closed_channel<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let waker = CountingWaker::new();
    let mut send = sender.into_send(2);
    assert!(poll(&mut send, &waker).is_pending());
    receiver.close();
    assert_eq!(waker.wakes(), 1);
    assert_eq!(now(send).unwrap_err().into_inner(), 2);
}

fn into_recv_leaks_nothing_when_waker_panics<K: Kind>() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics");
        }
    }

    let (sender, mut receiver) = K::channel(1);
    let other = receiver.clone();
    assert!(poll_next(&mut receiver, &CountingWaker::new()).is_pending());
    let waker = Waker::from(Arc::new(Panics));
    let mut recv = other.recv();
    let polled = Pin::new(&mut recv).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    sender.try_send(1).unwrap();
    // The stream leaves its list, and passes its notification on.
    let into_recv = catch_unwind(AssertUnwindSafe(|| drop(receiver.into_recv())));
    assert!(into_recv.is_err());
    assert_eq!(sender.receiver_count(), 1);
    drop(recv);
    drop(other);
    assert!(sender.is_closed());
}
