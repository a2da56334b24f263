//! Waiters that are woken and not polled, and what they hold back from others; and how a close ends
//! all waiters.

use std::task::Poll;

use futures_util::StreamExt;

use super::sim::Line;
use super::sim::POLICIES;
use super::sim::Policy;
use super::sim::Sim;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    unpolled_streams_hide_one_item_each,
    unpolled_senders_hide_one_slot_each,
    request_of_unpolled_receiver_ends,
    request_of_unpolled_sender_ends,
    close_ends_all_waiters,
}

/// A stream that was woken and is not polled again holds back the item it was woken for, and
/// nothing else.
fn unpolled_streams_hide_one_item_each<K: Kind>() {
    for policy in POLICIES {
        for unpolled in 1..=3 {
            for burst in 1..=5 {
                // Including streams that were woken in vain before.
                for vain in 0..=2 {
                    let what = format!(
                        "{policy:?}, {unpolled} of 6 unpolled, burst {burst}, {vain} in vain"
                    );
                    run_with_unpolled_streams::<K>(policy, unpolled, burst, vain)
                        .unwrap_or_else(|why| panic!("{why} ({what})"));
                }
            }
        }
    }
}

fn run_with_unpolled_streams<K: Kind>(
    policy: Policy,
    unpolled: usize,
    burst: usize,
    vain: usize,
) -> Result<(), String> {
    const STREAMS: usize = 6;
    let (sender, receiver) = K::channel(2 * burst + unpolled);
    let mut sim = Sim::new(policy, 7);
    for _ in 0..STREAMS {
        let mut stream = receiver.clone();
        sim.spawn(|handle| async move {
            while let Some(Some(given)) = handle.wait(Line::Items, stream.next()).await {
                given.end();
                handle.count();
            }
        });
    }
    sim.settle()?;
    for _ in 0..vain {
        (0..burst).for_each(|_| sender.try_send(1).unwrap());
        (0..burst).for_each(|_| _ = take_one(&receiver));
        sim.settle()?;
    }
    (0..unpolled).for_each(|id| sim.stop_polling(id));
    let before = sim.shares();
    for _ in 0..50 {
        (0..burst).for_each(|_| sender.try_send(1).unwrap());
        sim.settle()?;
        sim.no_wake_is_lost(Line::Items, receiver.len())?;
    }
    assert_eq!(
        before[..unpolled],
        sim.shares()[..unpolled],
        "an unpolled task was polled"
    );
    // Polled at last, they find what is there, or keep waiting.
    (0..unpolled).for_each(|id| sim.resume_polling(id));
    sim.settle()?;
    sim.no_wake_is_lost(Line::Items, receiver.len())?;
    match receiver.len() {
        0 => Ok(()),
        left => Err(format!("{left} items are left, and all tasks wait")),
    }
}

fn unpolled_senders_hide_one_slot_each<K: Kind>() {
    for policy in POLICIES {
        for unpolled in 1..=3 {
            for capacity in 1..=5 {
                let what = format!("{policy:?}, {unpolled} of 6 unpolled, capacity {capacity}");
                run_with_unpolled_senders::<K>(policy, unpolled, capacity)
                    .unwrap_or_else(|why| panic!("{why} ({what})"));
            }
        }
    }
}

fn run_with_unpolled_senders<K: Kind>(
    policy: Policy,
    unpolled: usize,
    capacity: usize,
) -> Result<(), String> {
    let (sender, receiver) = K::channel(capacity);
    let mut sim = Sim::new(policy, 7);
    (0..capacity).for_each(|_| sender.try_send(0).unwrap());
    for _ in 0..6 {
        let sender = sender.clone();
        sim.spawn(|handle| async move {
            while let Some(Ok(())) = handle.wait(Line::Room, sender.send(1)).await {}
        });
    }
    sim.settle()?;
    (0..unpolled).for_each(|id| sim.stop_polling(id));
    for _ in 0..50 {
        (0..capacity).for_each(|_| _ = take_one(&receiver));
        sim.settle()?;
        sim.no_wake_is_lost(Line::Room, capacity - sender.len())?;
    }
    (0..unpolled).for_each(|id| sim.resume_polling(id));
    sim.settle()?;
    match receiver.is_full() {
        true => Ok(()),
        false => Err(String::from("there is room left, and all tasks wait")),
    }
}

/// How often calls yield because of a waiter that has requested it, and then is forgotten or not polled.
#[derive(Default)]
struct Yields(Vec<usize>);

impl Yields {
    const CALLS: u32 = 200;

    fn count<R>(&mut self, mut call: Waiter<'_, R>) -> R {
        let Poll::Ready(output) = call.poll_while_it_yields() else {
            panic!("it waits");
        };
        self.0.push(call.wakes());
        output
    }

