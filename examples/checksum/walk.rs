//! The producer: sends one entry per file.

use std::path::Path;
use std::path::PathBuf;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use tollgate::Sender;
use walkdir::WalkDir;

use crate::outcome::Failure;

/// An item of the channel: a file to hash, or an error of the walk. Errors are items as well, so
/// that the report of the channel counts every failure.
pub(crate) type Entry = Result<PathBuf, Failure>;

/// The number of directories that are open at once. Below that depth, the remaining names of an
/// outer directory are read into memory. Apart from the channel, paths accumulate only there.
const MAX_OPEN: usize = 64;

/// Sends every regular file at or below `root`, and waits while the channel is full. It stops when
/// the channel is closed.
pub(crate) fn walk(root: &Path, entries: &Sender<Entry>, progress: &ProgressBar) {
    let send = |entry| block_on(entries.send(entry)).is_ok();

    if !root.is_dir() {
        // If this path is not a file, a worker fails to open it and prints the error.
        progress.inc_length(root.metadata().map_or(0, |metadata| metadata.len()));
        send(Ok(root.to_owned()));
        return;
    }
    for entry in WalkDir::new(root).max_open(MAX_OPEN) {
        let sent = match entry {
            Ok(entry) if entry.file_type().is_file() => {
                // Only the progress bar needs the size. If this fails, opening the file fails too.
                progress.inc_length(entry.metadata().map_or(0, |metadata| metadata.len()));
                send(Ok(entry.into_path()))
            }
            // Where there are no files to send, the walk must also notice that it should stop.
            Ok(_) => !entries.is_closed(),
            Err(error) => send(Err(Failure::from_walk(error, root))),
        };
        if !sent {
            return;
        }
    }
}
