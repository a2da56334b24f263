//! What happened to the records, and the output.

use std::io;
use std::io::BufWriter;
use std::io::Write;

use crate::common::file::NewFile;
use crate::common::output::print;
use crate::common::output::warn;
use crate::reader::Record;
use crate::unread::NotCopied;
use crate::unread::Unread;
use crate::worker::Sum;

/// The counts of records. Every record that was read is counted in one of the other fields.
pub(crate) struct Account {
    pub(crate) read: u64,
    pub(crate) sum: Sum,
    pub(crate) failed: u64,
    pub(crate) handed_back: Vec<Record>,
    /// Held by a worker that was aborted or panicked.
    pub(crate) in_hand: u64,
    pub(crate) unread: Vec<Unread>,
}

impl Account {
    /// Writes the sum to stdout, and to stderr how many records are not part of it.
    pub(crate) fn print(&self) -> io::Result<()> {
        let Sum { total, records } = self.sum;
        let printed = print(&format!("sum {total} of {records} records\n"));
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

    /// Writes the records that were handed back to a file, one per line, and what was not read of
    /// the input. What is then nowhere but in the input is in `unread` afterwards.
    pub(crate) fn write_left(&mut self, left: NewFile) -> io::Result<()> {
        // Until the file is complete, all of it is only in the input.
        let mut unread = self.unread.clone();
        let written = left.file().and_then(|file| {
            let mut out = BufWriter::new(file);
            for record in &self.handed_back {
                out.write_all(&record.text)?;
                out.write_all(b"\n")?;
            }
            copy_unread(&mut unread, &mut out)?;
            out.flush()
        });
        match written {
            Ok(()) => left.commit()?,
            Err(error) => return Err(left.cannot_write(&error)),
        }
        self.unread = unread;
        Ok(())
    }

    /// Writes to stderr where each input begins that is only there.
    pub(crate) fn print_unread(&self) {
        for unread in &self.unread {
            warn(format_args!("not read: {unread}"));
        }
    }
}

/// Copies what is unread, and keeps what is still nowhere but in the input.
fn copy_unread(unread: &mut Vec<Unread>, out: &mut impl Write) -> io::Result<()> {
    let mut result = Ok(());
    unread.retain_mut(|unread| match unread.copy_to(out) {
        Ok(copied) => !copied,
        Err(NotCopied::Unreadable(error)) => {
            warn(format_args!("cannot copy the rest of {unread}: {error}"));
            true
        }
        Err(NotCopied::Unwritable(error)) => {
            result = Err(error);
            true
        }
    });
    result
}
