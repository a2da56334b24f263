//! Retries with a backoff. The worker sleeps before each further attempt. When no attempt is left,
//! `retry_or_fail` fails the task with the worker's own error.
//!
//! `cargo run --example retry`

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::sleep;
use tollgate::Builder;

const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();
const BACKOFF: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Builder::new().capacity(16).max_attempts(MAX_ATTEMPTS);
    let (sender, receiver) = builder.build_tasks::<&str>();
    let monitor = sender.monitor();

    // While one worker sleeps, the other can work.
    for _ in 0..2 {
        let receiver = receiver.clone();
        tokio::spawn(async move {
            while let Ok(task) = receiver.recv().await {
                sleep(BACKOFF * (task.attempt() - 1)).await;
                match fetch(&task, task.attempt()) {
                    Ok(()) => _ = task.done(),
                    // If no attempt is left, this returns an error with the page.
                    Err(error) => _ = task.retry_or_fail(error),
                }
            }
        });
    }
    drop(receiver);

    for page in ["index", "busy", "down"] {
        sender.send(page).await?;
    }
    // Retries work on a closed channel too.
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
