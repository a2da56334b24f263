//! The result of each file, and the output.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::errors::Finished;
use crate::common::errors::report;
use crate::common::output::allow_closed_pipe;
use crate::common::output::warn;

/// The result of hashing one file. A failure is shared with the channel, which keeps the first.
pub(crate) type Outcome = Result<Checksum, Arc<Failure>>;

pub(crate) struct Checksum {
    /// Not a `Path`, because those compare by component, and `sort` compares by byte.
    pub(crate) path: OsString,
    pub(crate) digest: [u8; 32],
}

/// A file or directory that could not be read.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

impl Failure {
    pub(crate) fn from_walk(error: walkdir::Error, root: &Path) -> Self {
        let path = error.path().unwrap_or(root).to_owned();
        let error = error
            .into_io_error()
            .unwrap_or_else(|| io::Error::other("a loop of symbolic links"));
        Self { path, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted, because a name may contain line feeds and terminal control codes.
        write!(f, "{:?}: {}", self.path, self.error)
    }
}

impl Error for Failure {}

/// All results, sorted by path.
pub(crate) struct Summary {
    checksums: Vec<Checksum>,
    failures: Vec<Arc<Failure>>,
}

impl Summary {
    pub(crate) fn new(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let (mut checksums, mut failures) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok(checksum) => checksums.push(checksum),
                Err(failure) => failures.push(failure),
            }
        }
        checksums.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        failures.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self {
            checksums,
            failures,
        }
    }

    /// Writes the checksums to stdout. A closed pipe is not an error.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = (self.checksums.iter())
            .try_for_each(|checksum| checksum.write(&mut out))
            .and_then(|()| out.flush());
        allow_closed_pipe(written)
    }

    /// Writes the failures to stderr.
    pub(crate) fn print_failures(&self) {
        self.failures.iter().for_each(warn);
    }

    /// Writes to stderr how many files were found but not hashed. The walk may have been about to
    /// find more.
    pub(crate) fn warn_of_files_left(&self, finished: &Finished, interrupted: bool) {
        let report = report(finished);
        let cause = match report.panicked {
            _ if interrupted => "interrupted",
            0 => return,
            _ => "a worker panicked",
        };
        let (hashed, left) = (self.checksums.len(), report.discarded + report.panicked);
        warn(format_args!(
            "{cause}: {hashed} files hashed, at least {left} not hashed"
        ));
    }
}

impl Checksum {
    /// Writes a line as `sha256sum` does: the bytes of the name, whether or not they are UTF-8. A
    /// line starts with a backslash if its name contains characters that must be escaped.
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let name = self.path.as_encoded_bytes();
        if name.iter().any(|byte| escape(*byte).is_some()) {
            out.write_all(b"\\")?;
        }
        for byte in self.digest {
            write!(out, "{byte:02x}")?;
        }
        out.write_all(b"  ")?;
        for byte in name {
            out.write_all(escape(*byte).unwrap_or(&[*byte]))?;
        }
        out.write_all(b"\n")
    }
}

fn escape(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\\' => Some(b"\\\\"),
        b'\n' => Some(b"\\n"),
        b'\r' => Some(b"\\r"),
        _ => None,
    }
}
