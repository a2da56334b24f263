//! The questions, each of which is measured in its own process.

use serde::Deserialize;
use serde::Serialize;

use crate::grid;
use crate::measure::Contestant;
use crate::questions::after;
use crate::questions::batch;
use crate::questions::pair;
use crate::questions::parked;
use crate::questions::pingpong;
use crate::questions::tasks;
use crate::runtime::Kind;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    Grid(grid::Cell),
    /// With that capacity.
    Pair(grid::Capacity),
    Tasks(tasks::Case),
    TaskSteps,
    Parked,
    After(after::Case),
    PingPong(Kind),
    Batch(batch::Case),
}

impl Question {
    pub fn contestants(&self) -> Vec<Contestant<'static>> {
        match self {
            Self::Grid(cell) => grid::contestants(*cell),
            Self::Pair(capacity) => pair::contestants(*capacity),
            Self::Tasks(case) => tasks::contestants(*case),
            Self::TaskSteps => tasks::steps(),
            Self::Parked => parked::contestants(),
            Self::After(case) => after::contestants(*case),
            Self::PingPong(kind) => pingpong::contestants(*kind),
            Self::Batch(case) => batch::contestants(*case),
        }
    }
}
