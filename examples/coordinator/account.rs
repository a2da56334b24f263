//! What happened to the records, and the output.

use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use crate::common::output::warn;
use crate::reader::Record;
use crate::worker::Sum;

/// The counts of records. Every record that was read is counted in one of the other fields.
pub(crate) struct Account {
    pub(crate) read: u64,
    pub(crate) sum: Sum,
    pub(crate) failed: u64,
    pub(crate) handed_back: Vec<Record>,
    /// Held by a worker that was aborted or panicked.
    pub(crate) in_hand: u64,
}

impl Account {
    /// Writes the sum to stdout, and to stderr how many records are not part of it.
    pub(crate) fn print(&self) -> io::Result<()> {
        let Sum { total, records } = self.sum;
        let printed = writeln!(io::stdout(), "sum {total} of {records} records");
        if records != self.read {
            warn(format_args!(
                "{} records read: {records} summed up, {} failed, {} handed back, {} abandoned",
                self.read,
                self.failed,
                self.handed_back.len(),
                self.in_hand
            ));
        }
        printed
    }

    /// Writes the records that were handed back to a file, one per line.
    pub(crate) fn write_left(&self, path: &Path) -> io::Result<()> {
        let lines: String = (self.handed_back.iter())
            .flat_map(|record| [&record.text, "\n"])
            .collect();
        fs::write(path, lines).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {path:?}: {error}"))
        })
    }
}
