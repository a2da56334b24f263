//! `crawl`: fetches every page of a site by following its links, from a web server of its own.
//!
//! What it shows of tollgate:
//!
//! - **Workers that feed their own queue.** A page's links are queued with `Task::follow_up`, which
//!   never waits, so a capacity of 1 will do, in cycles as well. (It is the set of pages seen that
//!   ends the cycles, and that bounds what is queued: a page is queued once.)
//! - **An end that nobody announces.** The first page is sent, and the sender dropped. The workers
//!   receive until no page is queued and none in hand that might link to more: `Monitor::finished`.
//! - **Retries.** A page that answers 503 is put back with `Task::retry_or_fail`, up to
//!   `--max-attempts`. There is no pause in the channel: a worker sleeps while it holds the task,
//!   and is busy meanwhile.
//! - **Failures.** Any other answer fails the task, and the crawl goes on. The report adds up.
//! - **Stopping early.** Ctrl-C takes out what is queued with `Monitor::close_now`. The workers end
//!   the pages in hand and leave; the links found there are discarded with the last of them.

mod backoff;
mod fetch;
#[path = "../common/interrupt.rs"]
mod interrupt;
mod progress;
mod site;
#[path = "../common/stderr.rs"]
mod stderr;
mod summary;
mod worker;

use std::io;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use indicatif::ProgressBar;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::Builder;
use tollgate::JoinError;
use tollgate::Monitor;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::interrupt::INTERRUPTED;
use crate::interrupt::Interrupt;
use crate::site::Site;
use crate::stderr::warn;
use crate::summary::Summary;
use crate::worker::Seen;
use crate::worker::Worker;

/// Fetch every page of a site by following its links
///
/// The site is served by this program itself, on a free port of 127.0.0.1: pages that link to each
/// other at random, all of them within reach of page 0, some of them out of order for a while.
#[derive(Parser)]
#[command(name = "crawl", verbatim_doc_comment, after_help = EXIT_STATUS)]
struct Args {
    #[command(flatten)]
    site: site::Options,

    /// Crawl the site of this page instead; links to other sites are not followed
    #[arg(long, value_parser = http_url, conflicts_with = "Options")]
    url: Option<Url>,

    /// Pages fetched at the same time
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: u16,

    /// Capacity of the queue; links that workers find need none
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: u32,

    /// Requests for a page that answers 503, the first one included
    #[arg(short, long, value_name = "N", default_value = "5")]
    max_attempts: NonZeroU32,

    /// Pause before the second request for a page, in milliseconds; doubled before each further one
    #[arg(short, long, value_name = "MS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    backoff: u64,

    /// Show no progress bar (nor is there one where stderr is not a terminal)
    #[arg(short, long)]
    quiet: bool,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every page found was fetched
  1    a page could not be fetched, or the summary not be written
  2    wrong arguments
  130  interrupted by Ctrl-C: the pages in hand were ended, and the summary tells
       how many were left. A second Ctrl-C quits at once, printing nothing";

fn http_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    // Nor have links one: a page is known by the rest.
    url.set_fragment(None);
    match url.scheme() {
        "http" => Ok(url),
        _ => Err("only http:// is spoken here".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    args.site.check();
    run(args).await.unwrap_or_else(|error| {
        warn(error);
        ExitCode::FAILURE
    })
}

/// Serves, crawls and reports.
///
/// An error is one of the program's own (no port to be had, no room for the summary). A page that
/// cannot be fetched is no such error but part of the summary.
async fn run(args: Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let (start, site) = open_site(&args).await?;
    summary::print_start(&start)?;

    let (sender, receiver) = channel(&args);
    let monitor = sender.monitor();
    let (stop, stopped) = watch::channel(false);
    let (failures, failed) = mpsc::channel();
    let seen = Arc::new(Seen::only(start.clone()));
    let worker = Worker {
        pages: receiver,
        client: fetch::client().map_err(io::Error::other)?,
        seen: Arc::clone(&seen),
        failures,
        backoff: Duration::from_millis(args.backoff),
        stopped,
    };
    let mut workers = spawn_workers(args.workers, worker);

    sender.send(start).await.map_err(io::Error::other)?;
    // From here on only workers add to the work, and the channel ends when they find no more.
    drop(sender);

    let bar = progress::bar(args.quiet);
    let finished = finish(&monitor, interrupt, &stop, &bar).await;
    // A retry that is refused ends its task first, and then the worker learns of it and says which.
    while workers.join_next().await.is_some() {}

    let summary = Summary {
        finished,
        links: seen.links(),
        failures: failed.try_iter().collect(),
        interrupted: *stop.borrow(),
    };
    summary.print_failures();
    summary.print(site.as_deref())?;
    Ok(exit_code(&summary))
}

/// Starts the site, unless there is one. Returns the page to begin with, too.
async fn open_site(args: &Args) -> io::Result<(Url, Option<Arc<Site>>)> {
    if let Some(url) = &args.url {
        return Ok((url.clone(), None));
    }
    let site = Arc::new(Site::new(&args.site, args.max_attempts));
    let start = Arc::clone(&site).serve().await?;
    Ok((start, Some(site)))
}

fn channel(args: &Args) -> (Sender<Url>, TaskReceiver<Url>) {
    Builder::new()
        .capacity(args.capacity as usize)
        .max_attempts(args.max_attempts)
        .build_tasks()
}

/// The receivers end up with the workers alone: once all of them have left, what is queued is
/// discarded.
fn spawn_workers(count: u16, worker: Worker) -> JoinSet<()> {
    (0..count).map(|_| worker.clone().run()).collect()
}

fn exit_code(summary: &Summary) -> ExitCode {
    match summary.finished {
        _ if summary.interrupted => ExitCode::from(INTERRUPTED),
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Waits until every page has been dealt with; an interrupt makes that soon.
async fn finish(
    monitor: &Monitor<Url>,
    interrupt: Interrupt,
    stop: &watch::Sender<bool>,
    bar: &ProgressBar,
) -> Result<Report, JoinError> {
    let ended = async {
        tokio::select! {
            _ = monitor.finished() => {}
            () = interrupt.first() => {
                let left = monitor.close_now().len();
                stop.send_replace(true);
                bar.suspend(|| warn(format_args!(
                    "{left} pages are left in the queue; ending the pages in hand; Ctrl-C again \
                     quits at once"
                )));
            }
        }
        monitor.finished().await
    };
    let finished = tokio::select! {
        finished = ended => finished,
        never = progress::show(bar, monitor) => match never {},
    };
    bar.finish_and_clear();
    finished
}
