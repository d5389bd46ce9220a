//! Which axis to grow when: the saving of the trials that grew an axis in a stretch of their
//! training.

use std::collections::BTreeSet;

use outgrow_core::growth::TransformKind;
use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};

use super::{
    common::cells,
    figure::Figure,
    font,
    measures::{At, Column, LABEL, PT, TICK},
    sheet::Sheet,
    style::{GREY, INK},
};
use crate::{
    analysis::Analysis,
    runs::{Event, Run},
};

/// Stretches of a trial.
const STRETCHES: usize = 10;
/// Random plans without which a cell would be one strategy or two.
const LEAST: usize = 20;
const ROW: i32 = 20 * PT;
/// The two ends of the scale, through white: colours that colour-blind eyes tell apart.
const ENDS: [RGBColor; 2] = [RGBColor(213, 94, 0), RGBColor(0, 114, 178)];

/// One cell: how many trials grew that axis there, and their mean saving.
type Cell = (usize, f64);

/// The figure; none where few plans are random, or all growing trials grew the same axes at the
/// same places, so that there is nothing to compare.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let random = analysis.grown().filter(|strategy| strategy.is_random);
    if random.map(|strategy| strategy.plans).sum::<usize>() < LEAST {
        return None;
    }
    let cells = table(analysis);
    let filled = cells.iter().flatten().filter(|cell| cell.0 > 0);
    let all: Vec<f64> = savings(analysis).collect();
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let widest = filled.clone().map(|cell| (cell.1 - mean).abs()).reduce(f64::max)?;
    if filled.count() < 4 || widest == 0.0 {
        return None;
    }
    let caption = format!(
        "Compute saved (%) by the trials that grew an axis in that stretch of their training; \
         colour is the difference to the mean \
         over all {} growing trials ({:.0} %), the small number how many there are. What is grown \
         where is not independent of \
         what else a plan does: read it as a pointer to an experiment.",
        all.len(),
        100.0 * mean
    );
    Some(Figure::new("axis_when", caption, numbers(&cells), |column| {
        draw(&cells, mean, widest, column)
    }))
}

fn savings(analysis: &Analysis) -> impl Iterator<Item = f64> {
    analysis
        .grown()
        .filter_map(|s| s.comparison.as_ref())
        .flat_map(|c| c.savings.iter().map(|s| s.compute))
}

fn table(analysis: &Analysis) -> Vec<Vec<Cell>> {
    let mut sums = vec![vec![(0, 0.0); STRETCHES]; TransformKind::ALL.len()];
    for strategy in analysis.grown() {
        for saving in strategy.comparison.iter().flat_map(|comparison| &comparison.savings) {
            let own = |run: &&Run| (run.plan, run.replicate) == (saving.plan, saving.replicate);
            let Some(run) = strategy.complete().find(own) else { continue };
            for (row, stretch) in places(run) {
                let cell: &mut Cell = &mut sums[row][stretch];
                *cell = (cell.0 + 1, cell.1 + saving.compute);
            }
        }
    }
    let mean = |(n, sum): Cell| (n, sum / n.max(1) as f64);
    sums.into_iter().map(|row| row.into_iter().map(mean).collect()).collect()
}

/// The cells that a trial counts in: which axis it grew in which stretch, each once.
fn places(run: &Run) -> BTreeSet<(usize, usize)> {
    let row = |axis| TransformKind::ALL.iter().position(|kind| kind == axis).expect("ALL has all");
    let all = run.growths.iter().flat_map(|Event { tokens, axes, .. }| {
        // A growth stands at the step nearest to its place, perhaps just before it.
        let place = tokens / run.last().tokens * STRETCHES as f64 + 0.05;
        let stretch = (place as usize).min(STRETCHES - 1);
        axes.iter().map(move |axis| (row(axis), stretch))
    });
    all.collect()
}

