//! Processor time, and the speed on one processor.

use std::io;

use crate::cli::Effort;
use crate::grid::Capacity;
use crate::grid::Payload;
use crate::grid::Topology;
use crate::grid::grid;
use crate::grid::lowest;
use crate::grid::own;
use crate::markdown::Table;
use crate::measure;
use crate::measure::Runs;
use crate::measure::Sample;
use crate::measure::statistics::Spread;
use crate::measure::statistics::median;
use crate::peers::OWN;
use crate::peers::PEERS;
use crate::peers::is_cancel_safe_peer;
use crate::question::Question;
use crate::runtime::Kind;

/// Measures, and prints a row for each cell.
pub fn ask(effort: &Effort) -> io::Result<()> {
    let topologies = [(1, 1), (4, 4)].map(|(senders, receivers)| Topology { senders, receivers });
    let cells = grid(
        &[Kind::Ct, Kind::Mt, Kind::Ex],
        &topologies,
        &[1, 16, 128].map(Capacity::Bounded),
        &[Payload::Small],
    );
    let mut table = Table::new([
        "cell",
        "tollgate, CPU ns an item",
        "least of the cancel-safe peers",
        "CPU ns",
        "ratio",
        "tollgate, wall ns",
        "on one processor",
        "ratio",
    ]);
    for cell in cells {
        eprintln!("{cell}");
        let mut job = effort.job(Question::Grid(cell));
        let others = PEERS.iter().filter(|peer| !peer.is_cancel_safe);
        job.without = others.map(|peer| peer.name.to_owned()).collect();
        let answer = measure::ask(job)?;

        let mut job = effort.job(Question::Grid(cell));
        job.only = vec![OWN.to_owned()];
        job.one_cpu = true;
        let answer_of_one = measure::ask(job)?;

        let (runs, runs_of_one) = (Runs::of(&answer), Runs::of(&answer_of_one));
        let (Some(own), Some(own_of_one)) = (own(&runs), own(&runs_of_one)) else {
            println!("{OWN} failed in {cell}.");
            continue;
        };
        let least = lowest(&runs, is_cancel_safe_peer, Sample::cpu_per_item);
        let [name, cpu, ratio] = match least {
            Some(least) => [
                least.name,
                format!("{:.1}", least.figure),
                format!("{:.2}", least.ratio),
            ],
            None => ["–", "–", "–"].map(str::to_owned),
        };
        let (wall, wall_of_one) = (median(own.wall()), median(own_of_one.wall()));
        table.row([
            cell.to_string(),
            format!("{:.1}", Spread::of(own.cpu())),
            name,
            cpu,
            ratio,
            format!("{wall:.1}"),
            format!("{wall_of_one:.1}"),
            format!("{:.2}", wall_of_one / wall),
        ]);
    }
    println!("{table}");
    Ok(())
}
