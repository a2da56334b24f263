//! What happened to the records, and the output.

use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

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
    /// the input. Afterwards, `unread` has what is only in the input.
    ///
    /// If this fails, it writes another file, because a pipe gives nothing out again. `input` returns the
    /// input that is the same file, if there is one.
    pub(crate) fn write_left<'a>(
        &mut self,
        left: NewFile,
        input: impl FnOnce() -> Option<&'a Path>,
    ) -> io::Result<()> {
        let error = match self.write_to(&left) {
            Ok(unread) => {
                self.unread = unread;
                let Some(input) = input() else {
                    return left.commit();
                };
                // It was not when the command line was checked.
                let error = io::Error::other(format!("it is {input:?} now, which is an input"));
                let error = left.cannot_write(&error);
                return Err(left.keep_because(error));
            }
            Err(error) => left.cannot_write(&error),
        };
        let write = |other| Ok((self.write_to(&other)?, other));
        match left.elsewhere().and_then(write) {
            Ok((unread, other)) => {
                self.unread = unread;
                Err(other.keep_because(error))
            }
            Err(_) => {
                for record in &self.handed_back {
                    warn(format_args!("not written: {record}"));
                }
                let lost = self.unread.iter().filter_map(Unread::given_out);
                lost.for_each(warn);
                Err(error)
            }
        }
    }

    /// Returns what is unread and was not written.
    fn write_to(&self, left: &NewFile) -> io::Result<Vec<Unread>> {
        let mut unread = self.unread.clone();
        let mut out = BufWriter::new(left.file()?);
        for record in &self.handed_back {
            out.write_all(&record.text)?;
            out.write_all(b"\n")?;
        }
        copy_unread(&mut unread, &mut out)?;
        out.flush()?;
        Ok(unread)
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
