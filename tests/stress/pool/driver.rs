//! The driver, which starts rounds and ends the case, and the producers.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;

use smol::channel;
use tollgate::Monitor;
use tollgate::SendError;
use tollgate::Sender;

use super::Ending;
use super::ITEMS;
use super::PRODUCERS;
use super::State;
use super::item::Item;
use super::item::Outcome;
use super::item::report_of;
use crate::common::assert_each_is_counted;

/// What one producer should do in a round.
pub(super) struct Round {
    items: usize,
    may_have_chains: bool,
}

/// How the driver starts a round of each producer, and waits for its end.
pub(super) struct Rounds {
    pub(super) producers: Vec<channel::Sender<Round>>,
    pub(super) over: channel::Receiver<()>,
}

/// Sends the items of each round, or as many as the channel accepts.
pub(super) async fn produce(
    mut state: State,
    rounds: channel::Receiver<Round>,
    sender: Sender<Item>,
    over: channel::Sender<()>,
) {
    while let Ok(round) = rounds.recv().await {
        for _ in 0..round.items {
            let has_chain = round.may_have_chains && state.rng.u32(0..256) == 0;
            let chain = has_chain.then(|| state.rng.u32(1..50));
            if !send(&state, &sender, chain).await {
                break;
            }
            state.maybe_pause(64).await;
            if state.rng.u32(0..512) == 0 {
                fail_at_random(&mut state, sender.clone());
            }
        }
        over.send(()).await.unwrap();
    }
    match state.rng.bool() {
        true => fail_at_random(&mut state, sender),
        false => drop(sender),
    }
}

/// Ends a sender with an error, or in a panic.
fn fail_at_random(state: &mut State, sender: Sender<Item>) {
    match state.rng.bool() {
        true => sender.fail("no more input"),
        false => panic_with(sender),
    }
    state.record.failed_senders.fetch_add(1, Ordering::Relaxed);
}

/// A worker that panics while it owns `owned`.
pub(super) fn panic_with<R>(owned: R) {
    let unwind = AssertUnwindSafe(|| {
        let _owned = owned;
        resume_unwind(Box::new("worker"));
    });
    catch_unwind(unwind).unwrap_err();
}

/// Has items sent in rounds, joins after each, and closes the channel.
pub(super) async fn drive(mut state: State, rounds: Rounds, ending: Ending, sender: Sender<Item>) {
    let monitor = sender.monitor();
    loop {
        let most = 1 << state.rng.u32(0..10);
        let made = state.record.made.load(Ordering::Relaxed);
        let is_last = made + PRODUCERS * most > ITEMS / 2;
        // Items that `close_now` takes are resolved before it returns them, so their chains
        // would end too late.
        let may_have_chains = !(is_last && ending == Ending::CloseNow);
        for producer in &rounds.producers {
            let round = Round {
                items: state.rng.usize(1..=most),
                may_have_chains,
            };
            producer.send(round).await.unwrap();
        }
        if is_last {
            for _ in 0..state.rng.usize(0..most) {
                state.maybe_pause(64).await;
            }
            end_early(&state, ending, &monitor);
        }
        for _ in &rounds.producers {
            rounds.over.recv().await.unwrap();
        }
        if is_last {
            break;
        }
        let result = sender.join().await;
        state.record.check(&result);
        let stats = monitor.stats();
        assert_eq!((stats.queued, stats.delayed, stats.in_hand), (0, 0, 0));
        #[cfg(feature = "std")]
        assert_eq!(stats.next_due, None);
        assert_each_is_counted(&stats);
        assert_eq!(stats.report, *report_of(&result));
    }
    drop(rounds);
    match ending {
        Ending::DropSenders => drop(sender),
        _ => drop(sender.close()),
    }
    let result = monitor.finished().await;
    let failed = monitor.failed().await;
    assert_eq!(failed.is_some(), result.is_err());
    *state.record.finished.lock().unwrap() = Some(result);
}

/// Ends the case while producers send, if it ends in that way.
fn end_early(state: &State, ending: Ending, monitor: &Monitor<Item>) {
    match ending {
        Ending::CloseNow => {
            let drained = monitor.close_now();
            // Release: pairs with the Acquire in `is_over`.
            state.record.is_over.store(true, Ordering::Release);
            drained.for_each(|item| item.return_with(Outcome::Drained));
        }
        Ending::DropReceivers => state.record.stop.store(true, Ordering::Relaxed),
        Ending::DropSenders | Ending::Close => {}
    }
}

/// Sends one item; returns whether the channel is open.
async fn send(state: &State, sender: &Sender<Item>, chain: Option<u32>) -> bool {
    let Some(item) = state.record.item(chain) else {
        return true;
    };
    match sender.send(item).await {
        Ok(()) => {
            state.record.sent.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(SendError(item)) => {
            item.return_with(Outcome::Refused);
            false
        }
    }
}
