//! The output.

use std::io;

use reqwest::Url;
use tollgate::Report;

use crate::common::errors::Finished;
use crate::common::errors::report;
use crate::common::interrupt::Stop;
use crate::common::output::print;
use crate::common::output::warn;
use crate::page::Counts;
use crate::site::Site;
use crate::worker::Failure;

/// The number of failures that are printed one by one.
const NAMED: usize = 10;

pub(crate) struct Summary {
    pub(crate) finished: Finished,
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<Failure>,
    pub(crate) stop: Option<Stop>,
}

pub(crate) fn print_start(start: &Url) -> io::Result<()> {
    print(&format!("start     {start}\n"))
}

impl Summary {
    /// Writes the summary to stdout.
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
        } = *report(&self.finished);
        let Counts {
            links,
            known_links,
            redirects,
            known_redirects,
            elsewhere,
            too_deep,
            too_many,
            ..
        } = self.counts;
        let fetched = done - redirects as u64;
        let not_fetched = self.failures.len();
        let left = self.left();
        format!(
            "\
pages     {fetched} fetched, {not_fetched} failed, {left} left
links     {links} found, {known_links} of them to pages found before
redirects {redirects} found, {known_redirects} of them to pages found before, {elsewhere} to other sites
left out  {too_deep} links beyond --depth, {too_many} beyond --max-pages
requests  {received} made, {retried} of them retried
queued    {sent} sent + {followed_up} followed up + {retried} retried \
          = {received} received + {discarded} discarded
received  {received} = {done} done + {failed} failed + {abandoned} abandoned \
          + {panicked} panicked + {retried} retried
"
        )
    }

    /// Writes to stderr the first few failures, and what ended the crawl early.
    pub(crate) fn print_failures(&self) {
        self.failures.iter().take(NAMED).for_each(warn);
        if self.failures.len() > NAMED {
            let more = self.failures.len() - NAMED;
            warn(format_args!("and {more} more"));
        }
        let panicked = report(&self.finished).panicked;
        if panicked > 0 {
            warn(format_args!("{panicked} workers panicked"));
        }
        if let Some(stop) = self.stop {
            let left = self.left();
            warn(format_args!("{stop}: {left} pages found and not fetched"));
        }
    }

    /// How many pages were found, but not fetched because of a stop: those in the queue, new ones, those
    /// that could not be put back, and those that did not answer in time.
    fn left(&self) -> u64 {
        let report = report(&self.finished);
        let not_put_back = report.failed - self.failures.len() as u64;
        report.discarded + self.counts.refused as u64 + not_put_back + report.abandoned
    }
}
