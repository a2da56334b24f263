//! Several items at once: one claim, one notification.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::task::Poll;

use loom::thread;
use tollgate::Receiver;
use tollgate::Sender;

use crate::support::Item;
use crate::support::account;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::flag;
use crate::support::large_model;
use crate::support::model;
use crate::support::operation;
use crate::support::poll;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;
use crate::support::tasks;
use crate::support::unbounded;
use crate::support::work_until_the_end;

/// Sends a batch into a channel that has room for all of it.
#[track_caller]
fn send_all(sender: &Sender<Item>, mut items: VecDeque<Item>) {
    let count = items.len();
    let sent = operation(|| sender.try_send_many(&mut items));
    assert_eq!((sent, items.len()), (Ok(count), 0));
}

/// Receives up to two items that are there.
fn receive_two(receiver: &Receiver<Item>) -> Vec<usize> {
    let mut buf = Vec::new();
    let two = NonZeroUsize::new(2).unwrap();
    let _ = operation(|| receiver.try_recv_many(&mut buf, two));
    buf.into_iter().map(|item| item.number).collect()
}

#[test]
fn batch_is_delivered_in_order() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let mut items = VecDeque::from([1, 2, 3].map(|number| tally.item(number)));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                block_on(sender.send_many(&mut items)).unwrap();
                assert!(items.is_empty());
            }
        });
        for number in 1..=3 {
            assert_eq!(block_on(receiver.recv()).unwrap().number, number);
        }
        producer.join().unwrap();
        assert!(receiver.is_empty());
    });
}

/// What is sent before the close is delivered, and the rest is with the sender.
#[test]
fn batch_races_with_close() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let mut items = VecDeque::from([1, 2].map(|number| tally.item(number)));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                let sent = block_on(sender.send_many(&mut items));
                assert_eq!(sent.is_ok(), items.is_empty());
                items.len()
            }
        });
        let mut received = Vec::new();
        if let Ok(item) = operation(|| receiver.try_recv()) {
            received.push(item.number);
        }
        operation(|| receiver.close());
        while let Ok(item) = block_on(receiver.recv()) {
            received.push(item.number);
        }
        let left = producer.join().unwrap();
        received.extend(3 - left..=2);
        assert_eq!(received, [1, 2]);
    });
}

/// Each of the two takes one claim, so no other item comes between its items.
#[test]
fn racing_batches_stay_whole() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(4));
        let [first, second] =
            [1, 3].map(|number| VecDeque::from([tally.item(number), tally.item(number + 1)]));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send_all(&sender, first)
        });
        send_all(&sender, second);
        producer.join().unwrap();
        let mut received = receive_two(&receiver);
        received.extend(receive_two(&receiver));
        assert!(
            [[1, 2, 3, 4], [3, 4, 1, 2]]
                .iter()
                .any(|it| *it == *received)
        );
    });
}

/// Two claims for emptying, of which one may find that the other has taken a part.
#[test]
fn racing_receivers_take_each_item_once() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(3));
        send_all(&sender, [1, 2, 3].map(|number| tally.item(number)).into());
        let other = thread::spawn({
            let receiver = receiver.clone();
            move || receive_two(&receiver)
        });
        let mut received = receive_two(&receiver);
        received.extend(other.join().unwrap());
        received.sort_unstable();
        assert_eq!(received, [1, 2, 3]);
    });
}

#[test]
fn batch_wakes_two_receivers() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let items = [1, 2].map(|number| tally.item(number)).into();
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).unwrap().number)
        });
        send_all(&sender, items);
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// One of the receivers takes both items, or one of them. The other is served by the next.
#[test]
fn batch_for_batch_receiver_strands_no_other() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let items = [1, 2].map(|number| tally.item(number)).into();
        let consumers = [1, 2].map(|most| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                let mut buf = Vec::new();
                let most = NonZeroUsize::new(most).unwrap();
                block_on(receiver.recv_many(&mut buf, most)).map_or(0, |count| {
                    assert_eq!(count.get(), buf.len());
                    count.get()
                })
            })
        });
        send_all(&sender, items);
        operation(|| sender.close());
        let counts = consumers.map(|consumer| consumer.join().unwrap());
        assert_eq!(counts.iter().sum::<usize>(), 2);
    });
}

#[test]
fn received_batch_wakes_two_senders() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        send_all(&sender, [1, 2].map(|number| tally.item(number)).into());
        let producers = [3, 4].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || block_on(sender.send(item)).unwrap())
        });
        assert_eq!(receive_two(&receiver), [1, 2]);
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(receiver.len(), 2);
    });
}

/// The waiting batch was notified, and another sender waits behind it.
#[test]
fn cancelled_batch_passes_room_on() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let mut items = VecDeque::from([tally.item(2), tally.item(3)]);
        let mut first = sender.send_many(&mut items);
        let (_, waker) = flag();
        assert!(poll(&mut first, &waker).is_pending());
        let second = tally.item(4);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(second)).unwrap()
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || receive(&receiver).number
        });
        drop(first);
        assert_eq!(items.len(), 2);
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), 1);
        assert_eq!(receive(&receiver).number, 4);
    });
}

