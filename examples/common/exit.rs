//! How a program ends.

use std::fmt;
use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::output::warn;

/// The status that a shell reports for a program that was ended by SIGINT: 128 plus the number of
/// the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of a run. An error is printed, and the exit code is then `on_error`.
pub(crate) fn code(ran: io::Result<ExitCode>, on_error: impl Into<ExitCode>) -> ExitCode {
    ran.unwrap_or_else(|error| {
        warn(error);
        on_error.into()
    })
}

/// Ends the program as clap does for a bad argument.
pub(crate) fn bad_argument<Args: CommandFactory>(message: impl fmt::Display) -> ! {
    Args::command()
        .error(ErrorKind::ValueValidation, message)
        .exit()
}
