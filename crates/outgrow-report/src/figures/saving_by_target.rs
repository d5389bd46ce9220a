//! Compute to reach a target loss, as a share of what the from-scratch control needs, over all
//! targets.

use super::{
    axis::Axis,
    common::{cells, curves, looks, spread},
    figure::Figure,
    measures::{Column, PT},
    sheet::{Sample, Sheet},
    style::{GREY, Look},
};
use crate::{analysis::Analysis, interval::Interval};

/// Target losses on the axis.
const TARGETS: usize = 40;

type Line = (String, Look, Vec<(f64, Interval)>);

/// The figure; none without a control.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let (control, others) = analysis.compared()?;
    let finals = control
        .runs
        .iter()
        .filter(|run| run.complete)
        .map(|run| run.curve[run.curve.len() - 1].loss);
    let first = control.runs.iter().map(|run| run.curve[0].loss).reduce(f64::min)?;
    let last = finals.reduce(f64::max)?;
    let targets: Vec<f64> = (0..TARGETS)
        .map(|i| first * (last / first).powf(i as f64 / (TARGETS - 1) as f64))
        .collect();
    let named = looks(analysis);
    let look = |name: &str| named.iter().find(|(n, _)| n == name).map(|(_, look)| *look);
    let lines: Vec<Line> = others
        .iter()
        .filter_map(|s| Some((s.name.clone(), look(&s.name)?, s.flops_ratio(control, &targets))))
        .collect();
    if lines.iter().all(|(_, _, line)| line.len() < 2) || last >= first {
        return None;
    }
    let caption = format!(
        "Training compute to reach a validation loss, as a share of what the from-scratch control \
         needs for it under the \
         same seed: below 1, growing is cheaper. {}; a line ends at the last loss that every \
         trial reached.",
        spread(analysis, lines.len()).replacen("mean", "Geometric mean", 1)
    );
    Some(Figure::new("compute_to_target", caption, numbers(&lines), |column| {
        draw(&lines, [first, last], column)
    }))
}

fn draw(lines: &[Line], [first, last]: [f64; 2], column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let legend: Vec<_> = lines.iter().map(|(name, look, _)| (name.clone(), *look)).collect();
    let top = sheet.legend(8 * PT, &legend, Sample::Line);
    let means = lines.iter().flat_map(|(_, _, line)| line.iter().map(|(_, ratio)| ratio.mean));
    let (low, high) = (means.clone().fold(0.9, f64::min), means.fold(1.1, f64::max));
    // Training goes from high losses to low ones, so the axis does, too.
    let x = Axis::exact(last, first, column.labels()).reversed(column.labels());
    let plot = sheet.plot(
        left..sheet.size.0 - 8 * PT,
        top..sheet.size.1 - 28 * PT,
        x,
        Axis::log(low, high, 7),
    );
    sheet.line([plot.at(first, 1.0), plot.at(last, 1.0)], GREY, 50, "150 150");
    curves(&plot, 1.0, lines.iter().map(|(_, look, line)| (*look, line.as_slice())));
    plot.horizontal_axis("Target validation loss (nats)");
    plot.vertical_axis("Compute / from scratch");
    sheet
}

fn numbers(lines: &[Line]) -> Vec<Vec<String>> {
    let mut rows =
        vec![["strategy", "target_loss", "ratio", "low", "high", "n"].map(str::to_owned).to_vec()];
    for (name, _, line) in lines {
        for (target, ratio) in line {
            let bound = |i: usize| ratio.bounds.map_or_else(String::new, |b| b[i].to_string());
            let (target, mean, n) =
                (target.to_string(), ratio.mean.to_string(), ratio.n.to_string());
            rows.push(cells([name.clone(), target, mean, bound(0), bound(1), n]));
        }
    }
    rows
}
