//! The consumers: each hashes one file at a time.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use sha2::Digest;
use sha2::Sha256;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::common::descriptors;
use crate::common::streams;
use crate::open::open;
use crate::outcome::Checksum;
use crate::outcome::Failure;
use crate::results::Results;
use crate::walk::Entry;
use crate::walk::Found;
use crate::walk::Source;

/// Large enough that system calls cost little compared to hashing.
pub(crate) const BUFFER_SIZE: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) entries: TaskReceiver<Entry>,
    pub(crate) results: Arc<Results>,
    pub(crate) interrupted: Arc<AtomicBool>,
    pub(crate) progress: ProgressBar,
}

impl Worker {
    /// Hashes files until the channel is finished, or until it is interrupted.
    ///
    /// It blocks, so it needs its own thread. A `spawn_blocking` per file would cost as much as
    /// hashing a small file.
    pub(crate) fn run(self, mut buffer: Vec<u8>) {
        while !self.is_interrupted() {
            let Ok(task) = block_on(self.entries.recv()) else {
                return;
            };
            let digest = match &*task {
                Ok(found) => self.digest(found, &mut buffer),
                Err(_) => Ok(None),
            };
            // If hashing panics, the task is dropped and counts as panicked.
            self.end(task, digest);
        }
    }

    /// Ends a task. The outcome is recorded first, so that all are there when `finished` is ready.
    fn end(&self, task: Task<Entry>, digest: io::Result<Option<[u8; 32]>>) {
        if let Err(error) = &digest {
            if descriptors::is_shortage(error) {
                descriptors::warn_of_shortage(error);
                // This fails only if the channel takes nothing back any more.
                let _ = task.retry_after(descriptors::PAUSE);
                return;
            }
        }
        let (entry, ticket) = task.split();
        let failure = match (entry, digest) {
            (Ok(found), Ok(Some(digest))) => {
                self.results.add(Ok(Checksum {
                    argument: found.argument,
                    path: found.path,
                    digest,
                }));
                return ticket.done();
            }
            // Given up: the ticket is dropped, and the task counts as abandoned.
            (Ok(_), Ok(None)) => return,
            (Ok(Found { path, .. }), Err(error)) => Failure { path, error },
            (Err(failure), _) => failure,
        };
        let failure = Arc::new(failure);
        self.results.add(Err(Arc::clone(&failure)));
        ticket.fail(failure);
    }

    /// Hashes a file. Returns `None` if it is interrupted.
    fn digest(&self, found: &Found, buffer: &mut [u8]) -> io::Result<Option<[u8; 32]>> {
        let mut file = match found.source {
            Source::Stdin => streams::stdin()?,
            Source::Argument => open(&found.path, true)?,
            Source::Directory => open(&found.path, false)?,
        };
        let mut hasher = Sha256::new();
        while !self.is_interrupted() {
            match file.read(buffer) {
                Ok(0) => return Ok(Some(hasher.finalize().into())),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    self.progress.inc(length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
