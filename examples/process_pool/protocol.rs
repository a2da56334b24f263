//! What the two sides say to each other: one JSON value per line.

use serde::Deserialize;
use serde::Serialize;

/// What a worker reads from its stdin. When that ends, so does the worker.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) item: u64,
}

/// What a worker writes to its stdout.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// First of all, and once: it has come up.
    Ready,
    /// To each request in turn. The item is there so that nobody has to trust in the order.
    Answer { item: u64, result: JobResult },
}

/// How the job ended for an item: the steps, or why there are none.
pub(crate) type JobResult = Result<u32, String>;
