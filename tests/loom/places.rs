//! Waiters that are notified in vain and return to their positions; the list, and the overflow behind
//! it. (In a model the list takes two waiters.)

use std::task::Poll;
use std::task::Waker;

use loom::thread;
use tollgate::Receiver;

use crate::support::Item;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::flag;
use crate::support::large_model;
use crate::support::model;
use crate::support::next;
use crate::support::operation;
use crate::support::poll;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;
use crate::support::yielding;

fn park(stream: &mut Receiver<Item>, waker: &Waker) {
    assert!(poll_next(stream, waker).is_pending());
}

fn poll_next(stream: &mut Receiver<Item>, waker: &Waker) -> Poll<Option<Item>> {
    poll(&mut next(stream), waker)
}

/// The first waiter is notified in vain while it is polled: whenever it notices, it is ahead of the
/// second afterwards.
#[test]
fn vainly_notified_waiter_stays_ahead() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let (mut first, mut second) = (receiver.clone(), receiver.clone());
        let (first_flag, first_waker) = flag();
        let (second_flag, second_waker) = flag();
        park(&mut first, &first_waker);
        park(&mut second, &second_waker);
        let item = tally.item(1);
        let thief = thread::spawn(move || {
            send(&sender, item);
            let stolen = operation(|| receiver.try_recv()).is_ok();
            (sender, receiver, stolen)
        });
        let early = poll_next(&mut first, &first_waker);
        let (sender, receiver, stolen) = thief.join().unwrap();
        assert_ne!(early.is_ready(), stolen);
        assert!(poll_next(&mut first, &first_waker).is_pending());
        // It listed itself again only if the item was stolen.
        let before = (first_flag.calls(), second_flag.calls());
        send(&sender, tally.item(2));
        if stolen {
            assert_eq!(
                (first_flag.calls(), second_flag.calls()),
                (before.0 + 1, before.1)
            );
            assert!(poll_next(&mut first, &first_waker).is_ready());
        } else {
            drop(receive(&receiver));
        }
    });
}

/// One waiter returns to its position while the one behind it leaves.
#[test]
fn waiter_returns_while_another_leaves() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let (mut first, mut second) = (receiver.clone(), receiver.clone());
        let (flag, waker) = flag();
        park(&mut first, &waker);
        park(&mut second, Waker::noop());
        send(&sender, tally.item(1));
        drop(receive(&receiver));
        let leaver = thread::spawn(move || drop(second));
        // Notified in vain: it returns.
        assert!(poll_next(&mut first, &waker).is_pending());
        leaver.join().unwrap();
        assert_eq!(flag.calls(), 1);
        send(&sender, tally.item(2));
        assert_eq!(flag.calls(), 2);
        assert!(poll_next(&mut first, &waker).is_ready());
    });
}

/// Two waiters and two notifications, one of them in vain: its waiter returns while the other one
/// leaves and passes on its notification.
#[test]
fn leaving_waiter_notifies_returned_waiter() {
    model(|tally| {
        let (sender, receiver) = bounded(2);
        let (mut first, mut second) = (receiver.clone(), receiver.clone());
        park(&mut first, Waker::noop());
        park(&mut second, Waker::noop());
        send(&sender, tally.item(1));
        drop(receive(&receiver));
        // The first was notified and not polled, the second waits.
        let item = tally.item(2);
        let producer = thread::spawn(move || {
            send(&sender, item);
            sender
        });
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut first)).unwrap();
            (item.number, first)
        });
        drop(second);
        let (number, _first) = survivor.join().unwrap();
        assert_eq!(number, 2);
        let _sender = producer.join().unwrap();
    });
}

/// A notified waiter finds a slot that is claimed and not yet filled, gives up and tries again. It
/// must be listed once at most, and not at all after it has succeeded.
#[test]
fn waiter_behind_slow_send_is_listed_once() {
    model(|tally| {
        let (sender, receiver) = bounded(2);
        let mut first = receiver.clone();
        let (flag, waker) = flag();
        park(&mut first, &waker);
        send(&sender, tally.item(1));
        drop(receive(&receiver));
        let item = tally.item(2);
        let producer = thread::spawn(move || {
            send(&sender, item);
            sender
        });
        let early = poll_next(&mut first, &waker);
        let sender = producer.join().unwrap();
        if early.is_pending() {
            assert!(poll_next(&mut first, &waker).is_ready());
        }
        let calls = flag.calls();
        send(&sender, tally.item(3));
        send(&sender, tally.item(4));
        assert_eq!(flag.calls(), calls, "a waiter that has left is notified");
        drop((receive(&receiver), receive(&receiver)));
    });
}

/// A sender that returns to its position while a receiver makes room is notified or sees the room.
#[test]
fn returning_sender_sees_room_or_is_woken() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let mut waiting = sender.send(tally.item(2));
        assert!(poll(&mut waiting, Waker::noop()).is_pending());
        drop(receive(&receiver));
        send(&sender, tally.item(3));
        // Notified in vain so far.
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || receive(&receiver).number
        });
        block_on(waiting).unwrap();
        assert_eq!(consumer.join().unwrap(), 3);
        assert_eq!(receive(&receiver).number, 2);
    });
}

/// The third waiter is in the overflow, and moves to the list while its waker is replaced.
#[test]
fn waiter_changes_waker_while_moving_to_list() {
    model(|tally| {
        let (sender, mut first) = bounded(3);
        let (mut second, mut third) = (first.clone(), first.clone());
        park(&mut first, Waker::noop());
        park(&mut second, Waker::noop());
        park(&mut third, Waker::noop());
        let items = [1, 2, 3].map(|number| tally.item(number));
        let producer = thread::spawn(move || {
            for item in items {
                send(&sender, item);
            }
            sender
        });
        assert!(block_on(next(&mut third)).is_some());
        let _sender = producer.join().unwrap();
        drop((first, second));
    });
}

