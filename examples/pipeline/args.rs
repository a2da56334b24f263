//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::common::exit;
use crate::common::file;
use crate::common::start::start;

/// Send numbers through three stages, and watch the queues between them
///
/// A generates the numbers from 1, B squares them, C writes and adds up the squares. A slow stage
/// fills the queue before it and leaves the one behind it empty: try --delay-b=0 --delay-c=20.
#[derive(Parser)]
#[command(name = "pipeline", version, verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// How many numbers to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) items: u64,

    /// Capacity of each of the two queues
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// Number of workers of stage B; the order is kept only with one
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers_b: u16,

    /// Time that A takes for a number, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) delay_a: u64,

    /// Time that a worker of B takes for a number, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) delay_b: u64,

    /// Time that C takes for a number, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) delay_c: u64,

    /// Make B fail at each multiple of K
    #[arg(long, value_name = "K")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fail_every: Option<u64>,

    /// Write each number and its square to FILE, one pair per line; a FILE that exists is replaced at
    /// the end, by all numbers or, after Ctrl-C, by those that went through all stages
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Print the state of the queues as a line at this interval, in milliseconds, instead of bars
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) stats: Option<u64>,

    /// Hide the bars (they are shown only if stderr is a terminal)
    #[arg(short, long, conflicts_with = "stats")]
    pub(crate) quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every number went through all stages
  1    a stage failed at a number, the output could not be written, or there were
       too few threads or too little memory. If C could not write to FILE, one
       that exists is as it was, unless a message says otherwise
  2    invalid arguments, or stdout or stderr goes to FILE
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C: A stopped, and the numbers that it had generated
       went through all stages. A second Ctrl-C, half a second later or more,
       quits at once: what is not yet printed is lost, and FILE is as it was,
       unless a message says otherwise
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C";

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        let output = args.output.as_deref();
        if let Some(output) = output.filter(|output| file::is_standard_output(output)) {
            exit::bad_argument::<Self>(format_args!(
                "standard output or standard error goes to {output:?} too"
            ));
        }
        args
    }
}
