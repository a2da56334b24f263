//! Medians and their confidence intervals.

use std::fmt;

use statrs::distribution::Binomial;
use statrs::distribution::DiscreteCDF;
use statrs::statistics::Data;
use statrs::statistics::Median;

/// A median, and the interval that contains the true median with a probability of at least 95 %, for
/// any distribution.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// # Panics
    ///
    /// Panics if there are no figures.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let number = figures.len();
        // Each figure is below the true median with probability 1/2, like the toss of a coin. If
        // `outside` figures are left out on either side, the true median lies within the rest with a
        // probability of at least 95 %.
        let tosses = Binomial::new(0.5, number as u64).expect("a half is a probability");
        let outside = tosses.inverse_cdf(0.025).saturating_sub(1) as usize;
        Self {
            low: figures[outside],
            high: figures[number - 1 - outside],
            median: Data::new(figures).median(),
        }
    }
}

pub fn median(figures: Vec<f64>) -> f64 {
    Data::new(figures).median()
}

/// The geometric mean, if there are any figures.
pub fn geometric_mean(figures: &[f64]) -> Option<f64> {
    if figures.is_empty() {
        return None;
    }
    let logarithms: f64 = figures.iter().map(|figure| figure.ln()).sum();
    Some((logarithms / figures.len() as f64).exp())
}

/// `1.23 (1.11–1.35)`, with as many digits as are asked for, or two.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, low, high } = self;
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}
