//! `pipeline`: three stages with queues between them, `A → B → C`, and a display of the queues.
//!
//! A generates numbers, B squares them, and C writes and adds up the squares. Each stage can be
//! slowed down.
//!
//! What it shows of tollgate:
//!
//! - **Backpressure.** The queue before the slow stage is full, the queues behind it are empty, and
//!   the stages before it wait in `send`: at most `--capacity` numbers are in a queue.
//! - **The end propagates forward.** A drops its sender, which closes its queue. B's workers
//!   receive until that queue is finished and drop their senders, which closes the next one. A
//!   stage needs only its own queue to find out that its work is done. `Monitor::finished` is
//!   awaited for each queue in order.
//! - **No item is lost between two queues.** B ends a task when C's queue has accepted its result.
//!   So when A's queue is finished, the next queue accounts for all its items.
//! - **Failures.** A number that B cannot square fails its task, and the others continue.
//! - **Errors propagate backward.** If C must stop, it drops its receiver, which closes its queue.
//!   B's sends fail and B stops, and then A. Items that are still queued count as discarded.
//! - **Stopping early.** Ctrl-C closes A's queue. A stops, B and C drain the queues, and the
//!   pipeline ends as usual.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod display;
mod stages;
mod summary;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::fs::File;

use crate::args::Args;
use crate::common::errors::Finished;
use crate::common::exit;
use crate::common::file::NewFile;
use crate::common::file::Target;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::Stop;
use crate::common::runtime;
use crate::common::threads;
use crate::display::Display;
use crate::display::Queues;
use crate::stages::Drain;
use crate::stages::Source;
use crate::stages::Square;
use crate::stages::Squarer;
use crate::summary::Summary;

const CAPACITY: &str = "--capacity";

/// Writing to the output blocks one thread at a time.
const BLOCKING: usize = 1;

fn main() -> ExitCode {
    exit::code(start_all(&Args::checked()), ExitCode::FAILURE)
}

fn start_all(args: &Args) -> io::Result<ExitCode> {
    // Before Ctrl-C is handled, because opening a fifo without a reader waits.
    let output = args.output.as_deref().map(Target::open).transpose()?;
    runtime::block_on(BLOCKING, None, run(args, output))
}

/// Runs the pipeline and reports.
async fn run(args: &Args, output: Option<Target>) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let output = output.map(Target::create).transpose()?;
    let file = output.as_ref().map(NewFile::file).transpose()?;

    let capacity = args.capacity as usize;
    threads::check_room::<u64>(capacity, CAPACITY)?;
    let (to_b, from_a) = tollgate::tasks(capacity);
    threads::check_room::<Square>(capacity, CAPACITY)?;
    let (to_c, from_b) = tollgate::tasks(capacity);
    let queues = Queues {
        to_b: to_b.monitor(),
        to_c: to_c.monitor(),
        capacity: args.capacity,
    };

    let drain = Drain::new(from_b, millis(args.delay_c), file.map(File::from_std));
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
        // If one of these panics, its queue closes as it does after a normal end.
        made: made.await.map_err(io::Error::other)?,
        drained: drained.await.map_err(io::Error::other)?,
        to_b: ends.to_b,
        to_c: ends.to_c,
        stop: ends.stop,
    };
    summary.print_failures();
    let printed = summary.print();
    // After an error of C it is not complete.
    if let (Some(output), true) = (output, summary.drained.is_complete) {
        output.commit()?;
    }
    printed?;
    Ok(exit_code(&summary))
}

/// Only the workers keep the ends of the queues. With another sender, C's queue would never close;
/// with another receiver, A's queue would not close if all workers exit.
fn spawn_workers(count: u16, squarer: Squarer) {
    for _ in 0..count {
        tokio::spawn(squarer.clone().run());
    }
}

fn exit_code(summary: &Summary) -> ExitCode {
    if let Some(stop) = summary.stop {
        stop.code().into()
    } else if summary.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How both queues finished.
struct Ends {
    to_b: Finished,
    to_c: Finished,
    stop: Option<Stop>,
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

/// Waits until both queues are finished. An interrupt closes the first one, and the second follows.
async fn finish(queues: &Queues, display: &Display, interrupt: Interrupt) -> Ends {
    let stop = tokio::select! {
        _ = both(queues) => None,
        stop = interrupt.first() => {
            queues.to_b.close();
            display.suspend(|| stop.warn("A stops; draining the queues"));
            Some(stop)
        }
    };
    let (to_b, to_c) = both(queues).await;
    Ends { to_b, to_c, stop }
}

/// Awaits the queues in order: when the first is finished, its squares are in the second.
async fn both(queues: &Queues) -> (Finished, Finished) {
    (queues.to_b.finished().await, queues.to_c.finished().await)
}
