//! An async multi-producer multi-consumer channel for any executor that also tells you when all the
//! work sent through it is done.
//!
//! There are two kinds of channel:
//!
//! * [`bounded`] and [`unbounded`] make a plain channel. A [`Receiver`] gives the items themselves, and
//!   an item counts as done when it is received.
//! * [`tasks`] and [`unbounded_tasks`] make a task channel. A [`TaskReceiver`] gives each item as a
//!   [`Task`], which counts as outstanding until its worker ends it, by [`done`](Task::done),
//!   [`fail`](Task::fail) or [`retry`](Task::retry), or drops it. A task that is dropped is a failure,
//!   unless [`Abandon::Requeue`] requeues it. [`follow_up`](Task::follow_up) queues new work.
//!   [`retry_after`](Task::retry_after) and [`follow_up_after`](Task::follow_up_after) do so for later.
//!
//! A [`Builder`] makes either kind with more options.
//!
//! On both kinds, [`send`](Sender::send) waits while the channel is full, which an unbounded channel
//! never is. Receivers are also `Stream`s. [`close`](Sender::close) ends sending; queued items can still
//! be received. [`close_now`](Monitor::close_now) also ends sending, but takes out the queued items and
//! returns them, and lets tasks queue nothing any more.
//!
//! There are more ways to send and to receive: without waiting, for a limited time, several items at
//! once, or in place of the oldest item. The tables at [`Sender`] and [`Receiver`] show which call to
//! use.
//!
//! A producer that panics, or that says by [`Sender::fail`] that it could not send everything, is a failure.
//!
//! A [`Monitor`] counts neither as a sender nor as a receiver, so it does not keep the channel open.
//! Its [`join`](Monitor::join) completes when nothing is queued and no task is in hand. Its
//! [`finished`](Monitor::finished) completes when the channel is closed as well. Both return a
//! [`Report`], or a [`JoinError`] with the first [`Failure`], or with
//! [more](Builder::keep_failures). [`failed`](Monitor::failed) returns the first failure early.
//!
//! Threads use the blocking calls, such as [`send_blocking`](Sender::send_blocking) and
//! [`recv_timeout`](Receiver::recv_timeout), and iterate over a receiver. (These are absent on
//! WebAssembly and without `std`.)
//!
//! A [`WeakSender`] or [`WeakReceiver`] does not keep the channel open.
//!
//! The [`guide`] says what each call does in each state of a channel, and what is promised about
//! cancellation, fairness, panics and accounting. Its page [*Stopping*](guide::stopping) shows how a pool of
//! workers ends.
//!
//! # Examples
//!
//! A pool of four workers:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, receiver) = tollgate::tasks::<u32>(16);
//! let monitor = sender.monitor();
//! for _ in 0..4 {
//!     let receiver = receiver.clone();
//!     tokio::spawn(async move {
//!         while let Ok(task) = receiver.recv().await {
//!             println!("{}", *task * 2);
//!             task.done();
//!         }
//!     });
//! }
//! // The workers hold clones. If all of them stop, the channel closes instead of filling up.
//! drop(receiver);
//! for number in 1..=100 {
//!     sender.send(number).await?;
//! }
//! drop(sender);
//! assert_eq!(monitor.finished().await?.done, 100);
//! # Ok(())
//! # }
//! ```
//!
//! The directory `examples` of the crate has ten short programs: this pool, graceful shutdown,
//! retries, a pool that feeds its own queue, order for each key, two stages, threads, any runtime, a
//! stream, and a timeout in a `select!`. It also has whole programs, among them a web service. The
//! repository, but not the published package, has a worker whose jobs come from a broker.
//!
//! # Imports
//!
//! Do not import `tollgate::*`: [`Send`](struct@Send), the future that [`Sender::send`] returns, would
//! hide the trait [`Send`](trait@core::marker::Send) of the standard library. Import
//! [`tollgate::prelude::*`](prelude) instead.
//!
//! # Features
//!
//! * `std`, which is on by default: blocking calls, delays, locks on which threads sleep, and the handling
//!   of panics that the [`guide`] describes. See [below](#without-std) for what is there without it.
//! * `critical-section`: without `std`, interrupt handlers may use channels. With `std`, it only
//!   changes how event-listener locks the waiters beyond the first 128.
//! * `futures`: `TaskReceiver::run` and `run_tasks`, pools of workers inside one future; and
//!   `Sender::into_sink`, which makes a futures `Sink` of a sender.
//! * `tracing`: [events](#events) for subscribers of the crate tracing.
//!
//! Where the target has no 64-bit atomics, such as 32-bit PowerPC and MIPS, ARMv5 and Cortex-M, the
//! crate depends on portable-atomic for them. No feature has to be set.
//!
//! # Without `std`
//!
//! With `default-features = false`, the crate needs only `core` and `alloc`, and a target whose atomics
//! can compare and exchange a `usize`. (`alloc::sync::Arc` needs them too. So Cortex-M0, for one, is
//! not supported.) It differs in this:
//!
//! * There are no calls that block the thread, and none that delay an item.
//! * A caller that finds a lock held spins. Locks are held for some ten nanoseconds, but their holder
//!   may be interrupted. If an interrupt handler, or a thread of a higher priority on the same
//!   processor, then finds the lock held, it spins forever. This concerns all calls. **If a channel is
//!   used in interrupt handlers or by threads of fixed priorities, set the feature
//!   `critical-section`.** Each lock, and the few instructions for which a slot of the queue is
//!   claimed, are then inside a critical section, which the crate critical-section implements as your
//!   target requires. The price is two such sections for an item, and that no interrupt is handled
//!   while an item or a batch is copied, while a segment of an unbounded channel is allocated or freed,
//!   or while a list of waiters grows and allocates. (So keep batches small.) The allocator must then be
//!   usable in interrupt handlers, too.
//! * Nothing tells whether a panic is unwinding the stack. A task that is dropped by one counts as
//!   abandoned, not as panicked. A sender that is dropped by one is no failure.
//! * No panic is caught, so pools have no `catch_panics`. If a waker or a destructor panics, destructors
//!   still do the rest of the call's work. But a second panic in the same call aborts, as does one in a
//!   destructor of this crate while the stack is being unwound.
//! * A caller that waits does not measure time: there is no clock.
//!
//! # Events
//!
//! With the feature `tracing`, a channel emits these events, whose target is `tollgate`:
//!
//! | message | level | when | fields |
//! |---|---|---|---|
//! | `channel closed` | debug | once | |
//! | `channel finished` | debug | once, after the close | `is_ok`, and those of the [`Report`] |
//! | `first failure` | warn | at the first failure, and again after each [`take_failure`](Monitor::take_failure) | `failure`, `error` |
//! | `long wait for room` | warn | a send has waited for a second or more, and has succeeded or given up | `waited` |
//! | `long wait for an item` | debug | the same for a receive | `waited` |
//!
//! `Builder::warn_after` sets another limit for the waits, which are measured only with `std`. All events
//! also have the fields `channel` (its address), `item` (the type), `kind` (`"plain"` or `"tasks"`),
//! `queued`, `delayed`, `in_hand`, `senders` and `receivers`. Nothing is reported after the last handle is
//! dropped, although tasks may still be in hand.
//!
//! An event comes after all waiters have been notified, and while no lock is held. So a subscriber may use
//! the channel. If it panics, the channel handles this as it does a panic of a waker.

