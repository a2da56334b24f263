//! The stream of the jobs, and how they are published.

use std::time::Duration;

use async_nats::Client;
use async_nats::Error;
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream;
use async_nats::jetstream::stream::RetentionPolicy;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;

/// The stream and its subject.
pub const JOBS: &str = "jobs";
/// All worker processes share one consumer.
pub const WORKERS: &str = "workers";

/// The stream, which this creates if there is none. A job stays in it until a worker has settled it.
pub async fn stream(client: &Client, replicas: usize) -> Result<Stream, Error> {
    let config = stream::Config {
        name: JOBS.to_owned(),
        subjects: vec![JOBS.to_owned()],
        retention: RetentionPolicy::WorkQueue,
        num_replicas: replicas,
        ..stream::Config::default()
    };
    let context = jetstream::new(client.clone());
    Ok(context.get_or_create_stream(config).await?)
}

/// The consumer, which this creates if there is none. (Otherwise it keeps its ack wait.)
pub async fn consumer(stream: &Stream, ack_wait: Duration) -> Result<PullConsumer, Error> {
    let config = pull::Config {
        durable_name: Some(WORKERS.to_owned()),
        ack_wait,
        // It counts for all processes together. Each limits itself by the capacity of its channel.
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    Ok(stream.get_or_create_consumer(WORKERS, config).await?)
}

/// What it takes to open the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    pub client: Client,
    pub replicas: usize,
    pub ack_wait: Duration,
}

impl Queue {
    /// The consumer of the stream. A cluster has none while it elects a leader.
    pub async fn open(&self) -> Result<PullConsumer, Error> {
        let stream = stream(&self.client, self.replicas).await?;
        consumer(&stream, self.ack_wait).await
    }
}

/// Publishes jobs with their names, and waits until the stream has stored them all. Returns how many it had
/// stored before, and so has not stored again.
///
/// After an error, publish them again: within the duplicate window of the stream (two minutes), it stores
/// only one job of each name, also if that one is settled by then.
pub async fn publish(
    client: &Client,
    jobs: impl IntoIterator<Item = (String, Bytes)>,
) -> Result<usize, Error> {
    let context = jetstream::new(client.clone());
    let mut stored = Vec::new();
    for (name, job) in jobs {
        let message = PublishMessage::build().payload(job).message_id(name);
        stored.push(context.send_publish(JOBS, message).await?);
    }
    let mut duplicates = 0;
    for stored in stored {
        duplicates += usize::from(stored.await?.duplicate);
    }
    Ok(duplicates)
}
