//! The unbounded storage: segments that are installed, left and freed. (In a model, a segment has two
//! slots.)

use loom::thread;

use crate::joining::close_or_last_item_wakes_finished_of;
use crate::joining::last_item_wakes_joiner_of;
use crate::passing::receiver_waits_behind_slow_send_of;
use crate::support::account;
use crate::support::block_on;
use crate::support::large_model;
use crate::support::model;
use crate::support::operation;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;
use crate::support::unbounded;
use crate::support::unbounded_tasks;

/// Both senders may install the second segment, and either may be first to fill it.
#[test]
fn two_senders_cross_into_next_segment() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        send(&sender, tally.item(0));
        let producers = [1, 2].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || send(&sender, item))
        });
        let numbers = [0; 3].map(|_| block_on(receiver.recv()).unwrap().number);
        assert_eq!(numbers[0], 0);
        assert_eq!(numbers[1] + numbers[2], 3);
        for producer in producers {
            producer.join().unwrap();
        }
        send(&sender, tally.item(3));
        assert_eq!(receive(&receiver).number, 3);
    });
}

#[test]
fn items_of_one_sender_stay_in_order() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        let items = [1, 2, 3].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || items.into_iter().for_each(|item| send(&sender, item))
        });
        for number in 1..=3 {
            assert_eq!(block_on(receiver.recv()).unwrap().number, number);
        }
        producer.join().unwrap();
    });
}

/// The receiver that takes the last item of a segment makes it the spare one, and the sender uses it
/// again, while the other receiver may look for an item.
#[test]
fn two_receivers_leave_segment() {
    large_model(|tally| {
        let (sender, receiver) = shared(unbounded());
        for number in 1..=3 {
            send(&sender, tally.item(number));
        }
        let item = tally.item(4);
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || [0; 2].map(|_| block_on(receiver.recv()).unwrap().number)
        });
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let mine = [0; 2].map(|_| block_on(receiver.recv()).unwrap().number);
        let others = consumer.join().unwrap();
        assert!(mine[0] < mine[1] && others[0] < others[1]);
        let mut all = [mine, others].concat();
        all.sort();
        assert_eq!(all, [1, 2, 3, 4]);
        producer.join().unwrap();
    });
}

#[test]
fn two_waiting_receivers_get_one_each() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        let items = [1, 2].map(|number| tally.item(number));
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).unwrap().number)
        });
        items.into_iter().for_each(|item| send(&sender, item));
        let numbers = consumers.map(|it| it.join().unwrap());
        assert_eq!(numbers[0] + numbers[1], 3);
    });
}

#[test]
fn close_races_with_send_of_first_slot() {
    close_races_with_send(0);
}

#[test]
fn close_races_with_send_of_last_slot() {
    close_races_with_send(1);
}

fn close_races_with_send(queued: usize) {
    model(move |tally| {
        let (sender, receiver) = shared(unbounded());
        (0..queued).for_each(|number| send(&sender, tally.item(number)));
        let item = tally.item(queued);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || operation(|| sender.try_send(item)).is_ok()
        });
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(operation(|| receiver.close()))
        });
        let mut received = 0;
        while block_on(receiver.recv()).is_ok() {
            received += 1;
        }
        assert_eq!(received, queued + usize::from(producer.join().unwrap()));
        closer.join().unwrap();
    });
}

/// An item may be behind one that is still being written: the channel is not empty.
#[test]
fn receiver_waits_behind_slow_send() {
    receiver_waits_behind_slow_send_of(unbounded);
}

#[test]
fn last_receiver_races_with_send_into_next_segment() {
    model(|tally| {
        let (sender, receiver) = unbounded();
        send(&sender, tally.item(1));
        let items = [2, 3].map(|number| tally.item(number));
        let producer = thread::spawn(move || {
            for item in items {
                let _ = operation(|| sender.try_send(item));
            }
        });
        operation(|| drop(receiver));
        producer.join().unwrap();
    });
}

/// The receiver's last store is not ordered with its look for joiners (G6 of `segments`).
#[test]
fn last_item_wakes_joiner() {
    last_item_wakes_joiner_of(unbounded);
}

#[test]
fn last_of_two_receivers_wakes_joiner() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        send(&sender, tally.item(1));
        let consumers = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || operation(|| receiver.try_recv()).is_ok())
        });
        let report = account(block_on(sender.join()));
        assert_eq!((report.sent, report.received), (1, 1));
        let received = consumers.map(|it| it.join().unwrap());
        assert_eq!(received.into_iter().filter(|it| *it).count(), 1);
    });
}

#[test]
fn close_or_last_item_wakes_finished() {
    close_or_last_item_wakes_finished_of(unbounded);
}

#[test]
fn close_now_races_with_receiver() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded());
        for number in 1..=3 {
            send(&sender, tally.item(number));
        }
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || operation(|| receiver.try_recv()).is_ok()
        });
        let returned = operation(|| sender.close_now()).count();
        let report = account(block_on(sender.join()));
        let received = usize::from(consumer.join().unwrap());
        assert_eq!(returned + received, 3);
        assert_eq!(report.received, received as u64);
        assert_eq!(report.discarded, returned as u64);
    });
}

#[test]
fn tasks_cross_into_next_segment_and_end() {
    model(|tally| {
        let (sender, receiver) = shared(unbounded_tasks());
        let monitor = sender.monitor();
        let items = [1, 2, 3].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                items.into_iter().for_each(|item| send(&sender, item));
                sender.close();
            }
        });
        assert_eq!(crate::support::work_until_the_end(&receiver), 3);
        assert_eq!(account(block_on(monitor.finished())).done, 3);
        producer.join().unwrap();
    });
}
