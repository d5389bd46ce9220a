//! The gap of each growing arm to the frontier, against the budget.

use outgrow_core::sweep::BudgetUnit;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Arm, back_to_front, beside, legend, legend_height, unnamed};
use crate::{
    born::Born,
    figures::{
        axis::Axis,
        common::{cells, cost_unit, divisor, extent, header, tested_cells},
        figure::Figure,
        font,
        measures::{Column, PT, TICK},
        sheet::{Plot, Sample, Sheet},
        style::{GREY, INK},
    },
    frontier::ArmGap,
    interval::Interval,
    runs::Cost,
    tested::Tested,
};

/// What stands at zero, in two lines.
const ZERO: [&str; 2] = ["best born", "size"];
/// Bounds reach no further beyond the means than this share of their range.
const ROOM: f64 = 0.75;

/// The figure; none where no arm is judged.
pub fn figure(born: &Born, arms: &[Arm]) -> Option<Figure> {
    let budgets = budgets(born);
    let (last, judged) = (budgets.last()?, judged(born).count());
    let (by, name) = match born.unit {
        BudgetUnit::TokensPerParameter => (1.0, "Tokens per parameter of the target"),
        BudgetUnit::Flops => {
            let unit = cost_unit(Cost::TrainFlops, *last);
            (divisor(Cost::TrainFlops, unit), unit.1)
        }
    };
    let caption = format!(
        "Gap of growing arms to the frontier of being born: final validation loss minus that of \
         the best size that a model can be born with for the same compute, at the end of a \
         schedule. Below 0, growing pays. Means over seeds with 95 % intervals, corrected (Holm) \
         for all {judged} arms and budgets{}.{} An interval that goes on beyond the frame ends in an \
         arrow.",
        if budgets.len() > 1 { "; marks of one budget stand beside each other" } else { "" },
        unnamed(arms)
    );
    let numbers = numbers(born);
    Some(Figure::new("gap", caption, numbers, |column| draw(born, arms, (by, name), column)))
}

fn judged(born: &Born) -> impl Iterator<Item = (&ArmGap, &Tested)> {
    born.frontier.gaps.iter().filter_map(|gap| Some((gap, &gap.against.as_ref().ok()?.gap)))
}

/// Those with a gap, in their unit, rising.
fn budgets(born: &Born) -> Vec<f64> {
    let mut budgets: Vec<f64> = judged(born).map(|(gap, _)| born.budgets[gap.budget]).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    budgets
}

fn draw(born: &Born, arms: &[Arm], (by, name): (f64, &str), column: Column) -> Sheet {
    let top = legend_height(column.width(), arms);
    let sheet = Sheet::new(column.width(), top + column.plot_height() + 28 * PT);
    sheet.legend(8 * PT, &legend(arms), Sample::Marker);
    let at: Vec<f64> = budgets(born).iter().map(|budget| budget / by).collect();
    let [first, last] = [at[0], at[at.len() - 1]];
    // Room for the marks beside the first and the last budget.
    let x = Axis::log(first * 0.85, last * 1.18, column.labels()).with_ticks(&at, 8);
    let [low, high] = range(born);
    let y = Axis::linear(low, high, 6);
    let zero = ZERO.map(|text| font::width(text, TICK)).into_iter().max().unwrap_or(0);
    let right = sheet.size.0 - zero - 8 * PT;
    let plot = sheet.plot(y.room()..right, top..sheet.size.1 - 28 * PT, x, y);
    let (_, height) = plot.at(first, 0.0);
    sheet.line([(plot.left(), height), (right, height)], GREY, 60, "150 150");
    for (text, down) in ZERO.into_iter().zip([-4 * PT, 5 * PT]) {
        let at = (right + 4 * PT, height + down);
        sheet.text(at, text, TICK, INK, HPos::Left, VPos::Center);
    }
    let step = if at.len() > 1 { 4 * PT } else { 14 * PT };
    for arm in back_to_front(arms) {
        draw_arm(&sheet, &plot, born, (arm, beside(arms, arm, step)), by);
    }
    plot.horizontal_axis(name);
    plot.vertical_axis(&born.ends.unit.of_difference("Gap to the frontier"));
    drop(plot);
    sheet
}

/// The range of all means and zero, and of intervals as far as they leave these their room.
fn range(born: &Born) -> [f64; 2] {
    let means = judged(born).map(|(_, gap)| gap.value.mean);
    let [low, high] = extent(means.chain([0.0])).unwrap_or([-0.01, 0.01]);
    let room = ROOM * (high - low).max(1e-3);
    let bounds = judged(born).filter_map(|(_, gap)| gap.corrected.bounds).flatten();
    let bounds = bounds.map(|bound| bound.clamp(low - room, high + room));
    extent(bounds.chain([low, high])).unwrap_or([low, high])
}

fn draw_arm(sheet: &Sheet, plot: &Plot, born: &Born, (arm, right): (&Arm, i32), by: f64) {
    let own = judged(born).filter(|(gap, _)| gap.arm == arm.name);
    let mut points: Vec<(f64, &Interval)> =
        own.map(|(gap, tested)| (born.budgets[gap.budget] / by, &tested.corrected)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |(x, gap): &(f64, &Interval)| {
        let (across, down) = plot.at(*x, gap.mean);
        (across + right, down)
    };
    let (look, width) = (arm.look(), if arm.is_named { 80 } else { 40 });
    sheet.line(points.iter().map(at), look.color, width, look.dash);
    for point in &points {
        if let Some(bounds) = point.1.bounds.filter(|_| arm.is_named) {
            plot.upright(point.0, bounds, look, -right);
        }
        sheet.marker(at(point), look, if arm.is_named { 220 } else { 130 }, 1.0);
    }
}

fn numbers(born: &Born) -> Vec<Vec<String>> {
    let mut rows = header(
        "strategy budget train_flops gap low high low_corrected high_corrected p p_corrected n",
    );
    rows.extend(judged(born).map(|(gap, tested)| {
        let of = cells([gap.arm.clone(), born.budget(gap.budget), gap.flops.to_string()]);
        [of, tested_cells(tested)].concat()
    }));
    rows
}
