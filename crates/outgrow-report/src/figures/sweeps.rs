//! The arms of two sweeps beside each other.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::{cells, extent, header},
    figure::Figure,
    font,
    measures::{Column, PT, TICK},
    sheet::{Plot, Sample, Sheet},
    style::{self, GREY, INK, Look},
};
use crate::{
    interval::Interval,
    pair::{Pair, PairArm},
    unit::LossUnit,
};

const ROW: i32 = 18 * PT;

/// The figures of two sweeps: final losses, and their differences.
pub fn of_sweeps(pair: &Pair) -> Vec<Figure> {
    let arms: Vec<&PairArm> = pair
        .arms
        .iter()
        .filter(|arm| arm.sides.iter().flatten().any(|s| s.final_loss.is_some()))
        .collect();
    let mut figures = vec![];
    if !arms.is_empty() {
        let caption = "Final validation loss of the arms of two sweeps, each at the best of its \
                       learning rates there: means over seeds with 95 % Student-t intervals.";
        figures.push(Figure::new("final_losses", caption.into(), numbers(&arms), |column| {
            losses(pair, &arms, column)
        }));
    }
    let both: Vec<&PairArm> = arms.into_iter().filter(|arm| arm.difference().is_some()).collect();
    if !both.is_empty() {
        let kind = match pair.is_paired() {
            true => "paired by seed, intervals corrected (Holm) for the number of arms",
            false => "not paired, Welch's intervals corrected (Holm) for the number of arms",
        };
        let caption = format!(
            "Final validation loss in B minus that in A, {kind}. Left of 0, B ends at a lower loss."
        );
        figures.push(Figure::new("differences", caption, numbers(&both), |column| {
            differences(&both, pair.unit, column)
        }));
    }
    figures
}

fn looks() -> [Look; 2] {
    [1, 2].map(|number| Look { dash: "", ..style::strategy(number) })
}

fn loss(arm: &PairArm, side: usize) -> Option<Interval> {
    arm.sides[side].as_ref()?.final_loss
}

/// The room for the names of some arms.
fn left(arms: &[&PairArm]) -> i32 {
    let names = arms.iter().map(|arm| font::width(&font::label(&arm.shown), TICK));
    names.max().unwrap_or(0) + 12 * PT
}

/// A sheet with a row for each arm, its name at the left.
fn rows(arms: &[&PairArm], top: i32, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), top + arms.len() as i32 * ROW + 28 * PT);
    for (row, arm) in (0..).zip(arms) {
        let at = (left(arms) - 6 * PT, top + row * ROW + ROW / 2);
        sheet.text(at, &font::label(&arm.shown), TICK, INK, HPos::Right, VPos::Center);
    }
    sheet
}

/// The plot beside the names, wide enough for some values.
fn plot<'a>(
    sheet: &'a Sheet,
    arms: &[&PairArm],
    top: i32,
    values: impl Iterator<Item = Interval>,
    labels: usize,
) -> Plot<'a> {
    let ends = values.flat_map(|value| value.bounds.unwrap_or([value.mean; 2]));
    let [low, high] = extent(ends).unwrap_or([0.0, 1.0]);
    let (x, y) = (Axis::linear(low, high, labels), Axis::exact(0.0, 1.0, 2));
    let bottom = top + arms.len() as i32 * ROW;
    sheet.plot(left(arms)..sheet.size.0 - 8 * PT, top..bottom, x, y)
}

fn bar(sheet: &Sheet, plot: &Plot, y: i32, value: &Interval, look: Look) {
    let across = |value: f64| plot.at(value, 0.0).0;
    if let Some([low, high]) = value.bounds {
        sheet.line([(across(low), y), (across(high), y)], look.color, 110, "");
    }
    sheet.marker((across(value.mean), y), look, 240, 1.0);
}

fn losses(pair: &Pair, arms: &[&PairArm], column: Column) -> Sheet {
    let names = [0, 1].map(|side| format!("{}: {}", ["A", "B"][side], pair.names[side]));
    let legend: Vec<_> = names.into_iter().zip(looks()).collect();
    let top = Sheet::new(column.width(), PT).legend(8 * PT, &legend, Sample::Marker);
    let values = arms.iter().flat_map(|arm| [loss(arm, 0), loss(arm, 1)]).flatten();
    let sheet = rows(arms, top, column);
    sheet.legend(8 * PT, &legend, Sample::Marker);
    let plot = plot(&sheet, arms, top, values, column.labels() - 2);
    for (row, arm) in (0..).zip(arms) {
        for (side, look) in looks().into_iter().enumerate() {
            let y = top + row * ROW + ROW / 2 + [-3 * PT, 3 * PT][side];
            loss(arm, side).iter().for_each(|value| bar(&sheet, &plot, y, value, look));
        }
    }
    plot.horizontal_axis(&pair.unit.of_loss("Final validation loss"));
    drop(plot);
    sheet
}

fn differences(arms: &[&PairArm], unit: LossUnit, column: Column) -> Sheet {
    let zero = Interval { mean: 0.0, bounds: None, n: 0 };
    let values = arms.iter().filter_map(|arm| arm.difference()).chain([zero]);
    let top = 6 * PT;
    let sheet = rows(arms, top, column);
    let plot = plot(&sheet, arms, top, values, column.labels() - 2);
    let (x, bottom) = (plot.at(0.0, 0.0).0, top + arms.len() as i32 * ROW);
    sheet.line([(x, top), (x, bottom)], GREY, 50, "150 150");
    for (row, arm) in (0..).zip(arms) {
        let y = top + row * ROW + ROW / 2;
        arm.difference().iter().for_each(|value| bar(&sheet, &plot, y, value, looks()[1]));
    }
    plot.horizontal_axis(&unit.of_difference("Final loss, B − A"));
    drop(plot);
    sheet
}

fn numbers(arms: &[&PairArm]) -> Vec<Vec<String>> {
    let mut rows = header("strategy quantity value low high n");
    for arm in arms {
        let all = [("a", loss(arm, 0)), ("b", loss(arm, 1)), ("b_minus_a", arm.difference())];
        for (quantity, value) in all {
            let Some(value) = value else { continue };
            let n = if quantity == "b_minus_a" { arm.n() } else { None };
            let bound = |i: usize| value.bounds.map_or_else(String::new, |b| b[i].to_string());
            rows.push(cells([
                arm.strategy.clone(),
                quantity.into(),
                value.mean.to_string(),
                bound(0),
                bound(1),
                n.unwrap_or_else(|| value.n.to_string()),
            ]));
        }
    }
    rows
}
