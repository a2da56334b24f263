//! No waiter starves: each gets at least half of an even share, whatever the pattern in which items
//! are sent, room is made and tasks are polled.
//!
//! Most of these tests run on a deterministic executor, [`sim`](super::sim), which also detects a
//! lost wake, and a waiter that is woken before one that came earlier. A failure prints the
//! pattern, its seed, and the share of each waiter.
//!
//! Here senders and receivers have time to wait: new items or room come only after every runnable
//! task has been polled. [`busy`](super::busy) tests traffic without pauses. A task that is always
//! polled last, like the last future of a `join!`, may get nothing.

use super::check;
use super::sim::POLICIES;
use super::workload::After;
use super::workload::Barging;
use super::workload::Burst;
use super::workload::Consumer;
use super::workload::Disturbance;
use super::workload::FIVE_RECEIVERS;
use super::workload::Receivers;
use super::workload::Senders;
use super::workload::Source;
use super::workload::Style;
use super::workload::THREE_SENDERS;
use super::workload::turns;
use crate::common::Kind;
use crate::common::Requeued;
use crate::common::Tasks;
use crate::common::Watchdog;
use crate::common::on_both_kinds;

on_both_kinds! {
    five_receivers_share_bursts_of_two,
    three_senders_share_two_slots,
    six_senders_share_five_slots,
    bursts_are_shared_evenly,
    room_is_shared_evenly,
    streams_share_evenly_with_futures,
    random_bursts_are_shared_evenly,
    hundreds_of_receivers_share_evenly,
    hundreds_of_senders_share_evenly,
    barging_receivers_starve_no_waiter,
    barging_senders_starve_no_waiter,
    late_polls_starve_no_waiter,
    cancelled_waits_starve_no_waiter,
    waiters_are_woken_in_order,
}

#[track_caller]
fn no_starvation_among_receivers<K: Kind>(patterns: impl IntoIterator<Item = Receivers>) {
    check(patterns, |it| it.run::<K>()?.no_waiter_starves());
}

#[track_caller]
fn no_starvation_among_senders<K: Kind>(patterns: impl IntoIterator<Item = Senders>) {
    check(patterns, |it| it.run::<K>()?.no_waiter_starves());
}

/// Bursts of these sizes for these numbers of receivers, in each order of polling.
fn bursts(
    receivers: impl IntoIterator<Item = usize>,
    sizes: impl IntoIterator<Item = usize> + Clone,
) -> Vec<Receivers> {
    let mut patterns = Vec::new();
    for receivers in receivers {
        for size in sizes.clone() {
            for policy in POLICIES {
                for after in [After::Again, After::Yield, After::Rest] {
                    // At least one receiver is served in each round.
                    patterns.push(Receivers {
                        policy,
                        receivers,
                        burst: Burst::Of(size),
                        rounds: turns(policy) * receivers as u64,
                        after,
                        ..FIVE_RECEIVERS
                    });
                }
            }
        }
    }
    patterns
}

fn five_receivers_share_bursts_of_two<K: Kind>() {
    // Two are notified; the first takes an item, sees the other one, and notifies a third, in vain.
    // The receivers that succeed wait again behind it.
    for after in [After::Yield, After::Rest] {
        let pattern = Receivers {
            after,
            ..FIVE_RECEIVERS
        };
        no_starvation_among_receivers::<K>([pattern]);
    }
}

fn three_senders_share_two_slots<K: Kind>() {
    // `while tx.send(x).await.is_ok() {}`, three times: one sender finds the room that two were
    // notified of.
    no_starvation_among_senders::<K>([THREE_SENDERS]);
}

fn six_senders_share_five_slots<K: Kind>() {
    no_starvation_among_senders::<K>([Senders {
        senders: 6,
        capacity: 5,
        batch: 5,
        ..THREE_SENDERS
    }]);
}

fn bursts_are_shared_evenly<K: Kind>() {
    no_starvation_among_receivers::<K>(bursts(2..=8, 1..=6));
}

fn room_is_shared_evenly<K: Kind>() {
    let mut patterns = Vec::new();
    for senders in 2..=7 {
        for capacity in 1..=6 {
            for batch in 1..=8 {
                for after in [After::Again, After::Yield] {
                    for policy in POLICIES {
                        patterns.push(Senders {
                            policy,
                            senders,
                            capacity,
                            batch,
                            rounds: turns(policy) * senders as u64,
                            after,
                            ..THREE_SENDERS
                        });
                    }
                }
            }
        }
    }
    no_starvation_among_senders::<K>(patterns);
}

fn streams_share_evenly_with_futures<K: Kind>() {
    let patterns = bursts(2..=6, 1..=4).into_iter().flat_map(|pattern| {
        [Style::Streams, Style::Mixed].map(|style| Receivers { style, ..pattern })
    });
    no_starvation_among_receivers::<K>(patterns);
}

fn random_bursts_are_shared_evenly<K: Kind>() {
    let mut seed = 0;
    let patterns = bursts(2..=6, 1..=7).into_iter().map(|pattern| {
        seed += 1;
        let Burst::Of(most) = pattern.burst else {
            unreachable!("`bursts` makes bursts of one size");
        };
        Receivers {
            seed,
            burst: Burst::UpTo(most),
            style: Style::Mixed,
            rounds: 2 * pattern.rounds,
            ..pattern
        }
    });
    no_starvation_among_receivers::<K>(patterns);
}

/// Up to more waiters than the row of a list holds.
const CROWDS: [usize; 4] = [40, 65, 100, 300];

/// The size of a burst, or a capacity, and what a waiter does after it got one. If a waiter may
/// take all, bursts are small.
fn large_and_small() -> impl Iterator<Item = (usize, After)> {
    let greedy = [2, 7].map(|size| (size, After::Again));
    let modest = [2, 7, 50, 130].map(|size| (size, After::Yield));
    greedy.into_iter().chain(modest)
}

