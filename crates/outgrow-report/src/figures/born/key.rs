//! What the marks of born sizes and the line of the frontier mean, above a plot.

use plotters::style::text_anchor::{HPos, VPos};

use super::shade;
use crate::{
    figures::{
        font,
        measures::{At, PT, TICK},
        sheet::Sheet,
        style::{INK, Look, strategy},
    },
    numbers::short,
};

const ROW: i32 = 11 * PT;
const GAP: i32 = 10 * PT;
const DOT: i32 = 6 * PT;

/// A part of a key.
pub enum Part {
    /// How many sizes, the smallest and the largest.
    Sizes(usize, [f64; 2]),
    /// A line with its band, and its name.
    Band(&'static str),
    /// A hollow mark, and its name.
    Hollow(&'static str),
    /// A mark, and its name.
    Mark(Look, &'static str),
}

/// Draws parts in rows from so far down; gives where the last row ends.
pub fn draw(sheet: &Sheet, top: i32, parts: &[Part]) -> i32 {
    let (mut x, mut y) = (8 * PT, top);
    for part in parts {
        let width = width(part);
        if x > 8 * PT && x + width > sheet.size.0 - 2 * PT {
            (x, y) = (8 * PT, y + ROW);
        }
        one(sheet, (x, y), part);
        x += width + GAP;
    }
    y + ROW
}

const LEAD: &str = "born with";
const SAMPLE: i32 = 16 * PT;

fn width(part: &Part) -> i32 {
    let text = |text: &str| font::width(text, TICK);
    match part {
        Part::Sizes(n, ends) => {
            let ends: i32 = ends.iter().map(|end| text(&short(*end))).sum();
            text(LEAD) + ends + 9 * PT + *n as i32 * DOT
        }
        Part::Band(name) => SAMPLE + 3 * PT + text(name),
        Part::Hollow(name) | Part::Mark(_, name) => DOT + 2 * PT + text(name),
    }
}

fn one(sheet: &Sheet, (x, y): At, part: &Part) {
    let write = |x: i32, text: &str| {
        sheet.text((x, y), text, TICK, INK, HPos::Left, VPos::Center);
        x + font::width(text, TICK)
    };
    match part {
        Part::Sizes(n, [small, large]) => {
            let from = write(write(x, LEAD) + 3 * PT, &short(*small)) + 3 * PT;
            for place in 0..*n {
                let look = Look { color: shade(place, *n), ..strategy(0) };
                sheet.marker((from + place as i32 * DOT + DOT / 2, y), look, 200, 1.0);
            }
            write(from + *n as i32 * DOT + 3 * PT, &short(*large));
        }
        Part::Band(name) => {
            let (to, half) = (x + SAMPLE, 3 * PT);
            let corners = [(x, y - half), (to, y - half), (to, y + half), (x, y + half)];
            sheet.fill(corners, INK, 0.18);
            sheet.line([(x, y), (to, y)], INK, 110, "");
            write(to + 3 * PT, name);
        }
        Part::Hollow(name) => {
            sheet.ring((x + DOT / 2, y), shade(1, 2), 200);
            write(x + DOT + 2 * PT, name);
        }
        Part::Mark(look, name) => {
            sheet.marker((x + DOT / 2, y), *look, 220, 1.0);
            write(x + DOT + 2 * PT, name);
        }
    }
}
