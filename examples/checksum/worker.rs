//! The consumers: each hashes one file at a time.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use sha2::Digest;
use sha2::Sha256;
use tollgate::TaskReceiver;

use crate::outcome::Checksum;
use crate::outcome::Failure;
use crate::outcome::Outcome;
use crate::walk::Entry;

/// Large enough that system calls cost little compared to hashing.
const BUFFER_SIZE: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) entries: TaskReceiver<Entry>,
    pub(crate) outcomes: mpsc::Sender<Outcome>,
    pub(crate) interrupted: Arc<AtomicBool>,
    pub(crate) progress: ProgressBar,
}

impl Worker {
    /// Hashes files until the channel is finished, or until it is interrupted.
    ///
    /// It blocks, so it needs its own thread. A `spawn_blocking` per file would cost as much as
    /// hashing a small file.
    pub(crate) fn run(self) {
        let mut buffer = vec![0; BUFFER_SIZE];
        while !self.interrupted.load(Ordering::Relaxed) {
            let Ok(task) = block_on(self.entries.recv()) else {
                return;
            };
            let (entry, ticket) = task.split();
            // If this panics, the ticket is dropped, and the task counts as panicked.
            let outcome = entry.and_then(|path| self.hash_file(path, &mut buffer));

            // Recorded before the task ends, so that every outcome is there when `finished` is
            // ready.
            match outcome {
                Ok(hashed) => {
                    self.record(Ok(hashed));
                    ticket.done();
                }
                Err(failure) => {
                    let failure = Arc::new(failure);
                    self.record(Err(Arc::clone(&failure)));
                    ticket.fail(failure);
                }
            }
        }
    }

    fn record(&self, outcome: Outcome) {
        // This fails only while the program exits.
        let _ = self.outcomes.send(outcome);
    }

    fn hash_file(&self, path: PathBuf, buffer: &mut [u8]) -> Result<Checksum, Failure> {
        match self.digest(&path, buffer) {
            Ok(digest) => Ok(Checksum {
                path: path.into(),
                digest,
            }),
            Err(error) => Err(Failure { path, error }),
        }
    }

    fn digest(&self, path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
        // The file may have changed since the walk saw it, and opening a fifo waits for a writer.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(hasher.finalize().into()),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    self.progress.inc(length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
