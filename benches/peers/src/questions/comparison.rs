//! Contestants side by side, case by case.

use std::io;

use crate::cli::Effort;
use crate::markdown::Table;
use crate::measure;
use crate::measure::Runs;
use crate::measure::Sample;
use crate::measure::statistics::Spread;
use crate::peers::OWN;
use crate::question::Question;

/// Which ratios are printed.
#[derive(Clone, Copy)]
pub enum Ratio {
    /// The ratios of tollgate to each other contestant.
    OfOwn,
    /// The ratios of each other contestant to the contestant with this name.
    To(&'static str),
}

impl Ratio {
    fn header(self) -> String {
        match self {
            Self::OfOwn => format!("{OWN} to it"),
            Self::To(base) => format!("to {base}"),
        }
    }

    fn of(self, runs: &Runs, all: &[Runs]) -> Option<Spread> {
        let base = match self {
            Self::OfOwn => OWN,
            Self::To(base) => base,
        };
        let base = all.iter().find(|runs| runs.contestant == base)?;
        if runs.contestant == base.contestant {
            return None;
        }
        Some(match self {
            Self::OfOwn => base.ratio(runs, Sample::wall_per_item),
            Self::To(_) => runs.ratio(base, Sample::wall_per_item),
        })
    }
}

/// Measures a question for each case, and prints the times of all contestants.
pub fn compare(
    effort: &Effort,
    cases: impl IntoIterator<Item = (String, Question)>,
    ratio: Ratio,
) -> io::Result<()> {
    let mut table = Table::new([
        "case".to_owned(),
        "contestant".to_owned(),
        "ns an item".to_owned(),
        ratio.header(),
    ]);
    let mut failures = Vec::new();
    for (case, question) in cases {
        eprintln!("{case}");
        let answer = measure::ask(effort.job(question))?;
        let all = Runs::of(&answer);
        for runs in &all {
            let ratio = ratio.of(runs, &all);
            table.row([
                case.clone(),
                runs.contestant.clone(),
                format!("{:.1}", Spread::of(runs.wall())),
                ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            ]);
        }
        for failure in answer.failures {
            failures.push(format!(
                "- {case}: {}: {}",
                failure.contestant, failure.what
            ));
        }
    }
    println!("{table}\n");
    if !failures.is_empty() {
        println!("Failures, which take no part in the figures:\n");
        println!("{}\n", failures.join("\n"));
    }
    Ok(())
}
