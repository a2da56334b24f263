//! How a channel behaves in each state, and what it promises.
//!
//! [`stopping`] shows how the work of a channel ends, in order or early. [`async_channel`] lists what is
//! different for programs that used async-channel.
//!
//! # States
//!
//! A channel is *open* until it is closed, by [`close`](crate::Sender::close), by
//! [`close_now`](crate::Monitor::close_now), or because its last sender or receiver is dropped. A
//! task channel is *finished* when it is closed, nothing is queued and no task is in hand. A plain
//! channel is finished when it is closed and nothing is queued. A task is *in hand* after it was
//! received and before it has ended. An item that a task has queued for later is
//! [*delayed*](#delays) until it is due. In this table, it counts as a task in hand.
//!
//! | call or event | open | closed, items queued | closed, empty, tasks in hand | finished |
//! |---|---|---|---|---|
//! | `send`, `try_send` | sends; waits, or `Full(item)` | an error with the item | an error with the item | an error with the item |
//! | a `send` that is waiting when the channel is closed | | returns an error with its item | | |
//! | `send_from` | sends, or waits | an error; the item stays in the slot | the same | the same |
//! | `send_many`, `try_send_many` | sends what there is room for; waits for more, or `Full` if there is none | an error; the items stay in the deque | the same | the same |
//! | `force_send` | sends; if the channel is full, evicts the oldest sent item and returns it | an error with the item | an error with the item | an error with the item |
//! | `ready`, `poll_ready` | completes if there is room, or waits | an error | an error | an error |
//! | a sink of `into_sink` | sends, or waits | an error; the sink keeps the item | the same | the same |
//! | `recv` and streams, on a plain channel | item, or waits | item | | `RecvError`; `None` from then on |
//! | `recv` and streams, on a task channel | task, or waits | task | waits | `RecvError`; `None` from then on |
//! | `try_recv` | item or task, or `Empty` | item or task | `Empty` | `Closed` |
//! | `recv_many`, `try_recv_many` | as `recv` and `try_recv`, but takes all that is queued, up to a maximum | the same | as `recv` and `try_recv` | the same |
//! | `try_iter`, `drain` | the items that are queued; `drain` no more than there were at the call | the same | nothing | nothing |
//! | `iter`, and a `for` loop | as `recv`, on a thread | the same | the same | ends |
//! | `*_blocking`, `*_timeout`, `*_deadline` | as `send`, `recv`, `join`, `finished`; `Timeout` or `None` at the deadline | the same | the same | the same |
//! | `send_until`, `recv_until` | as `send`, `recv`; `Stopped` once the other future is ready | the same | the same | the same |
//! | `Task::retry`, `Task::follow_up` | queued, never waits | queued | queued; after `close_now`, an error with the item | |
//! | `Task::retry_after`, `Task::retry_at`, `Task::follow_up_after` | delayed, never waits | delayed | delayed; after `close_now`, an error with the item | |
//! | `upgrade` of a weak handle | a handle, while one of its side is left | `None` | `None` | `None` |
//! | `closed()` | waits | ready | ready | ready |
//! | `join()` | waits until nothing is queued or in hand | waits | waits | ready |
//! | `finished()` | waits | waits | waits | ready |
//! | `failed()` | the first failure, or waits | the same | the same | the first failure, or `None` |
//! | the last receiver is dropped | closes; drops queued and delayed items now and counts them as discarded | the same | tasks in hand still count | |
//! | the last sender is dropped | closes | | | |
//! | a sender ends with `fail`, or a panic drops it | as if it were dropped, and counts as a failure | counts as a failure | counts as a failure | |
//! | `close_now()` | closes; returns queued and delayed items and counts them as discarded; from then on, nothing is queued | the same | returns delayed items; from then on, nothing is queued | returns an empty iterator |
//!
//! An unbounded channel is never full, so `send` does not wait there. `into_send`, `into_recv`,
//! `into_join` and `into_finished` do what `send`, `recv`, `join` and `finished` do.
//!
//! After `close_now`, and when no receiver is left, nothing can be queued: `retry` and `follow_up` return
//! an error with the item. So does `retry` when the attempts are used up. A task whose retry is refused
//! has failed.
//!
//! # Cancellation
//!
//! Cancellation loses no item that was sent. A `recv` future that is dropped before it is ready has
//! taken nothing. A `send` future that is dropped before it is ready has sent nothing, and drops
//! its item. A waiter that was woken and is then dropped passes the wakeup on. So does a `ready` that
//! completes, because it takes no room.
//!
//! To keep an item that was not sent, use [`send_from`](crate::Sender::send_from): the item stays in the
//! slot of the caller until the channel has it. Or take it out of a `send` future with
//! [`into_inner`](crate::Send::into_inner). A `send_many` future that is dropped may have sent some of
//! its items; the others are still in the caller's deque. A `recv_many` future that is dropped before it
//! is ready has taken nothing.
//!
//! A `send` that times out or is stopped returns its item, and a `recv` that times out or is stopped has
//! taken nothing. Even if the deadline is past, or the future that stops the call is ready from the
//! start, an item is sent if there is room, and received if there is one.
//!
//! There are no permits, such as `reserve()` returns in other channels. Here, a permit would claim a slot
//! of the channel. Items are received in the order of their slots, so an empty slot holds up all items
//! behind it, and a permit that is forgotten would block the channel. `send_from` waits for room without
//! claiming any. To create an item only once it can be sent, await [`ready`](crate::Sender::ready), and
//! then use `try_send` or `send_from`: that there is room is a hint, because another sender may take it.
//!
//! There is no capacity 0. Such a channel would hand an item directly to a waiting receiver, and
//! would lose the item when that receiver is cancelled.
//!
//! # Accounting
//!
//! In a report of `join` or `finished`, the counts add up:
//!
//! * `sent + followed_up + retried == received + evicted + discarded`: each queued item was delivered,
//!   evicted or discarded.
//! * `received == done + failed + abandoned + panicked + retried`: each delivery ended in exactly
//!   one way.
//!
//! On a plain channel, each delivery counts as done.
//!
//! A sender that a panic drops may not have sent everything. So this is a failure, on channels of both
//! kinds, which [`failed_senders`](crate::Report::failed_senders) counts; and so is a sender that ends with
//! [`fail`](crate::Sender::fail). Once a call has seen that the channel is finished, its
//! outcome is final: a sender that fails later changes nothing.
//!
//! [`force_send`](crate::Sender::force_send) evicts the oldest sent item of a full channel, and returns
//! it to its caller. That is no failure, and nothing waits for that item any more.
//!
//! A task that is dropped is never a success. It counts as abandoned, or as panicked while its
//! thread unwinds; under [`Abandon::Requeue`](crate::Abandon::Requeue) it is queued again while
//! attempts remain. `join` returns the first failure until
//! [`take_failure`](crate::Monitor::take_failure) takes it. [`Builder::keep_failures`](crate::Builder::keep_failures)
//! makes it return more of them.
//!
//! What a worker did before `done()` happens before what follows `join().await`.
//!
//! `join` may wait forever if new work keeps arriving. Pause the producers, or close the channel and
//! await `finished`.
//!
//! # Delays
//!
//! [`Task::retry_after`](crate::Task::retry_after), `retry_at`, `retry_after_or_fail` and
//! `follow_up_after` queue an item for later, and return at once. No item is received before it is due.
//! How soon it is received then depends on the machine and on the receivers.
//!
//! Items that are due join the end of the line of items that tasks have queued, in order of due time. A
//! call whose delay is zero, or whose time is past, is an ordinary `retry` or `follow_up`. A delay that is
//! longer than the clock can represent, such as `Duration::MAX`, ends in the far future.
//!
//! Delayed items are outstanding: `join`, `finished` and the end of a receiver wait for them, after a
//! close too. `close_now` returns them, after the items that are queued; these items come in order of due
//! time. When the last receiver is dropped, they are dropped, and count as discarded. The limit on attempts
//! is checked when the item is delayed. [`Stats`](crate::Stats) and the `Debug` output of a monitor show
//! how many items are delayed, and when the next one is due.
//!
//! One thread of the process makes delayed items receivable, on all channels, with any executor. It starts
//! when an item is delayed, and ends a tenth of a second after none is. If it cannot be started, the call panics, and
//! the task is dropped by that panic. The thread calls the wakers of receivers. If one panics, the thread
//! goes on, and all other wakers are called. A waker that blocks holds up the delayed items of all channels,
//! and so does an executor that polls its tasks inside `wake`.
//!
//! Delays are absent on WebAssembly and without `std`.
//!
//! # Time
//!
//! A channel that [measures time](crate::Builder::measure_time) knows how long each item was queued and how
//! long each task is in hand. [`Stats`](crate::Stats) and the `Debug` output of a monitor show the age of the
//! oldest of either. [`Task::waited`](crate::Task::waited) returns how long the item of a task was queued.
//!
//! The time of an item begins when it can be received: when its send succeeds, not when the call begins to
//! wait; when a task queues it again; and when a delayed item is due. The time of a task begins when it is
//! received, and ends when the task or its [`Ticket`](crate::Ticket) does. Plain channels have no tasks.
//!
//! Such a channel is slower. It reads the clock twice for each item, takes a lock when a task is received and
//! when it ends, and its callers never pause before they wait. Together that takes about a tenth of a
//! microsecond for each item. Other channels do not pay for this. Measuring is absent on WebAssembly and without `std`.
//!
//! # Deadlocks and stalls to avoid
//!
//! Do not wait for the next task of a channel while you hold a task of that channel that you are
//! not processing. Once the channel is closed and empty, `recv` waits for all tasks in hand,
//! because they may be retried or followed up. Yours is one of them, so you wait for yourself, and
//! workers that all do this wait for each other. `StreamExt::chunks` and `collect` hold tasks in
//! this way. To take several tasks, use `recv_many`, which waits for the first one only.
//!
//! A stream that was polled and then left alone may keep one wakeup: an item stays queued, even if
//! another receiver is idle, until the stream is polled again or dropped. This is so for other calls of
//! the same receiver, too: `recv`, `recv_many`, calls that block the thread, `iter`, and each `stream()`.
//! `ready_chunks` and `buffer_unordered` leave the stream in this state while their consumer works.
//! Among several workers use `recv`, or `for_each_concurrent`. A sender that was polled with
//! `poll_ready`, or as a sink, and then left alone may keep one wakeup in the same way, while there is
//! room.
//!
//! # Fairness
//!
//! Each item wakes the receiver that has waited longest, and each vacant slot the sender that has
//! waited longest. If another caller takes the item or the slot first, the woken waiter keeps its
//! place ahead of all waiters that came later, and gets priority: other calls of `send` or `recv`
//! on its side let other tasks run before they try. They do so at least once, and at most twice on
//! average: a fixed number could be too low each time, if tasks are polled in a rhythm. So every loop of
//! `recv().await` or `send().await` gets at least half of an even share, or nearly so beside dozens of
//! others, on an executor that polls woken tasks in order or in random order. This includes channels
//! with a [budget](crate::Builder::yield_after). Three exceptions are known on executors that poll woken
//! tasks in order:
//!
//! * The loops of one side yield after each item, and those of the other side never do. With up to six
//!   tasks on each side, each loop gets a third. With more tasks, it may be less: of two senders that
//!   never yield, beside ten receivers that do, one sends nine items for each item of the other.
//! * A loop takes all that it finds in its turn. If the turns of the other side differ in a rhythm, as
//!   those of a sender that fills a large channel and then sends a few items before it yields, one
//!   receiver may find the many items each time, and another one the few.
//! * A side has dozens of tasks, and a budget of fewer than ten calls. Some tasks may get a fifth.
//!
//! A `ready` waits in line with the senders, but does not hold its place after it has completed. So a
//! loop of `ready` and `try_send` has no guaranteed share.
//!
//! A batch is one waiter. `send_many` takes turns with other senders: after each time that it has
//! moved items into the channel, it waits behind those that are already waiting. In its turn, it may
//! take all the room that there is, and `recv_many` may take all that is queued.
//!
//! Fairness has four limits. Calls that block the thread do not let others run first. Calls that never
//! wait, such as `try_send`, `force_send` and `drain`, can take everything that a waiter was woken for,
//! if they are made in a loop. Where futures are polled by strict priority, as in `join!`, the last one
//! may get nothing. A waiter that is forgotten (`mem::forget`) absorbs at most one wakeup.
//!
//! # Use of the processor
//!
//! A `recv` or `send` that finds nothing to take, or no room, may pause its thread for a few
//! microseconds before it waits. It does so where earlier pauses have saved a wait, which is where
//! the other end runs on another processor. Elsewhere, one call in a thousand tries a pause. These
//! pauses take at most about a hundredth of the total time, and each takes less than a tenth of a
//! millisecond. If a task finds something after every pause, it lets other tasks run after 64
//! pauses.
//!
//! A loop of `recv` or `send` that never has to wait never lets other futures of its task or thread
//! run. Let it yield now and then, or give the channel a budget by
//! [`Builder::yield_after`](crate::Builder::yield_after). After that many calls of one side, the next one
//! returns `Pending`, and wakes its task. So timeouts around the loop fire, and timers beside it
//! are not late. A batch counts as one call each time that it moves items. Calls that return no future,
//! such as `try_recv` and `recv_blocking`, do not yield. To give only one stream a budget, call its
//! [`yield_after`](crate::RecvStream::yield_after).
//!
//! # Panics
//!
//! The channel never runs your wakers, destructors and error conversions under a lock. If one of
//! them panics, the others still run; then the panic propagates out of the call. If that call had
//! just received an item, the item is dropped. A task then counts as panicked, or is queued again
//! under `Abandon::Requeue`.
//!
//! Several panics in one call never abort the process: the first propagates, and the others are
//! swallowed. If the thread is already unwinding, the crate's destructors swallow all of them. (Less is
//! promised [without `std`](crate#without-std).)
//!
//! A panic in an item that `TaskReceiver::run` or `run_tasks` processes propagates out of the pool, and
//! usually ends it. With `Run::catch_panics`, it ends only that item, which counts as panicked, and the
//! pool continues.
//!
//! If a waker panics in a call that moves a batch, the batch has moved: what `recv_many` has received
//! is in the caller's vector, and what `send_many` has not sent is in the caller's deque.

// the names of async-channel, and what is different
pub mod async_channel;
// close, close_now, a grace period, aborting
pub mod stopping;
