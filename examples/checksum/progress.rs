//! The progress bar.

use std::fmt;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressState;
use indicatif::ProgressStyle;
use tollgate::Monitor;

use crate::walk::Entry;

const TEMPLATE: &str =
    "{elapsed_precise} {wide_bar} {files} files, {bytes}/{total_bytes}, {binary_bytes_per_sec}";

/// A bar on stderr, drawn only where that is a terminal.
///
/// The totals are those of the walk so far. They grow while it goes on, and backpressure keeps
/// them close to what is done.
pub(crate) fn bar(quiet: bool, monitor: Monitor<Entry>) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    // The channel counts the files itself.
    let files = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let report = monitor.stats().report;
        let _ = write!(out, "{}/{}", report.done + report.failed, report.sent);
    };
    let style = ProgressStyle::with_template(TEMPLATE)
        .expect("the template is valid")
        .with_key("files", files);
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}
