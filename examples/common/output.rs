//! Writing to stdout and stderr.

use std::error::Error;
use std::fmt;
use std::io;
use std::io::BufWriter;
use std::io::ErrorKind;
use std::io::StdoutLock;
use std::io::Write;

use super::streams;

/// Writes a line to stderr that starts with the name of the program.
pub(crate) fn warn(message: impl fmt::Display) {
    print_line(format_args!("{}: {message}", env!("CARGO_CRATE_NAME")));
}

/// Writes a line to stderr. Unlike `eprintln!`, it does not panic if that fails.
pub(crate) fn print_line(line: impl fmt::Display) {
    // In one call, because other processes may write to the same terminal or file.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes to stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_with(|out| out.write_all(text.as_bytes()))
}

/// Writes to stdout what `write` writes.
pub(crate) fn print_with(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    // What could not be written must not be tried again on drop.
    drop(out.into_parts());
    written.map_err(cannot_write)
}

/// Fails if nothing can be written to stdout.
pub(crate) fn check() -> io::Result<()> {
    streams::check_stdout()
}

/// Adds to an error of stdout where it comes from.
pub(crate) fn cannot_write(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Unwritable(error))
}

/// Whether the reader of stdout has closed the pipe, as `head` does when it has read enough.
pub(crate) fn is_closed_pipe(error: &io::Error) -> bool {
    let of_stdout = error
        .get_ref()
        .is_some_and(|error| error.is::<Unwritable>());
    of_stdout && error.kind() == ErrorKind::BrokenPipe
}

/// An error of stdout.
#[derive(Debug)]
struct Unwritable(io::Error);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl Error for Unwritable {}
