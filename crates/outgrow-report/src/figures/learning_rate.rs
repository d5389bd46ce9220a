//! Final loss against the learning rate, arm by arm.

use super::{
    chart::{Chart, Mark, Scale, Series, View, panels},
    common::{cells, extent, header, in_unit, looks, spread},
    figure::Figure,
    font::RAISED,
    style::Look,
};
use crate::{
    analysis::Analysis,
    strategy::{Strategy, Tried},
    unit::LossUnit,
};

/// The figure; none where no arm was trained at several rates.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let arms = analysis.strategies.iter().zip(looks(analysis));
    let series: Vec<Series> = arms.map(|(strategy, (_, look))| line(strategy, look)).collect();
    if series.iter().all(|one| one.mean.len() < 2) {
        return None;
    }
    let edge: Vec<&Strategy> =
        analysis.strategies.iter().filter(|strategy| strategy.is_at_the_edge).collect();
    let curves = series.len();
    let rows = numbers(analysis);
    let chart = chart(series, analysis.unit)?;
    let caption = format!(
        "Final validation loss against the peak learning rate: {}. Large marks are the rates that \
         the arms are judged by.{}{}{}{}",
        spread(analysis, curves),
        match edge.len() {
            0 => String::new(),
            n => format!(
                " {n} of {} arms did best at the lowest or the highest rate, so a wider grid may \
                 change what is said of them.",
                analysis.strategies.len()
            ),
        },
        if analysis.strategies.iter().any(|s| !s.setting.is_empty()) {
            " Each arm is shown at the point of the grid that it is judged by; the table tuning \
             has all."
        } else {
            ""
        },
        panels(curves),
        chart.cut()
    );
    Some(Figure::new("loss_vs_learning_rate", caption, rows, |column| chart.draw(column)))
}

fn own(strategy: &Strategy) -> impl Iterator<Item = &Tried> {
    strategy.tuning.iter().filter(|tried| tried.setting == strategy.setting)
}

fn line(strategy: &Strategy, look: Look) -> Series {
    let mean = own(strategy).filter_map(|tried| Some((tried.learning_rate, tried.final_loss?)));
    let mut series = Series::new(strategy, look, mean.collect());
    series.marks = own(strategy)
        .filter_map(|tried| {
            let size = if tried.is_chosen { 260 } else { 120 };
            Some(Mark { at: (tried.learning_rate, tried.final_loss?.mean), size })
        })
        .collect();
    series
}

fn chart(series: Vec<Series>, unit: LossUnit) -> Option<Chart> {
    let (series, x_name) = in_powers(series);
    let points = || series.iter().flat_map(|one| one.mean.iter());
    let [x0, x1] = extent(points().map(|(x, _)| *x).filter(|rate| *rate > 0.0))?;
    let [y0, y1] = with_bounds(&series)?;
    let mut rates: Vec<f64> = points().map(|(x, _)| *x).filter(|rate| *rate > 0.0).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let view = View { x: Scale::Log(x0, x1), y: Scale::Linear(y0, y1) };
    Some(Chart {
        series,
        views: vec![view],
        panel: None,
        x_name,
        y_name: unit.of_loss("Final loss"),
        x_ticks: rates,
        across: None,
        up: None,
    })
}

/// Rates in units of a power of ten, which their numbers are short in, and the name of the axis.
fn in_powers(series: Vec<Series>) -> (Vec<Series>, String) {
    let rates = series.iter().flat_map(|one| one.mean.iter().map(|(rate, _)| *rate));
    let power = rates.fold(0.0, f64::max).log10().floor();
    if !power.is_finite() || power >= -1.0 {
        return (series, "Peak learning rate".into());
    }
    let name = format!("Peak learning rate (10{}\u{2212}{}{})", RAISED[0], -power, RAISED[1]);
    (in_unit(series, 10f64.powf(power)), name)
}

/// The range of the means, and of the intervals as far as they leave the means their room.
fn with_bounds(series: &[Series]) -> Option<[f64; 2]> {
    let values = || series.iter().flat_map(|one| one.mean.iter().map(|(_, value)| value));
    let [low, high] = extent(values().map(|value| value.mean))?;
    let room = 0.75 * (high - low).max(1e-3);
    let ends = values().filter_map(|value| value.bounds).flatten();
    extent(ends.map(|end| end.clamp(low - room, high + room)).chain([low, high]))
}

fn numbers(analysis: &Analysis) -> Vec<Vec<String>> {
    let mut rows = header("strategy setting learning_rate loss low high n chosen");
    for strategy in &analysis.strategies {
        for tried in &strategy.tuning {
            let text = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            let bounds = tried.final_loss.and_then(|loss| loss.bounds);
            rows.push(cells([
                strategy.name.clone(),
                tried.setting.clone(),
                tried.learning_rate.to_string(),
                text(tried.final_loss.map(|loss| loss.mean)),
                text(bounds.map(|b| b[0])),
                text(bounds.map(|b| b[1])),
                tried.final_loss.map_or(0, |loss| loss.n).to_string(),
                tried.is_chosen.to_string(),
            ]));
        }
    }
    rows
}
