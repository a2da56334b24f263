//! The grid as Markdown.

use std::io;
use std::io::Write;

use super::cell::Cell;
use super::compare::Lowest;
use super::compare::lowest;
use super::compare::own;
use crate::markdown::Table;
use crate::measure::Answer;
use crate::measure::Failure;
use crate::measure::Runs;
use crate::measure::Sample;
use crate::measure::statistics::Spread;
use crate::measure::statistics::geometric_mean;
use crate::peers::is_cancel_safe_peer;
use crate::peers::is_peer;

/// The results of a number of cells.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

/// The results of one cell.
pub struct Line {
    pub cell: Cell,
    /// Nanoseconds for each item.
    pub own: Option<Spread>,
    pub safe: Option<Lowest>,
    pub all: Option<Lowest>,
    pub failures: Vec<Failure>,
}

/// A group of peers: its name, and the fastest peer of the group in a cell.
type Group = (&'static str, fn(&Line) -> Option<&Lowest>);

const GROUPS: [Group; 2] = [
    ("fastest cancel-safe peer", |line| line.safe.as_ref()),
    ("fastest of all", |line| line.all.as_ref()),
];

impl Report {
    pub fn add(&mut self, cell: Cell, answer: &Answer) {
        let runs = Runs::of(answer);
        self.lines.push(Line {
            cell,
            own: own(&runs).map(|own| Spread::of(own.wall())),
            safe: lowest(&runs, is_cancel_safe_peer, Sample::wall_per_item),
            all: lowest(&runs, is_peer, Sample::wall_per_item),
            failures: answer.failures.clone(),
        });
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "{}", self.cells())?;
        for (name, of_group) in GROUPS {
            writeln!(output, "\nRatio to the {name}, geometric mean:\n")?;
            writeln!(output, "{}", self.summary(of_group))?;
            self.write_slower(output, name, of_group)?;
        }
        self.write_failures(output)
    }

    fn cells(&self) -> Table {
        let mut table = Table::new([
            "runtime",
            "topology",
            "capacity",
            "bytes",
            "tollgate, ns an item",
            "fastest cancel-safe",
            "ns",
            "ratio",
            "fastest of all",
            "ns",
            "ratio",
        ]);
        for line in &self.lines {
            let mut row = vec![
                line.cell.runtime.name().to_owned(),
                line.cell.topology.to_string(),
                line.cell.capacity.to_string(),
                line.cell.payload.to_string(),
                line.own.map_or_else(nothing, |own| format!("{own:.1}")),
            ];
            for (_, of_group) in GROUPS {
                match of_group(line) {
                    Some(fastest) => row.extend([
                        fastest.name.clone(),
                        format!("{:.1}", fastest.figure),
                        format!("{:.2}", fastest.ratio),
                    ]),
                    None => row.extend([nothing(), nothing(), nothing()]),
                }
            }
            table.row(row);
        }
        table
    }

    fn summary(&self, of_group: fn(&Line) -> Option<&Lowest>) -> Table {
        let mut table = Table::new(["cells", "number", "ratio"]);
        let mut row = |name: String, holds: &dyn Fn(&Cell) -> bool| {
            let lines = self.lines.iter().filter(|line| holds(&line.cell));
            let ratios: Vec<_> = lines.filter_map(of_group).map(|f| f.ratio.median).collect();
            if let Some(mean) = geometric_mean(&ratios) {
                table.row([name, ratios.len().to_string(), format!("{mean:.2}")]);
            }
        };
        row("bounded".to_owned(), &Cell::is_bounded);
        row("bounded, 16 and more".to_owned(), &|cell| {
            cell.holds_at_least(16)
        });
        for runtime in distinct(&self.lines, |cell| cell.runtime) {
            row(format!("bounded, {}", runtime.name()), &|cell| {
                cell.is_bounded() && cell.runtime == runtime
            });
            row(
                format!("bounded, 16 and more, {}", runtime.name()),
                &|cell| cell.holds_at_least(16) && cell.runtime == runtime,
            );
        }
        for capacity in distinct(&self.lines, |cell| cell.capacity) {
            row(format!("capacity {capacity}"), &|cell| {
                cell.capacity == capacity
            });
            for runtime in distinct(&self.lines, |cell| cell.runtime) {
                row(
                    format!("capacity {capacity}, {}", runtime.name()),
                    &|cell| cell.capacity == capacity && cell.runtime == runtime,
                );
            }
        }
        table
    }

    fn write_slower(
        &self,
        output: &mut impl Write,
        name: &str,
        of_group: fn(&Line) -> Option<&Lowest>,
    ) -> io::Result<()> {
        let mut slower: Vec<_> = self
            .lines
            .iter()
            .filter_map(|line| Some((line.cell, of_group(line)?)))
            .filter(|(_, fastest)| fastest.ratio.median > 1.0)
            .collect();
        slower.sort_by(|(_, one), (_, other)| other.ratio.median.total_cmp(&one.ratio.median));
        let compared = self.lines.iter().filter_map(of_group).count();
        writeln!(
            output,
            "\nSlower than the {name} in {} of {compared} cells{}\n",
            slower.len(),
            if slower.is_empty() { "." } else { ":" },
        )?;
        for (cell, fastest) in slower {
            let Lowest { name, ratio, .. } = fastest;
            writeln!(output, "- {cell}: {ratio:.2} ({name})")?;
        }
        Ok(())
    }

    fn write_failures(&self, output: &mut impl Write) -> io::Result<()> {
        if self.lines.iter().all(|line| line.failures.is_empty()) {
            return writeln!(output, "\nNo contestant hung, crashed or lost an item.");
        }
        writeln!(output, "\nFailures, which take no part in the figures:\n")?;
        for line in &self.lines {
            for Failure { contestant, what } in &line.failures {
                writeln!(output, "- {}: {contestant}: {what}", line.cell)?;
            }
        }
        Ok(())
    }
}

/// The distinct values of a property of the cells.
pub fn distinct<A: PartialEq>(lines: &[Line], of_cell: impl Fn(&Cell) -> A) -> Vec<A> {
    let mut found = Vec::new();
    for line in lines {
        let one = of_cell(&line.cell);
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn nothing() -> String {
    "–".to_owned()
}
