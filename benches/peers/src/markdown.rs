//! Tables that are also readable in a terminal.

use std::fmt;

use comfy_table::CellAlignment;
use comfy_table::presets::ASCII_MARKDOWN;

/// A table in Markdown. All columns but the first are aligned to the right if they are figures.
pub struct Table(comfy_table::Table);

impl Table {
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(ASCII_MARKDOWN);
        table.set_header(header.into_iter().map(Into::into).collect::<Vec<String>>());
        Self(table)
    }

    pub fn row<S: Into<String>>(&mut self, row: impl IntoIterator<Item = S>) {
        let cells = row.into_iter().map(|text| {
            let text: String = text.into();
            let is_figure = text.starts_with(|first: char| first.is_ascii_digit());
            let alignment = if is_figure {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            };
            comfy_table::Cell::new(text).set_alignment(alignment)
        });
        self.0.add_row(cells.collect::<Vec<_>>());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
