//! Sends that lose no item, and waiting for room: `send_from`, `into_inner`, `ready` and `poll_ready`.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use tollgate::SendError;
use tollgate::Sender;
use tollgate::TryRecvError;

use crate::common::CountingWaker;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::take_one;
use crate::common::wakes;

on_both_kinds! {
    send_from_takes_item_when_it_sends,
    cancelled_send_from_leaves_item_in_slot,
    closed_channel_leaves_item_in_slot,
    close_leaves_item_of_waiting_send_from,
    empty_slot_needs_no_room,
    empty_slot_is_refused_by_closed_channel,
    send_from_waits_in_line_with_send,
    panicking_waker_does_not_put_sent_item_back,
    into_inner_returns_item_unless_completed,
    into_inner_passes_wake_on,
    into_inner_without_wake_wakes_none,
    owned_into_inner_drops_sender,
    into_inner_drops_item_once_when_waker_panics,
    ready_waits_for_room_and_takes_none,
    ready_wakes_next_while_there_is_room,
    outrun_ready_keeps_its_place,
    ready_that_was_not_woken_wakes_none,
    ready_sees_close,
    poll_ready_waits_for_room,
    poll_ready_wakes_last_waker,
    polling_sender_keeps_its_place_and_passes_wake_on,
    clone_of_polling_sender_does_not_wait,
    consumed_sender_leaves_its_place,
    into_send_drops_item_once_when_waker_panics,
    unbounded_channel_is_always_ready,
}

/// A full channel that holds the item 0.
fn full<K: Kind>() -> (Sender<u32>, ReceiverOf<K>) {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    (sender, receiver)
}

fn poll_ready<T>(sender: &mut Sender<T>, waker: &CountingWaker) -> Poll<Result<(), SendError<()>>> {
    sender.poll_ready(&mut Context::from_waker(waker.waker()))
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

/// Polls a future that waits, with a waker that panics.
fn wait_with_panicking_waker<F: Future + Unpin>(future: &mut F) {
    let waker = Waker::from(Arc::new(Panics));
    let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

fn send_from_takes_item_when_it_sends<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut slot = Some(1);
    let mut send = sender.send_from(&mut slot);
    let waker = CountingWaker::new();
    assert!(poll(&mut send, &waker).is_pending());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(waker.wakes(), 1);
    assert_eq!(poll(&mut send, &waker), Poll::Ready(Ok(())));
    drop(send);
    assert_eq!(slot, None);
    assert_eq!(take_one(&receiver), Ok(1));

    let mut slot = Some(2);
    assert_eq!(now(sender.send_from(&mut slot)), Ok(()));
    assert_eq!((slot, take_one(&receiver)), (None, Ok(2)));
    assert_eq!(sender.monitor().stats().report.sent, 3);
}

fn cancelled_send_from_leaves_item_in_slot<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    sender.try_send(tally.item()).unwrap();
    let mut slot = Some(tally.item());
    // Never polled, waiting, and woken.
    drop(sender.send_from(&mut slot));
    drop(Waiter::waiting(sender.send_from(&mut slot)));
    let send = Waiter::waiting(sender.send_from(&mut slot));
    assert_eq!(take_one(&receiver).unwrap().id, 0);
    assert_eq!(send.wakes(), 1);
    drop(send);
    assert_eq!(slot.as_ref().map(|item| item.id), Some(1));
    assert!(sender.is_empty());
    assert_eq!(now(sender.send_from(&mut slot)), Ok(()));
    assert!(slot.is_none());
    assert_eq!(take_one(&receiver).unwrap().id, 1);
    assert_eq!(tally.drops(), [1, 1]);
}

fn closed_channel_leaves_item_in_slot<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    drop(receiver);
    let mut slot = Some(1);
    assert_eq!(now(sender.send_from(&mut slot)), Err(SendError(())));
    assert_eq!(slot, Some(1));
}

fn close_leaves_item_of_waiting_send_from<K: Kind>() {
    for was_woken in [false, true] {
        let (sender, receiver) = full::<K>();
        let mut slot = Some(1);
        let mut send = Waiter::waiting(sender.send_from(&mut slot));
        if was_woken {
            assert_eq!(take_one(&receiver), Ok(0));
        }
        receiver.close();
        assert_eq!(send.wakes(), 1);
        assert_eq!(send.poll(), Poll::Ready(Err(SendError(()))));
        drop(send);
        assert_eq!(slot, Some(1));
        let _ = take_one(&receiver);
        assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
    }
}

