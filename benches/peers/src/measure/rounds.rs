//! Interleaved rounds: in each round every contestant runs once, so that a change of the machine's
//! speed affects all of them.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::Outcome;
use super::Sample;

/// One way to do what a question measures.
pub struct Contestant<'a> {
    pub name: String,
    /// Moves at least this many items.
    pub run: Box<dyn FnMut(u64) -> Outcome + 'a>,
}

impl<'a> Contestant<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut(u64) -> Outcome + 'a) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub rounds: usize,
    /// How long a run should take.
    pub target: Duration,
}

/// What is reported while measuring.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    Begun(String),
    Measured(Measurement),
    Wrong(String, String),
}

/// A run of a contestant in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub contestant: String,
    pub round: usize,
    pub sample: Sample,
}

/// The number of items of the first run.
const FEWEST: u64 = 256;

/// The approximate maximum number of items of a run. It limits the memory.
const MOST: u64 = 4_000_000;

/// Calibrates all contestants and runs the rounds. A contestant that fails is left out of later rounds.
pub fn measure(contestants: Vec<Contestant<'_>>, plan: Plan, mut tell: impl FnMut(Event)) {
    let mut ready = Vec::new();
    for mut contestant in contestants {
        tell(Event::Begun(contestant.name.clone()));
        match calibrate(&mut contestant, plan.target) {
            Ok(items) => ready.push((contestant, Some(items))),
            Err(what) => tell(Event::Wrong(contestant.name, what)),
        }
    }
    for round in 0..plan.rounds {
        for index in order(round, ready.len()) {
            let (contestant, items) = &mut ready[index];
            let Some(number) = *items else { continue };
            let name = contestant.name.clone();
            tell(Event::Begun(name.clone()));
            match (contestant.run)(number) {
                Ok(sample) => tell(Event::Measured(Measurement {
                    contestant: name,
                    round,
                    sample,
                })),
                Err(what) => {
                    *items = None;
                    tell(Event::Wrong(name, what));
                }
            }
        }
    }
}

/// The order of a round. Each contestant comes first in some round, and every second round runs in
/// reverse, so that no contestant always follows the same one.
fn order(round: usize, contestants: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |place| {
        let place = if round.is_multiple_of(2) {
            place
        } else {
            contestants - 1 - place
        };
        (place + round) % contestants
    })
}

/// How often a number of items is tried. A run may be slow by chance, as when a thread that it starts
/// gets no processor for a while. Judged by that run alone, the others would have too few items, and
/// starting the threads would take most of their time.
const TRIES: usize = 3;

/// The number of items that takes about the target time, by the fastest of several runs.
fn calibrate(contestant: &mut Contestant<'_>, target: Duration) -> Result<u64, String> {
    let target = target.as_nanos() as f64;
    let mut items = FEWEST;
    loop {
        let mut fastest = f64::MAX;
        for _ in 0..TRIES {
            fastest = fastest.min((contestant.run)(items)?.wall_per_item());
        }
        let fitting = ((target / fastest) as u64).clamp(FEWEST, MOST);
        // A run that is much too short predicts little about a long one.
        if fitting <= items.saturating_mul(4) {
            return Ok(fitting);
        }
        items = fitting.min(items * 16);
    }
}
