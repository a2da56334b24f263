//! The workers, from the first queue to the second; and the consumer at its end.

use std::error::Error;
use std::fmt;
use std::future;
use std::pin::pin;
use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::task::coop;
use tollgate::Monitor;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::coordinator::Coordinator;
use crate::reader::Record;
use crate::stderr::warn;

/// What a worker makes of a record.
pub(crate) struct Parsed {
    pub(crate) record: Record,
    number: u64,
}

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) coordinator: Coordinator,
    pub(crate) records: TaskReceiver<Record>,
    pub(crate) results: Sender<Parsed>,
    pub(crate) bar: ProgressBar,
    pub(crate) fail_at: Option<u64>,
    pub(crate) hang_at: Option<u64>,
}

impl Worker {
    /// Works until the queue is finished, or a stop is requested and nothing is there to be done.
    ///
    /// The queue alone would keep it until all tasks have ended, in whoever's hands; and then one
    /// straggler would make stragglers of all.
    pub(crate) async fn run(self, name: String) {
        let mut stopped = pin!(self.coordinator.stopped());
        loop {
            let received = tokio::select! {
                biased;
                received = self.records.recv() => received,
                () = &mut stopped => return,
            };
            let Ok(task) = received else {
                return;
            };
            // Dropped at any `await` from here on, the ticket counts as abandoned.
            let (record, ticket) = task.split();
            coop::consume_budget().await;
            match self.parse(&record, &name).await {
                Ok(number) => {
                    // Refused when the grace period is over: nobody will take the result, so it is
                    // not done.
                    if self.results.send(Parsed { record, number }).await.is_ok() {
                        ticket.done();
                    }
                }
                Err(source) => {
                    let error = Arc::new(BadRecord { record, source });
                    // First, so that the error is there when the queue is finished.
                    self.coordinator.request_stop(Some(error.clone()));
                    ticket.fail(error);
                }
            }
        }
    }

    async fn parse(&self, record: &Record, name: &str) -> Result<u64, BoxedError> {
        let number = record.text.trim().parse()?;
        if self.hang_at == Some(number) {
            self.bar
                .suspend(|| warn(format_args!("{name} hangs on {record}")));
            future::pending::<()>().await;
        }
        if self.fail_at == Some(number) {
            return Err("told to fail by --fail-at".into());
        }
        Ok(number)
    }
}

type BoxedError = Box<dyn Error + Send + Sync>;

/// A record that a worker could not parse.
struct BadRecord {
    record: Record,
    source: BoxedError,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad record at {}", self.record)
    }
}

impl fmt::Debug for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BadRecord {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Closes the second queue when the first is finished: no result can follow.
pub(crate) async fn close_behind(records: Monitor<Record>, results: Monitor<Parsed>) {
    // An error is a record that failed, of which the coordinator has been told.
    let _ = records.finished().await;
    results.close();
}

/// What the consumer has taken.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    // No 2^64 numbers of 64 bits overflow it.
    pub(crate) total: u128,
    pub(crate) records: u64,
}

/// Adds up the results until the second queue is finished; requests a clean stop when there are
/// enough.
pub(crate) async fn consume(
    results: TaskReceiver<Parsed>,
    enough: Option<u64>,
    coordinator: Coordinator,
    bar: ProgressBar,
) -> Sum {
    let mut sum = Sum::default();
    while let Ok(task) = results.recv().await {
        coop::consume_budget().await;
        sum.total += u128::from(task.done().number);
        sum.records += 1;
        bar.inc(1);
        if enough == Some(sum.records) {
            coordinator.request_stop(None);
        }
    }
    bar.finish_and_clear();
    sum
}