fn empty_slot_needs_no_room<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut send = Waiter::waiting(sender.send(1));
    let mut slot = None;
    assert_eq!(now(sender.send_from(&mut slot)), Ok(()));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(now(sender.send_from(&mut slot)), Ok(()));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
    assert_eq!(sender.monitor().stats().report.sent, 2);
}

fn empty_slot_is_refused_by_closed_channel<K: Kind>() {
    let (sender, _receiver) = full::<K>();
    sender.close();
    assert_eq!(now(sender.send_from(&mut None)), Err(SendError(())));
}

fn send_from_waits_in_line_with_send<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut slots = [Some(1), Some(3)];
    let [first, third] = &mut slots;
    let mut sends = [
        Waiter::waiting(async { sender.send_from(first).await.is_ok() }),
        Waiter::waiting(async { sender.send(2).await.is_ok() }),
        Waiter::waiting(async { sender.send_from(third).await.is_ok() }),
    ];
    for index in 0..3 {
        assert_eq!(take_one(&receiver), Ok(index as u32));
        assert_eq!(sends[index].wakes(), 1);
        assert!(sends[index + 1..].iter().all(|it| it.wakes() == 0));
        assert_eq!(sends[index].poll(), Poll::Ready(true));
    }
    assert_eq!(take_one(&receiver), Ok(3));
}

fn panicking_waker_does_not_put_sent_item_back<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut recv = receiver.recv();
    wait_with_panicking_waker(&mut recv);
    let mut slot = Some(1);
    let mut send = sender.send_from(&mut slot);
    let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut send, &CountingWaker::new())));
    assert!(polled.is_err());
    drop(send);
    assert_eq!((slot, take_one(&receiver)), (None, Ok(1)));
}

fn into_inner_returns_item_unless_completed<K: Kind>() {
    let (sender, receiver) = full::<K>();
    assert_eq!(sender.send(1).into_inner(), Some(1));

    let waker = CountingWaker::new();
    let mut send = sender.send(2);
    assert!(poll(&mut send, &waker).is_pending());
    assert_eq!(send.into_inner(), Some(2));
    assert!(waker.is_released());

    assert_eq!(take_one(&receiver), Ok(0));
    let mut send = sender.send(3);
    assert_eq!(poll(&mut send, &waker), Poll::Ready(Ok(())));
    assert_eq!(send.into_inner(), None);

    receiver.close();
    assert_eq!(sender.send(4).into_inner(), Some(4));
    let mut send = sender.send(5);
    assert_eq!(poll(&mut send, &waker), Poll::Ready(Err(SendError(5))));
    assert_eq!(send.into_inner(), None);
    assert_eq!(take_one(&receiver), Ok(3));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

fn into_inner_passes_wake_on<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let waker = CountingWaker::new();
    let mut send = sender.send(1);
    let mut owned = sender.clone().into_send(2);
    assert!(poll(&mut send, &waker).is_pending());
    assert!(poll(&mut owned, &waker).is_pending());
    let mut next = Waiter::waiting(sender.send(3));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(waker.wakes(), 1);
    assert_eq!(send.into_inner(), Some(1));
    assert_eq!((waker.wakes(), next.wakes()), (2, 0));
    assert_eq!(owned.into_inner(), Some(2));
    assert_eq!((waker.wakes(), next.wakes()), (2, 1));
    assert_eq!(next.poll(), Poll::Ready(Ok(())));
    assert_eq!(take_one(&receiver), Ok(3));
}

fn into_inner_without_wake_wakes_none<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let ahead = Waiter::waiting(sender.send(1));
    let mut send = sender.send(2);
    assert!(poll(&mut send, &CountingWaker::new()).is_pending());
    let behind = Waiter::waiting(sender.send(3));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(send.into_inner(), Some(2));
    assert_eq!((ahead.wakes(), behind.wakes()), (1, 0));
}

fn owned_into_inner_drops_sender<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut closed = Waiter::waiting(receiver.closed());
    let mut send = sender.into_send(1);
    assert!(poll(&mut send, &CountingWaker::new()).is_pending());
    assert_eq!(send.into_inner(), Some(1));
    assert!(closed.poll().is_ready() && receiver.is_closed());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

