//! Lines on stderr.

use std::fmt;
use std::io;
use std::io::Write;

/// Writes a line to stderr that names the program.
pub(crate) fn warn(message: impl fmt::Display) {
    print_line(format_args!("{}: {message}", env!("CARGO_CRATE_NAME")));
}

/// Writes a line to stderr. Unlike `eprintln!` it does not panic when nobody reads it any more.
pub(crate) fn print_line(line: impl fmt::Display) {
    // In one piece, for others write there, too.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