/// The third waiter leaves the overflow while those ahead of it are notified; the fourth must still be
/// notified.
#[test]
fn waiter_leaves_while_moving_to_list() {
    large_model(|tally| {
        let (sender, mut first) = bounded(2);
        let mut others = [(); 3].map(|()| first.clone());
        park(&mut first, Waker::noop());
        for other in &mut others {
            park(other, Waker::noop());
        }
        let [second, third, mut fourth] = others;
        drop(first);
        let item = tally.item(1);
        let producer = thread::spawn(move || {
            send(&sender, item);
            sender
        });
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut fourth)).unwrap();
            (item.number, fourth)
        });
        drop(third);
        drop(second);
        let _sender = producer.join().unwrap();
        assert_eq!(survivor.join().unwrap().0, 1);
    });
}

/// A newcomer finds the list full and joins the overflow, while the list empties.
#[test]
fn newcomer_joins_overflow_while_list_empties() {
    model(|tally| {
        let (sender, mut first) = bounded(3);
        let (mut second, mut third) = (first.clone(), first.clone());
        park(&mut first, Waker::noop());
        park(&mut second, Waker::noop());
        let newcomer = thread::spawn(move || {
            let item = block_on(next(&mut third)).unwrap();
            (item, third)
        });
        for number in 1..=3 {
            send(&sender, tally.item(number));
        }
        let _third = newcomer.join().unwrap();
        drop((first, second));
    });
}

#[test]
fn close_wakes_list_and_overflow() {
    model(|_| {
        let (sender, mut first) = bounded(1);
        let (mut second, mut third) = (first.clone(), first.clone());
        let (flag, waker) = flag();
        park(&mut first, &waker);
        park(&mut second, &waker);
        let newcomer = thread::spawn(move || block_on(next(&mut third)).is_none());
        assert!(sender.close());
        assert!(newcomer.join().unwrap());
        assert_eq!(flag.calls(), 2);
        assert!(matches!(poll_next(&mut first, &waker), Poll::Ready(None)));
        assert!(matches!(poll_next(&mut second, &waker), Poll::Ready(None)));
    });
}

/// A waiter that was notified in vain too often asks newcomers to yield, and leaves. The newcomer
/// still gets its item.
#[test]
fn yielding_newcomer_gets_item() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let mut starving = receiver.clone();
        let (flag, waker) = flag();
        park(&mut starving, &waker);
        for number in 1..=3 {
            send(&sender, tally.item(number));
            drop(receive(&receiver));
            assert_eq!(flag.calls(), number);
            park(&mut starving, &waker);
        }
        // It asks now: a first poll lets others run.
        send(&sender, tally.item(4));
        let (newcomer_flag, newcomer_waker) = crate::support::flag();
        let mut newcomer = receiver.recv();
        assert!(poll(&mut newcomer, &newcomer_waker).is_pending());
        assert_eq!(newcomer_flag.calls(), 1, "it is to be polled again");
        let leaver = thread::spawn(move || drop(starving));
        assert_eq!(block_on(newcomer).unwrap().number, 4);
        leaver.join().unwrap();
        drop(sender);
    });
}

/// Calls that yield because the budget of their side is spent: each still gets its item, and one that is
/// dropped instead takes no notification with it.
#[test]
fn spent_budget_loses_no_wakeup() {
    model(|tally| {
        let (sender, receiver) = shared(yielding(2));
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(receiver.recv()).unwrap()
        });
        let (item, other) = (tally.item(1), tally.item(2));
        block_on(sender.send(item)).unwrap();
        let mut cancelled = receiver.recv();
        let received = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        if received.is_ready() {
            block_on(sender.send(other)).unwrap();
        }
        drop(consumer.join().unwrap());
    });
}

/// Q3 of `waiters`, where the condition is the close: only `tail` orders the two.
#[test]
fn close_wakes_sender_that_is_entering() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let closer = thread::spawn({
            let receiver = receiver.clone();
            move || assert!(receiver.close())
        });
        let item = tally.item(2);
        assert!(block_on(sender.send(item)).is_err());
        closer.join().unwrap();
        drop(receive(&receiver));
    });
}

/// The third waiter is in the overflow, and its waker is replaced while the channel is closed.
#[test]
fn close_wakes_overflow_while_waker_changes() {
    model(|_| {
        let (sender, mut first) = bounded(1);
        let (mut second, mut third) = (first.clone(), first.clone());
        park(&mut first, Waker::noop());
        park(&mut second, Waker::noop());
        park(&mut third, Waker::noop());
        let closer = thread::spawn(move || {
            assert!(sender.close());
            sender
        });
        assert!(block_on(next(&mut third)).is_none());
        let _sender = closer.join().unwrap();
        drop((first, second));
    });
}

#[test]
fn close_wakes_overflow_while_waiter_leaves() {
    model(|_| {
        let (sender, mut first) = bounded(1);
        let mut others = [(); 3].map(|()| first.clone());
        park(&mut first, Waker::noop());
        let (flag, waker) = flag();
        for other in &mut others {
            park(other, &waker);
        }
        let [second, third, mut fourth] = others;
        let closer = thread::spawn(move || {
            assert!(sender.close());
            sender
        });
        drop(third);
        let _sender = closer.join().unwrap();
        // At least the second and the fourth.
        assert!(flag.calls() >= 2);
        assert!(matches!(poll_next(&mut fourth, &waker), Poll::Ready(None)));
        drop((first, second));
    });
}
