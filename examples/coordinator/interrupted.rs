//! Ctrl-C, which stops the program as an error does.

use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::task;

use crate::common::interrupt::Interrupt;
use crate::common::interrupt::warn_interrupted;
use crate::coordinator::Coordinator;

/// Awaits `end`. At the first Ctrl-C it requests a stop with the error [`Interrupted`].
pub(crate) async fn interruptible<T>(
    end: impl Future<Output = T>,
    interrupt: Interrupt,
    coordinator: &Coordinator,
    bar: ProgressBar,
) -> T {
    let mut end = pin!(end);
    tokio::select! {
        ended = &mut end => return ended,
        () = interrupt.first() => {}
    }
    coordinator.request_stop(Some(Arc::new(Interrupted)));
    // Writing blocks while the reader of stderr does not read. The stop must not wait for that, but
    // the other messages must come after this one.
    let warned = task::spawn_blocking(move || {
        let warn = || warn_interrupted("finishing what is in hand");
        // A suspended bar blocks the consumer, which advances it, even if the bar is hidden.
        if bar.is_hidden() {
            warn();
        } else {
            bar.suspend(warn);
        }
    });
    let ended = end.await;
    // An error is a panic, which the panic hook has reported.
    let _ = warned.await;
    ended
}

#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}
