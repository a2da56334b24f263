//! The readers: each reads records from its files, or generates them, and sends them.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::fs::File;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::task::coop;
use tollgate::Sender;

use super::coordinator::Cause;
use super::coordinator::Coordinator;
use super::coordinator::Left;
use crate::common::threads::lock;

/// A line, which should be a number, and its origin.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) text: Arc<str>,
    origin: Arc<str>,
    line: u64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted, because a line may contain terminal control codes.
        write!(f, "{}:{}: {:?}", self.origin, self.line, self.text)
    }
}

/// The source of a reader's records.
pub(crate) enum Shard {
    Files(Vec<PathBuf>),
    /// Every `step`th number from `first` to `last`.
    Numbers {
        first: u64,
        last: u64,
        step: usize,
    },
}

#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) coordinator: Coordinator,
    pub(crate) records: Sender<Record>,
    /// The number of records that all readers have read.
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) left: Left<Record>,
}

impl Reader {
    /// Reads until the end of the shard, or until a stop is requested.
    pub(crate) async fn run(self, shard: Shard) -> Result<(), Cause> {
        match shard {
            Shard::Files(files) => {
                for file in files {
                    let read = self.read(&file).await;
                    read.map_err(|error| Unreadable { file, error })?;
                }
            }
            Shard::Numbers { first, last, step } => {
                let origin = Arc::from(format!("shard {first}"));
                for (number, line) in (first..=last).step_by(step).zip(1..) {
                    if self.coordinator.should_stop() {
                        break;
                    }
                    self.enqueue(&origin, line, number.to_string()).await;
                }
            }
        }
        Ok(())
    }

    async fn read(&self, path: &Path) -> io::Result<()> {
        let Some(file) = self.unless_stopped(File::open(path)).await? else {
            return Ok(());
        };
        let origin = Arc::from(format!("{path:?}"));
        let mut lines = BufReader::new(file).lines();
        for line in 1.. {
            match self.unless_stopped(lines.next_line()).await? {
                Some(Some(text)) => self.enqueue(&origin, line, text).await,
                Some(None) | None => break,
            }
        }
        Ok(())
    }

    /// Returns `None` if a stop is requested first. Input such as a fifo may never be ready.
    async fn unless_stopped<T>(
        &self,
        input: impl Future<Output = io::Result<T>>,
    ) -> io::Result<Option<T>> {
        tokio::select! {
            biased;
            () = self.coordinator.stopped() => Ok(None),
            input = input => input.map(Some),
        }
    }

    async fn enqueue(&self, origin: &Arc<str>, line: u64, text: String) {
        // If the queue is neither full nor empty, nothing else in this loop waits.
        coop::consume_budget().await;
        let record = Record {
            text: text.into(),
            origin: Arc::clone(origin),
            line,
        };
        // Relaxed: the count is read after all readers have ended.
        self.read.fetch_add(1, Ordering::Relaxed);
        let mut unsent = Unsent {
            record: Some(record.clone()),
            left: &self.left,
        };
        if self.records.send(record).await.is_ok() {
            unsent.record = None;
        }
    }
}

/// A record that its reader sends. If the queue is closed, or the reader is dropped while it waits
/// for room, the record is handed back like those in the queue.
struct Unsent<'a> {
    record: Option<Record>,
    left: &'a Left<Record>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        lock(self.left).extend(self.record.take());
    }
}

/// A file that could not be read.
#[derive(Debug)]
struct Unreadable {
    file: PathBuf,
    error: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {:?}", self.file)
    }
}

impl Error for Unreadable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Unreadable> for Cause {
    fn from(error: Unreadable) -> Self {
        Arc::new(error)
    }
}
