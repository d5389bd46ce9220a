//! Compute to reach a target loss, as a share of what the from-scratch control needs, over all
//! targets.

use super::{
    chart::{Chart, Scale, Series, View, panels},
    common::{extent, header, looks, mean_rows, spread},
    figure::Figure,
};
use crate::{
    analysis::Analysis,
    strategy::{Role, Strategy},
};

/// Target losses on the axis.
const TARGETS: usize = 40;

/// The figure; none without a control.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let (control, _) = analysis.compared()?;
    let [first, last] = ends(control)?;
    let targets: Vec<f64> = (0..TARGETS)
        .map(|i| first * (last / first).powf(i as f64 / (TARGETS - 1) as f64))
        .collect();
    let others = analysis.strategies.iter().zip(looks(analysis));
    let series: Vec<Series> = others
        .filter(|(strategy, _)| strategy.role != Role::Control)
        .map(|(strategy, (_, look))| {
            Series::new(strategy, look, strategy.flops_ratio(control, &targets))
        })
        .filter(|one| !one.mean.is_empty())
        .collect();
    if series.iter().all(|one| one.mean.len() < 2) || last >= first {
        return None;
    }
    let caption = |chart: &Chart| {
        format!(
            "Training compute to reach a validation loss, as a share of what the from-scratch control \
         needs for it under the same seed: below 1, growing is cheaper. {}; a line ends at the \
         last loss that every trial reached. Training goes to the right, to lower losses, up to \
         the control's final loss L*. Early on, every smaller model is cheap.{}{}",
            spread(analysis, chart.series.len()).replacen("mean", "Geometric mean", 1),
            panels(chart.series.len()),
            chart.cut()
        )
    };
    let rows = [header("strategy target_loss ratio low high n"), mean_rows(&series)].concat();
    let means = series.iter().flat_map(|one| one.mean.iter().map(|(_, ratio)| ratio.mean));
    let [low, high] = extent(means.chain([0.9, 1.1]))?;
    let view = View { x: Scale::Reversed(last, first), y: Scale::Log(low, high) };
    let chart = Chart {
        series,
        views: vec![view],
        panel: None,
        x_name: analysis.unit.of_difference("Target validation loss") + " → L*",
        y_name: "Compute / from scratch".into(),
        x_ticks: vec![],
        across: Some(1.0),
        up: None,
    };
    Some(Figure::new("compute_to_target", caption(&chart), rows, |column| chart.draw(column)))
}

/// The control's first and last loss.
fn ends(control: &Strategy) -> Option<[f64; 2]> {
    let first = control.runs.iter().map(|run| run.curve[0].loss).reduce(f64::min)?;
    Some([first, control.complete().map(|run| run.last().loss).reduce(f64::max)?])
}
