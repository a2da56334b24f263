//! One cell of the matrix.

use std::fmt;

/// What kind of channel a cell uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Tasks,
}

/// The executor that polls the futures of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Executor {
    TokioMultiThread,
    TokioCurrentThread,
    AsyncStd,
    Smol,
    LocalPool,
    /// One operating system thread for each future.
    Threads,
    /// Tokio for every second future, smol for the rest.
    TokioAndSmol,
}

/// How a cell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The producers finish and drop their senders.
    Drained,
    /// Closed halfway.
    ClosedBySender,
    ClosedByReceiver,
    ClosedByMonitor,
    /// The consumers drop their receivers one by one, halfway.
    ReceiversDropped,
}

const TOPOLOGIES: [(usize, usize); 4] = [(1, 1), (4, 1), (1, 4), (4, 4)];
/// The capacity that stands for an unbounded channel.
pub(crate) const UNBOUNDED: usize = usize::MAX;

const CAPACITIES: [usize; 5] = [1, 2, 3, 64, UNBOUNDED];
const ENDINGS: [Ending; 5] = [
    Ending::Drained,
    Ending::ClosedBySender,
    Ending::ClosedByReceiver,
    Ending::ClosedByMonitor,
    Ending::ReceiversDropped,
];

/// A configuration, with all that is needed to run it again.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) executor: Executor,
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    pub(crate) capacity: usize,
    pub(crate) ending: Ending,
    /// How many sends each producer attempts.
    pub(crate) attempts: usize,
    /// The seed of the whole matrix; each cell derives its own.
    seed: u64,
}

impl Cell {
    /// All cells of one executor and one kind of channel.
    pub(crate) fn all(kind: Kind, executor: Executor, seed: u64) -> impl Iterator<Item = Self> {
        let topologies = TOPOLOGIES.into_iter();
        let with_capacities = topologies.flat_map(|t| CAPACITIES.map(|capacity| (t, capacity)));
        let with_endings = with_capacities.flat_map(|(t, c)| ENDINGS.map(|ending| (t, c, ending)));
        with_endings.map(move |((producers, consumers), capacity, ending)| Self {
            kind,
            executor,
            producers,
            consumers,
            capacity,
            ending,
            attempts: Self::attempts(executor, capacity) / producers,
            seed,
        })
    }

    /// The cell of [`freeing`](crate::freeing), where each producer stands for a channel.
    pub(crate) fn of_freeing(seed: u64, channels: usize, items: usize) -> Self {
        Self {
            kind: Kind::Tasks,
            executor: Executor::Threads,
            producers: channels,
            consumers: 2,
            capacity: items,
            ending: Ending::ReceiversDropped,
            attempts: items,
            seed,
        }
    }

    /// As many as the run time of the whole matrix allows: switching between futures on one thread
    /// is cheap, switching threads is not.
    fn attempts(executor: Executor, capacity: usize) -> usize {
        let with_capacity_one = match executor {
            Executor::TokioCurrentThread | Executor::LocalPool => 4800,
            Executor::TokioMultiThread | Executor::AsyncStd => 3200,
            Executor::Threads => 1600,
            Executor::Smol | Executor::TokioAndSmol => 800,
        };
        let if_large = if capacity > 3 { 3 } else { 1 };
        let optimized = if cfg!(debug_assertions) { 1 } else { 3 };
        with_capacity_one * if_large * optimized
    }

    /// How many items may be queued. For a moment, the length of a task channel includes both the item
    /// of a forced send and the one that it evicts.
    pub(crate) fn most_queued(&self) -> usize {
        let one_more = self.forces() && self.kind == Kind::Tasks;
        self.capacity.saturating_add(usize::from(one_more))
    }

    /// Whether producers also send by `force_send`.
    pub(crate) fn forces(&self) -> bool {
        self.rng("forces").bool()
    }

    /// The random generator of one actor of the cell. It makes the same decisions in every run with
    /// the same seed; the threads may interleave differently.
    pub(crate) fn rng(&self, name: &str) -> fastrand::Rng {
        // FNV-1a: the seeds must only differ.
        let name = format!("{self:?} {name}");
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        fastrand::Rng::with_seed(hash)
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {:?}, {}x{}, capacity {}, {:?}, TOLLGATE_STRESS_SEED={}",
            self.kind,
            self.executor,
            self.producers,
            self.consumers,
            self.capacity,
            self.ending,
            self.seed,
        )
    }
}
