//! A figure in all its widths.

use super::{measures::Column, sheet::Sheet};

/// A figure ready to be rendered.
pub struct Figure {
    /// Name of its files.
    pub name: &'static str,
    /// What a paper would print below it.
    pub caption: String,
    /// The SVG for each width.
    pub svgs: Vec<(Column, String)>,
    /// The numbers that it shows: a header, and rows.
    pub numbers: Vec<Vec<String>>,
}

impl Figure {
    /// Draws a figure in both widths.
    pub fn new(
        name: &'static str,
        caption: String,
        numbers: Vec<Vec<String>>,
        draw: impl Fn(Column) -> Sheet,
    ) -> Self {
        let svgs = Column::ALL.map(|column| (column, draw(column).finish(name, &caption)));
        Self { name, caption, svgs: svgs.into(), numbers }
    }
}
