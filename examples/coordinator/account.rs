//! What became of the records, and how it is told.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::io::Write;
use std::iter;
use std::path::Path;

use crate::coordinator::Cause;
use crate::reader::Record;
use crate::stderr::warn;
use crate::worker::Sum;

/// Every record that was read is one of these.
pub(crate) struct Account {
    pub(crate) read: u64,
    pub(crate) sum: Sum,
    pub(crate) failed: u64,
    pub(crate) handed_back: Vec<Record>,
    /// Lost with whoever was aborted, or panicked.
    pub(crate) in_hand: u64,
}

impl Account {
    /// Writes the sum to stdout, and to stderr what is not in it.
    pub(crate) fn print(&self) -> io::Result<()> {
        let Sum { total, records } = self.sum;
        let printed = writeln!(io::stdout(), "sum {total} of {records} records");
        if records != self.read {
            warn(format_args!(
                "{} records read: {records} summed up, {} failed, {} handed back, {} in stragglers' hands",
                self.read,
                self.failed,
                self.handed_back.len(),
                self.in_hand
            ));
        }
        printed
    }

    /// Writes what was handed back to a file, one record to the line.
    pub(crate) fn write_left(&self, path: &Path) -> io::Result<()> {
        let lines: String = (self.handed_back.iter())
            .flat_map(|record| [&record.text, "\n"])
            .collect();
        fs::write(path, lines).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {path:?}: {error}"))
        })
    }
}

/// An error with all that caused it.
pub(crate) struct Chain<'a>(pub(crate) &'a Cause);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let first: &dyn Error = &**self.0;
        iter::successors(first.source(), |&error| error.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}
