//! Workers that feed their own queue: a crawl that queues the links of each page with `follow_up`,
//! and is finished when no page is queued and no worker holds one.
//!
//! `cargo run --example self_feeding`

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::Mutex;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `follow_up` never waits for room, so a capacity of 1 cannot deadlock the workers.
    let (sender, receiver) = tollgate::tasks::<&str>(1);
    let monitor = sender.monitor();
    let seen = Arc::new(Mutex::new(BTreeSet::from(["index"])));

    for _ in 0..3 {
        let (receiver, seen) = (receiver.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok(task) = receiver.recv().await {
                for link in links(&task) {
                    if seen.lock().unwrap().insert(link) {
                        task.follow_up(link).expect("this worker holds a receiver");
                    }
                }
                task.done();
            }
        });
    }
    drop(receiver);

    sender.send("index").await?;
    // The channel is closed from here on, but tasks in hand may still queue new work.
    drop(sender);

    let report = monitor.finished().await?;
    assert_eq!((report.sent, report.followed_up, report.done), (1, 4, 5));
    println!("crawled {:?}", seen.lock().unwrap());
    Ok(())
}

/// Stands in for fetching a page: the pages that it links to.
fn links(page: &str) -> &'static [&'static str] {
    match page {
        "index" => &["docs", "blog"],
        "docs" => &["index", "api", "guide"],
        "blog" => &["index", "docs"],
        "guide" => &["docs", "api"],
        _ => &[],
    }
}
