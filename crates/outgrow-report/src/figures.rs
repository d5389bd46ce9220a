//! The figures: one small file each.

mod around_growth;
mod axis_when;
mod compute_saving;
mod final_loss;
mod iso_flop_gap;
mod loss;
mod saving_by_target;
mod timeline;

use crate::{
    Interval,
    analysis::{Analysis, Cost},
    sheet::{Column, Plot},
    style::{self, Look},
};

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
    pub(crate) fn new(
        name: &'static str,
        caption: String,
        numbers: Vec<Vec<String>>,
        draw: impl Fn(Column) -> crate::sheet::Sheet,
    ) -> Self {
        let svgs = Column::ALL.map(|column| (column, draw(column).finish(name, &caption)));
        Self { name, caption, svgs: svgs.into(), numbers }
    }
}

/// Every figure that the sweep has rows for. Each says it where what it shows is not the whole.
pub fn all(analysis: &Analysis) -> Vec<Figure> {
    let mut figures: Vec<Figure> = [Cost::Tokens, Cost::TrainFlops, Cost::WallSeconds]
        .into_iter()
        .filter_map(|cost| loss::figure(analysis, cost))
        .collect();
    figures.extend(timeline::figure(analysis));
    figures.extend(around_growth::figure(analysis));
    figures.extend(final_loss::figure(analysis));
    figures.extend(compute_saving::figure(analysis));
    figures.extend(saving_by_target::figure(analysis));
    figures.extend(iso_flop_gap::figure(analysis));
    figures.extend(axis_when::figure(analysis));
    for figure in &mut figures {
        figure.caption = [analysis.note(), Some(figure.caption.clone())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
    }
    figures
}

/// Names and looks of the strategies, in their order.
fn looks(analysis: &Analysis) -> Vec<(String, Look)> {
    let named = analysis.strategies.iter().enumerate();
    named.map(|(number, strategy)| (strategy.name.clone(), style::strategy(number))).collect()
}

/// Trials of which each has a thin line of its own; with more of them, lines would only hide each
/// other.
const MOST_THIN: usize = 150;
/// So many curves are drawn with bands; more bands than that hide one another and the lines.
const BANDS: usize = 9;

/// Means over seeds as lines, above their intervals as bands; `by` is the unit of their costs.
fn curves<'a>(
    plot: &Plot,
    by: f64,
    curves: impl Iterator<Item = (Look, &'a [(f64, Interval)])> + Clone,
) {
    if curves.clone().count() <= BANDS {
        for (look, curve) in curves.clone() {
            let band: Vec<_> =
                curve.iter().filter_map(|(x, y)| Some((x / by, y.bounds?))).collect();
            plot.band(&band, look);
        }
    }
    for (look, curve) in curves {
        plot.series(&curve.iter().map(|(x, y)| (x / by, y.mean)).collect::<Vec<_>>(), look, 110);
    }
}

/// "mean over n = 3 seeds, bands are 95 % Student-t intervals", of so many curves.
fn spread(analysis: &Analysis, curves: usize) -> String {
    let seeds = analysis.strategies.iter().map(|strategy| strategy.seeds);
    let (least, most) = (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0));
    let n = if least == most { format!("n = {most}") } else { format!("n = {least} to {most}") };
    match most {
        0 | 1 => format!("{n} seed, so no spread is shown"),
        _ if curves <= BANDS => {
            format!("mean over {n} seeds, bands are 95 % Student-t intervals over seeds")
        }
        _ => format!(
            "mean over {n} seeds (so many curves are drawn without their intervals, which are with the data)"
        ),
    }
}

/// A unit for large numbers: what to divide by, and its name.
fn unit(largest: f64, units: &[(f64, &'static str)]) -> (f64, &'static str) {
    units.iter().rev().find(|(size, _)| largest >= *size).copied().unwrap_or(units[0])
}

/// Units of an axis.
fn cost_unit(cost: Cost, largest: f64) -> (f64, &'static str) {
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
fn divisor(cost: Cost, (size, _): (f64, &'static str)) -> f64 {
    match (cost, size) {
        (Cost::WallSeconds, 600.0) => 60.0,
        (Cost::WallSeconds, 36_000.0) => 3600.0,
        _ => size,
    }
}

/// Numbers of a row.
fn cells<const N: usize>(values: [String; N]) -> Vec<String> {
    values.into()
}
