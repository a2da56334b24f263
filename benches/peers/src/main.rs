//! Compares tollgate with its peers: `cargo run --release -- help`.

mod channel;
mod cli;
mod grid;
mod instructions;
mod item;
mod markdown;
mod measure;
mod memory;
mod peers;
mod processor;
mod question;
mod questions;
mod runtime;

use std::error::Error;
use std::io;

use clap::Parser;

use cli::Cli;
use cli::Command;
use question::Question;
use questions::Ratio;
use questions::after;
use questions::batch;
use questions::compare;
use questions::pair;
use questions::parked;
use questions::pingpong;
use questions::tasks;

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Grid(cli.grid)) {
        Command::Grid(arguments) => ask_grid(&arguments),
        Command::Pair(effort) => Ok(compare(&effort, pair::cases(), Ratio::OfOwn)?),
        Command::Tasks(effort) => {
            compare(&effort, tasks::cases(), Ratio::OfOwn)?;
            Ok(compare(
                &effort,
                tasks::step_cases(),
                Ratio::To(tasks::PLAIN),
            )?)
        }
        Command::Parked(effort) => Ok(parked::ask(&effort)?),
        Command::After(effort) => Ok(compare(&effort, after::cases(), Ratio::To(after::WITHOUT))?),
        Command::PingPong(effort) => Ok(compare(&effort, pingpong::cases(), Ratio::OfOwn)?),
        Command::Batch(effort) => Ok(compare(&effort, batch::cases(), Ratio::OfOwn)?),
        Command::Instructions => instructions::ask(),
        Command::Mem => {
            memory::ask();
            Ok(())
        }
        Command::Cpu(effort) => Ok(processor::ask(&effort)?),
        Command::Move {
            name,
            capacity,
            items,
        } => Ok(instructions::move_items(&name, capacity, items)?),
        Command::Cell { job } => Ok(measure::serve(&job)?),
    }
}

fn ask_grid(arguments: &cli::Grid) -> Result<(), Box<dyn Error>> {
    let mut raw = arguments
        .csv
        .as_deref()
        .map(grid::Raw::create)
        .transpose()?;
    let mut report = grid::Report::default();
    let cells = arguments.cells();
    for (number, &cell) in (1..).zip(&cells) {
        eprintln!("{number} of {}: {cell}", cells.len());
        let answer = measure::ask(arguments.effort.job(Question::Grid(cell)))?;
        if let Some(raw) = &mut raw {
            raw.add(cell, &answer)?;
        }
        report.add(cell, &answer);
    }
    report.write(&mut io::stdout().lock())?;
    if let Some(path) = &arguments.svg {
        grid::draw(report.lines(), path)?;
    }
    Ok(())
}
