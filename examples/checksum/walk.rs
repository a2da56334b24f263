//! The producer: sends one entry per file.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use tollgate::Sender;
use walkdir::WalkDir;

use crate::common::descriptors;
use crate::common::file;
use crate::common::output::warn;
use crate::outcome::Failure;

/// An item of the channel: a file to hash, or an error of the walk. Errors are items as well, so
/// that the report of the channel counts every failure.
pub(crate) type Entry = Result<Found, Failure>;

/// A file to hash.
pub(crate) struct Found {
    /// The number of the PATH at or below which it is.
    pub(crate) argument: usize,
    pub(crate) source: Source,
    pub(crate) path: PathBuf,
}

#[derive(Clone, Copy)]
pub(crate) enum Source {
    Stdin,
    /// A PATH itself.
    Argument,
    /// A file below a PATH.
    Directory,
}

/// The number of directories that are open at once. Below that depth, the remaining names of an
/// outer directory are read into memory. Apart from the channel, paths accumulate only there.
pub(crate) const MAX_OPEN: usize = 32;

/// Sends every regular file at or below the paths, and waits while the channel is full. It stops
/// when the channel is closed.
pub(crate) fn walk(paths: Vec<PathBuf>, entries: &Sender<Entry>, progress: &ProgressBar) {
    let stdout = file::stdout();
    for (argument, path) in paths.into_iter().enumerate() {
        let walk = Walk {
            argument,
            entries,
            progress,
            stdout: stdout.as_ref(),
        };
        if walk.run(path).is_none() {
            return;
        }
    }
}

struct Walk<'a> {
    argument: usize,
    entries: &'a Sender<Entry>,
    progress: &'a ProgressBar,
    /// The file to which the output goes. It changes when the output is written.
    stdout: Option<&'a Metadata>,
}

/// `None` if the walk should stop.
type Go = Option<()>;

impl Walk<'_> {
    fn run(&self, path: PathBuf) -> Go {
        if path == Path::new("-") {
            return self.send_file(Source::Stdin, path, None);
        }
        if path.is_dir() {
            return self.walk(path);
        }
        // If this path is not a file, a worker fails to open it and prints the error.
        let metadata = path.metadata().ok();
        self.send_file(Source::Argument, path, metadata)
    }

    fn walk(&self, root: PathBuf) -> Go {
        let mut roots = vec![root];
        while let Some(root) = roots.pop() {
            for entry in WalkDir::new(&root).max_open(MAX_OPEN) {
                match entry {
                    Ok(entry) if entry.file_type().is_file() => {
                        let metadata = entry.metadata().ok();
                        self.send_file(Source::Directory, entry.into_path(), metadata)?;
                    }
                    // Where there are no files to send, the walk must also notice that it should
                    // stop.
                    Ok(_) if self.entries.is_closed() => return None,
                    Ok(_) => {}
                    Err(error) => match shortage(&error) {
                        // Listed later, when workers have closed files.
                        Some((directory, error)) => {
                            descriptors::warn_of_shortage(error);
                            thread::sleep(descriptors::PAUSE);
                            roots.push(directory.to_owned());
                        }
                        None => self.send(Err(Failure::from_walk(error, &root)))?,
                    },
                }
            }
        }
        Some(())
    }

    /// Sends a file, unless it is the one to which the output goes. A PATH itself then fails.
    fn send_file(&self, source: Source, path: PathBuf, metadata: Option<Metadata>) -> Go {
        if let Some(metadata) = &metadata {
            if self
                .stdout
                .is_some_and(|stdout| file::is_same(stdout, metadata))
            {
                if let Source::Argument = source {
                    let error = io::Error::other("not hashed, because the output goes there");
                    return self.send(Err(Failure { path, error }));
                }
                warn(format_args!(
                    "{path:?}: left out, because the output goes there"
                ));
                return Some(());
            }
            // Only the progress bar needs the size. Without metadata, opening the file fails too.
            self.progress.inc_length(metadata.len());
        }
        self.send(Ok(Found {
            argument: self.argument,
            source,
            path,
        }))
    }

    fn send(&self, entry: Entry) -> Go {
        block_on(self.entries.send(entry)).ok()
    }
}

/// The directory that could not be listed because too many files were open.
fn shortage(error: &walkdir::Error) -> Option<(&Path, &io::Error)> {
    let cause = error.io_error()?;
    let directory = error.path()?;
    descriptors::is_shortage(cause).then_some((directory, cause))
}
