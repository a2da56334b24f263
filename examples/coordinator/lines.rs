//! Lines of a file, as editors and tools leave them, in bounded memory.

use std::fs::File;
use std::io;
use std::mem;

use super::source::Source;

/// The longest line. What is behind that is skipped.
pub(crate) const MAX_LENGTH: usize = 4096;

/// Some editors begin a file with these bytes, which mean that it is UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A place in a file, between two lines or in one that is too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// How many bytes are before it.
    pub(crate) offset: u64,
    /// The number of the line, counted from 1.
    pub(crate) line: u64,
    /// Whether the rest of this line is to be skipped.
    pub(crate) is_in_long_line: bool,
}

pub(crate) struct Lines {
    input: Source,
    /// The beginning of a line.
    partial: Vec<u8>,
    place: Place,
}

pub(crate) struct Line {
    /// The bytes without the line feed. If it is too long, the first `MAX_LENGTH` + 1.
    pub(crate) text: Vec<u8>,
    pub(crate) number: u64,
}

impl Line {
    /// Whether there is nothing but white space in it. Of a line that is too long, this is not known.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.len() <= MAX_LENGTH && self.text.trim_ascii().is_empty()
    }
}

impl Lines {
    /// The lines of a file, the first byte of which is at `offset`.
    pub(crate) fn new(file: File, offset: u64) -> Self {
        let place = Place {
            offset,
            line: 1,
            is_in_long_line: false,
        };
        Self {
            input: Source::new(file),
            partial: Vec::new(),
            place,
        }
    }

    /// Closes a pipe of which all that was taken has been consumed, so that a writer that comes from
    /// now on does not find a reader. Returns where the next line begins. Any other input is
    /// returned.
    pub(crate) fn close_pipe(self) -> Result<Place, Self> {
        if self.partial.is_empty() && self.input.is_idle_pipe() {
            Ok(self.place)
        } else {
            Err(self)
        }
    }

    /// Where the next line begins, the part of it that has been consumed, and the input.
    pub(crate) fn into_rest(self) -> (Place, Vec<u8>, Source) {
        (self.place, self.partial, self.input)
    }

    /// The next line, or `None` at the end of the file. Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        while self.place.is_in_long_line {
            self.skip().await?;
        }
        loop {
            let bytes = self.input.fill().await?;
            if bytes.is_empty() {
                // The last line may lack its line feed.
                let is_line = !self.partial.is_empty();
                return Ok(is_line.then(|| self.take(0)));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(bytes.len());
            let room = MAX_LENGTH + 1 - self.partial.len();
            self.partial.extend_from_slice(&bytes[..length.min(room)]);
            if length >= room {
                self.input.consume(room);
                return Ok(Some(self.take(0)));
            }
            if end.is_some() {
                self.input.consume(length + 1);
                return Ok(Some(self.take(1)));
            }
            self.input.consume(length);
        }
    }

    /// Skips what is at hand of a line that is too long.
    async fn skip(&mut self) -> io::Result<()> {
        let bytes = self.input.fill().await?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        if end.is_some() || bytes.is_empty() {
            self.place.is_in_long_line = false;
            self.place.line += 1;
        }
        self.input.consume(length);
        self.place.offset += length as u64;
        Ok(())
    }

    /// Takes the partial line, which is followed by a line feed of `end` bytes.
    fn take(&mut self, end: u64) -> Line {
        let mut text = mem::take(&mut self.partial);
        let (start, number) = (self.place.offset, self.place.line);
        self.place.offset += text.len() as u64 + end;
        self.place.is_in_long_line = text.len() > MAX_LENGTH;
        if !self.place.is_in_long_line {
            self.place.line += 1;
        }
        // Without the mark, a line that is too long would no longer look so.
        let is_whole = !self.place.is_in_long_line;
        if start == 0 && is_whole && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Line { text, number }
    }
}
