//! What the validation loss does around a growth event: the jump, and the recovery.

use super::{
    axis::Axis,
    common::{cells, cost_unit, curves, divisor, looks, spread},
    figure::Figure,
    measures::{Column, PT},
    sheet::{Sample, Sheet},
    style::{GREY, Look},
};
use crate::{analysis::Analysis, interval::Interval, runs::Cost};

type Line = (String, Look, Vec<(f64, Interval)>);

/// The figure; none where no growth has evaluations on both sides.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let named = analysis.strategies.iter().zip(looks(analysis));
    let lines: Vec<Line> = named.map(|(s, (name, look))| (name, look, s.around_growth())).collect();
    let lines: Vec<Line> = lines.into_iter().filter(|(_, _, line)| line.len() > 1).collect();
    let largest =
        lines.iter().flat_map(|(_, _, line)| line.iter().map(|(x, _)| x.abs())).reduce(f64::max)?;
    let caption = format!(
        "Validation loss around a growth event, minus that of the last evaluation before it: {}, \
         the events of a trial \
         averaged. At the event itself the loss is drawn as it was before: what moves it there \
         (where a growth does not preserve the \
         function) and the training after it are seen together.",
        spread(analysis, lines.len())
    );
    Some(Figure::new("loss_around_growth", caption, numbers(&lines), |column| {
        draw(&lines, largest, column)
    }))
}

fn draw(lines: &[Line], largest: f64, column: Column) -> Sheet {
    let sheet = Sheet::new(column.width(), column.height());
    let left = 36 * PT;
    let legend: Vec<_> = lines.iter().map(|(name, look, _)| (name.clone(), *look)).collect();
    let top = sheet.legend(8 * PT, &legend, Sample::Line);
    let unit = cost_unit(Cost::Tokens, largest);
    let by = divisor(Cost::Tokens, unit);
    let points = || lines.iter().flat_map(|(_, _, line)| line.iter());
    let (x0, x1) = points().fold((0.0, 0.0), |(a, b), (x, _)| (x.min(a), x.max(b)));
    let (y0, y1) = points().fold((0.0, 0.0), |(a, b), (_, y)| (y.mean.min(a), y.mean.max(b)));
    let (x, y) = (Axis::exact(x0 / by, x1 / by, column.labels()), Axis::linear(y0, y1, 6));
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, x, y);
    sheet.line([plot.at(0.0, y0), plot.at(0.0, y1)], GREY, 50, "150 150");
    sheet.line([plot.at(x0 / by, 0.0), plot.at(x1 / by, 0.0)], GREY, 50, "150 150");
    curves(&plot, by, lines.iter().map(|(_, look, line)| (*look, line.as_slice())));
    plot.horizontal_axis(&unit.1.replacen("Training tokens", "Tokens since growth", 1));
    plot.vertical_axis("Change of loss (nats)");
    sheet
}

fn numbers(lines: &[Line]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["strategy", "tokens_since_growth", "loss_change", "low", "high", "n"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, _, line) in lines {
        for (x, y) in line {
            let bound = |i: usize| y.bounds.map_or_else(String::new, |b| b[i].to_string());
            rows.push(cells([
                name.clone(),
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
