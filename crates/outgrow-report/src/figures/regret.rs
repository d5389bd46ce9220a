//! How far searches on a table are from its best plan, against what they cost.

use super::{
    chart::{Chart, Scale, Series, View, intervals, panels},
    common::{cost_unit, divisor, extent, header, in_unit, mean_rows},
    figure::Figure,
    render, style,
};
use crate::{error::ReportError, interval::Interval, runs::Cost};

/// The searches of one searcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Regret {
    /// As a sweep file says it.
    pub searcher: String,
    /// Whether it is the one that others must beat.
    pub is_control: bool,
    /// What a search is charged so far, training FLOPs, and how many nats its plan is above the best.
    pub after: Vec<(f64, Interval)>,
}

/// The figure in all formats and widths, and its numbers: relative path and content of every file.
///
/// # Errors
/// If there is nothing to draw, or a rendering library refuses, which it does not for what we draw.
pub fn regret(searchers: &[Regret]) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut others = 1..;
    let series = searchers.iter().map(|one| {
        let number = if one.is_control { 0 } else { others.next().unwrap_or(1) };
        Series {
            arm: one.searcher.clone(),
            name: one.searcher.clone(),
            look: style::strategy(number),
            is_control: one.is_control,
            mean: one.after.clone(),
            thin: vec![],
            marks: vec![],
            growths: vec![],
        }
    });
    let series: Vec<Series> = series.collect();
    let mut rows = header("searcher flops regret low high n");
    rows.extend(mean_rows(&series));
    let curves = series.len();
    let chart = chart(series)
        .ok_or_else(|| ReportError::Render("regret", "no search came to its first batch".into()))?;
    let caption = format!(
        "How far the plan that a search believes to be the best is above the best of the table, by \
         seeds that the search did not see, against the training compute that it was charged: means \
         over searches, {} 95 % intervals.{}{}",
        intervals(curves),
        panels(curves),
        chart.cut()
    );
    render::files(&Figure::new("regret", caption, rows, |column| chart.draw(column)))
}

fn chart(series: Vec<Series>) -> Option<Chart> {
    let points = || series.iter().flat_map(|one| one.mean.iter());
    let [_, most] = extent(points().map(|(flops, _)| *flops))?;
    let unit = cost_unit(Cost::TrainFlops, most);
    let by = divisor(Cost::TrainFlops, unit);
    let [x0, x1] = extent(points().map(|(flops, _)| flops / by).filter(|flops| *flops > 0.0))?;
    let [y0, y1] = extent(points().map(|(_, regret)| regret.mean).filter(|mean| mean.is_finite()))?;
    let view = View { x: Scale::Log(x0, x1), y: Scale::Linear(y0.min(0.0), y1) };
    Some(Chart {
        series: in_unit(series, by),
        views: vec![view],
        panel: None,
        x_name: unit.1.into(),
        y_name: "Regret (nats)".into(),
        x_ticks: vec![],
        across: None,
        up: None,
    })
}
