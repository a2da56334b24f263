//! How a program starts.

use std::error::Error;
use std::io;
use std::io::Write;
use std::process;
use std::time::Duration;

use clap::Parser;

use super::descriptors;
use super::exit;
use super::output;
use super::output::warn;

/// Parses the command line, and prepares the process. Ends the program if the command line is
/// invalid, asks for help, or if nothing can be written to stdout.
pub(crate) fn start<Args: Parser>() -> Args {
    let parsed = Args::try_parse();
    let args = match parsed {
        Err(error) if error.use_stderr() => error.exit(),
        parsed => output::check().and_then(|()| match parsed {
            Ok(args) => Ok(Some(args)),
            // The text of --help or --version.
            Err(text) => text
                .print()
                .and_then(|()| io::stdout().flush())
                .map(|()| None),
        }),
    };
    match args.map_err(output::cannot_write) {
        Ok(Some(args)) => {
            descriptors::raise_limit();
            ignore_size_limit();
            args
        }
        Ok(None) => process::exit(0),
        Err(error) if output::is_closed_pipe(&error) => process::exit(exit::CLOSED_PIPE.into()),
        Err(error) => {
            warn(error);
            process::exit(1);
        }
    }
}

/// Makes a write beyond the limit of file sizes (ulimit -f) an error. By default, it ends the process.
fn ignore_size_limit() {
    #[cfg(unix)]
    {
        use nix::sys::signal::SigHandler;
        use nix::sys::signal::Signal;
        use nix::sys::signal::signal;

        // SAFETY: no handler is installed.
        let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    }
}

/// Parses an argument that is a number of seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}
