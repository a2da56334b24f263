//! `executor`: Python's `ThreadPoolExecutor` in a page, with a program around it that counts
//! primes.
//!
//! What it shows of tollgate:
//!
//! - **An end without sentinels.** The threads receive until the channel is finished. A shutdown
//!   closes it; nobody polls, and no item that says "stop" has to be put into the queue once for
//!   each thread.
//! - **Cancelling what has not begun.** `close_now` hands back the jobs that are queued, and leaves
//!   those in hand alone.
//! - **Waiting for the rest.** `Monitor::finished` is the `wait` of a shutdown. A job that panics
//!   fails its task, and neither its thread nor whoever waits is any the worse for it.
//! - **Backpressure.** `submit` waits while the queue is full; so `map` may be given an endless
//!   iterator.
//! - **Threads.** The futures need no runtime: `pollster::block_on` is all.
//!
//! The executor is in `pool.rs`; `job.rs` is how a result comes back.

mod job;
mod pool;
mod primes;
#[path = "../common/stderr.rs"]
mod stderr;

use std::io;
use std::io::Write;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ErrorKind;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::job::JobError;
use crate::pool::Executor;
use crate::stderr::warn;

/// Count the primes below N on a pool of threads
#[derive(Parser)]
#[command(name = "executor", after_help = EXIT_STATUS)]
struct Args {
    /// Where to stop counting
    #[arg(value_name = "N", default_value_t = 1_000_000)]
    below: u64,

    /// Threads [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Jobs to divide the numbers into
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    jobs: u64,

    /// Jobs that may wait for a thread
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// Cancel what has not begun once there are K results
    #[arg(long, value_name = "K")]
    cancel_after: Option<u64>,

    /// Let this job panic, 1 being the first
    #[arg(long, value_name = "JOB", value_parser = clap::value_parser!(u64).range(1..))]
    panic_at: Option<u64>,

    /// Show no progress bar (nor is there one where stderr is not a terminal)
    #[arg(short, long)]
    quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  all primes below N were counted
  1  a job panicked, or the output could not be written; the others were run,
     but for what --cancel-after cancelled
  2  wrong arguments
  3  jobs were cancelled by --cancel-after; those in hand were finished
Ctrl-C ends it at once, by the signal";

const CANCELLED: u8 = 3;

const TEMPLATE: &str = "{elapsed_precise} {wide_bar} {pos}/{len} jobs, eta {eta}";

fn main() -> ExitCode {
    let args = Args::parse();
    if args.panic_at.is_some_and(|job| job > args.jobs) {
        let message = format!("there is no job to panic beyond the last, {}", args.jobs);
        let error = Args::command().error(ErrorKind::ValueValidation, message);
        error.exit();
    }
    run(&args).unwrap_or_else(|error| {
        warn(error);
        ExitCode::FAILURE
    })
}

fn run(args: &Args) -> io::Result<ExitCode> {
    let cpus = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = (args.workers).map_or_else(cpus, |workers| at_least_one(workers.into()));
    let executor = Executor::new(workers, at_least_one(args.capacity as usize))?;

    let tally = count(args, &executor);
    executor.shutdown(true, false);
    let submitted = executor.report().sent;

    let at_least = if tally.done < args.jobs {
        "at least "
    } else {
        ""
    };
    let primes = format!("{at_least}{} primes below {}", tally.primes, args.below);
    let printed = writeln!(io::stdout(), "{primes}");
    if tally.done < args.jobs {
        warn(format_args!(
            "{} jobs done, {} panicked, {} cancelled, {} not submitted",
            tally.done,
            tally.panicked,
            tally.cancelled,
            args.jobs - submitted
        ));
    }
    printed?;
    Ok(match tally {
        Tally { panicked: 1.., .. } => ExitCode::FAILURE,
        Tally { done, .. } if done < args.jobs => ExitCode::from(CANCELLED),
        _ => ExitCode::SUCCESS,
    })
}

/// What became of the jobs, as their handles tell.
#[derive(Default)]
struct Tally {
    primes: u64,
    done: u64,
    panicked: u64,
    cancelled: u64,
}

/// Goes through the results in order, and shuts the executor down when there are as many as asked
/// for.
fn count(args: &Args, executor: &Executor) -> Tally {
    let bar = progress(args);
    let (below, jobs, panic_at) = (args.below, args.jobs, args.panic_at);
    let counts = executor.map(1..=jobs, move |job| {
        if panic_at == Some(job) {
            panic!("told to by --panic-at");
        }
        primes::count(primes::part(below, job - 1, jobs))
    });

    let mut tally = Tally::default();
    let cancel_at = |results| {
        if args.cancel_after == Some(results) {
            executor.shutdown(false, true);
        }
    };
    cancel_at(0);
    for (result, job) in counts.zip(1..) {
        match result {
            Ok(primes) => {
                tally.primes += primes;
                tally.done += 1;
            }
            Err(error @ JobError::Panicked(_)) => {
                bar.suspend(|| warn(format_args!("job {job} of {jobs} {error}")));
                tally.panicked += 1;
            }
            Err(JobError::Cancelled) => tally.cancelled += 1,
        }
        bar.inc(1);
        cancel_at(job);
    }
    bar.finish_and_clear();
    tally
}

fn progress(args: &Args) -> ProgressBar {
    let target = if args.quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is valid");
    let bar = ProgressBar::with_draw_target(Some(args.jobs), target).with_style(style);
    if !bar.is_hidden() {
        // Also while nothing ends.
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("the arguments have been checked")
}