#![no_std]
// docs.rs shows which features an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

// A module uses only modules declared above it; tests check that.

// std or loom: atomics, locks, cells
mod sync;
// running user code, which may panic
mod unwind;
// the outcomes of one attempt
mod attempt;
// the clock of channels that measure time
mod clock;
// what is queued: the storage, and the lane of task channels; all `unsafe` of queueing
mod queue;
// the lists of waiters, and the one wait loop
mod wait;
// the errors of sending, receiving and retrying
mod error;
// what happens to a task that is not done
mod policy;
// reports, figures, failures
mod report;
// the iterator that `close_now` returns
mod iter;
// which work is left, and the outcome of the rest
mod accounting;
// one thread, which visits channels when delayed items are due
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod timer;
// what handles share; which change notifies which waiters; the life of an item
mod channel;
// what keeps a channel's memory alive
mod shared;
// how a delivery of a task channel ends
mod delivery;
// a received item that counts until its task ends
mod task;
// the two kinds of channel, as a parameter
pub mod kind;
// a verb: attempt, completion, cancellation
mod operation;
// the verbs, and their futures
pub mod future;
// the observing handle
mod monitor;
// the sending handle
mod sender;
// the receiving handle, also a stream; its streams and iterators
mod receiver;
// handles that do not keep their side alive
mod weak;
// calls that block the thread
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod blocking;
// a pool of workers inside one future
#[cfg(feature = "futures")]
mod run;
// a sender as a futures sink
#[cfg(feature = "futures")]
mod sink;
// channels with options
mod builder;
// documentation: what each call does in each state, and what is promised
pub mod guide;

// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub use blocking::IntoIter;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
pub use blocking::Iter;
pub use builder::Builder;
pub use error::RecvError;
pub use error::RecvTimeoutError;
pub use error::RecvUntilError;
pub use error::RetryError;
pub use error::SendError;
pub use error::SendTimeoutError;
pub use error::SendUntilError;
pub use error::TryRecvError;
pub use error::TrySendError;
pub use future::Closed;
pub use future::Recv;
pub use future::Send;
pub use iter::Drained;
pub use monitor::Monitor;
pub use policy::Abandon;
pub use receiver::Drain;
pub use receiver::IntoStream;
pub use receiver::Receiver;
pub use receiver::RecvStream;
pub use receiver::TaskReceiver;
pub use receiver::TryIter;
pub use report::Failure;
pub use report::JoinError;
pub use report::Report;
pub use report::Stats;
#[cfg(feature = "futures")]
pub use run::Run;
pub use sender::Sender;
#[cfg(feature = "futures")]
pub use sink::SendSink;
pub use task::Task;
pub use task::Ticket;
pub use weak::WeakReceiver;
pub use weak::WeakSender;

/// The handles and the functions that make channels, for a glob import.
///
/// It contains nothing that hides a name of the standard prelude. (A glob import of the crate root
/// would: `tollgate::Send` is a future.) Errors, futures and iterators are imported by name.
///
/// # Examples
///
/// ```
/// use tollgate::prelude::*;
///
/// // This is the trait.
/// fn spawn_worker<T: Send + 'static>(receiver: TaskReceiver<T>) {
///     std::thread::spawn(move || {
///         for task in receiver {
///             task.done();
///         }
///     });
/// }
///
/// let (sender, receiver) = tasks(1);
/// spawn_worker(receiver);
/// sender.send_blocking("hello")?;
/// let monitor: Monitor<&str> = sender.monitor();
/// drop(sender);
/// assert_eq!(monitor.finished_blocking()?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod prelude {
    pub use crate::bounded;
    pub use crate::builder::Builder;
    pub use crate::monitor::Monitor;
    pub use crate::policy::Abandon;
    pub use crate::receiver::Receiver;
    pub use crate::receiver::TaskReceiver;
    pub use crate::sender::Sender;
    pub use crate::task::Task;
    pub use crate::task::Ticket;
    pub use crate::tasks;
    pub use crate::unbounded;
    pub use crate::unbounded_tasks;
    pub use crate::weak::WeakReceiver;
    pub use crate::weak::WeakSender;
}

/// Sets the clock of a model that measures time.
#[cfg(loom)]
#[doc(hidden)]
pub fn set_clock(nanoseconds: u64) {
    clock::set(nanoseconds);
}

/// Creates a plain channel that holds up to `cap` items.
///
/// The capacity can be any number from 1 up. The memory for all items is allocated at once, for a
/// number of items that is rounded up to a power of two.
///
/// # Panics
///
/// Panics if `cap` is 0, because a channel that holds nothing would have to hand an item directly to
/// a waiting receiver, and would lose the item when that receiver is cancelled. Also panics if the
/// memory cannot be allocated.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(1);
/// sender.send("hello").await?;
/// assert_eq!(receiver.recv().await, Ok("hello"));
/// # Ok::<(), tollgate::SendError<&str>>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    Builder::new().capacity(cap).build()
}

/// Creates a plain channel that holds any number of items.
///
/// [`send`](Sender::send) never waits: its future completes when it is first polled. Nothing limits
/// how far senders get ahead of receivers, so prefer a [`bounded`] channel unless something else
/// does.
///
/// Memory is allocated for a few dozen items at a time, and freed as they are received.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::unbounded();
/// for number in 0..1_000 {
///     sender.try_send(number)?;
/// }
/// drop(sender);
/// assert!(receiver.try_iter().eq(0..1_000));
/// # Ok::<(), tollgate::TrySendError<i32>>(())
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    Builder::new().build()
}

/// Creates a task channel that holds up to `cap` items. Each item is received as a [`Task`].
///
/// # Panics
///
/// Panics in the same cases as [`bounded`].
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(1);
/// let monitor = sender.monitor();
/// sender.send(21).await?;
/// drop(sender);
///
/// let task = receiver.recv().await?;
/// assert_eq!(task.done() * 2, 42);
/// assert_eq!(monitor.finished().await?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn tasks<T>(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
    Builder::new().capacity(cap).build_tasks()
}

/// Creates a task channel that holds any number of items. Each item is received as a [`Task`].
///
/// [`send`](Sender::send) never waits, as on an [`unbounded`] channel.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::unbounded_tasks();
/// let monitor = sender.monitor();
/// for number in 1..=100 {
///     sender.send(number).await?;
/// }
/// drop(sender);
///
/// let mut sum = 0;
/// while let Ok(task) = receiver.recv().await {
///     sum += task.done();
/// }
/// assert_eq!(sum, 5_050);
/// assert_eq!(monitor.finished().await?.done, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn unbounded_tasks<T>() -> (Sender<T>, TaskReceiver<T>) {
    Builder::new().build_tasks()
}