/// The number of rounds in which each waiter is served many times.
fn rounds_for_all(waiters: usize, size: usize, after: After) -> u64 {
    let at_a_time = match after {
        After::Again => 1,
        After::Yield | After::Rest => size,
    };
    (25 + 25 * waiters / at_a_time) as u64
}

fn hundreds_of_receivers_share_evenly<K: Kind>() {
    for receivers in CROWDS {
        let patterns = large_and_small().map(|(size, after)| Receivers {
            receivers,
            burst: Burst::Of(size),
            rounds: rounds_for_all(receivers, size, after),
            style: Style::Mixed,
            after,
            ..FIVE_RECEIVERS
        });
        no_starvation_among_receivers::<K>(patterns);
    }
}

fn hundreds_of_senders_share_evenly<K: Kind>() {
    for senders in CROWDS {
        let patterns = large_and_small().map(|(capacity, after)| Senders {
            senders,
            capacity,
            batch: capacity,
            rounds: rounds_for_all(senders, capacity, after),
            after,
            ..THREE_SENDERS
        });
        no_starvation_among_senders::<K>(patterns);
    }
}

fn barging_receivers_starve_no_waiter<K: Kind>() {
    let mut patterns = Vec::new();
    for pattern in bursts(2..=5, 1..=4) {
        for every in 2..=3 {
            for count in 1..=2 {
                let barging = Some(Barging { every, count });
                patterns.push(Receivers {
                    rounds: 2 * pattern.rounds,
                    disturbance: Disturbance {
                        barging,
                        ..Disturbance::NONE
                    },
                    ..pattern
                });
            }
        }
    }
    no_starvation_among_receivers::<K>(patterns);
}

fn barging_senders_starve_no_waiter<K: Kind>() {
    let mut patterns = Vec::new();
    for senders in 2..=5 {
        for capacity in 1..=4 {
            for every in 2..=3 {
                for after in [After::Again, After::Yield] {
                    for policy in POLICIES {
                        let barging = Some(Barging { every, count: 1 });
                        patterns.push(Senders {
                            policy,
                            senders,
                            capacity,
                            batch: capacity,
                            rounds: 2 * turns(policy) * senders as u64,
                            after,
                            consumer: Consumer::Caller,
                            disturbance: Disturbance {
                                barging,
                                ..Disturbance::NONE
                            },
                            ..THREE_SENDERS
                        });
                    }
                }
            }
        }
    }
    no_starvation_among_senders::<K>(patterns);
}

fn late_polls_starve_no_waiter<K: Kind>() {
    let disturbance = Disturbance {
        late: 3,
        ..Disturbance::NONE
    };
    let patterns = bursts(2..=6, 1..=4).into_iter().map(|pattern| Receivers {
        rounds: 3 * pattern.rounds,
        disturbance,
        ..pattern
    });
    no_starvation_among_receivers::<K>(patterns);
}

fn cancelled_waits_starve_no_waiter<K: Kind>() {
    for unsteady in 1..=2 {
        let fickle = Disturbance {
            fickle: unsteady,
            ..Disturbance::NONE
        };
        let interrupted = Disturbance {
            interrupted: unsteady,
            ..Disturbance::NONE
        };
        for disturbance in [fickle, interrupted] {
            let receivers = bursts(3..=6, 1..=4).into_iter().map(|pattern| Receivers {
                style: Style::Mixed,
                rounds: 2 * pattern.rounds,
                disturbance,
                ..pattern
            });
            no_starvation_among_receivers::<K>(receivers);
            let senders = (3..=6).flat_map(|senders| {
                (1..=4).map(move |capacity| Senders {
                    senders,
                    capacity,
                    batch: capacity,
                    rounds: 60 * senders as u64,
                    disturbance,
                    ..THREE_SENDERS
                })
            });
            no_starvation_among_senders::<K>(senders);
        }
    }
}

fn waiters_are_woken_in_order<K: Kind>() {
    let disturbances = [
        Disturbance::NONE,
        Disturbance {
            barging: Some(Barging { every: 2, count: 1 }),
            fickle: 1,
            interrupted: 1,
            late: 4,
            spurious: true,
        },
    ];
    for disturbance in disturbances {
        for waiters in [2, 3, 5, 9, 20, 80] {
            let rounds = 100;
            let receivers = bursts([waiters], [1, 2, 3, 6]);
            let receivers = receivers.into_iter().map(|pattern| Receivers {
                style: Style::Mixed,
                rounds,
                disturbance,
                ..pattern
            });
            check(receivers, |it| it.run::<K>()?.order);
            let senders = [(1, 1), (2, 2), (3, 2), (5, 8)].into_iter();
            let senders = senders.flat_map(|(capacity, batch)| {
                POLICIES.map(|policy| Senders {
                    policy,
                    senders: waiters,
                    capacity,
                    batch,
                    rounds,
                    consumer: Consumer::Caller,
                    disturbance,
                    ..THREE_SENDERS
                })
            });
            check(senders, |it| it.run::<K>()?.order);
        }
    }
}

#[test]
fn retries_and_follow_ups_are_shared_evenly() {
    let _watchdog = Watchdog::start();
    let patterns: Vec<_> = bursts(2..=6, 1..=4)
        .into_iter()
        .flat_map(|pattern| {
            [Source::FollowedUp, Source::Both].map(|source| Receivers { source, ..pattern })
        })
        .collect();
    no_starvation_among_receivers::<Tasks>(patterns.iter().copied());
    // Task channels that requeue a dropped task once.
    no_starvation_among_receivers::<Requeued>(patterns);
}
