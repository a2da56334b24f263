//! What became of the crawl, and how it is told.

use std::io;
use std::io::ErrorKind;
use std::io::Write;

use reqwest::Url;
use tollgate::JoinError;
use tollgate::Report;

use crate::site::Site;
use crate::stderr::warn;
use crate::worker::Failure;
use crate::worker::LinkCount;

/// Failures that are told one by one.
const NAMED: usize = 10;

pub(crate) struct Summary {
    pub(crate) finished: Result<Report, JoinError>,
    pub(crate) links: LinkCount,
    pub(crate) failures: Vec<Failure>,
    pub(crate) interrupted: bool,
}

pub(crate) fn print_start(start: &Url) -> io::Result<()> {
    print(&format!("start     {start}\n"))
}

impl Summary {
    /// Writes to stdout what was done.
    pub(crate) fn print(&self, site: Option<&Site>) -> io::Result<()> {
        let mut lines = self.account();
        if let Some(site) = site {
            lines += &format!("site      {}\n", site.account());
        }
        print(&lines)
    }

    fn account(&self) -> String {
        let Report {
            sent,
            followed_up,
            received,
            done,
            failed,
            abandoned,
            panicked,
            retried,
            discarded,
            ..
        } = *self.report();
        let LinkCount { all, known } = self.links;
        format!(
            "\
pages     {done} fetched, {failed} failed, {discarded} left
links     {all} found, {known} of them to pages seen before
requests  {received} made, {retried} of them retried
queued    {sent} sent + {followed_up} followed up + {retried} retried \
          = {received} received + {discarded} discarded
received  {received} = {done} done + {failed} failed + {abandoned} abandoned \
          + {panicked} panicked + {retried} retried
"
        )
    }

    /// Writes to stderr what went wrong: the first few failures, and what ended the crawl early.
    pub(crate) fn print_failures(&self) {
        self.failures.iter().take(NAMED).for_each(warn);
        if self.failures.len() > NAMED {
            let more = self.failures.len() - NAMED;
            warn(format_args!("and {more} more"));
        }
        let Report {
            panicked,
            discarded,
            ..
        } = *self.report();
        if panicked > 0 {
            warn(format_args!("{panicked} workers panicked"));
        }
        if self.interrupted {
            warn(format_args!(
                "interrupted: {discarded} pages found and not fetched"
            ));
        }
    }

    fn report(&self) -> &Report {
        match &self.finished {
            Ok(report) => report,
            Err(error) => &error.report,
        }
    }
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
