//! A sender as a futures `Sink`: readiness, the item that it keeps, flush and close.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::SinkExt;
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;
use tollgate::SendError;
use tollgate::SendSink;
use tollgate::Sender;
use tollgate::TryRecvError;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    sink_sends_feeds_and_flushes,
    send_all_and_forward_deliver_in_order,
    ready_waits_for_room,
    outrun_sink_keeps_item_and_flushes_it,
    kept_item_goes_before_the_next,
    start_send_without_ready_keeps_one_item,
    start_send_with_kept_item_panics_and_drops_item,
    close_gives_up_this_handle_only,
    close_sends_kept_item_first,
    closed_sink_refuses_items,
    closed_channel_leaves_item_in_sink,
    take_ends_the_wait,
    waiting_sink_keeps_its_place_and_passes_wake_on,
    clone_starts_fresh,
    dropped_sink_drops_kept_item_once,
    panicking_waker_loses_no_item,
    two_panics_in_dropped_sink_do_not_abort,
    unbounded_sink_keeps_nothing,
}

type Polled = Poll<Result<(), SendError<()>>>;

const DONE: Polled = Poll::Ready(Ok(()));
const REFUSED: Polled = Poll::Ready(Err(SendError(())));

/// A sink, and the waker it is polled with.
struct Polling<T> {
    sink: SendSink<T>,
    waker: CountingWaker,
}

impl<T> Polling<T> {
    fn new(sender: &Sender<T>) -> Self {
        Self::of(sender.clone().into_sink())
    }

    fn of(sink: SendSink<T>) -> Self {
        Self {
            sink,
            waker: CountingWaker::new(),
        }
    }

    fn ready(&mut self) -> Polled {
        let cx = &mut Context::from_waker(self.waker.waker());
        self.sink.poll_ready_unpin(cx)
    }

    fn flush(&mut self) -> Polled {
        let cx = &mut Context::from_waker(self.waker.waker());
        self.sink.poll_flush_unpin(cx)
    }

    fn close(&mut self) -> Polled {
        let cx = &mut Context::from_waker(self.waker.waker());
        self.sink.poll_close_unpin(cx)
    }

    fn start(&mut self, item: T) -> Result<(), SendError<()>> {
        self.sink.start_send_unpin(item)
    }
}

/// A full channel that holds the item 0, and a sink that keeps the item 1.
fn outrun<K: Kind>() -> (Sender<u32>, ReceiverOf<K>, Polling<u32>) {
    let (sender, receiver) = K::channel(1);
    let mut sink = Polling::new(&sender);
    assert_eq!(sink.ready(), DONE);
    sender.try_send(0).unwrap();
    assert_eq!(sink.start(1), Ok(()));
    (sender, receiver, sink)
}

fn sink_sends_feeds_and_flushes<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut sink = sender.into_sink();
    assert_eq!(now(sink.send(1)), Ok(()));
    assert_eq!(now(sink.feed(2)), Ok(()));
    // Accepted already.
    assert_eq!(receiver.len(), 2);
    assert_eq!(now(sink.flush()), Ok(()));
    let mut send = Waiter::waiting(sink.send(3));
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), DONE);
    drop(send);
    assert_eq!(now(sink.close()), Ok(()));
    assert!(receiver.is_closed());
    assert_eq!((take_one(&receiver), take_one(&receiver)), (Ok(2), Ok(3)));
}

fn send_all_and_forward_deliver_in_order<K: Kind>() {
    for capacity in [1, 2, 5] {
        let (sender, receiver) = K::channel(capacity);
        let produce = async {
            let mut sink = sender.into_sink();
            let mut items = stream::iter((0..50).map(Ok));
            sink.send_all(&mut items).await.unwrap();
            stream::iter((50..100).map(Ok)).forward(sink).await.unwrap();
        };
        let consume = receiver.map(Given::end).collect::<Vec<_>>();
        let ((), items) = pollster::block_on(join(produce, consume));
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}

fn ready_waits_for_room<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut sink = Polling::new(&sender);
    assert!(sink.ready().is_pending());
    // There is nothing to flush.
    assert_eq!(sink.flush(), DONE);
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!(sink.ready(), DONE);
    assert!(sender.is_empty());
    assert_eq!(sink.start(1), Ok(()));
    assert_eq!(sender.len(), 1);
}

fn outrun_sink_keeps_item_and_flushes_it<K: Kind>() {
    let (sender, receiver, mut sink) = outrun::<K>();
    assert_eq!(sender.len(), 1);
    assert!(sink.flush().is_pending());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!(sink.flush(), DONE);
    assert_eq!(sink.flush(), DONE);
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(sink.sink.take(), None);
}

