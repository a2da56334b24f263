//! Weak handles.

use futures_lite::future::yield_now;
use futures_util::future;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::on_both_kinds;

on_both_kinds! {
    weak_handles_upgrade_while_their_side_lives,
    weak_handles_keep_nothing_alive,
    weak_handles_of_closed_channel_do_not_upgrade,
    weak_receiver_keeps_no_items,
    weak_handle_outlives_channel,
    weak_handles_belong_to_no_single_handle,
    worker_with_weak_sender_to_itself_ends,
}

fn weak_handles_upgrade_while_their_side_lives<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (weak_sender, weak_receiver) = (sender.downgrade(), receiver.downgrade());
    weak_sender.upgrade().unwrap().try_send(1).unwrap();
    let upgraded = weak_receiver.clone().upgrade().unwrap();
    assert!(upgraded.same_channel(&receiver));
    assert_eq!(sender.receiver_count(), 2);
    drop(receiver);
    assert_eq!(upgraded.try_recv().unwrap().end(), 1);
    let upgraded = weak_sender.clone().upgrade().unwrap();
    assert_eq!(upgraded.sender_count(), 2);
    drop(sender);
    assert!(!upgraded.is_closed());
}

fn weak_handles_keep_nothing_alive<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let weak_sender = sender.downgrade();
    drop(sender);
    assert!(receiver.is_closed());
    assert!(weak_sender.upgrade().is_none());

    let (sender, receiver) = K::channel(1);
    let weak_receiver = receiver.downgrade();
    drop(receiver);
    assert!(sender.is_closed());
    assert!(weak_receiver.upgrade().is_none());
    assert_eq!(sender.receiver_count(), 0);
}

fn weak_handles_of_closed_channel_do_not_upgrade<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (weak_sender, weak_receiver) = (sender.downgrade(), receiver.downgrade());
    sender.close();
    assert!(weak_sender.upgrade().is_none());
    assert!(weak_receiver.upgrade().is_none());
    assert_eq!((sender.sender_count(), sender.receiver_count()), (1, 1));
}

fn weak_receiver_keeps_no_items<K: Kind<Item>>() {
    let (sender, receiver) = K::channel(1);
    let tally = Tally::default();
    sender.try_send(tally.item()).unwrap();
    let weak_receiver = receiver.downgrade();
    drop(receiver);
    assert_eq!(tally.drops(), [1]);
    drop(weak_receiver);
}

fn weak_handle_outlives_channel<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let (weak_sender, weak_receiver) = (sender.downgrade(), receiver.downgrade());
    let given = receiver.try_recv().unwrap();
    drop((sender, receiver));
    assert!(weak_sender.upgrade().is_none());
    drop(weak_sender);
    assert_eq!(given.end(), 1);
    assert!(weak_receiver.upgrade().is_none());
}

fn weak_handles_belong_to_no_single_handle<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (weak_sender, weak_receiver) = (sender.clone().downgrade(), receiver.clone().downgrade());
    assert_eq!((sender.sender_count(), sender.receiver_count()), (1, 1));
    let upgraded = (weak_sender.upgrade(), weak_receiver.upgrade());
    assert_eq!((sender.sender_count(), sender.receiver_count()), (2, 2));
    drop((sender, receiver));
    assert!(weak_sender.upgrade().is_some() && weak_receiver.upgrade().is_some());
    drop(upgraded);
    assert!(weak_sender.upgrade().is_none() && weak_receiver.upgrade().is_none());
}

/// The worker can send to itself, and yet its channel closes when all other senders are dropped.
fn worker_with_weak_sender_to_itself_ends<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let own = sender.downgrade();
    let worker = async {
        let mut items = Vec::new();
        while let Ok(given) = receiver.recv().await {
            let item = given.end();
            items.push(item);
            if let Some(own) = own.upgrade() {
                if item < 3 {
                    own.send(item + 1).await.unwrap();
                }
            }
        }
        items
    };
    let client = async move {
        sender.send(0).await.unwrap();
        sender.send(10).await.unwrap();
        while !sender.is_empty() {
            yield_now().await;
        }
    };
    let (items, ()) = pollster::block_on(future::join(worker, client));
    assert_eq!(items, [0, 10, 1, 2, 3]);
}
