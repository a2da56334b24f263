//! The worker function. It knows neither the channel nor the broker.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::sleep;

use crate::NotDone;
use crate::Outcome;

/// A job: as JSON, `{"id": 17, "millis": 5}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    pub id: u64,
    /// How long the work takes.
    pub millis: u64,
    /// How its first attempt ends. Later attempts succeed.
    pub first: First,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    #[default]
    Succeeds,
    Fails,
    IsRetried,
    IsDelayed,
    Panics,
}

/// Does a job. The real work is to wait, and its effect is a line on stdout.
///
/// A job that is no JSON fails. So it is not tried again, and holds nothing up.
pub async fn work(payload: Bytes, attempt: u32) -> Outcome {
    let job: Job = serde_json::from_slice(&payload)?;
    sleep(Duration::from_millis(job.millis)).await;
    println!("worked {} {attempt}", job.id);

    if attempt > 1 {
        return Ok(());
    }
    match job.first {
        First::Succeeds => Ok(()),
        First::Fails => Err(NotDone::failed("out of paper")),
        First::IsRetried => Err(NotDone::Retry),
        First::IsDelayed => Err(NotDone::RetryAfter(Duration::from_millis(100))),
        First::Panics => panic!("job {} panics", job.id),
    }
}
