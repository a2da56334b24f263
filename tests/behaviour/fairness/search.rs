//! A search through random patterns, each made from its seed.

use std::env;
use std::ops::Range;

use super::check;
use super::sim::POLICIES;
use super::sim::Policy;
use super::workload::After;
use super::workload::Barging;
use super::workload::Burst;
use super::workload::Consumer;
use super::workload::Disturbance;
use super::workload::Outcome;
use super::workload::Receivers;
use super::workload::Senders;
use super::workload::Source;
use super::workload::Style;
use super::workload::turns;
use crate::common::Plain;
use crate::common::Tasks;
use crate::common::Watchdog;

/// How many patterns [`random_patterns_starve_no_waiter`] tries on each side, starting with seed 0:
/// `TOLLGATE_STARVATION_PATTERNS=100000 cargo test --release --test behaviour random_patterns`
/// tries more.
fn patterns() -> Range<u64> {
    match env::var("TOLLGATE_STARVATION_PATTERNS") {
        Ok(number) => 0..number.parse().unwrap(),
        Err(_) => 0..1_000,
    }
}

#[test]
fn random_patterns_starve_no_waiter() {
    let _watchdog = Watchdog::for_seconds(600);
    let fair = |outcome: Result<Outcome, String>| {
        let outcome = outcome?;
        outcome.no_waiter_starves()?;
        outcome.order
    };
    check(patterns().map(any_receivers), |it| {
        fair(match it.source == Source::Sent && it.seed % 4 < 3 {
            true => it.run::<Plain>(),
            false => it.run::<Tasks>(),
        })
    });
    check(patterns().map(any_senders), |it| {
        fair(match it.seed % 4 < 3 {
            true => it.run::<Plain>(),
            false => it.run::<Tasks>(),
        })
    });
}

/// Mostly few, so that each waiter is served often; sometimes many.
fn any_number(rng: &mut fastrand::Rng) -> usize {
    match rng.u32(..50) {
        0 => rng.usize(20..=100),
        1..=5 => rng.usize(9..=20),
        _ => rng.usize(2..=8),
    }
}

fn any_disturbance(waiters: usize, burst: usize, rng: &mut fastrand::Rng) -> Disturbance {
    let mut one_in = |n: u32| rng.u32(..n) == 0;
    let [barging, fickle, interrupted, late] = [3, 4, 4, 4].map(&mut one_in);
    let spurious = one_in(3);
    let mut unsteady = |is: bool| match is {
        true => rng.usize(1..waiters),
        false => 0,
    };
    Disturbance {
        fickle: unsteady(fickle),
        interrupted: unsteady(interrupted),
        barging: barging.then(|| Barging {
            every: rng.u32(2..=4),
            count: rng.usize(1..=burst.div_ceil(2)),
        }),
        late: if late { rng.u32(2..=6) } else { 0 },
        spurious,
    }
}

/// More where some rounds serve no waiter.
fn rounds_for_each(policy: Policy, waiters: usize, most: usize, disturbance: Disturbance) -> u64 {
    let thin = [
        most == 1,
        most <= 2,
        disturbance.barging.is_some(),
        disturbance.late != 0,
    ];
    let thin = thin.into_iter().filter(|it| *it).count();
    turns(policy) * waiters as u64 * (1 + thin as u64)
}

fn any_receivers(seed: u64) -> Receivers {
    let mut rng = fastrand::Rng::with_seed(seed);
    let receivers = any_number(&mut rng);
    let most = rng.usize(1..=7);
    let policy = POLICIES[rng.usize(..2)];
    let disturbance = any_disturbance(receivers, most, &mut rng);
    Receivers {
        seed,
        policy,
        receivers,
        burst: match rng.bool() {
            true => Burst::Of(most),
            false => Burst::UpTo(most),
        },
        rounds: rounds_for_each(policy, receivers, most, disturbance),
        style: [Style::Futures, Style::Streams, Style::Mixed][rng.usize(..3)],
        after: [After::Again, After::Yield, After::Rest][rng.usize(..3)],
        source: [Source::Sent, Source::Sent, Source::FollowedUp, Source::Both][rng.usize(..4)],
        disturbance,
    }
}

fn any_senders(seed: u64) -> Senders {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let senders = any_number(&mut rng);
    let capacity = rng.usize(1..=7);
    let policy = POLICIES[rng.usize(..2)];
    let batch = rng.usize(1..=8);
    let disturbance = any_disturbance(senders, capacity, &mut rng);
    Senders {
        seed,
        policy,
        senders,
        capacity,
        batch,
        rounds: rounds_for_each(policy, senders, batch.min(capacity), disturbance),
        after: [After::Again, After::Yield][rng.usize(..2)],
        consumer: [Consumer::Task, Consumer::Caller][rng.usize(..2)],
        disturbance,
    }
}
