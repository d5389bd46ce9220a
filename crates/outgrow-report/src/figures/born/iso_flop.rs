//! At each budget loss against size: born sizes, the parabola, and growing arms at their mean size.

use std::collections::BTreeSet;

use plotters::style::text_anchor::{HPos, VPos};

use super::{Arm, back_to_front, key, legend, legend_height, parameter_unit, shade, unnamed};
use crate::{
    born::Born,
    ends::GrownMean,
    figures::{
        axis::Axis,
        common::{cells, extent, header},
        figure::Figure,
        measures::{Column, LABEL, PT, TICK},
        sheet::{Plot, Sample, Sheet},
        style::{GREY, INK, Look, Marker, strategy},
    },
    frontier::{BornEnd, Parabola, Vertex},
    interval::Interval,
};

/// Above each panel, and below it.
const TITLE: i32 = 13 * PT;
const GAP: i32 = 19 * PT;
/// Intervals reach no further beyond the means than this share of their range.
const ROOM: f64 = 0.5;
/// Right of a panel.
const BESIDE: i32 = 6 * PT;

/// The figure; none where no budget has two sizes.
pub fn figure(born: &Born, arms: &[Arm]) -> Option<Figure> {
    if born.ends.parabolas.iter().all(|parabola| parabola.sizes.len() < 2) {
        return None;
    }
    let caption = format!(
        "Final validation loss against parameters (without embeddings, with the unembedding), one \
         panel for each budget ({}). Dots are sizes that a model is born with, means over seeds \
         with 95 % intervals; the line is the parabola in log N through the filled ones, weighted \
         by nearness to the minimum; hollow ones are outside of it (too far from the minimum, or \
         with repeated text). The black diamond is the best born size and its loss L* (a cubic at \
         the vertex of the parabola), with the 95 % interval of the size; the dashed line goes on \
         at L*. Colours: growing arms at their mean size, weighted by the FLOPs that were spent at \
         each size, with the 95 % intervals of their own loss. Arrows: sizes above the frame, and \
         intervals that go on beyond it.{}",
        born.unit.describe(),
        unnamed(arms)
    );
    Some(Figure::new("iso_flop", caption, numbers(born), |column| draw(born, arms, column)))
}

/// How many of some panels stand side by side, and their height.
fn panels(column: Column, number: usize) -> (i32, i32) {
    match (column, number) {
        (Column::Single, _) => (2.min(number as i32), 74 * PT),
        (Column::Double, 4 | 7..) => (4, 90 * PT),
        (Column::Double, _) => (3.min(number as i32), 100 * PT),
    }
}

fn draw(born: &Born, arms: &[Arm], column: Column) -> Sheet {
    let all = &born.ends.parabolas;
    let (columns, height) = panels(column, all.len());
    let rows = (all.len() as i32 + columns - 1) / columns;
    let first = legend_height(column.width(), arms);
    let parts = [
        key::Part::Mark(Look { color: shade(1, 2), ..strategy(0) }, "born size"),
        key::Part::Mark(VERTEX, "best born size"),
    ];
    let top = key::draw(&Sheet::new(column.width(), PT), first, &parts);
    let cell = TITLE + height + GAP;
    let sheet = Sheet::new(column.width(), top + rows * cell + 13 * PT);
    sheet.legend(8 * PT, &legend(arms), Sample::Marker);
    key::draw(&sheet, first, &parts);
    let (by, name) = parameter_unit(extent(sizes(born)).map_or(0.0, |[_, most]| most));
    let left = 11 * PT;
    let width = (sheet.size.0 - left) / columns;
    for (number, parabola) in (0..).zip(all) {
        let (row, place) = (number / columns, number % columns);
        let (x, y) = (left + place * width, top + row * cell + TITLE);
        let panel = Panel { sheet: &sheet, born, parabola, by };
        panel.draw(arms, [x, x + width - BESIDE], [y, y + height]);
    }
    let middle = (left + (sheet.size.0 - left) / 2, top + rows * cell);
    sheet.text(middle, name, LABEL, INK, HPos::Center, VPos::Top);
    sheet.upwards((2 * PT, top + rows * cell / 2), &born.ends.unit.of_loss("Final loss"));
    sheet
}

