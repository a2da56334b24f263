//! The samples of each contestant.

use super::Answer;
use super::Sample;
use super::statistics::Spread;

/// The samples of a contestant, by round.
pub struct Runs {
    pub contestant: String,
    samples: Vec<Option<Sample>>,
}

impl Runs {
    /// The runs of all contestants that have any.
    pub fn of(answer: &Answer) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for measured in &answer.measured {
            let known = all
                .iter()
                .position(|runs| runs.contestant == measured.contestant);
            let index = known.unwrap_or_else(|| {
                all.push(Self {
                    contestant: measured.contestant.clone(),
                    samples: Vec::new(),
                });
                all.len() - 1
            });
            let samples = &mut all[index].samples;
            if samples.len() <= measured.round {
                samples.resize(measured.round + 1, None);
            }
            samples[measured.round] = Some(measured.sample);
        }
        all
    }

    /// Nanoseconds for each item, round by round.
    pub fn wall(&self) -> Vec<f64> {
        self.figures(Sample::wall_per_item)
    }

    /// Nanoseconds of processor time for each item, round by round.
    pub fn cpu(&self) -> Vec<f64> {
        self.figures(Sample::cpu_per_item)
    }

    /// A figure, round by round.
    pub fn figures(&self, figure: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().flatten().map(figure).collect()
    }

    /// The ratio of the time of an item in these runs to that in the others, within the same round.
    pub fn ratio(&self, other: &Self, figure: fn(&Sample) -> f64) -> Spread {
        let both = self.samples.iter().zip(&other.samples);
        let ratios =
            both.filter_map(|(own, other)| Some(figure(own.as_ref()?) / figure(other.as_ref()?)));
        Spread::of(ratios.collect())
    }
}
