//! The command line.

use std::error::Error;
use std::num::NonZeroU32;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;

use crate::common::exit;
use crate::common::start::seconds;
use crate::common::start::start;

/// Print how many Collatz steps each of many numbers takes to reach 1
///
/// A pool of worker processes computes them. It prints a line `ITEM STEPS` for each
/// item, in the order of completion. If a worker dies or takes too long, another one
/// tries its item again. Failures and the final counts are written to stderr.
#[derive(Parser)]
#[command(name = "process_pool", version, verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Number of worker processes [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,

    /// Number of items
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    pub(crate) items: u64,

    /// The first item
    #[arg(short, long, value_name = "ITEM", default_value_t = 1)]
    pub(crate) from: u64,

    /// Maximum number of attempts per item
    #[arg(short = 'a', long, value_name = "N", default_value = "3")]
    pub(crate) max_attempts: NonZeroU32,

    /// Kill a worker that has not answered this long after it got an item [default: never]
    #[arg(short, long, value_name = "SECONDS", value_parser = limit)]
    pub(crate) timeout: Option<Duration>,

    /// Maximum number of items that are queued
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// Additional time for each item, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) pause: u64,

    /// Make this item crash its worker at each attempt (may be repeated)
    #[arg(long, value_name = "ITEM")]
    pub(crate) crash_on: Vec<u64>,

    /// Kill a worker after every N items that are sent to workers
    #[arg(long, value_name = "N")]
    pub(crate) kill_every: Option<NonZeroU64>,

    /// Report on stderr each process that starts or dies, and hide the progress bar
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Hide the progress bar (it is shown only if stderr is a terminal and stdout is not)
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Run as a worker process: requests on stdin, replies on stdout.
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every item has a result
  1    an item failed, or the output could not be written. Items whose results
       may not have been printed count as left
  2    invalid arguments
  3    no worker could be started (the system returned an error, or 5 workers in
       a row exited or hung before they were ready, or 100 were killed), or there
       were too few threads or too little memory. Items that were left without a
       worker count as left
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C: the items in hand were finished. A second Ctrl-C,
       half a second later or more, quits at once with all workers; what is not
       yet printed is lost
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C

If the system has too few processes, files to open or memory for all workers, the
program goes on with those that could be started.";

fn limit(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    match seconds(text)? {
        Duration::ZERO => Err("0 is too short for any item".into()),
        limit => Ok(limit),
    }
}

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        let last = args.from.checked_add(args.items.saturating_sub(1));
        if last.is_none() {
            exit::bad_argument::<Self>("the last item exceeds 64 bits: reduce --from or --items");
        }
        args
    }
}