    fn end_soon(&self) {
        let (first, last) = self.0.split_at(self.0.len() / 2);
        assert_ne!(first.iter().sum::<usize>(), 0, "nothing was requested");
        assert!(last.iter().all(|it| *it == 0), "{:?}", self.0);
    }
}

/// A receiver that was woken in vain requests other receivers to yield.
fn request_of_unpolled_receiver_ends<K: Kind>() {
    for is_forgotten in [false, true] {
        let (sender, receiver) = K::channel(1);
        let mut unpolled = Waiter::waiting(receiver.recv());
        sender.try_send(0).unwrap();
        take_one(&receiver).unwrap();
        assert!(unpolled.poll().is_pending());
        let unpolled = match is_forgotten {
            true => Err(unpolled.forget()),
            false => Ok(unpolled),
        };
        let mut yields = Yields::default();
        for item in 0..Yields::CALLS {
            // Senders do not yield.
            assert_eq!(now(sender.send(item)), Ok(()));
            let received = yields.count(Waiter::new(receiver.recv()));
            assert_eq!(received.map(Given::end), Ok(item));
        }
        yields.end_soon();
        drop(unpolled);
    }
}

/// A sender that was woken in vain requests other senders to yield.
fn request_of_unpolled_sender_ends<K: Kind>() {
    for is_forgotten in [false, true] {
        let (sender, receiver) = K::channel(1);
        sender.try_send(0).unwrap();
        let mut unpolled = Waiter::waiting(sender.send(0));
        take_one(&receiver).unwrap();
        sender.try_send(0).unwrap();
        assert!(unpolled.poll().is_pending());
        let unpolled = match is_forgotten {
            true => Err(unpolled.forget()),
            false => Ok(unpolled),
        };
        let mut yields = Yields::default();
        for _ in 0..Yields::CALLS {
            // Receivers do not yield.
            assert_eq!(now(receiver.recv()).map(Given::end), Ok(0));
            assert_eq!(yields.count(Waiter::new(sender.send(0))), Ok(()));
        }
        yields.end_soon();
        drop(unpolled);
    }
}

/// Some waiters were woken in vain, some were woken and not polled, and some were not woken.
fn close_ends_all_waiters<K: Kind>() {
    for policy in POLICIES {
        for waiters in [1, 2, 5, 30, 100] {
            for burst in 0..=4 {
                let what = format!("{policy:?}, {waiters} waiters, {burst}");
                close_on_receivers::<K>(policy, waiters, burst)
                    .unwrap_or_else(|why| panic!("receivers: {why} ({what})"));
                close_on_senders::<K>(policy, waiters, burst)
                    .unwrap_or_else(|why| panic!("senders: {why} ({what})"));
            }
        }
    }
}

fn close_on_receivers<K: Kind>(policy: Policy, waiters: usize, burst: usize) -> Result<(), String> {
    let (sender, receiver) = K::channel(burst + 1);
    let mut sim = Sim::new(policy, 3);
    for index in 0..waiters {
        let mut stream = receiver.clone();
        sim.spawn(|handle| async move {
            loop {
                let given = match index % 2 {
                    0 => handle
                        .wait(Line::Items, stream.recv())
                        .await
                        .map(Result::ok),
                    _ => handle.wait(Line::Items, stream.next()).await,
                };
                let Some(Some(given)) = given else { break };
                given.end();
                handle.count();
            }
        });
    }
    sim.settle()?;
    (0..burst).for_each(|_| sender.try_send(1).unwrap());
    (0..burst).for_each(|_| _ = take_one(&receiver));
    sim.settle()?;
    (0..burst).for_each(|_| sender.try_send(2).unwrap());
    sim.step();
    sender.close();
    sim.settle()?;
    assert_eq!(sim.shares().iter().sum::<u64>(), burst as u64);
    match sim.are_all_done() {
        true => Ok(()),
        false => Err(String::from("lost wake: tasks wait after the close")),
    }
}

fn close_on_senders<K: Kind>(policy: Policy, waiters: usize, burst: usize) -> Result<(), String> {
    let (sender, receiver) = K::channel(burst + 1);
    let mut sim = Sim::new(policy, 3);
    while sender.try_send(0).is_ok() {}
    for _ in 0..waiters {
        let sender = sender.clone();
        sim.spawn(|handle| async move {
            while let Some(Ok(())) = handle.wait(Line::Room, sender.send(1)).await {
                handle.count();
            }
        });
    }
    sim.settle()?;
    (0..burst).for_each(|_| _ = take_one(&receiver));
    (0..burst).for_each(|_| sender.try_send(0).unwrap());
    sim.settle()?;
    (0..burst).for_each(|_| _ = take_one(&receiver));
    sim.step();
    receiver.close();
    let sent = sim.shares();
    sim.settle()?;
    assert_eq!(sent, sim.shares(), "something was sent after the close");
    match sim.are_all_done() {
        true => Ok(()),
        false => Err(String::from("lost wake: tasks wait after the close")),
    }
}
