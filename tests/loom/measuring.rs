//! Channels that measure time. A model sets its clock, so a time tells which item it belongs to.

use std::num::NonZeroUsize;
use std::time::Duration;

use loom::thread;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::set_clock;

use crate::support::Item;
use crate::support::Tally;
use crate::support::Work;
use crate::support::account;
use crate::support::block_on;
use crate::support::channels;
use crate::support::large_model;
use crate::support::measured_tasks;
use crate::support::model;
use crate::support::send;
use crate::support::unbounded_measured_tasks;

fn nanoseconds(nanoseconds: u64) -> Option<Duration> {
    Some(Duration::from_nanos(nanoseconds))
}

/// Sends items 0 and 1 at times 10 and 20. Then receives the first, at time 1000, and sends another at time 500,
/// which uses its slot again. Meanwhile another thread reads the age of the queue.
///
/// The reader is the thread that is spawned: loom does not see that a write races with an earlier read of
/// another thread if the writer itself has read in between, as it does before an exchange.
fn age_is_that_of_first_item(
    tally: &Tally,
    (sender, receiver): (Sender<Item>, TaskReceiver<Item>),
) {
    for number in 0..2 {
        set_clock(10 * (1 + number as u64));
        send(&sender, tally.item(number));
    }
    set_clock(1000);
    let monitor = sender.monitor();
    let reader = thread::spawn(move || {
        let age = monitor.stats().oldest_queued;
        let expected = [990, 980, 490, 480].map(nanoseconds);
        assert!(expected.contains(&age), "{age:?}");
    });
    let third = tally.item(2);
    let task = receiver.try_recv().unwrap();
    assert_eq!(task.waited(), nanoseconds(990));
    drop(task.done());
    set_clock(500);
    send(&sender, third);
    set_clock(1000);
    reader.join().unwrap();
    for waited in [980, 500] {
        let task = receiver.try_recv().unwrap();
        assert_eq!(task.waited(), nanoseconds(waited));
        drop(task.done());
    }
}

#[test]
fn age_of_ring_is_that_of_first_item() {
    model(|tally| age_is_that_of_first_item(tally, measured_tasks(2)));
}

#[test]
fn age_of_segments_is_that_of_first_item() {
    model(|tally| age_is_that_of_first_item(tally, unbounded_measured_tasks()));
}

/// Sends an item at time 10. Then one thread receives it, and another sends a second one at time 500, into the
/// same slot if that is vacant.
fn time_is_read_before_slot_is_reused(
    tally: &Tally,
    receive: impl FnOnce(&TaskReceiver<Item>) -> Task<Item>,
) {
    let (sender, receiver) = measured_tasks(1);
    set_clock(10);
    send(&sender, tally.item(0));
    set_clock(500);
    let second = tally.item(1);
    let worker = thread::spawn(move || sender.try_send(second).is_ok());
    let task = receive(&receiver);
    assert_eq!(task.waited(), nanoseconds(490));
    drop(task.done());
    let is_sent = worker.join().unwrap();
    let second = receiver.try_recv();
    assert_eq!(second.is_ok_and(|task| task.done().number == 1), is_sent);
}

#[test]
fn time_of_item_is_read_before_slot_is_reused() {
    model(|tally| time_is_read_before_slot_is_reused(tally, |it| it.try_recv().unwrap()));
}

#[test]
fn time_of_batch_is_read_before_slots_are_reused() {
    model(|tally| {
        time_is_read_before_slot_is_reused(tally, |receiver| {
            let mut batch = Vec::new();
            receiver
                .try_recv_many(&mut batch, NonZeroUsize::MIN)
                .unwrap();
            batch.pop().unwrap()
        });
    });
}

/// The time of an item is there when the item is.
fn time_is_written_before_item(
    tally: &Tally,
    (sender, receiver): (Sender<Item>, TaskReceiver<Item>),
) {
    set_clock(500);
    let other = thread::spawn(move || {
        let age = receiver.monitor().stats().oldest_queued;
        assert!(age.is_none_or(|age| age.is_zero()), "{age:?}");
        if let Ok(task) = receiver.try_recv() {
            assert_eq!(task.waited(), nanoseconds(0));
            drop(task.done());
        }
        receiver
    });
    send(&sender, tally.item(0));
    drop(other.join().unwrap());
}

#[test]
fn time_is_written_before_item_of_ring() {
    model(|tally| time_is_written_before_item(tally, measured_tasks(1)));
}

#[test]
fn time_is_written_before_item_of_segments() {
    model(|tally| time_is_written_before_item(tally, unbounded_measured_tasks()));
}

/// A task leaves the list of those in hand before the channel may be freed.
#[test]
fn last_handle_and_two_measured_tasks() {
    model(|tally| {
        let (sender, receiver) = measured_tasks(2);
        let [task, other] = [0, 1].map(|number| {
            send(&sender, tally.item(number));
            receiver.try_recv().unwrap()
        });
        drop(receiver);
        let (item, ticket) = other.split();
        drop(item);
        let workers = [
            thread::spawn(move || drop(task.done())),
            thread::spawn(move || ticket.done()),
        ];
        drop(sender);
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(channels(), 0);
    });
}

/// The same, with a task that is queued again and discarded.
#[test]
fn last_receiver_and_measured_retry() {
    model(|tally| {
        let (sender, receiver) = measured_tasks(1);
        send(&sender, tally.item(0));
        let task = receiver.try_recv().unwrap();
        let worker = thread::spawn(move || drop(task.retry()));
        drop(sender);
        drop(receiver);
        worker.join().unwrap();
        assert_eq!(channels(), 0);
    });
}

/// A task of a channel that measures time never ends in one try. It still wakes joiners.
#[test]
fn last_measured_task_wakes_joiner() {
    model(|tally| {
        let (sender, receiver) = measured_tasks(1);
        send(&sender, tally.item(0));
        let task = receiver.try_recv().unwrap();
        let work = Work::new();
        let worker = thread::spawn({
            let work = work.clone();
            move || {
                work.perform();
                drop(task.done());
            }
        });
        let report = block_on(async {
            let report = account(sender.join().await);
            work.assert_performed();
            report
        });
        assert_eq!((report.sent, report.done), (1, 1));
        assert_eq!(sender.monitor().stats().oldest_in_hand, None);
        worker.join().unwrap();
    });
}

/// All calls take the second try, so they must lose no wake.
fn receiver_gets_all_items((sender, receiver): (Sender<Item>, TaskReceiver<Item>), tally: &Tally) {
    let worker = thread::spawn(move || {
        for _ in 0..2 {
            drop(block_on(receiver.recv()).unwrap().done());
        }
    });
    for number in 0..2 {
        block_on(sender.send(tally.item(number))).unwrap();
    }
    worker.join().unwrap();
}

#[test]
fn measured_ring_wakes_receiver_and_sender() {
    large_model(|tally| receiver_gets_all_items(measured_tasks(1), tally));
}

#[test]
fn measured_segments_wake_receiver() {
    large_model(|tally| receiver_gets_all_items(unbounded_measured_tasks(), tally));
}
