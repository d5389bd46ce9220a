//! Figures of how a cost grows with a size, for `outgrow bench`: measured, beside what would be
//! proportional to the work.

use super::{
    axis::Axis,
    figure::Figure,
    measures::PT,
    render,
    sheet::{Sample, Sheet},
    style::{self, GREY, Look},
};
use crate::error::ReportError;

/// One cost against one size, both on logarithmic axes.
#[allow(missing_docs)]
pub struct Scaling {
    /// Name of the files.
    pub name: &'static str,
    /// What a paper would print below the figure.
    pub caption: String,
    pub size: &'static str,
    pub cost: &'static str,
    /// What is expected, for the legend.
    pub expected: &'static str,
    /// The points in the order of their sizes.
    pub points: Vec<ScalingPoint>,
}

/// A point of the figure; all numbers are positive.
#[derive(Clone, Copy, Debug)]
pub struct ScalingPoint {
    /// Of the thing measured.
    pub size: f64,
    /// Median, smallest and largest cost.
    pub measured: [f64; 3],
    /// The cost if it grew as the work.
    pub expected: f64,
}

/// The figure in all formats and widths, and its numbers: relative path and content of every file.
///
/// # Errors
/// If a rendering library refuses, which it does not for what we draw.
pub fn scaling(of: &Scaling) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut numbers =
        vec![["size", "median", "smallest", "largest", "expected"].map(str::to_owned).to_vec()];
    numbers.extend(of.points.iter().map(|point| {
        let [median, smallest, largest] = point.measured;
        [point.size, median, smallest, largest, point.expected].iter().map(f64::to_string).collect()
    }));
    render::files(&Figure::new(of.name, of.caption.clone(), numbers, |column| {
        let sheet = Sheet::new(column.width(), column.height());
        let [measured, expected] = [style::strategy(1), style::strategy(2)];
        let looks = [Look { dash: "", ..measured }, Look { color: GREY, ..expected }];
        let entries = [("measured".to_owned(), looks[0]), (of.expected.to_owned(), looks[1])];
        let top = sheet.legend(8 * PT, &entries, Sample::Line);
        let sizes = extremes(of.points.iter().map(|point| point.size));
        let costs = extremes(
            of.points.iter().flat_map(|point| point.measured.into_iter().chain([point.expected])),
        );
        let axes = (Axis::log(sizes.0, sizes.1, column.labels()), Axis::log(costs.0, costs.1, 7));
        let plot =
            sheet.plot(36 * PT..sheet.size.0 - 8 * PT, top..sheet.size.1 - 28 * PT, axes.0, axes.1);
        let line = |of_point: fn(&ScalingPoint) -> f64| {
            of.points.iter().map(|point| (point.size, of_point(point))).collect::<Vec<_>>()
        };
        plot.series(&line(|point| point.expected), looks[1], 80);
        let spread: Vec<_> = of
            .points
            .iter()
            .map(|point| (point.size, [point.measured[1], point.measured[2]]))
            .collect();
        plot.band(&spread, looks[0]);
        plot.series(&line(|point| point.measured[0]), looks[0], 110);
        for point in &of.points {
            sheet.marker(plot.at(point.size, point.measured[0]), looks[0], 220, 1.0);
        }
        plot.horizontal_axis(of.size);
        plot.vertical_axis(of.cost);
        sheet
    }))
}

fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)))
}
