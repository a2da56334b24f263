//! A worker that is a pool inside one future, of `run_tasks`. Its futures sometimes panic.

use std::future::Future;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;

use tollgate::Task;
use tollgate::TaskReceiver;

use super::HAND;
use super::State;
use super::item::Item;
use super::item::Outcome;
use super::worker::continue_chain;
use super::worker::drop_with;
use super::worker::end_at_random;
use super::worker::record_delivery;

/// Does what the workers of `recv` do, with one task at a time in each of several futures.
pub(super) async fn work(mut state: State, receiver: TaskReceiver<Item>) {
    let monitor = receiver.monitor();
    let record = Arc::clone(&state.record);
    let hand = NonZeroUsize::new(HAND).unwrap();
    let pool = receiver.run_tasks(hand, move |task| {
        let task = Held(Some(record_delivery(&state, task)));
        let state = State {
            record: Arc::clone(&state.record),
            executor: state.executor,
            rng: state.rng.fork(),
        };
        end(state, task)
    });
    let mut pool = pool.catch_panics();
    let is_finished = poll_fn(|cx| {
        if record.stop.load(Ordering::Relaxed) {
            return Poll::Ready(false);
        }
        Pin::new(&mut pool).poll(cx).map(|()| true)
    });
    if is_finished.await {
        assert_eq!(monitor.outstanding(), 0, "the pool ended with work left");
    }
}

/// A task that a future has. It records what dropping the task does.
struct Held(Option<Task<Item>>);

impl Drop for Held {
    fn drop(&mut self) {
        let Some(task) = self.0.take() else {
            return;
        };
        let outcome = match thread::panicking() {
            true => Outcome::Panicked,
            false => Outcome::Abandoned,
        };
        drop_with(task, outcome, drop);
    }
}

/// Ends a task after a pause, or panics.
async fn end(mut state: State, mut held: Held) {
    state.maybe_pause(8).await;
    let chain = held.0.as_ref().unwrap().chain;
    if chain.is_none() && state.rng.u8(0..32) == 0 {
        resume_unwind(Box::new("worker"));
    }
    let task = held.0.take().unwrap();
    match chain {
        Some(left) => continue_chain(&mut state, task, left),
        None => end_at_random(&mut state, task),
    }
}
