//! Senders and receivers that never pause: no task waits until all others wait.
//!
//! Here a task may find an item or a slot again and again without waiting, while woken waiters come
//! too late. Each must still get half of an even share.
//!
//! If one side yields and the other does not, a third is required. A sender that never yields fills
//! all vacant slots in one turn, including those that another sender was woken for: with two such
//! senders and six receivers that yield, one sends five items for each item of the other. To
//! prevent that, a caller would have to yield whenever a woken waiter is yet to be polled.

use super::check;
use super::sim::Line;
use super::sim::POLICIES;
use super::sim::Policy;
use super::sim::Sim;
use super::workload::After;
use super::workload::Consumer;
use super::workload::Senders;
use super::workload::THREE_SENDERS;
use super::workload::run_to_end;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::Watchdog;
use crate::common::on_both_kinds;

on_both_kinds! {
    busy_channel_loses_no_wake,
    random_order_gives_each_waiter_half,
}

#[derive(Clone, Copy, Debug)]
struct Traffic {
    seed: u64,
    policy: Policy,
    senders: usize,
    receivers: usize,
    capacity: usize,
    /// How many polls there are for each task.
    polls: usize,
    after_send: After,
    after_recv: After,
}

impl Traffic {
    /// Returns the shares of the senders and those of the receivers.
    fn run<K: Kind>(&self) -> Result<[Vec<u64>; 2], String> {
        let (after_send, after_recv) = (self.after_send, self.after_recv);
        let (sender, receiver) = K::channel(self.capacity);
        let mut sim = Sim::new(self.policy, self.seed);
        for _ in 0..self.senders {
            let sender = sender.clone();
            sim.spawn(|handle| async move {
                while let Some(Ok(())) = handle.wait(Line::Room, sender.send(1)).await {
                    handle.count();
                    after_send.run(&handle).await;
                }
            });
        }
        for _ in 0..self.receivers {
            let receiver = receiver.clone();
            sim.spawn(|handle| async move {
                while let Some(Ok(given)) = handle.wait(Line::Items, receiver.recv()).await {
                    given.end();
                    handle.count();
                    after_recv.run(&handle).await;
                }
            });
        }
        for _ in 0..self.polls * (self.senders + self.receivers) {
            if !sim.step() {
                return Err(String::from("lost wake: no task is runnable"));
            }
        }
        let mut senders = sim.shares();
        let receivers = senders.split_off(self.senders);
        sender.close();
        run_to_end(sim)?;
        Ok([senders, receivers])
    }

    /// Checks that each task gets at least one `part`th of an even share, except for the items that
    /// are in the channel when the run ends, and the next one.
    fn each_gets<K: Kind>(&self, part: u64) -> Result<(), String> {
        for shares in self.run::<K>()? {
            let even = shares.iter().sum::<u64>() / shares.len() as u64;
            let slack = self.capacity as u64 + 2;
            if shares.iter().any(|share| part * share + slack < even) {
                return Err(format!("of {even} each: {shares:?}"));
            }
        }
        Ok(())
    }
}

fn traffic(
    policy: Policy,
    polls: usize,
    after_send: After,
    after_recv: After,
) -> impl Iterator<Item = Traffic> {
    let sizes = (1..=6).flat_map(|it| (1..=6).map(move |other| (it, other)));
    sizes.flat_map(move |(senders, receivers)| {
        [1, 2, 3, 4, 6, 9].map(|capacity| Traffic {
            seed: 5,
            policy,
            senders,
            receivers,
            capacity,
            polls,
            after_send,
            after_recv,
        })
    })
}

const YIELDING: [(After, After); 3] = [
    (After::Again, After::Yield),
    (After::Yield, After::Again),
    (After::Yield, After::Yield),
];

fn busy_channel_loses_no_wake<K: Kind>() {
    for policy in POLICIES {
        for (after_send, after_recv) in [(After::Again, After::Again)].into_iter().chain(YIELDING) {
            let patterns = traffic(policy, 50, after_send, after_recv);
            check(patterns, |it| it.run::<K>().map(drop));
        }
    }
}

fn random_order_gives_each_waiter_half<K: Kind>() {
    for (after_send, after_recv) in [(After::Again, After::Again)].into_iter().chain(YIELDING) {
        let patterns = traffic(Policy::Random, 200, after_send, after_recv);
        check(patterns, |it| it.each_gets::<K>(2));
    }
}

/// `while tx.send(x).await.is_ok() {}` and `while rx.recv().await.is_ok() {}`, and nothing else.
///
/// It is not enough that a waiter keeps its position. Four receivers share the items of a sender
/// that finds room for two:
///
/// 1. B and D have been woken in vain before, and are at the front. A has been notified and is
///    about to be polled.
/// 2. The sender's two items notify B and D, which run after A.
/// 3. A takes one item, which notifies the sender; it sees the other item, and notifies C. It takes
///    that item as well, and waits anew.
/// 4. B and D are polled in vain, and are at the front again. The sender is next, and then C: so C
///    is now where A was in step 1.
#[test]
fn fifo_order_gives_each_waiter_half() {
    let _watchdog = Watchdog::start();
    let patterns = traffic(Policy::Fifo, 200, After::Again, After::Again);
    check(patterns, |it| it.each_gets::<Plain>(2));
}

/// The same with a `yield_now` in one of the loops or in both. Of two receivers that yield, one
/// finds an item whenever it is polled again, just before the other, which was woken for that item.
#[test]
fn yielding_tasks_share_with_waiters() {
    let _watchdog = Watchdog::start();
    for (after_send, after_recv) in YIELDING {
        let part = match (after_send, after_recv) {
            (After::Yield, After::Yield) => 2,
            _ => 3,
        };
        let patterns = traffic(Policy::Fifo, 200, after_send, after_recv);
        check(patterns, |it| it.each_gets::<Plain>(part));
    }
}

/// Senders that send one item in a round, and a consumer that makes room once in a round: newcomers
/// find the room before the waiters that were woken for it.
#[test]
fn newcomers_share_with_waiters() {
    let _watchdog = Watchdog::start();
    let patterns = (2..=6).flat_map(|senders| {
        (1..=4).map(move |capacity| Senders {
            senders,
            capacity,
            batch: capacity,
            rounds: 40 * senders as u64,
            after: After::Rest,
            consumer: Consumer::Task,
            ..THREE_SENDERS
        })
    });
    check(patterns, |it| it.run::<Plain>()?.no_waiter_starves());
}
