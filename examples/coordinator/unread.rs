//! Input that was not read before a stop.

use std::fmt;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use super::lines::BYTE_ORDER_MARK;
use super::lines::Place;
use crate::common::streams;

/// The rest of an input.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    File {
        path: PathBuf,
        /// `None` if nothing was read.
        from: Option<Place>,
        /// What the system has given out. A pipe does not give it out again.
        buffered: Vec<u8>,
    },
    Numbers {
        first: u64,
        last: u64,
        step: usize,
    },
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers { first, last, step } => {
                write!(f, "the numbers from {first} to {last} by {step}")
            }
            Self::File { path, from, .. } => {
                write!(f, "{path:?}")?;
                match from {
                    None => Ok(()),
                    Some(Place { offset, line, .. }) => {
                        write!(f, " after byte {offset}, in line {line}")
                    }
                }
            }
        }
    }
}

/// Opens an input, where `-` is stdin. Also returns how many bytes are before its first one.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    if path != Path::new("-") {
        return Ok((File::open(path)?, 0));
    }
    let mut stdin = streams::stdin()?;
    // A pipe has no position.
    let position = stdin.stream_position().unwrap_or(0);
    Ok((stdin, position))
}

/// Why the rest of an input was not copied.
#[derive(Debug)]
pub(crate) enum NotCopied {
    /// Nothing is lost: the rest is where it was.
    Unreadable(io::Error),
    /// The copy is not complete.
    Unwritable(io::Error),
}

impl Unread {
    /// Copies the rest of a file. Of a pipe, copies the lines that the system has given out, and
    /// returns `false`.
    pub(crate) fn copy_to(&mut self, out: &mut impl Write) -> Result<bool, NotCopied> {
        let Self::File {
            path,
            from,
            buffered,
        } = self
        else {
            return Ok(false);
        };
        if is_regular(path) {
            let rest = rest(path, *from).map_err(NotCopied::Unreadable)?;
            copy_lines(rest, out)?;
            return Ok(true);
        }
        let Some(place) = from else {
            return Ok(false);
        };
        // Half a line would be another number.
        let end = buffered.iter().rposition(|byte| *byte == b'\n');
        let lines = &buffered[..end.map_or(0, |end| end + 1)];
        let mut rest = lines;
        if place.is_in_long_line {
            skip_line(&mut rest).map_err(NotCopied::Unreadable)?;
        }
        out.write_all(rest).map_err(NotCopied::Unwritable)?;
        if !lines.is_empty() {
            place.offset += lines.len() as u64;
            place.line += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            place.is_in_long_line = false;
        }
        Ok(false)
    }
}

/// Whether it can be read from any place. A fifo must not be opened, because that may wait.
fn is_regular(path: &Path) -> bool {
    metadata(path).is_ok_and(|metadata| metadata.is_file())
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    if path == Path::new("-") {
        streams::stdin()?.metadata()
    } else {
        path.metadata()
    }
}

fn rest(path: &Path, from: Option<Place>) -> io::Result<BufReader<File>> {
    let (mut file, start) = open(path)?;
    let offset = from.map_or(start, |place| place.offset);
    file.seek(SeekFrom::Start(offset))?;
    let mut rest = BufReader::new(file);
    if offset == 0 && rest.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        rest.consume(BYTE_ORDER_MARK.len());
    }
    if from.is_some_and(|place| place.is_in_long_line) {
        skip_line(&mut rest)?;
    }
    Ok(rest)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

/// Copies until the end, and ends the last line.
fn copy_lines(mut input: impl BufRead, out: &mut impl Write) -> Result<(), NotCopied> {
    let mut last = b'\n';
    loop {
        // Without the rest of a line, the next file would continue it.
        let end = if last == b'\n' { &b""[..] } else { b"\n" };
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) => {
                out.write_all(end).map_err(NotCopied::Unwritable)?;
                return Err(NotCopied::Unreadable(error));
            }
        };
        let Some(byte) = bytes.last() else {
            return out.write_all(end).map_err(NotCopied::Unwritable);
        };
        last = *byte;
        out.write_all(bytes).map_err(NotCopied::Unwritable)?;
        let length = bytes.len();
        input.consume(length);
    }
}
