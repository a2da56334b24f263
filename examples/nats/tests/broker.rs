//! Worker processes at a cluster of three real servers, which each test starts by itself.
//!
//! Debian and Ubuntu have the server: `apt-get install nats-server`. `SEED=n` repeats the choices of a run.

#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use async_nats::Client;
use async_nats::Subscriber;
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::StreamExt;
use nats_worker::queue;
use nats_worker::work::DELAY;
use nats_worker::work::First;
use nats_worker::work::Job;
use support::PATIENCE;
use support::cluster::Cluster;
use support::pool::Pool;
use support::watchdog::Watchdog;
use support::worker::AHEAD;
use support::worker::AT_ONCE;
use support::worker::Limits;
use tokio::runtime;
use tokio::select;
use tokio::time::Instant;
use tokio::time::interval;
use tokio::time::sleep;
use tokio::time::timeout;

const PROCESSES: usize = 4;

/// In seconds, longer than the watchdog waits. With this ack wait, no job may be left to it.
const NEVER: u64 = 3_600;

#[test]
fn kills_lose_no_job() {
    const JOBS: u64 = 10_000;
    const KILLS: usize = 8;
    const LIMITS: Limits = Limits {
        ack_wait: 5,
        grace: 60,
    };
    let _alone = begin();
    block_on(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        consumer(&stream, LIMITS).await;
        let mut pool = Pool::start(cluster.addresses(), LIMITS, PROCESSES);
        let publishing = tokio::spawn(publish(client, jobs(JOBS)));

        let mut node = 0;
        let kills = moments(KILLS, JOBS / 20..JOBS * 9 / 10);
        let mut step = 0;
        for moment in kills {
            work_until(&mut pool, moment).await;
            pool.kill_one().await;
            step += 1;
            // The node is away while a third of the processes are killed.
            match step {
                3 => {
                    // The leader handles all acknowledgements, so killing it has the largest effect.
                    node = leader(&stream).await.1;
                    cluster.kill_node(node);
                }
                6 => cluster.start_node(node),
                _ => {}
            }
        }
        publishing.await.unwrap();
        work_until_settled(&mut pool, &stream).await;
        assert_eq!(pool.shutdown().await, 0);

        assert!(pool.jobs.keys().copied().eq(1..=JOBS), "a job is lost");
        let repeated = pool.repeated();
        println!("{KILLS} processes and node {node} killed: {repeated:?}");
        // Before 2.10.16, a server confirms an acknowledgement before the others have it, and what a
        // killed server had confirmed just before can be lost. Then another process repeats the work.
        assert!(repeated.by_broker <= PROCESSES * AT_ONCE, "{repeated:?}");
    });
}

#[test]
fn shutdowns_lose_and_repeat_no_job() {
    const JOBS: u64 = 3_000;
    const SHUTDOWNS: usize = 8;
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: 60,
    };
    let _alone = begin();
    block_on(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        consumer(&stream, LIMITS).await;
        let mut pool = Pool::start(cluster.addresses(), LIMITS, PROCESSES);
        let publishing = tokio::spawn(publish(client, jobs(JOBS)));

        for moment in moments(SHUTDOWNS, JOBS / 20..JOBS * 9 / 10) {
            work_until(&mut pool, moment).await;
            pool.terminate_one().await;
        }
        publishing.await.unwrap();
        work_until_settled(&mut pool, &stream).await;
        assert_eq!(pool.shutdown().await, 0);

        assert!(pool.jobs.keys().copied().eq(1..=JOBS), "a job is lost");
        let repeated = pool.repeated();
        assert_eq!((repeated.by_kill, repeated.by_broker), (0, 0));
    });
}

