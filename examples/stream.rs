//! A plain channel as a stream, on smol. A `Receiver` is a `Stream` that ends when the channel is
//! closed and empty, so the adaptors of any `StreamExt` apply.
//!
//! `cargo run --example stream`

use smol::stream::StreamExt;
use tollgate::SendError;

fn main() -> Result<(), SendError<u32>> {
    smol::block_on(async {
        let (sender, receiver) = tollgate::bounded(2);

        let producer = smol::spawn(async move {
            for number in 1..=10 {
                sender.send(number).await?;
            }
            Ok(()) // The sender is dropped here, which ends the stream.
        });

        let squares: Vec<u32> = receiver
            .filter(|number| number % 2 == 0)
            .map(|number| number * number)
            .collect()
            .await;

        producer.await?;
        assert_eq!(squares, [4, 16, 36, 64, 100]);
        println!("the squares of the even numbers: {squares:?}");
        Ok(())
    })
}
