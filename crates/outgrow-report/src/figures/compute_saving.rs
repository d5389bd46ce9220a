//! Compute saved on the way to the final loss of the from-scratch control.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::looks,
    figure::Figure,
    font,
    measures::{Column, PT, TICK},
    sheet::Sheet,
    style::{GREY, INK, Look},
};
use crate::{analysis::Analysis, comparison::Comparison, interval::Interval, strategy::Role};

const ROW: i32 = 18 * PT;
/// The lowest saving that is drawn; what is below is cut.
const LEAST: f64 = -1.5;
const EARLY: &str = " Trials that had that loss before the end of their own schedule are read \
                     there, on the way, before the learning rate had decayed.";
const CUT: &str = " What goes on below the axis ends in an arrow.";

/// The figure; none without a complete control.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let rows: Vec<Row> = rows(analysis);
    if rows.iter().all(|row| row.comparison.savings.is_empty()) {
        return None;
    }
    let seeds = rows
        .iter()
        .filter_map(|row| row.comparison.compute)
        .map(|interval| interval.n)
        .max()
        .unwrap_or(0);
    let caption = format!(
        "Training compute saved on the way to the final validation loss of the from-scratch \
         control under the same seed: \
         light marks are trials, dark ones the mean over n = {seeds} seeds with its 95 % \
         Student-t interval, corrected (Holm) for their number.{} At the \
         right, \
         how many trials reached that loss; one that did not counts with the most that it can \
         have saved, and the mean is then \
         an upper bound, drawn pale.{}{}",
        match fixed(&rows) {
            Some(_) => format!(" The coarsely dashed line is {}.", analysis.fixed_words()),
            None => String::new(),
        },
        if rows.iter().any(|row| row.comparison.is_on_the_way()) { EARLY } else { "" },
        if rows.iter().any(|row| row.lowest() < LEAST) { CUT } else { "" }
    );
    Some(Figure::new("compute_saving", caption, numbers(&rows), |column| draw(&rows, column)))
}

struct Row<'a> {
    arm: &'a str,
    role: Role,
    name: String,
    look: Look,
    comparison: &'a Comparison,
}

impl Row<'_> {
    /// The lowest saving of a trial or end of the interval.
    fn lowest(&self) -> f64 {
        let trials = self.comparison.savings.iter().map(|saving| saving.compute);
        let bounds = self.interval().and_then(|interval| interval.bounds).map(|both| both[0]);
        trials.chain(bounds).fold(0.0, f64::min)
    }

    fn interval(&self) -> Option<Interval> {
        self.comparison.compute_corrected()
    }
}

fn rows(analysis: &Analysis) -> Vec<Row<'_>> {
    let named = analysis.strategies.iter().zip(looks(analysis));
    let judged = named.filter(|(s, _)| matches!(s.role, Role::Grown | Role::FixedSize));
    let mut rows: Vec<Row> = judged
        .filter_map(|(s, (name, look))| {
            Some(Row { arm: &s.name, role: s.role, name, look, comparison: s.comparison.as_ref()? })
        })
        .collect();
    let mean = |row: &Row| row.comparison.compute.map_or(f64::NEG_INFINITY, |value| value.mean);
    rows.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    rows
}

/// The saving of the best size that never grows.
fn fixed(rows: &[Row]) -> Option<f64> {
    // They are sorted.
    let best = rows.iter().find(|row| row.role == Role::FixedSize)?;
    best.comparison.compute.map(|value| value.mean)
}

