//! Progress bars.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::time;

/// The redraw interval of a bar that shows the state of a channel. It is short enough to look
/// smooth.
pub(crate) const REDRAW: Duration = Duration::from_millis(50);

/// The redraw interval of a bar that shows the time elapsed.
const TICK: Duration = Duration::from_millis(100);

/// A bar on stderr, drawn only if stderr is a terminal.
pub(crate) fn bar(quiet: bool, length: Option<u64>, style: ProgressStyle) -> ProgressBar {
    ProgressBar::with_draw_target(length, target(quiet)).with_style(style)
}

/// A bar that is also redrawn while it does not advance.
pub(crate) fn ticking_bar(quiet: bool, length: Option<u64>, template: &str) -> ProgressBar {
    let bar = bar(quiet, length, style(template));
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// Stderr, which indicatif draws on only if it is a terminal; nothing if `quiet`.
pub(crate) fn target(quiet: bool) -> ProgressDrawTarget {
    if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}

pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}

/// Calls `draw` at the given interval until the future is dropped.
pub(crate) async fn redraw(interval: Duration, mut draw: impl FnMut()) -> Infallible {
    let mut ticks = time::interval(interval);
    loop {
        ticks.tick().await;
        draw();
    }
}
