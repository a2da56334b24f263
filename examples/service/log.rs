//! The log, on stderr.

use std::fmt;
use std::io;
use std::panic;
use std::time::Duration;

use tokio::time::timeout;
use tollgate::Sender;

use crate::common::output::print_line;
use crate::common::threads;

/// Lines that wait to be written.
const CAPACITY: usize = 8192;

/// A log that never blocks the caller: a thread of its own writes it. If the log is a pipe that
/// no process reads, that thread is blocked, and the oldest lines are dropped.
#[derive(Clone)]
pub(crate) struct Log(Sender<String>);

impl Log {
    /// Starts the thread. From now on, panics are logged too, instead of being written directly.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, lines) = tollgate::tasks::<String>(CAPACITY);
        threads::spawn("log", None, move || {
            while let Ok(line) = lines.recv_blocking() {
                print_line(&*line);
                line.done();
            }
        })?;
        let log = Self(sender);
        let of_panics = log.clone();
        panic::set_hook(Box::new(move |panic| of_panics.line(panic)));
        Ok(log)
    }

    pub(crate) fn line(&self, line: impl fmt::Display) {
        // No text of a client can begin a line, or control a terminal.
        let line = line.to_string().replace(char::is_control, " ");
        // An error means that the log is finished.
        let _ = self.0.force_send(line);
    }

    /// Waits until all is written, but not for long.
    pub(crate) async fn finish(self, patience: Duration) {
        let monitor = self.0.monitor();
        let dropped = monitor.stats().report.evicted;
        if dropped > 0 {
            self.line(format_args!(
                "at least {dropped} lines of the log were dropped"
            ));
        }
        monitor.close();
        let _ = timeout(patience, monitor.finished()).await;
    }
}
