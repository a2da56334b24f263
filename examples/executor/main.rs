//! `executor`: Python's `ThreadPoolExecutor`, used by a program that counts primes.
//!
//! What it shows of tollgate:
//!
//! - **An end without sentinels.** The threads receive until the channel is finished. A shutdown
//!   closes it. No thread polls, and no special item per thread has to be queued.
//! - **Cancelling what has not started.** `close_now` returns the queued jobs. Jobs in hand
//!   continue. Ctrl-C does this too.
//! - **Waiting for the rest.** A shutdown awaits `Monitor::finished`. A job that panics fails its
//!   task; the thread and the waiters are not affected.
//! - **Backpressure.** `submit` waits while the queue is full, so `map` accepts an endless
//!   iterator.
//! - **Threads.** The futures need no runtime: `pollster::block_on` is enough.
//!
//! `pool.rs` has the executor, and `job.rs` has the jobs and the handles that return their results.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod job;
mod pool;
mod primes;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use indicatif::ProgressBar;
use pollster::block_on;

use crate::args::Args;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::Stop;
use crate::common::output::print;
use crate::common::output::warn;
use crate::common::progress::ticking_bar;
use crate::common::threads;
use crate::common::threads::workers_or_cpus;
use crate::job::JobError;
use crate::pool::Executor;

const CANCELLED: u8 = 3;

const TEMPLATE: &str = "{elapsed_precise} {wide_bar} {pos}/{len} jobs, eta {eta}";

fn main() -> ExitCode {
    exit::code(run(&Args::checked()), ExitCode::FAILURE)
}

fn run(args: &Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let capacity = NonZeroUsize::new(args.capacity as usize).expect("clap has checked the range");
    let executor = Arc::new(Executor::new(workers_or_cpus(args.workers), capacity)?);
    let bar = ticking_bar(args.quiet, Some(args.jobs), TEMPLATE);
    let (stop, stopper) = cancel_on(interrupt, Arc::clone(&executor), bar.clone())?;

    let tally = count(args, &executor, &bar);
    executor.shutdown(true, false);
    let submitted = executor.report().sent;

    let at_least = if tally.done < args.jobs {
        "at least "
    } else {
        ""
    };
    let printed = print(&format!(
        "{at_least}{} primes below {}\n",
        tally.primes, args.below
    ));
    if tally.done < args.jobs {
        warn(format_args!(
            "{} jobs done, {} panicked, {} cancelled, {} not submitted",
            tally.done,
            tally.panicked,
            tally.cancelled,
            args.jobs - submitted
        ));
    }
    printed?;
    let stop = stop.get();
    if stop.is_some() {
        // Its message is perhaps not written yet. A panic is reported by the panic hook.
        let _ = stopper.join();
    }
    Ok(match (stop, tally) {
        (Some(stop), Tally { done, .. }) if done < args.jobs => stop.code().into(),
        (_, Tally { panicked: 1.., .. }) => ExitCode::FAILURE,
        (_, Tally { done, .. }) if done < args.jobs => ExitCode::from(CANCELLED),
        (_, _) => ExitCode::SUCCESS,
    })
}

/// How the jobs ended, according to their handles.
#[derive(Default)]
struct Tally {
    primes: u64,
    done: u64,
    panicked: u64,
    cancelled: u64,
}

/// Cancels the jobs that have not started at the first Ctrl-C, which is then the returned value. Also
/// returns the thread that waits for it.
fn cancel_on(
    interrupt: Interrupt,
    executor: Arc<Executor>,
    bar: ProgressBar,
) -> io::Result<(Arc<OnceLock<Stop>>, JoinHandle<()>)> {
    let stop = Arc::new(OnceLock::new());
    let stopped = Arc::clone(&stop);
    let stopper = threads::spawn("stop", None, move || {
        let stop = block_on(interrupt.first());
        // Nothing else sets it.
        let _ = stopped.set(stop);
        executor.shutdown(false, true);
        bar.suspend(|| stop.warn("finishing the jobs in hand"));
    })?;
    Ok((stop, stopper))
}

/// Collects the results in order. After `--cancel-after` results it shuts the executor down.
fn count(args: &Args, executor: &Executor, bar: &ProgressBar) -> Tally {
    let (below, jobs, panic_at) = (args.below, args.jobs, args.panic_at);
    let counts = executor.map(1..=jobs, move |job| {
        if panic_at == Some(job) {
            panic!("requested by --panic-at");
        }
        primes::count(primes::part(below, job - 1, jobs))
    });

    let mut tally = Tally::default();
    let cancel_at = |results| {
        if args.cancel_after == Some(results) {
            executor.shutdown(false, true);
        }
    };
    cancel_at(0);
    for (result, job) in counts.zip(1..) {
        match result {
            Ok(primes) => {
                tally.primes += primes;
                tally.done += 1;
            }
            Err(error @ JobError::Panicked(_)) => {
                bar.suspend(|| warn(format_args!("job {job} of {jobs} {error}")));
                tally.panicked += 1;
            }
            Err(JobError::Cancelled) => tally.cancelled += 1,
        }
        bar.inc(1);
        cancel_at(job);
    }
    bar.finish_and_clear();
    tally
}