#[test]
fn each_outcome_reaches_the_broker() {
    const LIMITS: Limits = Limits {
        ack_wait: 3,
        grace: 60,
    };
    let _alone = begin();
    block_on(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        let firsts = [
            (First::Succeeds, 1),
            (First::Fails, 1),
            (First::IsRetried, 2),
            (First::IsDelayed, 2),
            (First::Panics, 2),
        ];
        let ends = (1..).zip(firsts).map(|(id, (first, _))| Job {
            id,
            first,
            ..Job::default()
        });
        // Some are worked on for longer than the ack wait, and the others wait in the process for longer.
        let slow = (6..=17).map(|id| Job {
            id,
            millis: 5_000,
            ..Job::default()
        });
        publish(client.clone(), ends.chain(slow).collect()).await;
        let malformed = ("malformed".to_owned(), Bytes::from("no job"));
        let again = malformed.clone();
        assert_eq!(queue::publish(&client, [malformed]).await.unwrap(), 0);
        assert_eq!(queue::publish(&client, [again]).await.unwrap(), 1);
        consumer(&stream, LIMITS).await;
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.jobs.workers";
        let advisories = client.subscribe(subject).await.unwrap();
        client.flush().await.unwrap();

        let mut pool = Pool::start(cluster.addresses(), LIMITS, 1);
        work_until_settled(&mut pool, &stream).await;
        // The job that panics is an error of the process.
        assert_ne!(pool.shutdown().await, 0);
        // Job 2, and the malformed one after the 17 others.
        assert_eq!(terminated(advisories, 2).await, [2, 18]);

        let attempts = (1..).zip(firsts).map(|(id, (_, attempts))| (id, attempts));
        let slow = (6..=17).map(|id| (id, 1));
        for (id, attempts) in attempts.chain(slow) {
            let numbers: Vec<_> = pool.jobs[&id].iter().map(|it| it.number).collect();
            assert_eq!(numbers, Vec::from_iter(1..=attempts), "job {id}");
        }
        let [first, second] = &pool.jobs[&4][..] else {
            unreachable!("it was delayed once");
        };
        let delay = Duration::from_millis(second.at - first.at);
        assert!(delay + Duration::from_millis(50) > DELAY, "{delay:?}");
    });
}

#[test]
fn a_process_takes_what_it_has_room_for_and_gives_back_what_it_has_not_begun() {
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: 0,
    };
    let _alone = begin();
    block_on(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        let hang = |id| Job {
            id,
            millis: NEVER * 1_000,
            ..Job::default()
        };
        publish(client, (1..=100).map(hang).collect()).await;
        let mut consumer = consumer(&stream, LIMITS).await;

        let mut pool = Pool::start(cluster.addresses(), LIMITS, 1);
        let mut delivered = 0;
        while delivered < AHEAD + AT_ONCE {
            sleep(Duration::from_millis(10)).await;
            delivered = consumer.info().await.unwrap().num_ack_pending;
        }
        assert_eq!(delivered, AHEAD + AT_ONCE);
        assert_ne!(pool.shutdown().await, 0);
        let stragglers = format!("stragglers {AT_ONCE}");
        let given_back = format!("given back {AHEAD}");
        assert_eq!(pool.lines, [stragglers, given_back]);
        assert!(pool.jobs.is_empty(), "a job has ended");
    });
}

#[test]
fn a_process_opens_the_queue_again() {
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: 60,
    };
    let _alone = begin();
    block_on(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        consumer(&stream, LIMITS).await;
        let mut pool = Pool::start(cluster.addresses(), LIMITS, 1);
        publish(client.clone(), jobs(1)).await;
        work_until_settled(&mut pool, &stream).await;

        // With its consumer. The process creates both.
        let context = jetstream::new(client.clone());
        context.delete_stream(queue::JOBS).await.unwrap();
        let job = |id| Job {
            id,
            ..Job::default()
        };
        publish(client, (2..=100).map(job).collect()).await;
        work_until(&mut pool, 100).await;
        work_until_settled(&mut pool, &stream).await;
        assert_eq!(pool.shutdown().await, 0);
    });
}

static ALONE: Mutex<()> = Mutex::new(());

