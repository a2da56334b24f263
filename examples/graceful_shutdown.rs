//! A shutdown in steps: close the channel, give the workers a grace period, take back the jobs that
//! no worker has started, print the jobs that are still running, and abort them.
//!
//! `cargo run --example graceful_shutdown`

use std::collections::BTreeSet;
use std::error::Error;
use std::future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

const GRACE_PERIOD: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = tollgate::tasks::<&str>(8);
    let monitor = sender.monitor();
    let running = Arc::new(Mutex::new(BTreeSet::new()));

    let mut workers = JoinSet::new();
    for _ in 0..2 {
        let (receiver, running) = (receiver.clone(), running.clone());
        workers.spawn(async move {
            while let Ok(task) = receiver.recv().await {
                running.lock().unwrap().insert(*task);
                work(&task).await;
                running.lock().unwrap().remove(task.done());
            }
        });
    }
    drop(receiver);
    for job in ["index", "hang A", "hang B", "mail", "report"] {
        sender.send(job).await?;
    }

    // From now on no job can be sent. The workers still receive the queued jobs.
    monitor.close();
    if timeout(GRACE_PERIOD, monitor.finished()).await.is_err() {
        println!("never started: {:?}", Vec::from_iter(monitor.close_now()));
        println!("still running: {:?}", running.lock().unwrap());
        // Aborted workers drop their tasks, which count as abandoned.
        workers.shutdown().await;
    }

    let report = monitor.finished().await.unwrap_err().report;
    assert_eq!((report.done, report.abandoned, report.discarded), (1, 2, 2));
    println!("{} done, {} aborted", report.done, report.abandoned);
    Ok(())
}

/// Stands in for the real work.
async fn work(job: &str) {
    if job.starts_with("hang") {
        future::pending().await
    }
}
