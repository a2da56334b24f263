//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Print the SHA-256 checksum of every regular file below PATH
///
/// The output is sorted by path and has the format of sha256sum: `sha256sum --check` accepts it.
/// Hidden files are included. Symbolic links are not followed, except PATH itself.
#[derive(Parser)]
#[command(name = "checksum", verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Directory to walk, or a single file
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,

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
Exit status:
  0    every file was hashed
  1    a file or directory could not be read, or the output could not be written
  2    invalid arguments
  130  interrupted by Ctrl-C: the files in hand were finished, and all checksums
       so far were printed. A second Ctrl-C quits at once and prints nothing";
