//! Runtimes of tokio that say what they lack.

use std::io;

use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use super::descriptors;
use super::threads;

/// The threads of a program that are not the runtime's: one that handles signals, and one that
/// redraws a progress bar.
const OTHERS: usize = 2;

/// Runs a future on the threads of a new runtime. It can have up to `blocking` blocking calls at a
/// time, which are finished or given up when the future is.
///
/// Without a thread for it, tokio panics, or a blocking call never starts. So the threads are tried
/// first. `option` is the option to lower if there are too few.
pub(crate) fn block_on<T>(
    blocking: usize,
    option: Option<&str>,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let workers = threads::workers_or_cpus(None).get();
    threads::check(workers + blocking + OTHERS, option)?;
    run(
        Builder::new_multi_thread().max_blocking_threads(blocking.max(1)),
        future,
    )
}

/// Runs a future on this thread, with a runtime that needs no other.
pub(crate) fn block_on_this_thread<T>(
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    run(&mut Builder::new_current_thread(), future)
}

/// The files that a runtime opens, and those of the signals. Without the latter, tokio panics.
const DESCRIPTORS: usize = 12;

fn run<T>(builder: &mut Builder, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    descriptors::check(DESCRIPTORS)?;
    let runtime: Runtime = builder
        .enable_all()
        .build()
        .map_err(|error| io::Error::other(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(future);
    // Dropping the runtime would wait for blocking calls, such as a read that waits.
    runtime.shutdown_background();
    ended
}
