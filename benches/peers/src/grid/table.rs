//! Every single measurement as CSV.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use serde::Serialize;

use super::cell::Cell;
use crate::measure::Answer;

/// A file that has a row for every measurement.
pub struct Raw(csv::Writer<File>);

#[derive(Serialize)]
struct Row<'a> {
    runtime: &'a str,
    senders: usize,
    receivers: usize,
    capacity: String,
    payload: String,
    contestant: &'a str,
    round: usize,
    items: u64,
    wall_ns: u64,
    cpu_ns: u64,
}

impl Raw {
    pub fn create(path: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self(csv::Writer::from_path(path)?))
    }

    pub fn add(&mut self, cell: Cell, answer: &Answer) -> Result<(), Box<dyn Error>> {
        for measured in &answer.measured {
            self.0.serialize(Row {
                runtime: cell.runtime.name(),
                senders: cell.topology.senders,
                receivers: cell.topology.receivers,
                capacity: cell.capacity.to_string(),
                payload: cell.payload.to_string(),
                contestant: &measured.contestant,
                round: measured.round,
                items: measured.sample.items,
                wall_ns: measured.sample.wall,
                cpu_ns: measured.sample.cpu,
            })?;
        }
        Ok(self.0.flush()?)
    }
}
