//! Counts processes that fail to start, and decides when to give up.

use std::io;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;

/// After this many processes in a row that exit before they are ready, the next process would exit
/// too.
const EXITS: u32 = 5;

/// After this many processes in a row that are killed before they are ready, there may be too
/// little memory for any. Fewer may be chance, if something kills processes at random.
const KILLS: u32 = 100;

/// The longest pause between two starts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Counts the processes of all lanes that ended before they were ready, since the last process that
/// was ready.
#[derive(Default)]
pub(crate) struct Starts {
    exited: AtomicU32,
    killed: AtomicU32,
}

impl Starts {
    /// Records that a process is ready, so other processes can be ready too.
    pub(crate) fn succeeded(&self) {
        self.exited.store(0, Ordering::Relaxed);
        self.killed.store(0, Ordering::Relaxed);
    }

    /// Records that a process has ended before it was ready. Pauses before the next start, longer
    /// each time, or returns the error that ends the lane.
    pub(crate) async fn failed(&self, status: ExitStatus) -> io::Result<()> {
        // A process that is killed has no exit code.
        let (ended, limit, how) = match status.code() {
            Some(_) => (&self.exited, EXITS, "exited"),
            None => (&self.killed, KILLS, "were killed"),
        };
        let in_a_row = ended.fetch_add(1, Ordering::Relaxed) + 1;
        if in_a_row >= limit {
            return Err(io::Error::other(format!(
                "{limit} processes in a row {how} before they were ready: {status}"
            )));
        }
        time::sleep(LONGEST_PAUSE.min(Duration::from_millis(in_a_row.into()))).await;
        Ok(())
    }
}
