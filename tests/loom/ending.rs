//! Closing, and dropping the last handle of a side: every item is delivered, returned or dropped,
//! once.

use loom::thread;
use tollgate::TryRecvError;

use crate::support::Work;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::model;
use crate::support::next;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;

#[test]
fn l07_close_wakes_receiver() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let work = Work::new();
        let closer = thread::spawn({
            let (sender, work) = (sender.clone(), work.clone());
            move || {
                work.perform();
                assert!(sender.close());
            }
        });
        block_on(async {
            assert!(receiver.recv().await.is_err());
            work.assert_performed();
        });
        closer.join().unwrap();
        assert!(sender.try_send(tally.item(1)).unwrap_err().is_closed());
    });
}

#[test]
fn l07_close_returns_item_of_blocked_send() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(receiver.close())
        });
        let refused = block_on(sender.send(tally.item(2))).unwrap_err();
        assert_eq!(refused.into_inner().number, 2);
        closer.join().unwrap();
        assert_eq!(receive(&receiver).number, 1);
        assert!(receiver.try_recv().unwrap_err().is_closed());
    });
}

#[test]
fn l08_close_keeps_sent_items() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).map_err(|refused| refused.into_inner().number)
        });
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        let mut received = 0;
        while let Ok(item) = block_on(receiver.recv()) {
            assert_eq!(item.number, 1);
            received += 1;
        }
        assert!(receiver.try_recv().unwrap_err().is_closed());
        let expected = match producer.join().unwrap() {
            Ok(()) => 1,
            Err(number) => {
                assert_eq!(number, 1, "the item is returned");
                0
            }
        };
        assert_eq!(received, expected);
        closer.join().unwrap();
    });
}

/// The same without waiting: `Closed` must not be returned while an item may still come.
#[test]
fn l08_try_recv_closed_is_final() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || sender.try_send(item).is_ok()
        });
        let closer = thread::spawn({
            let sender = sender.clone();
            move || assert!(sender.close())
        });
        let first = receiver.try_recv();
        let sent = producer.join().unwrap();
        closer.join().unwrap();
        match first {
            Ok(_) => assert!(sent),
            Err(TryRecvError::Closed) => assert!(!sent),
            Err(TryRecvError::Empty) => assert_eq!(receiver.try_recv().is_ok(), sent),
        }
        assert!(receiver.try_recv().unwrap_err().is_closed());
    });
}

#[test]
fn l09_last_sender_closes() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let item = tally.item(1);
        let other = sender.clone();
        let producers = [
            thread::spawn(move || send(&sender, item)),
            thread::spawn(move || drop(other)),
        ];
        assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
        assert!(block_on(receiver.recv()).is_err());
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn l09_last_receiver_races_with_send() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let last = thread::spawn(move || drop(receiver));
        let sent = block_on(sender.send(tally.item(1)));
        last.join().unwrap();
        match sent {
            // The item is dropped now, while the sender is alive.
            Ok(()) => assert_eq!(tally.alive(), 0),
            Err(refused) => assert_eq!(refused.into_inner().number, 1),
        }
        assert!(sender.is_empty());
    });
}

#[test]
fn l09_last_receiver_discards_and_wakes_senders() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let other = receiver.clone();
        send(&sender, tally.item(1));
        let consumers = [
            thread::spawn(move || drop(receiver)),
            thread::spawn(move || drop(other)),
        ];
        let refused = block_on(sender.send(tally.item(2))).unwrap_err();
        assert_eq!(refused.into_inner().number, 2);
        for consumer in consumers {
            consumer.join().unwrap();
        }
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn l09_last_receiver_synchronizes_with_other() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let other = receiver.clone();
        send(&sender, tally.item(1));
        let consumer = thread::spawn(move || drop(receive(&other)));
        drop(receiver);
        consumer.join().unwrap();
        assert_eq!(tally.alive(), 0);
    });
}

#[test]
fn l10_two_streams_drain_closed_channel() {
    model(|tally| {
        let (sender, receiver) = bounded(2);
        let streams = [receiver.clone(), receiver].map(|mut stream| {
            thread::spawn(move || {
                let mut got = Vec::new();
                while let Some(item) = block_on(next(&mut stream)) {
                    got.push(item.number);
                }
                assert!(block_on(next(&mut stream)).is_none());
                got
            })
        });
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        drop(sender);
        let mut got = streams.map(|stream| stream.join().unwrap()).concat();
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn l19_weak_sender_upgrades_or_channel_closes() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let weak = sender.downgrade();
        let item = tally.item(1);
        let upgrader = thread::spawn(move || {
            let upgraded = weak.upgrade();
            // While there is a sender, the channel is open.
            upgraded.is_some_and(|sender| {
                assert!(sender.try_send(item).is_ok());
                true
            })
        });
        drop(sender);
        if upgrader.join().unwrap() {
            assert_eq!(receive(&receiver).number, 1);
        }
        assert!(receiver.try_recv().unwrap_err().is_closed());
    });
}

#[test]
fn l19_weak_receiver_upgrades_or_items_are_dropped() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let weak = receiver.downgrade();
        send(&sender, tally.item(1));
        let upgrader = thread::spawn(move || {
            let upgraded = weak.upgrade();
            // While there is a receiver, queued items stay queued.
            if let Some(receiver) = upgraded {
                assert_eq!(receive(&receiver).number, 1);
            }
        });
        drop(receiver);
        upgrader.join().unwrap();
        assert!(sender.is_empty() && sender.is_closed());
    });
}
