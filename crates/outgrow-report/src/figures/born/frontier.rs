//! Final loss against compute: born ends, the frontier, growing arms.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arm, back_to_front, key, legend, legend_height, shade, unnamed};
use crate::{
    born::Born,
    figures::{
        axis::Axis,
        common::{cells, cost_unit, divisor, extent, header},
        figure::Figure,
        measures::{Column, PT},
        sheet::{Plot, Sample, Sheet},
        style::{INK, Look, strategy},
    },
    frontier::BornEnd,
    interval::Interval,
    runs::Cost,
};

/// Between two arms of one budget, and from the budget to the first of them.
const APART: i32 = 320;
const FIRST: i32 = 420;

/// The figure.
pub fn figure(born: &Born, arms: &[Arm]) -> Option<Figure> {
    let [_, most] = extent(costs(born))?;
    let unit = cost_unit(Cost::TrainFlops, most);
    let repeated = match born.ends.born.iter().any(|end| end.repeated) {
        true => " Hollow: models that repeated their text; neither line nor band uses them.",
        false => "",
    };
    let caption = format!(
        "Final validation loss against training compute. Grey: each model that had its size from \
         its first token, darker for more parameters (without embeddings, with the unembedding), \
         at the end of its schedule; thin lines join the means of a size. Black: the frontier, the \
         least loss over sizes, with its 95 % interval over seeds.{repeated} Colours: growing \
         arms at the end of their schedules, means over seeds with 95 % intervals, drawn to the \
         right of their compute so that they do not hide each other. An interval that goes on \
         beyond the frame ends in an arrow.{}",
        unnamed(arms)
    );
    let by = divisor(Cost::TrainFlops, unit);
    let numbers = numbers(born);
    Some(Figure::new("frontier", caption, numbers, |column| draw(born, arms, (by, unit.1), column)))
}

fn costs(born: &Born) -> impl Iterator<Item = f64> {
    let grown = born.ends.grown.iter().map(|end| end.flops);
    born.ends.born.iter().map(|end| end.flops).chain(grown)
}

fn draw(born: &Born, arms: &[Arm], (by, name): (f64, &str), column: Column) -> Sheet {
    let ends = &born.ends;
    let parts = parts(born);
    let first = legend_height(column.width(), arms);
    let top = key::draw(&Sheet::new(column.width(), PT), first, &parts);
    let sheet = Sheet::new(column.width(), top + column.plot_height() + 28 * PT);
    sheet.legend(8 * PT, &legend(arms), Sample::Marker);
    key::draw(&sheet, first, &parts);
    let [low, high] = losses(born, arms);
    let y = Axis::linear(low, high, 6);
    let across = y.room()..sheet.size.0 - 8 * PT;
    let [least, most] = wide_enough(extent(costs(born)).unwrap_or([1.0, 2.0]));
    let most = with_room(born, arms, [least, most], across.end - across.start);
    let x = Axis::log(least / by, most / by, column.labels());
    let plot = sheet.plot(across, top..sheet.size.1 - 28 * PT, x, y);
    draw_born(&sheet, &plot, &ends.born, by);
    let line: Vec<(f64, Interval)> =
        ends.line.iter().map(|(flops, loss)| (flops / by, *loss)).collect();
    let look = Look { color: INK, ..strategy(0) };
    let band: Vec<_> = line.iter().filter_map(|(x, loss)| Some((*x, loss.bounds?))).collect();
    plot.band(&band, look);
    let line: Vec<_> = line.iter().map(|(x, loss)| (*x, loss.mean)).collect();
    plot.curve(&line, look, 110);
    if let [only] = line[..] {
        plot.mark(only, look, 200);
    }
    draw_grown(&sheet, &plot, (born, arms), by);
    plot.horizontal_axis(name);
    plot.vertical_axis(&ends.unit.of_loss("Final loss"));
    drop(plot);
    sheet
}

/// One budget alone is not an axis.
fn wide_enough([least, most]: [f64; 2]) -> [f64; 2] {
    if most < 1.5 * least { [least / 1.5, most * 1.5] } else { [least, most] }
}

/// The end of an axis `wide`, with room for the arms that stand to the right of the last budget.
fn with_room(born: &Born, arms: &[Arm], [least, most]: [f64; 2], wide: i32) -> f64 {
    if !born.ends.grown.iter().any(|end| end.flops > 0.9 * most) {
        return most;
    }
    let named = arms.iter().filter(|arm| arm.is_named).count() as i32;
    let room = f64::from(FIRST + named * APART) / f64::from(wide);
    most * (most / least).powf(room / (1.0 - room))
}

