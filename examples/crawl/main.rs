//! `crawl`: fetches every page of a site by following its links. It serves the site itself.
//!
//! What it shows of tollgate:
//!
//! - **Workers that feed their own queue.** The links of a page are queued with `Task::follow_up`,
//!   which never waits, so a capacity of 1 is enough, even if links form cycles. (The set of pages
//!   seen ends the cycles and bounds the queue, because each page is queued once.)
//! - **An end without a signal.** The first page is sent, and the sender is dropped. The workers
//!   receive until no page is queued, and no page is in hand whose links may be queued.
//!   `Monitor::finished` waits for the same.
//! - **Retries.** A page that answers 503 is queued again with `Task::retry_or_fail`, up to
//!   `--max-attempts` times. The next worker sleeps before it tries again, with the task in hand, so an
//!   interrupted crawl tries once more. (`Task::retry_after_or_fail` would keep all workers free.)
//! - **Failures.** Any other answer fails the task, and the crawl continues. The report adds up.
//! - **Stopping early.** Ctrl-C takes the queued pages with `Monitor::close_now`. The workers
//!   finish the pages in hand and exit. From then on the channel takes nothing back, so the links that
//!   they find are refused.

mod args;
mod backoff;
#[path = "../common/mod.rs"]
mod common;
mod fetch;
mod progress;
mod site;
mod summary;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::Builder;
use tollgate::Monitor;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::args::Args;
use crate::common::descriptors;
use crate::common::errors::Finished;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::Stop;
use crate::common::runtime;
use crate::common::threads::workers_or_cpus;
use crate::site::Site;
use crate::summary::Summary;
use crate::worker::Seen;
use crate::worker::Worker;

/// Looking up the name of a server blocks a thread.
const BLOCKING: usize = 4;

fn main() -> ExitCode {
    let args = Args::checked();
    exit::code(
        runtime::block_on(BLOCKING, None, run(args)),
        ExitCode::FAILURE,
    )
}

/// Serves the site, crawls it, and prints the summary.
///
/// It returns an error if the site cannot be served or stdout cannot be written. Pages that cannot
/// be fetched are part of the summary.
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
    let mut workers = spawn_workers(affordable(&args)?, worker);

    sender.send(start).await.map_err(io::Error::other)?;
    // From now on only workers queue pages, and the channel finishes when they find no more.
    drop(sender);

    let bar = progress::bar(args.quiet);
    let (finished, stopped) = finish(&monitor, interrupt, &stop, &bar).await;
    // If a retry fails, its task ends before the worker records the failure.
    while workers.join_next().await.is_some() {}

    let summary = Summary {
        finished,
        links: seen.links(),
        failures: failed.try_iter().collect(),
        stop: stopped,
    };
    summary.print_failures();
    summary.print(site.as_deref())?;
    Ok(exit_code(&summary))
}

/// Starts the site, unless `--url` names another one. Also returns the first page.
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

/// How many workers the limit of open files allows. Each has up to two connections, because the
/// client may open one while another becomes idle. The site has their other ends.
fn affordable(args: &Args) -> io::Result<usize> {
    let ends = if args.url.is_some() { 1 } else { 2 };
    let wanted = workers_or_cpus(Some(args.workers));
    descriptors::affordable(wanted, "workers", 2 * ends, 0).map(NonZeroUsize::get)
}

/// Starts the workers. Only they keep receivers: if all of them exit, queued pages are discarded.
fn spawn_workers(count: usize, worker: Worker) -> JoinSet<()> {
    (0..count).map(|_| worker.clone().run()).collect()
}

fn exit_code(summary: &Summary) -> ExitCode {
    match (summary.stop, &summary.finished) {
        (Some(stop), _) => stop.code().into(),
        (None, Ok(_)) => ExitCode::SUCCESS,
        (None, Err(_)) => ExitCode::FAILURE,
    }
}

/// Waits until every page is fetched or has failed. After an interrupt, only the pages in hand are.
async fn finish(
    monitor: &Monitor<Url>,
    interrupt: Interrupt,
    stop: &watch::Sender<bool>,
    bar: &ProgressBar,
) -> (Finished, Option<Stop>) {
    let ended = async {
        let stopped = tokio::select! {
            _ = monitor.finished() => None,
            stopped = interrupt.first() => {
                let left = monitor.close_now().len();
                stop.send_replace(true);
                bar.suspend(|| stopped.warn(format_args!(
                    "{left} pages are left in the queue; finishing the pages in hand"
                )));
                Some(stopped)
            }
        };
        (monitor.finished().await, stopped)
    };
    let finished = tokio::select! {
        finished = ended => finished,
        never = progress::show(bar, monitor) => match never {},
    };
    bar.finish_and_clear();
    finished
}