fn into_inner_drops_item_once_when_waker_panics<K: Kind<Item>>() {
    // The wakeup passes to a waker that panics, or the last sender closes the channel.
    for is_last in [false, true] {
        let tally = Tally::new();
        let (sender, receiver) = K::channel(1);
        let monitor = sender.monitor();
        sender.try_send(tally.item()).unwrap();
        let other = (!is_last).then(|| sender.clone());
        let mut send = sender.into_send(tally.item());
        assert!(poll(&mut send, &CountingWaker::new()).is_pending());
        let mut next = other.as_ref().map(|other| other.send(tally.item()));
        if let Some(next) = &mut next {
            wait_with_panicking_waker(next);
        }
        let mut closed = receiver.closed();
        wait_with_panicking_waker(&mut closed);
        drop(take_one(&receiver));
        let result = catch_unwind(AssertUnwindSafe(|| drop(send.into_inner())));
        assert_eq!(
            result.unwrap_err().downcast_ref(),
            Some(&"a waker panics"),
            "{is_last}"
        );
        assert_eq!(tally.drops()[1], 1);
        assert_eq!(monitor.stats().senders, usize::from(!is_last));
        drop((next, closed));
        assert!(tally.drops().iter().all(|drops| *drops == 1));
    }
}

fn ready_waits_for_room_and_takes_none<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut ready = Waiter::waiting(sender.ready());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(ready.wakes(), 1);
    for _ in 0..3 {
        assert_eq!(now(sender.ready()), Ok(()));
    }
    assert_eq!(ready.poll(), Poll::Ready(Ok(())));
    assert!(sender.is_empty());
    assert_eq!(sender.try_send(1), Ok(()));
    let report = sender.monitor().stats().report;
    assert_eq!((report.sent, report.received), (2, 1));
}

/// Woken one by one, and each once, up to the first that takes the room.
fn ready_wakes_next_while_there_is_room<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut waiters = vec![
        Waiter::waiting(sender.ready()),
        Waiter::waiting(sender.ready()),
        Waiter::waiting(async { sender.send(1).await.map_err(|_| SendError(())) }),
        Waiter::waiting(sender.ready()),
    ];
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(wakes(&waiters), [1, 0, 0, 0]);
    assert_eq!(waiters[0].poll(), Poll::Ready(Ok(())));
    assert_eq!(wakes(&waiters), [1, 1, 0, 0]);
    assert_eq!(waiters[1].poll(), Poll::Ready(Ok(())));
    assert_eq!(wakes(&waiters), [1, 1, 1, 0]);
    assert_eq!(waiters[2].poll(), Poll::Ready(Ok(())));
    assert_eq!(wakes(&waiters), [1, 1, 1, 0]);
    assert!(waiters[3].poll().is_pending());
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(wakes(&waiters), [1, 1, 1, 1]);
    assert_eq!(waiters[3].poll(), Poll::Ready(Ok(())));
}

fn outrun_ready_keeps_its_place<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut ready = Waiter::waiting(sender.ready());
    let mut send = Waiter::waiting(sender.send(2));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sender.try_send(1), Ok(()));
    assert!(ready.poll().is_pending());
    assert_eq!((ready.wakes(), send.wakes()), (1, 0));
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!((ready.wakes(), send.wakes()), (2, 0));
    assert_eq!(ready.poll(), Poll::Ready(Ok(())));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
}

fn ready_that_was_not_woken_wakes_none<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let first = Waiter::waiting(sender.send(1));
    let mut ready = Waiter::waiting(sender.ready());
    let last = Waiter::waiting(sender.send(2));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((first.wakes(), ready.wakes()), (1, 0));
    assert_eq!(ready.poll(), Poll::Ready(Ok(())));
    assert_eq!((first.wakes(), last.wakes()), (1, 0));
}

fn ready_sees_close<K: Kind>() {
    for has_room in [false, true] {
        let (sender, receiver) = full::<K>();
        let mut ready = Waiter::waiting(sender.ready());
        if has_room {
            assert_eq!(take_one(&receiver), Ok(0));
        }
        receiver.close();
        assert_eq!(ready.wakes(), 1);
        assert_eq!(ready.poll(), Poll::Ready(Err(SendError(()))));
        assert_eq!(now(sender.ready()), Err(SendError(())));
    }
}

