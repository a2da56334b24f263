//! The progress bar.

use std::fmt;

use indicatif::ProgressBar;
use indicatif::ProgressState;
use tollgate::Monitor;

use crate::common::progress;
use crate::walk::Entry;

const TEMPLATE: &str =
    "{elapsed_precise} {wide_bar} {files} files, {bytes}/{total_bytes}, {binary_bytes_per_sec}";

/// A bar whose totals are those of the walk so far. They grow while the walk continues, and
/// backpressure keeps them close to what is done.
pub(crate) fn bar(quiet: bool, monitor: Monitor<Entry>) -> ProgressBar {
    // The channel counts the files itself.
    let files = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let report = monitor.stats().report;
        let _ = write!(out, "{}/{}", report.done + report.failed, report.sent);
    };
    let style = progress::style(TEMPLATE).with_key("files", files);
    progress::bar(quiet, Some(0), style)
}
