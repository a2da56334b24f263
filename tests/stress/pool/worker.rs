//! A worker that is a loop of `recv`, and what workers of both kinds do with tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(feature = "std")]
use std::time::Duration;
use std::time::Instant;

use tollgate::RetryError;
use tollgate::SendError;
use tollgate::Task;
use tollgate::TaskReceiver;

use super::HAND;
use super::State;
use super::driver::panic_with;
use super::item::DROPPING;
use super::item::Item;
use super::item::Outcome;

/// Receives tasks and ends them, until the channel ends or the worker should stop.
pub(super) async fn work(mut state: State, receiver: TaskReceiver<Item>) {
    let mut hand = Vec::new();
    while !state.record.stop.load(Ordering::Relaxed) {
        let Ok(task) = receiver.recv().await else {
            // Nothing more can come.
            assert!(receiver.is_closed());
            assert_eq!(
                receiver.monitor().outstanding(),
                0,
                "the channel ended with work left"
            );
            break;
        };
        hand.push(record_delivery(&state, task));
        while hand.len() < HAND && state.rng.u8(0..4) == 0 {
            let Ok(task) = receiver.try_recv() else {
                break;
            };
            hand.push(record_delivery(&state, task));
        }
        if state.record.stop.load(Ordering::Relaxed) {
            break;
        }
        end_all(&mut state, &mut hand).await;
    }
    // What is in hand outlives the receiver.
    drop(receiver);
    end_all(&mut state, &mut hand).await;
}

pub(super) fn record_delivery(state: &State, mut task: Task<Item>) -> Task<Item> {
    state.record.delivered.fetch_add(1, Ordering::Relaxed);
    task.deliveries += 1;
    assert_eq!(task.attempt(), task.deliveries);
    #[cfg(feature = "std")]
    {
        let waited = task.waited();
        let elapsed = state.record.start.map(|start| start.elapsed());
        assert_eq!(waited.is_some(), elapsed.is_some());
        assert!(waited <= elapsed);
    }
    let due = task.due.take();
    assert!(due.is_none_or(|due| Instant::now() >= due), "early");
    if let Some(most) = state.record.most_attempts {
        assert!(task.attempt() <= most.get());
    }
    if task.chain.is_some() && task.deliveries == 1 {
        state.record.chain_begins();
    }
    task
}

/// Ends what is in hand, in random order, with pauses.
async fn end_all(state: &mut State, hand: &mut Vec<Task<Item>>) {
    while !hand.is_empty() {
        state.maybe_pause(8).await;
        let task = hand.swap_remove(state.rng.usize(0..hand.len()));
        match task.chain {
            Some(left) => continue_chain(state, task, left),
            None => end_at_random(state, task),
        }
    }
}

/// Continues the chain, with a follow-up or a retry, or ends it.
pub(super) fn continue_chain(state: &mut State, mut task: Task<Item>, left: u32) {
    let may_retry = state
        .record
        .most_attempts
        .is_none_or(|most| task.attempt() < most.get());
    if may_retry && state.rng.u8(0..4) == 0 {
        return retry(state, task);
    }
    if left > 0 && follow_up(state, &task, Some(left - 1)) {
        // The follow-up continues the chain.
        task.chain = None;
    }
    if task.chain.is_some() {
        state.record.chain_ends();
    }
    task.set_outcome(Outcome::Done);
    drop(task.done());
}

pub(super) fn end_at_random(state: &mut State, mut task: Task<Item>) {
    match state.rng.u8(0..16) {
        0 => {
            task.set_outcome(Outcome::Failed);
            drop(task.fail("for a reason"));
        }
        1 => drop_with(task, Outcome::Abandoned, drop),
        2 => drop_with(task, Outcome::Panicked, panic_with),
        3 => split(state, task),
        4..=6 => {
            if state
                .record
                .most_attempts
                .is_some_and(|most| task.attempt() == most.get())
            {
                task.set_outcome(Outcome::Failed);
            }
            retry(state, task);
        }
        choice => {
            if choice < 10 {
                follow_up(state, &task, None);
            }
            task.set_outcome(Outcome::Done);
            drop(task.done());
        }
    }
}

fn retry(state: &mut State, mut task: Task<Item>) {
    task.due = state.due();
    let was_over = state.record.is_over();
    match retry_when_due(task) {
        Ok(()) => state.record.check_accepted(was_over),
        Err(RetryError::Exhausted(item)) => assert!(item.has_outcome, "attempts were left"),
        Err(RetryError::Terminated(item)) => item.return_with(Outcome::Failed),
    }
}

#[cfg(feature = "std")]
fn retry_when_due(task: Task<Item>) -> Result<(), RetryError<Item>> {
    let Some(due) = task.due else {
        return task.retry();
    };
    match task.number % 3 {
        0 => task.retry_at(due),
        1 => task.retry_after(until(due)),
        _ => task.retry_after_or_fail(until(due), "for a reason"),
    }
}

/// A delay that ends when an item is due, or later, because it begins after this call.
#[cfg(feature = "std")]
fn until(due: Instant) -> Duration {
    due.saturating_duration_since(Instant::now())
}

#[cfg(feature = "std")]
fn follow_up_when_due(task: &Task<Item>, item: Item) -> Result<(), SendError<Item>> {
    match item.due {
        None => task.follow_up(item),
        Some(due) => task.follow_up_after(item, until(due)),
    }
}

#[cfg(not(feature = "std"))]
fn retry_when_due(task: Task<Item>) -> Result<(), RetryError<Item>> {
    task.retry()
}

#[cfg(not(feature = "std"))]
fn follow_up_when_due(task: &Task<Item>, item: Item) -> Result<(), SendError<Item>> {
    task.follow_up(item)
}

/// Queues a follow-up; returns whether the channel accepted it.
fn follow_up(state: &mut State, task: &Task<Item>, chain: Option<u32>) -> bool {
    let Some(mut item) = state.record.item(chain) else {
        return false;
    };
    item.due = state.due();
    let was_over = state.record.is_over();
    match follow_up_when_due(task, item) {
        Ok(()) => {
            state.record.check_accepted(was_over);
            state.record.followed_up.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.return_with(Outcome::Refused);
            false
        }
    }
}

fn split(state: &mut State, task: Task<Item>) {
    let outcome = [Outcome::Done, Outcome::Failed, Outcome::Abandoned][state.rng.usize(0..3)];
    let (mut item, ticket) = task.split();
    item.set_outcome(outcome);
    drop(item);
    match outcome {
        Outcome::Done => ticket.done(),
        Outcome::Failed => ticket.fail("for a reason"),
        _ => drop(ticket),
    }
}

/// Drops a task, which ends its item with this outcome, unless it is requeued.
pub(super) fn drop_with(task: Task<Item>, outcome: Outcome, drop_it: impl FnOnce(Task<Item>)) {
    let (record, number) = (Arc::clone(&task.record), task.number);
    let was_over = record.is_over();
    DROPPING.set(Some((number, outcome)));
    drop_it(task);
    DROPPING.set(None);
    if was_over {
        // The item was dropped, too.
        let ended = record.outcomes[number].load(Ordering::Relaxed);
        assert_eq!(ended, outcome as u8, "requeued after `close_now`");
    }
}
