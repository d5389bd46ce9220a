//! Final loss of every trial against what it cost, with the Pareto front.

use super::{Figure, cells, cost_unit, divisor, looks};
use crate::{
    analysis::{Analysis, Cost, Point},
    axis::Axis,
    sheet::{Column, PT, Sample, Sheet},
    style::GREY,
};

/// The figure; none where no trial is complete.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let finals = finals(analysis);
    let largest = finals.iter().map(|(_, point)| point.train_flops).reduce(f64::max)?;
    let caption = format!(
        "Final validation loss of each of the {} complete trials against its training compute; the dashed line is the \
         Pareto front.",
        finals.len()
    );
    Some(Figure::new("final_loss_vs_flops", caption, numbers(analysis, &finals), |column| {
        draw(analysis, &finals, largest, column)
    }))
}

/// Number of the strategy, and the last evaluation of each complete trial.
fn finals(analysis: &Analysis) -> Vec<(usize, Point)> {
    let runs = analysis.strategies.iter().enumerate().flat_map(|(n, s)| s.runs.iter().map(move |run| (n, run)));
    runs.filter(|(_, run)| run.complete).filter_map(|(n, run)| Some((n, *run.curve.last()?))).collect()
}

fn draw(analysis: &Analysis, finals: &[(usize, Point)], largest: f64, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let looks = looks(analysis);
    let top = sheet.legend(left, &looks, Sample::Marker);
    let unit = cost_unit(Cost::TrainFlops, largest);
    let by = divisor(Cost::TrainFlops, unit);
    let flops = finals.iter().map(|(_, point)| point.train_flops / by);
    let losses = finals.iter().map(|(_, point)| point.loss);
    let (x0, x1) = (flops.clone().fold(f64::INFINITY, f64::min), flops.fold(0.0, f64::max));
    // Trials of equal compute must not be spread over the whole width by a step more or less.
    let (x0, x1) = (x0.min(x1 * 0.9), x1.max(x0 * 1.1));
    let (y0, y1) = (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(0.0, f64::max));
    let (x, y) = (Axis::linear(x0, x1, column.labels()), Axis::linear(y0, y1, 6));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    let front: Vec<_> = front(finals).into_iter().map(|(flops, loss)| plot.at(flops / by, loss)).collect();
    sheet.line(steps(&front, plot.at(x1, y1)), GREY, 70, "200 150");
    for (number, point) in finals {
        sheet.marker(plot.at(point.train_flops / by, point.loss), looks[*number].1, 260, 0.75);
    }
    plot.horizontal_axis(unit.1);
    plot.vertical_axis("Final validation loss (nats)");
    sheet
}

/// The trials that no other beats in both compute and loss, from cheap to good.
fn front(finals: &[(usize, Point)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = finals.iter().map(|(_, point)| (point.train_flops, point.loss)).collect();
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

fn numbers(analysis: &Analysis, finals: &[(usize, Point)]) -> Vec<Vec<String>> {
    let front = front(finals);
    let mut rows = vec![["strategy", "train_flops", "loss", "on_front"].map(str::to_owned).to_vec()];
    for (number, point) in finals {
        let on_front = front.contains(&(point.train_flops, point.loss));
        let name = analysis.strategies[*number].name.clone();
        rows.push(cells([name, point.train_flops.to_string(), point.loss.to_string(), on_front.to_string()]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let point = |train_flops: f64, loss: f64| (0, Point { tokens: 0.0, train_flops, wall_seconds: 0.0, loss });
        let finals = [point(3.0, 1.0), point(1.0, 2.0), point(2.0, 2.5), point(2.0, 1.5), point(4.0, 1.0)];
        assert_eq!(front(&finals), [(1.0, 2.0), (2.0, 1.5), (3.0, 1.0)]);
        assert_eq!(steps(&[(1, 20), (2, 15)], (9, 99)), [(1, 99), (1, 20), (2, 20), (2, 15), (9, 15)]);
    }
}
