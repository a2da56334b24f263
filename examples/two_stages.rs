//! A pipeline of two stages. Only the workers of the first stage send to the second channel, so the
//! second channel closes when the last of these workers ends.
//!
//! `cargo run --example two_stages`

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (numbers, to_square) = tollgate::tasks::<u64>(4);
    let (squares, to_add) = tollgate::tasks::<u64>(4);
    let (squaring, adding) = (numbers.monitor(), squares.monitor());

    for _ in 0..3 {
        let (to_square, squares) = (to_square.clone(), squares.clone());
        tokio::spawn(async move {
            while let Ok(task) = to_square.recv().await {
                // The task is done when the next stage has accepted its result.
                match squares.send(*task * *task).await {
                    Ok(()) => task.done(),
                    Err(error) => task.fail(error),
                };
            }
        });
    }
    // The workers hold clones. A sender left here would keep the second channel open.
    drop((to_square, squares));

    let adder = tokio::spawn(async move {
        let mut sum = 0;
        while let Ok(task) = to_add.recv().await {
            sum += *task;
            task.done();
        }
        sum
    });

    for number in 1..=100 {
        numbers.send(number).await?;
    }
    drop(numbers);

    assert_eq!(squaring.finished().await?.done, 100);
    assert_eq!(adding.finished().await?.done, 100);
    let sum = adder.await?;
    assert_eq!(sum, 338_350);
    println!("the squares of 1 to 100 add up to {sum}");
    Ok(())
}
