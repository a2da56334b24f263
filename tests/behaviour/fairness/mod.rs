//! Which waiter is woken and how often, and that none starves.
//!
//! Most of the tests run on [`sim`], a deterministic executor.

mod batches;
mod busy;
mod on_tokio;
mod positions;
mod search;
mod shares;
mod sim;
mod unpolled;
mod wakes;
mod workload;

use std::fmt::Debug;

/// Checks all patterns; reports how many fail, and why the first one does.
#[track_caller]
fn check<P: Debug>(
    patterns: impl IntoIterator<Item = P>,
    fails: impl Fn(&P) -> Result<(), String>,
) {
    let mut all = 0;
    let mut failed = Vec::new();
    for pattern in patterns {
        all += 1;
        if let Err(why) = fails(&pattern) {
            failed.push(format!("{why}\n{pattern:?}"));
        }
    }
    println!("{all} patterns");
    assert!(all != 0, "no patterns");
    if let Some(first) = failed.first() {
        panic!(
            "{} of {all} patterns fail. The first: {first}",
            failed.len()
        );
    }
}
