//! `process_pool`: computes the Collatz steps of many numbers in worker processes, which may be
//! killed.
//!
//! Python's `multiprocessing.JoinableQueue` counts items until workers call `task_done`. A worker
//! that is killed never calls it, and `join` hangs. Here the parent holds a `Task` for each item that
//! a worker has, so the count survives the worker. The parent notices the death of a worker because
//! its pipe is closed.
//!
//! What it shows of tollgate:
//!
//! - **Retries.** The item of a worker that died is queued again by `Task::retry_or_fail`, for any
//!   lane. `Builder::max_attempts` limits its deliveries, so an item that kills every worker cannot
//!   delay the rest forever.
//! - **An end to await.** The producer drops its sender. A lane ends when nothing is queued *and*
//!   no task is in hand anywhere, so lanes remain for the items that are retried. Then
//!   `Monitor::finished` returns the report.
//! - **A time limit.** With `--timeout`, the worker of an item that takes longer is killed, and the
//!   item is retried as if the worker had died.
//! - **A receive that can be cancelled.** A lane waits for a task and for the death of its idle
//!   worker at the same time. If the worker dies first, the `recv` that is dropped has taken
//!   nothing.
//! - **Stopping early.** At Ctrl-C, `Monitor::close_now` discards the queued items. Items in hand
//!   are finished. From then on the channel takes nothing back, so an item whose worker dies fails.
//! - **A plain channel.** `tollgate::bounded` carries the results to the thread that prints them.
//!   If stdout is not read, the lanes wait, and then the producer.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod end;
mod job;
mod lane;
mod output;
mod protocol;
mod starts;
mod worker;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::Builder;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::args::Args;
use crate::common::descriptors;
use crate::common::errors::report;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::output::warn;
use crate::common::runtime;
use crate::common::threads;
use crate::common::threads::workers_or_cpus;
use crate::end::BROKEN;
use crate::end::End;
use crate::end::Stop;
use crate::job::Job;
use crate::lane::Lane;
use crate::lane::Pool;
use crate::output::Outcome;
use crate::starts::Starts;
use crate::worker::Recipe;

const CAPACITY: &str = "--capacity";

/// No call blocks a thread of the runtime's.
const BLOCKING: usize = 0;

fn main() -> ExitCode {
    let args = Args::checked();
    if args.worker {
        let pause = Duration::from_millis(args.pause);
        let crash_on = args.crash_on;
        return Job { pause, crash_on }.run();
    }
    worker::restore_sigchld();
    exit::code(runtime::block_on(BLOCKING, None, run(&args)), BROKEN)
}

/// Starts all parts, waits for the end, and reports.
async fn run(args: &Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let capacity = args.capacity as usize;
    threads::check_room::<u64>(capacity, CAPACITY)?;
    let (sender, receiver) = Builder::new()
        .capacity(capacity)
        .max_attempts(args.max_attempts)
        .build_tasks();
    let monitor = sender.monitor();

    threads::check_room::<Outcome>(capacity, CAPACITY)?;
    let (outcomes, printable) = tollgate::bounded(capacity);
    let bar = output::bar(args.quiet || args.verbose, args.items);
    let workers = workers_or_cpus(args.workers);
    let workers = descriptors::affordable(workers, "workers", worker::DESCRIPTORS, 0)?.get();
    let pool = Arc::new(pool(args, workers)?);
    let stop = Stop {
        monitor: monitor.clone(),
        spare: pool.spare.1.clone(),
        bar: bar.clone(),
    };
    let unprintable = stop.clone();
    let printing = output::start(printable, bar, move || unprintable.quietly())?;
    let lanes = start_lanes(workers, &receiver, &outcomes, &pool);
    // The lanes hold clones: both channels close when all lanes have ended.
    drop((receiver, outcomes));
    tokio::spawn(produce(sender, args.from, args.items));

    let mut end = End {
        stop,
        requested: None,
        broken: false,
        printed: Ok(()),
    };
    end.wait(lanes, printing, interrupt).await;
    end.stop.bar.finish_and_clear();
    let report = *report(&monitor.finished().await);
    summarise(args.items, &report, &pool);
    Ok(end.code(report.done == args.items))
}

fn pool(args: &Args, workers: usize) -> io::Result<Pool> {
    let mut worker = vec!["--worker".to_owned(), format!("--pause={}", args.pause)];
    worker.extend(
        args.crash_on
            .iter()
            .map(|item| format!("--crash-on={item}")),
    );
    Ok(Pool {
        recipe: Recipe::new(worker)?,
        starts: Starts::new(workers),
        spare: tollgate::unbounded(),
        timeout: args.timeout,
        kill_every: args.kill_every,
        verbose: args.verbose,
        asked: AtomicU64::new(0),
        started: AtomicU64::new(0),
        died: AtomicU64::new(0),
    })
}

/// Starts the lanes.
fn start_lanes(
    workers: usize,
    tasks: &TaskReceiver<u64>,
    outcomes: &Sender<Outcome>,
    pool: &Arc<Pool>,
) -> JoinSet<io::Result<()>> {
    let lane = |number| Lane {
        number,
        tasks: tasks.clone(),
        outcomes: outcomes.clone(),
        pool: Arc::clone(pool),
        worker: None,
    };
    (0..workers).map(|number| lane(number).run()).collect()
}

/// Sends all items, and waits while the channel is full. It stops when the channel is closed.
async fn produce(sender: Sender<u64>, from: u64, items: u64) {
    for number in 0..items {
        if sender.send(from + number).await.is_err() {
            return;
        }
    }
}

fn summarise(items: u64, report: &Report, pool: &Pool) {
    let Report {
        received,
        done,
        failed,
        retried,
        ..
    } = report;
    // Not sent, discarded, or dropped in hand.
    let left = items - done - failed;
    let started = pool.started.load(Ordering::Relaxed);
    let died = pool.died.load(Ordering::Relaxed);
    warn(format_args!(
        "{items} items: {done} done, {failed} failed, {left} left; {received} deliveries, {retried} retried; \
         {started} workers started, {died} died"
    ));
}
