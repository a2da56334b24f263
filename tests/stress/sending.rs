//! How a producer sends: one item or several, with or without waiting.

use std::collections::VecDeque;
use std::ops::Range;

use tollgate::Sender;
use tollgate::TrySendError;

use super::State;
use crate::record::Item;
use crate::record::mark;

/// Sends an item, with its mark, which this returns.
pub(super) async fn send_one(
    state: &mut State,
    sender: &Sender<Item>,
    producer: usize,
    attempt: usize,
) -> u8 {
    let item = state.record.item(producer, attempt);
    let mark = if attempt == 0 {
        match sender.send(item).await {
            Ok(()) => mark::SENT,
            Err(_) => mark::REFUSED,
        }
    } else if state.forces && state.rng.u8(0..8) == 0 {
        send_by_force(state, sender, item)
    } else if state.rng.u8(0..4) == 0 {
        send_by_trying(state, sender, item).await
    } else {
        match state.disturbance.disturb(sender.send(item)).await {
            Some(Ok(())) => mark::SENT,
            Some(Err(refused)) => {
                let item = refused.into_inner();
                assert_eq!((item.producer, item.attempt), (producer, attempt));
                mark::REFUSED
            }
            None => mark::CANCELLED,
        }
    };
    state.record.item_sent(producer, attempt, mark);
    mark
}

fn send_by_force(state: &State, sender: &Sender<Item>, item: Item) -> u8 {
    match sender.force_send(item) {
        Ok(evicted) => {
            if let Some(evicted) = evicted {
                state.record.evicted(&evicted);
            }
            mark::SENT
        }
        Err(_) => mark::REFUSED,
    }
}

async fn send_by_trying(state: &mut State, sender: &Sender<Item>, mut item: Item) -> u8 {
    loop {
        match sender.try_send(item) {
            Ok(()) => return mark::SENT,
            Err(TrySendError::Closed(_)) => return mark::REFUSED,
            Err(TrySendError::Full(same)) => {
                if state.rng.u8(..) < state.disturbance.cancels / 4 {
                    return mark::CANCELLED;
                }
                item = same;
                state.cell.executor.pause().await;
            }
        }
    }
}

/// Sends several items, with their marks. Returns the mark of the last one.
pub(super) async fn send_many(
    state: &mut State,
    sender: &Sender<Item>,
    producer: usize,
    attempts: Range<usize>,
) -> u8 {
    let items = attempts.clone().map(|it| state.record.item(producer, it));
    let mut items = VecDeque::from_iter(items);
    let mark_of_rest = if state.rng.bool() {
        let sending = sender.send_many(&mut items);
        match state.disturbance.disturb(sending).await {
            Some(Ok(())) => mark::SENT,
            Some(Err(_)) => mark::REFUSED,
            None => mark::CANCELLED,
        }
    } else {
        match sender.try_send_many(&mut items) {
            Ok(_) | Err(TrySendError::Full(())) => mark::CANCELLED,
            Err(TrySendError::Closed(())) => mark::REFUSED,
        }
    };
    let rest = attempts.end - items.len();
    assert!(items.iter().map(|item| item.attempt).eq(rest..attempts.end));
    let mark_of = |attempt| match attempt < rest {
        true => mark::SENT,
        false => mark_of_rest,
    };
    for attempt in attempts.clone() {
        state.record.item_sent(producer, attempt, mark_of(attempt));
    }
    mark_of(attempts.end - 1)
}
