//! Jobs from a consumer of NATS JetStream, as the tasks of a channel.
//!
//! [`pull`] fills the channel, and asks the broker for as many jobs as there is room for. So the capacity
//! of the channel is how far this process fetches ahead, and backpressure reaches the broker. Workers call
//! [`process`] on each task. At the end, [`give_back`] returns what no worker has begun.
//!
//! The broker delivers a job again if nothing is heard of it for the *ack wait* of the consumer. So a
//! process may die at any time, and any code may drop a [`Delivery`] or panic: no job is lost.
//!
//! A process that is stopped (SIGSTOP, a suspended machine) or cut off from the broker is silent too. After
//! the ack wait, another process has the same job, and the first one continues with it when it can. Its late
//! "ack" then settles the job for both, and its late "nak" takes the job from the other, so that a third
//! delivery follows. The worker function must allow for that, as for any repetition.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_nats::Client;
use async_nats::Request;
use async_nats::client::RequestError;
use async_nats::connection::State;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::message::Acker;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::select;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::interval_at;
use tokio::time::sleep;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::Task;

use crate::NotDone;
use crate::Outcome;
use crate::queue::Queue;

/// How long the broker holds a request for jobs, and so how long [`pull`] may continue after a close. (If
/// the connection is lost meanwhile, async-nats waits for five seconds more.)
const PULL: Duration = Duration::from_secs(1);
/// How long one answer of the broker may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long an acknowledgement is repeated.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// The pause after an error, such as during the election of a new leader.
const PAUSE: Duration = Duration::from_millis(100);

/// A job that the broker has delivered to this process. While it exists, the ack wait does not pass, as long
/// as the process runs and reaches the broker.
///
/// One that is dropped is delivered again after the ack wait.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    client: Client,
    alive: JoinHandle<()>,
}

impl Delivery {
    fn new(message: Message, client: &Client, ack_wait: Duration) -> Self {
        let acker = Acker::new(message.context.clone(), message.reply.clone());
        let alive = tokio::spawn(keep_alive(acker, ack_wait / 3));
        let client = client.clone();
        Self {
            message,
            client,
            alive,
        }
    }

    pub fn payload(&self) -> Bytes {
        self.message.payload.clone()
    }

    /// How many times the broker has delivered the job, to any process.
    pub fn deliveries(&self) -> u32 {
        let info = self.message.info().expect("JetStream delivers with info");
        info.delivered.try_into().unwrap_or(u32::MAX)
    }

