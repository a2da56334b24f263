//! Order for each key: the tasks of an account are processed one after the other, in the order in
//! which they were sent, while those of other accounts run beside them. `finished` waits for all.
//!
//! `cargo run --example keyed`

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::Barrier;
use tokio::sync::Semaphore;
use tollgate::Receiver;

type Account = &'static str;

const LIMIT: usize = 8;
/// For tasks in hand, including those that wait for their turn.
static ROOM: Semaphore = Semaphore::const_new(LIMIT);
static LOG: Mutex<BTreeMap<Account, Vec<u32>>> = Mutex::new(BTreeMap::new());

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = tollgate::tasks::<(Account, u32)>(16);
    let monitor = sender.monitor();
    let meeting = Arc::new(Barrier::new(3));

    tokio::spawn(async move {
        let mut last_turns = HashMap::<Account, Receiver<()>>::new();
        while let (Ok(room), Ok(task)) = (ROOM.acquire().await, receiver.recv().await) {
            // Dropping `turn`, the only sender, ends the turn, even if a panic drops it.
            let (turn, end) = tollgate::bounded(1);
            let turn_before = last_turns.insert(task.0, end);
            if last_turns.len() > 2 * LIMIT {
                last_turns.retain(|_, end| !end.is_closed());
            }
            let meeting = Arc::clone(&meeting);
            tokio::spawn(async move {
                let (_turn, task) = ((turn, room), task); // `task` is dropped first.
                if let Some(end) = turn_before {
                    end.closed().await;
                }
                meeting.wait().await; // Returns only while three accounts are processed.
                LOG.lock().unwrap().entry(task.0).or_default().push(task.1);
                task.done(); // `retry` would move it behind later tasks of its account.
            });
        }
    });

    for number in 1..=12 {
        let account = ["ann", "bob", "cyd"][number as usize % 3];
        sender.send((account, number)).await?;
    }
    drop(sender);
    assert_eq!(monitor.finished().await?.done, 12);
    println!("{:?}", LOG.lock().unwrap());
    Ok(())
}
