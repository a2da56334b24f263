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
//! - **Retries.** A page that is unavailable for now is queued again with `Task::retry_after_or_fail`,
//!   up to `--max-attempts` times. The pause is a backoff with jitter, or what the server asks for. No
//!   worker waits for it.
//! - **Failures.** Any other error fails the task, and the crawl continues. The report adds up.
//! - **Stopping early.** The channel has been closed since the first page was sent. Ctrl-C takes the
//!   queued pages with `Monitor::close_now`, also those that wait for another attempt. The pages in hand
//!   have a grace period. Then the workers that hang are aborted, which drops their tasks.

mod args;
mod backoff;
mod charset;
#[path = "../common/mod.rs"]
mod common;
mod fetch;
mod links;
mod page;
mod progress;
mod reason;
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
use tokio::task::JoinSet;
use tokio::time::timeout;
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
use crate::common::output::warn;
use crate::common::runtime;
use crate::common::threads;
use crate::common::threads::workers_or_cpus;
use crate::page::Found;
use crate::page::Page;
use crate::site::Site;
use crate::summary::Summary;
use crate::worker::Worker;

/// Looking up the name of a server blocks a thread.
const BLOCKING: usize = 4;

/// Other threads than those of the runtime: the one that handles signals, and the one of all delays.
const OTHERS: usize = 2;

fn main() -> ExitCode {
    let args = Args::checked();
    let all = workers_or_cpus(None).get() + BLOCKING + OTHERS;
    let ran = threads::check(all, None).and_then(|()| runtime::block_on(BLOCKING, None, run(args)));
    exit::code(ran, ExitCode::FAILURE)
}

/// Serves the site, crawls it, and prints the summary.
///
/// It returns an error if the site cannot be served or stdout cannot be written. Pages that cannot
/// be fetched are part of the summary.
async fn run(args: Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let workers = affordable(&args)?;
    let (sender, receiver) = channel(&args)?;
    let (start, site) = open_site(&args).await?;
    summary::print_start(&start)?;

    let monitor = sender.monitor();
    let (failures, failed) = mpsc::channel();
    let first = Page::first(start);
    let found = Arc::new(Found::only(&first, args.limits()));
    let worker = Worker {
        pages: receiver,
        client: fetch::client(args.timeout, workers).map_err(io::Error::other)?,
        found: Arc::clone(&found),
        failures,
        backoff: args.backoff(),
    };
    let mut workers = spawn_workers(workers, worker);

    sender.send(first).await.map_err(io::Error::other)?;
    // From now on only workers queue pages, and the channel finishes when they find no more.
    drop(sender);

    let bar = progress::bar(args.quiet);
    let (finished, stop) = tokio::select! {
        ended = finish(&monitor, interrupt, args.grace, &mut workers, &bar) => ended,
        never = progress::show(&bar, &monitor) => match never {},
    };
    bar.finish_and_clear();
    // A worker ends the task of a page that fails before it records the failure.
    while workers.join_next().await.is_some() {}

    let summary = Summary {
        finished,
        counts: found.counts(),
        failures: failed.try_iter().collect(),
        stop,
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

fn channel(args: &Args) -> io::Result<(Sender<Page>, TaskReceiver<Page>)> {
    let capacity = args.capacity as usize;
    threads::check_room::<Page>(capacity, "--capacity")?;
    let channel = Builder::new()
        .capacity(capacity)
        .max_attempts(args.max_attempts);
    Ok(channel.build_tasks())
}

/// How many workers the limit of open files allows. Each has up to two connections, because the
/// client may open one while another becomes idle. The site has their other ends.
fn affordable(args: &Args) -> io::Result<usize> {
    let ends = if args.url.is_some() { 1 } else { 2 };
    let wanted = workers_or_cpus(Some(args.workers));
    descriptors::affordable(wanted, "workers", 2 * ends, BLOCKING).map(NonZeroUsize::get)
}

/// Starts the workers. Only they keep receivers: if all of them exit, queued pages are discarded.
fn spawn_workers(count: usize, worker: Worker) -> JoinSet<()> {
    (0..count).map(|_| worker.clone().run()).collect()
}

/// Waits until every page is fetched or has failed. After an interrupt, only the pages in hand are, and
/// only within the grace period.
async fn finish(
    monitor: &Monitor<Page>,
    interrupt: Interrupt,
    grace: Duration,
    workers: &mut JoinSet<()>,
    bar: &ProgressBar,
) -> (Finished, Option<Stop>) {
    let stop = tokio::select! {
        finished = monitor.finished() => return (finished, None),
        stop = interrupt.first() => stop,
    };
    let left = monitor.close_now().len();
    bar.suspend(|| {
        stop.warn(format_args!(
            "{left} pages are left in the queue; finishing the pages in hand within {grace:?}"
        ));
    });
    if timeout(grace, monitor.finished()).await.is_err() {
        let hanging = monitor.stats().in_hand;
        bar.suspend(|| {
            warn(format_args!(
                "gave up {hanging} pages in hand after {grace:?}"
            ))
        });
        workers.shutdown().await;
    }
    (monitor.finished().await, Some(stop))
}

fn exit_code(summary: &Summary) -> ExitCode {
    match (summary.stop, &summary.finished) {
        (Some(stop), _) => stop.code().into(),
        (None, Ok(_)) => ExitCode::SUCCESS,
        (None, Err(_)) => ExitCode::FAILURE,
    }
}
