//! Curves of arms in one or two views: all in one plot with their names at their ends, or, where
//! there are too many for that, each in a panel of its own in front of the others.

mod beside;
mod multiples;

use super::{
    axis::Axis,
    font,
    measures::{Column, PT, TICK},
    sheet::{Plot, Sample, Sheet},
    style::{GREY, Look},
};
use crate::{
    interval::Interval,
    strategy::{Role, Strategy},
};

/// More curves than these are not told apart in one plot.
pub const MOST: usize = 7;
/// Bands of more curves than these hide each other in one plot.
const BANDS: usize = 4;
/// Between the bars at the ends of two curves.
const APART: i32 = 250;

/// A curve of an arm.
#[derive(Clone)]
pub struct Series {
    /// Its name in the sweep.
    pub arm: String,
    /// What people read for the arm.
    pub name: String,
    pub look: Look,
    /// Whether it is the from-scratch control.
    pub is_control: bool,
    /// Means over seeds.
    pub mean: Vec<(f64, Interval)>,
    /// Single trials.
    pub thin: Vec<Vec<(f64, f64)>>,
    /// Points that stand out.
    pub marks: Vec<Mark>,
    /// Where it grew; shown in panels.
    pub growths: Vec<f64>,
}

impl Series {
    /// The curve of an arm.
    pub fn new(strategy: &Strategy, look: Look, mean: Vec<(f64, Interval)>) -> Self {
        let (arm, name) = (strategy.name.clone(), strategy.shown.clone());
        let is_control = strategy.role == Role::Control;
        Self { arm, name, look, is_control, mean, thin: vec![], marks: vec![], growths: vec![] }
    }
}

/// A point that stands out.
#[derive(Clone, Copy)]
pub struct Mark {
    pub at: (f64, f64),
    /// About its radius, in hundredths of a point.
    pub size: i32,
}

/// The stretch of an axis.
#[derive(Clone, Copy)]
pub enum Scale {
    Log(f64, f64),
    Linear(f64, f64),
    /// Without room at its ends.
    Exact(f64, f64),
    /// From high to low.
    Reversed(f64, f64),
}

impl Scale {
    fn axis(self, labels: usize) -> Axis {
        match self {
            Self::Log(from, to) => Axis::log(from, to, labels),
            Self::Linear(from, to) => Axis::linear(from, to, labels),
            Self::Exact(from, to) => Axis::exact(from, to, labels),
            Self::Reversed(from, to) => Axis::exact(from, to, labels).reversed(labels),
        }
    }
}

/// A view of all curves.
#[derive(Clone, Copy)]
pub struct View {
    pub x: Scale,
    pub y: Scale,
}

/// Curves with their axes.
pub struct Chart {
    pub series: Vec<Series>,
    /// One, or two beside or below each other.
    pub views: Vec<View>,
    /// What panels show, where that is not the last view.
    pub panel: Option<View>,
    /// Names of the axes.
    pub x_name: String,
    pub y_name: String,
    /// The numbers at the horizontal axis, where they are not for the axis to choose.
    pub x_ticks: Vec<f64>,
    /// Where a dashed line goes across, and where one goes up.
    pub across: Option<f64>,
    pub up: Option<f64>,
}

/// Widest name of an arm beside its curve in a single column.
const BESIDE: i32 = 62 * PT;
const BOTTOM: i32 = 28 * PT;
const RIGHT: i32 = 6 * PT;

/// Whether so many curves are drawn in panels of their own.
pub fn is_split(curves: usize) -> bool {
    curves > MOST
}

/// How the intervals of so many curves are drawn.
pub fn intervals(curves: usize) -> &'static str {
    match curves > BANDS && !is_split(curves) {
        true => "bars at the ends of the curves are",
        false => "bands are",
    }
}

/// What a caption says of panels.
pub fn panels(curves: usize) -> &'static str {
    match is_split(curves) {
        true => {
            " Each panel has one of them in colour, the from-scratch control in black, and all \
             others in grey."
        }
        false => "",
    }
}

