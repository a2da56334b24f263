//! The measurement: interleaved rounds, in one process per question.

mod process;
mod rounds;
mod runs;
pub mod statistics;

use std::iter::Sum;
use std::time::Duration;
use std::time::Instant;

use nix::time::ClockId;
use nix::time::clock_gettime;
use serde::Deserialize;
use serde::Serialize;

pub use process::Answer;
pub use process::Failure;
pub use process::Job;
pub use process::ask;
pub use process::serve;
pub use rounds::Contestant;
pub use rounds::Plan;
pub use runs::Runs;

/// The cost of one run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub items: u64,
    /// In nanoseconds.
    pub wall: u64,
    /// User and system time of the whole process, in nanoseconds.
    pub cpu: u64,
}

impl Sample {
    /// In nanoseconds.
    pub fn wall_per_item(&self) -> f64 {
        self.wall as f64 / self.items as f64
    }

    /// In nanoseconds.
    pub fn cpu_per_item(&self) -> f64 {
        self.cpu as f64 / self.items as f64
    }
}

/// Adds up runs that follow one another.
impl Sum for Sample {
    fn sum<I: Iterator<Item = Self>>(samples: I) -> Self {
        let nothing = Self {
            items: 0,
            wall: 0,
            cpu: 0,
        };
        samples.fold(nothing, |sum, sample| Self {
            items: sum.items + sample.items,
            wall: sum.wall + sample.wall,
            cpu: sum.cpu + sample.cpu,
        })
    }
}

/// What a run returns: its cost, or what went wrong.
pub type Outcome = Result<Sample, String>;

/// Wall-clock and processor time since its start.
pub struct Stopwatch {
    cpu: Duration,
    wall: Instant,
}

impl Stopwatch {
    pub fn start() -> Self {
        let cpu = cpu_time();
        Self {
            cpu,
            wall: Instant::now(),
        }
    }

    pub fn stop(self, items: u64) -> Sample {
        let wall = self.wall.elapsed();
        let cpu = cpu_time() - self.cpu;
        Sample {
            items,
            wall: nanoseconds(wall),
            cpu: nanoseconds(cpu),
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.expect("the system has a clock for processes").into()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a run takes less than 500 years")
}
