//! The stages. Each knows the queue it receives from and the queue it sends to, and no other stage.

use std::io;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task;
use tokio::time;
use tollgate::Sender;
use tollgate::TaskReceiver;

/// What B makes of a number.
pub(crate) struct Square {
    number: u64,
    square: u128,
}

/// Stage A.
pub(crate) struct Source {
    pub(crate) numbers: Sender<u64>,
    pub(crate) items: u64,
    pub(crate) delay: Duration,
}

impl Source {
    /// Sends the numbers from 1, waiting whenever the queue is full, until it has sent them all or
    /// the queue is closed. Returns how many it sent.
    pub(crate) async fn run(self) -> u64 {
        for number in 1..=self.items {
            // Closed, by Ctrl-C or because B has gone: nobody wants any more.
            let closed = tokio::select! {
                () = work(self.delay) => self.numbers.send(number).await.is_err(),
                () = self.numbers.closed() => true,
            };
            if closed {
                return number - 1;
            }
        }
        self.items
    }
}

/// Stage B: one worker of it.
#[derive(Clone)]
pub(crate) struct Squarer {
    pub(crate) numbers: TaskReceiver<u64>,
    pub(crate) squares: Sender<Square>,
    pub(crate) delay: Duration,
    pub(crate) fail_every: Option<u64>,
}

impl Squarer {
    /// Squares until A's queue is finished. With the last worker goes the last sender: C's queue
    /// closes.
    pub(crate) async fn run(self) {
        while let Ok(task) = self.numbers.recv().await {
            work(self.delay).await;
            let number = *task;
            if self.fail_every.is_some_and(|k| number % k == 0) {
                task.fail(format!("B cannot square {number}"));
                continue;
            }
            let square = Square {
                number,
                square: u128::from(number).pow(2),
            };
            // With the task still in hand: it is done when its square is in safe hands.
            if let Err(error) = self.squares.send(square).await {
                task.fail(error);
                return;
            }
            task.done();
        }
    }
}

/// Stage C.
pub(crate) struct Drain {
    squares: TaskReceiver<Square>,
    delay: Duration,
    output: Option<File>,
    total: Total,
}

/// What has come out of the pipeline.
#[derive(Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) count: u64,
    pub(crate) sum: u128,
}

impl Drain {
    pub(crate) fn new(
        squares: TaskReceiver<Square>,
        delay: Duration,
        output: Option<File>,
    ) -> Self {
        Self {
            squares,
            delay,
            output,
            total: Total::default(),
        }
    }

    /// Writes and adds up until B's queue is finished, or until a square cannot be written.
    pub(crate) async fn run(mut self) -> Total {
        while let Ok(task) = self.squares.recv().await {
            work(self.delay).await;
            if let Err(error) = self.write(&task).await {
                let number = task.number;
                task.fail(format!("C cannot write {number}: {error}"));
                break;
            }
            self.total.count += 1;
            // A billion squares of up to a billion squared: far from its limit.
            self.total.sum += task.square;
            task.done();
        }
        self.total
    }

    /// When it returns, the system has the line: the task may say that it is done.
    async fn write(&mut self, square: &Square) -> io::Result<()> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let line = format!("{} {}\n", square.number, square.square);
        output.write_all(line.as_bytes()).await?;
        output.flush().await
    }
}

/// Takes as long as a stage is told to.
async fn work(delay: Duration) {
    if delay.is_zero() {
        // A stage that never waits for its queues would let nobody else run.
        task::yield_now().await;
    } else {
        time::sleep(delay).await;
    }
}
