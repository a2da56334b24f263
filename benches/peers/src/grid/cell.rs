//! The axes of the grid.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::runtime::Kind;

/// One setting of all axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    pub runtime: Kind,
    pub topology: Topology,
    pub capacity: Capacity,
    pub payload: Payload,
}

/// The numbers of senders and of receivers: `4x1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    pub senders: usize,
    pub receivers: usize,
}

/// A number from 1 up, or `unbounded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capacity {
    Bounded(usize),
    Unbounded,
}

/// The size of an item in bytes: `8` or `64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    Small,
    Wide,
}

/// All combinations of the given values.
pub fn grid(
    runtimes: &[Kind],
    topologies: &[Topology],
    capacities: &[Capacity],
    payloads: &[Payload],
) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &runtime in runtimes {
        for &topology in topologies {
            for &capacity in capacities {
                for &payload in payloads {
                    cells.push(Cell {
                        runtime,
                        topology,
                        capacity,
                        payload,
                    });
                }
            }
        }
    }
    cells
}

impl Cell {
    pub fn is_bounded(&self) -> bool {
        self.capacity != Capacity::Unbounded
    }

    pub fn holds_at_least(&self, items: usize) -> bool {
        matches!(self.capacity, Capacity::Bounded(capacity) if capacity >= items)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runtime,
            topology,
            capacity,
            payload,
        } = self;
        let runtime = runtime.name();
        write!(f, "{runtime} {topology} {capacity} {payload} B")
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.senders, self.receivers)
    }
}

impl FromStr for Topology {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a topology is two numbers from 1 up: 4x1";
        let number = |text: &str| text.parse::<NonZeroUsize>().map_err(|_| wrong);
        let (senders, receivers) = text.split_once('x').ok_or(wrong)?;
        Ok(Self {
            senders: number(senders)?.get(),
            receivers: number(receivers)?.get(),
        })
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounded(capacity) => capacity.fmt(f),
            Self::Unbounded => f.write_str("unbounded"),
        }
    }
}

impl FromStr for Capacity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unbounded" {
            return Ok(Self::Unbounded);
        }
        match text.parse::<NonZeroUsize>() {
            Ok(capacity) => Ok(Self::Bounded(capacity.get())),
            Err(_) => Err("a capacity is a number from 1 up, or `unbounded`"),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "8",
            Self::Wide => "64",
        })
    }
}

impl FromStr for Payload {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "8" => Ok(Self::Small),
            "64" => Ok(Self::Wide),
            _ => Err("a payload is 8 or 64 bytes"),
        }
    }
}
