//! Stopping: how the work of a channel ends, in order or early.
//!
//! However it ends, [`finished`](crate::Monitor::finished) completes when no work is left, and returns the
//! account of all of it.
//!
//! | to | call | queued items | retries and follow-ups | tasks in hand |
//! |---|---|---|---|---|
//! | do all the work | [`close`](crate::Sender::close), or drop all senders | are received | are received | end as usual |
//! | do only what has begun | [`close_now`](crate::Monitor::close_now) | are returned to you | are refused | end as usual |
//! | give up | drop all receivers, or abort the workers | are dropped: a failure | are refused | are dropped with their workers: a failure |
//!
//! These can follow each other: close, wait for a while, take back the rest, wait again, and abort what
//! still runs.
//!
//! # Doing all the work: `close`
//!
//! `close` ends sending and nothing else. Workers receive what is queued, retry it as often as they like,
//! and queue follow-ups. A worker's loop ends by itself: [`recv`](crate::TaskReceiver::recv) returns an
//! error as soon as the channel is finished, and not before, because any task in hand may still come back.
//! No sentinels have to be sent, and no flags have to be checked.
//!
//! If workers retry forever, the channel is never finished. Limit the attempts by
//! [`Builder::max_attempts`](crate::Builder::max_attempts), or stop in the next way.
//!
//! # Doing only what has begun: `close_now`
//!
//! `close_now` also takes out what is queued and returns it. It is final: from then on,
//! [`retry`](crate::Task::retry) and [`follow_up`](crate::Task::follow_up) return an error with the item,
//! and a task that is dropped is not queued again. What is in hand is the last of the work, so the channel
//! is finished as soon as each worker has ended the task that it holds.
//!
//! A retry that races with `close_now` comes before it, and its item is still received or is returned by
//! `close_now`; or it comes after it, and its item is returned to the worker. No item stays behind.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! let (sender, receiver) = tollgate::tasks(4);
//! let monitor = sender.monitor();
//! sender.send("in hand").await?;
//! sender.send("queued").await?;
//! let task = receiver.recv().await?;
//!
//! assert_eq!(monitor.close_now().collect::<Vec<_>>(), ["queued"]);
//! // It would retry, but nothing comes back any more.
//! let refused = task.retry().unwrap_err();
//! assert!(refused.is_terminated());
//! assert_eq!(refused.into_inner(), "in hand");
//!
//! let report = monitor.finished().await.unwrap_err().report;
//! assert_eq!((report.failed, report.discarded), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What was handed back
//!
//! The items that `close_now` returns were queued when it was called: first those that were sent, then
//! those that tasks had queued, each in their order. No worker was processing them. (An item that was
//! queued for another attempt may have been processed in part.) So they can be stored and sent again by the
//! next run. They count as [`discarded`](crate::Report::discarded), which is no failure, as you have them.
//!
//! A send that was waiting for room returns its item to its caller, as it does after `close`. An item whose
//! retry is refused stays with its worker.
//!
//! When the last receiver is dropped instead, what is queued is dropped too. That is a failure,
//! [`Discarded`](crate::Failure::Discarded), because these items are lost.
//!
//! # A grace period
//!
//! `finished` is a future, so the timeout of any runtime limits it: `tokio::time::timeout`,
//! `async_std::future::timeout`, or a race with `smol::Timer`. It is cancel safe: after a timeout, await it
//! again. On threads, use `finished_timeout`.
//!
//! A shutdown in four steps:
//!
//! ```
//! use std::future::pending;
//! use std::time::Duration;
//! use tokio::task::JoinSet;
//! use tokio::time::timeout;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, receiver) = tollgate::tasks::<&str>(8);
//! let monitor = sender.monitor();
//! let mut workers = JoinSet::new();
//! for _ in 0..2 {
//!     let receiver = receiver.clone();
//!     workers.spawn(async move {
//!         while let Ok(task) = receiver.recv().await {
//!             if *task == "hangs" {
//!                 pending::<()>().await;
//!             }
//!             task.done();
//!         }
//!     });
//! }
//! drop(receiver);
//! for job in ["index", "hangs", "hangs", "mail"] {
//!     sender.send(job).await?;
//! }
//!
//! const GRACE: Duration = Duration::from_millis(5);
//! // 1. Nothing new. The workers continue.
//! monitor.close();
//! if timeout(GRACE, monitor.finished()).await.is_err() {
//!     // 2. Nothing that has not begun.
//!     let never_ran: Vec<_> = monitor.close_now().collect();
//!     assert_eq!(never_ran, ["mail"]);
//!     if timeout(GRACE, monitor.finished()).await.is_err() {
//!         // 3. Report what hangs, and abort it. The workers drop their tasks.
//!         assert_eq!(monitor.stats().in_hand, 2);
//!         workers.shutdown().await;
//!     }
//! }
//! // 4. The account of all that was sent.
//! let report = monitor.finished().await.unwrap_err().report;
//! assert_eq!((report.done, report.abandoned, report.discarded), (1, 2, 1));
//! # Ok(())
//! # }
//! ```
//!
//! The example `service`, a web service, stops in this way at SIGTERM.
//!
//! # Naming stragglers
//!
//! [`stats`](crate::Monitor::stats) tells how many tasks are in hand, and so does `Debug` of a
//! [`Monitor`](crate::Monitor), and of a `join` or `finished` that waits:
//!
//! ```
//! let (sender, receiver) = tollgate::tasks(2);
//! sender.try_send("index")?;
//! let task = receiver.try_recv()?;
//! let monitor = sender.monitor();
//! drop(sender);
//!
//! let text = format!("{:?}", monitor.finished());
//! assert!(text.contains("in_hand: 1"), "{text}");
//! # task.done();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If the channel [measures time](crate::Builder::measure_time), both also tell how long the oldest task is in
//! hand.
//!
//! The channel does not know which items these are, as they are with their workers. Let each worker note
//! what it works on, in a set that the workers share. The example `graceful_shutdown` does so.
//!
//! # Aborting workers
//!
//! A worker that is aborted, or whose future is dropped, drops its task. That counts as
//! [`abandoned`](crate::Report::abandoned), and `finished` does not wait for it any more. After `close_now`,
//! the item is dropped with its task, even under [`Abandon::Requeue`](crate::Abandon::Requeue). After
//! `close` only, [`Abandon::Requeue`](crate::Abandon::Requeue) queues it for another worker, so call
//! `close_now` before you abort.
//!
//! Only a future can be aborted, and only where it awaits. A thread that hangs, or a future that computes
//! without end, keeps its task in hand, and `finished` keeps waiting. Give it up after a timeout, and name
//! the straggler.
//!
//! # Producers
//!
//! After `close` and `close_now`, each send returns an error with its item, also one that was waiting. A
//! producer that ends its loop at that error stops by itself. One that calls `unwrap` panics. Until a
//! call has seen that the channel is finished, such a panic counts as a failure, because it drops a sender. See
//! [`failed_senders`](crate::Report::failed_senders).
//!
//! A producer that cannot continue for a reason of its own says so by [`Sender::fail`](crate::Sender::fail).
//! The workers continue with what was sent, and `finished` reports the failure. To stop at once, let the code
//! that awaits [`failed`](crate::Monitor::failed) call `close_now`.
