//! Items that pass through open channels.

use loom::thread;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::TrySendError;

use crate::support::Item;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::large_model;
use crate::support::model;
use crate::support::model_without_bound;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;

#[test]
fn l01_item_is_delivered_once() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
        producer.join().unwrap();
        assert!(receiver.try_recv().unwrap_err().is_empty());
        assert!(sender.is_empty());
    });
}

#[test]
fn l02_order_and_backpressure_hold() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let items = [1, 2, 3].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                for item in items {
                    block_on(sender.send(item)).unwrap();
                }
            }
        });
        for number in 1..=3 {
            assert!(receiver.len() <= 2);
            assert_eq!(block_on(receiver.recv()).unwrap().number, number);
        }
        producer.join().unwrap();
        assert!(receiver.is_empty());
    });
}

#[test]
fn l03_two_producers_both_deliver() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let producers = [1, 2].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || block_on(sender.send(item)).unwrap())
        });
        let mut received = [(); 2].map(|()| block_on(receiver.recv()).unwrap().number);
        received.sort();
        assert_eq!(received, [1, 2]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn l04_two_consumers_get_one_each() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).unwrap().number)
        });
        for number in 1..=2 {
            block_on(sender.send(tally.item(number))).unwrap();
        }
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

/// Room for both items, so the second may be published while the first is being written: its
/// receiver must not sleep because of that.
#[test]
fn l05_two_producers_two_consumers_strand_nothing() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let [one, two] = [1, 2].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, one)
        });
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).unwrap().number)
        });
        send(&sender, two);
        producer.join().unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

/// The same for room: two blocked senders, and two slots that become vacant.
#[test]
fn l06_two_blocked_senders_strand_no_room() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let producers = [3, 4].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || block_on(sender.send(item)).unwrap())
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || receive(&receiver).number
        });
        let first = receive(&receiver).number;
        let mut got = vec![first, consumer.join().unwrap()];
        for producer in producers {
            producer.join().unwrap();
        }
        got.extend(std::iter::from_fn(|| receiver.try_recv().ok()).map(|item| item.number));
        got.sort();
        assert_eq!(got, [1, 2, 3, 4]);
    });
}

#[test]
fn l15_receiver_sees_item_or_is_woken() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
        producer.join().unwrap();
    });
}

#[test]
fn l15_sender_sees_room_or_is_woken() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        block_on(sender.send(tally.item(2))).unwrap();
        consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn l15_closed_sees_close_or_is_woken() {
    model_without_bound(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(receiver.close())
        });
        block_on(sender.closed());
        let refused = sender.try_send(tally.item(1));
        assert!(matches!(refused, Err(TrySendError::Closed(_))));
        closer.join().unwrap();
    });
}

/// The channel was never empty, whichever operation of the other thread is seen first.
#[test]
fn never_empty_channel_is_not_reported_empty() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        send(&sender, tally.item(1));
        let item = tally.item(2);
        let other = thread::spawn({
            let (sender, receiver) = (sender.clone(), receiver.clone());
            move || {
                send(&sender, item);
                receive(&receiver).number
            }
        });
        let mut got = [receive(&receiver).number, other.join().unwrap()];
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

/// The channel was never full.
#[test]
fn never_full_channel_is_not_reported_full() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        send(&sender, tally.item(1));
        let item = tally.item(2);
        let other = thread::spawn({
            let (sender, receiver) = (sender.clone(), receiver.clone());
            move || {
                assert_eq!(receive(&receiver).number, 1);
                send(&sender, item);
            }
        });
        send(&sender, tally.item(3));
        other.join().unwrap();
        assert_eq!(receiver.len(), 2);
    });
}

/// An item may be behind one that is still being written: the channel is not empty.
#[test]
fn receiver_waits_behind_slow_send() {
    receiver_waits_behind_slow_send_of(|| bounded(2));
}

pub(crate) fn receiver_waits_behind_slow_send_of(open: fn() -> (Sender<Item>, Receiver<Item>)) {
    model(move |tally| {
        let (sender, receiver) = shared(open());
        let item = tally.item(1);
        let other = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        send(&sender, tally.item(2));
        receiver.try_recv().unwrap();
        other.join().unwrap();
        assert_eq!(receiver.len(), 1);
    });
}

/// The channel is not full while the next slot to be filled is being emptied.
#[test]
fn sender_waits_behind_slow_receive() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || receive(&receiver).number
        });
        let number = receive(&receiver).number;
        sender.try_send(tally.item(3)).unwrap();
        assert_eq!(other.join().unwrap() + number, 3);
        assert_eq!(receive(&receiver).number, 3);
    });
}
