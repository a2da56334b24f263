//! The fastest peers of a cell, and the ratios to them.

use crate::measure::Runs;
use crate::measure::Sample;
use crate::measure::statistics::Spread;
use crate::measure::statistics::median;
use crate::peers::OWN;

/// The fastest peer of a group, and the ratio of tollgate to it.
#[derive(Clone, Debug)]
pub struct Lowest {
    pub name: String,
    /// In nanoseconds for each item.
    pub figure: f64,
    pub ratio: Spread,
}

pub fn own(runs: &[Runs]) -> Option<&Runs> {
    runs.iter().find(|runs| runs.contestant == OWN)
}

/// Finds the peer of a group that has the lowest median, and compares tollgate with it.
pub fn lowest(
    runs: &[Runs],
    is_in_group: fn(&str) -> bool,
    figure: fn(&Sample) -> f64,
) -> Option<Lowest> {
    let own = own(runs)?;
    let group = runs.iter().filter(|runs| is_in_group(&runs.contestant));
    let (lowest, peer) = group
        .map(|runs| (median(runs.figures(figure)), runs))
        .min_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(Lowest {
        name: peer.contestant.clone(),
        figure: lowest,
        ratio: own.ratio(peer, figure),
    })
}