fn draw(cells: &[Vec<Cell>], mean: f64, widest: f64, column: Column) -> Sheet {
    let names = TransformKind::ALL.iter().map(|kind| font::width(kind.axis(), TICK));
    let left = names.max().unwrap_or(0) + 12 * PT;
    let (top, height) = (8 * PT, cells.len() as i32 * ROW);
    let sheet = Sheet::new(column.width(), top + height + 50 * PT);
    let width = (sheet.size.0 - left - 8 * PT) / STRETCHES as i32;
    for (row, (kind, line)) in TransformKind::ALL.iter().zip(cells).enumerate() {
        let y = top + row as i32 * ROW;
        sheet.text((left - 5 * PT, y + ROW / 2), kind.axis(), TICK, INK, HPos::Right, VPos::Center);
        for (stretch, cell) in line.iter().enumerate() {
            draw_cell(&sheet, (left + stretch as i32 * width, y), width, cell, mean, widest);
        }
    }
    draw_axis(&sheet, left, width, top + height);
    draw_scale(&sheet, [left, left + STRETCHES as i32 * width], mean, widest);
    sheet
}

fn draw_cell(sheet: &Sheet, (x, y): At, width: i32, cell: &Cell, mean: f64, widest: f64) {
    let frame = [(x, y), (x + width, y), (x + width, y + ROW), (x, y + ROW), (x, y)];
    let &(n, saving) = cell;
    if n > 0 {
        let off = (saving - mean) / widest;
        sheet.fill(frame[..4].to_vec(), ENDS[usize::from(off > 0.0)], 0.75 * off.abs());
        let text = |down: i32, text: &str, size: i32| {
            sheet.text((x + width / 2, y + down), text, size, INK, HPos::Center, VPos::Center);
        };
        text(7 * PT, &format!("{:.0}", 100.0 * saving), TICK);
        text(15 * PT, &n.to_string(), 5 * PT);
    }
    sheet.line(frame, GREY, 30, "");
}

fn draw_axis(sheet: &Sheet, left: i32, width: i32, bottom: i32) {
    let text = |x: i32, down: i32, text: &str, size: i32| {
        sheet.text((x, bottom + down), text, size, INK, HPos::Center, VPos::Top);
    };
    for tick in (0..=STRETCHES).step_by(2) {
        text(left + tick as i32 * width, 4 * PT, &format!("{}", 100 * tick / STRETCHES), TICK);
    }
    let middle = left + STRETCHES as i32 * width / 2;
    text(middle, 16 * PT, "Grown at (% of the trial's tokens)", LABEL);
}

/// What the colours mean, below the axis.
fn draw_scale(sheet: &Sheet, [from, to]: [i32; 2], mean: f64, widest: f64) {
    const STEPS: i32 = 21;
    let (top, bottom) = (sheet.size.1 - 18 * PT, sheet.size.1 - 11 * PT);
    let (from, width) = (from + (to - from) / 4, (to - from) / 2 / STEPS);
    for step in 0..STEPS {
        let off = f64::from(2 * step) / f64::from(STEPS - 1) - 1.0;
        let (x0, x1) = (from + step * width, from + (step + 1) * width);
        let corners = [(x0, top), (x1, top), (x1, bottom), (x0, bottom)];
        sheet.fill(corners, ENDS[usize::from(off > 0.0)], 0.75 * off.abs());
    }
    for (step, off) in [(0, -1.0), (STEPS / 2, 0.0), (STEPS - 1, 1.0)] {
        let text = format!("{:.0} %", 100.0 * (mean + off * widest));
        let at = (from + step * width + width / 2, bottom + 3 * PT);
        sheet.text(at, &text, TICK, INK, HPos::Center, VPos::Top);
    }
}

fn numbers(table: &[Vec<Cell>]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["axis", "from_share", "to_share", "trials", "mean_compute_saving"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (kind, line) in TransformKind::ALL.iter().zip(table) {
        for (stretch, (n, saving)) in line.iter().enumerate().filter(|(_, cell)| cell.0 > 0) {
            let share = |n: usize| (n as f64 / STRETCHES as f64).to_string();
            rows.push(cells([
                kind.axis().into(),
                share(stretch),
                share(stretch + 1),
                n.to_string(),
                saving.to_string(),
            ]));
        }
    }
    rows
}
