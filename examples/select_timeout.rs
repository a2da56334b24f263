//! Receiving with a timeout. `recv` is cancel safe: if another branch of `select!` completes first,
//! the `recv` future is dropped, but it has taken nothing out of the channel.
//!
//! `cargo run --example select_timeout`

use std::error::Error;
use std::time::Duration;

use tokio::time::sleep;
use tollgate::SendError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = tollgate::bounded(4);

    let sensor = tokio::spawn(async move {
        for reading in 1..=5 {
            sleep(Duration::from_millis(5)).await;
            sender.send(reading).await?;
        }
        Ok::<(), SendError<u32>>(())
    });

    let mut readings = Vec::new();
    let mut timeouts = 0;
    loop {
        tokio::select! {
            received = receiver.recv() => match received {
                Ok(reading) => readings.push(reading),
                Err(_) => break, // The channel is closed and empty.
            },
            // When this branch completes, the `recv` future is dropped while it waits.
            () = sleep(Duration::from_millis(1)) => timeouts += 1,
        }
    }

    sensor.await??;
    assert!(timeouts > 0);
    assert_eq!(readings, [1, 2, 3, 4, 5]);
    println!("no timeout lost a reading: {readings:?}");
    Ok(())
}
