//! Retries with an exponential backoff and jitter. The channel delays them: meanwhile, the worker has
//! nothing in hand, and is free. When no attempt is left, `retry_after_or_fail` fails the task with the
//! worker's own error.
//!
//! `cargo run --example retry`

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use tollgate::Builder;

const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();
const BASE: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Builder::new().capacity(16).max_attempts(MAX_ATTEMPTS);
    let (sender, receiver) = builder.build_tasks::<&str>();
    let monitor = sender.monitor();

    tokio::spawn(async move {
        while let Ok(task) = receiver.recv().await {
            match fetch(&task, task.attempt()) {
                Ok(()) => _ = task.done(),
                Err(error) => {
                    let backoff = (BASE * 2_u32.pow(task.attempt())).mul_f64(fastrand::f64());
                    // If no attempt is left, this returns an error with the page.
                    _ = task.retry_after_or_fail(backoff, error);
                }
            }
        }
    });

    for page in ["index", "busy", "down"] {
        sender.send(page).await?;
    }
    // Retries work on a closed channel too, and `finished` waits for them.
    drop(sender);

    let error = monitor.finished().await.unwrap_err();
    let (report, cause) = (error.report, error.first.source().unwrap());
    assert_eq!((report.done, report.failed, report.retried), (2, 1, 4));
    println!("{} done, {} failed: {cause}", report.done, report.failed);
    Ok(())
}

/// Stands in for a request to a server.
fn fetch(page: &str, attempt: u32) -> Result<(), String> {
    match (page, attempt) {
        ("down", _) | ("busy", 1..3) => Err(format!("no answer for {page} at attempt {attempt}")),
        _ => Ok(()),
    }
}