impl Chart {
    /// What a caption says where an interval goes beyond the frame.
    pub fn cut(&self) -> &'static str {
        let curves = self.series.len();
        let views = if is_split(curves) { vec![self.panel_view()] } else { self.views.clone() };
        let is_cut = |view: &View| {
            let [x, y] = [view.x, view.y].map(|scale| scale.axis(4).ends());
            let mut seen = self.series.iter().flat_map(|one| {
                let within = bounds(one).into_iter().filter(|(at, _)| x[0] <= *at && *at <= x[1]);
                let seen: Vec<_> = within.map(|(_, both)| both).collect();
                let last = seen.len().saturating_sub(1);
                if intervals(curves) == "bands are" { seen } else { seen[last..].to_vec() }
            });
            seen.any(|[low, high]| low < y[0] || high > y[1])
        };
        match (views.iter().any(is_cut), intervals(curves)) {
            (false, _) => "",
            (true, "bands are") => " Where a band goes on beyond the frame, the frame is dotted.",
            (true, _) => " Where a bar goes on beyond the frame, it ends in an arrow.",
        }
    }

    fn panel_view(&self) -> View {
        self.panel.unwrap_or_else(|| self.views[self.views.len() - 1])
    }

    /// Draws it.
    pub fn draw(&self, column: Column) -> Sheet {
        match is_split(self.series.len()) {
            true => multiples::draw(self, column),
            false => self.together(column),
        }
    }

    fn together(&self, column: Column) -> Sheet {
        let widest = self.series.iter().map(|one| font::width(&font::label(&one.name), TICK));
        let widest = widest.max().unwrap_or(0);
        let is_beside = column == Column::Double || widest <= BESIDE;
        let legend: Vec<_> = self.series.iter().map(|one| (one.name.clone(), one.look)).collect();
        let top = if is_beside { 8 * PT } else { legend_height(column, &legend) };
        let own = column.plot_height();
        let rows = if column == Column::Double { 1 } else { self.views.len() as i32 };
        let height = top + rows * own + (rows - 1) * GAP + BOTTOM;
        let sheet = Sheet::new(column.width(), height);
        if !is_beside {
            sheet.legend(8 * PT, &legend, Sample::Line);
        }
        let right = RIGHT + if is_beside { widest + 10 * PT } else { 0 };
        let columns = self.views.len() as i32 / rows;
        let whole = (sheet.size.0 - right) / columns.max(1);
        for (number, view) in self.views.iter().enumerate() {
            let (row, place) = (number as i32 / columns, number as i32 % columns);
            let labels = if columns > 1 { 5 } else { column.labels() };
            let y = view.y.axis(6);
            let from = place * whole + y.room();
            let to = (place + 1) * whole - if place + 1 < columns { 8 * PT } else { 0 };
            let down = top + row * (own + GAP);
            let x = self.x_axis(view, labels);
            let plot = sheet.plot(from..to, down..down + own, x, y);
            self.curves(&plot, &self.series.iter().collect::<Vec<_>>());
            let is_last = row + 1 == rows;
            plot.horizontal_axis(if is_last { &self.x_name } else { "" });
            plot.vertical_axis(&self.y_name);
            if is_beside && (rows > 1 || place + 1 == columns) {
                beside::names(&sheet, &plot, &self.series);
            }
        }
        sheet
    }

    fn x_axis(&self, view: &View, labels: usize) -> Axis {
        let axis = view.x.axis(labels);
        match self.x_ticks.is_empty() {
            true => axis,
            false => axis.with_ticks(&self.x_ticks, labels),
        }
    }

    /// The dashed lines, bands, curves and marks of some series.
    fn curves(&self, plot: &Plot, series: &[&Series]) {
        self.rules(plot);
        let has_bands = series.len() <= BANDS;
        for one in series {
            one.thin.iter().for_each(|curve| plot.curve(curve, Look { dash: "", ..one.look }, 35));
            if has_bands {
                plot.band(&bounds(one), one.look);
            }
        }
        for (number, one) in (0..).zip(series).filter(|_| !has_bands) {
            let [x, _] = plot.ends();
            let within = |at: f64| x[0].min(x[1]) <= at && at <= x[0].max(x[1]);
            let last = bounds(one).into_iter().rfind(|(at, _)| within(*at));
            last.iter().for_each(|(at, both)| plot.upright(*at, *both, one.look, number * APART));
        }
        for one in series {
            plot.curve(&means(one), one.look, 110);
        }
        for one in series {
            one.marks.iter().for_each(|mark| plot.mark(mark.at, one.look, mark.size));
        }
    }

    fn rules(&self, plot: &Plot) {
        let dashed = Look { color: GREY, dash: "150 150", ..super::style::strategy(0) };
        let [x, y] = plot.ends();
        if let Some(at) = self.across {
            plot.curve(&[(x[0], at), (x[1], at)], dashed, 50);
        }
        if let Some(at) = self.up {
            plot.curve(&[(at, y[0]), (at, y[1])], dashed, 50);
        }
    }
}

/// Between two views below each other, with the numbers of the upper one's axis.
const GAP: i32 = 24 * PT;

fn means(series: &Series) -> Vec<(f64, f64)> {
    series.mean.iter().map(|(x, y)| (*x, y.mean)).collect()
}

fn bounds(series: &Series) -> Vec<(f64, [f64; 2])> {
    series.mean.iter().filter_map(|(x, y)| Some((*x, y.bounds?))).collect()
}

/// The height that a legend takes, known once it is written.
pub fn legend_height(column: Column, entries: &[(String, Look)]) -> i32 {
    Sheet::new(column.width(), PT).legend(8 * PT, entries, Sample::Line)
}
