//! Input that was not read before a stop.

use std::fmt;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::lines::BYTE_ORDER_MARK;
use super::lines::Lines;
use super::lines::Place;
use super::source::Next;
use super::source::is_ready;
use crate::common::streams;

/// How long the call of a reader that has stopped may take. Its input was ready, so that it returns at
/// once, unless the system is at fault.
const PATIENCE: Duration = Duration::from_secs(1);

/// An input as its reader left it.
pub(crate) enum Stopped {
    File {
        path: PathBuf,
        /// `None` if it was not open.
        lines: Option<Lines>,
    },
    Numbers {
        first: u64,
        last: u64,
        step: usize,
    },
}

/// What is unread of the inputs whose readers have stopped. From now on, nothing is read from them.
pub(crate) async fn settle(stopped: Vec<Stopped>) -> Vec<Unread> {
    let deadline = Instant::now() + PATIENCE;
    let mut unread = Vec::new();
    for input in stopped {
        unread.extend(input.settle(deadline).await);
    }
    unread
}

impl Stopped {
    /// Returns `None` if all has been read.
    async fn settle(self, deadline: Instant) -> Option<Unread> {
        let (path, lines) = match self {
            Self::File { path, lines } => (path, lines),
            Self::Numbers { first, last, step } => {
                return Some(Unread::Numbers { first, last, step });
            }
        };
        let Some(lines) = lines else {
            return Some(Unread::File {
                path,
                from: None,
                buffered: Vec::new(),
                next: Next::Unknown,
            });
        };
        let (place, mut buffered, source) = lines.into_rest();
        let (more, next) = source.settle(deadline).await;
        buffered.extend(more);
        let is_read = buffered.is_empty() && next == Next::End;
        (!is_read).then_some(Unread::File {
            path,
            from: Some(place),
            buffered,
            next,
        })
    }
}

/// The rest of an input.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    File {
        path: PathBuf,
        /// `None` if nothing was read.
        from: Option<Place>,
        /// What the system has given out. A pipe does not give it out again.
        buffered: Vec<u8>,
        /// What follows it.
        next: Next,
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
            Self::File {
                path, from, next, ..
            } => {
                write!(f, "{path:?}")?;
                if let Some(Place { offset, line, .. }) = from {
                    write!(f, " after byte {offset}, in line {line}")?;
                }
                match next {
                    Next::Hangs => f.write_str("; a read hangs, and a pipe loses what that takes"),
                    Next::Unknown | Next::End => Ok(()),
                }
            }
        }
    }
}

/// Opens an input, where `-` is stdin. Also returns how many bytes are before its first one.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    let is_stdin = path == Path::new("-");
    let mut file = if is_stdin {
        streams::stdin()?
    } else {
        File::open(path)?
    };
    if file.metadata()?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    // A pipe has no position.
    let position = file.stream_position().unwrap_or(0);
    Ok((file, position))
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
    /// Copies the rest of an input, and returns whether that is all of it. Of a pipe, copies the lines
    /// that the system has given out.
    pub(crate) fn copy_to(&mut self, out: &mut impl Write) -> Result<bool, NotCopied> {
        let Self::File {
            path,
            from,
            buffered,
            next,
        } = self
        else {
            return Ok(false);
        };
        let has_given = from.is_some_and(|place| place.offset > 0) || !buffered.is_empty();
        if *next != Next::Hangs && is_kept(path, has_given) {
            let rest = rest(path, *from).map_err(NotCopied::Unreadable)?;
            copy_lines(rest, out)?;
            return Ok(true);
        }
        let Some(place) = from else {
            return Ok(false);
        };
        let is_end = *next == Next::End;
        // Half a line would be another number, except at the end.
        let end = match buffered.iter().rposition(|byte| *byte == b'\n') {
            _ if is_end => buffered.len(),
            last => last.map_or(0, |last| last + 1),
        };
        let lines = &buffered[..end];
        let mut rest = lines;
        skip_to_line(&mut rest, *place).map_err(NotCopied::Unreadable)?;
        copy_lines(rest, out)?;
        if !lines.is_empty() {
            place.offset += lines.len() as u64;
            place.line += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            place.is_in_long_line = false;
        }
        Ok(is_end)
    }
}

/// Whether the system gives out all of the input again. A fifo must not be opened, because that may
/// wait.
fn is_kept(path: &Path, has_given: bool) -> bool {
    // A file without length that has given out bytes, as /proc/kmsg does, is like a pipe.
    metadata(path).is_ok_and(|file| file.is_file() && (file.len() > 0 || !has_given))
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    if path == Path::new("-") {
        streams::stdin()?.metadata()
    } else {
        path.metadata()
    }
}

fn rest(path: &Path, from: Option<Place>) -> io::Result<BufReader<Ready>> {
    let (mut file, start) = open(path)?;
    let place = from.unwrap_or(Place {
        offset: start,
        line: 1,
        is_in_long_line: false,
    });
    file.seek(SeekFrom::Start(place.offset))?;
    let mut rest = BufReader::new(Ready(file));
    skip_to_line(&mut rest, place)?;
    Ok(rest)
}

/// A file that gives out what it has. More would have to be waited for, even if it is a regular file
/// by its type, as /proc/kmsg is.
struct Ready(File);

impl Read for Ready {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if is_ready(&self.0) {
            self.0.read(buffer)
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }
}

/// Skips what is at the place and belongs to no line that is to be read.
fn skip_to_line(input: &mut impl BufRead, place: Place) -> io::Result<()> {
    if place.offset == 0 && input.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    if place.is_in_long_line {
        skip_line(input)?;
    }
    Ok(())
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
