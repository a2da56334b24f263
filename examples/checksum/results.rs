//! The results so far, and the output.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use tollgate::Monitor;

use crate::common::interrupt::Stop;
use crate::common::output::print_with;
use crate::common::output::warn;
use crate::common::threads::lock;
use crate::outcome::Checksum;
use crate::outcome::Failure;
use crate::outcome::Outcome;
use crate::walk::Entry;

pub(crate) struct Results {
    outcomes: Mutex<Vec<Outcome>>,
    /// Held while the results are printed. After that, they are `None`.
    unprinted: Mutex<Option<Monitor<Entry>>>,
}

impl Results {
    pub(crate) fn new(monitor: Monitor<Entry>) -> Self {
        Self {
            outcomes: Mutex::default(),
            unprinted: Mutex::new(Some(monitor)),
        }
    }

    pub(crate) fn add(&self, outcome: Outcome) {
        lock(&self.outcomes).push(outcome);
    }

    /// Writes the results to stdout and stderr, sorted.
    pub(crate) fn print(&self, stop: Option<Stop>) -> io::Result<()> {
        let mut unprinted = lock(&self.unprinted);
        let Some(monitor) = unprinted.take() else {
            return Ok(());
        };
        let (checksums, failures) = self.take_sorted();
        let printed = print_with(|out| {
            checksums
                .iter()
                .try_for_each(|checksum| checksum.write(out))
        });
        failures.iter().for_each(warn);
        warn_of_files_left(&monitor, checksums.len(), stop);
        printed
    }

    /// The same for a program that is about to be ended. If the results are being printed already,
    /// it waits for that.
    pub(crate) fn print_at_once(&self, stop: Stop) {
        if let Err(error) = self.print(Some(stop)) {
            warn(error);
        }
    }

    fn take_sorted(&self) -> (Vec<Checksum>, Vec<Arc<Failure>>) {
        let (mut checksums, mut failures) = (Vec::new(), Vec::new());
        for outcome in lock(&self.outcomes).drain(..) {
            match outcome {
                Ok(checksum) => checksums.push(checksum),
                Err(failure) => failures.push(failure),
            }
        }
        checksums.sort_by(|a, b| a.key().cmp(&b.key()));
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        (checksums, failures)
    }
}

/// Writes to stderr how many files were found but not hashed. The walk may have been about to find
/// more.
fn warn_of_files_left(monitor: &Monitor<Entry>, hashed: usize, stop: Option<Stop>) {
    let report = monitor.stats().report;
    let cause = match (stop, report.panicked) {
        (Some(stop), _) => stop.to_string(),
        (None, 0) => return,
        (None, _) => "a worker panicked".to_owned(),
    };
    // Queued, discarded, in hand, given up, or panicked.
    let left = report.sent - report.done - report.failed;
    warn(format_args!(
        "{cause}: {hashed} files hashed, at least {left} not hashed"
    ));
}
