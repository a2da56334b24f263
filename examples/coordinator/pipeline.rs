//! The pipeline: readers, a queue, workers, a queue, and a consumer.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use indicatif::ProgressBar;
use tokio::task::JoinHandle;
use tollgate::Monitor;
use tollgate::Report;

use crate::account::Account;
use crate::common::errors::report;
use crate::common::threads;
use crate::common::threads::lock;
use crate::coordinator;
use crate::coordinator::Cause;
use crate::coordinator::Coordinator;
use crate::coordinator::Crew;
use crate::coordinator::Left;
use crate::reader::Reader;
use crate::reader::Record;
use crate::shard::Shard;
use crate::unread;
use crate::unread::Stopped;
use crate::worker;
use crate::worker::Parsed;
use crate::worker::Sum;
use crate::worker::Worker;

/// The work of a pipeline, and its options.
pub(crate) struct Plan {
    /// One per reader.
    pub(crate) shards: Vec<Shard>,
    pub(crate) workers: u16,
    pub(crate) capacity: usize,
    pub(crate) enough: Option<u64>,
    pub(crate) fail_at: Option<u64>,
    pub(crate) hang_at: Option<u64>,
}

/// A pipeline that runs. Its tasks are in a crew.
pub(crate) struct Pipeline {
    read: Arc<AtomicU64>,
    records: Monitor<Record>,
    records_left: Left<Record>,
    unread: Left<Stopped>,
    results: Monitor<Parsed>,
    results_left: Left<Parsed>,
    consumer: JoinHandle<Sum>,
}

/// How a pipeline ended.
pub(crate) struct Ended {
    pub(crate) account: Account,
    /// The first error.
    pub(crate) result: Result<(), Cause>,
    pub(crate) further_errors: usize,
    pub(crate) stragglers: Vec<String>,
}

impl Pipeline {
    pub(crate) fn start(
        plan: Plan,
        coordinator: &Coordinator,
        bar: ProgressBar,
    ) -> io::Result<(Crew, Self)> {
        const CAPACITY: &str = "--capacity";
        threads::check_room::<Record>(plan.capacity, CAPACITY)?;
        let (records_in, records_out) = tollgate::tasks(plan.capacity);
        threads::check_room::<Parsed>(plan.capacity, CAPACITY)?;
        let (results_in, results_out) = tollgate::tasks(plan.capacity);
        let (records, results) = (records_in.monitor(), results_in.monitor());
        let (records_left, results_left) = (Left::default(), Left::default());
        let (read, unread) = (Arc::default(), Left::default());

        let mut crew = Crew::default();
        crew.hand_back_at_stop(records_out.clone(), Arc::clone(&records_left));
        crew.hand_back_at_last(results.clone(), Arc::clone(&results_left));

        let reader = Reader {
            coordinator: coordinator.clone(),
            records: records_in,
            read: Arc::clone(&read),
            left: Arc::clone(&records_left),
            unread: Arc::clone(&unread),
        };
        let worker = Worker {
            coordinator: coordinator.clone(),
            records: records_out,
            results: results_in,
            bar: bar.clone(),
            fail_at: plan.fail_at,
            hang_at: plan.hang_at,
        };
        spawn_readers(&mut crew, reader, plan.shards);
        spawn_workers(&mut crew, worker, plan.workers);
        tokio::spawn(worker::close_behind(records.clone(), results.clone()));
        let consumer = worker::consume(results_out, plan.enough, coordinator.clone(), bar);

        let pipeline = Self {
            read,
            records,
            records_left,
            unread,
            results,
            results_left,
            consumer: tokio::spawn(consumer),
        };
        Ok((crew, pipeline))
    }

    /// Accounts for all records, after its crew was joined.
    pub(crate) async fn end(self, joined: coordinator::Ended) -> io::Result<Ended> {
        // The stragglers hang at an `await`, so this returns. Then no task is in hand, and both
        // queues are finished.
        let stragglers = joined.stragglers.abort().await;
        let sum = self.consumer.await?;
        let records = *report(&self.records.finished().await);
        let results = *report(&self.results.finished().await);

        let unparsed = lock(&self.records_left).drain(..).collect::<Vec<_>>();
        let unsummed = lock(&self.results_left)
            .drain(..)
            .map(|parsed| parsed.record)
            .collect::<Vec<_>>();
        let stopped = mem::take(&mut *lock(&self.unread));
        let in_hand = |report: Report| report.abandoned + report.panicked;
        Ok(Ended {
            account: Account {
                read: self.read.load(Ordering::Relaxed),
                sum,
                failed: records.failed,
                handed_back: [unsummed, unparsed].concat(),
                unread: unread::settle(stopped).await,
                in_hand: in_hand(records) + in_hand(results),
            },
            result: joined.result,
            further_errors: joined.further_errors,
            stragglers,
        })
    }
}

fn spawn_readers(crew: &mut Crew, reader: Reader, shards: Vec<Shard>) {
    for (number, shard) in (1..).zip(shards) {
        let run = reader.clone().run(shard);
        crew.spawn(&reader.coordinator, format!("reader-{number}"), run);
    }
}

fn spawn_workers(crew: &mut Crew, worker: Worker, workers: u16) {
    for number in 1..=workers {
        let name = format!("worker-{number}");
        let run = worker.clone().run(name.clone());
        crew.spawn(&worker.coordinator, name, async {
            run.await;
            Ok(())
        });
    }
}
