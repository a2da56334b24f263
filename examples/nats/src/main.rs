//! A worker process, and a publisher for it.

#[path = "../../common"]
mod common {
    //! What the example programs share.

    #![allow(dead_code)] // Each program uses a part.
    #![allow(clippy::collapsible_if)] // Their oldest compiler has no let chains.

    pub(crate) mod descriptors;
    pub(crate) mod exit;
    pub(crate) mod file;
    pub(crate) mod interrupt;
    pub(crate) mod output;
    pub(crate) mod runtime;
    pub(crate) mod start;
    pub(crate) mod streams;
    pub(crate) mod threads;
}

use std::error;
use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use clap::Parser;
use nats_worker::broker;
use nats_worker::broker::Delivery;
use nats_worker::broker::Unconfirmed;
use nats_worker::channel;
use nats_worker::queue;
use nats_worker::queue::Queue;
use nats_worker::work::Job;
use nats_worker::work::work;
use tokio::select;
use tokio::time::timeout;
use tollgate::Report;
use tollgate::Sender;
use tollgate::Task;

use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::runtime;
use crate::common::start::start;
use crate::common::threads;

type Error = Box<dyn error::Error + Send + Sync>;

const AHEAD: &str = "--ahead";

/// How long an abort may take.
const ABORT: Duration = Duration::from_secs(5);

/// Do jobs, which are lines such as {"id": 17, "millis": 5}
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
enum Command {
    /// Do the jobs on stdin, through a channel of this process
    Channel(Limits),
    /// Publish the jobs on stdin to the broker
    Publish(Broker),
    /// Do jobs of the broker until SIGTERM, SIGHUP or Ctrl-C; a second SIGTERM or Ctrl-C quits at once
    Work {
        #[command(flatten)]
        broker: Broker,
        #[command(flatten)]
        limits: Limits,
        /// Seconds after which the broker delivers the job of a dead process again
        #[arg(long, default_value_t = 30)]
        ack_wait: u64,
        /// Seconds to wait after that for the jobs in hand
        #[arg(long, default_value_t = 10)]
        grace: u64,
    },
}

const AFTER_HELP: &str = "\
Exit status:
  0    all is done; `work` was stopped, and the broker knows the outcome of each job in hand
  1    something failed
  2    invalid arguments
  130  `work` was ended by a second signal, which was Ctrl-C
  143  `work` was ended by a second signal, which was SIGTERM";

#[derive(clap::Args)]
struct Broker {
    /// Address of a server; several for a cluster
    #[arg(long, default_value = "127.0.0.1:4222", value_delimiter = ',')]
    server: Vec<String>,
    /// On how many servers each job is stored
    #[arg(long, default_value_t = 1)]
    replicas: usize,
}

#[derive(clap::Args)]
struct Limits {
    /// How many jobs are worked on at once
    #[arg(long, default_value = "8")]
    at_once: NonZeroUsize,
    /// How many jobs wait in this process
    #[arg(long, default_value = "16")]
    ahead: NonZeroUsize,
}

fn main() -> ExitCode {
    let command = start();
    let run = async { run(command).await.map_err(io::Error::other) };
    exit::code(runtime::block_on(0, None, run), ExitCode::FAILURE)
}

async fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Channel(limits) => work_from_channel(limits).await?,
        Command::Publish(broker) => publish(broker).await?,
        Command::Work {
            broker,
            limits,
            ack_wait,
            grace,
        } => {
            let (ack_wait, grace) = (Duration::from_secs(ack_wait), Duration::from_secs(grace));
            work_from_broker(broker, limits, ack_wait, grace).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn work_from_channel(limits: Limits) -> Result<(), Error> {
    threads::check_room::<Bytes>(limits.ahead.get(), AHEAD)?;
    let (sender, receiver) = tollgate::tasks::<Bytes>(limits.ahead.get());
    let monitor = sender.monitor();
    let pool = receiver.run_tasks(limits.at_once, |task| channel::process(task, work));
    tokio::spawn(pool.catch_panics());

    let read = send_lines(sender).await;
    // Also after an error: the jobs of the lines before it are accepted.
    let ended = monitor.finished().await;
    if let (Err(_), Err(error)) = (&read, &ended) {
        eprintln!("{error}");
    }
    read?;
    println!("{} done", ended?.done);
    Ok(())
}

/// Sends the lines of stdin, and closes the channel.
async fn send_lines(sender: Sender<Bytes>) -> Result<(), Error> {
    for line in io::stdin().lines() {
        sender.send(line?.into()).await?;
    }
    Ok(())
}

async fn work_from_broker(
    broker: Broker,
    limits: Limits,
    ack_wait: Duration,
    grace: Duration,
) -> Result<(), Error> {
    let stop = Interrupt::listen()?;
    let queue = Queue {
        client: async_nats::connect(broker.server).await?,
        replicas: broker.replicas,
        ack_wait,
    };
    println!("ready");

    threads::check_room::<Delivery>(limits.ahead.get(), AHEAD)?;
    let (sender, receiver) = tollgate::tasks::<Delivery>(limits.ahead.get());
    let monitor = sender.monitor();
    let mut pulling = tokio::spawn(broker::pull(queue, sender));
    let unconfirmed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&unconfirmed);
    let pool = receiver.run_tasks(limits.at_once, move |task| {
        process(task, Arc::clone(&count))
    });
    let pool = tokio::spawn(pool.catch_panics());

    select! {
        stop = stop.first() => stop.warn("giving back what has not begun, ending the jobs in hand"),
        // It ends only when the channel is closed, or by a bug.
        ended = &mut pulling => {
            ended?;
            return Err("no more jobs are fetched".into());
        }
    }
    // Other processes get what waits here. What is in hand ends here, if it does in time.
    let given_back = broker::give_back(monitor.close_now()).await;
    let in_time = timeout(grace, monitor.finished()).await.is_ok();
    if !in_time {
        println!("stragglers {}", monitor.stats().in_hand);
        pool.abort(); // The broker delivers their jobs again after the ack wait.
    }
    // Work that blocks its thread may hold up this, too.
    let pulled = timeout(ABORT, pulling).await;
    println!("given back {given_back}");
    let Ok(ended) = timeout(ABORT, monitor.finished()).await else {
        return Err("work that ignores its abort".into());
    };
    if let Ok(pulled) = pulled {
        pulled?;
    }
    let report = ended.unwrap_or_else(|error| {
        eprintln!("{error}");
        error.report
    });
    verdict(in_time, unconfirmed.load(Relaxed), &report)
}

/// Whether the broker knows the outcome of every job in hand. A job that has failed has one.
fn verdict(in_time: bool, unconfirmed: usize, report: &Report) -> Result<(), Error> {
    let without = report.abandoned + report.panicked;
    if in_time && unconfirmed == 0 && without == 0 {
        return Ok(());
    }
    let verdict = format!("{without} jobs without an outcome, {unconfirmed} unconfirmed outcomes");
    Err(verdict.into())
}

/// Says what became of a job, as the tests want to know.
async fn process(task: Task<Delivery>, unconfirmed: Arc<AtomicUsize>) {
    let job: Result<Job, _> = serde_json::from_slice(&task.payload());
    let id = job.map_or(0, |job| job.id);
    match broker::process(task, work).await {
        Ok(()) => println!("settled {id}"),
        Err(Unconfirmed) => {
            unconfirmed.fetch_add(1, Relaxed);
            println!("unsettled {id}");
        }
    }
}

async fn publish(broker: Broker) -> Result<(), Error> {
    let client = async_nats::connect(broker.server).await?;
    queue::stream(&client, broker.replicas).await?;
    let mut duplicates = 0;
    let published = publish_lines(&client, &mut duplicates).await;
    if duplicates > 0 {
        eprintln!("{duplicates} already published: jobs with these ids were published just before");
    }
    published
}

async fn publish_lines(client: &Client, duplicates: &mut usize) -> Result<(), Error> {
    for line in io::stdin().lines() {
        let line = line?;
        let job: Job = serde_json::from_str(&line)?;
        *duplicates += queue::publish(client, [(job.id.to_string(), line.into())]).await?;
    }
    Ok(())
}
