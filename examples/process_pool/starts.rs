//! Counts processes that fail to start, and decides when to give up.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time;

use crate::common::output::warn;

/// After this many processes in a row that exit or hang before they are ready, the next process
/// would do so too.
const EXITS: u32 = 5;

/// After this many processes in a row that are killed before they are ready, there may be too
/// little memory for any. Fewer may be chance, if something kills processes at random. The last
/// lane also waits this often for something that the system lacks.
const KILLS: u32 = 100;

/// The longest pause between two starts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Why a process is not ready.
pub(crate) enum NotReady {
    /// The system has too few processes, files to open, or memory. Others may end.
    Lacking(io::Error),
    /// It has ended.
    Ended(ExitStatus),
    /// It was killed, because it took longer than this.
    Late(Duration),
    /// Its first reply was not the expected one.
    Confused,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacking(error) => write!(f, "{error}"),
            Self::Ended(status) => write!(f, "ended before it was ready: {status}"),
            Self::Late(limit) => write!(f, "was not ready within {limit:?}"),
            Self::Confused => f.write_str("sent something else before it was ready"),
        }
    }
}

/// What a lane does after a process that is not ready.
pub(crate) enum Next {
    Again,
    /// The other lanes continue without this one.
    Leave,
}

/// Counts the processes of all lanes that were not ready, since the last process that was.
pub(crate) struct Starts {
    exited: AtomicU32,
    killed: AtomicU32,
    lacking: AtomicU32,
    lanes: AtomicUsize,
    wanted: usize,
}

impl Starts {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            exited: AtomicU32::new(0),
            killed: AtomicU32::new(0),
            lacking: AtomicU32::new(0),
            lanes: AtomicUsize::new(lanes),
            wanted: lanes,
        }
    }

    /// Records that a process is ready, so other processes can be ready too.
    pub(crate) fn succeeded(&self) {
        self.exited.store(0, Ordering::Relaxed);
        self.killed.store(0, Ordering::Relaxed);
        self.lacking.store(0, Ordering::Relaxed);
    }

    /// Records that a process is not ready. Pauses before the next start, longer each time, or
    /// returns the error that ends the lane.
    pub(crate) async fn failed(&self, why: NotReady) -> io::Result<Next> {
        let (count, limit, how) = match &why {
            NotReady::Lacking(error) if self.leave(error) => return Ok(Next::Leave),
            NotReady::Lacking(_) => (&self.lacking, KILLS, "could not be started"),
            // A process that is killed has no exit code.
            NotReady::Ended(status) => match status.code() {
                Some(_) => (&self.exited, EXITS, "exited before they were ready"),
                None => (&self.killed, KILLS, "were killed before they were ready"),
            },
            NotReady::Late(_) => (&self.exited, EXITS, "hung before they were ready"),
            NotReady::Confused => (&self.exited, EXITS, "replied wrongly"),
        };
        let in_a_row = count.fetch_add(1, Ordering::Relaxed) + 1;
        if in_a_row < limit {
            time::sleep(LONGEST_PAUSE.min(Duration::from_millis(in_a_row.into()))).await;
            return Ok(Next::Again);
        }
        let cause = match &why {
            NotReady::Ended(status) => status.to_string(),
            // Unless this was the only lane, the first one that left has said so.
            NotReady::Lacking(error) if self.wanted == 1 => format!("{error}; {RAISE}"),
            NotReady::Lacking(error) => error.to_string(),
            why => format!("the last one {why}"),
        };
        Err(cannot_start(format_args!(
            "{limit} processes in a row {how}: {cause}"
        )))
    }

    /// Whether the lane must leave, because the others have what the system lacks.
    fn leave(&self, error: &io::Error) -> bool {
        let others = |lanes: usize| (lanes > 1).then(|| lanes - 1);
        let left = (self.lanes).fetch_update(Ordering::Relaxed, Ordering::Relaxed, others);
        if left == Ok(self.wanted) {
            warn(format_args!(
                "cannot start all {} workers: {error}; {RAISE}; going on with fewer",
                self.wanted
            ));
        }
        left.is_ok()
    }
}

const RAISE: &str = "lower --workers, or raise the limit of processes (ulimit -u), open files \
    (ulimit -n) or memory (ulimit -v)";

pub(crate) fn cannot_start(error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("cannot start a worker: {error}"))
}