/// All that stand on the axis of sizes.
fn sizes(born: &Born) -> impl Iterator<Item = f64> {
    let n = |end: &BornEnd| born.frontier.count.of(&end.counts);
    born.ends.born.iter().map(n).chain(born.ends.grown.iter().map(|end| end.size))
}

const VERTEX: Look = Look { color: INK, dash: "", marker: Marker::Diamond };

struct Panel<'a> {
    sheet: &'a Sheet,
    born: &'a Born,
    parabola: &'a Parabola,
    /// What parameters are divided by.
    by: f64,
}

impl Panel<'_> {
    fn grown(&self) -> impl Iterator<Item = &GrownMean> {
        self.born.ends.grown.iter().filter(|end| end.budget == self.parabola.budget)
    }

    fn vertex(&self) -> Option<&Vertex> {
        let mut budgets = self.born.frontier.budgets.iter();
        let own = budgets.find(|budget| budget.budget == self.parabola.budget)?;
        own.vertex.as_ref().ok()
    }

    /// N and loss of the sizes that are outside of the parabola.
    fn outside(&self) -> Vec<(f64, f64)> {
        let own = self.parabola.sizes.iter().filter(|size| !size.is_fitted);
        let repeated = repeated(self.born, self.parabola.budget);
        own.map(|size| (size.n, size.loss.mean)).chain(repeated).collect()
    }

    /// From the lowest to the highest mean of the fitted sizes (of all where none is fitted) and the
    /// growing arms; and their intervals, as far as they leave these their room.
    fn range(&self) -> [f64; 2] {
        let is_enclosed = self.vertex().is_some();
        let sizes = self.parabola.sizes.iter().filter(|size| size.is_fitted || !is_enclosed);
        let own = sizes.map(|size| size.loss).chain(self.grown().map(|end| end.loss));
        let own: Vec<Interval> = own.collect();
        let vertex = self.vertex().map(|vertex| vertex.loss.mean);
        let means = own.iter().map(|loss| loss.mean).chain(vertex);
        let [low, high] = extent(means).unwrap_or([0.0, 1.0]);
        let room = ROOM * (high - low).max(1e-3);
        let bounds = own.iter().filter_map(|loss| loss.bounds).flatten();
        let bounds = bounds.map(|bound| bound.clamp(low - room, high + room));
        let [low, high] = extent(bounds.chain([low, high])).unwrap_or([low, high]);
        [low, high + 0.06 * (high - low)]
    }

    fn draw(&self, arms: &[Arm], [left, right]: [i32; 2], [top, bottom]: [i32; 2]) {
        let [least, most] = extent(sizes(self.born)).unwrap_or([1.0, 2.0]).map(|n| n / self.by);
        let [low, high] = self.range();
        let (x, y) = (Axis::log(least, most, 5), Axis::linear(low, high, 4));
        let from = left + y.room() - 8 * PT;
        let plot = self.sheet.plot(from..right, top..bottom, x, y);
        let title = title(self.born, self.parabola.budget);
        self.sheet.text((from, top - 4 * PT), &title, TICK, INK, HPos::Left, VPos::Bottom);
        self.draw_vertex(&plot);
        let curve: Vec<_> =
            self.parabola.curve.iter().map(|(n, loss)| (n / self.by, *loss)).collect();
        plot.curve(&curve, Look { color: INK, ..strategy(0) }, 70);
        self.draw_sizes(&plot, top);
        for arm in back_to_front(arms) {
            for end in self.grown().filter(|end| end.arm == arm.name) {
                let look = arm.look();
                if let Some(bounds) = end.loss.bounds.filter(|_| arm.is_named) {
                    plot.upright(end.size / self.by, bounds, look, 0);
                }
                let size = if arm.is_named { 200 } else { 130 };
                plot.mark((end.size / self.by, end.loss.mean), look, size);
            }
        }
        if let Some(Vertex { n_star, loss, .. }) = self.vertex() {
            plot.mark((n_star.mean / self.by, loss.mean), VERTEX, 200);
        }
        plot.frame(true, Some(4 * PT));
    }

    fn draw_vertex(&self, plot: &Plot) {
        let Some(Vertex { n_star, loss, .. }) = self.vertex() else {
            let [x, y] = plot.ends();
            let at = plot.at(x[1], y[1]);
            let at = (at.0 - 2 * PT, at.1 + 2 * PT);
            self.sheet.text(at, "not enclosed", TICK, INK, HPos::Right, VPos::Top);
            return;
        };
        let [x, _] = plot.ends();
        let dashed = Look { color: GREY, dash: "150 150", ..VERTEX };
        plot.curve(&[(x[0], loss.mean), (x[1], loss.mean)], dashed, 50);
        if let Some(bounds) = n_star.bounds {
            let [from, to] = bounds.map(|n| (n / self.by, loss.mean));
            plot.curve(&[from, to], VERTEX, 90);
        }
    }

    fn draw_sizes(&self, plot: &Plot, top: i32) {
        let look = Look { color: shade(1, 2), ..strategy(0) };
        for size in self.parabola.sizes.iter().filter(|size| size.is_fitted) {
            let x = size.n / self.by;
            size.loss.bounds.into_iter().for_each(|both| plot.upright(x, both, look, 0));
            plot.mark((x, size.loss.mean), look, 170);
        }
        let [_, [_, highest]] = plot.ends();
        for (n, loss) in self.outside() {
            let (x, y) = plot.at(n / self.by, loss.min(highest));
            match loss > highest {
                true => self.sheet.arrow((x, top), (0, -1), look.color),
                false => self.sheet.ring((x, y), look.color, 170),
            }
        }
    }
}

