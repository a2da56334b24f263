//! Moving from async-channel: every public item of its version 2.5, and what is different here.
//!
//! Replace `async_channel` by `tollgate` in the imports of a program. The names and signatures are
//! the same, so it compiles. An item without an entry in the last column has the same contract, too.
//!
//! Import the names one by one: `use tollgate::*`, as `use async_channel::*`, brings the future
//! [`Send`](crate::Send) into scope, which hides the trait of that name. A glob import of the
//! [`prelude`](crate::prelude) does not.
//!
//! # Functions
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `bounded` | [`bounded`](crate::bounded) | |
//! | `unbounded` | [`unbounded`](crate::unbounded) | |
//!
//! # `Sender`
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `Sender` | [`Sender`](crate::Sender) | |
//! | `try_send` | [`try_send`](crate::Sender::try_send) | |
//! | `send` | [`send`](crate::Sender::send) | Waiting is fair. After a waiting sender was woken in vain, the futures of other senders return `Pending` a few times even if there is room. |
//! | `send_blocking` | [`send_blocking`](crate::Sender::send_blocking) | |
//! | `force_send` | [`force_send`](crate::Sender::force_send) | On a task channel, what tasks have queued is not evicted. |
//! | `close` | [`close`](crate::Sender::close) | |
//! | `closed` | [`closed`](crate::Sender::closed) | Receivers have it, too. |
//! | `is_closed` | [`is_closed`](crate::Sender::is_closed) | |
//! | `is_empty` | [`is_empty`](crate::Sender::is_empty) | `true` once no receiver is left: see *Dropping handles*. |
//! | `is_full` | [`is_full`](crate::Sender::is_full) | `false` once no receiver is left. |
//! | `len` | [`len`](crate::Sender::len) | 0 once no receiver is left. |
//! | `capacity` | [`capacity`](crate::Sender::capacity) | |
//! | `receiver_count` | [`receiver_count`](crate::Sender::receiver_count) | |
//! | `sender_count` | [`sender_count`](crate::Sender::sender_count) | |
//! | `downgrade` | [`downgrade`](crate::Sender::downgrade) | |
//! | `same_channel` | [`same_channel`](crate::Sender::same_channel) | |
//! | `Clone`, `Debug` | `Clone`, `Debug` | |
//!
//! # `Receiver`
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `Receiver<T>` | [`Receiver<T>`](crate::Receiver) | It has a second type parameter, the [kind](crate::kind) of its channel, which is [`Plain`](crate::kind::Plain) by default. It is `Unpin`, so a stream need not be pinned. |
//! | `try_recv` | [`try_recv`](crate::Receiver::try_recv) | |
//! | `recv` | [`recv`](crate::Receiver::recv) | Waiting is fair, as for `send`. |
//! | `recv_blocking` | [`recv_blocking`](crate::Receiver::recv_blocking) | |
//! | `close` | [`close`](crate::Receiver::close) | |
//! | `is_closed` | [`is_closed`](crate::Receiver::is_closed) | |
//! | `is_empty` | [`is_empty`](crate::Receiver::is_empty) | |
//! | `is_full` | [`is_full`](crate::Receiver::is_full) | |
//! | `len` | [`len`](crate::Receiver::len) | |
//! | `capacity` | [`capacity`](crate::Receiver::capacity) | |
//! | `receiver_count` | [`receiver_count`](crate::Receiver::receiver_count) | |
//! | `sender_count` | [`sender_count`](crate::Receiver::sender_count) | |
//! | `downgrade` | [`downgrade`](crate::Receiver::downgrade) | |
//! | `same_channel` | [`same_channel`](crate::Receiver::same_channel) | |
//! | `Clone`, `Debug` | `Clone`, `Debug` | |
//! | `Stream` | [`Stream`](futures_core::Stream) | An item wakes one waiter, a stream or a `recv`. In async-channel, it wakes one `recv` and all streams. |
//! | `FusedStream` | [`FusedStream`](futures_core::FusedStream) | `is_terminated` is `true` once this handle has returned `None`. In async-channel, it is `true` as soon as the channel is closed and empty. |
//!
//! # Weak handles
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `WeakSender` | [`WeakSender`](crate::WeakSender) | |
//! | `WeakSender::upgrade` | [`upgrade`](crate::WeakSender::upgrade) | |
//! | `WeakReceiver<T>` | [`WeakReceiver<T>`](crate::WeakReceiver) | It has the second type parameter of `Receiver`. |
//! | `WeakReceiver::upgrade` | [`upgrade`](crate::WeakReceiver::upgrade) | |
//! | `Clone`, `Debug` | `Clone`, `Debug` | |
//!
//! # Errors
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `SendError` | [`SendError`](crate::SendError) | |
//! | `SendError::into_inner` | [`into_inner`](crate::SendError::into_inner) | |
//! | `TrySendError` | [`TrySendError`](crate::TrySendError) | |
//! | `TrySendError::Full` | [`Full`](crate::TrySendError::Full) | |
//! | `TrySendError::Closed` | [`Closed`](crate::TrySendError::Closed) | |
//! | `TrySendError::into_inner` | [`into_inner`](crate::TrySendError::into_inner) | |
//! | `TrySendError::is_full` | [`is_full`](crate::TrySendError::is_full) | |
//! | `TrySendError::is_closed` | [`is_closed`](crate::TrySendError::is_closed) | |
//! | `RecvError` | [`RecvError`](crate::RecvError) | |
//! | `TryRecvError` | [`TryRecvError`](crate::TryRecvError) | |
//! | `TryRecvError::Empty` | [`Empty`](crate::TryRecvError::Empty) | |
//! | `TryRecvError::Closed` | [`Closed`](crate::TryRecvError::Closed) | |
//! | `TryRecvError::is_empty` | [`is_empty`](crate::TryRecvError::is_empty) | |
//! | `TryRecvError::is_closed` | [`is_closed`](crate::TryRecvError::is_closed) | |
//! | `PartialEq`, `Eq`, `Clone`, `Copy`, `Debug`, `Display` | the same, with the same texts | |
//! | `Error` | [`Error`](core::error::Error) | |
//!
//! # Futures
//!
//! | async-channel | tollgate | difference |
//! |---|---|---|
//! | `Send` | [`Send`](crate::Send) | It is `Sync` whenever items are `Send`, and `Debug` for every item. |
//! | `Recv<'a, T>` | [`Recv<'a, T>`](crate::Recv) | It has the second type parameter of `Receiver`, and is `Debug` for every item. Polled after completion it panics; in async-channel it receives again. |
//! | `Closed` | [`Closed`](crate::Closed) | It is `Debug` for every item. Polled after completion it panics; in async-channel it completes again. |
//! | `Future` | [`Future`] | All futures are `Unpin`, so they need not be pinned. `Debug` of a future shows its name only. |
//!
//! # Dropping handles
//!
//! When the last receiver is dropped, queued items are dropped at once. In async-channel, they stay
//! until the last handle is dropped, senders and weak handles included.
