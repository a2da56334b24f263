//! The futures that the handles return. Each is an operation on a channel.
//!
//! All of them are **cancel safe**: a future that is dropped before it completes has done nothing, and a
//! wakeup that it was given is passed on to the next waiter. ([`SendMany`] may have sent some items. The
//! others are still in the caller's deque.)
//!
//! All of them are `Unpin` ([`SendUntil`] and [`RecvUntil`] if the future that they poll is). They panic
//! when they are polled after completion. They implement [`FusedFuture`](futures_core::FusedFuture), so
//! the macro `select!` of futures-util takes them as they are.
//!
//! # Examples
//!
//! The same future in each turn of a loop keeps its place among the waiters:
//!
//! ```
//! use futures_util::select;
//!
//! # futures_lite::future::block_on(async {
//! let (sender, receiver) = tollgate::bounded(1);
//! sender.send(1).await?;
//! let (mut send, mut recv) = (sender.send(2), receiver.recv());
//! loop {
//!     select! {
//!         sent = send => sent?,
//!         received = recv => assert_eq!(received, Ok(1)),
//!         complete => break,
//!     }
//! }
//! assert_eq!(receiver.try_recv(), Ok(2));
//! # Ok::<(), tollgate::SendError<i32>>(())
//! # }).unwrap();
//! ```

use core::fmt;

use crate::report::Stats;

/// A completed future is terminated. `$waiting` is the field that knows whether it has completed.
macro_rules! fused {
    ($([$($generics:tt)*] $future:ty: $waiting:tt),* $(,)?) => {$(
        impl<$($generics)*> futures_core::FusedFuture for $future {
            /// Returns `true` if the future has completed.
            #[inline]
            fn is_terminated(&self) -> bool {
                self.$waiting.has_completed()
            }
        }
    )*};
}

mod observe;
mod ready;
mod recv;
mod recv_many;
mod send;
mod send_from;
mod send_many;

pub use observe::Closed;
pub use observe::Failed;
pub use observe::Finished;
pub use observe::IntoFinished;
pub use observe::IntoJoin;
pub use observe::Join;
pub use ready::Ready;
pub use recv::IntoRecv;
pub use recv::Recv;
pub use recv::RecvTask;
pub use recv::RecvUntil;
pub use recv_many::RecvMany;
pub use send::IntoSend;
pub use send::Send;
pub use send::SendUntil;
pub use send_from::SendFrom;
pub use send_many::SendMany;

pub(crate) use ready::UntilRoom;
pub(crate) use recv::RecvItem;
pub(crate) use recv_many::RecvItems;
pub(crate) use send::ForceSendItem;
pub(crate) use send::SendItem;
#[cfg(any(feature = "futures", all(feature = "std", not(target_family = "wasm"))))]
pub(crate) use send_from::SendSlot;
pub(crate) use send_many::SendItems;

/// Formats the state of the channel that a future or a monitor observes. For a completed future,
/// `stats` is `None`, and only the name is formatted.
pub(crate) fn fmt_stats(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    stats: Option<Stats>,
) -> fmt::Result {
    let mut out = f.debug_struct(name);
    if let Some(stats) = stats {
        out.field("closed", &stats.closed)
            .field("queued", &stats.queued);
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        if let Some(due) = stats.next_due {
            let left = due.saturating_duration_since(std::time::Instant::now());
            out.field("delayed", &stats.delayed)
                .field("next_due_in", &left);
        }
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        if let Some(age) = stats.oldest_queued {
            out.field("oldest_queued", &age);
        }
        out.field("in_hand", &stats.in_hand);
        #[cfg(all(feature = "std", not(target_family = "wasm")))]
        if let Some(age) = stats.oldest_in_hand {
            out.field("oldest_in_hand", &age);
        }
        out.field("senders", &stats.senders)
            .field("receivers", &stats.receivers);
        if stats.discarding {
            out.field("discarding", &true);
        }
    }
    out.finish_non_exhaustive()
}
