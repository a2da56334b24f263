//! The error of joining, and the failures that it lists.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::fmt::Write;
use core::mem;
use core::slice;

use super::Failure;
use super::Report;
use crate::unwind::run_all;

/// The error of [`join`](crate::Monitor::join) and [`finished`](crate::Monitor::finished) when some
/// of the work failed. It contains the first failure and the complete report, and more failures if the
/// channel [keeps them](crate::Builder::keep_failures).
///
/// The failure is kept: every later [`join`](crate::Monitor::join) returns the same `first`, until
/// [`take_failure`](crate::Monitor::take_failure) removes it.
///
/// # Examples
///
/// ```
/// use std::error::Error;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = tollgate::tasks(1);
/// sender.send(7).await?;
/// receiver.recv().await?.fail("disk full");
///
/// let error = sender.join().await.unwrap_err();
/// assert_eq!(error.report.failed, 1);
/// assert_eq!(error.to_string(), "not all work ended well: 1 failed, 0 abandoned, 0 panicked, 0 discarded");
/// let first = error.source().unwrap();
/// assert_eq!(first.to_string(), "a task failed");
/// assert_eq!(first.source().unwrap().to_string(), "disk full");
/// # Ok::<(), Box<dyn Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct JoinError {
    /// The counts at the instant at which no work was left.
    pub report: Report,
    /// The first failure.
    pub first: Failure,
    /// `None` if the channel keeps the first only. Otherwise the first is one of these.
    kept: Option<Arc<Failures>>,
}

impl JoinError {
    pub(crate) fn new(report: Report, first: Failure, kept: Option<Arc<Failures>>) -> Self {
        Self {
            report,
            first,
            kept,
        }
    }

    /// Returns the failures that the channel has kept, in the order in which they were recorded: the
    /// first, and as many more as [`Builder::keep_failures`](crate::Builder::keep_failures) allows.
    ///
    /// A failure that was [taken](crate::Monitor::take_failure) is none of them. The counts of the report
    /// include all failures.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::error::Error;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::Builder::new().keep_failures(2).build_tasks();
    /// for page in 1..=4 {
    ///     sender.send(page).await?;
    ///     receiver.recv().await?.fail(format!("page {page}: disk full"));
    /// }
    ///
    /// let error = sender.join().await.unwrap_err();
    /// let pages = error.failures().iter().map(|failure| failure.source().unwrap().to_string());
    /// assert_eq!(pages.collect::<Vec<_>>(), ["page 1: disk full", "page 2: disk full"]);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "not all work ended well: 4 failed, 0 abandoned, 0 panicked, 0 discarded\n  \
    ///      a task failed: page 1: disk full\n  \
    ///      a task failed: page 2: disk full\n  \
    ///      and 2 more failures"
    /// );
    /// # Ok::<(), Box<dyn Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn failures(&self) -> &[Failure] {
        match &self.kept {
            None => slice::from_ref(&self.first),
            Some(failures) => failures.kept(),
        }
    }
}

impl fmt::Display for JoinError {
    /// Writes the counts. If the channel keeps more failures than the first, writes these too, one a line,
    /// each with its sources. If the text of an error has several lines, these are indented below the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_counts(&self.report, f)?;
        match &self.kept {
            None => Ok(()),
            Some(failures) => failures.fmt_lines(f),
        }
    }
}

fn fmt_counts(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Report {
        failed,
        abandoned,
        panicked,
        discarded,
        failed_senders,
        ..
    } = report;
    write!(
        f,
        "not all work ended well: {failed} failed, {abandoned} abandoned, {panicked} panicked, \
         {discarded} discarded"
    )?;
    match failed_senders {
        0 => Ok(()),
        1 => f.write_str(", 1 sender failed"),
        _ => write!(f, ", {failed_senders} senders failed"),
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinError")
            .field("report", &self.report)
            .field("failures", &self.failures())
            .finish()
    }
}

impl Error for JoinError {
    /// Returns the first failure. Its own source is the error of the task or the sender.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.first)
    }
}

/// Several failures, in the order in which they were recorded.
#[derive(Clone, Default)]
pub(crate) struct Failures {
    /// The first ones have been taken, and replaced by others. So taking one does not move the rest, which
    /// may be many.
    list: Vec<Failure>,
    taken: usize,
    /// How many more were recorded and not kept.
    more: u64,
}

impl Failures {
    /// Keeps a failure, unless there are `most`. Returns whether it is the first. Returns the failure if it
    /// is not kept.
    pub(crate) fn keep(&mut self, failure: Failure, most: usize) -> Result<bool, Failure> {
        if self.kept().len() >= most {
            self.more += 1;
            return Err(failure);
        }
        self.list.push(failure);
        Ok(self.kept().len() == 1)
    }

    pub(crate) fn first(&self) -> Option<&Failure> {
        self.kept().first()
    }

    pub(crate) fn take_first(&mut self) -> Option<Failure> {
        let first = self.list.get_mut(self.taken)?;
        let first = mem::replace(first, Failure::Discarded);
        self.taken += 1;
        if self.taken > self.list.len() / 2 {
            // This moves fewer failures than were taken since the last time.
            self.list.drain(..mem::take(&mut self.taken));
        }
        if self.list.is_empty() {
            // Those were recorded before what is kept from now on.
            self.more = 0;
        }
        Some(first)
    }

    fn kept(&self) -> &[Failure] {
        &self.list[self.taken..]
    }

    fn fmt_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.kept() {
            f.write_str("\n  ")?;
            let mut entry = Indented { f, newlines: 0 };
            write!(entry, "{failure}")?;
            let mut source = failure.source();
            while let Some(error) = source {
                write!(entry, ": {error}")?;
                source = error.source();
            }
        }
        match self.more {
            0 => Ok(()),
            1 => f.write_str("\n  and 1 more failure"),
            more => write!(f, "\n  and {more} more failures"),
        }
    }
}

/// Writes text of which all lines but the first are indented, without the newlines at its end. The texts of
/// errors are those of users.
struct Indented<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    /// How many newlines precede what is written next.
    newlines: usize,
}

impl Write for Indented<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (number, line) in text.split('\n').enumerate() {
            self.newlines += usize::from(number > 0);
            if line.is_empty() {
                continue;
            }
            if self.newlines > 0 {
                for _ in 0..mem::take(&mut self.newlines) {
                    self.f.write_str("\n")?;
                }
                self.f.write_str("    ")?;
            }
            self.f.write_str(line)?;
        }
        Ok(())
    }
}

impl Drop for Failures {
    /// Drops all of them, even if the destructors of several errors panic.
    fn drop(&mut self) {
        let mut failures = mem::take(&mut self.list).into_iter();
        run_all(|| failures.next(), drop);
    }
}
