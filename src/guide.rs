//! How a channel behaves in each state, and what it promises.
//!
//! # States
//!
//! A channel is *open* until it is closed, by [`close`](crate::Sender::close), by
//! [`close_now`](crate::Monitor::close_now), or because its last sender or receiver is dropped. A task
//! channel is *finished* when it is closed, nothing is queued and no task is in hand; a plain channel
//! when it is closed and nothing is queued.
//!
//! | call or event | open | closed, items queued | closed, empty, tasks in hand | finished |
//! |---|---|---|---|---|
//! | `send`, `try_send` | sends; waits, or `Full(item)` | an error with the item | an error with the item | an error with the item |
//! | a `send` that waits when the channel is closed | | returns an error with its item | | |
//! | `Receiver::recv`, its stream | item, or waits | item | | `RecvError`; `None` from then on |
//! | `TaskReceiver::recv`, its stream | task, or waits | task | waits | `RecvError`; `None` from then on |
//! | `Task::retry`, `Task::follow_up` | queued, never waits | queued | queued | |
//! | `join()` | waits for an instant without work | waits | waits | ready |
//! | `finished()` | waits | waits | waits | ready |
//! | the last receiver is dropped | closes; drops queued items now and counts them as discarded | the same | tasks in hand still count | |
//! | the last sender is dropped | closes | | | |
//! | `close_now()` | closes; returns queued items and counts them as discarded | returns them | returns nothing | |
//!
//! When no receiver is left, nothing comes back: `retry` and `follow_up` return the item.
//!
//! # Cancellation
//!
//! Cancellation loses no item. A `recv` future that is dropped has taken nothing, and a `send` future
//! that is dropped has sent nothing. A waiter that was woken and is then dropped passes the wakeup on.
//!
//! There is no capacity 0. A rendezvous hands an item directly to a waiting receiver, and the item is
//! lost when that receiver is cancelled.
//!
//! # Accounting
//!
//! At a join, `sent + followed_up + retried == received + discarded`: each queued item was delivered or
//! discarded. And `received == done + failed + abandoned + panicked + retried`: each delivery ended in
//! one way. The deliveries of a plain channel are done.
//!
//! A task that is dropped is never a success. It counts as abandoned, or as panicked while its thread
//! unwinds; under [`Abandon::Requeue`](crate::Abandon::Requeue) it is queued again while attempts
//! remain. `join` returns the first failure until
//! [`take_failure`](crate::Monitor::take_failure) takes it.
//!
//! What a worker did before `done()` happens before what follows `join().await`.
//!
//! `join` may wait forever if work never stops coming. Pause the producers, or close the channel and
//! await `finished`.
//!
//! # Deadlocks to avoid
//!
//! Do not await the next task while you hold one. After a close, `recv` waits until every held task has
//! ended, yours included. `StreamExt::chunks` and `collect` do that. To take several tasks, await one
//! and take more with `try_recv`.
//!
//! A stream that was polled and is then left alone absorbs one wakeup until it is polled again or
//! dropped. `ready_chunks` and `buffer_unordered` leave their stream so while their consumer works.
//! Among several workers use `recv`, or `for_each_concurrent`.
//!
//! # Fairness
//!
//! Each item wakes the receiver that has waited longest, and each vacant slot the sender that has waited
//! longest. A waiter that finds that another caller was quicker keeps its place before all that came
//! later, and gets priority: other calls of `send` and `recv` then let other tasks run once before they
//! try. So every loop of `recv().await` or `send().await` gets at least half of an even share, on an
//! executor that polls woken tasks in order or in random order. (It gets a third where the loops of one
//! side never yield and those of the other side do.)
//!
//! Three things are not promised. `try_send` and `try_recv` never wait, so a loop of them can take
//! everything that a waiter was woken for. Where futures are polled by strict priority, as in `join!`,
//! the last one may get nothing. A waiter that is forgotten (`mem::forget`) absorbs at most one wakeup.
//!
//! # Use of the processor
//!
//! A `recv` or `send` that finds nothing to take, or no room, may pause its thread for a few
//! microseconds before it waits. It does so where that has paid before: where the other end works on
//! another processor. Elsewhere one call in a thousand tries it, for about a hundredth of the time at
//! most, and for less than a tenth of a millisecond. A task that always finds something after a pause
//! lets other tasks run after 64 pauses.
//!
//! A loop of `recv` or `send` that never has to wait never lets other futures run. Let it yield now and
//! then.
//!
//! # Panics
//!
//! The channel never runs your wakers, destructors and errors under a lock. If one of them panics, the
//! others still run, and then the panic propagates from the call that ran it. That call drops an item
//! that it has received; a task then counts as panicked, or is queued again under `Abandon::Requeue`.
//!
//! Several panics in one call never abort the process: the first propagates, and the others are
//! swallowed. While the thread is unwinding already, destructors swallow all of them.