fn title(born: &Born, budget: usize) -> String {
    use outgrow_core::sweep::BudgetUnit::{Flops, TokensPerParameter};
    match born.unit {
        TokensPerParameter if born.budgets[budget] == 1.0 => "1 token/parameter".into(),
        TokensPerParameter => format!("{} tokens/parameter", born.budget(budget)),
        Flops => {
            let flops = born.budgets[budget];
            let units = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1.0, "")];
            let unit = units.into_iter().find(|(size, _)| flops >= *size).unwrap_or(units[4]);
            format!("{:.2} {}FLOP", flops / unit.0, unit.1)
        }
    }
}

/// N and mean loss of each size with repeated text.
fn repeated(born: &Born, budget: usize) -> Vec<(f64, f64)> {
    let own = || born.ends.born.iter().filter(|end| end.repeated && end.budget == budget);
    let sizes: BTreeSet<usize> = own().map(|end| end.size).collect();
    let mean = |size: usize| {
        let ends: Vec<&BornEnd> = own().filter(|end| end.size == size).collect();
        let loss = ends.iter().map(|end| end.loss).sum::<f64>() / ends.len() as f64;
        (born.frontier.count.of(&ends[0].counts), loss)
    };
    sizes.into_iter().map(mean).collect()
}

fn numbers(born: &Born) -> Vec<Vec<String>> {
    let mut rows = header("budget what name parameters loss low high n in_parabola");
    let none = String::new;
    let bound = |of: &Interval, i: usize| of.bounds.map_or_else(none, |both| both[i].to_string());
    for parabola in &born.ends.parabolas {
        let budget = born.budget(parabola.budget);
        let mut row = |what: [&str; 2], n: f64, loss: &Interval, is_fitted: String| {
            let numbers = [bound(loss, 0), bound(loss, 1), loss.n.to_string(), is_fitted];
            let head = [budget.clone(), what[0].into(), what[1].into(), n.to_string()];
            rows.push(head.into_iter().chain([loss.mean.to_string()]).chain(numbers).collect());
        };
        for size in &parabola.sizes {
            row(["born", ""], size.n, &size.loss, size.is_fitted.to_string());
        }
        for end in born.ends.grown.iter().filter(|end| end.budget == parabola.budget) {
            row(["grown", &end.arm], end.size, &end.loss, none());
        }
        let found = born.frontier.budgets.iter().find(|own| own.budget == parabola.budget);
        if let Some(Ok(vertex)) = found.map(|found| &found.vertex) {
            row(["best born size", ""], vertex.n_star.mean, &vertex.loss, none());
        }
        let curve = parabola.curve.iter().map(|(n, loss)| {
            let line = ["parabola".into(), none(), n.to_string(), loss.to_string()];
            cells([budget.clone()])
                .into_iter()
                .chain(line)
                .chain([(); 4].map(|()| none()))
                .collect()
        });
        rows.extend(curve);
    }
    rows
}
