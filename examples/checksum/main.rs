//! `checksum PATH`: prints the SHA-256 of every file below PATH in the format of `sha256sum`.
//!
//! What it shows of tollgate:
//!
//! - **Backpressure.** The walk waits in `send` while the channel is full: at most `--capacity`
//!   paths are queued, however large the tree is. Only the results are kept, to be sorted.
//! - **One task per file.** A file that cannot be read fails its task, and so does a directory that
//!   cannot be listed: one report counts all failures.
//! - **An end to await.** The walk drops its sender, the workers run out of tasks, and
//!   `Monitor::finished` returns whether every file was hashed. If a worker panics, the report
//!   counts its task as panicked, and nothing hangs.
//! - **Stopping early.** Ctrl-C closes the channel. The workers finish the files in hand and exit;
//!   queued files are discarded and counted.
//! - **Any executor.** Walking and hashing block, so they run on their own threads. Signals and the
//!   end are awaited on tokio. One channel serves both.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod outcome;
mod progress;
mod walk;
mod worker;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use indicatif::ProgressBar;
use tollgate::Monitor;

use crate::args::Args;
use crate::common::errors::Finished;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::warn_interrupted;
use crate::common::threads::workers_or_cpus;
use crate::outcome::Summary;
use crate::walk::Entry;
use crate::worker::Worker;

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(run(Args::parse()).await, ExitCode::FAILURE)
}

/// Hashes the files, and prints the checksums and failures.
///
/// It returns an error if a thread cannot be started or stdout cannot be written. Files that cannot
/// be read are part of the summary.
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
    // A walk that panics also closes the channel, before it has found all files. An interrupted walk
    // may be blocked, and its result is not needed any more.
    let walked = interrupted || walker.join().is_ok();

    let summary = Summary::new(results.try_iter());
    let printed = summary.print();
    summary.print_failures();
    summary.warn_of_files_left(&finished, interrupted);
    printed?;

    Ok(match finished {
        _ if interrupted => exit::INTERRUPTED.into(),
        Ok(_) if walked => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Waits until every file is hashed or has failed. After an interrupt, only the files in hand are.
async fn finish(
    monitor: &Monitor<Entry>,
    interrupt: Interrupt,
    interrupted: &AtomicBool,
    progress: &ProgressBar,
) -> Finished {
    tokio::select! {
        _ = monitor.finished() => {}
        () = interrupt.first() => {
            // Relaxed: a worker that sees it late hashes one more file.
            interrupted.store(true, Ordering::Relaxed);
            monitor.close();
            progress.suspend(|| warn_interrupted("finishing the files in hand"));
        }
    }
    let finished = monitor.finished().await;
    progress.finish_and_clear();
    finished
}

/// Starts the workers.
///
/// Only the workers keep receivers: if all of them exit, the channel closes and discards what is
/// queued.
fn spawn_workers(jobs: Option<u16>, worker: Worker) -> io::Result<()> {
    for number in 0..workers_or_cpus(jobs).get() {
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
