//! `coordinator [FILE...]`: adds up the numbers in files, with TensorFlow's `QueueRunner` and
//! `Coordinator` rebuilt on tollgate.
//!
//! Readers enqueue records, workers dequeue and parse them, and enqueue the results for a consumer.
//! Each of them may fail, and then all are to stop, soon, and with a true account.
//!
//! What it shows of tollgate:
//!
//! - **An end that travels.** The last reader drops its sender, and that closes the first queue.
//!   `Monitor::finished` says when its last record is dealt with; only then is the second closed.
//! - **Handing back.** After a stop, `close_now` takes out of the queue what nobody has begun. It
//!   can be read again another time: `--left`. A reader that waits for room has its record refused,
//!   rather than lost.
//! - **Stragglers.** A worker that never ends can be aborted. It drops its task, which counts as
//!   abandoned; so `finished` is ready all the same, and its report adds up to what was read.
//!
//! The coordinator is in `coordinator.rs`, and knows nothing of records.

mod account;
mod coordinator;
#[path = "../common/interrupt.rs"]
mod interrupt;
mod pipeline;
mod reader;
#[path = "../common/stderr.rs"]
mod stderr;
mod worker;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::runtime::Runtime;
use tokio::task;

use crate::account::Chain;
use crate::coordinator::Coordinator;
use crate::interrupt::INTERRUPTED;
use crate::interrupt::Interrupt;
use crate::pipeline::Ended;
use crate::pipeline::Pipeline;
use crate::pipeline::Plan;
use crate::reader::Shard;
use crate::stderr::warn;

/// Add up the numbers in files, one to the line
///
/// The first error stops everybody: what is in hand is finished, and what has not begun is handed
/// back.
#[derive(Parser)]
#[command(name = "coordinator", after_help = EXIT_STATUS)]
struct Args {
    /// Files to read; without any, the numbers from 1 to --records are made up
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Numbers to make up
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        conflicts_with = "files"
    )]
    records: u64,

    /// Readers, among whom the files or numbers are divided
    #[arg(short, long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    readers: u16,

    /// Workers
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: u16,

    /// Records, or results, that may be queued
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// How long to wait for everybody after a stop
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    grace: Duration,

    /// Stop cleanly when N records are summed up; those in hand are finished
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    enough: Option<u64>,

    /// Write the records that are handed back to this file
    #[arg(long, value_name = "FILE")]
    left: Option<PathBuf>,

    /// Let the record that reads N fail
    #[arg(long, value_name = "N")]
    fail_at: Option<u64>,

    /// Let the worker that gets the record that reads N hang
    #[arg(long, value_name = "N")]
    hang_at: Option<u64>,

    /// Show no progress (nor is there any where stderr is not a terminal)
    #[arg(short, long)]
    quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    all records were summed up, or --enough were
  1    a record or a file was bad, the output could not be written, or somebody
       had not stopped by the end of the grace period
  2    wrong arguments
  130  interrupted by Ctrl-C: a stop like that by an error. A second Ctrl-C
       quits at once, printing nothing";

const TEMPLATE: &str = "{elapsed_precise} {spinner} {pos} records summed up, {per_sec}";

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = Runtime::new().and_then(|runtime| {
        let ended = runtime.block_on(run(args));
        // Dropped, it would wait for a file that is still being opened, such as a fifo without a
        // writer.
        runtime.shutdown_background();
        ended
    });
    ended.unwrap_or_else(|error| {
        warn(error);
        ExitCode::FAILURE
    })
}

/// Reads, parses, sums up and reports. An error is one of the program's own, such as no room for
/// the output.
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
    let bar = progress(args.quiet);
    let pipeline = Pipeline::start(plan, &coordinator, bar.clone());
    let end = pipeline.end(&coordinator, args.grace);
    let ended = interruptible(end, interrupt, &coordinator, bar).await?;

    let printed = ended.account.print();
    let written = match &args.left {
        Some(path) => ended.account.write_left(path),
        None => Ok(()),
    };
    let code = tell(&ended);
    printed.and(written)?;
    Ok(code)
}

/// Says who and what was in the way.
fn tell(ended: &Ended) -> ExitCode {
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
            warn(Chain(error));
            let interrupted = error.is::<Interrupted>();
            ExitCode::from(if interrupted { INTERRUPTED } else { 1 })
        }
        Ok(()) if ended.stragglers.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// The files, or numbers, of each reader: dealt out like cards.
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

/// Waits for the end. Ctrl-C requests a stop meanwhile: it is an error like any other.
async fn interruptible<T>(
    end: impl Future<Output = T>,
    interrupt: Interrupt,
    coordinator: &Coordinator,
    bar: ProgressBar,
) -> T {
    let mut end = pin!(end);
    tokio::select! {
        ended = &mut end => return ended,
        () = interrupt.first() => {}
    }
    coordinator.request_stop(Some(Arc::new(Interrupted)));
    // It may have to wait for a reader. The stop need not, but what is said afterwards does.
    let said = task::spawn_blocking(move || {
        let say = || warn("finishing what is in hand; Ctrl-C again quits at once");
        // Suspended, a bar holds up who moves it on, even one that is not drawn.
        if bar.is_hidden() {
            say();
        } else {
            bar.suspend(say);
        }
    });
    let ended = end.await;
    // An error would be that it panicked, which its hook has told.
    let _ = said.await;
    ended
}

#[derive(Debug)]
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

fn progress(quiet: bool) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is valid");
    let bar = ProgressBar::with_draw_target(None, target).with_style(style);
    if !bar.is_hidden() {
        // Also while nothing ends.
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}
