//! Senders and receivers that never pause: no task waits until all others wait.
//!
//! Here a task may find an item or a slot again and again without waiting, while woken waiters come
//! too late. Each must still get half of an even share, also if the channel has a budget.
//!
//! In FIFO order, three kinds of traffic are known in which a task gets less:
//!
//! * The tasks of one side yield by themselves, and those of the other side do not. A sender that never
//!   yields fills all vacant slots in one turn, including those that another sender was woken for. With
//!   two such senders and n receivers that yield, on a channel with room for n items, one sends n - 1
//!   items for each item of the other. So a third is required here, of up to six tasks on each side. To
//!   prevent that, a caller would have to yield whenever a woken waiter is yet to be polled. (A budget
//!   that is not much larger than the capacity prevents it as well.)
//! * Turns are shared, but a turn takes all that it finds. If the turns of the other side are of
//!   different size, in a rhythm, so are the shares: a sender sends 128 items, which fill the channel,
//!   then 22, yields, and so on; and of two receivers, one takes 128 items each time, the other one 22.
//! * With dozens of tasks on one side and a budget below 10, some may get a fifth of an even share.

use std::num::NonZeroU32;

use tollgate::Builder;
use tollgate::Receiver;
use tollgate::Sender;

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
use crate::common::ReceiverOf;
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
    /// After how many calls of one side one yields; never if 0.
    budget: u32,
    /// Whether the first sender yields once in 150 items, so that the rhythm changes.
    stumbles: bool,
}

impl Traffic {
    fn channel(&self) -> (Sender<u32>, Receiver<u32>) {
        let mut builder = Builder::new().capacity(self.capacity);
        if let Some(budget) = NonZeroU32::new(self.budget) {
            builder = builder.yield_after(budget);
        }
        builder.build()
    }

    /// Returns the shares of the senders and those of the receivers.
    fn run<K: Kind>(&self) -> Result<[Vec<u64>; 2], String> {
        self.run_on::<K>(K::channel(self.capacity))
    }

    fn run_on<K: Kind>(
        &self,
        (sender, receiver): (Sender<u32>, ReceiverOf<K>),
    ) -> Result<[Vec<u64>; 2], String> {
        let (after_send, after_recv) = (self.after_send, self.after_recv);
        let mut sim = Sim::new(self.policy, self.seed);
        for number in 0..self.senders {
            let sender = sender.clone();
            let stumbles = self.stumbles && number == 0;
            sim.spawn(move |handle| async move {
                let mut sent = 0;
                while let Some(Ok(())) = handle.wait(Line::Room, sender.send(1)).await {
                    handle.count();
                    sent += 1;
                    if stumbles && sent % 150 == 20 {
                        handle.yield_now().await;
                    }
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
        self.check_shares(self.run::<K>()?, part)
    }

    fn check_shares(&self, shares: [Vec<u64>; 2], part: u64) -> Result<(), String> {
        for shares in shares {
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
            budget: 0,
            stumbles: false,
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

/// A single yield of one sender changes the order in which tasks are polled. It may become one in which
/// two receivers take all items, each time just before the waiters that were woken for them, and have
/// always yielded before the sender made these items available.
#[test]
fn single_yield_does_not_end_fairness() {
    let _watchdog = Watchdog::start();
    let patterns = traffic(Policy::Fifo, 500, After::Again, After::Again).map(|it| Traffic {
        stumbles: true,
        ..it
    });
    check(patterns, |it| it.each_gets::<Plain>(2));
}

/// The yields of a budget can have the same effect. Besides, tasks share the budget: one may find most of
/// it spent at each of its turns, and so take a single item, while the others take as many as there are.
#[test]
fn budget_does_not_end_fairness() {
    let _watchdog = Watchdog::start();
    let sizes = [(1, 3), (2, 2), (1, 5), (4, 5), (5, 5), (6, 2)];
    let budgets = [
        (1, 2),
        (2, 3),
        (8, 3),
        (4, 6),
        (10, 24),
        (128, 2),
        (128, 128),
    ];
    let all = traffic(Policy::Fifo, 400, After::Again, After::Again);
    let one = all.filter(|it| it.capacity == 1 && sizes.contains(&(it.senders, it.receivers)));
    let patterns = one.flat_map(|it| {
        budgets.map(|(budget, capacity)| Traffic {
            budget,
            capacity,
            ..it
        })
    });
    check(patterns, |it| {
        it.check_shares(it.run_on::<Plain>(it.channel())?, 2)
    });
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
