//! The grid as a picture.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::Pos;
use plotters::style::text_anchor::VPos;

use super::cell::Capacity;
use super::cell::Cell;
use super::report::Line;
use super::report::distinct;
use crate::peers::OWN;

const LEFT: i32 = 110;
const TOP: i32 = 66;
const BOTTOM: i32 = 30;
const MARGIN: i32 = 10;
const WIDTH: i32 = 90;
const HEIGHT: i32 = 24;

/// This ratio has the full colour of one side, and its inverse has the full colour of the other side.
const FULL: f64 = 2.0;
const FASTER: RGBColor = RGBColor(33, 120, 180);
const SLOWER: RGBColor = RGBColor(215, 75, 60);
const UNKNOWN: RGBColor = RGBColor(225, 225, 225);

/// Draws the ratio to the fastest cancel-safe peer: a row for each runtime, topology and payload, a
/// column for each capacity.
pub fn draw(lines: &[Line], path: &Path) -> Result<(), Box<dyn Error>> {
    let rows = distinct(lines, row_name);
    let mut columns = distinct(lines, |cell| cell.capacity);
    // There may be no ratio, for example with unbounded channels.
    columns.retain(|&capacity| rows.iter().any(|row| ratio(lines, row, capacity).is_some()));
    let right = LEFT + WIDTH * i32::try_from(columns.len())?;
    let below = TOP + HEIGHT * i32::try_from(rows.len())?;
    let width = right.max(LEFT + 4 * WIDTH) + MARGIN;
    let size = (width.cast_unsigned(), (below + BOTTOM).cast_unsigned());
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;

    let write = |text: String, at: (i32, i32), size: i32, horizontal: HPos| {
        let style = TextStyle::from(("sans-serif", size).into_font());
        area.draw(&Text::new(
            text,
            at,
            style.pos(Pos::new(horizontal, VPos::Center)),
        ))
    };
    let title = format!("Time for an item: {OWN} to the fastest cancel-safe peer");
    write(title, (MARGIN, 18), 18, HPos::Left)?;
    write("capacity".to_owned(), (LEFT - 8, TOP - 12), 15, HPos::Right)?;
    for (x, capacity) in (LEFT..).step_by(WIDTH as usize).zip(&columns) {
        let at = (x + WIDTH / 2, TOP - 12);
        write(capacity.to_string(), at, 15, HPos::Center)?;
    }
    for (y, row) in (TOP..).step_by(HEIGHT as usize).zip(&rows) {
        write(row.clone(), (LEFT - 8, y + HEIGHT / 2), 15, HPos::Right)?;
        for (x, &capacity) in (LEFT..).step_by(WIDTH as usize).zip(&columns) {
            let ratio = ratio(lines, row, capacity);
            let corners = [(x, y), (x + WIDTH - 1, y + HEIGHT - 1)];
            let colour = ratio.map_or(UNKNOWN, colour);
            area.draw(&Rectangle::new(corners, colour.filled()))?;
            let number = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let at = (x + WIDTH / 2, y + HEIGHT / 2);
            write(number, at, 15, HPos::Center)?;
        }
    }
    let legend =
        format!("below 1, {OWN} is faster; full colour from {FULL} up and from 1/{FULL} down");
    write(legend, (MARGIN, below + BOTTOM / 2), 14, HPos::Left)?;
    area.present()?;
    Ok(())
}

fn row_name(cell: &Cell) -> String {
    let (runtime, topology, payload) = (cell.runtime.name(), cell.topology, cell.payload);
    format!("{runtime} {topology} {payload} B")
}

fn ratio(lines: &[Line], row: &str, capacity: Capacity) -> Option<f64> {
    let mut lines = lines.iter();
    let line = lines.find(|line| line.cell.capacity == capacity && row_name(&line.cell) == row)?;
    Some(line.safe.as_ref()?.ratio.median)
}

/// The colour of a ratio. It is white at 1, and equally strong for twice as fast and half as fast.
fn colour(ratio: f64) -> RGBColor {
    let strength = (ratio.ln() / FULL.ln()).clamp(-1.0, 1.0);
    let full = if strength < 0.0 { FASTER } else { SLOWER };
    let mix = |full: u8| (255.0 - (255.0 - f64::from(full)) * strength.abs()).round() as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}
