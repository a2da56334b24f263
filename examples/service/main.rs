//! `service`: an HTTP service on axum that accepts jobs, and does them in the background.
//!
//! `POST /jobs` queues a job, `GET /stats` shows the ledger as JSON, and `GET /metrics` shows it to
//! Prometheus. SIGTERM or Ctrl-C stops the service.
//!
//! What it shows of tollgate:
//!
//! - **A handler never waits.** `try_send` queues the job, or the client is told at once to come
//!   back later: 503 with `Retry-After`. So the queue is a limit on how long an accepted job waits.
//! - **An accepted job is accounted for.** Its task ends as done or failed, even if the work panics.
//! - **Shutdown with a grace period.** `close` refuses new jobs, while `/stats` and `/metrics` still
//!   answer; `finished` waits for the accepted jobs; `close_now` hands back those that no worker has
//!   begun, and the log names them; then it names the jobs in hand that do not end, and aborts them.
//! - **A log that blocks no worker.** `force_send` drops the oldest line if no process reads the log.
//!
//! It sets no time limit for clients: that is the task of the proxy in front of a service.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod http;
mod jobs;
mod ledger;
mod listener;
mod log;

use std::future::IntoFuture;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate::Monitor;

use crate::args::Args;
use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::output::print;
use crate::common::runtime;
use crate::common::start::start;
use crate::common::threads;
use crate::http::Service;
use crate::jobs::Job;
use crate::jobs::Running;
use crate::listener::Listening;
use crate::log::Log;

/// The time for what normally takes none: that aborted workers end, and that the log is written.
const MOMENT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = start();
    exit::code(runtime::block_on(0, None, run(args)), ExitCode::FAILURE)
}

async fn run(args: Args) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let log = Log::start()?;
    threads::check_room::<Job>(args.capacity.get(), "--capacity")?;
    let listener = TcpListener::bind(args.listen).await?;
    print(&format!("listening on {}\n", listener.local_addr()?))?;

    // This receiver is kept: without any, the channel would discard the queued jobs.
    let (sender, receiver) = tollgate::tasks::<Job>(args.capacity.get());
    let monitor = sender.monitor();
    let running = Running::default();
    let worker = || jobs::worker(receiver.clone(), running.clone(), log.clone());
    let mut workers: JoinSet<()> = (0..args.workers).map(|_| worker()).collect();

    let (stop_http, stopped) = oneshot::channel::<()>();
    let listener = Listening::new(listener, log.clone());
    let server = axum::serve(listener, http::router(Service::new(sender)))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let is_healthy = tokio::select! {
        stop = interrupt.first() => {
            log.line(format_args!("{stop}: ending the jobs; a second signal quits at once"));
            true
        }
        // It ends only when the channel is finished, or by a bug.
        _ = workers.join_next() => {
            log.line("a worker ended by itself: ending the jobs");
            false
        }
    };
    let left = finish(&monitor, &running, workers, args.grace, &log).await;
    // Last, so that clients and Prometheus could see the end of the work. A client that does not
    // read its answer does not hold up the service.
    drop(stop_http);
    let _ = timeout(args.grace, server).await;
    log.finish(MOMENT).await;
    Ok(if is_healthy && left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ends the work. Returns the number of accepted jobs that have not ended by themselves.
async fn finish(
    monitor: &Monitor<Job>,
    running: &Running,
    mut workers: JoinSet<()>,
    grace: Duration,
    log: &Log,
) -> usize {
    let mut left = 0;
    // From now on, handlers refuse jobs.
    monitor.close();
    if workers.is_empty() || timeout(grace, monitor.finished()).await.is_err() {
        for job in monitor.close_now() {
            log.line(format_args!("handed back: {job}"));
            left += 1;
        }
        let _ = timeout(grace, monitor.finished()).await;
    }
    // A worker that does not await anything cannot be aborted.
    let _ = timeout(MOMENT, workers.shutdown()).await;
    for job in running.give_up() {
        log.line(format_args!("aborted: {job}"));
        left += 1;
    }
    let report = monitor.stats().report;
    log.line(format_args!(
        "{} done, {} failed",
        report.done, report.failed
    ));
    left
}
