//! The result of each file.

use std::error::Error;
use std::fmt;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// The result of hashing one file. A failure is shared with the channel, which keeps the first.
pub(crate) type Outcome = Result<Checksum, Arc<Failure>>;

pub(crate) struct Checksum {
    /// The number of the PATH at or below which the file is.
    pub(crate) argument: usize,
    pub(crate) path: PathBuf,
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

impl Checksum {
    /// The order of the output. Paths compare by byte here, as `sort` compares them, not by
    /// component.
    pub(crate) fn key(&self) -> impl Ord {
        (self.argument, self.name())
    }

    fn name(&self) -> &[u8] {
        self.path.as_os_str().as_encoded_bytes()
    }

    /// Writes a line as `sha256sum` does: the bytes of the name, whether or not they are UTF-8. A
    /// line starts with a backslash if its name contains characters that must be escaped.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let name = self.name();
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
