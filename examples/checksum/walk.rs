//! The producer: one entry per file found.

use std::path::Path;
use std::path::PathBuf;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use tollgate::Sender;
use walkdir::WalkDir;

use crate::outcome::Failure;

/// What goes through the channel: a file to hash, or what the walk could not read. The latter is
/// an item as well so that one account, the channel's, holds every failure.
pub(crate) type Entry = Result<PathBuf, Failure>;

/// Directories held open at once. Of one nested deeper the outer ones' remaining names are read
/// into memory: the only place beside the channel where paths can gather.
const MAX_OPEN: usize = 64;

/// Sends every regular file at or below `root`, waiting whenever the channel is full, until the
/// walk is over or the channel closed.
pub(crate) fn walk(root: &Path, entries: &Sender<Entry>, progress: &ProgressBar) {
    let send = |entry| block_on(entries.send(entry)).is_ok();

    if !root.is_dir() {
        // A file, or something a worker will fail to open: the user named it, so say why.
        progress.inc_length(root.metadata().map_or(0, |metadata| metadata.len()));
        send(Ok(root.to_owned()));
        return;
    }
    for entry in WalkDir::new(root).max_open(MAX_OPEN) {
        let sent = match entry {
            Ok(entry) if entry.file_type().is_file() => {
                // Only progress needs the size. If there is none, opening the file will say why.
                progress.inc_length(entry.metadata().map_or(0, |metadata| metadata.len()));
                send(Ok(entry.into_path()))
            }
            // A walk that finds no files must notice, too, that it is no longer wanted.
            Ok(_) => !entries.is_closed(),
            Err(error) => send(Err(Failure::from_walk(error, root))),
        };
        if !sent {
            return;
        }
    }
}
