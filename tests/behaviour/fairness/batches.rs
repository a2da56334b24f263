//! Batches share with single calls: a large batch takes turns with them, and none starves.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::check;
use super::sim::Handle;
use super::sim::Line;
use super::sim::POLICIES;
use super::sim::Policy;
use super::sim::Sim;
use super::workload::run_to_end;
use crate::common::Given;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::on_both_kinds;

on_both_kinds! {
    large_batches_take_turns_with_single_sends,
    batches_take_turns_with_single_receivers,
}

const ROUNDS: u64 = 400;

/// Tasks of which the first ones use batches of this size.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    policy: Policy,
    batches: usize,
    singles: usize,
    size: usize,
    capacity: usize,
}

fn patterns() -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for policy in POLICIES {
        for (batches, singles) in [(1, 1), (1, 3), (2, 2), (3, 1), (2, 0)] {
            for size in [1, 3, 1_000] {
                for capacity in [1, 2, 5, 16] {
                    patterns.push(Pattern {
                        policy,
                        batches,
                        singles,
                        size,
                        capacity,
                    });
                }
            }
        }
    }
    patterns
}

/// Each task must get at least half of an even share of the turns. Items would be no measure, as one
/// move may take all.
fn half_of_turns_each(turns: &[u64], pattern: &Pattern) -> Result<(), String> {
    let even = turns.iter().sum::<u64>() / turns.len() as u64;
    // A batch that is under way has not counted its turns.
    match turns.iter().all(|turns| 2 * turns + 4 >= even) {
        true => Ok(()),
        false => Err(format!("of {even} turns each: {turns:?} {pattern:?}")),
    }
}

fn large_batches_take_turns_with_single_sends<K: Kind>() {
    check(patterns(), |pattern| {
        let (sender, receiver) = K::channel(pattern.capacity);
        let mut sim = Sim::new(pattern.policy, 7);
        for id in 0..(pattern.batches + pattern.singles) as u32 {
            let (sender, pattern) = (sender.clone(), *pattern);
            sim.spawn(|handle: Handle| async move {
                if id < pattern.batches as u32 {
                    let mut items = VecDeque::new();
                    loop {
                        items.resize(pattern.size, id);
                        let sent = handle.wait(Line::Room, sender.send_many(&mut items)).await;
                        if !matches!(sent, Some(Ok(()))) {
                            break;
                        }
                    }
                } else {
                    while let Some(Ok(())) = handle.wait(Line::Room, sender.send(id)).await {}
                }
            });
        }
        // Takes one item or all, in turn. Adjacent items of a sender are one turn of its.
        let mut turns = vec![0; pattern.batches + pattern.singles];
        for round in 0..ROUNDS {
            sim.settle()?;
            sim.no_wake_is_lost(Line::Room, pattern.capacity - receiver.len())?;
            let most = if round % 2 == 0 { 1 } else { usize::MAX };
            let mut ids = take::<K>(&receiver, most);
            ids.dedup();
            ids.into_iter().for_each(|id| turns[id as usize] += 1);
        }
        sender.close();
        run_to_end(sim)?;
        half_of_turns_each(&turns, pattern)
    });
}

fn batches_take_turns_with_single_receivers<K: Kind>() {
    check(patterns(), |pattern| {
        let (sender, receiver) = K::channel(pattern.capacity);
        let mut sim = Sim::new(pattern.policy, 7);
        let size = NonZeroUsize::new(pattern.size).unwrap();
        for id in 0..pattern.batches + pattern.singles {
            let (receiver, uses_batches) = (receiver.clone(), id < pattern.batches);
            sim.spawn(|handle: Handle| async move {
                loop {
                    let mut buf = Vec::new();
                    let max = if uses_batches {
                        size
                    } else {
                        NonZeroUsize::MIN
                    };
                    let recv = receiver.recv_many(&mut buf, max);
                    if !matches!(handle.wait(Line::Items, recv).await, Some(Ok(_))) {
                        break;
                    }
                    buf.into_iter().map(Given::end).for_each(drop);
                    handle.count();
                }
            });
        }
        // In a turn, a task receives anything in a round: it may take all that is queued.
        let mut turns = vec![0; pattern.batches + pattern.singles];
        let mut before = sim.shares();
        for round in 0..ROUNDS {
            let count = 1 + round as usize % pattern.capacity;
            let mut items = VecDeque::from(vec![0; count]);
            assert_eq!(sender.try_send_many(&mut items), Ok(count));
            sim.settle()?;
            sim.no_wake_is_lost(Line::Items, receiver.len())?;
            let shares = sim.shares();
            for (turns, (before, now)) in turns.iter_mut().zip(before.iter().zip(&shares)) {
                *turns += u64::from(now > before);
            }
            before = shares;
        }
        sender.close();
        run_to_end(sim)?;
        half_of_turns_each(&turns, pattern)
    });
}

fn take<K: Kind>(receiver: &ReceiverOf<K>, most: usize) -> Vec<u32> {
    let mut buf = Vec::new();
    let most = NonZeroUsize::new(most).unwrap();
    let _ = receiver.try_recv_many(&mut buf, most);
    buf.into_iter().map(Given::end).collect()
}
