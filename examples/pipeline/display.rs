//! Shows the queues, as bars on a terminal or as lines.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use tollgate::Monitor;

use crate::common::output::print_line;
use crate::common::progress;
use crate::stages::Square;

const TEMPLATE: &str = "{prefix} {bar:32} {pos:>4}/{len} queued, {msg}";

/// The queues to show.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) to_b: Monitor<u64>,
    pub(crate) to_c: Monitor<Square>,
    pub(crate) capacity: u32,
}

pub(crate) struct Display {
    queues: Queues,
    interval: Duration,
    form: Form,
}

enum Form {
    Lines,
    Bars {
        screen: MultiProgress,
        to_b: ProgressBar,
        to_c: ProgressBar,
    },
}

impl Display {
    /// Prints lines if `lines` has an interval. Otherwise it draws bars on stderr if that is a
    /// terminal.
    pub(crate) fn new(queues: Queues, lines: Option<Duration>, quiet: bool) -> Self {
        Self {
            interval: lines.unwrap_or(progress::REDRAW),
            form: match lines {
                Some(_) => Form::Lines,
                None => Form::bars(queues.capacity, quiet),
            },
            queues,
        }
    }

    /// Shows the queues until the future is dropped.
    pub(crate) async fn run(&self) -> Infallible {
        progress::redraw(self.interval, || self.show()).await
    }

    /// Shows the final state as a line, or clears the bars.
    pub(crate) fn finish(&self) {
        match &self.form {
            Form::Lines => self.show(),
            Form::Bars { to_b, to_c, .. } => {
                to_b.finish_and_clear();
                to_c.finish_and_clear();
            }
        }
    }

    /// Hides the bars while `print` writes to stderr.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match &self.form {
            Form::Lines => print(),
            Form::Bars { screen, .. } => screen.suspend(print),
        }
    }

    fn show(&self) {
        let (b, c) = (self.queues.to_b.stats(), self.queues.to_c.stats());
        let capacity = self.queues.capacity;
        match &self.form {
            Form::Lines => print_line(format_args!(
                "queued A→B {}/{capacity}, B→C {}/{capacity}; in hand B {}, C {}; out {}",
                b.queued, c.queued, b.in_hand, c.in_hand, c.report.done
            )),
            Form::Bars { to_b, to_c, .. } => {
                draw(to_b, b.queued, format_args!("{} in hand of B", b.in_hand));
                let done = c.report.done;
                draw(
                    to_c,
                    c.queued,
                    format_args!("{} in hand of C, {done} out", c.in_hand),
                );
            }
        }
    }
}

impl Form {
    fn bars(capacity: u32, quiet: bool) -> Self {
        let screen = MultiProgress::with_draw_target(progress::target(quiet));
        let style = progress::style(TEMPLATE);
        let bar = |prefix| {
            let bar = ProgressBar::new(capacity.into()).with_prefix(prefix);
            screen.add(bar.with_style(style.clone()))
        };
        Self::Bars {
            to_b: bar("A→B"),
            to_c: bar("B→C"),
            screen,
        }
    }
}

fn draw(bar: &ProgressBar, queued: usize, message: impl fmt::Display) {
    bar.set_position(queued as u64);
    bar.set_message(message.to_string());
}
