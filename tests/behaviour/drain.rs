//! `drain`: it yields what was queued when it was made, ends by itself, and leaves the rest.

use tollgate::Abandon;
use tollgate::Builder;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    drain_yields_queue_in_order,
    drain_ends_although_sender_keeps_sending,
    drain_dropped_early_leaves_rest_queued,
    drain_yields_fewer_if_others_receive,
    drain_stays_ended,
    drain_makes_room,
    drain_of_closed_channel_ends_it,
    drain_tells_its_bounds,
}

fn drain_yields_queue_in_order<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    assert!(receiver.drain().next().is_none());
    (0..4).for_each(|item| sender.try_send(item).unwrap());
    let items: Vec<_> = receiver.drain().map(Given::end).collect();
    assert_eq!(items, [0, 1, 2, 3]);
    assert!(receiver.is_empty());
}

fn drain_ends_although_sender_keeps_sending<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut items = Vec::new();
    for given in receiver.drain() {
        let item = given.end();
        items.push(item);
        assert!(items.len() <= 3, "it does not end");
        sender.try_send(item + 10).unwrap();
    }
    assert_eq!(items, [0, 1, 2]);
    assert_eq!(receiver.len(), 3);
    assert_eq!(take_one(&receiver), Ok(10));
}

fn drain_dropped_early_leaves_rest_queued<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|_| drop(sender.try_send(tally.item())));
    let mut drain = receiver.drain();
    drop(drain.next().unwrap().end());
    assert_eq!(drain.size_hint(), (0, Some(2)));
    drop(drain);
    assert_eq!(tally.drops(), [1, 0, 0]);
    assert_eq!(take_one(&receiver).unwrap().id, 1);
    assert_eq!(take_one(&receiver).unwrap().id, 2);
    // No item was abandoned.
    assert!(now(sender.join()).is_ok());
}

fn drain_yields_fewer_if_others_receive<K: Kind>() {
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut drain = receiver.drain();
    assert_eq!(drain.next().map(Given::end), Some(0));
    assert_eq!(take_one(&receiver), Ok(1));
    assert_eq!(drain.next().map(Given::end), Some(2));
    assert!(drain.next().is_none());
}

fn drain_stays_ended<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    // It ends since it has yielded as many as there were.
    sender.try_send(1).unwrap();
    let mut counted = receiver.drain();
    assert_eq!(counted.next().map(Given::end), Some(1));
    // It ends since another receiver took both items.
    sender.try_send(2).unwrap();
    sender.try_send(3).unwrap();
    let mut robbed = receiver.drain();
    assert_eq!((take_one(&receiver), take_one(&receiver)), (Ok(2), Ok(3)));
    assert!(robbed.next().is_none());
    sender.try_send(4).unwrap();
    for drain in [&mut counted, &mut robbed] {
        assert!(drain.next().is_none());
        assert_eq!(drain.size_hint(), (0, Some(0)));
    }
}

fn drain_makes_room<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send(2));
    let mut drain = receiver.drain();
    assert_eq!(send.wakes(), 0, "nothing has been received yet");
    assert_eq!(drain.next().map(Given::end), Some(1));
    assert_eq!(send.wakes(), 1);
    assert!(send.poll().is_ready());
}

fn drain_of_closed_channel_ends_it<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    sender.close();
    let items: Vec<_> = receiver.drain().map(Given::end).collect();
    assert_eq!(items, [1, 2]);
    assert_eq!(now(sender.monitor().finished()).unwrap().done, 2);
    assert!(receiver.drain().next().is_none());
}

fn drain_tells_its_bounds<K: Kind>() {
    let (sender, receiver) = K::channel(4);
    assert_eq!(receiver.drain().size_hint(), (0, Some(0)));
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut drain = receiver.drain();
    assert_eq!(drain.size_hint(), (0, Some(3)));
    let _ = drain.next().map(Given::end);
    assert_eq!(drain.size_hint(), (0, Some(2)));
    let mut all = receiver.try_iter();
    assert_eq!(all.size_hint(), (0, None));
    while all.next().map(Given::end).is_some() {}
    assert_eq!(all.size_hint(), (0, Some(0)));
}

/// Each of these tasks comes back, so `try_iter` would not end.
#[test]
fn drain_ends_although_tasks_come_back() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = Builder::new()
        .capacity(2)
        .max_attempts(10.try_into().unwrap())
        .on_abandon(Abandon::Requeue)
        .build_tasks();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let mut abandoned = 0;
    for task in receiver.drain() {
        drop(task);
        abandoned += 1;
    }
    assert_eq!(abandoned, 2);
    for task in receiver.drain() {
        assert_eq!(task.attempt(), 2);
        task.follow_up(3).unwrap();
        task.retry().unwrap();
    }
    assert_eq!(receiver.len(), 4);
    let mut items: Vec<_> = receiver.drain().map(|task| task.done()).collect();
    items.sort();
    assert_eq!(items, [1, 2, 3, 3]);
    assert_eq!(now(sender.join()).unwrap().done, 4);
}

/// An iterator that took out all items at once would have all tasks in hand.
#[test]
fn drain_receives_tasks_one_by_one() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(3);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut drain = receiver.drain();
    assert_eq!(sender.monitor().stats().in_hand, 0);
    let task = drain.next().unwrap();
    assert_eq!(sender.monitor().stats().in_hand, 1);
    assert_eq!(sender.len(), 2);
    drop(drain);
    task.done();
    assert_eq!(sender.monitor().stats().in_hand, 0);
}
