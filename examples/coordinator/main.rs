//! `coordinator [FILE...]`: adds up the numbers in files. It is TensorFlow's `QueueRunner` and
//! `Coordinator` on tollgate.
//!
//! Readers send records to workers, which parse them and send the results to a consumer. If a
//! reader or a worker fails, all must stop soon, and the report must account for every record.
//!
//! What it shows of tollgate:
//!
//! - **An end that propagates.** The last reader drops its sender, which closes the first queue.
//!   `Monitor::finished` completes when its last record is done. After that, the second queue is
//!   closed.
//! - **Handing back.** After a stop, `close_now` returns the records that are queued. `--left`
//!   writes them to a file, for another run, followed by what was not read. A reader that waits
//!   for room gets its record back as an error.
//! - **Stragglers.** A worker that hangs is aborted. It drops its task, which counts as abandoned.
//!   So `finished` still completes, and its report accounts for every record that was read.
//!
//! `coordinator.rs` has the coordinator, which works with any type of record.

mod account;
mod args;
#[path = "../common/mod.rs"]
mod common;
mod coordinator;
mod interrupted;
mod lines;
mod pipeline;
mod reader;
mod shard;
mod source;
mod unread;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use crate::args::Args;
use crate::common::descriptors;
use crate::common::errors::Chain;
use crate::common::exit;
use crate::common::file::Target;
use crate::common::interrupt::Interrupt;
use crate::common::output::warn;
use crate::common::progress::ticking_bar;
use crate::common::runtime;
use crate::coordinator::Coordinator;
use crate::interrupted::Interrupted;
use crate::interrupted::interruptible;
use crate::pipeline::Ended;
use crate::pipeline::Pipeline;
use crate::pipeline::Plan;
use crate::shard::Shard;

const TEMPLATE: &str = "{elapsed_precise} {spinner} {pos} records summed up, {per_sec}";

/// The warning at Ctrl-C is written on a thread of its own.
const BLOCKING: usize = 1;

fn main() -> ExitCode {
    exit::code(start_all(&Args::checked()), ExitCode::FAILURE)
}

fn start_all(args: &Args) -> io::Result<ExitCode> {
    // Before Ctrl-C is handled, because opening a fifo without a reader waits.
    let left = args.left.as_deref().map(Target::open).transpose()?;
    let readers = readers(args)?;
    // Each reader blocks a thread.
    let blocking = BLOCKING + if args.files.is_empty() { 0 } else { readers };
    runtime::block_on(blocking, Some("--readers"), run(args, readers, left))
}

/// The number of readers: as many as there are files, and as can be open at a time.
fn readers(args: &Args) -> io::Result<usize> {
    let readers = usize::from(args.readers);
    match NonZeroUsize::new(readers.min(args.files.len())) {
        None => Ok(readers),
        Some(readers) => descriptors::affordable(readers, "readers", 1, 0).map(NonZeroUsize::get),
    }
}

/// Runs the pipeline and reports. It returns an error if the output cannot be written.
async fn run(args: &Args, readers: usize, left: Option<Target>) -> io::Result<ExitCode> {
    let coordinator = Coordinator::default();
    let interrupt = Interrupt::listen()?;
    let left = left.map(Target::create).transpose()?;

    let plan = Plan {
        shards: shards(args, readers),
        workers: args.workers,
        capacity: args.capacity as usize,
        enough: args.enough,
        fail_at: args.fail_at,
        hang_at: args.hang_at,
    };
    let bar = ticking_bar(args.quiet, None, TEMPLATE);
    let (crew, pipeline) = Pipeline::start(plan, &coordinator, bar.clone())?;
    let joined = coordinator.join(crew, args.grace);
    let (joined, warning) = interruptible(joined, interrupt, &coordinator, bar).await;
    let mut ended = pipeline.end(joined).await?;
    if let Some(warning) = warning {
        warning.written().await;
    }

    let printed = ended.account.print();
    let input = || args.overwritten();
    let written = left.map_or(Ok(()), |left| ended.account.write_left(left, input));
    ended.account.print_unread();
    let code = report(&ended);
    written.and(printed)?;
    Ok(code)
}

/// Writes to stderr what failed, and returns the exit code.
fn report(ended: &Ended) -> ExitCode {
    if !ended.stragglers.is_empty() {
        let names = ended.stragglers.join(", ");
        warn(format_args!(
            "still running after the grace period: {names}"
        ));
    }
    if ended.further_errors > 0 {
        warn(format_args!("further errors: {}", ended.further_errors));
    }
    match &ended.result {
        Err(error) => {
            warn(Chain(&**error));
            match error.downcast_ref() {
                Some(Interrupted(stop)) => stop.code().into(),
                None => ExitCode::FAILURE,
            }
        }
        Ok(()) if ended.stragglers.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// Divides the files or numbers among the readers in turn.
fn shards(args: &Args, readers: usize) -> Vec<Shard> {
    let step = readers;
    let readers = 1..=readers;
    if args.files.is_empty() {
        let numbers = |first: usize| Shard::Numbers {
            first: first as u64,
            last: args.records,
            step,
        };
        return readers.map(numbers).collect();
    }
    let files = |reader: usize| args.files.iter().skip(reader - 1).step_by(step);
    readers
        .map(|reader| Shard::Files(files(reader).cloned().collect()))
        .collect()
}
