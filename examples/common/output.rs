//! Writing to stdout and stderr.

use std::fmt;
use std::io;
use std::io::ErrorKind;
use std::io::Write;

/// Writes a line to stderr that starts with the name of the program.
pub(crate) fn warn(message: impl fmt::Display) {
    print_line(format_args!("{}: {message}", env!("CARGO_CRATE_NAME")));
}

/// Writes a line to stderr. Unlike `eprintln!`, it does not panic if that fails.
pub(crate) fn print_line(line: impl fmt::Display) {
    // In one call, because other processes may write to the same terminal or file.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes to stdout. A closed pipe is not an error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    allow_closed_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Treats a closed pipe as success: a reader such as `head` closes the pipe when it has read enough.
pub(crate) fn allow_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