fn draw(rows: &[Row], column: Column) -> Sheet {
    let left = rows.iter().map(|row| font::width(&font::label(&row.name), TICK)).max().unwrap_or(0)
        + 12 * PT;
    let right = font::width("reached", TICK) + 12 * PT;
    let (top, height) = (14 * PT, rows.len() as i32 * ROW);
    let sheet = Sheet::new(column.width(), top + height + 28 * PT);
    let trials = rows.iter().flat_map(|row| row.comparison.savings.iter().map(|s| s.compute));
    let bounds = rows.iter().filter_map(|row| row.interval()?.bounds).flatten();
    let all: Vec<f64> = trials.chain(bounds).chain([0.0]).map(|saving| 100.0 * saving).collect();
    let (low, high) =
        (all.iter().copied().fold(-2.0, f64::min), all.iter().copied().fold(2.0, f64::max));
    // One wild interval must not press everything else together; it is cut at the edge.
    let x = Axis::linear(low.max(100.0 * LEAST), high.min(110.0), column.labels() - 1);
    let plot =
        sheet.plot(left..sheet.size.0 - right, top..top + height, x, Axis::exact(0.0, 1.0, 2));
    let edges = [left, sheet.size.0 - right];
    let across = |saving: f64| plot.at(100.0 * saving, 0.0).0.clamp(edges[0], edges[1]);
    sheet.line([(across(0.0), top), (across(0.0), top + height)], GREY, 50, "150 150");
    if let Some(x) = fixed(rows).map(across) {
        sheet.line([(x, top), (x, top + height)], INK, 70, "400 200");
    }
    sheet.text(
        (sheet.size.0 - 4 * PT, top - 6 * PT),
        "reached",
        TICK,
        INK,
        HPos::Right,
        VPos::Center,
    );
    for (number, row) in rows.iter().enumerate() {
        let middle = top + number as i32 * ROW + ROW / 2;
        draw_row(&sheet, row, [left, middle], across, plot.ends()[0][0]);
    }
    plot.horizontal_axis("Compute saved (%)");
    sheet
}

/// A row whose plot begins at so far left; `least` is the lowest saving on the axis, in per cent.
fn draw_row(
    sheet: &Sheet,
    row: &Row,
    [left, y]: [i32; 2],
    across: impl Fn(f64) -> i32,
    least: f64,
) {
    sheet.text((left - 6 * PT, y), &font::label(&row.name), TICK, INK, HPos::Right, VPos::Center);
    for saving in row.comparison.savings.iter().map(|saving| saving.compute) {
        match 100.0 * saving < least {
            true => sheet.arrow((left, y - 4 * PT), (-1, 0), row.look.color),
            false => sheet.marker((across(saving), y - 4 * PT), row.look, 170, 0.35),
        }
    }
    if let Some(interval) = row.interval() {
        let pale = row.comparison.is_censored();
        if let Some([low, high]) = interval.bounds {
            let dash = if pale { "150 150" } else { "" };
            let ends = [(across(low), y + 2 * PT), (across(high), y + 2 * PT)];
            sheet.line(ends, row.look.color, 110, dash);
            if 100.0 * low < least {
                sheet.arrow(ends[0], (-1, 0), row.look.color);
            }
        }
        sheet.marker(
            (across(interval.mean), y + 2 * PT),
            row.look,
            290,
            if pale { 0.45 } else { 1.0 },
        );
    }
    let [reached, of] = row.comparison.reached;
    sheet.text(
        (sheet.size.0 - 4 * PT, y),
        &format!("{reached}/{of}"),
        TICK,
        INK,
        HPos::Right,
        VPos::Center,
    );
}

fn numbers(rows: &[Row]) -> Vec<Vec<String>> {
    let header = "strategy plan replicate reached compute_saving sunk_saving six_nd_saving \
                  token_saving wall_saving";
    let mut table = vec![header.split(' ').map(str::to_owned).collect()];
    for row in rows {
        for saving in &row.comparison.savings {
            let place = [
                row.arm.to_owned(),
                saving.plan.to_string(),
                saving.replicate.to_string(),
                saving.reached.to_string(),
            ];
            let numbers = [saving.compute, saving.sunk, saving.six_nd, saving.tokens, saving.wall];
            table.push(place.into_iter().chain(numbers.map(|number| number.to_string())).collect());
        }
    }
    table
}