/// One test at a time, with a seed. It ends the process if the test hangs.
#[track_caller]
fn begin() -> (MutexGuard<'static, ()>, Watchdog) {
    let alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = env::var("SEED").map_or_else(|_| fastrand::u64(..), |it| it.parse().unwrap());
    println!("SEED={seed}");
    fastrand::seed(seed);
    (alone, Watchdog::for_seconds(180))
}

/// On this thread, so that its end ends all that the test has started.
fn block_on(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

fn jobs(count: u64) -> Vec<Job> {
    let job = |id| Job {
        id,
        millis: fastrand::u64(..5),
        // That a job fails is no error of the process.
        first: if id % 100 == 0 {
            First::Fails
        } else {
            First::Succeeds
        },
    };
    (1..=count).map(job).collect()
}

/// Publishes jobs, each again until the stream has stored it.
async fn publish(client: Client, jobs: Vec<Job>) {
    for jobs in jobs.chunks(200) {
        let named = |job: &Job| {
            let payload = serde_json::to_vec(job).unwrap();
            (job.id.to_string(), Bytes::from(payload))
        };
        while let Err(error) = queue::publish(&client, jobs.iter().map(named)).await {
            println!("published again: {error}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Creates the consumer. It keeps this ack wait, whichever process opens it later.
async fn consumer(stream: &Stream, limits: Limits) -> PullConsumer {
    let ack_wait = Duration::from_secs(limits.ack_wait);
    loop {
        if let Ok(consumer) = queue::consumer(stream, ack_wait).await {
            assert_eq!(consumer.cached_info().config.ack_wait, ack_wait);
            return consumer;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The consumer, as soon as there is one, and the node that leads it.
async fn leader(stream: &Stream) -> (PullConsumer, usize) {
    loop {
        if let Ok(consumer) = stream.get_consumer(queue::WORKERS).await {
            let consumer: PullConsumer = consumer;
            let cluster = consumer.cached_info().cluster.as_ref();
            let leader = cluster.and_then(|it| it.leader.as_ref()?.strip_prefix("node-"));
            if let Some(number) = leader {
                let number = number.parse().unwrap();
                return (consumer, number);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The jobs that were ended for good, by their place in the stream, in order.
async fn terminated(mut advisories: Subscriber, count: usize) -> Vec<u64> {
    let mut places = Vec::new();
    while places.len() < count {
        let advisory = timeout(PATIENCE, advisories.next()).await;
        let advisory = advisory.expect("a job was not terminated").unwrap();
        let advisory: serde_json::Value = serde_json::from_slice(&advisory.payload).unwrap();
        places.push(advisory["stream_seq"].as_u64().unwrap());
    }
    places.sort_unstable();
    places
}

/// Numbers of jobs, in order.
fn moments(count: usize, range: std::ops::Range<u64>) -> Vec<usize> {
    let moment = || fastrand::u64(range.clone()) as usize;
    let mut moments: Vec<_> = std::iter::repeat_with(moment).take(count).collect();
    moments.sort_unstable();
    moments
}

/// Listens until work was done on this many jobs.
async fn work_until(pool: &mut Pool, jobs: usize) {
    while pool.jobs.len() < jobs {
        pool.listen().await;
    }
}

/// Listens until the broker has delivered every job, and every job is settled.
async fn work_until_settled(pool: &mut Pool, stream: &Stream) {
    let mut consumer = leader(stream).await.0;
    let start = Instant::now();
    let mut looks = interval(Duration::from_millis(100));
    loop {
        select! {
            () = pool.listen() => {}
            _ = looks.tick() => {
                let info = consumer.info().await;
                // A node that was killed may be the one that was asked.
                if info.as_ref().is_ok_and(|it| it.num_pending == 0 && it.num_ack_pending == 0) {
                    return;
                }
                assert!(start.elapsed() < PATIENCE, "a job is not settled: {info:?}");
            }
        }
    }
}
