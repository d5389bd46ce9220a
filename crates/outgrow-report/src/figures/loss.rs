//! Validation loss against a cost: tokens, training FLOPs, or wall time.

use super::{Figure, cells, cost_unit, divisor, looks, spread};
use crate::{
    Interval,
    analysis::{Analysis, Cost},
    axis::Axis,
    sheet::{Column, PT, Sample, Sheet},
};

type Curve = Vec<(f64, Interval)>;

/// The figure; none where no strategy has two evaluations.
pub fn figure(analysis: &Analysis, cost: Cost) -> Option<Figure> {
    let curves: Vec<Curve> = analysis.strategies.iter().map(|strategy| strategy.mean_curve(cost)).collect();
    let xs = || curves.iter().flatten().map(|(x, _)| *x);
    let largest = xs().reduce(f64::max)?;
    let unit = cost_unit(cost, largest);
    let by = divisor(cost, unit);
    let scaled: Vec<Curve> = curves.iter().map(|curve| curve.iter().map(|(x, y)| (x / by, *y)).collect()).collect();
    let (name, what) = match cost {
        Cost::Tokens => ("loss_vs_tokens", "training tokens"),
        Cost::TrainFlops | Cost::SunkFlops | Cost::SixNd => {
            ("loss_vs_flops", "training compute (forward and backward, a multiply-add counts 2)")
        }
        Cost::WallSeconds => ("loss_vs_wall_time", "training time (without evaluation and checkpoints)"),
    };
    let plans = analysis.strategies.iter().any(|strategy| strategy.plans > 1);
    let plans = if plans { ", the plans of a strategy averaged within each seed" } else { "" };
    let caption = format!("Validation loss against {what}: {}{plans}.", spread(analysis, curves.len()));
    Some(Figure::new(name, caption, numbers(analysis, &curves), |column| draw(analysis, &scaled, unit.1, column)))
}

fn draw(analysis: &Analysis, curves: &[Curve], name: &str, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let top = sheet.legend(8 * PT, &looks(analysis), Sample::Line);
    let (xs, losses) = (curves.iter().flatten().map(|(x, _)| *x), curves.iter().flatten().map(|(_, y)| y.mean));
    let bounds =
        |values: &mut dyn Iterator<Item = f64>| values.fold((f64::INFINITY, 0.0), |(a, b), v| (v.min(a), v.max(b)));
    let ((x0, x1), (y0, y1)) = (bounds(&mut xs.into_iter()), bounds(&mut losses.into_iter()));
    let (x, y) = (Axis::log(x0, x1, column.labels()), Axis::log(y0, y1, 7));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    super::curves(&plot, 1.0, looks(analysis).iter().zip(curves).map(|((_, look), curve)| (*look, curve.as_slice())));
    plot.horizontal_axis(name);
    plot.vertical_axis("Validation loss (nats)");
    sheet
}

fn numbers(analysis: &Analysis, curves: &[Curve]) -> Vec<Vec<String>> {
    let mut rows = vec![["strategy", "cost", "loss", "low", "high", "n"].map(str::to_owned).to_vec()];
    for (strategy, curve) in analysis.strategies.iter().zip(curves) {
        for (x, y) in curve {
            let bound = |i: usize| y.bounds.map_or_else(String::new, |b| b[i].to_string());
            rows.push(cells([
                strategy.name.clone(),
                x.to_string(),
                y.mean.to_string(),
                bound(0),
                bound(1),
                y.n.to_string(),
            ]));
        }
    }
    rows
}
