//! Ends a test that hangs.

use std::io;
use std::io::Write;
use std::panic::Location;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const SECONDS: u64 = 120;

/// Aborts the process unless it is dropped in time, so that a test that hangs fails.
#[derive(Debug)]
pub(crate) struct Watchdog(#[allow(dead_code)] mpsc::Sender<()>);

impl Watchdog {
    /// Watches the caller for far longer than any test takes on the slowest machine.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::for_seconds(SECONDS)
    }

    #[track_caller]
    pub(crate) fn for_seconds(seconds: u64) -> Self {
        // Not the name of the thread, which is no test's if tests run one after another.
        Self::over(&Location::caller().to_string(), seconds)
    }

    /// Like [`start`](Self::start), for a test with this name.
    pub(crate) fn of(test: &str) -> Self {
        Self::over(test, SECONDS)
    }

    /// `what` is what the message names if it hangs.
    pub(crate) fn over(what: &str, seconds: u64) -> Self {
        let (alive, watch) = mpsc::channel::<()>();
        let what = what.to_owned();
        thread::spawn(move || {
            let patience = Duration::from_secs(seconds);
            if watch.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not `eprintln`, which the test harness captures.
                let _ = writeln!(io::stderr(), "watchdog: hangs for {seconds} s: {what}");
                process::abort();
            }
        });
        Self(alive)
    }
}