/// All ends, and the intervals of arms as far as they do not make these small.
fn losses(born: &Born, arms: &[Arm]) -> [f64; 2] {
    let ends = &born.ends;
    let losses = ends.born.iter().map(|end| end.loss).filter(|loss| loss.is_finite());
    let means = losses.chain(ends.grown.iter().map(|end| end.loss.mean));
    let [low, high] = extent(means).unwrap_or([0.0, 1.0]);
    let is_named = |name: &str| arms.iter().any(|arm| arm.is_named && arm.name == name);
    let named = ends.grown.iter().filter(|end| is_named(&end.arm));
    let bounds: Vec<f64> = named.filter_map(|end| end.loss.bounds).flatten().collect();
    let room = 0.25 * (high - low);
    let [lowest, highest] = extent(bounds.into_iter()).unwrap_or([low, high]);
    [lowest.max(low - room).min(low), highest.min(high + room).max(high)]
}

fn parts(born: &Born) -> Vec<key::Part> {
    let n = |end: &BornEnd| born.frontier.count.of(&end.counts);
    let sizes: BTreeSet<usize> = born.ends.born.iter().map(|end| end.size).collect();
    let ends = extent(born.ends.born.iter().map(n));
    let sizes = ends.map(|ends| key::Part::Sizes(sizes.len(), ends));
    let line = (!born.ends.line.is_empty()).then_some(key::Part::Band("best born size"));
    let repeated = born.ends.born.iter().any(|end| end.repeated);
    let hollow = repeated.then_some(key::Part::Hollow("repeated its text"));
    sizes.into_iter().chain(line).chain(hollow).collect()
}

fn draw_born(sheet: &Sheet, plot: &Plot, born: &[BornEnd], by: f64) {
    let mut sizes: BTreeMap<usize, Vec<&BornEnd>> = BTreeMap::new();
    born.iter()
        .filter(|end| end.loss.is_finite())
        .for_each(|end| sizes.entry(end.size).or_default().push(end));
    let looks: Vec<Look> = (0..sizes.len())
        .map(|place| Look { color: shade(place, sizes.len()), ..strategy(0) })
        .collect();
    for (ends, look) in sizes.values().zip(&looks) {
        plot.curve(&means(ends, by), *look, 40);
    }
    for (ends, look) in sizes.values().zip(&looks) {
        for end in ends {
            let at = plot.at(end.flops / by, end.loss);
            match end.repeated {
                true => sheet.ring(at, look.color, 150),
                false => sheet.marker(at, *look, 150, 1.0),
            }
        }
    }
}

/// The mean loss of a size at each budget.
fn means(ends: &[&BornEnd], by: f64) -> Vec<(f64, f64)> {
    let budgets: BTreeSet<usize> = ends.iter().map(|end| end.budget).collect();
    let mean = |budget: usize| {
        let own: Vec<&&BornEnd> = ends.iter().filter(|end| end.budget == budget).collect();
        let over =
            |of: fn(&BornEnd) -> f64| own.iter().map(|end| of(end)).sum::<f64>() / own.len() as f64;
        (over(|end| end.flops) / by, over(|end| end.loss))
    };
    let mut points: Vec<_> = budgets.into_iter().map(mean).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn draw_grown(sheet: &Sheet, plot: &Plot, (born, arms): (&Born, &[Arm]), by: f64) {
    let named: Vec<&str> =
        arms.iter().filter(|arm| arm.is_named).map(|arm| arm.name.as_str()).collect();
    for arm in back_to_front(arms) {
        let place = named.iter().position(|name| *name == arm.name).unwrap_or(0) as i32;
        let right = FIRST + place * APART;
        for end in born.ends.grown.iter().filter(|end| end.arm == arm.name) {
            let (x, y) = plot.at(end.flops / by, end.loss.mean);
            if let Some(bounds) = end.loss.bounds.filter(|_| arm.is_named) {
                plot.upright(end.flops / by, bounds, arm.look, -right);
            }
            let size = if arm.is_named { 220 } else { 150 };
            sheet.marker((x + right, y), arm.look(), size, 1.0);
        }
    }
}

fn numbers(born: &Born) -> Vec<Vec<String>> {
    let mut rows =
        header("what name budget train_flops parameters replicate loss low high n repeated_text");
    let none = String::new;
    let bound = |of: &Interval, i: usize| of.bounds.map_or_else(none, |both| both[i].to_string());
    rows.extend(born.ends.born.iter().map(|end| {
        cells([
            "born".into(),
            format!("born_{}", end.size),
            born.budget(end.budget),
            end.flops.to_string(),
            born.frontier.count.of(&end.counts).to_string(),
            end.seed.to_string(),
            end.loss.to_string(),
            none(),
            none(),
            none(),
            end.repeated.to_string(),
        ])
    }));
    let mut mean = |head: [String; 3], flops: f64, size: String, loss: &Interval| {
        let numbers = [loss.mean.to_string(), bound(loss, 0), bound(loss, 1), loss.n.to_string()];
        let place = [flops.to_string(), size, none()];
        rows.push(head.into_iter().chain(place).chain(numbers).chain([none()]).collect());
    };
    for end in &born.ends.grown {
        let head = ["grown".into(), end.arm.clone(), born.budget(end.budget)];
        mean(head, end.flops, end.size.to_string(), &end.loss);
    }
    for (flops, loss) in &born.ends.line {
        mean(["frontier".into(), none(), none()], *flops, none(), loss);
    }
    rows
}
