//! Validation loss against a cost: tokens, training FLOPs, or wall time.

use super::{
    axis::Axis,
    common::{MOST_THIN, cells, cost_unit, curves, divisor, looks, spread},
    figure::Figure,
    measures::{Column, PT},
    sheet::{Sample, Sheet},
    style::Look,
};
use crate::{
    analysis::Analysis, curves::Beyond, interval::Interval, runs::Cost, strategy::Strategy,
};

/// A strategy: its mean curve, and what its trials do beyond the end of it.
struct Line {
    name: String,
    look: Look,
    mean: Vec<(f64, Interval)>,
    beyond: Vec<Beyond>,
}

impl Line {
    fn new(strategy: &Strategy, look: Look, cost: Cost) -> Self {
        let (mean, beyond) = (strategy.mean_curve(cost), strategy.beyond(cost));
        Self { name: strategy.name.clone(), look, mean, beyond }
    }
}

/// The figure; none where no trial has two evaluations.
pub fn figure(analysis: &Analysis, cost: Cost) -> Option<Figure> {
    let strategies = analysis.strategies.iter().zip(looks(analysis));
    let lines: Vec<Line> =
        strategies.map(|(strategy, (_, look))| Line::new(strategy, look, cost)).collect();
    let means = lines.iter().flat_map(|line| line.mean.iter().map(|(x, _)| *x));
    let ends = thin(&lines, f64::INFINITY).into_iter().flat_map(|(_, curve)| curve).map(|(x, _)| x);
    let unit = cost_unit(cost, means.chain(ends).reduce(f64::max)?);
    let (name, what) = match cost {
        Cost::Tokens => ("loss_vs_tokens", "training tokens"),
        Cost::TrainFlops | Cost::SunkFlops | Cost::SixNd => {
            ("loss_vs_flops", "training compute (forward and backward, a multiply-add counts 2)")
        }
        Cost::WallSeconds => {
            ("loss_vs_wall_time", "training time (without evaluation and checkpoints)")
        }
    };
    let plans = analysis.strategies.iter().any(|strategy| strategy.plans > 1);
    let plans = if plans { ", the plans of a strategy averaged within each seed" } else { "" };
    let caption = format!(
        "Validation loss against {what}: {}{plans}.{}",
        spread(analysis, lines.len()),
        on_thin_lines(&lines)
    );
    let by = divisor(cost, unit);
    Some(Figure::new(name, caption, numbers(&lines), |column| draw(&lines, by, unit.1, column)))
}

fn on_thin_lines(lines: &[Line]) -> &'static str {
    match lines.iter().map(|line| line.beyond.len()).sum::<usize>() {
        0 => "",
        1..=MOST_THIN => {
            " A mean ends where the first trial of its strategy ends; from there on the others \
             are thin lines."
        }
        _ => {
            " A mean ends where the first trial of its strategy ends; what the others do from \
             there on is with the data."
        }
    }
}

fn draw(lines: &[Line], by: f64, name: &str, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let legend: Vec<_> = lines.iter().map(|line| (line.name.clone(), line.look)).collect();
    let top = sheet.legend(8 * PT, &legend, Sample::Line);
    let means: Vec<(f64, f64)> =
        lines.iter().flat_map(|line| line.mean.iter().map(|(x, y)| (*x, y.mean))).collect();
    let thin = thin(lines, highest(&means));
    let all = || means.iter().chain(thin.iter().flat_map(|(_, curve)| curve));
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((x0, x1), (y0, y1)) =
        (bounds(&mut all().map(|at| at.0 / by)), bounds(&mut all().map(|at| at.1)));
    let (x, y) = (Axis::log(x0, x1, column.labels()), Axis::log(y0, y1, 7));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    for (look, curve) in &thin {
        let curve: Vec<_> = curve.iter().map(|(x, y)| (x / by, *y)).collect();
        plot.series(&curve, Look { dash: "", ..*look }, 35);
    }
    curves(&plot, by, lines.iter().map(|line| (line.look, line.mean.as_slice())));
    plot.horizontal_axis(name);
    plot.vertical_axis("Validation loss (nats)");
    sheet
}

/// The highest mean loss; what goes beyond it, such as a trial that diverges, would press all else
/// together.
fn highest(means: &[(f64, f64)]) -> f64 {
    means.iter().map(|(_, loss)| *loss).reduce(f64::max).unwrap_or(f64::INFINITY)
}

fn thin(lines: &[Line], highest: f64) -> Vec<(Look, Vec<(f64, f64)>)> {
    let all =
        lines.iter().flat_map(|line| line.beyond.iter().map(|trial| (line.look, &trial.curve)));
    let few = all.clone().count() <= MOST_THIN;
    let in_sight =
        |curve: &[(f64, f64)]| curve.iter().copied().filter(|(_, loss)| *loss <= highest).collect();
    all.filter(|_| few).map(|(look, curve)| (look, in_sight(curve))).collect()
}

fn numbers(lines: &[Line]) -> Vec<Vec<String>> {
    let mut rows =
        vec![["strategy", "cost", "loss", "low", "high", "n", "trial"].map(str::to_owned).to_vec()];
    for Line { name, mean, beyond, .. } in lines {
        for (x, y) in mean {
            let bound = |i: usize| y.bounds.map_or_else(String::new, |b| b[i].to_string());
            let numbers = [x.to_string(), y.mean.to_string(), bound(0), bound(1), y.n.to_string()];
            rows.push([name.clone()].into_iter().chain(numbers).chain([String::new()]).collect());
        }
        for Beyond { plan, replicate, curve } in beyond {
            let trial = format!("plan {plan}, seed {replicate}");
            let row = |(x, y): &(f64, f64)| {
                cells([
                    name.clone(),
                    x.to_string(),
                    y.to_string(),
                    String::new(),
                    String::new(),
                    "1".into(),
                    trial.clone(),
                ])
            };
            rows.extend(curve.iter().map(row));
        }
    }
    rows
}
