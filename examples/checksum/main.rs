//! `checksum PATH`: the SHA-256 of every file below PATH, printed as `sha256sum` prints it.
//!
//! What it shows of tollgate:
//!
//! - **Backpressure.** The walk waits in `send` while the channel is full: however large the tree,
//!   at most `--capacity` paths are queued. Only results are kept, to be sorted.
//! - **One task per file.** A file that cannot be read fails its task, and so does a directory
//!   that cannot be listed: one account holds all that went wrong.
//! - **An end to await.** The walk drops its sender, the workers run out of tasks, and
//!   `Monitor::finished` says that every file has been dealt with and whether any failed. A worker
//!   that panics is a line in the report; nothing hangs.
//! - **Stopping early.** Ctrl-C closes the channel. The workers finish the files in hand and leave;
//!   what is queued then is discarded, and counted.
//! - **Any executor.** Walking and hashing block, so they run on threads of their own; signals and
//!   the end are awaited on tokio. One channel serves both.

#[path = "../common/interrupt.rs"]
mod interrupt;
mod outcome;
mod progress;
#[path = "../common/stderr.rs"]
mod stderr;
mod walk;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use indicatif::ProgressBar;
use tollgate::JoinError;
use tollgate::Monitor;
use tollgate::Report;

use crate::interrupt::INTERRUPTED;
use crate::interrupt::Interrupt;
use crate::outcome::Summary;
use crate::stderr::warn;
use crate::walk::Entry;
use crate::worker::Worker;

/// Print the SHA-256 checksum of every regular file below PATH
///
/// The output is sorted by path and has the format of sha256sum: `sha256sum --check` accepts it.
/// Hidden files are included. Symbolic links are not followed, except PATH itself.
#[derive(Parser)]
#[command(name = "checksum", verbatim_doc_comment, after_help = EXIT_STATUS)]
struct Args {
    /// Directory to walk, or a single file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Files hashed at the same time [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,

    /// Paths the walk may be ahead of the hashing
    #[arg(short, long, value_name = "N", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// Show no progress bar (nor is there one where stderr is not a terminal)
    #[arg(short, long)]
    quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every file was hashed
  1    a file or directory could not be read, or the output not be written
  2    wrong arguments
  130  interrupted by Ctrl-C: the files in hand were finished, and all that
       was hashed is printed. A second Ctrl-C quits at once, printing nothing";

#[tokio::main]
async fn main() -> ExitCode {
    run(Args::parse()).await.unwrap_or_else(|error| {
        warn(error);
        ExitCode::FAILURE
    })
}

/// Hashes, prints and reports.
///
/// An error is one of the program's own (no thread to be had, no room for the output). A file that
/// cannot be read is no such error but part of the summary.
async fn run(args: Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let interrupted = Arc::new(AtomicBool::new(false));

    let (sender, receiver) = tollgate::tasks(args.capacity as usize);
    let monitor = sender.monitor();
    let progress = progress::bar(args.quiet, monitor.clone());

    let (outcomes, results) = mpsc::channel();
    let worker = Worker {
        entries: receiver,
        outcomes,
        interrupted: Arc::clone(&interrupted),
        progress: progress.clone(),
    };
    spawn_workers(args.jobs, worker)?;

    let bar = progress.clone();
    let walker = spawn("walk", move || walk::walk(&args.path, &sender, &bar))?;

    let finished = finish(&monitor, interrupt, &interrupted, &progress).await;

    let interrupted = interrupted.load(Ordering::Relaxed);
    // A walk that panicked has closed the channel, too, with files still to come. One that was
    // interrupted may be held up, and nobody needs it any more.
    let walked = interrupted || walker.join().is_ok();

    let summary = Summary::new(results.try_iter());
    let printed = summary.print();
    summary.print_failures();
    warn_of_files_left(&summary, &finished, interrupted);
    printed?;

    Ok(match finished {
        _ if interrupted => ExitCode::from(INTERRUPTED),
        Ok(_) if walked => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Waits until every file has been dealt with; an interrupt makes that soon.
async fn finish(
    monitor: &Monitor<Entry>,
    interrupt: Interrupt,
    interrupted: &AtomicBool,
    progress: &ProgressBar,
) -> Result<Report, JoinError> {
    tokio::select! {
        _ = monitor.finished() => {}
        () = interrupt.first() => {
            // Relaxed: a worker that sees it late hashes one file more.
            interrupted.store(true, Ordering::Relaxed);
            monitor.close();
            progress.suspend(|| warn("finishing the files in hand; Ctrl-C again quits at once"));
        }
    }
    let finished = monitor.finished().await;
    progress.finish_and_clear();
    finished
}

/// Says how many files were found and not hashed. The walk may have been about to find more.
fn warn_of_files_left(summary: &Summary, finished: &Result<Report, JoinError>, interrupted: bool) {
    let report = match finished {
        Ok(report) => report,
        Err(error) => &error.report,
    };
    let cause = match report.panicked {
        _ if interrupted => "interrupted",
        0 => return,
        _ => "a worker panicked",
    };
    let (hashed, left) = (summary.hashed(), report.discarded + report.panicked);
    warn(format_args!(
        "{cause}: {hashed} files hashed, at least {left} not hashed"
    ));
}

/// Starts as many workers as asked for, or one per CPU.
///
/// The receivers end up with the workers alone: once all of them have left, the channel is without
/// one and discards what is queued.
fn spawn_workers(jobs: Option<u16>, worker: Worker) -> io::Result<()> {
    let cpus = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for number in 0..jobs.map_or_else(cpus, usize::from) {
        let worker = worker.clone();
        spawn(&format!("hash-{number}"), move || worker.run())?;
    }
    Ok(())
}

fn spawn<F>(name: &str, run: F) -> io::Result<thread::JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
