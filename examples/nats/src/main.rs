//! A worker process, and a publisher for it.

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
use tokio::runtime::Runtime;
use tokio::select;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::timeout;
use tollgate::Report;
use tollgate::Sender;
use tollgate::Task;

type Error = Box<dyn error::Error + Send + Sync>;

/// How long an abort may take.
const ABORT: Duration = Duration::from_secs(5);

/// Do jobs, which are lines such as {"id": 17, "millis": 5}
#[derive(Parser)]
enum Command {
    /// Do the jobs on stdin, through a channel of this process
    Channel(Limits),
    /// Publish the jobs on stdin to the broker
    Publish(Broker),
    /// Do jobs of the broker until SIGTERM or Ctrl-C; a second one ends the grace
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
    let runtime = Runtime::new().expect("a runtime");
    let result = runtime.block_on(run(Command::parse()));
    runtime.shutdown_background(); // Do not wait for work that ignores its abort.
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Channel(limits) => work_from_channel(limits).await,
        Command::Publish(broker) => publish(broker).await,
        Command::Work {
            broker,
            limits,
            ack_wait,
            grace,
        } => {
            let (ack_wait, grace) = (Duration::from_secs(ack_wait), Duration::from_secs(grace));
            work_from_broker(broker, limits, ack_wait, grace).await
        }
    }
}

async fn work_from_channel(limits: Limits) -> Result<(), Error> {
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
    let mut stop = Stop::new()?;
    let queue = Queue {
        client: async_nats::connect(broker.server).await?,
        replicas: broker.replicas,
        ack_wait,
    };
    println!("ready");

    let (sender, receiver) = tollgate::tasks::<Delivery>(limits.ahead.get());
    let monitor = sender.monitor();
    let pulling = tokio::spawn(broker::pull(queue, sender));
    let unconfirmed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&unconfirmed);
    let pool = receiver.run_tasks(limits.at_once, move |task| {
        process(task, Arc::clone(&count))
    });
    let pool = tokio::spawn(pool.catch_panics());

    stop.recv().await;
    // Other processes get what waits here. What is in hand ends here, if it does in time.
    let given_back = broker::give_back(monitor.close_now()).await;
    let in_time = select! {
        ended = timeout(grace, monitor.finished()) => ended.is_ok(),
        () = stop.recv() => false, // It is in a hurry.
    };
    if !in_time {
        println!("stragglers {}", monitor.stats().in_hand);
        pool.abort(); // The broker delivers their jobs again after the ack wait.
    }
    pulling.await?;
    println!("given back {given_back}");
    let Ok(ended) = timeout(ABORT, monitor.finished()).await else {
        return Err("work that ignores its abort".into());
    };
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

/// SIGTERM or Ctrl-C.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