fn kept_item_goes_before_the_next<K: Kind>() {
    let (_sender, receiver, mut sink) = outrun::<K>();
    assert!(sink.ready().is_pending());
    assert_eq!(take_one(&receiver), Ok(0));
    // It sends the kept item, and then there is no room.
    assert!(sink.ready().is_pending());
    assert_eq!(sink.flush(), DONE);
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(sink.waker.wakes(), 2);
    assert_eq!(sink.ready(), DONE);
    assert_eq!(sink.start(2), Ok(()));
    assert_eq!(take_one(&receiver), Ok(2));
}

fn start_send_without_ready_keeps_one_item<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut sink = Polling::new(&sender);
    assert_eq!((sink.start(0), sink.start(1)), (Ok(()), Ok(())));
    assert_eq!(sender.len(), 1);
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sink.flush(), DONE);
    assert_eq!(take_one(&receiver), Ok(1));
}

fn start_send_with_kept_item_panics_and_drops_item<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let mut sink = Polling::new(&sender);
    assert_eq!(sink.start(tally.item()), Ok(()));
    assert_eq!(sink.start(tally.item()), Ok(()));
    let third = tally.item();
    let started = catch_unwind(AssertUnwindSafe(|| sink.start(third)));
    let panic = started.unwrap_err();
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.contains("before `poll_ready` returned"), "{text}");
    assert_eq!(tally.drops(), [0, 0, 1]);
    assert_eq!(take_one(&receiver).unwrap().id, 0);
    assert_eq!(sink.flush(), DONE);
    assert_eq!(take_one(&receiver).unwrap().id, 1);
}

fn close_gives_up_this_handle_only<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut sink = Polling::new(&sender);
    assert_eq!(sender.sender_count(), 2);
    assert!(
        sink.sink
            .sender()
            .is_some_and(|it| it.same_channel(&sender))
    );
    assert_eq!((sink.close(), sink.close()), (DONE, DONE));
    assert_eq!(sender.sender_count(), 1);
    assert!(sink.sink.sender().is_none() && !sender.is_closed());

    let mut last = Polling::of(sender.into_sink());
    assert_eq!(last.close(), DONE);
    assert!(receiver.is_closed());
}

