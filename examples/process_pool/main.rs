//! `process_pool`: the Collatz steps of many numbers, computed by worker processes that may be
//! killed.
//!
//! Python's `multiprocessing.JoinableQueue` counts items until workers say `task_done`. When a
//! worker is killed, nobody says it, and `join` hangs. Here the count is kept where the kill does
//! not reach: the parent holds a `Task` for each item that a worker process has, and sees by the
//! pipe when it dies.
//!
//! What it shows of tollgate:
//!
//! - **Retries.** The item of a worker that died goes back by `Task::retry_or_fail`, for any lane
//!   to take up, `Builder::max_attempts` times at most: an item that kills every worker cannot hold
//!   the rest up.
//! - **An end to await.** The producer drops its sender. A lane leaves when nothing is queued *and*
//!   nothing in hand anywhere, so lanes are there for whatever comes back; then `Monitor::finished`
//!   has the account.
//! - **A receive that can be cancelled.** A lane waits for a task and for the death of its idle
//!   worker at once. The `recv` that is dropped when the worker dies first has taken nothing.
//! - **Stopping early.** On Ctrl-C `Monitor::close_now` takes out what nobody has begun. Items in
//!   hand are finished, and tried again if they must.
//! - **A plain channel.** Results go to the thread that prints them through `tollgate::bounded`.
//!   Where nobody reads them, the lanes wait, then the producer.

#[path = "../common/interrupt.rs"]
mod interrupt;
mod job;
mod lane;
mod output;
mod protocol;
mod starts;
#[path = "../common/stderr.rs"]
mod stderr;
mod worker;

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::num::NonZeroU64;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ErrorKind;
use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tollgate::Builder;
use tollgate::Monitor;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::interrupt::INTERRUPTED;
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::lane::Lane;
use crate::lane::Pool;
use crate::output::Outcome;
use crate::starts::Starts;
use crate::stderr::warn;
use crate::worker::Recipe;

/// Print how many Collatz steps each of many numbers takes to come to 1
///
/// A pool of worker processes computes them. There is a line `ITEM STEPS` for each
/// item, in the order in which they come. An item whose worker dies is tried again
/// by another one. Those that fail, and the account of all, are told on stderr.
#[derive(Parser)]
#[command(name = "process_pool", verbatim_doc_comment, after_help = EXIT_STATUS)]
struct Args {
    /// Worker processes [default: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,

    /// How many numbers
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    items: u64,

    /// The first number
    #[arg(short, long, value_name = "ITEM", default_value_t = 1)]
    from: u64,

    /// How often an item is tried before it fails
    #[arg(short = 'a', long, value_name = "N", default_value = "3")]
    max_attempts: NonZeroU32,

    /// Items that may be queued
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// Make each item take so much longer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,

    /// Let this item crash its worker, always (may be given more than once)
    #[arg(long, value_name = "ITEM")]
    crash_on: Vec<u64>,

    /// Kill a worker whenever so many items have been handed over
    #[arg(long, value_name = "N")]
    kill_every: Option<NonZeroU64>,

    /// Tell on stderr of each process that starts or dies, and show no progress bar
    #[arg(short, long)]
    verbose: bool,

    /// Show no progress bar (nor is there one where stderr is no terminal, or stdout is one)
    #[arg(short, long)]
    quiet: bool,

    /// Be a worker: requests on stdin, answers on stdout.
    #[arg(long, hide = true)]
    worker: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every item has a result
  1    an item failed
  2    the arguments make no sense
  3    no worker could be started: the system would not, or 5 in a row ended
       before they were ready, or 100 were killed; or the output could not be
       written. Items that might have been tried again, or whose results may
       not have been printed, count as left
  130  interrupted by Ctrl-C: the items in hand were finished. A second Ctrl-C
       quits at once; the workers go with it, results not yet printed are lost";

/// The program's own trouble, as opposed to an item's.
const BROKEN: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    let last = args.from.checked_add(args.items.saturating_sub(1));
    if last.is_none() {
        let message = "the last item is past 64 bits: --from or --items is too large";
        Args::command()
            .error(ErrorKind::ValueValidation, message)
            .exit();
    }
    if args.worker {
        let pause = Duration::from_millis(args.pause);
        let crash_on = args.crash_on;
        return Job { pause, crash_on }.run();
    }
    run(&args).unwrap_or_else(|error| {
        warn(error);
        ExitCode::from(BROKEN)
    })
}

