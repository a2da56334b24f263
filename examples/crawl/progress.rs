//! The progress bar.

use std::convert::Infallible;

use indicatif::ProgressBar;
use tollgate::Monitor;

use crate::common::progress;
use crate::page::Page;

const TEMPLATE: &str = "{elapsed_precise} {wide_bar} {pos}/{len} pages, {msg}, {per_sec}";

pub(crate) fn bar(quiet: bool) -> ProgressBar {
    progress::bar(quiet, Some(1), progress::style(TEMPLATE))
}

/// Updates the bar until the future is dropped. The total is the number of pages found so far.
pub(crate) async fn show(bar: &ProgressBar, monitor: &Monitor<Page>) -> Infallible {
    let show = || {
        let stats = monitor.stats();
        let report = stats.report;
        bar.set_length(report.sent + report.followed_up);
        bar.set_position(report.done + report.failed);
        bar.set_message(format!(
            "{} queued, {} in hand, {} to be tried again",
            stats.queued, stats.in_hand, stats.delayed
        ));
    };
    progress::redraw(progress::REDRAW, show).await
}
