//! The command line.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Parser;
use reqwest::Url;

use crate::backoff::Backoff;
use crate::common::start::seconds;
use crate::common::start::start;
use crate::page::Limits;
use crate::site;

/// Fetch every page of a site by following its links
///
/// This program serves the site itself, on a free port of 127.0.0.1. Its pages link to each other
/// at random; all are reachable from page 0, and some are unavailable at first.
///
/// Links are those of the tags `a` and `area`, frames, and a `meta` that refreshes the page.
/// Redirects are followed like links. A page is requested again if the connection fails or times
/// out, and if the server answers 408, 429, 500, 502, 503 or 504. Any other error is final.
#[derive(Parser)]
#[command(name = "crawl", version, verbatim_doc_comment, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Crawl the site of this page instead of the built-in one; links to other sites are ignored
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

    /// Maximum number of requests for a page whose errors may pass
    #[arg(short, long, value_name = "N", default_value = "5")]
    pub(crate) max_attempts: NonZeroU32,

    /// Longest pause before the second request for a page, in milliseconds; doubles with each further
    /// request. The shortest pause is half of it, or what the server asks for by Retry-After
    #[arg(
        short,
        long,
        value_name = "MS",
        default_value_t = 100,
        verbatim_doc_comment
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    backoff: u64,

    /// Limit of these pauses, also for what servers ask for
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    max_backoff: Duration,

    /// Time that a server has for its complete answer
    #[arg(short, long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Follow links up to this number of links away from the first page (on the path by which a page
    /// is found first)
    #[arg(short, long, value_name = "N", default_value_t = u32::MAX, hide_default_value = true)]
    #[arg(verbatim_doc_comment)]
    depth: u32,

    /// Maximum number of pages to request, including redirects and pages that cannot be fetched
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_pages: u32,

    /// Maximum number of redirects one after the other
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_redirects: u32,

    /// Time that pages in hand have after Ctrl-C or SIGTERM
    #[arg(short, long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// Hide the progress bar (it is shown only if stderr is a terminal)
    #[arg(short, long)]
    pub(crate) quiet: bool,

    // The last one, because its heading is also that of what follows.
    #[command(flatten)]
    pub(crate) site: site::Options,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every page found was fetched, except what the limits left out
  1    a page could not be fetched, the summary could not be written, or there
       were too few threads or too little memory
  2    invalid arguments
  129  the terminal was closed (SIGHUP), which has the effect of Ctrl-C
  130  interrupted by Ctrl-C: the pages in hand were finished if the grace period
       was long enough, and the summary shows how many were left. A second Ctrl-C,
       half a second later or more, quits at once; what is not yet printed is
       lost
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

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            first: Duration::from_millis(self.backoff),
            most: self.max_backoff,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            depth: self.depth,
            pages: self.max_pages as usize,
            redirects: self.max_redirects,
        }
    }
}
