//! The final losses of all trials: one arm a row where all cost the same, over their compute where
//! they don't.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::{cells, cost_unit, divisor, extent, header, looks},
    figure::Figure,
    font,
    measures::{Column, PT, TICK},
    named,
    sheet::{Sample, Sheet},
    style::{GREY, INK, Look},
};
use crate::{analysis::Analysis, interval::Interval, runs::Cost, strategy::Role, unit::LossUnit};

const ROW: i32 = 16 * PT;
/// Budgets that differ by less count as equal.
const EQUAL: f64 = 0.05;

/// An arm: its name, and compute and final loss of its complete trials.
struct Arm {
    arm: String,
    is_control: bool,
    name: String,
    look: Look,
    ends: Vec<(f64, f64)>,
    mean: Option<Interval>,
}

/// The figure; none where no trial is complete.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let mut arms: Vec<Arm> = arms(analysis);
    let ends = || arms.iter().flat_map(|arm| &arm.ends);
    let shown = ends().count();
    let [least, most] = extent(ends().map(|end| end.0))?;
    let is_equal = most <= least * (1.0 + EQUAL);
    let all: usize = analysis.strategies.iter().flat_map(|s| &s.tuning).map(|t| t.complete).sum();
    let count = match all == shown {
        true => format!("each of the {shown} complete trials"),
        false => {
            format!(
                "each of the {shown} complete trials at the tuned learning rates ({all} in all)"
            )
        }
    };
    let (rows, unit) = (numbers(&arms, is_equal), analysis.unit);
    if is_equal {
        let mean = |arm: &Arm| arm.mean.map_or(f64::INFINITY, |mean| mean.mean);
        arms.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
        let caption = format!(
            "Final validation loss of {count}, all of about the same training compute: light \
             marks are trials, dark ones means over seeds with their 95 % Student-t intervals, the \
             lowest mean first."
        );
        return Some(Figure::new("final_loss", caption, rows, |column| {
            strips(&arms, unit, column)
        }));
    }
    let caption = format!(
        "Final validation loss of {count} against its training compute. The dashed line is the \
         Pareto front: no final loss at that compute or less is lower.{}",
        named::words(
            named(&arms).iter().filter(|is_named| !**is_named).count(),
            "the lowest means"
        )
    );
    Some(Figure::new("final_loss", caption, rows, |column| scatter(&arms, unit, column)))
}

fn arms(analysis: &Analysis) -> Vec<Arm> {
    let arm = |(strategy, (name, look)): (&crate::strategy::Strategy, (String, Look))| Arm {
        arm: strategy.name.clone(),
        is_control: strategy.role == Role::Control,
        name,
        look,
        ends: strategy.complete().map(|run| (run.last().train_flops, run.last().loss)).collect(),
        mean: strategy.final_loss,
    };
    let all = analysis.strategies.iter().zip(looks(analysis)).map(arm);
    all.filter(|arm| !arm.ends.is_empty()).collect()
}

/// Which arms have a name in the legend: the control, and as many others as it has room for.
fn named(arms: &[Arm]) -> Vec<bool> {
    let merits: Vec<f64> = arms
        .iter()
        .map(|arm| arm.mean.filter(|_| !arm.is_control).map_or(f64::INFINITY, |mean| mean.mean))
        .collect();
    let named = named::named(&merits).into_iter();
    named.zip(arms).map(|(is_named, arm)| is_named || arm.is_control).collect()
}

