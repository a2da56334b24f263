//! Channels under load, on many executors: no item is lost, duplicated or reordered, and no future
//! waits forever.
//!
//! Each test runs one executor through all topologies, capacities and ways to end, on plain
//! channels and on task channels. Futures are cancelled, polled without a wake and moved; consumers
//! alternate between `recv`, `try_recv` and the stream; handles are cloned and dropped; workers
//! fail, abandon their tasks and panic. Each cell checks, against what its actors recorded:
//!
//! * Every item that was sent is received once, evicted by a later send, or discarded with the last
//!   receiver; a cancelled or refused send delivers nothing. Every item is dropped once.
//! * Each consumer receives the items of each producer in order.
//! * There are never more items queued than the capacity.
//! * The result of a `join` is right for one instant, and a `join` synchronizes with the workers.
//! * `finished` completes when the channel is closed and all work has ended, `failed` with the
//!   first failure, and a stream ends when nothing more can come. The reports are exact.
//! * Every actor completes: no wake is lost.
//! * The channel is freed, once, with the last handle or task.
//!
//! Retries, follow-ups, both also delayed, requeued tasks, `close_now` and `run_tasks` have a stress test of their own,
//! [`pool`], which records how each item ends.
//!
//! A failure names its cell and the seed of all decisions; `TOLLGATE_STRESS_SEED=… cargo test
//! --test stress` makes the same decisions. The threads may still interleave differently, so it may
//! take some runs to fail again.

#![cfg(not(loom))]

#[path = "stress/actors.rs"]
mod actors;
#[path = "stress/cell.rs"]
mod cell;
mod common;
#[path = "stress/disturb.rs"]
mod disturb;
#[path = "stress/ending.rs"]
mod ending;
#[path = "stress/executor.rs"]
mod executor;
#[path = "stress/freeing.rs"]
mod freeing;
#[path = "stress/overlap.rs"]
mod overlap;
#[path = "stress/pool.rs"]
mod pool;
#[path = "stress/record.rs"]
mod record;

use std::env;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use tollgate::Receiver;
use tollgate::Sender;
use tollgate::kind;

use crate::cell::Cell;
use crate::cell::Executor;
use crate::cell::Kind;
use crate::common::Given;
use crate::record::Item;
use crate::record::Record;

#[test]
fn tokio_multi_thread() {
    run_all(Executor::TokioMultiThread);
}

#[test]
fn tokio_current_thread() {
    run_all(Executor::TokioCurrentThread);
}

#[test]
fn async_std() {
    run_all(Executor::AsyncStd);
}

#[test]
fn smol() {
    run_all(Executor::Smol);
}

#[test]
fn futures_local_pool() {
    run_all(Executor::LocalPool);
}

#[test]
fn thread_per_future() {
    run_all(Executor::Threads);
}

#[test]
fn tokio_and_smol_share_channel() {
    run_all(Executor::TokioAndSmol);
}

#[test]
fn last_handle_or_task_frees_channel() {
    let cell = Cell::of_freeing(seed(), 20_000, freeing::ITEMS);
    let _print = PrintOnPanic(cell);
    freeing::run(cell);
}

#[test]
fn pool_with_every_outcome_adds_up() {
    pool::run(seed());
}

#[test]
fn join_waits_while_items_overlap() {
    let (sender, receiver) = tollgate::bounded(overlap::CAPACITY);
    let send = || sender.try_send(()).unwrap();
    let end = || receiver.try_recv().unwrap();
    overlap::run(
        &sender.monitor(),
        fastrand::Rng::with_seed(seed()),
        send,
        end,
    );
}

#[test]
fn join_waits_while_tasks_overlap() {
    let (sender, receiver) = tollgate::tasks(overlap::CAPACITY);
    let send = || sender.try_send(()).unwrap();
    let end = || receiver.try_recv().unwrap().done();
    overlap::run(
        &sender.monitor(),
        fastrand::Rng::with_seed(seed()),
        send,
        end,
    );
}

fn run_all(executor: Executor) {
    let seed = seed();
    for kind in [Kind::Plain, Kind::Tasks] {
        for cell in Cell::all(kind, executor, seed) {
            match (kind, cell.capacity) {
                (Kind::Plain, cell::UNBOUNDED) => run(cell, tollgate::unbounded()),
                (Kind::Plain, capacity) => run(cell, tollgate::bounded(capacity)),
                (Kind::Tasks, cell::UNBOUNDED) => run(cell, tollgate::unbounded_tasks()),
                (Kind::Tasks, capacity) => run(cell, tollgate::tasks(capacity)),
            }
        }
    }
}

fn seed() -> u64 {
    match env::var("TOLLGATE_STRESS_SEED") {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => fastrand::u64(..),
    }
}

fn run<K>(cell: Cell, (sender, receiver): (Sender<Item>, Receiver<Item, K>))
where
    K: kind::Kind<Received<Item>: Given<Item> + Send> + 'static,
{
    let _print = PrintOnPanic(cell);
    let record = Arc::new(Record::new(cell));
    let wakers = Arc::new(AtomicUsize::new(0));
    let monitor = sender.monitor();
    let actors = actors::of_cell(cell, &record, &wakers, sender, receiver);
    if let Err(what) = cell.executor.run(actors) {
        panic!("{what}\n{monitor:?}");
    }
    drop(monitor);
    record.check_all(&wakers);
}

/// Prints the cell in which a test fails.
struct PrintOnPanic(Cell);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in cell: {:?}", self.0);
        }
    }
}
