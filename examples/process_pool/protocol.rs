//! The messages between the parent and a worker: one JSON value per line.

use serde::Deserialize;
use serde::Serialize;

/// A worker reads these from stdin. It ends when stdin ends.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) item: u64,
}

/// A worker writes these to stdout.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// The first message, sent once: the worker has started.
    Ready,
    /// Sent instead, if it cannot start: the system lacks something.
    Lacking(String),
    /// The reply to one request. It repeats the item, so that the parent can check the order.
    Answer { item: u64, result: JobResult },
}

/// The result for an item: the number of steps, or why there is none.
pub(crate) type JobResult = Result<u32, String>;
