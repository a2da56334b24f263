//! The command line.

use std::num::NonZeroU32;

use clap::Parser;
use reqwest::Url;

use crate::common::start::start;
use crate::site;

/// Fetch every page of a site by following its links
///
/// This program serves the site itself, on a free port of 127.0.0.1. Its pages link to each other
/// at random; all are reachable from page 0, and some are unavailable at first.
#[derive(Parser)]
#[command(name = "crawl", version, verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) site: site::Options,

    /// Crawl the site of this page instead; links to other sites are ignored
    #[arg(long, value_parser = http_url, conflicts_with = "Options")]
    pub(crate) url: Option<Url>,

    /// Number of pages to fetch at the same time
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,

    /// Capacity of the queue; links that workers find are queued beyond it
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: u32,

    /// Maximum number of requests for a page that answers 503
    #[arg(short, long, value_name = "N", default_value = "5")]
    pub(crate) max_attempts: NonZeroU32,

    /// Pause before the second request for a page, in milliseconds; doubles with each further request
    #[arg(short, long, value_name = "MS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) backoff: u64,

    /// Hide the progress bar (it is shown only if stderr is a terminal)
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every page found was fetched
  1    a page could not be fetched, the summary could not be written, or there
       were too few threads
  2    invalid arguments
  130  interrupted by Ctrl-C: the pages in hand were finished, and the summary
       shows how many were left. A second Ctrl-C quits at once and prints nothing
  141  the reader of the output closed the pipe
  143  terminated by SIGTERM, which has the effect of Ctrl-C";

fn http_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    // Links have no fragment either, because it does not identify a page.
    url.set_fragment(None);
    match url.scheme() {
        "http" => Ok(url),
        _ => Err("only http:// URLs are supported".to_owned()),
    }
}

impl Args {
    /// Parses the command line. Ends the program if it is invalid.
    pub(crate) fn checked() -> Self {
        let args: Self = start();
        args.site.check();
        args
    }
}
