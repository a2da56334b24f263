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
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::lines::BYTE_ORDER_MARK;
use super::lines::Lines;
use super::lines::MAX_LENGTH;
use super::lines::Place;
use super::source::Next;
use super::source::PATIENCE;
use super::source::Settled;
use super::source::is_ready;
use crate::common::file;
use crate::common::streams;

/// An input as its reader left it.
pub(crate) enum Stopped {
    File {
        path: PathBuf,
        /// `None` if it was not open.
        lines: Option<Lines>,
    },
    /// It is closed, and nothing that it gave out is left.
    Pipe {
        path: PathBuf,
        place: Place,
    },
    Numbers {
        first: u64,
        last: u64,
        step: usize,
    },
}

/// What is unread of the inputs whose readers have stopped. After this returns, nothing is read from
/// pipes, unless a call hangs.
pub(crate) async fn settle(stopped: Vec<Stopped>) -> Vec<Unread> {
    let deadline = Instant::now() + PATIENCE;
    // At the same time, because each may have to wait for the rest of a line.
    let settle = stopped.into_iter().map(|input| input.settle(deadline));
    join_all(settle).await.into_iter().flatten().collect()
}

impl Stopped {
    /// Returns `None` if all has been read.
    async fn settle(self, deadline: Instant) -> Option<Unread> {
        let (path, lines) = match self {
            Self::File { path, lines } => (path, lines),
            Self::Pipe { path, place } => {
                return Some(Unread::Rest {
                    path,
                    place,
                    bytes: Vec::new(),
                    last: Vec::new(),
                    next: Next::Unknown,
                    file: None,
                });
            }
            Self::Numbers { first, last, step } => {
                return Some(Unread::Numbers { first, last, step });
            }
        };
        let Some(lines) = lines else {
            return Some(Unread::File(path));
        };
        let (place, partial, source) = lines.into_rest();
        let mut input = source.settle(deadline).await;
        input.bytes.splice(..0, partial);
        let metadata = input.file.metadata().ok();
        let is_file = metadata.as_ref().is_some_and(Metadata::is_file);
        // A socket may drop the rest of a message of which one byte is read.
        if metadata.as_ref().is_some_and(file::is_pipe) {
            input.end_line(MAX_LENGTH, deadline).await;
        }
        let Settled {
            bytes,
            last,
            next,
            file,
        } = input;
        let is_read = bytes.is_empty() && next == Next::End;
        (!is_read).then_some(Unread::Rest {
            path,
            place,
            bytes,
            last,
            next,
            file: is_file.then_some(file),
        })
    }
}

/// What was not read of an input.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    /// All of it. It was not opened.
    File(PathBuf),
    /// What is behind a place.
    Rest {
        path: PathBuf,
        place: Place,
        /// What was taken at the place. A pipe does not give it out again.
        bytes: Vec<u8>,
        /// What was taken last.
        last: Vec<u8>,
        next: Next,
        /// `None` if it is not a file. A pipe is closed, so that its writer finds out.
        file: Option<Arc<File>>,
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
            Self::File(path) => write!(f, "{path:?}"),
            Self::Rest {
                path, place, next, ..
            } => {
                let Place { offset, line, .. } = place;
                write!(f, "{path:?} after byte {offset}, in line {line}")?;
                match next {
                    Next::Hangs => {
                        f.write_str("; a read still waits, and what it takes from a pipe is lost")
                    }
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
        let mut options = File::options();
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;

            // A thread that waits for the writer of a fifo could not be stopped.
            options.custom_flags(nix::libc::O_NONBLOCK);
        }
        options.read(true).open(path)?
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
    /// What a pipe gave out behind the place, if there is anything.
    pub(crate) fn given_out(&self) -> Option<String> {
        match self {
            Self::Rest {
                path,
                bytes,
                file: None,
                ..
            } if !bytes.is_empty() => {
                let length = bytes.len();
                Some(format!(
                    "not written: {length} bytes that {path:?} gave out"
                ))
            }
            _ => None,
        }
    }

    /// Copies the rest of an input, and returns whether that is all of it. Of a pipe, copies the lines
    /// that the system has given out.
    pub(crate) fn copy_to(&mut self, out: &mut impl Write) -> Result<bool, NotCopied> {
        match self {
            Self::Numbers { .. } => Ok(false),
            Self::File(path) => copy_file(path, out),
            Self::Rest {
                place,
                bytes,
                last,
                next,
                file,
                ..
            } => {
                let position = place.offset + bytes.len() as u64;
                match file {
                    Some(file) if *next != Next::Hangs && is_kept(file, position, last) => {
                        // Behind what was taken last.
                        copy_lines(bytes.chain(Ready(file)), *place, out)?;
                        Ok(true)
                    }
                    _ => copy_taken(place, bytes, *next == Next::End, out),
                }
            }
        }
    }
}

/// Whether a file still has what was taken last, before this position. If not, it was probably
/// truncated and written again, or the system generates it, as /proc/kmsg. If so, the position of the
/// file is behind that.
fn is_kept(mut file: &File, position: u64, last: &[u8]) -> bool {
    let Some(start) = position.checked_sub(last.len() as u64) else {
        return false;
    };
    let length = file.metadata().map_or(0, |file| file.len());
    if length == 0 && position > 0 {
        return false;
    }
    let mut again = Vec::new();
    let read = file
        .seek(SeekFrom::Start(start))
        .and_then(|_| file.take(last.len() as u64).read_to_end(&mut again));
    read.is_ok() && again == last
}

/// Copies a file that was not opened. A fifo is not opened either, because its writer would find a reader.
fn copy_file(path: &Path, out: &mut impl Write) -> Result<bool, NotCopied> {
    if !metadata(path).is_ok_and(|file| file.is_file()) {
        return Ok(false);
    }
    let (file, offset) = open(path).map_err(NotCopied::Unreadable)?;
    let start = Place {
        offset,
        line: 1,
        is_in_long_line: false,
    };
    copy_lines(Ready(&file), start, out)?;
    Ok(true)
}

/// Copies the lines that were taken of a pipe, and advances the place behind them.
fn copy_taken(
    place: &mut Place,
    bytes: &[u8],
    is_end: bool,
    out: &mut impl Write,
) -> Result<bool, NotCopied> {
    // Half a line would be another number, except at the end.
    let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
        _ if is_end => bytes.len(),
        last => last.map_or(0, |last| last + 1),
    };
    let lines = &bytes[..end];
    copy_lines(lines, *place, out)?;
    if !lines.is_empty() {
        place.offset += lines.len() as u64;
        place.line += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        place.is_in_long_line = false;
    }
    Ok(is_end)
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    if path == Path::new("-") {
        streams::stdin()?.metadata()
    } else {
        path.metadata()
    }
}

/// A file that gives out what it has. More would have to be waited for, even if it is a regular file
/// by its type, as /proc/kmsg is.
struct Ready<'a>(&'a File);

impl Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if is_ready(self.0) {
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

/// Copies the lines of an input that begins at the place, and ends the last one.
fn copy_lines(input: impl Read, place: Place, out: &mut impl Write) -> Result<(), NotCopied> {
    let mut input = BufReader::new(input);
    skip_to_line(&mut input, place).map_err(NotCopied::Unreadable)?;
    let mut last = b'\n';
    loop {
        // Without this line feed, the next input would continue the line.
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
