//! Senders that wait for room without an item, or that keep their item.

use std::future::poll_fn;
use std::task::Context;
use std::task::Waker;

use loom::thread;

use crate::support::block_on;
use crate::support::bounded;
use crate::support::model;
use crate::support::model_without_bound;
use crate::support::operation;
use crate::support::poll;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;

#[test]
fn ready_sees_room_or_is_woken() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        assert!(block_on(sender.ready()).is_ok());
        send(&sender, tally.item(2));
        consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn ready_sees_close_or_is_woken() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(receiver.close())
        });
        assert!(block_on(sender.ready()).is_err());
        closer.join().unwrap();
    });
}

/// There is room only after the close.
#[test]
fn ready_needs_room_in_open_channel() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || {
                assert!(receiver.close());
                assert_eq!(receive(&receiver).number, 1);
            }
        });
        assert!(block_on(sender.ready()).is_err());
        consumer.join().unwrap();
    });
}

/// The one slot that becomes vacant serves both: `ready` takes none.
#[test]
fn ready_passes_wake_to_sender() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let item = tally.item(2);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        // If it is not ready, it was woken in vain, or not at all. Then it gives up.
        let mut ready = sender.ready();
        let was_ready = poll(&mut ready, Waker::noop()).is_ready();
        consumer.join().unwrap();
        if !was_ready {
            let _ = operation(|| poll(&mut ready, Waker::noop()));
        }
        drop(ready);
        producer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn two_ready_complete_for_one_slot() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let other = thread::spawn({
            let sender = sender.clone();
            move || assert!(block_on(sender.ready()).is_ok())
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        assert!(block_on(sender.ready()).is_ok());
        other.join().unwrap();
        consumer.join().unwrap();
    });
}

#[test]
fn dropped_polling_sender_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        send(&sender, tally.item(1));
        let mut polling = sender.clone();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(polling.poll_ready(&mut cx).is_pending());
        let item = tally.item(2);
        let producer = thread::spawn(move || block_on(sender.send(item)).unwrap());
        let consumer = thread::spawn(move || {
            assert_eq!(receive(&receiver).number, 1);
            receiver
        });
        drop(polling);
        producer.join().unwrap();
        let receiver = consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn polling_sender_sees_room_or_is_woken() {
    model(|tally| {
        let (mut sender, receiver) = bounded(1);
        send(&sender, tally.item(1));
        let consumer = thread::spawn(move || {
            assert_eq!(receive(&receiver).number, 1);
            receiver
        });
        assert!(block_on(poll_fn(|cx| sender.poll_ready(cx))).is_ok());
        let _receiver = consumer.join().unwrap();
    });
}

#[test]
fn send_from_wakes_receiver() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                let mut slot = Some(item);
                block_on(sender.send_from(&mut slot)).unwrap();
                assert!(slot.is_none());
            }
        });
        assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
        producer.join().unwrap();
    });
}

/// A send is given up, notified or not, in one of the two ways that keep the item.
fn item_that_is_given_up_is_kept(by_into_inner: bool) {
    model(move |tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let item = tally.item(2);
        let survivor = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        let item = tally.item(3);
        let kept = if by_into_inner {
            let mut send = sender.send(item);
            let _ = poll(&mut send, Waker::noop());
            operation(|| send.into_inner())
        } else {
            let mut slot = Some(item);
            let mut send = sender.send_from(&mut slot);
            let _ = poll(&mut send, Waker::noop());
            operation(|| drop(send));
            slot
        };
        match kept {
            Some(item) => assert_eq!(item.number, 3),
            None => assert_eq!(block_on(receiver.recv()).unwrap().number, 3),
        }
        survivor.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn cancelled_send_from_passes_on_wake() {
    item_that_is_given_up_is_kept(false);
}

#[test]
fn into_inner_passes_on_wake() {
    item_that_is_given_up_is_kept(true);
}

#[cfg(feature = "futures")]
mod sink {
    use std::future::poll_fn;

    use futures_util::SinkExt;
    use loom::thread;
    use tollgate::Sender;

    use crate::support::Item;
    use crate::support::block_on;
    use crate::support::bounded;
    use crate::support::large_model;
    use crate::support::model;
    use crate::support::operation;

    /// Sends an item and closes the sink. Returns the item if it was refused.
    fn send_and_close(sender: Sender<Item>, item: Item) -> Option<Item> {
        let mut sink = sender.into_sink();
        let _ = operation(|| sink.start_send_unpin(item));
        let closed = block_on(poll_fn(|cx| sink.poll_close_unpin(cx)));
        let kept = sink.take();
        assert_eq!(closed.is_ok(), kept.is_none());
        kept
    }

    /// Each item is received, is left in the queue, or comes back.
    #[test]
    fn close_races_with_two_sinks() {
        large_model(|tally| {
            let (sender, receiver) = bounded(1);
            let senders = [sender.clone(), sender];
            let items = [1, 2].map(|number| tally.item(number));
            let mut sinks = Vec::new();
            for (sender, item) in senders.into_iter().zip(items) {
                sinks.push(thread::spawn(move || send_and_close(sender, item)));
            }
            assert!(operation(|| receiver.close()));
            let mut found: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
            for sink in sinks {
                found.extend(sink.join().unwrap());
            }
            found.extend(std::iter::from_fn(|| receiver.try_recv().ok()));
            let mut numbers: Vec<_> = found.iter().map(|item| item.number).collect();
            numbers.sort();
            assert_eq!(numbers, [1, 2]);
        });
    }

    /// The sinks need the slot twice. The last that closes ends the channel.
    #[test]
    fn kept_items_arrive_before_sinks_close() {
        large_model(|tally| {
            let (sender, receiver) = bounded(1);
            let senders = [sender.clone(), sender];
            let items = [1, 2].map(|number| tally.item(number));
            let mut sinks = Vec::new();
            for (sender, item) in senders.into_iter().zip(items) {
                sinks.push(thread::spawn(move || send_and_close(sender, item)));
            }
            let mut numbers = Vec::new();
            while let Ok(item) = block_on(receiver.recv()) {
                numbers.push(item.number);
            }
            numbers.sort();
            assert_eq!(numbers, [1, 2]);
            for sink in sinks {
                assert!(sink.join().unwrap().is_none());
            }
        });
    }

    /// The item is kept before the slot becomes vacant.
    #[test]
    fn taken_item_leaves_wake_to_sender() {
        model(|tally| {
            let (sender, receiver) = bounded(1);
            sender.try_send(tally.item(1)).unwrap();
            let mut sink = sender.clone().into_sink();
            sink.start_send_unpin(tally.item(2)).unwrap();
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(sink.poll_flush_unpin(&mut cx).is_pending());
            let item = tally.item(3);
            let producer = thread::spawn(move || block_on(sender.send(item)).unwrap());
            let consumer = thread::spawn(move || {
                let item = operation(|| receiver.try_recv()).unwrap();
                assert_eq!(item.number, 1);
                receiver
            });
            assert_eq!(sink.take().unwrap().number, 2);
            producer.join().unwrap();
            let receiver = consumer.join().unwrap();
            assert_eq!(receiver.try_recv().unwrap().number, 3);
        });
    }
}
