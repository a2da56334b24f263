//! A worker process, and a publisher for it.

use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use nats_worker::broker;
use nats_worker::broker::Delivery;
use nats_worker::channel;
use nats_worker::queue;
use nats_worker::work::Job;
use nats_worker::work::work;
use tokio::select;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::timeout;
use tollgate::Task;

/// Do jobs, which are lines such as {"id": 17, "millis": 5}
#[derive(Parser)]
enum Command {
    /// Do the jobs on stdin, through a channel of this process
    Channel(Limits),
    /// Publish the jobs on stdin to the broker
    Publish(Broker),
    /// Do jobs of the broker until SIGTERM
    Work {
        #[command(flatten)]
        broker: Broker,
        #[command(flatten)]
        limits: Limits,
        /// Seconds after which the broker delivers the job of a dead process again
        #[arg(long, default_value_t = 30)]
        ack_wait: u64,
        /// Seconds to wait at SIGTERM for the jobs in hand
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    match Command::parse() {
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

async fn work_from_channel(limits: Limits) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (sender, receiver) = tollgate::tasks::<Bytes>(limits.ahead.get());
    let monitor = sender.monitor();
    let pool = receiver.run_tasks(limits.at_once, |task| channel::process(task, work));
    tokio::spawn(pool.catch_panics());

    for line in io::stdin().lines() {
        sender.send(line?.into()).await?;
    }
    drop(sender);
    let report = monitor.finished().await?;
    println!("{} done", report.done);
    Ok(())
}

async fn work_from_broker(
    broker: Broker,
    limits: Limits,
    ack_wait: Duration,
    grace: Duration,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut stop = signal(SignalKind::terminate())?;
    let client = async_nats::connect(broker.server).await?;
    let consumer = select! {
        consumer = queue::open(&client, broker.replicas, ack_wait) => consumer,
        _ = stop.recv() => return Ok(()),
    };
    println!("ready");

    let (sender, receiver) = tollgate::tasks::<Delivery>(limits.ahead.get());
    let monitor = sender.monitor();
    let pulling = tokio::spawn(broker::pull(client, consumer, sender));
    let pool = receiver.run_tasks(limits.at_once, process);
    let pool = tokio::spawn(pool.catch_panics());

    stop.recv().await;
    // Other processes get what waits here. What is in hand ends here, if it does in time.
    let given_back = broker::give_back(monitor.close_now()).await;
    if timeout(grace, monitor.finished()).await.is_err() {
        println!("stragglers {}", monitor.stats().in_hand);
        pool.abort(); // The broker delivers their jobs again after the ack wait.
    }
    pulling.await?;
    println!("given back {given_back}");
    monitor.finished().await?;
    Ok(())
}

/// Says what became of a job, as the tests want to know.
async fn process(task: Task<Delivery>) {
    let job: Result<Job, _> = serde_json::from_slice(&task.payload());
    let id = job.map_or(0, |job| job.id);
    match broker::process(task, work).await {
        Ok(()) => println!("settled {id}"),
        Err(_) => println!("unsettled {id}"),
    }
}

async fn publish(broker: Broker) -> Result<(), Box<dyn Error + Send + Sync>> {
    let client = async_nats::connect(broker.server).await?;
    queue::stream(&client, broker.replicas).await?;
    for line in io::stdin().lines() {
        let line = line?;
        let job: Job = serde_json::from_str(&line)?;
        queue::publish(&client, [(job.id.to_string(), line.into())]).await?;
    }
    Ok(())
}
