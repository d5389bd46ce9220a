//! Final loss of every trial against what it cost, with the way there and the Pareto front.

use super::{
    axis::Axis,
    common::{MOST_THIN, cells, cost_unit, divisor, looks},
    figure::Figure,
    measures::{Column, PT},
    sheet::{Sample, Sheet},
    style::GREY,
};
use crate::{
    analysis::Analysis,
    curves::thinned,
    runs::{Cost, Run},
};

/// The figure; none where no trial is complete.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let trials = trials(analysis);
    let largest = trials.iter().map(|trial| trial.end().0).reduce(f64::max)?;
    let caption = format!(
        "Final validation loss of each of the {} complete trials against its training compute \
         (marks){}. The dashed line is the \
         Pareto front: the best loss that any trial, a control or a growing one, had for that \
         compute.",
        trials.len(),
        if trials.len() > MOST_THIN { "" } else { ", with the end of the way there (thin lines)" }
    );
    Some(Figure::new("final_loss_vs_flops", caption, numbers(analysis, &trials), |column| {
        draw(analysis, &trials, largest, column)
    }))
}

/// A complete trial: the number of its strategy, and its losses over training FLOPs.
struct Trial {
    strategy: usize,
    curve: Vec<(f64, f64)>,
}

impl Trial {
    fn end(&self) -> (f64, f64) {
        self.curve[self.curve.len() - 1]
    }
}

fn trials(analysis: &Analysis) -> Vec<Trial> {
    let curve = |run: &Run| {
        thinned(run.curve.iter().map(|point| (point.train_flops, point.loss)).collect())
    };
    let runs = analysis
        .strategies
        .iter()
        .enumerate()
        .flat_map(|(n, s)| s.runs.iter().map(move |run| (n, run)));
    runs.filter(|(_, run)| run.complete)
        .map(|(strategy, run)| Trial { strategy, curve: curve(run) })
        .collect()
}

fn draw(analysis: &Analysis, trials: &[Trial], largest: f64, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let looks = looks(analysis);
    let top = sheet.legend(8 * PT, &looks, Sample::Marker);
    let unit = cost_unit(Cost::TrainFlops, largest);
    let by = divisor(Cost::TrainFlops, unit);
    let losses = trials.iter().map(|trial| trial.end().1);
    let (y0, worst) = (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(0.0, f64::max));
    let y1 = worst + 0.6 * (worst - y0).max(0.02 * worst);
    let in_sight = |(_, loss): &&(f64, f64)| *loss <= y1;
    let ways: Vec<Vec<(f64, f64)>> = trials
        .iter()
        .map(|trial| {
            trial.curve.iter().filter(in_sight).map(|(flops, loss)| (flops / by, *loss)).collect()
        })
        .collect();
    let x0 = ways.iter().flatten().map(|(flops, _)| *flops).fold(f64::INFINITY, f64::min);
    let (x, y) = (Axis::linear(x0, largest / by, column.labels()), Axis::linear(y0, y1, 6));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    for (trial, way) in
        trials.iter().zip(&ways).take(if trials.len() > MOST_THIN { 0 } else { MOST_THIN })
    {
        plot.series(way, looks[trial.strategy].1, 35);
    }
    let front: Vec<_> =
        front(&ways.concat()).into_iter().map(|(flops, loss)| plot.at(flops, loss)).collect();
    sheet.line(steps(&front, plot.at(largest / by, y1)), GREY, 90, "250 120");
    for trial in trials {
        let (flops, loss) = trial.end();
        sheet.marker(plot.at(flops / by, loss), looks[trial.strategy].1, 240, 0.75);
    }
    plot.horizontal_axis(unit.1);
    plot.vertical_axis("Final validation loss (nats)");
    sheet
}

/// The points that no other beats in both compute and loss, from cheap to good.
fn front(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut best = f64::INFINITY;
    points.retain(|(_, loss)| {
        let better = *loss < best;
        best = best.min(*loss);
        better
    });
    points
}

/// What a budget buys is the best so far, until the next point: steps, not slopes.
fn steps(front: &[(i32, i32)], (right, top): (i32, i32)) -> Vec<(i32, i32)> {
    let Some(&(first, _)) = front.first() else { return vec![] };
    let mut path = vec![(first, top)];
    for (number, &(x, y)) in front.iter().enumerate() {
        path.push((x, y));
        path.push((front.get(number + 1).map_or(right, |next| next.0), y));
    }
    path
}

fn numbers(analysis: &Analysis, trials: &[Trial]) -> Vec<Vec<String>> {
    let front = front(&trials.iter().map(Trial::end).collect::<Vec<_>>());
    let mut rows =
        vec![["strategy", "train_flops", "loss", "no_final_is_better"].map(str::to_owned).to_vec()];
    for trial in trials {
        let (flops, loss) = trial.end();
        let name = analysis.strategies[trial.strategy].name.clone();
        rows.push(cells([
            name,
            flops.to_string(),
            loss.to_string(),
            front.contains(&(flops, loss)).to_string(),
        ]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [(3.0, 1.0), (1.0, 2.0), (2.0, 2.5), (2.0, 1.5), (4.0, 1.0)];
        assert_eq!(front(&points), [(1.0, 2.0), (2.0, 1.5), (3.0, 1.0)]);
        assert_eq!(
            steps(&[(1, 20), (2, 15)], (9, 99)),
            [(1, 99), (1, 20), (2, 20), (2, 15), (9, 15)]
        );
    }
}
