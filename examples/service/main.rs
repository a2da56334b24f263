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

mod http;
mod jobs;
mod ledger;

use std::error::Error;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate::Monitor;

use crate::http::Service;
use crate::jobs::Job;
use crate::jobs::Running;

/// Accept jobs over HTTP, and do them in the background
#[derive(Parser)]
#[command(name = "service", after_help = AFTER_HELP)]
struct Args {
    /// Address to listen on; port 0 takes any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Number of jobs that are done at once
    #[arg(short, long, value_name = "N", default_value = "4")]
    workers: NonZeroUsize,

    /// Maximum number of jobs that wait
    #[arg(short, long, value_name = "N", default_value = "64")]
    capacity: NonZeroUsize,

    /// Time for the accepted jobs after SIGTERM, and then again for those in hand, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    grace: u64,
}

const AFTER_HELP: &str = r#"Example:
  curl -i localhost:8080/jobs -d '{"name": "mail", "millis": 100}'

Exit status:
  0  every accepted job has ended
  1  jobs were handed back or aborted, or the service could not start
  2  invalid arguments"#;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let stop = stop_signal()?;
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on {}", listener.local_addr()?);

    let (sender, receiver) = tollgate::tasks::<Job>(args.capacity.get());
    let monitor = sender.monitor();
    let running = Running::default();
    let mut workers = JoinSet::new();
    for _ in 0..args.workers.get() {
        workers.spawn(jobs::worker(receiver.clone(), running.clone()));
    }
    drop(receiver); // The workers hold clones.

    let (stop_http, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, http::router(Service::new(sender)))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    stop.await;
    let grace = Duration::from_millis(args.grace);
    let left = finish(&monitor, &running, workers, grace).await;
    // Last, so that clients and Prometheus could see the end of the work. A client that does not
    // read its answer does not hold up the service.
    drop(stop_http);
    let _ = timeout(grace, server).await;
    Ok(if left == 0 {
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
) -> u64 {
    // From now on, handlers refuse jobs.
    monitor.close();
    if timeout(grace, monitor.finished()).await.is_err() {
        for job in monitor.close_now() {
            eprintln!("handed back: {job}");
        }
        if timeout(grace, monitor.finished()).await.is_err() {
            for job in running.jobs() {
                eprintln!("aborted: {job}");
            }
            workers.shutdown().await;
        }
    }
    let report = match monitor.finished().await {
        Ok(report) => report,
        Err(error) => error.report,
    };
    eprintln!("{} done, {} failed", report.done, report.failed);
    report.discarded + report.abandoned
}

/// Starts to listen for SIGTERM and Ctrl-C. The future completes at the first of them.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
