//! `checksum PATH...`: prints the SHA-256 of every file below each PATH in the format of `sha256sum`.
//!
//! What it shows of tollgate:
//!
//! - **Backpressure.** The walk waits in `send` while the channel is full: at most `--capacity`
//!   paths are queued, however large the tree is. Only the results are kept, to be sorted.
//! - **One task per file.** A file that cannot be read fails its task, and so does a directory that
//!   cannot be listed: one report counts all failures.
//! - **Trying again later.** A file that cannot be opened because too many are open is queued for
//!   later with `Task::retry_after`, and the worker goes on with another.
//! - **An end to await.** The walk drops its sender, the workers run out of tasks, and
//!   `Monitor::finished` returns whether every file was hashed. If a worker panics, the report
//!   counts its task as panicked, and nothing hangs.
//! - **Stopping early.** Ctrl-C closes the channel. The workers give up the files in hand and exit;
//!   queued files are discarded and counted.
//! - **Any executor.** Walking and hashing block, so they run on their own threads. Signals and the
//!   end are awaited on tokio. One channel serves both.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod open;
mod outcome;
mod progress;
mod results;
mod walk;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use indicatif::ProgressBar;
use tollgate::Monitor;

use crate::args::Args;
use crate::common::descriptors;
use crate::common::errors::Finished;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::Stop;
use crate::common::runtime;
use crate::common::threads;
use crate::common::threads::workers_or_cpus;
use crate::results::Results;
use crate::walk::Entry;
use crate::worker::Worker;

/// The option that lowers the number of threads.
const JOBS: Option<&str> = Some("--jobs");

fn main() -> ExitCode {
    let args = Args::checked();
    exit::code(runtime::block_on_this_thread(run(args)), ExitCode::FAILURE)
}

/// Hashes the files, and prints the checksums and failures.
///
/// It returns an error if a thread cannot be started or stdout cannot be written. Files that cannot
/// be read are part of the results.
async fn run(args: Args) -> io::Result<ExitCode> {
    threads::check_room::<Entry>(args.capacity as usize, "--capacity")?;
    let (sender, receiver) = tollgate::tasks(args.capacity as usize);
    let monitor = sender.monitor();
    let results = Arc::new(Results::new(monitor.clone()));
    let interrupted = Arc::new(AtomicBool::new(false));
    let progress = progress::bar(args.quiet, monitor.clone());

    let finished = Arc::clone(&results);
    let interrupt = Interrupt::listen_with(move |stop| finished.print_at_once(stop))?;

    let worker = Worker {
        entries: receiver,
        results: Arc::clone(&results),
        interrupted: Arc::clone(&interrupted),
        progress: progress.clone(),
    };
    let jobs = descriptors::affordable(workers_or_cpus(args.jobs), "jobs", 1, walk::MAX_OPEN)?;
    spawn_workers(jobs, worker)?;

    let bar = progress.clone();
    let walk = move || walk::walk(args.paths, &sender, &bar);
    let walker = threads::spawn("walk", JOBS, walk)?;
    // The thread that a delayed task needs.
    threads::check(1, JOBS)?;

    let (finished, stop) = finish(&monitor, interrupt, &interrupted, &progress).await;

    // A walk that panics also closes the channel, before it has found all files. An interrupted walk
    // may be blocked, and its result is not needed any more.
    let walked = stop.is_some() || walker.join().is_ok();
    results.print(stop)?;

    Ok(match (stop, finished) {
        (Some(stop), _) => stop.code().into(),
        (None, Ok(_)) if walked => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Waits until every file is hashed or has failed. After an interrupt, the files in hand are given
/// up.
async fn finish(
    monitor: &Monitor<Entry>,
    interrupt: Interrupt,
    interrupted: &AtomicBool,
    progress: &ProgressBar,
) -> (Finished, Option<Stop>) {
    let stop = tokio::select! {
        _ = monitor.finished() => None,
        stop = interrupt.first() => {
            // Relaxed: a worker that sees it late hashes one more block.
            interrupted.store(true, Ordering::Relaxed);
            monitor.close();
            progress.suspend(|| stop.warn("giving up the files in hand"));
            Some(stop)
        }
    };
    let finished = monitor.finished().await;
    progress.finish_and_clear();
    (finished, stop)
}

/// Starts the workers.
///
/// Only the workers keep receivers: if all of them exit, the channel closes and discards what is
/// queued.
fn spawn_workers(jobs: NonZeroUsize, worker: Worker) -> io::Result<()> {
    for number in 0..jobs.get() {
        let worker = worker.clone();
        let buffer = threads::buffer(worker::BUFFER_SIZE, JOBS)?;
        threads::spawn(&format!("hash-{number}"), JOBS, move || worker.run(buffer))?;
    }
    Ok(())
}
