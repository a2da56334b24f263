//! A pool of tokio workers. Each worker receives tasks until the channel is finished. `finished()`
//! then returns how many tasks succeeded and how many failed, with the first failure.
//!
//! `cargo run --example worker_pool`

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = tollgate::tasks::<&str>(16);
    let monitor = sender.monitor();

    for _ in 0..4 {
        let receiver = receiver.clone();
        tokio::spawn(async move {
            while let Ok(task) = receiver.recv().await {
                match task.parse::<u32>() {
                    Ok(_) => task.done(),
                    Err(error) => task.fail(error),
                };
            }
        });
    }
    // The workers hold clones. If all of them stop, the channel closes instead of filling up.
    drop(receiver);

    for line in ["1", "2", "many", "4"] {
        sender.send(line).await?;
    }
    // Dropping the last sender closes the channel. The workers still receive the queued lines.
    drop(sender);

    let error = monitor.finished().await.unwrap_err();
    let (report, cause) = (error.report, error.first.source().unwrap());
    assert_eq!((report.done, report.failed), (3, 1));
    println!("{} done, {} failed: {cause}", report.done, report.failed);
    Ok(())
}
