//! What the validation loss does around a growth event: the jump, and the recovery.

use super::{
    chart::{Chart, Mark, Scale, Series, View, panels},
    common::{cost_unit, divisor, extent, header, in_unit, looks, mean_rows, spread},
    figure::Figure,
};
use crate::{analysis::Analysis, runs::Cost, unit::LossUnit};

/// The figure; none where no growth has evaluations on both sides.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let mut series = vec![];
    let mut missing = 0;
    for (strategy, (_, look)) in analysis.strategies.iter().zip(looks(analysis)) {
        let (before, after) = strategy.around_growth();
        let has_growths = strategy.runs.iter().any(|run| !run.growths.is_empty());
        if after.len() < 2 {
            missing += usize::from(has_growths);
            continue;
        }
        let mut one = Series::new(strategy, look, after);
        one.thin = vec![before.into_iter().map(|(x, y)| (x, y.mean)).collect()];
        if let Some(change) = strategy.change_at_growth() {
            one.marks.push(Mark { at: (0.0, change), size: 230 });
        }
        series.push(one);
    }
    let points = || series.iter().flat_map(|one| one.thin.iter().flatten().map(|(x, _)| *x));
    let largest = points()
        .chain(series.iter().flat_map(|one| one.mean.iter().map(|(x, _)| *x)))
        .map(f64::abs)
        .reduce(f64::max)?;
    let missing = match missing {
        0 => String::new(),
        n => format!(" {n} growing strategies have no evaluations near enough, and are left out."),
    };
    let (rows, curves) = (numbers(&series), series.len());
    let unit = cost_unit(Cost::Tokens, largest);
    let name = unit.1.replacen("Training tokens", "Tokens since growth", 1);
    let chart = chart(in_unit(series, divisor(Cost::Tokens, unit)), name, analysis.unit)?;
    let caption = format!(
        "Validation loss around a growth event, minus that of the last evaluation before it: {}, \
         the events of a trial averaged. Nothing is drawn across the event: lines begin at the \
         first evaluation after it. The mark at 0 is the change by the growth itself, measured on \
         one batch before and after it.{missing}{}{}",
        spread(analysis, curves),
        panels(curves),
        chart.cut()
    );
    Some(Figure::new("loss_around_growth", caption, rows, |column| chart.draw(column)))
}

fn chart(series: Vec<Series>, x_name: String, unit: LossUnit) -> Option<Chart> {
    let thin = || series.iter().flat_map(|one| one.thin.iter().flatten().copied());
    let means = || series.iter().flat_map(|one| one.mean.iter().map(|(x, y)| (*x, y.mean)));
    let marks = || series.iter().flat_map(|one| one.marks.iter().map(|mark| mark.at));
    let all = || thin().chain(means()).chain(marks());
    let [x0, x1] = extent(all().map(|at| at.0))?;
    let [y0, y1] = extent(all().map(|at| at.1).chain([0.0]))?;
    let room = 0.25 * (y1 - y0);
    let bounds = series.iter().flat_map(|one| one.mean.iter().filter_map(|(_, y)| y.bounds));
    let bounds = bounds.flatten().map(|end| end.clamp(y0 - room, y1 + room));
    let [y0, y1] = extent(bounds.chain([y0, y1]))?;
    Some(Chart {
        views: vec![View { x: Scale::Exact(x0, x1), y: Scale::Linear(y0, y1) }],
        panel: None,
        series,
        x_name,
        y_name: unit.of_difference("Change of loss"),
        x_ticks: vec![],
        across: Some(0.0),
        up: Some(0.0),
    })
}

fn numbers(series: &[Series]) -> Vec<Vec<String>> {
    let mut rows = header("strategy tokens_since_growth loss_change low high n");
    for one in series {
        let point = |(x, y): (f64, f64)| {
            let none = String::new;
            vec![one.arm.clone(), x.to_string(), y.to_string(), none(), none(), none()]
        };
        rows.extend(one.thin.iter().flatten().copied().map(point));
        rows.extend(one.marks.iter().map(|mark| point(mark.at)));
        rows.extend(mean_rows(std::slice::from_ref(one)));
    }
    rows
}
