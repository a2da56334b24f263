//! The worker function. It knows neither the channel nor the broker.

use std::thread;
use std::time::Duration;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::sleep;

use crate::NotDone;
use crate::Outcome;

/// How long a job [is delayed](First::IsDelayed).
pub const DELAY: Duration = Duration::from_secs(2);

/// A job: as JSON, `{"id": 17, "millis": 5}`. Only the id is required.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its name: within two minutes, the broker stores only one job of each.
    pub id: u64,
    /// How long the work takes.
    #[serde(default)]
    pub millis: u64,
    /// How its first attempt ends. Later attempts succeed.
    #[serde(default)]
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
    /// It blocks its thread for its time, so that nothing can abort it.
    Blocks,
}

/// Does a job. The real work is to wait, and its effect is a line on stdout, with the time
/// in milliseconds.
///
/// A job that is no JSON fails. So it is not tried again, and holds nothing up.
pub async fn work(payload: Bytes, attempt: u32) -> Outcome {
    let job: Job = serde_json::from_slice(&payload)?;
    let time = Duration::from_millis(job.millis);
    match job.first {
        First::Blocks => {
            println!("blocks {}", job.id);
            thread::sleep(time);
        }
        _ => sleep(time).await,
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    println!("worked {} {attempt} {}", job.id, now.as_millis());

    if attempt > 1 {
        return Ok(());
    }
    match job.first {
        First::Succeeds | First::Blocks => Ok(()),
        First::Fails => Err(NotDone::failed("out of paper")),
        First::IsRetried => Err(NotDone::Retry),
        First::IsDelayed => Err(NotDone::RetryAfter(DELAY)),
        First::Panics => panic!("job {} panics", job.id),
    }
}
