//! The futures that handles give: each is one attempt for the wait loop.
//!
//! All are `Unpin`, fused to panic when polled after completion, and **cancel safe**: a future that
//! is dropped before it was ready has done nothing, and a wake that had been spent on it goes to
//! the next in line.

use std::fmt;

use crate::report::Stats;

mod recv;
mod send;
mod signal;

pub use recv::Recv;
pub use recv::RecvTask;
pub use send::Send;
pub use signal::Closed;
pub use signal::Failed;
pub use signal::Finished;
pub use signal::Join;

pub(crate) use recv::cancel_recv;
pub(crate) use recv::hand_over;
pub(crate) use recv::poll_item;
pub(crate) use recv::poll_task;

#[cold]
fn polled_after_completion(future: &str) -> ! {
    panic!("`{future}` polled after completion")
}

macro_rules! debug_as_opaque {
    ($($future:ident),*) => {$(
        impl<T> fmt::Debug for $future<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($future), " { .. }"))
            }
        }
    )*};
}

use debug_as_opaque;

/// What is awaited by whoever prints this; of a completed future, only its name.
pub(crate) fn fmt_stats(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    stats: Option<Stats>,
) -> fmt::Result {
    let mut out = f.debug_struct(name);
    if let Some(stats) = stats {
        out.field("closed", &stats.closed)
            .field("queued", &stats.queued)
            .field("in_hand", &stats.in_hand)
            .field("senders", &stats.senders)
            .field("receivers", &stats.receivers);
        if stats.discarding {
            out.field("discarding", &true);
        }
    }
    out.finish_non_exhaustive()
}
