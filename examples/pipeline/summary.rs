//! What became of the numbers, and how it is told.

use std::error::Error;
use std::io;
use std::io::ErrorKind;
use std::io::Write;

use tollgate::JoinError;
use tollgate::Report;

use crate::stages::Total;
use crate::stderr::warn;

type Ended = Result<Report, JoinError>;

pub(crate) struct Summary {
    pub(crate) items: u64,
    pub(crate) made: u64,
    pub(crate) drained: Total,
    pub(crate) to_b: Ended,
    pub(crate) to_c: Ended,
    pub(crate) interrupted: bool,
}

impl Summary {
    pub(crate) fn is_success(&self) -> bool {
        self.to_b.is_ok() && self.to_c.is_ok()
    }

    /// Writes to stdout what each stage and queue has seen. A reader that has seen enough, such as
    /// `head`, is no error.
    pub(crate) fn print(&self) -> io::Result<()> {
        let Total { count, sum } = self.drained;
        let lines = format!(
            "A    {} of {} made\nA→B  {}\nB→C  {}\nC    {count} out, their sum {sum}\n",
            self.made,
            self.items,
            account(&self.to_b),
            account(&self.to_c),
        );
        let mut out = io::stdout().lock();
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes to stderr the first failure of each queue, and what ended the pipeline early.
    pub(crate) fn print_failures(&self) {
        for (queue, ended) in [("A→B", &self.to_b), ("B→C", &self.to_c)] {
            if let Err(error) = ended {
                warn(format_args!("{queue}: {error}; first: {}", cause(error)));
            }
        }
        if self.interrupted {
            let Self { made, items, .. } = self;
            warn(format_args!("interrupted after {made} of {items} numbers"));
        }
    }
}

/// The task's own error, if it gave one.
fn cause(error: &JoinError) -> &dyn Error {
    error.first.source().unwrap_or(&error.first)
}

fn account(ended: &Ended) -> String {
    let Report {
        sent,
        done,
        failed,
        abandoned,
        panicked,
        discarded,
        ..
    } = match ended {
        Ok(report) => report,
        Err(error) => &error.report,
    };
    format!(
        "{sent} sent = {done} done + {failed} failed + {abandoned} abandoned + {panicked} panicked \
         + {discarded} discarded"
    )
}
