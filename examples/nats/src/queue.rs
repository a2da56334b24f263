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
use tokio::time::sleep;

const PAUSE: Duration = Duration::from_millis(500);
/// The stream and its subject.
const JOBS: &str = "jobs";
/// All worker processes share one consumer.
const WORKERS: &str = "workers";

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

/// The consumer of the stream, as soon as the servers can agree on it. A cluster cannot while it elects a
/// leader.
pub async fn open(client: &Client, replicas: usize, ack_wait: Duration) -> PullConsumer {
    loop {
        let opened = async { consumer(&stream(client, replicas).await?, ack_wait).await };
        match opened.await {
            Ok(consumer) => return consumer,
            Err(error) => eprintln!("no queue yet: {error}"),
        }
        sleep(PAUSE).await;
    }
}

/// Publishes jobs with their names, and waits until the stream has stored them all.
///
/// After an error, publish them again: within the duplicate window of the stream (two minutes), it stores
/// only one job of each name.
pub async fn publish(
    client: &Client,
    jobs: impl IntoIterator<Item = (String, Bytes)>,
) -> Result<(), Error> {
    let context = jetstream::new(client.clone());
    let mut stored = Vec::new();
    for (name, job) in jobs {
        let message = PublishMessage::build().payload(job).message_id(name);
        stored.push(context.send_publish(JOBS, message).await?);
    }
    for stored in stored {
        stored.await?;
    }
    Ok(())
}
