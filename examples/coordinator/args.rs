//! The command line.

use std::fs;
use std::fs::Metadata;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::common::exit;
use crate::common::file;
use crate::common::start::seconds;
use crate::common::start::start;
use crate::common::streams;
use crate::unread;

/// Add up the numbers in files, one per line
///
/// Lines may end with CR LF, a file may begin with a byte order mark, and blank lines are skipped.
/// A line that is no number, is not UTF-8, or is longer than 4096 bytes is a bad record.
///
/// The first error stops all readers and workers: records in hand are finished, and queued records
/// are handed back. What was not read is named on stderr, and is part of the file of --left.
#[derive(Parser)]
#[command(name = "coordinator", version, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Files to read, where `-` is standard input; if there are none, the numbers from 1 to --records are generated
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Number of records to generate
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        conflicts_with = "files"
    )]
    pub(crate) records: u64,

    /// Number of readers, among which the files or numbers are divided
    #[arg(short, long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) readers: u16,

    /// Number of workers
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,

    /// Capacity of each of the two queues
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// How long to wait for readers and workers after a stop
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// Stop cleanly after N records; those in hand are finished
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) enough: Option<u64>,

    /// Write the records that are handed back to this file, and what was not read of the files; of
    /// a pipe, only what it had given out can be written
    #[arg(long, value_name = "FILE")]
    pub(crate) left: Option<PathBuf>,

    /// Make the record with this number fail
    #[arg(long, value_name = "N")]
    pub(crate) fail_at: Option<u64>,

    /// Make the worker that receives the record with this number hang
    #[arg(long, value_name = "N")]
    pub(crate) hang_at: Option<u64>,

    /// Hide the progress bar (it is shown only if stderr is a terminal)
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    all records were summed up, or as many as --enough asks for
  1    a record or a file was bad, the output could not be written, a reader or
       worker had not stopped by the end of the grace period, or there were too
       few threads or too little memory
  2    invalid arguments, a pipe or standard input is named twice, or the file of
       --left is one of those to read or that stdout or stderr goes to
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C, which stops the program as an error does. A second
       Ctrl-C, half a second later or more, quits at once: what is not yet
       printed is lost, and the file of --left is as it was, unless a message
       says otherwise
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C";

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        if let Some(input) = args.overwritten() {
            exit::bad_argument::<Self>(format_args!(
                "--left would overwrite {input:?}, which is to be read"
            ));
        }
        let left = args.left.as_deref();
        if let Some(left) = left.filter(|left| file::is_standard_output(left)) {
            exit::bad_argument::<Self>(format_args!(
                "standard output or standard error goes to {left:?} too"
            ));
        }
        if let Some(again) = args.repeated() {
            exit::bad_argument::<Self>(format_args!(
                "{again:?} is a pipe or standard input, which can be read only once"
            ));
        }
        args
    }

    /// An input that shares what is read with an earlier one, so that each would get a part.
    fn repeated(&self) -> Option<&Path> {
        let mut has_stdin = false;
        let mut pipes: Vec<Metadata> = Vec::new();
        let is_again = |path: &&PathBuf| {
            let is_stdin = streams::is_stdin(path);
            let pipe = unread::metadata(path).ok().filter(file::is_pipe);
            let is_pipe_again = pipe
                .as_ref()
                .is_some_and(|pipe| pipes.iter().any(|other| file::is_same(other, pipe)));
            pipes.extend(pipe);
            let is_stdin_again = is_stdin && has_stdin;
            has_stdin |= is_stdin;
            is_stdin_again || is_pipe_again
        };
        self.files.iter().find(is_again).map(PathBuf::as_path)
    }

    /// The input that is the same file as that of `--left`.
    pub(crate) fn overwritten(&self) -> Option<&Path> {
        let left = self.left.as_ref()?;
        let is_left = |path: &&PathBuf| match (unread::metadata(path), fs::metadata(left)) {
            (Ok(input), Ok(left)) => file::is_same(&input, &left),
            (Err(_), Err(_)) => entry(path).is_some_and(|input| Some(input) == entry(left)),
            _ => false,
        };
        self.files.iter().find(is_left).map(PathBuf::as_path)
    }
}

/// The path of a file that need not exist, in the form that equals other paths of the same file.
fn entry(path: &Path) -> Option<PathBuf> {
    let path = file::follow_links(path).ok()??;
    let directory = match path.parent()? {
        current if current.as_os_str().is_empty() => Path::new("."),
        directory => directory,
    };
    Some(directory.canonicalize().ok()?.join(path.file_name()?))
}
