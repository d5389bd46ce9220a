//! The difference of validation loss to the from-scratch control at the same compute, over compute.

use super::{
    chart::{Chart, Mark, Scale, Series, View, panels},
    common::{cost_unit, divisor, extent, header, in_unit, looks, mean_rows, spread},
    figure::Figure,
};
use crate::{
    analysis::Analysis,
    interval::Interval,
    runs::Cost,
    strategy::{Role, Strategy},
    unit::LossUnit,
};

/// Share of the compute whose gaps decide what is in sight.
const END: f64 = 0.5;

/// The figure; none without a control.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let (control, _) = analysis.compared()?;
    let mut series = vec![];
    let mut rows = header("strategy train_flops loss_gap low high n against");
    for (strategy, (_, look)) in analysis.strategies.iter().zip(looks(analysis)) {
        let gaps = strategy.gap_curve(control);
        if strategy.role != Role::Grown || gaps.len() < 2 {
            continue;
        }
        let mut one = Series::new(strategy, look, gaps);
        rows.extend(marked(&one, "control on its way"));
        if let Some((x, y)) = annealed(strategy) {
            one.marks.push(Mark { at: (x, y.mean), size: 250 });
            let only = Series { mean: vec![(x, y)], ..one.clone() };
            rows.extend(marked(&only, "annealed control"));
        }
        series.push(one);
    }
    let [_, largest] = extent(series.iter().flat_map(|one| one.mean.iter().map(|(x, _)| *x)))?;
    let curves = series.len();
    let unit = cost_unit(Cost::TrainFlops, largest);
    let chart = chart(in_unit(series, divisor(Cost::TrainFlops, unit)), unit.1, analysis.unit)?;
    let caption = format!(
        "Validation loss minus that of the from-scratch control after the same compute, under the \
         same seed: below 0, growing is ahead. {}.{} Marks compare the ends: with the target size \
         whose learning rate has come down by the end of the same compute. (On the way there, the \
         control's learning rate is still high where that of the growing model is low. The \
         vertical axis has the range of the last half.){}",
        spread(analysis, curves).replacen("mean", "Mean", 1),
        panels(curves),
        chart.cut()
    );
    Some(Figure::new("iso_flop_gap", caption, rows, |column| chart.draw(column)))
}

/// The gap to the control whose schedule ends at the same compute: FLOPs, and loss.
fn annealed(strategy: &Strategy) -> Option<(f64, Interval)> {
    let gap = strategy.comparison.as_ref()?.same_flops.as_ref()?;
    Some((strategy.train_flops?.mean, gap.difference.corrected))
}

fn marked(series: &Series, against: &str) -> Vec<Vec<String>> {
    let rows = mean_rows(std::slice::from_ref(series)).into_iter();
    rows.map(|row| [row, vec![against.to_owned()]].concat()).collect()
}

fn chart(series: Vec<Series>, x_name: &str, unit: LossUnit) -> Option<Chart> {
    let [x0, x1] = extent(series.iter().flat_map(|one| one.mean.iter().map(|(x, _)| *x)))?;
    let late = series.iter().flat_map(|one| one.mean.iter().filter(|(x, _)| *x >= END * x1));
    let marks = series.iter().flat_map(|one| one.marks.iter().map(|mark| mark.at.1));
    let [y0, y1] = extent(late.map(|(_, y)| y.mean).chain(marks).chain([0.0]))?;
    // A tenth above zero, so that what is behind is seen to be so.
    let room = 0.1 * (y1 - y0).max(1e-3);
    let view = View { x: Scale::Exact(x0, x1 * 1.02), y: Scale::Linear(y0, y1 + room) };
    Some(Chart {
        series,
        views: vec![view],
        panel: None,
        x_name: x_name.to_owned(),
        y_name: unit.of_difference("Loss gap"),
        x_ticks: vec![],
        across: Some(0.0),
        up: None,
    })
}
