//! How a program ends.

use std::fmt;
use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::output::is_closed_pipe;
use super::output::warn;

/// The status that a shell reports for a program that was ended by SIGPIPE: 128 plus the number of
/// the signal.
pub(crate) const CLOSED_PIPE: u8 = 141;

/// The exit code of a run. An error is printed, and the exit code is then `on_error`.
///
/// If the reader of stdout closed the pipe, nothing is printed, and the exit code is that of a
/// program that was ended by SIGPIPE, as `sha256sum` and most others are.
pub(crate) fn code(ran: io::Result<ExitCode>, on_error: impl Into<ExitCode>) -> ExitCode {
    ran.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return CLOSED_PIPE.into();
        }
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
