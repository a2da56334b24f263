//! Progress bars.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::time;

/// The interval at which a bar is redrawn that shows the state of a channel. It looks smooth.
pub(crate) const REDRAW: Duration = Duration::from_millis(50);

/// The interval at which a bar is redrawn that shows the time elapsed.
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

/// Calls `draw` at this interval until the future is dropped.
pub(crate) async fn redraw(interval: Duration, mut draw: impl FnMut()) -> Infallible {
    let mut ticks = time::interval(interval);
    loop {
        ticks.tick().await;
        draw();
    }
}
