//! What becomes of processes that are started, and when to start no more.

use std::io;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;

/// How many processes in a row may end by themselves before they are ready: the next one will, too.
const EXITS: u32 = 5;

/// How many in a row may be killed before they are ready. That may be chance, where somebody kills
/// without looking, or the fate of all, where there is no memory for them. A choice.
const KILLS: u32 = 100;

/// No pause between two starts is longer. A choice.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The processes, of all lanes, that have ended before they were ready since the last one that was.
#[derive(Default)]
pub(crate) struct Starts {
    exited: AtomicU32,
    killed: AtomicU32,
}

impl Starts {
    /// A process is ready: others may be.
    pub(crate) fn succeeded(&self) {
        self.exited.store(0, Ordering::Relaxed);
        self.killed.store(0, Ordering::Relaxed);
    }

    /// A process has ended before it was ready. Waits for the time to start another, the longer the
    /// more have been killed, or says why there should be no other.
    pub(crate) async fn failed(&self, status: ExitStatus) -> io::Result<()> {
        // A process that is killed has none.
        let (ended, limit, how) = match status.code() {
            Some(_) => (&self.exited, EXITS, "ended"),
            None => (&self.killed, KILLS, "were killed"),
        };
        let in_a_row = ended.fetch_add(1, Ordering::Relaxed) + 1;
        if in_a_row >= limit {
            return Err(io::Error::other(format!(
                "{limit} in a row {how} before they were ready: {status}"
            )));
        }
        time::sleep(LONGEST_PAUSE.min(Duration::from_millis(in_a_row.into()))).await;
        Ok(())
    }
}
