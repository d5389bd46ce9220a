//! The difference of validation loss to the from-scratch control at the same compute, over compute.

use super::{
    axis::Axis,
    common::{cells, cost_unit, curves, divisor, looks, spread},
    figure::Figure,
    measures::{Column, PT},
    sheet::{Sample, Sheet},
    style::{GREY, Look},
};
use crate::{
    analysis::Analysis,
    interval::Interval,
    runs::Cost,
    strategy::{Role, Strategy},
};

struct Line {
    name: String,
    look: Look,
    gaps: Vec<(f64, Interval)>,
    /// The gap to the control whose schedule was annealed to the same compute: FLOPs, and nats.
    annealed: Option<(f64, Interval)>,
}

/// The figure; none without a control.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let (control, _) = analysis.compared()?;
    let named =
        analysis.strategies.iter().zip(looks(analysis)).filter(|(s, _)| s.role == Role::Grown);
    let line = |(strategy, (name, look)): (&Strategy, (String, Look))| {
        let gap =
            strategy.comparison.as_ref().and_then(|comparison| comparison.same_flops.as_ref());
        let annealed =
            strategy.train_flops.zip(gap).map(|(flops, gap)| (flops.mean, gap.difference.value));
        Line { name, look, gaps: strategy.gap_curve(control), annealed }
    };
    let lines: Vec<Line> = named.map(line).filter(|line| line.gaps.len() > 1).collect();
    let largest =
        lines.iter().flat_map(|line| line.gaps.iter().map(|(x, _)| *x)).reduce(f64::max)?;
    let caption = format!(
        "Validation loss minus that of the from-scratch control after the same compute, under the \
         same seed: below 0, growing is \
         ahead. {}. Marks compare the ends: the target size with the same compute, its schedule \
         annealed to that budget. (On the \
         way there, the control has not annealed yet where the growing model has.)",
        spread(analysis, lines.len()).replacen("mean", "Mean", 1)
    );
    Some(Figure::new("iso_flop_gap", caption, numbers(&lines), |column| {
        draw(&lines, largest, column)
    }))
}

fn draw(lines: &[Line], largest: f64, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 40 * PT;
    let legend: Vec<_> = lines.iter().map(|line| (line.name.clone(), line.look)).collect();
    let top = sheet.legend(8 * PT, &legend, Sample::Line);
    let unit = cost_unit(Cost::TrainFlops, largest);
    let by = divisor(Cost::TrainFlops, unit);
    let gaps = || lines.iter().flat_map(|line| line.gaps.iter().chain(&line.annealed));
    let (x0, x1) = gaps().fold((f64::INFINITY, 0.0f64), |(a, b), (x, _)| (x.min(a), x.max(b)));
    let (y0, y1) = gaps().fold((0.0, 0.0), |(a, b), (_, y)| (y.mean.min(a), y.mean.max(b)));
    let (x, y) = (Axis::log(x0 / by, x1 / by, column.labels()), Axis::linear(y0, y1, 6));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    sheet.line([plot.at(x0 / by, 0.0), plot.at(x1 / by, 0.0)], GREY, 50, "150 150");
    curves(&plot, by, lines.iter().map(|line| (line.look, line.gaps.as_slice())));
    for line in lines {
        if let Some((x, y)) = line.annealed {
            sheet.marker(plot.at(x / by, y.mean), line.look, 290, 1.0);
        }
    }
    plot.horizontal_axis(unit.1);
    plot.vertical_axis("Loss gap (nats)");
    sheet
}

fn numbers(lines: &[Line]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["strategy", "against", "train_flops", "loss_gap", "low", "high", "n"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for line in lines {
        let on_the_way = line.gaps.iter().map(|gap| ("control on its way", gap));
        for (against, (x, y)) in
            on_the_way.chain(line.annealed.iter().map(|gap| ("annealed control", gap)))
        {
            let bound = |i: usize| y.bounds.map_or_else(String::new, |b| b[i].to_string());
            let name = line.name.clone();
            rows.push(cells([
                name,
                against.into(),
                x.to_string(),
                y.mean.to_string(),
                bound(0),
                bound(1),
                y.n.to_string(),
            ]));
        }
    }
    rows
}
