//! The workers, between the first queue and the second, and the consumer behind the second.

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

use crate::common::output::warn;
use crate::coordinator::Coordinator;
use crate::lines::MAX_LENGTH;
use crate::reader::Record;

/// A record that a worker has parsed.
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
    /// Parses records until the queue is finished, or until a stop is requested and the queue is
    /// empty.
    ///
    /// The queue is finished only when no worker has a task in hand. If a worker waited for that
    /// after a stop, one straggler would make all workers stragglers.
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
            // If this future is dropped from here on, the ticket counts as abandoned.
            let (record, ticket) = task.split();
            coop::consume_budget().await;
            match self.parse(&record, &name).await {
                Ok(number) => {
                    // This fails after the grace period. The consumer will not get the result, so
                    // the record is not done.
                    if self.results.send(Parsed { record, number }).await.is_ok() {
                        ticket.done();
                    }
                }
                Err(source) => {
                    let error = Arc::new(BadRecord { record, source });
                    // Requested first, so that the error is there when the queue is finished.
                    self.coordinator.request_stop(Some(error.clone()));
                    ticket.fail(error);
                }
            }
        }
    }

    async fn parse(&self, record: &Record, name: &str) -> Result<u64, BoxedError> {
        let number = number(record).map_err(|error| match hint(&record.text) {
            Some(hint) => format!("{error}; {hint}").into(),
            None => error,
        })?;
        if self.hang_at == Some(number) {
            self.bar
                .suspend(|| warn(format_args!("{name} hangs on {record}")));
            future::pending::<()>().await;
        }
        if self.fail_at == Some(number) {
            return Err("failed as requested by --fail-at".into());
        }
        Ok(number)
    }
}

fn number(record: &Record) -> Result<u64, BoxedError> {
    if record.is_too_long() {
        return Err(format!("longer than {MAX_LENGTH} bytes").into());
    }
    Ok(std::str::from_utf8(&record.text)?.trim().parse()?)
}

/// What a line that is no number seems to come from.
fn hint(line: &[u8]) -> Option<&'static str> {
    let is_marked = line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff");
    // Half of each character is zero.
    let is_unmarked = line.contains(&0) && line.iter().any(u8::is_ascii_digit);
    if is_marked || is_unmarked {
        return Some("the file seems to be UTF-16, and must be UTF-8");
    }
    let has_inner_cr = line.trim_ascii().contains(&b'\r');
    has_inner_cr.then_some("the lines seem to end with CR, and must end with LF or CR LF")
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
    // An error is a record that failed, which the coordinator knows.
    let _ = records.finished().await;
    results.close();
}

/// The results that the consumer has received.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    // 2^64 numbers of 64 bits cannot overflow it.
    pub(crate) total: u128,
    pub(crate) records: u64,
}

/// Adds up the results until the second queue is finished. Requests a clean stop after `enough`
/// results.
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
