//! Validation loss against a cost: tokens, training FLOPs, or wall time.

use super::{
    chart::{Chart, Scale, Series, View, panels},
    common::{
        MOST_THIN, cells, cost_unit, divisor, extent, header, in_unit, looks, mean_rows, spread,
    },
    figure::Figure,
};
use crate::{analysis::Analysis, curves::Beyond, runs::Cost, unit::LossUnit};

/// Share of an arm's cost from which on its end is drawn larger.
const END: f64 = 0.6;
/// Share of the longest arm's cost before which the end does not begin.
const LEAST: f64 = 0.2;

/// Room for intervals below the means, as a share of theirs.
const ENDS: f64 = 0.4;
/// Share of the longest arm's cost after which the steep beginning is over.
const BEGUN: f64 = 0.1;

/// The figure; none where no trial has two evaluations.
pub fn figure(analysis: &Analysis, cost: Cost) -> Option<Figure> {
    let arms = || analysis.strategies.iter();
    let mut series: Vec<Series> = arms()
        .zip(looks(analysis))
        .map(|(strategy, (_, look))| Series {
            growths: strategy.growth_costs(cost),
            ..Series::new(strategy, look, strategy.mean_curve(cost))
        })
        .collect();
    let beyond: Vec<Vec<Beyond>> = arms().map(|strategy| strategy.beyond(cost)).collect();
    let rows = numbers(&series, &beyond);
    let is_thin = beyond.iter().map(Vec::len).sum::<usize>() <= MOST_THIN;
    for (one, beyond) in series.iter_mut().zip(&beyond).filter(|_| is_thin) {
        one.thin = beyond.iter().map(|trial| trial.curve.clone()).collect();
    }
    let unit = cost_unit(cost, costs(&series)?[1]);
    let curves = series.len();
    let chart = chart(in_unit(series, divisor(cost, unit)), unit.1, analysis.unit)?;
    let (name, what) = names(cost);
    let plans = analysis.strategies.iter().any(|strategy| strategy.plans > 1);
    let plans = if plans { ", the plans of a strategy averaged within each seed" } else { "" };
    let caption = format!(
        "Validation loss against {what}: {}{plans}. {}{}{}{}",
        spread(analysis, curves),
        if super::chart::is_split(curves) {
            "The vertical axis is logarithmic and begins where a tenth of the training is over; a \
             dotted line is a growth."
        } else {
            "The second view is the end of training, on linear axes."
        },
        panels(curves),
        ends(&beyond, is_thin),
        chart.cut()
    );
    Some(Figure::new(name, caption, rows, |column| chart.draw(column)))
}

fn names(cost: Cost) -> (&'static str, &'static str) {
    match cost {
        Cost::Tokens => ("loss_vs_tokens", "training tokens"),
        Cost::TrainFlops | Cost::SunkFlops | Cost::SixNd => {
            ("loss_vs_flops", "training compute (forward and backward, a multiply-add counts 2)")
        }
        Cost::WallSeconds => {
            ("loss_vs_wall_time", "training time (without evaluation and checkpoints)")
        }
    }
}

/// How mean curves end, where trials have different lengths.
fn ends(beyond: &[Vec<Beyond>], is_thin: bool) -> &'static str {
    match (beyond.iter().all(Vec::is_empty), is_thin) {
        (true, _) => "",
        (false, true) => {
            " A mean curve ends where the first of its trials ends; from there on the others are \
             thin lines."
        }
        (false, false) => {
            " A mean curve ends where the first of its trials ends; the others are with the data."
        }
    }
}

fn points(series: &[Series]) -> impl Iterator<Item = (f64, f64)> {
    let means = series.iter().flat_map(|one| one.mean.iter().map(|(x, y)| (*x, y.mean)));
    means.chain(series.iter().flat_map(|one| one.thin.iter().flatten().copied()))
}

fn costs(series: &[Series]) -> Option<[f64; 2]> {
    extent(points(series).map(|(x, _)| x))
}

/// The whole, both axes logarithmic; and the end, both linear.
fn chart(series: Vec<Series>, x_name: &str, unit: LossUnit) -> Option<Chart> {
    let [x0, x1] = costs(&series)?;
    let means = series.iter().flat_map(|one| one.mean.iter().map(|(_, y)| y.mean));
    // What goes beyond the means, such as a trial that diverges, would press all else together.
    let [_, highest] = extent(means).or_else(|| extent(points(&series).map(|(_, y)| y)))?;
    let [lowest, _] = extent(points(&series).map(|(_, y)| y))?;
    // Each curve has its own end.
    let late: Vec<f64> = series.iter().flat_map(late).collect();
    let [low, high] = extent(late.into_iter()).unwrap_or([lowest, highest]);
    let (low, high) = (low.max(lowest), high.min(highest));
    // The intervals at the ends are in sight, too, if the means keep most of the room.
    let ends = series.iter().filter_map(|one| one.mean.last()?.1.bounds).map(|both| both[0]);
    let low = ends.fold(low, f64::min).max(low - ENDS * (high - low));
    let whole = View { x: Scale::Log(x0, x1), y: Scale::Log(lowest, highest) };
    // From where the end of every arm is in sight, if that is not nearly the whole.
    let ends = series.iter().filter_map(|one| one.mean.last().map(|point| point.0));
    let first_end = extent(ends).map_or(x1, |[first, _]| first);
    let from = (END * first_end).max(LEAST * x1);
    // Panels have the whole of it, but for the steep beginning.
    let begun = |one: &Series| {
        let late = one.mean.iter().filter(|(x, _)| *x >= BEGUN * x1);
        late.map(|(_, y)| y.mean).collect::<Vec<_>>()
    };
    let begun = extent(series.iter().flat_map(begun)).map_or(highest, |[_, most]| most);
    let panel = View { x: Scale::Exact(x0.min(0.0), x1), y: Scale::Log(lowest, begun) };
    let end = View { x: Scale::Linear(from, x1), y: Scale::Linear(low, high) };
    Some(Chart {
        series,
        views: vec![whole, end],
        panel: Some(panel),
        x_name: x_name.to_owned(),
        y_name: unit.of_loss("Validation loss"),
        x_ticks: vec![],
        across: None,
        up: None,
    })
}

/// The losses at the end of an arm's curve.
fn late(series: &Series) -> Vec<f64> {
    let last = series.mean.last().map_or(0.0, |(x, _)| *x);
    series.mean.iter().filter(|(x, _)| *x >= END * last).map(|(_, y)| y.mean).collect()
}

fn numbers(series: &[Series], beyond: &[Vec<Beyond>]) -> Vec<Vec<String>> {
    let mut rows = header("strategy cost loss low high n trial");
    for (one, beyond) in series.iter().zip(beyond) {
        let means = mean_rows(std::slice::from_ref(one)).into_iter();
        rows.extend(means.map(|row| [row, vec![String::new()]].concat()));
        for Beyond { plan, replicate, curve } in beyond {
            let trial = format!("plan {plan}, seed {replicate}");
            rows.extend(curve.iter().map(|(x, y)| {
                let none = String::new;
                let (x, y) = (x.to_string(), y.to_string());
                cells([one.arm.clone(), x, y, none(), none(), "1".into(), trial.clone()])
            }));
        }
    }
    rows
}
