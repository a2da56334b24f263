//! Ctrl-C or SIGTERM, which stops the program as an error does.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::sync::oneshot;

use crate::common::interrupt::Interrupt;
use crate::common::interrupt::Stop;
use crate::common::output::warn;
use crate::common::threads;
use crate::coordinator::Coordinator;

/// Awaits `end`. At the first Ctrl-C or SIGTERM it requests a stop with the error [`Interrupted`], and
/// writes a warning, which is then returned.
pub(crate) async fn interruptible<T>(
    end: impl Future<Output = T>,
    interrupt: Interrupt,
    coordinator: &Coordinator,
    bar: ProgressBar,
) -> (T, Option<Warning>) {
    let mut end = pin!(end);
    let stop = tokio::select! {
        ended = &mut end => return (ended, None),
        stop = interrupt.first() => stop,
    };
    coordinator.request_stop(Some(Arc::new(Interrupted(stop))));
    let warning = Warning::write(stop, bar);
    (end.await, Some(warning))
}

/// A warning that is written, which blocks while the reader of stderr does not read. The stop must
/// not wait for that, but the other messages must come after this one.
pub(crate) struct Warning(io::Result<oneshot::Receiver<()>>);

impl Warning {
    fn write(stop: Stop, bar: ProgressBar) -> Self {
        let (done, written) = oneshot::channel();
        let write = move || {
            let warn = || stop.warn("finishing what is in hand");
            // A suspended bar blocks the consumer, which advances it, even if the bar is hidden.
            if bar.is_hidden() {
                warn();
            } else {
                bar.suspend(warn);
            }
            let _ = done.send(());
        };
        // Not a blocking call of the runtime: without a thread for it, that would never start.
        Self(threads::spawn("warning", None, write).map(|_| written))
    }

    /// Waits until it is written.
    pub(crate) async fn written(self) {
        match self.0 {
            // An error is a panic, which the panic hook has reported.
            Ok(written) => drop(written.await),
            Err(error) => warn(error),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) Stop);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Interrupted {}
