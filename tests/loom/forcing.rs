//! Sends that evict the oldest item of a full channel.

use std::sync::Arc;

use loom::thread;
use loom::thread::JoinHandle;
use tollgate::Receiver;
use tollgate::Report;
use tollgate::Sender;

use crate::support::Item;
use crate::support::Tally;
use crate::support::account;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::deep_model;
use crate::support::failed_account;
use crate::support::flag;
use crate::support::large_model;
use crate::support::model;
use crate::support::next;
use crate::support::operation;
use crate::support::poll;
use crate::support::send;
use crate::support::shared;
use crate::support::tasks;
use crate::support::work_until_the_end;

type Ends = (Arc<Sender<Item>>, Arc<Receiver<Item>>);

/// A full plain channel: its items are numbered from 1.
fn full(tally: &Tally, capacity: usize) -> Ends {
    let (sender, receiver) = shared(bounded(capacity));
    for number in 1..=capacity {
        send(&sender, tally.item(number));
    }
    (sender, receiver)
}

/// Sends into an open channel; returns the number of the evicted item.
fn force(sender: &Sender<Item>, item: Item) -> Option<usize> {
    let evicted = operation(|| sender.force_send(item)).expect("the channel is open");
    evicted.map(|item| item.number)
}

fn forcing(sender: &Arc<Sender<Item>>, item: Item) -> JoinHandle<Option<usize>> {
    let sender = Arc::clone(sender);
    thread::spawn(move || force(&sender, item))
}

/// Receives an item if one is there; returns its number.
fn take(receiver: &Receiver<Item>) -> Option<usize> {
    operation(|| receiver.try_recv())
        .ok()
        .map(|item| item.number)
}

fn take_all(receiver: &Receiver<Item>) -> Vec<usize> {
    std::iter::from_fn(|| take(receiver)).collect()
}

/// A receiver takes the oldest item, or it is evicted.
fn races_with_receiver(tally: &Tally, capacity: usize) {
    let (sender, receiver) = full(tally, capacity);
    let forcer = forcing(&sender, tally.item(capacity + 1));
    let received = take(&receiver).expect("there is always an item");
    assert!(sender.len() <= capacity);
    let evicted = forcer.join().unwrap();
    match evicted {
        Some(evicted) => assert_eq!((evicted, received), (1, 2)),
        None => assert_eq!(received, 1),
    }
    let left: Vec<_> = (received + 1..=capacity + 1).collect();
    assert_eq!(take_all(&receiver), left);
}

/// The new item needs the slot of the oldest.
#[test]
fn force_send_at_wrap_races_with_receiver() {
    model(|tally| races_with_receiver(tally, 1));
    model(|tally| races_with_receiver(tally, 2));
}

/// There are more slots than the capacity.
#[test]
fn force_send_beyond_capacity_races_with_receiver() {
    model(|tally| races_with_receiver(tally, 3));
}

/// Each evicts one item, and the channel stays full.
fn two_race(tally: &Tally, capacity: usize) {
    let (sender, receiver) = full(tally, capacity);
    let forcer = forcing(&sender, tally.item(capacity + 1));
    let mut evicted = vec![force(&sender, tally.item(capacity + 2)).expect("it is full")];
    evicted.push(forcer.join().unwrap().expect("it is full"));
    assert!(
        operation(|| sender.try_send(tally.item(9)))
            .unwrap_err()
            .is_full()
    );
    let left = take_all(&receiver);
    assert_eq!(left.len(), capacity);
    evicted.sort();
    assert_eq!(evicted[0], 1, "the oldest");
    let mut all = [evicted, left].concat();
    all.sort();
    assert_eq!(all, Vec::from_iter(1..=capacity + 2));
}

#[test]
fn two_force_sends_evict_one_item_each() {
    model(|tally| two_race(tally, 1));
    model(|tally| two_race(tally, 2));
    large_model(|tally| two_race(tally, 3));
}

