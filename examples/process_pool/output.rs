//! What is printed, and the progress bar.

use std::io;
use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::sync::oneshot;
use tollgate::Receiver;
use tollgate::Task;

use crate::protocol::JobResult;
use crate::stderr::warn;

/// Lines that may wait for others to be written with them.
const MOST_BUFFERED: usize = 256;

/// What became of an item.
pub(crate) enum Outcome {
    /// The task is ended when that has been told: what is done has been printed.
    Answered { task: Task<u64>, result: JobResult },
    /// Its last worker died, and its task has ended.
    Lost { item: u64, error: String },
}

/// Prints the outcomes as they come, on a thread of its own: writing blocks. At the first line that
/// cannot be written it calls `on_error`, and leaves the items undone from then on. Tells when all
/// is over, and whether all was printed.
pub(crate) fn start(
    outcomes: Receiver<Outcome>,
    bar: ProgressBar,
    on_error: impl FnOnce(io::Error) + Send + 'static,
) -> io::Result<oneshot::Receiver<bool>> {
    let (ended, all_printed) = oneshot::channel();
    let print = move || {
        let printed = print(&outcomes, &bar);
        let all = printed.is_ok();
        if let Err(error) = printed {
            on_error(error);
            // What is in hand comes yet.
            while let Some(outcome) = next(&outcomes) {
                tell_failure(outcome, &bar);
            }
        }
        // Nobody listens any more only when the program is on its way out.
        let _ = ended.send(all);
    };
    thread::Builder::new().name("print".into()).spawn(print)?;
    Ok(all_printed)
}

fn next(outcomes: &Receiver<Outcome>) -> Option<Outcome> {
    block_on(outcomes.recv()).ok()
}

fn print(outcomes: &Receiver<Outcome>, bar: &ProgressBar) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout());
    // On an error they are dropped: their items are left.
    let mut buffered = Vec::new();
    while let Some(outcome) = next(outcomes) {
        if let Some((task, steps)) = tell_failure(outcome, bar) {
            writeln!(out, "{} {steps}", *task)?;
            buffered.push(task);
        }
        // Whoever reads along sees all there is. And nothing is in hand here while this waits, or
        // it would wait for itself.
        if outcomes.is_empty() || buffered.len() == MOST_BUFFERED {
            out.flush()?;
            bar.inc(buffered.len() as u64);
            buffered.drain(..).map(Task::done).for_each(drop);
        }
    }
    Ok(())
}

/// Tells of a failure on stderr, and ends its task; anything else comes back.
fn tell_failure(outcome: Outcome, bar: &ProgressBar) -> Option<(Task<u64>, u32)> {
    let tell = |item: u64, error: &str| bar.suspend(|| warn(format_args!("{item}: {error}")));
    match outcome {
        Outcome::Answered { task, result } => match result {
            Ok(steps) => return Some((task, steps)),
            Err(error) => {
                tell(*task, &error);
                task.fail(error);
            }
        },
        Outcome::Lost { item, error } => tell(item, &error),
    }
    bar.inc(1);
    None
}

/// A bar on stderr, if that is a terminal and stdout none: there the results themselves are the
/// progress.
pub(crate) fn bar(hidden: bool, items: u64) -> ProgressBar {
    let target = if hidden || io::stdout().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} items")
        .expect("the template is valid");
    let bar = ProgressBar::with_draw_target(Some(items), target).with_style(style);
    if !bar.is_hidden() {
        // Also while nothing ends.
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}
