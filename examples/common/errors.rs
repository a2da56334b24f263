//! Errors of channels, and errors with causes.

use std::error::Error;
use std::fmt;
use std::iter;

use tollgate::JoinError;
use tollgate::Report;

/// How a channel finished.
pub(crate) type Finished = Result<Report, JoinError>;

/// The report of a channel, whether or not all its work succeeded.
pub(crate) fn report(finished: &Finished) -> &Report {
    match finished {
        Ok(report) => report,
        Err(error) => &error.report,
    }
}

/// The causes of an error, which is the first of them.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// An error followed by its causes.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        iter::successors(self.0.source(), |&error| error.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}