fn close_sends_kept_item_first<K: Kind>() {
    let (sender, receiver, mut sink) = outrun::<K>();
    drop(sender);
    assert!(sink.close().is_pending());
    assert!(!receiver.is_closed());
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!(sink.close(), DONE);
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

fn closed_sink_refuses_items<K: Kind>() {
    let (sender, _receiver) = K::channel(1);
    let mut sink = Polling::new(&sender);
    assert_eq!(sink.close(), DONE);
    assert_eq!(sink.ready(), REFUSED);
    assert_eq!(sink.start(1), Err(SendError(())));
    assert_eq!((sink.flush(), sink.close()), (REFUSED, REFUSED));
    assert_eq!(sink.sink.take(), Some(1));
    assert_eq!((sink.flush(), sink.close()), (DONE, DONE));
    assert!(sender.is_empty());
    // The clone of a closed sink is closed.
    assert_eq!(Polling::of(sink.sink.clone()).ready(), REFUSED);
}

fn closed_channel_leaves_item_in_sink<K: Kind>() {
    // The sink waits with a kept item, waits for room, or starts after the close.
    let (_sender, receiver, mut sink) = outrun::<K>();
    assert!(sink.flush().is_pending());
    receiver.close();
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!((sink.ready(), sink.close()), (REFUSED, REFUSED));
    assert_eq!(sink.sink.take(), Some(1));
    assert_eq!(sink.ready(), REFUSED);
    assert_eq!((sink.flush(), sink.close()), (DONE, DONE));

    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let mut sink = Polling::new(&sender);
    assert!(sink.ready().is_pending());
    drop(receiver);
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!(sink.ready(), REFUSED);
    assert_eq!(sink.start(2), Err(SendError(())));
    assert_eq!(sink.sink.take(), Some(2));
    assert_eq!(now(sink.sink.send(3)), Err(SendError(())));
}

/// After it, the sink is no waiter, so it keeps no wakeup to itself.
fn take_ends_the_wait<K: Kind>() {
    for was_woken in [false, true] {
        let (sender, receiver, mut sink) = outrun::<K>();
        assert!(sink.flush().is_pending());
        let mut send = Waiter::waiting(sender.send(2));
        if was_woken {
            assert_eq!(take_one(&receiver), Ok(0));
            assert_eq!((sink.waker.wakes(), send.wakes()), (1, 0));
        }
        assert_eq!(sink.sink.take(), Some(1));
        assert!(sink.waker.is_released());
        if !was_woken {
            assert_eq!(take_one(&receiver), Ok(0));
        }
        assert_eq!(send.wakes(), 1);
        assert_eq!(send.poll(), Poll::Ready(Ok(())));
    }
}

fn waiting_sink_keeps_its_place_and_passes_wake_on<K: Kind>() {
    let (sender, receiver, mut sink) = outrun::<K>();
    assert!(sink.flush().is_pending());
    let mut send = Waiter::waiting(sender.send(3));
    assert_eq!(take_one(&receiver), Ok(0));
    // Outrun again.
    sender.try_send(2).unwrap();
    assert!(sink.flush().is_pending());
    assert_eq!(take_one(&receiver), Ok(2));
    assert_eq!((sink.waker.wakes(), send.wakes()), (2, 0));
    drop(sink);
    assert_eq!(send.wakes(), 1);
    assert!(send.poll().is_ready());
    assert_eq!(take_one(&receiver), Ok(3));
}

fn clone_starts_fresh<K: Kind>() {
    let (sender, receiver, mut sink) = outrun::<K>();
    assert!(sink.flush().is_pending());
    let mut clone = Polling::of(sink.sink.clone());
    assert_eq!(sender.sender_count(), 3);
    assert_eq!((clone.flush(), clone.sink.take()), (DONE, None));
    drop(clone);
    assert_eq!(take_one(&receiver), Ok(0));
    assert_eq!(sink.waker.wakes(), 1);
    assert_eq!(sink.flush(), DONE);
}

fn dropped_sink_drops_kept_item_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let mut sink = Polling::of(sender.into_sink());
    assert_eq!(sink.start(tally.item()), Ok(()));
    assert_eq!(sink.start(tally.item()), Ok(()));
    drop(sink);
    assert_eq!(tally.drops(), [0, 1]);
    assert!(receiver.is_closed());
    assert_eq!(take_one(&receiver).unwrap().id, 0);
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

fn panicking_waker_loses_no_item<K: Kind>() {
    let waker = Waker::from(Arc::new(Panics));
    let cx = &mut Context::from_waker(&waker);

    // The sink gives up its place, and wakes the next.
    let (sender, receiver, mut sink) = outrun::<K>();
    assert!(sink.flush().is_pending());
    let mut send = sender.send(2);
    assert!(send.poll_unpin(cx).is_pending());
    assert_eq!(take_one(&receiver), Ok(0));
    let taken = catch_unwind(AssertUnwindSafe(|| sink.sink.take()));
    assert!(taken.is_err());
    assert_eq!(sink.sink.take(), Some(1));
    drop(send);

    // The sink sends, and wakes a receiver.
    let mut recv = receiver.recv();
    assert!(recv.poll_unpin(cx).is_pending());
    let started = catch_unwind(AssertUnwindSafe(|| sink.start(3)));
    assert!(started.is_err());
    assert_eq!(sink.sink.take(), None);
    assert_eq!(take_one(&receiver), Ok(3));
}

/// An item whose destructor panics.
struct PanickingItem;

impl Drop for PanickingItem {
    fn drop(&mut self) {
        panic!("a destructor panics");
    }
}

fn two_panics_in_dropped_sink_do_not_abort<K: Kind<PanickingItem>>() {
    if cfg!(not(feature = "std")) {
        // There, the second panic aborts.
        return;
    }
    let waker = Waker::from(Arc::new(Panics));
    let cx = &mut Context::from_waker(&waker);
    let (sender, receiver) = K::channel(1);
    let mut closed = receiver.closed();
    assert!(closed.poll_unpin(cx).is_pending());
    let mut sink = Polling::of(sender.into_sink());
    assert_eq!(sink.start(PanickingItem), Ok(()));
    assert_eq!(sink.start(PanickingItem), Ok(()));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(sink)));
    let panic = dropped.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a waker panics"));
    drop(closed);
    std::mem::forget(take_one(&receiver));
}

fn unbounded_sink_keeps_nothing<K: Kind>() {
    let (sender, receiver) = K::unbounded();
    let mut sink = Polling::new(&sender);
    for item in 0..100 {
        assert_eq!((sink.ready(), sink.start(item)), (DONE, Ok(())));
        assert_eq!(sink.sink.take(), None);
    }
    assert_eq!((sink.close(), receiver.len()), (DONE, 100));
}
