//! Instructions for each item, counted by callgrind.

use std::env;
use std::error::Error;
use std::io;
use std::process::Command;

use crate::grid::Capacity;
use crate::grid::Cell;
use crate::grid::Payload;
use crate::grid::Topology;
use crate::markdown::Table;
use crate::peers::OWN;
use crate::peers::PEERS;
use crate::runtime::Kind;
use crate::runtime::Runtime;

const NAMES: [&str; 4] = [OWN, "kanal", "tachyonix", "crossfire spsc"];
const CAPACITIES: [usize; 3] = [1, 16, 128];

/// The number of items to move. Twice as many are moved in a second run: in the difference, the cost of
/// the start and the end cancels out.
const ITEMS: u64 = 10_000;

/// Counts, and prints a row for each contestant and capacity.
pub fn ask() -> Result<(), Box<dyn Error>> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("Instructions are counted by valgrind, which is not on the path.");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    let mut table = Table::new([
        "contestant".to_owned(),
        "capacity".to_owned(),
        "instructions an item".to_owned(),
        format!("{OWN} to it"),
    ]);
    for capacity in CAPACITIES {
        let mut own = None;
        for name in NAMES {
            eprintln!("capacity {capacity}: {name}");
            let more = count(name, capacity, 2 * ITEMS)? - count(name, capacity, ITEMS)?;
            let each = more / ITEMS as f64;
            let own = *own.get_or_insert(each);
            table.row([
                name.to_owned(),
                capacity.to_string(),
                format!("{each:.1}"),
                format!("{:.2}", own / each),
            ]);
        }
    }
    println!("{table}");
    Ok(())
}

/// The instructions of a process that moves this many items.
fn count(name: &str, capacity: usize, items: u64) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["move", name, &capacity.to_string(), &items.to_string()])
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    let number = log
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match number {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(format!("callgrind counted nothing ({}):\n{log}", output.status).into()),
    }
}

/// Moves this many items from one task to another.
pub fn move_items(name: &str, capacity: usize, items: u64) -> Result<(), String> {
    // The documentation of crossfire advises this.
    crossfire::detect_backoff_cfg();
    let cell = Cell {
        runtime: Kind::Ct,
        topology: Topology {
            senders: 1,
            receivers: 1,
        },
        capacity: Capacity::Bounded(capacity),
        payload: Payload::Small,
    };
    let peer = PEERS.iter().find(|peer| peer.name == name);
    let moves = peer.and_then(|peer| peer.moves(cell));
    let moves = moves.ok_or_else(|| format!("{name} is no contestant"))?;
    moves(&Runtime::start(cell.runtime), cell, items).map(drop)
}
