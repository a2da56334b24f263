//! `pipeline`: three stages with a queue between each two, `A → B → C`, and the queues on show.
//!
//! A makes numbers, B squares them, and C writes and adds up the squares. Each can be made slow.
//!
//! What it shows of tollgate:
//!
//! - **Backpressure.** The queue before the slow stage is full and the ones behind it empty, and
//!   whoever is before it waits in `send`: however many numbers, at most `--capacity` wait in a
//!   queue.
//! - **The end goes forward.** A drops its sender, which closes its queue. B's workers receive
//!   until that queue is finished and drop theirs, which closes the next. Nothing tells a stage
//!   that its work is over but its own queue. `Monitor::finished` is awaited for each, in their
//!   order.
//! - **Nothing falls between two queues.** B ends a task when C's queue has accepted what came of
//!   it. So once A's queue is finished, all that it ever held is accounted for in the next.
//! - **Failures.** A number that B cannot square fails its task, and the others go on.
//! - **Trouble goes backward.** If C must give up, it drops its receiver, which closes its queue.
//!   B's sends fail, B gives up, and so does A in turn. What was still queued is counted as
//!   discarded.
//! - **Stopping early.** Ctrl-C closes A's queue. A stops, what it has sent is drained through B
//!   and C, and the pipeline ends as ever.

mod display;
#[path = "../common/interrupt.rs"]
mod interrupt;
mod stages;
#[path = "../common/stderr.rs"]
mod stderr;
mod summary;

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::fs::File;
use tollgate::JoinError;
use tollgate::Report;

use crate::display::Display;
use crate::display::Queues;
use crate::interrupt::INTERRUPTED;
use crate::interrupt::Interrupt;
use crate::stages::Drain;
use crate::stages::Source;
use crate::stages::Squarer;
use crate::stderr::warn;
use crate::summary::Summary;

/// Square numbers in a pipeline of three stages, and watch the queues between them
///
/// A makes the numbers from 1, B squares them, C writes and adds up the squares. A slow stage fills
/// the queue before it and leaves the one behind it empty: try --delay-b=0 --delay-c=20.
#[derive(Parser)]
#[command(name = "pipeline", verbatim_doc_comment, after_help = EXIT_STATUS)]
struct Args {
    /// Numbers to make
    #[arg(short = 'n', long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    items: u64,

    /// Capacity of each of the two queues
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// Workers of stage B; with one the order is kept, more of them overtake each other
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers_b: u16,

    /// How long A takes for a number, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    delay_a: u64,

    /// How long each worker of B takes for one
    #[arg(long, value_name = "MS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    delay_b: u64,

    /// How long C takes for one
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    delay_c: u64,

    /// B fails at each multiple of K
    #[arg(long, value_name = "K")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    fail_every: Option<u64>,

    /// Write each number and its square to FILE, a line each
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print the queues as a line every so often, in milliseconds, instead of bars
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    stats: Option<u64>,

    /// Show no bars (nor are there any where stderr is not a terminal)
    #[arg(short, long, conflicts_with = "stats")]
    quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every number went through all stages
  1    a stage failed at a number, or the output could not be written
  2    wrong arguments
  130  interrupted by Ctrl-C: no further numbers were made, and those that were
       went through all stages. A second Ctrl-C quits at once";

#[tokio::main]
async fn main() -> ExitCode {
    run(Args::parse()).await.unwrap_or_else(|error| {
        warn(error);
        ExitCode::FAILURE
    })
}

/// Runs the pipeline and reports.
async fn run(args: Args) -> io::Result<ExitCode> {
    // First, for it waits where a pipe has no reader, and nobody listens to Ctrl-C meanwhile.
    let output = create(args.output.as_deref()).await?;
    let interrupt = Interrupt::listen()?;

    let (to_b, from_a) = tollgate::tasks(args.capacity as usize);
    let (to_c, from_b) = tollgate::tasks(args.capacity as usize);
    let queues = Queues {
        to_b: to_b.monitor(),
        to_c: to_c.monitor(),
        capacity: args.capacity,
    };

    let drain = Drain::new(from_b, millis(args.delay_c), output);
    let drained = tokio::spawn(drain.run());
    let squarer = Squarer {
        numbers: from_a,
        squares: to_c,
        delay: millis(args.delay_b),
        fail_every: args.fail_every,
    };
    spawn_workers(args.workers_b, squarer);
    let source = Source {
        numbers: to_b,
        items: args.items,
        delay: millis(args.delay_a),
    };
    let made = tokio::spawn(source.run());

    let display = Display::new(queues.clone(), args.stats.map(millis), args.quiet);
    let ends = watch(&queues, &display, interrupt).await;
    let summary = Summary {
        items: args.items,
        // Neither panics; if one did, its queue would have closed, and looked as if all were well.
        made: made.await.map_err(io::Error::other)?,
        drained: drained.await.map_err(io::Error::other)?,
        to_b: ends.to_b,
        to_c: ends.to_c,
        interrupted: ends.interrupted,
    };
    summary.print_failures();
    summary.print()?;
    Ok(exit_code(&summary))
}

async fn create(path: Option<&Path>) -> io::Result<Option<File>> {
    match path {
        None => Ok(None),
        Some(path) => match File::create(path).await {
            Ok(file) => Ok(Some(file)),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("cannot create {path:?}: {error}"),
            )),
        },
    }
}

/// The ends of the queues are left to the workers alone. With one kept elsewhere C's queue would
/// never close, nor A's if all workers were gone.
fn spawn_workers(count: u16, squarer: Squarer) {
    for _ in 0..count {
        tokio::spawn(squarer.clone().run());
    }
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.interrupted {
        ExitCode::from(INTERRUPTED)
    } else if summary.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How a queue ended.
type Ended = Result<Report, JoinError>;

/// How both did.
struct Ends {
    to_b: Ended,
    to_c: Ended,
    interrupted: bool,
}

/// Shows the queues until both are finished.
async fn watch(queues: &Queues, display: &Display, interrupt: Interrupt) -> Ends {
    let ends = tokio::select! {
        ends = finish(queues, display, interrupt) => ends,
        never = display.run() => match never {},
    };
    display.finish();
    ends
}

/// Waits until both queues are finished; an interrupt closes the first, and the rest follows.
async fn finish(queues: &Queues, display: &Display, interrupt: Interrupt) -> Ends {
    let mut interrupted = false;
    tokio::select! {
        _ = both(queues) => {}
        () = interrupt.first() => {
            interrupted = true;
            queues.to_b.close();
            display.suspend(|| warn("A stops; draining the queues; Ctrl-C again quits at once"));
        }
    }
    let (to_b, to_c) = both(queues).await;
    Ends {
        to_b,
        to_c,
        interrupted,
    }
}

/// Awaits the queues in their order: when all of the first is done, its squares are in the second,
/// which closes.
async fn both(queues: &Queues) -> (Ended, Ended) {
    (queues.to_b.finished().await, queues.to_c.finished().await)
}
