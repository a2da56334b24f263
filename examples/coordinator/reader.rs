//! The readers: each reads records from its files, or generates them, and sends them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::task;
use tokio::task::coop;
use tokio::time;
use tollgate::Sender;

use super::coordinator::Cause;
use super::coordinator::Coordinator;
use super::coordinator::Left;
use super::lines::Line;
use super::lines::Lines;
use super::lines::MAX_LENGTH;
use super::shard::Files;
use super::shard::Numbers;
use super::shard::Shard;
use super::unread;
use super::unread::Stopped;
use crate::common::descriptors;
use crate::common::threads::lock;

/// A line, which should be a number, and its origin.
#[derive(Clone)]
pub(crate) struct Record {
    /// If the line is too long, its beginning, which is too long as well.
    pub(crate) text: Arc<[u8]>,
    origin: Arc<str>,
    line: u64,
}

impl Record {
    pub(crate) fn is_too_long(&self) -> bool {
        self.text.len() > MAX_LENGTH
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How much of a text is shown.
        const SHOWN: usize = 100;
        let shown = &self.text[..self.text.len().min(SHOWN)];
        let more = if shown.len() < self.text.len() {
            "..."
        } else {
            ""
        };
        write!(f, "{}:{}: ", self.origin, self.line)?;
        // Quoted, because a line may contain terminal control codes.
        match std::str::from_utf8(shown) {
            Ok(text) => write!(f, "{text:?}{more}"),
            Err(_) => write!(f, "\"{}\"{more}", shown.escape_ascii()),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) coordinator: Coordinator,
    pub(crate) records: Sender<Record>,
    /// The number of records that all readers have read.
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) left: Left<Record>,
    pub(crate) unread: Left<Stopped>,
}

impl Reader {
    /// Reads until the end of the shard, or until a stop is requested.
    pub(crate) async fn run(self, shard: Shard) -> Result<(), Cause> {
        match shard {
            Shard::Files(files) => self.read_all(files).await,
            Shard::Numbers { first, last, step } => {
                self.generate(first, last, step).await;
                Ok(())
            }
        }
    }

    async fn generate(&self, first: u64, last: u64, step: usize) {
        let origin = Arc::from(format!("shard {first}"));
        let mut numbers = Numbers::new(first, last, step, &self.unread);
        for line in 1.. {
            // If the queue is neither full nor empty, nothing else in this loop waits. The next number is
            // not taken yet, so an abort here does not lose it.
            coop::consume_budget().await;
            if self.coordinator.should_stop() {
                break;
            }
            let Some(number) = numbers.next() else { break };
            let text = number.to_string().into_bytes();
            self.enqueue(&origin, Line { text, number: line }).await;
        }
    }

    async fn read_all(&self, files: Vec<PathBuf>) -> Result<(), Cause> {
        for file in Files::new(files, &self.unread) {
            if let Err(error) = self.read(&file).await {
                return Err(Unreadable { file, error }.into());
            }
            if self.coordinator.should_stop() {
                break;
            }
        }
        Ok(())
    }

    async fn read(&self, path: &Path) -> io::Result<()> {
        let mut input = Input {
            path,
            lines: None,
            is_done: false,
            unread: &self.unread,
        };
        let Some((file, start)) = self
            .open(path)
            .await
            .inspect_err(|_| input.is_done = true)?
        else {
            return Ok(());
        };
        let origin = Arc::from(format!("{path:?}"));
        let lines = input.lines.insert(Lines::new(file, start));
        while let Some(line) = self.unless_stopped(lines.next()).await? {
            match line {
                Some(line) if line.is_blank() => {}
                Some(line) => self.enqueue(&origin, line).await,
                None => {
                    input.is_done = true;
                    break;
                }
            }
            // As in `generate`. No line is in hand here.
            coop::consume_budget().await;
        }
        Ok(())
    }

    /// Opens a file. If too many are open, it waits until some are closed.
    async fn open(&self, path: &Path) -> io::Result<Option<(File, u64)>> {
        loop {
            let path = path.to_owned();
            let open = task::spawn_blocking(move || unread::open(&path));
            let opened = self.unless_stopped(async { open.await? }).await;
            match opened {
                Err(error) if descriptors::is_shortage(&error) => {
                    descriptors::warn_of_shortage(&error);
                    time::sleep(descriptors::PAUSE).await;
                }
                opened => return opened,
            }
        }
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

    async fn enqueue(&self, origin: &Arc<str>, line: Line) {
        let record = Record {
            text: line.text.into(),
            origin: Arc::clone(origin),
            line: line.number,
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

/// A file that is read. If its reader stops, or is dropped, before the end of the file, the rest is
/// unread.
struct Input<'a> {
    path: &'a Path,
    /// `None` if it is not open.
    lines: Option<Lines>,
    is_done: bool,
    unread: &'a Left<Stopped>,
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let path = self.path.to_owned();
        let stopped = match self.lines.take().map(Lines::close_pipe) {
            Some(Ok(place)) => Stopped::Pipe { path, place },
            Some(Err(lines)) => Stopped::File {
                path,
                lines: Some(lines),
            },
            None => Stopped::File { path, lines: None },
        };
        lock(self.unread).push(stopped);
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
