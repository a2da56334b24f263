//! The stages. Each knows only the queue that it receives from and the queue that it sends to.

use std::io;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task;
use tokio::time;
use tollgate::Sender;
use tollgate::TaskReceiver;

/// A number that B has squared.
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
    /// Sends the numbers from 1, and waits while the queue is full. It stops when the queue is
    /// closed. Returns how many it sent.
    pub(crate) async fn run(self) -> u64 {
        for number in 1..=self.items {
            // Closed by Ctrl-C, or because all workers of B have exited.
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

/// Stage B: one of its workers.
#[derive(Clone)]
pub(crate) struct Squarer {
    pub(crate) numbers: TaskReceiver<u64>,
    pub(crate) squares: Sender<Square>,
    pub(crate) delay: Duration,
    pub(crate) fail_every: Option<u64>,
}

impl Squarer {
    /// Squares numbers until A's queue is finished. The last worker drops the last sender, which
    /// closes C's queue.
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
            // The task is done only when C's queue has accepted the square.
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

/// The output of the pipeline.
#[derive(Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) count: u64,
    pub(crate) sum: u128,
    /// Whether all squares that C received are written.
    pub(crate) is_complete: bool,
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

    /// Writes and adds up squares until B's queue is finished, or until writing fails.
    pub(crate) async fn run(mut self) -> Total {
        while let Ok(task) = self.squares.recv().await {
            work(self.delay).await;
            if let Err(error) = self.write(&task).await {
                let number = task.number;
                task.fail(format!("C cannot write {number}: {error}"));
                return self.total;
            }
            self.total.count += 1;
            // The sum of a billion squares of numbers up to a billion fits easily.
            self.total.sum += task.square;
            task.done();
        }
        self.total.is_complete = true;
        self.total
    }

    /// Writes a line and flushes it, so that the task is done when this returns.
    async fn write(&mut self, square: &Square) -> io::Result<()> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let line = format!("{} {}\n", square.number, square.square);
        output.write_all(line.as_bytes()).await?;
        output.flush().await
    }
}

/// Takes the time `delay`.
async fn work(delay: Duration) {
    if delay.is_zero() {
        // Otherwise a stage that never waits for its queues would keep other tasks from running.
        task::yield_now().await;
    } else {
        time::sleep(delay).await;
    }
}