/// An item that is received is not evicted too, and its place is used once. (Two threads: two that wait
/// for a third in the middle of a claim could alternate forever in an unfair interleaving.)
#[test]
fn receive_and_force_send_race_with_force_send() {
    model(|tally| {
        let (sender, receiver) = full(tally, 1);
        let forcer = forcing(&sender, tally.item(2));
        let received = take(&receiver);
        let evicted = force(&sender, tally.item(3));
        let gone = [received, evicted, forcer.join().unwrap()];
        let left = take_all(&receiver);
        assert_eq!(left.len(), 1);
        let mut all: Vec<_> = gone.into_iter().flatten().chain(left).collect();
        all.sort();
        assert_eq!(all, [1, 2, 3]);
    });
}

/// Either the channel was full, or the other send comes too late.
#[test]
fn force_send_races_with_try_send() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let forcer = forcing(&sender, tally.item(1));
        let is_sent = operation(|| sender.try_send(tally.item(2))).is_ok();
        let evicted = forcer.join().unwrap();
        assert_eq!(evicted, is_sent.then_some(2));
        assert_eq!(take_all(&receiver), [1]);
    });
}

/// The item either comes before the close, and is delivered, or it comes back, and nothing is evicted.
fn races_with_close(tally: &Tally, capacity: usize) {
    let (sender, receiver) = full(tally, capacity);
    let closer = thread::spawn({
        let receiver = Arc::clone(&receiver);
        move || assert!(receiver.close())
    });
    let new = capacity + 1;
    let sent = operation(|| sender.force_send(tally.item(new)));
    closer.join().unwrap();
    let left = take_all(&receiver);
    match sent {
        Ok(evicted) => {
            assert_eq!(evicted.expect("it was full").number, 1);
            assert_eq!(left, Vec::from_iter(2..=new));
        }
        Err(refused) => {
            assert_eq!(refused.into_inner().number, new);
            assert_eq!(left, Vec::from_iter(1..=capacity));
        }
    }
}

#[test]
fn force_send_races_with_close() {
    model(|tally| races_with_close(tally, 1));
    model(|tally| races_with_close(tally, 3));
}

/// All counts are of one instant, whichever thread removes an item.
#[test]
fn force_send_races_with_close_now() {
    model(|tally| {
        let (sender, _receiver) = full(tally, 1);
        let closer = thread::spawn({
            let sender = Arc::clone(&sender);
            move || sender.close_now().count() as u64
        });
        let sent = operation(|| sender.force_send(tally.item(2)));
        let evicted = sent.as_ref().is_ok_and(|evicted| evicted.is_some());
        let report = account(block_on(sender.monitor().finished()));
        assert_eq!(report.sent, 1 + u64::from(sent.is_ok()));
        assert_eq!(report.evicted, u64::from(evicted));
        assert_eq!(report.discarded, closer.join().unwrap());
    });
}

#[test]
fn force_send_races_with_last_receiver() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let last = thread::spawn(move || drop(receiver));
        let sent = operation(|| sender.force_send(tally.item(2)));
        let evicted = sent.as_ref().is_ok_and(|evicted| evicted.is_some());
        let report = failed_account(block_on(sender.monitor().finished())).report;
        assert_eq!(report.sent, 1 + u64::from(sent.is_ok()));
        assert_eq!(report.evicted, u64::from(evicted));
        assert_eq!(report.discarded, report.sent - report.evicted);
        last.join().unwrap();
    });
}

/// An eviction makes no room, but the next receive does. The sender is notified then, even if it was
/// notified in vain before.
#[test]
fn sender_waits_beside_force_send() {
    large_model(|tally| {
        let (sender, receiver) = full(tally, 1);
        let forcer = forcing(&sender, tally.item(2));
        let waiting = thread::spawn({
            let (sender, item) = (Arc::clone(&sender), tally.item(3));
            move || block_on(sender.send(item)).unwrap()
        });
        // One item is evicted at most, and two that leave the channel make room for the third.
        for _ in 0..2 {
            block_on(receiver.recv()).unwrap();
        }
        waiting.join().unwrap();
        let evicted = forcer.join().unwrap();
        assert_eq!(evicted.is_none(), take(&receiver).is_some());
    });
}

