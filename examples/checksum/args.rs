//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::common::exit;
use crate::common::start::start;
use crate::common::streams;

/// Print the SHA-256 checksum of every regular file at or below each PATH
///
/// The output is in the order of the PATHs, and sorted by path below each. It has the format of
/// sha256sum: `sha256sum --check` accepts it. Hidden files are included. Symbolic links are not
/// followed, except a PATH itself, and one that takes the place of a directory during the walk. A
/// file to which standard output goes is left out if it is below a PATH, and is a failure if it is a
/// PATH itself.
#[derive(Parser)]
#[command(name = "checksum", version, verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Directories to walk, and files; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,

    /// Number of files to hash at the same time [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// Maximum number of paths that are queued
    #[arg(short, long, value_name = "N", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// Hide the progress bar (it is shown only if stderr is a terminal)
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXIT_STATUS: &str = "\
If too many files are open, the program waits until some are closed.

Exit status:
  0    every file was hashed
  1    a file or directory could not be read, the output could not be written,
       or there was too little memory, or too few threads or files to open
  2    invalid arguments, or standard input is named twice
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C: the files in hand were given up, and all checksums
       so far were printed. A second Ctrl-C, half a second later or more,
       does so at once, even if a file cannot be given up because reading it
       blocks. While they are printed, it quits at once, and what is not yet
       printed is lost
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C";

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        let mut stdin = args.paths.iter().filter(|path| streams::is_stdin(path));
        if let (Some(_), Some(again)) = (stdin.next(), stdin.next()) {
            exit::bad_argument::<Self>(format_args!(
                "{again:?} is standard input, which can be read only once"
            ));
        }
        args
    }
}
