//! A pool of plain threads, with the blocking calls. No runtime is needed.
//!
//! `cargo run --example threads`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = tollgate::tasks::<u32>(16);
    let monitor = sender.monitor();
    let primes = Arc::new(AtomicU32::new(0));

    for _ in 0..4 {
        let (receiver, primes) = (receiver.clone(), primes.clone());
        thread::spawn(move || {
            while let Ok(task) = receiver.recv_blocking() {
                if is_prime(*task) {
                    primes.fetch_add(1, Ordering::Relaxed);
                }
                task.done();
            }
        });
    }
    drop(receiver);

    for number in 2..1000 {
        sender.send_blocking(number)?;
    }
    drop(sender);

    assert_eq!(monitor.finished_blocking()?.done, 998);
    // What a thread did before `done` happens before the end of `finished`: `Relaxed` is enough.
    let primes = primes.load(Ordering::Relaxed);
    assert_eq!(primes, 168);
    println!("{primes} primes below 1000");
    Ok(())
}

fn is_prime(number: u32) -> bool {
    (2..number).all(|divisor| number % divisor != 0)
}