    /// Tells the broker that this job needs no other delivery, until the broker confirms it. Once it has,
    /// more of the same have no effect.
    async fn settle(&self, answer: Bytes) -> Result<(), Unconfirmed> {
        let deadline = Instant::now() + PERSISTENCE;
        while self.answer(&answer).await.is_err() {
            if Instant::now() > deadline {
                return Err(Unconfirmed);
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Asks the broker to deliver the job again. It is asked once: a second request, if the first was
    /// heard, could take the job from the process that has it by then. If it was not heard, the ack wait
    /// passes.
    async fn redeliver(&mut self, delay: Option<Duration>) -> Result<(), RequestError> {
        // A "progress" after it would replace the delay by the ack wait. The abort alone does not wait.
        self.alive.abort();
        if !self.alive.is_finished() {
            let _ = (&mut self.alive).await;
        }
        self.answer(&AckKind::Nak(delay).into()).await
    }

    /// (Not `Message::double_ack`, which takes the broker's "no responders" for a confirmation.)
    async fn answer(&self, answer: &Bytes) -> Result<(), RequestError> {
        let to = self.message.reply.clone().expect("JetStream expects one");
        let request = Request::new().payload(answer.clone()).timeout(Some(ANSWER));
        self.client.send_request(to, request).await.map(drop)
    }

    /// Servers before 2.10.4 confirm a "term" that has a reason, but ignore it.
    fn term(&self, reason: &dyn Error) -> Bytes {
        if self.client.is_server_compatible(2, 10, 4) {
            format!("+TERM {reason}").into()
        } else {
            AckKind::Term.into()
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

/// Tells the broker, again and again, that this process has the job, whether it waits or is worked on.
async fn keep_alive(acker: Acker, period: Duration) {
    let mut ticks = interval_at(Instant::now() + period, period);
    loop {
        ticks.tick().await;
        let _ = acker.ack_with(AckKind::Progress).await; // The next one may succeed.
    }
}

/// Sends the jobs of a consumer to a channel, until the channel is closed.
///
/// What the broker delivers after the close is returned at once. The channel must be bounded, and this must be
/// its only sender.
///
/// This opens the queue, and again after each error: the stream or the consumer may be gone, or may have
/// another ack wait now. It logs an error when it is not the same as before.
pub async fn pull(queue: Queue, sender: Sender<Delivery>) {
    let mut opened = None;
    let mut last = String::new();
    while sender.ready().await.is_ok() {
        let pulled = match &opened {
            Some(consumer) => {
                let pulled = pull_some(&queue.client, consumer, &sender).await;
                pulled.inspect(|()| last.clear())
            }
            None => select! {
                consumer = queue.open() => consumer.map(|it| opened = Some(it)),
                _ = sender.closed() => return,
            },
        };
        let Err(error) = pulled else {
            continue;
        };
        opened = None;
        let error = error.to_string();
        if error != last {
            eprintln!("no jobs for now: {error}");
            last = error;
        }
        sleep(PAUSE).await;
    }
}

/// Fills the channel up, or as far as the broker can within [`PULL`].
async fn pull_some(
    client: &Client,
    consumer: &PullConsumer,
    sender: &Sender<Delivery>,
) -> Result<(), async_nats::Error> {
    let ack_wait = consumer.cached_info().config.ack_wait;
    let capacity = sender.capacity().expect("the channel is bounded");
    let room = capacity.saturating_sub(sender.len()).max(1);
    let batch = consumer.batch().max_messages(room).expires(PULL);
    let mut messages = batch.messages().await?;
    while let Some(message) = messages.next().await {
        let delivery = Delivery::new(message?, client, ack_wait);
        if let Err(SendError(mut delivery)) = sender.send(delivery).await {
            let _ = delivery.redeliver(None).await; // If it is not heard, the ack wait passes.
        }
    }
    match client.connection_state() {
        State::Connected => Ok(()),
        state => Err(format!("the connection is {state}").into()), // The batch has only timed out.
    }
}

/// Calls `work` on the job of a task, and tells the broker of its outcome. The task ends when the broker
/// has confirmed that.
///
/// If `work` panics, or this future is dropped, the broker delivers the job again after the ack wait.
///
/// # Errors
///
/// Returns an error, and the task has failed, if the broker did not confirm that the job needs no other
/// delivery. It may deliver the job again.
pub async fn process<F>(
    mut task: Task<Delivery>,
    work: impl FnOnce(Bytes, u32) -> F,
) -> Result<(), Unconfirmed>
where
    F: Future<Output = Outcome>,
{
    let outcome = work(task.payload(), task.deliveries()).await;
    let confirmed = match &outcome {
        Ok(()) => task.settle(AckKind::Ack.into()).await,
        Err(NotDone::Failed(reason)) => task.settle(task.term(&**reason)).await,
        // If it is not heard, the ack wait passes: the job is tried again in any case.
        Err(NotDone::Retry) => {
            let _ = task.redeliver(None).await;
            Ok(())
        }
        Err(NotDone::RetryAfter(delay)) => {
            let _ = task.redeliver(Some(*delay)).await;
            Ok(())
        }
    };
    drop(match (confirmed, outcome) {
        (Err(unconfirmed), _) => task.fail(unconfirmed),
        (Ok(()), Err(NotDone::Failed(reason))) => task.fail(reason),
        // The broker counts the attempts: this process has done its part.
        (Ok(()), _) => task.done(),
    });
    confirmed
}

/// Returns jobs on which no work has begun, so that other processes get them at once. Returns how many the
/// broker has confirmed. It delivers the others after the ack wait.
pub async fn give_back(deliveries: impl IntoIterator<Item = Delivery>) -> usize {
    let give_back = |mut delivery: Delivery| async move { delivery.redeliver(None).await };
    let answers = join_all(deliveries.into_iter().map(give_back)).await;
    answers.iter().filter(|it| it.is_ok()).count()
}

/// The broker did not confirm an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Unconfirmed;

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the broker did not confirm the acknowledgement")
    }
}

impl Error for Unconfirmed {}
