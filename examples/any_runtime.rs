//! The same worker on tokio, async-std, smol and a plain thread, fed by a producer on tokio: at first each has
//! a channel of its own, and then they are one pool. No feature and no adapter is needed for any of them.
//!
//! `cargo run --example any_runtime`

use std::io;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tollgate::TaskReceiver;

fn main() -> io::Result<()> {
    let tokio = Runtime::new()?;
    let sums = run(&tokio, [(); 4].map(|()| produce(&tokio)));
    assert_eq!(sums, [5050; 4]);
    println!("each by itself: {sums:?}");

    let receiver = produce(&tokio);
    let sums = run(&tokio, [(); 4].map(|()| receiver.clone()));
    assert_eq!(sums.iter().sum::<u32>(), 5050);
    println!("all as one pool: 5050");
    Ok(())
}

/// The receiver of a channel whose producer is on tokio.
fn produce(tokio: &Runtime) -> TaskReceiver<u32> {
    let (sender, receiver) = tollgate::tasks(4);
    tokio.spawn(async move {
        for number in 1..=100 {
            sender.send(number).await.expect("a worker is alive");
        }
    });
    receiver
}

fn run(tokio: &Runtime, [a, b, c, d]: [TaskReceiver<u32>; 4]) -> [u32; 4] {
    let a = tokio.spawn(work(a));
    let b = async_std::task::spawn(work(b));
    let c = smol::spawn(work(c));
    let d = thread::spawn(|| pollster::block_on(work(d)));
    pollster::block_on(async { [a.await.unwrap(), b.await, c.await, d.join().unwrap()] })
}

/// Adds up what it receives. Each tenth number is received again after a delay, which needs no runtime's timer.
async fn work(receiver: TaskReceiver<u32>) -> u32 {
    const DELAY: Duration = Duration::from_millis(1);
    let mut sum = 0;
    while let Ok(task) = receiver.recv().await {
        match (*task % 10, task.attempt()) {
            (0, 1) => task.retry_after(DELAY).expect("attempts are unlimited"),
            _ => sum += task.done(),
        }
    }
    sum
}
