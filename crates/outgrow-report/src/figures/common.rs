//! What several figures have in common.

use plotters::style::RGBColor;

use super::{
    chart::{Series, intervals},
    measures::PT,
    style::{self, Look},
};
use crate::{analysis::Analysis, interval::Interval, runs::Cost, tested::Tested};

/// Names and looks of the strategies, in their order.
pub fn looks(analysis: &Analysis) -> Vec<(String, Look)> {
    // Black is the control's, whether there is one or not.
    let first = usize::from(analysis.control.is_none());
    let named = (first..).zip(&analysis.strategies);
    named.map(|(number, strategy)| (strategy.shown.clone(), style::strategy(number))).collect()
}

/// How a strategy's curve looks in every figure, as a style sheet says it.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveLook {
    /// `#0072b2`.
    pub color: String,
    /// Lengths of its dashes and gaps in pt; none for a line without gaps.
    pub dash: Vec<f64>,
}

/// The looks of the strategies, in their order, for whoever draws their curves elsewhere.
pub fn curve_looks(analysis: &Analysis) -> Vec<CurveLook> {
    let css = |(_, look): (String, Look)| {
        let RGBColor(red, green, blue) = look.color;
        let lengths = look.dash.split_whitespace().filter_map(|length| length.parse::<f64>().ok());
        CurveLook {
            color: format!("#{red:02x}{green:02x}{blue:02x}"),
            dash: lengths.map(|length| length / f64::from(PT)).collect(),
        }
    };
    looks(analysis).into_iter().map(css).collect()
}

/// Trials of which each has a thin line of its own; with more of them, lines would only hide each
/// other.
pub const MOST_THIN: usize = 150;
/// The curves with costs in another unit.
pub fn in_unit(mut series: Vec<Series>, by: f64) -> Vec<Series> {
    for one in &mut series {
        one.mean.iter_mut().for_each(|(x, _)| *x /= by);
        one.thin.iter_mut().flatten().for_each(|(x, _)| *x /= by);
        one.marks.iter_mut().for_each(|mark| mark.at.0 /= by);
        one.growths.iter_mut().for_each(|x| *x /= by);
    }
    series
}

/// The lowest and the highest of some values; none of none.
pub fn extent(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.fold(None, |extent, value| {
        let [low, high] = extent.unwrap_or([value, value]);
        Some([value.min(low), value.max(high)])
    })
}

/// Rows of mean curves: the arm, the place, the mean, its bounds, the number of seeds.
pub fn mean_rows(series: &[Series]) -> Vec<Vec<String>> {
    let row = |one: &Series, (x, y): &(f64, Interval)| {
        let bound = |i: usize| y.bounds.map_or_else(String::new, |b| b[i].to_string());
        cells([
            one.arm.clone(),
            x.to_string(),
            y.mean.to_string(),
            bound(0),
            bound(1),
            y.n.to_string(),
        ])
    };
    series.iter().flat_map(|one| one.mean.iter().map(move |point| row(one, point))).collect()
}

/// A header of names between spaces.
pub fn header(names: &str) -> Vec<Vec<String>> {
    vec![names.split(' ').map(str::to_owned).collect()]
}

/// "mean over n = 3 seeds, bands are 95 % Student-t intervals", for so many curves.
pub fn spread(analysis: &Analysis, curves: usize) -> String {
    let seeds = analysis.strategies.iter().map(|strategy| strategy.seeds);
    let (least, most) = (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0));
    let n = if least == most { format!("n = {most}") } else { format!("n = {least} to {most}") };
    match most {
        0 | 1 => format!("{n} seed, so no spread is shown"),
        _ => format!(
            "mean over {n} seeds, {} 95 % Student-t intervals over seeds",
            intervals(curves)
        ),
    }
}

/// A unit for large numbers: what to divide by, and its name.
fn unit(largest: f64, units: &[(f64, &'static str)]) -> (f64, &'static str) {
    units.iter().rev().find(|(size, _)| largest >= *size).copied().unwrap_or(units[0])
}

/// Units of an axis.
pub fn cost_unit(cost: Cost, largest: f64) -> (f64, &'static str) {
    match cost {
        Cost::Tokens => unit(
            largest,
            &[
                (1.0, "Training tokens"),
                (1e3, "Training tokens (thousands)"),
                (1e6, "Training tokens (millions)"),
                (1e9, "Training tokens (billions)"),
            ],
        ),
        Cost::TrainFlops | Cost::SunkFlops | Cost::SixNd => unit(
            largest,
            &[
                (1.0, "Training compute (FLOP)"),
                (1e9, "Training compute (GFLOP)"),
                (1e12, "Training compute (TFLOP)"),
                (1e15, "Training compute (PFLOP)"),
                (1e18, "Training compute (EFLOP)"),
            ],
        ),
        Cost::WallSeconds => unit(
            largest,
            &[
                (1.0, "Training time (s)"),
                (600.0, "Training time (min)"),
                (36_000.0, "Training time (h)"),
            ],
        ),
    }
}

/// What an axis of this unit divides by.
pub fn divisor(cost: Cost, (size, _): (f64, &'static str)) -> f64 {
    match (cost, size) {
        (Cost::WallSeconds, 600.0) => 60.0,
        (Cost::WallSeconds, 36_000.0) => 3600.0,
        _ => size,
    }
}

/// A mean with its interval and its test, each for itself and corrected; how many seeds it is of.
pub fn tested_cells(tested: &Tested) -> Vec<String> {
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let bound = |of: &Interval, i: usize| text(of.bounds.map(|both| both[i]));
    cells([
        tested.value.mean.to_string(),
        bound(&tested.value, 0),
        bound(&tested.value, 1),
        bound(&tested.corrected, 0),
        bound(&tested.corrected, 1),
        text(tested.p),
        text(tested.p_corrected),
        tested.value.n.to_string(),
    ])
}

/// Numbers of a row.
pub fn cells<const N: usize>(values: [String; N]) -> Vec<String> {
    values.into()
}