fn poll_ready_waits_for_room<K: Kind>() {
    let (mut sender, receiver) = full::<K>();
    let waker = CountingWaker::new();
    for item in 0..3 {
        assert!(poll_ready(&mut sender, &waker).is_pending());
        assert!(poll_ready(&mut sender, &waker).is_pending());
        assert_eq!(take_one(&receiver), Ok(item));
        assert_eq!(waker.wakes(), item as usize + 1);
        assert_eq!(poll_ready(&mut sender, &waker), Poll::Ready(Ok(())));
        assert_eq!(sender.try_send(item + 1), Ok(()));
    }
    assert!(poll_ready(&mut sender, &waker).is_pending());
    receiver.close();
    assert_eq!(waker.wakes(), 4);
    for _ in 0..2 {
        let refused = Poll::Ready(Err(SendError(())));
        assert_eq!(poll_ready(&mut sender, &waker), refused);
    }
}

fn poll_ready_wakes_last_waker<K: Kind>() {
    let (mut sender, receiver) = full::<K>();
    let (old, new) = (CountingWaker::new(), CountingWaker::new());
    assert!(poll_ready(&mut sender, &old).is_pending());
    assert!(poll_ready(&mut sender, &new).is_pending());
    assert!(old.is_released());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
}

fn polling_sender_keeps_its_place_and_passes_wake_on<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut polling = sender.clone();
    let waker = CountingWaker::new();
    assert!(poll_ready(&mut polling, &waker).is_pending());
    let mut send = Waiter::waiting(sender.send(2));
    // Outrun.
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(polling.try_send(1), Ok(()));
    assert!(poll_ready(&mut polling, &waker).is_pending());
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!((waker.wakes(), send.wakes()), (2, 0));
    // Moved and dropped.
    drop(Box::new(polling));
    assert_eq!(send.wakes(), 1);
    assert!(waker.is_released());
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
}

fn clone_of_polling_sender_does_not_wait<K: Kind>() {
    let (mut sender, receiver) = full::<K>();
    let waker = CountingWaker::new();
    assert!(poll_ready(&mut sender, &waker).is_pending());
    let mut send = Waiter::waiting({
        let sender = sender.clone();
        async move { sender.send(1).await }
    });
    drop(sender.clone());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((waker.wakes(), send.wakes()), (1, 0));
    assert_eq!(poll_ready(&mut sender, &waker), Poll::Ready(Ok(())));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
}

fn consumed_sender_leaves_its_place<K: Kind>() {
    let (sender, receiver) = full::<K>();
    let mut polling = sender.clone();
    let waker = CountingWaker::new();
    assert!(poll_ready(&mut polling, &waker).is_pending());
    let mut send = Waiter::waiting(sender.send(1));
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!((waker.wakes(), send.wakes()), (1, 0));
    let owned = polling.into_send(2);
    assert_eq!(send.wakes(), 1);
    assert!(waker.is_released());
    assert_eq!(send.poll(), Poll::Ready(Ok(())));
    assert_eq!(owned.into_inner(), Some(2));
}

fn into_send_drops_item_once_when_waker_panics<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    sender.try_send(tally.item()).unwrap();
    let mut polling = sender.clone();
    assert!(poll_ready(&mut polling, &CountingWaker::new()).is_pending());
    let mut send = sender.send(tally.item());
    wait_with_panicking_waker(&mut send);
    drop(take_one(&receiver));
    // It passes its wakeup on.
    let item = tally.item();
    let result = catch_unwind(AssertUnwindSafe(|| drop(polling.into_send(item))));
    assert!(result.is_err());
    assert_eq!(tally.drops(), [1, 0, 1]);
    assert_eq!(sender.sender_count(), 1);
}

fn unbounded_channel_is_always_ready<K: Kind>() {
    let (mut sender, receiver) = K::unbounded();
    let waker = CountingWaker::new();
    for item in 0..100 {
        assert_eq!(now(sender.ready()), Ok(()));
        assert_eq!(poll_ready(&mut sender, &waker), Poll::Ready(Ok(())));
        assert_eq!(now(sender.send_from(&mut Some(item))), Ok(()));
    }
    assert_eq!((sender.len(), take_one(&receiver)), (100, Ok(0)));
    receiver.close();
    assert_eq!(now(sender.ready()), Err(SendError(())));
    assert_eq!(now(sender.send_from(&mut Some(0))), Err(SendError(())));
    assert_eq!(sender.send(0).into_inner(), Some(0));
}