/// Starts all there is, waits for its end, and reports.
#[tokio::main]
async fn run(args: &Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let (sender, receiver) = Builder::new()
        .capacity(args.capacity as usize)
        .max_attempts(args.max_attempts)
        .build_tasks();
    let monitor = sender.monitor();

    let (outcomes, printable) = tollgate::bounded(args.capacity as usize);
    let bar = output::bar(args.quiet || args.verbose, args.items);
    let stop = Stop {
        monitor: monitor.clone(),
        bar: bar.clone(),
    };
    let unprintable = stop.clone();
    let on_error = move |error| unprintable.because(format_args!("cannot print: {error}"));
    let printing = output::start(printable, bar, on_error)?;
    let pool = Arc::new(pool(args)?);
    let lanes = start_lanes(args.workers, &receiver, &outcomes, &pool);
    // The lanes have theirs: both channels end with them.
    drop((receiver, outcomes));
    tokio::spawn(produce(sender, args.from, args.items));

    let mut end = End {
        stop,
        interrupted: false,
        broken: false,
    };
    end.wait(lanes, printing, interrupt).await;
    end.stop.bar.finish_and_clear();
    let report = match monitor.finished().await {
        Ok(report) => report,
        Err(error) => error.report,
    };
    summarise(args.items, &report, &pool);
    Ok(end.code(report.done == args.items))
}

fn pool(args: &Args) -> io::Result<Pool> {
    let mut worker = vec!["--worker".to_owned(), format!("--pause={}", args.pause)];
    worker.extend(
        args.crash_on
            .iter()
            .map(|item| format!("--crash-on={item}")),
    );
    Ok(Pool {
        recipe: Recipe::new(worker)?,
        starts: Starts::default(),
        kill_every: args.kill_every,
        verbose: args.verbose,
        asked: AtomicU64::new(0),
        started: AtomicU64::new(0),
        died: AtomicU64::new(0),
    })
}

/// Starts as many lanes as asked for, or one per CPU.
fn start_lanes(
    workers: Option<u16>,
    tasks: &TaskReceiver<u64>,
    outcomes: &Sender<Outcome>,
    pool: &Arc<Pool>,
) -> JoinSet<io::Result<()>> {
    let cpus = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let lane = |number| Lane {
        number,
        tasks: tasks.clone(),
        outcomes: outcomes.clone(),
        pool: Arc::clone(pool),
        worker: None,
    };
    (0..workers.map_or_else(cpus, usize::from))
        .map(|number| lane(number).run())
        .collect()
}

/// Sends all items, waiting whenever the channel is full, or as many as it takes until it is
/// closed.
async fn produce(sender: Sender<u64>, from: u64, items: u64) {
    for number in 0..items {
        if sender.send(from + number).await.is_err() {
            return;
        }
    }
}

/// What makes the run end.
#[derive(Clone)]
struct Stop {
    monitor: Monitor<u64>,
    bar: ProgressBar,
}

impl Stop {
    /// Takes out what nobody has begun, so that the lanes run out of tasks.
    fn because(&self, message: impl fmt::Display) {
        drop(self.monitor.close_now());
        self.bar.suspend(|| warn(message));
    }
}

/// How the run ends.
struct End {
    stop: Stop,
    interrupted: bool,
    broken: bool,
}

impl End {
    /// Waits until the lanes have left, each with its worker gone, and all is printed. Trouble or
    /// an interrupt makes that soon.
    async fn wait(
        &mut self,
        mut lanes: JoinSet<io::Result<()>>,
        mut printing: oneshot::Receiver<bool>,
        interrupt: Interrupt,
    ) {
        let mut printed = false;
        let mut interrupt = pin!(interrupt.first());
        while !(printed && lanes.is_empty()) {
            tokio::select! {
                // A lane that panicked is in the report, and its hook has said why.
                Some(left) = lanes.join_next() => if let Ok(Err(error)) = left {
                    self.broken = true;
                    self.stop.because(format_args!("cannot start a worker: {error}"));
                },
                all = &mut printing, if !printed => {
                    printed = true;
                    match all {
                        Ok(all) => self.broken |= !all,
                        Err(_) => {
                            self.broken = true;
                            self.stop.because("cannot print any more");
                        }
                    }
                }
                () = &mut interrupt, if !self.interrupted => {
                    self.interrupted = true;
                    let message = "finishing the items in hand; Ctrl-C again quits at once";
                    self.stop.because(message);
                }
            }
        }
    }

    fn code(&self, all_done: bool) -> ExitCode {
        match self {
            Self {
                interrupted: true, ..
            } => ExitCode::from(INTERRUPTED),
            Self { broken: true, .. } => ExitCode::from(BROKEN),
            _ if all_done => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
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
    // Never sent, taken out, or dropped half-way.
    let left = items - done - failed;
    let started = pool.started.load(Ordering::Relaxed);
    let died = pool.died.load(Ordering::Relaxed);
    warn(format_args!(
        "{items} items: {done} done, {failed} failed, {left} left; {received} deliveries, {retried} retried; \
         {started} workers started, {died} died"
    ));
}