#[test]
fn cancelled_batch_receiver_passes_item_on() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let mut buf = Vec::new();
        let mut first = receiver.recv_many(&mut buf, NonZeroUsize::MAX);
        let (_, waker) = flag();
        assert!(poll(&mut first, &waker).is_pending());
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(receiver.recv()).unwrap().number
        });
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        drop(first);
        assert!(buf.is_empty());
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), 1);
    });
}

/// On a plain channel, the claim resolves all items of the batch.
#[test]
fn received_batch_wakes_joiner() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let monitor = sender.monitor();
        send_all(&sender, [1, 2].map(|number| tally.item(number)).into());
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive_two(&receiver), [1, 2])
        });
        assert_eq!(account(block_on(monitor.join())).done, 2);
        consumer.join().unwrap();
    });
}

/// A retry may come while a batch takes what is in the ring.
#[test]
fn batch_of_tasks_races_with_retry() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(2));
        send_all(&sender, [1, 2].map(|number| tally.item(number)).into());
        let task = operation(|| receiver.try_recv()).unwrap();
        let worker = thread::spawn(move || operation(|| task.retry()).unwrap());
        operation(|| sender.close());
        let mut buf = Vec::new();
        block_on(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
        let first = buf.len() as u64;
        for task in buf {
            drop(operation(|| task.done()));
        }
        assert_eq!(first + work_until_the_end(&receiver), 2);
        worker.join().unwrap();
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!((report.done, report.retried), (2, 1));
    });
}

/// More waiters than the list holds in a model: the last one waits in the overflow.
#[test]
fn batch_reaches_overflow() {
    large_model(|tally| {
        let (sender, receiver) = shared(bounded(4));
        let items = [1, 2, 3, 4].map(|number| tally.item(number)).into();
        let mut waiting = [(); 3].map(|()| {
            let (flag, waker) = flag();
            let mut recv = Box::pin({
                let receiver = receiver.clone();
                async move { receiver.recv().await.unwrap().number }
            });
            assert!(poll(&mut recv, &waker).is_pending());
            (flag, waker, recv)
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(receiver.recv()).unwrap().number
        });
        send_all(&sender, items);
        let mut sum = consumer.join().unwrap();
        for (flag, waker, recv) in &mut waiting {
            assert_eq!(flag.calls(), 1);
            let Poll::Ready(number) = poll(recv, waker) else {
                panic!("there are as many items as receivers");
            };
            sum += number;
        }
        assert_eq!(sum, 1 + 2 + 3 + 4);
    });
}

/// Both batches need the second segment, and either may be first to install it.
#[test]
fn unbounded_batches_cross_into_next_segment() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        send(&sender, tally.item(0));
        let [first, second] =
            [1, 3].map(|number| VecDeque::from([tally.item(number), tally.item(number + 1)]));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send_all(&sender, first)
        });
        send_all(&sender, second);
        producer.join().unwrap();
        let mut received = Vec::new();
        while received.len() < 5 {
            received.extend(receive_two(&receiver));
        }
        let place = |number| received.iter().position(|it| *it == number);
        assert!(place(1) < place(2) && place(3) < place(4), "{received:?}");
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3, 4]);
    });
}

/// One of the receivers leaves the segment while the other looks for items, and the sender may use it
/// again.
#[test]
fn unbounded_batch_is_received_by_two() {
    large_model(|tally| {
        let (sender, receiver) = shared(unbounded());
        let items = [1, 2, 3].map(|number| tally.item(number)).into();
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || {
                let mut buf = Vec::new();
                block_on(receiver.recv_many(&mut buf, NonZeroUsize::MAX)).unwrap();
                buf.len()
            }
        });
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send_all(&sender, items)
        });
        let mut count = receive_two(&receiver).len();
        producer.join().unwrap();
        count += consumer.join().unwrap();
        count += receive_two(&receiver).len();
        assert_eq!(count, 3);
    });
}

/// A batch that is sent while the channel is closed is sent up to a border between segments.
#[test]
fn unbounded_batch_races_with_close() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        let mut items = VecDeque::from([1, 2, 3].map(|number| tally.item(number)));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                let sent = block_on(sender.send_many(&mut items));
                assert_eq!(sent.is_ok(), items.is_empty());
                items.len()
            }
        });
        operation(|| receiver.close());
        let mut received = Vec::new();
        while let Ok(item) = block_on(receiver.recv()) {
            received.push(item.number);
        }
        let left = producer.join().unwrap();
        received.extend(4 - left..=3);
        assert_eq!(received, [1, 2, 3]);
        assert!([0, 1, 3].contains(&left));
    });
}

#[test]
fn unbounded_batch_received_wakes_joiner() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        let monitor = sender.monitor();
        send_all(&sender, [1, 2].map(|number| tally.item(number)).into());
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive_two(&receiver), [1, 2])
        });
        assert_eq!(account(block_on(monitor.join())).done, 2);
        consumer.join().unwrap();
    });
}