/// A waiting receiver is woken, as by any send.
#[test]
fn force_send_wakes_receiver() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let forcer = forcing(&sender, tally.item(1));
        assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
        assert_eq!(forcer.join().unwrap(), None);
    });
}

/// The first waiter is forgotten, with one notification. The item of a send that evicts another brings
/// a notification of its own.
#[test]
fn evicting_send_wakes_next_receiver() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let mut forgotten = Receiver::clone(&receiver);
        let (flag, waker) = flag();
        assert!(poll(&mut next(&mut forgotten), &waker).is_pending());
        send(&sender, tally.item(1));
        assert_eq!(flag.calls(), 1);
        let forcer = forcing(&sender, tally.item(2));
        let received = block_on(receiver.recv()).unwrap().number;
        let evicted = forcer.join().unwrap();
        assert!(evicted.is_some() == (received == 2));
    });
}

/// What a join may report while the item 1 is received or evicted, and the item 2 is sent.
fn check_join(report: Report) {
    let counts = (report.sent, report.received, report.evicted);
    assert!(
        [(1, 1, 0), (2, 2, 0), (2, 1, 1)].contains(&counts),
        "{report:?}"
    );
}

/// A join counts an eviction as soon as it counts the item that was sent.
#[test]
fn plain_join_counts_eviction() {
    deep_model(|tally| {
        let (sender, receiver) = full(tally, 1);
        let forcer = forcing(&sender, tally.item(2));
        let consumer = thread::spawn({
            let receiver = Arc::clone(&receiver);
            move || while block_on(receiver.recv()).unwrap().number != 2 {}
        });
        check_join(account(block_on(sender.join())));
        consumer.join().unwrap();
        let evicted = forcer.join().unwrap();
        let report = account(block_on(sender.join()));
        assert_eq!((report.sent, report.evicted), (2, evicted.map_or(0, |_| 1)));
    });
}

#[test]
fn task_join_counts_eviction() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let forcer = forcing(&sender, tally.item(2));
        let worker = thread::spawn({
            let receiver = Arc::clone(&receiver);
            move || loop {
                let item = block_on(receiver.recv()).unwrap().done();
                if item.number == 2 {
                    break;
                }
            }
        });
        check_join(account(block_on(sender.join())));
        worker.join().unwrap();
        let evicted = forcer.join().unwrap();
        let report = account(block_on(sender.join()));
        assert_eq!((report.sent, report.evicted), (2, evicted.map_or(0, |_| 1)));
    });
}

/// The eviction is resolved before the last task, which therefore ends the channel.
#[test]
fn last_task_after_eviction_ends_channel() {
    model(|tally| {
        let (sender, receiver) = tasks(1);
        send(&sender, tally.item(1));
        let monitor = sender.monitor();
        let worker = thread::spawn(move || work_until_the_end(&receiver));
        let evicted = force(&sender, tally.item(2));
        drop(sender);
        let report = account(block_on(monitor.finished()));
        let worked = worker.join().unwrap();
        assert_eq!((report.sent, report.done), (2, worked));
        assert_eq!(report.evicted, evicted.map_or(0, |_| 1));
    });
}

/// A task in hand ends while another item is evicted.
#[test]
fn task_ends_beside_eviction() {
    model(|tally| {
        let (sender, receiver) = shared(tasks(1));
        send(&sender, tally.item(1));
        let task = operation(|| receiver.try_recv()).unwrap();
        send(&sender, tally.item(2));
        let mut join = sender.join();
        let (flag, waker) = flag();
        assert!(poll(&mut join, &waker).is_pending());
        let worker = thread::spawn(move || drop(task.done()));
        assert_eq!(force(&sender, tally.item(3)), Some(2));
        worker.join().unwrap();
        assert_eq!(flag.calls(), 0, "an item is queued");
        drop(operation(|| receiver.try_recv()).unwrap().done());
        assert_eq!(flag.calls(), 1);
        let report = account(block_on(join));
        assert_eq!((report.sent, report.done, report.evicted), (3, 2, 1));
    });
}
