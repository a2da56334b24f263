//! Worker processes at a cluster of three real servers, which each test starts by itself.
//!
//! Debian and Ubuntu have the server: `apt-get install nats-server`. `SEED=n` repeats the choices of a run.

#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::path::Path;
use std::sync::Mutex;
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
use support::program::Invocation;
use support::program::command;
use support::program::eventually;
use support::watchdog::Watchdog;
use support::worker;
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
    run(async |mut setup: Setup| {
        let mut pool = setup.pool(LIMITS, PROCESSES).await;
        let publishing = tokio::spawn(publish(setup.client, jobs(JOBS)));

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
                    node = leader(&setup.stream).await.1;
                    setup.cluster.kill_node(node);
                }
                6 => setup.cluster.start_node(node),
                _ => {}
            }
        }
        publishing.await.unwrap();
        work_until_settled(&mut pool, &setup.stream).await;
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
    run(async |setup| {
        let mut pool = setup.pool(LIMITS, PROCESSES).await;
        let publishing = tokio::spawn(publish(setup.client, jobs(JOBS)));

        for moment in moments(SHUTDOWNS, JOBS / 20..JOBS * 9 / 10) {
            work_until(&mut pool, moment).await;
            pool.terminate_one().await;
        }
        publishing.await.unwrap();
        work_until_settled(&mut pool, &setup.stream).await;
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
    run(async |setup| {
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
        publish(setup.client.clone(), ends.chain(slow).collect()).await;
        let malformed = ("malformed".to_owned(), Bytes::from("no job"));
        let again = malformed.clone();
        assert_eq!(queue::publish(&setup.client, [malformed]).await.unwrap(), 0);
        assert_eq!(queue::publish(&setup.client, [again]).await.unwrap(), 1);
        consumer(&setup.stream, LIMITS).await;
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.jobs.workers";
        let advisories = setup.client.subscribe(subject).await.unwrap();
        setup.client.flush().await.unwrap();

        let mut pool = setup.pool(LIMITS, 1).await;
        work_until_settled(&mut pool, &setup.stream).await;
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
    run(async |setup| {
        publish(setup.client.clone(), unending(First::Succeeds)).await;
        let mut pool = setup.pool(LIMITS, 1).await;
        setup.wait_until_taken(AHEAD + AT_ONCE).await;
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
    run(async |setup| {
        let mut pool = setup.pool(LIMITS, 1).await;
        publish(setup.client.clone(), jobs(1)).await;
        work_until_settled(&mut pool, &setup.stream).await;

        // With its consumer. The process creates both.
        let context = jetstream::new(setup.client.clone());
        context.delete_stream(queue::JOBS).await.unwrap();
        let job = |id| Job {
            id,
            ..Job::default()
        };
        publish(setup.client, (2..=100).map(job).collect()).await;
        work_until(&mut pool, 100).await;
        work_until_settled(&mut pool, &setup.stream).await;
        assert_eq!(pool.shutdown().await, 0);
    });
}

#[test]
fn a_second_signal_ends_a_process_at_once() {
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: NEVER,
    };
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        run(async |setup| {
            publish(setup.client.clone(), unending(First::Succeeds)).await;
            consumer(&setup.stream, LIMITS).await;
            let mut process = process(&setup.cluster, LIMITS, "env").start();
            setup.wait_until_taken(AHEAD + AT_ONCE).await;
            process.signal(signal);
            eventually("the first signal to be handled", || {
                (process.stderr().text() != "").then_some(())
            });
            // Repeated, because what follows the first one closely is not a second one.
            eventually("the end", || {
                process.signal(signal);
                process.child.try_wait().unwrap()
            });
            process.finish().assert_code(code);
        });
    }
}

#[test]
fn an_ignored_interrupt_stays_ignored() {
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: NEVER,
    };
    const SIGINT: u32 = 2;
    run(async |setup| {
        let env = "env --ignore-signal=INT";
        let process = process(&setup.cluster, LIMITS, env).start();
        eventually("the process to handle signals", || {
            (process.captured("stdout").text() == "ready\n").then_some(())
        });
        assert!(process.has_signal("SigIgn", SIGINT));
        assert!(!process.has_signal("SigCgt", SIGINT));
        process.signal("TERM");
        process.finish().assert_code(0);
    });
}

#[test]
fn work_that_nothing_can_abort_does_not_hold_up_the_end() {
    const LIMITS: Limits = Limits {
        ack_wait: NEVER,
        grace: 0,
    };
    run(async |setup| {
        publish(setup.client.clone(), unending(First::Blocks)).await;
        consumer(&setup.stream, LIMITS).await;
        // The work blocks one of the threads.
        let env = "env TOKIO_WORKER_THREADS=2";
        let process = process(&setup.cluster, LIMITS, env).start();
        eventually("work to begin", || {
            let stdout = process.captured("stdout").text();
            stdout.contains("blocks ").then_some(())
        });
        process.signal("TERM");
        let output = process.finish();
        output.assert_code(1);
        let stderr = output.stderr.text();
        assert!(stderr.contains("work that ignores its abort"), "{stderr}");
    });
}

/// A cluster with a stream.
struct Setup {
    cluster: Cluster,
    client: Client,
    stream: Stream,
}

impl Setup {
    async fn start() -> Self {
        let mut cluster = Cluster::start().await;
        let client = cluster.connect().await;
        let stream = cluster.stream(&client).await;
        Self {
            cluster,
            client,
            stream,
        }
    }

    /// Creates the consumer, and starts processes.
    async fn pool(&self, limits: Limits, size: usize) -> Pool {
        consumer(&self.stream, limits).await;
        Pool::start(self.cluster.addresses(), limits, size)
    }

    /// Waits until the processes have at least this many jobs together.
    async fn wait_until_taken(&self, count: usize) {
        let mut consumer = leader(&self.stream).await.0;
        let taken = async {
            while consumer.info().await.map_or(0, |it| it.num_ack_pending) < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let taken = timeout(PATIENCE, taken).await;
        taken.unwrap_or_else(|_| panic!("the processes have fewer than {count} jobs"));
    }
}

/// A worker process that is not one of a pool, started through `env`.
fn process(cluster: &Cluster, limits: Limits, env: &str) -> Invocation {
    let mut words = env.split(' ');
    let env = command(words.next().unwrap(), Path::new("/")).args(words);
    env.args(["setpriv", "--pdeathsig", "KILL", "--"])
        .arg(env!("CARGO_BIN_EXE_nats-worker"))
        .args(worker::arguments(&cluster.addresses(), limits))
}

/// More jobs than a process takes, which do not end.
fn unending(first: First) -> Vec<Job> {
    let unending = |id| Job {
        id,
        millis: NEVER * 1_000,
        first,
    };
    (1..=100).map(unending).collect()
}

/// Runs a test: one at a time, with a seed, and on this thread, so that its end ends all that the test has
/// started. If the test hangs, this ends the process.
#[track_caller]
fn run(test: impl AsyncFnOnce(Setup)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let _watchdog = Watchdog::for_seconds(180);
    let seed = env::var("SEED").map_or_else(|_| fastrand::u64(..), |it| it.parse().unwrap());
    println!("SEED={seed}");
    fastrand::seed(seed);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let run = async { test(Setup::start().await).await };
    runtime.unwrap().block_on(run);
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
