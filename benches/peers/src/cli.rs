//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::grid::Capacity;
use crate::grid::Cell;
use crate::grid::Payload;
use crate::grid::Topology;
use crate::grid::grid;
use crate::measure::Job;
use crate::measure::Plan;
use crate::question::Question;
use crate::runtime::Kind;

/// Compares tollgate with other async channels.
///
/// All figures come from interleaved rounds: in each round every contestant runs once. A ratio is
/// the median of the ratios within the rounds. It is followed by an interval that contains the true
/// median with a probability of 95 %.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub grid: Grid,
}

#[derive(Subcommand)]
pub enum Command {
    /// Moves items through all channels, in every cell of the grid (default).
    Grid(Grid),
    /// Sends and receives an item in turn on one thread, with `try_send` and `try_recv`.
    Pair(Effort),
    /// Sends tasks, and marks each as done. Compares with a channel and a `TaskTracker`, and with a
    /// plain channel.
    Tasks(Effort),
    /// Sends beside 1, 100 and 10,000 receivers that wait.
    Parked(Effort),
    /// Measures tollgate after a `close`, and after a `join` that was dropped.
    After(Effort),
    /// Sends an item back and forth between two tasks.
    #[command(name = "pingpong")]
    PingPong(Effort),
    /// Moves items in batches of 64. Compares with batches of other channels, and with single items.
    Batch(Effort),
    /// Counts the instructions that an item takes, with valgrind.
    Instructions,
    /// Counts the heap memory of channels and of waiting receivers.
    Mem,
    /// Measures processor time in a part of the grid, and tollgate on one processor.
    Cpu(Effort),
    /// Moves items from one task to another in this process.
    #[command(hide = true)]
    Move {
        name: String,
        capacity: usize,
        items: u64,
    },
    /// Measures one question in this process.
    #[command(hide = true)]
    Cell { job: String },
}

/// How much is measured, and for which channels.
#[derive(Args)]
pub struct Effort {
    /// Number of rounds.
    #[arg(long, value_parser = clap::value_parser!(u16).range(9..))]
    rounds: Option<u16>,
    /// Measures shorter runs and, unless set otherwise, 9 rounds.
    #[arg(long)]
    quick: bool,
    /// Measures only these contestants.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Args)]
pub struct Grid {
    #[command(flatten)]
    pub effort: Effort,
    /// Measures only these runtimes.
    #[arg(long, value_delimiter = ',', default_value = "ct,mt,ex,th")]
    runtime: Vec<Kind>,
    /// Measures only these numbers of senders and receivers.
    #[arg(long, value_delimiter = ',', default_value = "1x1,4x1,1x4,4x4")]
    topology: Vec<Topology>,
    /// Measures only these capacities.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128,unbounded")]
    capacity: Vec<Capacity>,
    /// Measures only items of these sizes, in bytes.
    #[arg(long, value_delimiter = ',', default_value = "8,64")]
    payload: Vec<Payload>,
    /// Leaves out the unbounded channels.
    #[arg(long)]
    bounded_only: bool,
    /// Writes every measurement to a CSV file.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draws the ratio to the fastest cancel-safe peer in all cells, as an SVG file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

impl Effort {
    pub fn plan(&self) -> Plan {
        let (rounds, target) = if self.quick {
            (9, Duration::from_millis(4))
        } else {
            (15, Duration::from_millis(20))
        };
        Plan {
            rounds: self.rounds.map_or(rounds, usize::from),
            target,
        }
    }

    pub fn job(&self, question: Question) -> Job {
        Job {
            question,
            plan: self.plan(),
            only: self.only.clone(),
            without: Vec::new(),
            one_cpu: false,
        }
    }
}

impl Grid {
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = grid(&self.runtime, &self.topology, &self.capacity, &self.payload);
        cells.retain(|cell| cell.is_bounded() || !self.bounded_only);
        cells
    }
}
