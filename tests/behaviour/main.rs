//! How the channel behaves, through its public interface: one module for each subject.
//!
//! ```text
//! cargo test --all-features --test behaviour MODULE::
//! ```
//!
//! Most tests run on both kinds of channel: [`common::on_both_kinds`] makes two of each.
//! Interleavings of threads are the subject of `loom.rs` and `stress.rs`, memory that of `alloc.rs`.

#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;

// The names and signatures of async-channel.
#[cfg(feature = "std")]
mod async_channel;
// Traits and sizes of the public types.
mod auto_traits;
// Several items at once.
mod batch;
// Calls that block the thread.
#[cfg(feature = "std")]
mod blocking;
// Items: order, capacity, counts, errors.
mod bounded;
// Calls that yield although they need not wait.
mod budget;
// Every future, dropped at every point.
mod cancel;
// Closing a channel, by a call or by dropping handles.
mod close;
// Closing a channel and taking back what is queued.
mod close_now;
// Futures that have completed.
mod completion;
// Errors that become others.
mod conversions;
// Delayed retries and follow-ups.
#[cfg(feature = "std")]
mod delay;
// `drain`: what it yields, and when it ends.
mod drain;
// Events for subscribers of tracing.
#[cfg(all(feature = "std", feature = "tracing"))]
mod events;
// Senders that fail.
mod failing_senders;
// Several failures.
mod failures;
// Which waiter is woken, how often, and what share each one gets.
mod fairness;
// Sends that evict the oldest item.
mod force;
// `join`, `finished` and `failed`.
mod join;
// Retries and follow-ups.
mod lane;
// Items that barely fit on the stack.
#[cfg(feature = "std")]
mod large;
// How long items were queued, and tasks in hand.
#[cfg(feature = "std")]
mod measuring;
// Threads, futures and streams on one channel.
#[cfg(feature = "std")]
mod mixed;
// Futures that own their handle.
mod owned;
// Panics in wakers, destructors and conversions.
mod panic;
// The prelude.
mod prelude;
// Wakers and destructors that use the channel.
mod reentrancy;
// Pools inside one future.
#[cfg(feature = "futures")]
mod run;
// Futures that lose in a `select!`.
mod select;
// Sends that lose no item, and waiting for room.
mod sending;
// A sender as a `Sink`.
#[cfg(feature = "futures")]
mod sink;
// What every operation does in every state.
mod states;
// A receiver as a `Stream`, and the streams of a receiver.
mod stream;
// The ends of a task.
mod task;
// Unbounded channels.
mod unbounded;
// `send_until` and `recv_until`: what stops them, and when.
mod until;
// Weak handles.
mod weak;
// A channel with a record of its items, for the matrices of `cancel` and `reentrancy`.
mod world;
