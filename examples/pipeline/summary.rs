//! The output.

use std::error::Error;
use std::io;

use tollgate::JoinError;
use tollgate::Report;

use crate::common::errors::Finished;
use crate::common::errors::report;
use crate::common::interrupt::Stop;
use crate::common::output;
use crate::common::output::warn;
use crate::stages::Total;

pub(crate) struct Summary {
    pub(crate) items: u64,
    pub(crate) made: u64,
    pub(crate) drained: Total,
    pub(crate) to_b: Finished,
    pub(crate) to_c: Finished,
    pub(crate) stop: Option<Stop>,
}

impl Summary {
    pub(crate) fn is_success(&self) -> bool {
        self.to_b.is_ok() && self.to_c.is_ok()
    }

    /// Writes the counts of each stage and queue to stdout.
    pub(crate) fn print(&self) -> io::Result<()> {
        let Total { count, sum, .. } = self.drained;
        let lines = format!(
            "A    {} of {} made\nA→B  {}\nB→C  {}\nC    {count} out, their sum {sum}\n",
            self.made,
            self.items,
            account(&self.to_b),
            account(&self.to_c),
        );
        output::print(&lines)
    }

    /// Writes to stderr the first failure of each queue, and what ended the pipeline early.
    pub(crate) fn print_failures(&self) {
        for (queue, ended) in [("A→B", &self.to_b), ("B→C", &self.to_c)] {
            if let Err(error) = ended {
                warn(format_args!("{queue}: {error}; first: {}", cause(error)));
            }
        }
        if let Some(stop) = self.stop {
            let Self { made, items, .. } = self;
            warn(format_args!("{stop} after {made} of {items} numbers"));
        }
    }
}

/// The task's own error, if it gave one.
fn cause(error: &JoinError) -> &dyn Error {
    error.first.source().unwrap_or(&error.first)
}

fn account(finished: &Finished) -> String {
    let Report {
        sent,
        done,
        failed,
        abandoned,
        panicked,
        discarded,
        ..
    } = report(finished);
    format!(
        "{sent} sent = {done} done + {failed} failed + {abandoned} abandoned + {panicked} panicked \
         + {discarded} discarded"
    )
}