fn strips(arms: &[Arm], unit: LossUnit, column: Column) -> Sheet {
    let names = arms.iter().map(|arm| font::width(&font::label(&arm.name), TICK));
    let left = names.max().unwrap_or(0) + 12 * PT;
    let (top, height) = (4 * PT, arms.len() as i32 * ROW);
    let sheet = Sheet::new(column.width(), top + height + 28 * PT);
    let ends = arms.iter().flat_map(|arm| arm.ends.iter().map(|end| end.1));
    let bounds = arms.iter().filter_map(|arm| arm.mean?.bounds).flatten();
    let [low, high] = extent(ends.chain(bounds)).unwrap_or([0.0, 1.0]);
    let labels = column.labels() - 2;
    let (x, y) = (Axis::linear(low, high, labels), Axis::exact(0.0, 1.0, 2));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..top + height, x, y);
    let across = |loss: f64| plot.at(loss, 0.0).0;
    for (row, arm) in (0..).zip(arms) {
        let y = top + row * ROW + ROW / 2;
        let name = (left - 6 * PT, y);
        sheet.text(name, &font::label(&arm.name), TICK, INK, HPos::Right, VPos::Center);
        arm.ends.iter().for_each(|end| {
            sheet.marker((across(end.1), y - 3 * PT), arm.look, 150, 0.35);
        });
        let Some(mean) = arm.mean else { continue };
        if let Some([low, high]) = mean.bounds {
            let ends = [(across(low), y + 2 * PT), (across(high), y + 2 * PT)];
            sheet.line(ends, arm.look.color, 110, "");
        }
        sheet.marker((across(mean.mean), y + 2 * PT), arm.look, 250, 1.0);
    }
    plot.horizontal_axis(&unit.of_loss("Final validation loss"));
    sheet
}

fn scatter(arms: &[Arm], loss: LossUnit, column: Column) -> Sheet {
    let named = named(arms);
    let entry = |(arm, _): (&Arm, &bool)| (arm.name.clone(), arm.look);
    let shown = arms.iter().zip(&named).filter(|(_, is_named)| **is_named);
    let others = named.iter().filter(|is_named| !**is_named).count();
    let legend = named::with_others(shown.map(entry).collect(), others);
    let top = Sheet::new(column.width(), PT).legend(8 * PT, &legend, Sample::Marker);
    let sheet = Sheet::new(column.width(), top + column.plot_height() + 28 * PT);
    sheet.legend(8 * PT, &legend, Sample::Marker);
    let all: Vec<(f64, f64)> = arms.iter().flat_map(|arm| arm.ends.clone()).collect();
    let [least, most] = extent(all.iter().map(|end| end.0)).unwrap_or([0.0, 1.0]);
    let [low, high] = extent(all.iter().map(|end| end.1)).unwrap_or([0.0, 1.0]);
    let unit = cost_unit(Cost::TrainFlops, most);
    let by = divisor(Cost::TrainFlops, unit);
    let x = Axis::log(least / by, most / by, column.labels());
    let y = Axis::linear(low, high, 6);
    let plot = sheet.plot(y.room()..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    let front: Vec<_> = front(&all).iter().map(|end| plot.at(end.0 / by, end.1)).collect();
    sheet.line(steps(&front, plot.at(most / by, high)), GREY, 90, "250 120");
    let mut order: Vec<(&Arm, bool)> = arms.iter().zip(named).collect();
    // The grey ones are behind the others.
    order.sort_by_key(|(_, is_named)| *is_named);
    for (arm, is_named) in order {
        let (look, size) = if is_named { (arm.look, 240) } else { (named::OTHERS, 160) };
        arm.ends.iter().for_each(|end| sheet.marker(plot.at(end.0 / by, end.1), look, size, 0.75));
    }
    plot.horizontal_axis(unit.1);
    plot.vertical_axis(&loss.of_loss("Final loss"));
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

fn numbers(arms: &[Arm], is_equal: bool) -> Vec<Vec<String>> {
    let all: Vec<(f64, f64)> = arms.iter().flat_map(|arm| arm.ends.clone()).collect();
    let front = if is_equal { vec![] } else { front(&all) };
    let mut rows = header("strategy train_flops loss no_final_is_better");
    for arm in arms {
        for end in &arm.ends {
            let best = if is_equal { String::new() } else { front.contains(end).to_string() };
            rows.push(cells([arm.arm.clone(), end.0.to_string(), end.1.to_string(), best]));
        }
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
