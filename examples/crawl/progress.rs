//! The progress bar.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use reqwest::Url;
use tokio::time;
use tollgate::Monitor;

const TEMPLATE: &str = "{elapsed_precise} {wide_bar} {pos}/{len} pages, {msg}, {per_sec}";

/// How often the bar is drawn anew. A choice: it looks smooth.
const REDRAW: Duration = Duration::from_millis(50);

/// A bar on stderr, drawn only where that is a terminal.
pub(crate) fn bar(quiet: bool) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is valid");
    ProgressBar::with_draw_target(Some(1), target).with_style(style)
}

/// Keeps the bar up to date, until dropped. The total is that of the pages found so far.
pub(crate) async fn show(bar: &ProgressBar, monitor: &Monitor<Url>) -> Infallible {
    let mut redraw = time::interval(REDRAW);
    loop {
        redraw.tick().await;
        let stats = monitor.stats();
        let report = stats.report;
        bar.set_length(report.sent + report.followed_up);
        bar.set_position(report.done + report.failed);
        bar.set_message(format!(
            "{} queued, {} in hand",
            stats.queued, stats.in_hand
        ));
    }
}
