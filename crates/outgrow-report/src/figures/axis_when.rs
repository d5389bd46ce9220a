//! Which axis to grow when: the saving of the trials that grew an axis in a stretch of their
//! training.

use outgrow_core::growth::TransformKind;
use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};

use super::{Figure, cells};
use crate::{
    analysis::Analysis,
    font,
    sheet::{Column, PT, Sheet, TICK},
    style::{GREY, INK},
};

/// Stretches of a trial.
const STRETCHES: usize = 10;
const ROW: i32 = 20 * PT;
/// The two ends of the scale, through white: colours that colour-blind eyes tell apart.
const ENDS: [RGBColor; 2] = [RGBColor(213, 94, 0), RGBColor(0, 114, 178)];

/// One cell: how many trials grew that axis there, and their mean saving.
type Cell = (usize, f64);

/// The figure; none where all growing trials grew the same axes at the same places, so that there
/// is nothing to compare.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let cells = table(analysis);
    let filled = cells.iter().flatten().filter(|cell| cell.0 > 0);
    let all: Vec<f64> = savings(analysis).collect();
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let widest = filled.clone().map(|cell| (cell.1 - mean).abs()).reduce(f64::max)?;
    if filled.count() < 4 || widest == 0.0 {
        return None;
    }
    let caption = format!(
        "Compute saved (%) by the trials that grew an axis in that stretch of their training; colour is the difference to the mean \
         over all {} growing trials ({:.0} %), the small number how many there are. What is grown where is not independent of \
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
        let Some(comparison) = &strategy.comparison else { continue };
        for saving in &comparison.savings {
            let own = |run: &&crate::analysis::Run| {
                (run.plan, run.replicate) == (saving.plan, saving.replicate)
            };
            let Some(run) = strategy.complete().find(own) else { continue };
            let mut counted = vec![[false; STRETCHES]; TransformKind::ALL.len()];
            for (tokens, axes) in &run.growths {
                // A growth stands at the step nearest to its place, perhaps just before it.
                let place = tokens / run.last().tokens * STRETCHES as f64 + 0.05;
                let stretch = (place as usize).min(STRETCHES - 1);
                for axis in axes {
                    let row = TransformKind::ALL
                        .iter()
                        .position(|kind| kind == axis)
                        .expect("ALL has all");
                    if !std::mem::replace(&mut counted[row][stretch], true) {
                        sums[row][stretch].0 += 1;
                        sums[row][stretch].1 += saving.compute;
                    }
                }
            }
        }
    }
    sums.into_iter()
        .map(|row| row.into_iter().map(|(n, sum): Cell| (n, sum / n.max(1) as f64)).collect())
        .collect()
}

fn draw(cells: &[Vec<Cell>], mean: f64, widest: f64, column: Column) -> Sheet {
    let left =
        TransformKind::ALL.iter().map(|kind| font::width(kind.axis(), TICK)).max().unwrap_or(0)
            + 12 * PT;
    let (top, height) = (8 * PT, cells.len() as i32 * ROW);
    let sheet = Sheet::new(column.width(), top + height + 32 * PT);
    let width = (sheet.size.0 - left - 8 * PT) / STRETCHES as i32;
    for (row, (kind, line)) in TransformKind::ALL.iter().zip(cells).enumerate() {
        let y = top + row as i32 * ROW;
        sheet.text((left - 5 * PT, y + ROW / 2), kind.axis(), TICK, INK, HPos::Right, VPos::Center);
        for (stretch, &(n, saving)) in line.iter().enumerate() {
            let x = left + stretch as i32 * width;
            let frame = [(x, y), (x + width, y), (x + width, y + ROW), (x, y + ROW), (x, y)];
            if n > 0 {
                let off = (saving - mean) / widest;
                sheet.fill(frame[..4].to_vec(), ENDS[usize::from(off > 0.0)], 0.75 * off.abs());
                let middle = x + width / 2;
                sheet.text(
                    (middle, y + 7 * PT),
                    &format!("{:.0}", 100.0 * saving),
                    TICK,
                    INK,
                    HPos::Center,
                    VPos::Center,
                );
                sheet.text(
                    (middle, y + 15 * PT),
                    &n.to_string(),
                    5 * PT,
                    INK,
                    HPos::Center,
                    VPos::Center,
                );
            }
            sheet.line(frame, GREY, 30, "");
        }
    }
    let bottom = top + height;
    for tick in (0..=STRETCHES).step_by(2) {
        let x = left + tick as i32 * width;
        sheet.text(
            (x, bottom + 4 * PT),
            &format!("{}", 100 * tick / STRETCHES),
            TICK,
            INK,
            HPos::Center,
            VPos::Top,
        );
    }
    let middle = left + STRETCHES as i32 * width / 2;
    sheet.text(
        (middle, bottom + 16 * PT),
        "Grown at (% of the trial's tokens)",
        crate::sheet::LABEL,
        INK,
        HPos::Center,
        VPos::Top,
    );
    sheet
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
