//! The output and the progress bar.

use std::io;
use std::io::IsTerminal;
use std::io::Write;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tollgate::Receiver;
use tollgate::Task;

use crate::common::output::print_with;
use crate::common::output::warn;
use crate::common::progress::ticking_bar;
use crate::common::threads;
use crate::protocol::JobResult;

/// The number of lines that are written at once.
const MOST_BUFFERED: usize = 256;

/// The result of an item.
pub(crate) enum Outcome {
    /// The task ends when the result has been printed.
    Answered { task: Task<u64>, result: JobResult },
    /// The worker died or took too long in the last attempt, and the task has ended.
    Lost { item: u64, error: String },
}

/// Prints the outcomes as they arrive, on a separate thread, because writing blocks. If a line
/// cannot be written, it calls `on_error`, and later items are not done. When the thread ends, the
/// returned receiver gets the error.
pub(crate) fn start(
    outcomes: Receiver<Outcome>,
    bar: ProgressBar,
    on_error: impl FnOnce() + Send + 'static,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (ended, all_printed) = oneshot::channel();
    let print = move || {
        let printed = print_with(|out| print(out, &outcomes, &bar));
        if printed.is_err() {
            on_error();
            // The lanes finish the items in hand.
            while let Some(outcome) = next(&outcomes) {
                report_failure(outcome, &bar);
            }
        }
        // This fails only while the program exits.
        let _ = ended.send(printed);
    };
    threads::spawn("print", None, print)?;
    Ok(all_printed)
}

fn next(outcomes: &Receiver<Outcome>) -> Option<Outcome> {
    block_on(outcomes.recv()).ok()
}

fn print(out: &mut impl Write, outcomes: &Receiver<Outcome>, bar: &ProgressBar) -> io::Result<()> {
    // On an error these are dropped, so their items count as left.
    let mut buffered = Vec::new();
    while let Some(outcome) = next(outcomes) {
        if let Some((task, steps)) = report_failure(outcome, bar) {
            writeln!(out, "{} {steps}", *task)?;
            buffered.push(task);
        }
        // Flushed before this waits, so that the reader of stdout sees all results, and because tasks
        // in the buffer keep the channel from finishing.
        if outcomes.is_empty() || buffered.len() == MOST_BUFFERED {
            out.flush()?;
            bar.inc(buffered.len() as u64);
            buffered.drain(..).map(Task::done).for_each(drop);
        }
    }
    Ok(())
}

/// Reports a failure on stderr, and ends its task. A result is returned.
fn report_failure(outcome: Outcome, bar: &ProgressBar) -> Option<(Task<u64>, u32)> {
    let report = |item: u64, error: &str| bar.suspend(|| warn(format_args!("{item}: {error}")));
    match outcome {
        Outcome::Answered { task, result } => match result {
            Ok(steps) => return Some((task, steps)),
            Err(error) => {
                report(*task, &error);
                task.fail(error);
            }
        },
        Outcome::Lost { item, error } => report(item, &error),
    }
    bar.inc(1);
    None
}

/// A bar on stderr. It is hidden if stdout is a terminal, where the results show the progress.
pub(crate) fn bar(hidden: bool, items: u64) -> ProgressBar {
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} items";
    ticking_bar(hidden || io::stdout().is_terminal(), Some(items), template)
}
