//! What is printed, and the progress bar.

use std::io;
use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
use std::thread;

use futures_lite::future::block_on;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::sync::oneshot;
use tollgate::Receiver;

use crate::protocol::JobResult;
use crate::stderr::warn;

/// What became of an item.
pub(crate) struct Outcome {
    pub(crate) item: u64,
    pub(crate) result: JobResult,
}

/// Prints the outcomes as they come, on a thread of its own: writing blocks. Gives how that ended,
/// which it does when there are no more, or with an error.
pub(crate) fn start(
    outcomes: Receiver<Outcome>,
    bar: ProgressBar,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (ended, printed) = oneshot::channel();
    let print = move || {
        // Nobody listens any more only when the program is on its way out.
        let _ = ended.send(print(&outcomes, &bar));
    };
    thread::Builder::new().name("print".into()).spawn(print)?;
    Ok(printed)
}

fn print(outcomes: &Receiver<Outcome>, bar: &ProgressBar) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout());
    while let Ok(Outcome { item, result }) = block_on(outcomes.recv()) {
        match result {
            Ok(steps) => writeln!(out, "{item} {steps}")?,
            Err(error) => bar.suspend(|| warn(format_args!("{item}: {error}"))),
        }
        bar.inc(1);
        // Whoever reads along sees all there is.
        if outcomes.is_empty() {
            out.flush()?;
        }
    }
    out.flush()
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
    ProgressBar::with_draw_target(Some(items), target).with_style(style)
}
