//! Ends a test that hangs.

use std::io;
use std::io::Write;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Aborts the process unless it is dropped in time, so that a test that hangs fails.
#[derive(Debug)]
pub(crate) struct Watchdog(#[allow(dead_code)] mpsc::Sender<()>);

impl Watchdog {
    /// Watches the current test for far longer than any test takes on the slowest machine.
    pub(crate) fn start() -> Self {
        Self::for_seconds(120)
    }

    pub(crate) fn for_seconds(seconds: u64) -> Self {
        Self::over(thread::current().name().unwrap_or("a test"), seconds)
    }

    /// Like [`start`](Self::start), for a test with this name. The thread of a test is not named
    /// after it if the tests run one after another.
    pub(crate) fn of(test: &str) -> Self {
        Self::over(test, 120)
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
