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
//!   writes them to a file, for another run. A reader that waits for room gets its record back as
//!   an error.
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
mod pipeline;
mod reader;
mod worker;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::common::errors::Chain;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::output::warn;
use crate::common::progress::ticking_bar;
use crate::coordinator::Coordinator;
use crate::interrupted::Interrupted;
use crate::interrupted::interruptible;
use crate::pipeline::Ended;
use crate::pipeline::Pipeline;
use crate::pipeline::Plan;
use crate::reader::Shard;

const TEMPLATE: &str = "{elapsed_precise} {spinner} {pos} records summed up, {per_sec}";

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = Runtime::new().and_then(|runtime| {
        let ended = runtime.block_on(run(args));
        // Dropping the runtime would wait for a file that is still being opened, such as a fifo
        // without a writer.
        runtime.shutdown_background();
        ended
    });
    exit::code(ended, ExitCode::FAILURE)
}

/// Runs the pipeline and reports. It returns an error if the output cannot be written.
async fn run(args: Args) -> io::Result<ExitCode> {
    let coordinator = Coordinator::default();
    let interrupt = Interrupt::listen()?;

    let plan = Plan {
        shards: shards(&args),
        workers: args.workers,
        capacity: args.capacity as usize,
        enough: args.enough,
        fail_at: args.fail_at,
        hang_at: args.hang_at,
    };
    let bar = ticking_bar(args.quiet, None, TEMPLATE);
    let pipeline = Pipeline::start(plan, &coordinator, bar.clone());
    let end = pipeline.end(&coordinator, args.grace);
    let ended = interruptible(end, interrupt, &coordinator, bar).await?;

    let printed = ended.account.print();
    let written = match &args.left {
        Some(path) => ended.account.write_left(path),
        None => Ok(()),
    };
    let code = report(&ended);
    printed.and(written)?;
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
        warn(format_args!("{} further errors", ended.further_errors));
    }
    match &ended.result {
        Err(error) => {
            warn(Chain(&**error));
            if error.is::<Interrupted>() {
                exit::INTERRUPTED.into()
            } else {
                ExitCode::FAILURE
            }
        }
        Ok(()) if ended.stragglers.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// Divides the files or numbers among the readers in turn.
fn shards(args: &Args) -> Vec<Shard> {
    let step = usize::from(args.readers);
    let readers = 1..=args.readers;
    if args.files.is_empty() {
        let numbers = |first: u16| Shard::Numbers {
            first: first.into(),
            last: args.records,
            step,
        };
        return readers.map(numbers).collect();
    }
    let files = |reader: u16| {
        args.files
            .iter()
            .skip(usize::from(reader) - 1)
            .step_by(step)
    };
    readers
        .map(|reader| Shard::Files(files(reader).cloned().collect()))
        .collect()
}
