//! The command line.

use clap::Parser;

use crate::common::exit;
use crate::common::start::start;

/// Count the primes below N on a pool of threads
#[derive(Parser)]
#[command(name = "executor", version, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Upper bound of the numbers (exclusive)
    #[arg(value_name = "N", default_value_t = 1_000_000)]
    pub(crate) below: u64,

    /// Number of threads [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Number of jobs
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) jobs: u64,

    /// Maximum number of jobs that are queued
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// Cancel the jobs that have not started once there are K results
    #[arg(long, value_name = "K")]
    pub(crate) cancel_after: Option<u64>,

    /// Make the job with this number panic; the first job is 1
    #[arg(long, value_name = "JOB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) panic_at: Option<u64>,

    /// Hide the progress bar (it is shown only if stderr is a terminal)
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    all primes below N were counted
  1    a job panicked, the output could not be written, or there was too little
       memory or too few threads; the other jobs ran, except those that
       --cancel-after cancelled
  2    invalid arguments
  3    jobs were cancelled by --cancel-after; those in hand were finished
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C: the jobs that had not started were cancelled, those
       in hand were finished. A second Ctrl-C, half a second later or more, quits
       at once; what is not yet printed is lost
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C";

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        let jobs = args.jobs;
        if args.panic_at.is_some_and(|job| job > jobs) {
            exit::bad_argument::<Self>(format_args!(
                "--panic-at is larger than --jobs, which is {jobs}"
            ));
        }
        args
    }
}
