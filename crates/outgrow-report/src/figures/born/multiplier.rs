//! The compute multiplier of each growing arm at each budget.

use outgrow_core::sweep::BudgetUnit;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Arm, mean_gap};
use crate::{
    born::Born,
    figures::{
        axis::Axis,
        common::{cells, extent, header},
        figure::Figure,
        font,
        measures::{At, Column, PT, TICK},
        sheet::{Plot, Sheet},
        style::{GREY, INK, Look},
    },
    frontier::{Censored, Multiplier},
};

const ROW: i32 = 11 * PT;
/// Between two arms.
const GAP: i32 = 4 * PT;
/// Rows that fit on a page.
const MOST: usize = 48;
/// No bound is drawn further from the values than by this factor.
const REACH: f64 = 2.0;
/// Widest name of an arm in a single column.
const NAME: i32 = 78 * PT;
const TOP: i32 = 14 * PT;

struct Row<'a> {
    budget: String,
    multiplier: &'a Multiplier,
}

/// An arm with its rows.
type Group<'a> = (&'a Arm, Vec<Row<'a>>);

/// The figure; none where no multiplier is known.
pub fn figure(born: &Born, arms: &[Arm]) -> Option<Figure> {
    let (groups, left_out) = groups(born, arms);
    if groups.is_empty() {
        return None;
    }
    let left_out = match left_out {
        0 => String::new(),
        n => format!(" {n} arms with higher gaps are with the data only."),
    };
    let caption = format!(
        "Compute multiplier of growing arms: the compute that a model of the best born size needs \
         for the same final loss, over the arm's; numbers beside the names are budgets ({}). Above \
         1, growing pays. Bars are 95 % intervals over seeds, corrected (Holm) as those of the \
         gaps. An arrow stands where the loss, or an end of the interval, is outside of the \
         measured budgets, so that only a bound is known (> or <).{left_out}",
        born.unit.describe()
    );
    Some(Figure::new("multiplier", caption, numbers(born), |column| draw(born, &groups, column)))
}

fn known<'a>(born: &'a Born, arm: &str) -> Vec<Row<'a>> {
    let own = born.frontier.gaps.iter().filter(|gap| gap.arm == arm);
    let row = |gap: &'a crate::frontier::ArmGap| {
        let multiplier = gap.against.as_ref().ok()?.multiplier.as_ref()?;
        Some(Row { budget: born.budget(gap.budget), multiplier })
    };
    own.filter_map(row).collect()
}

/// Those that fit on a page, in the order of the sweep, and how many do not.
fn groups<'a>(born: &'a Born, arms: &'a [Arm]) -> (Vec<Group<'a>>, usize) {
    let mut all: Vec<Group> = arms.iter().map(|arm| (arm, known(born, &arm.name))).collect();
    all.retain(|(_, rows)| !rows.is_empty());
    let whole = all.len();
    while all.iter().map(|(_, rows)| rows.len()).sum::<usize>() > MOST && all.len() > 1 {
        let gap = |place: &usize| mean_gap(born, &all[*place].0.name);
        let worst = (0..all.len()).max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap_or(0);
        all.remove(worst);
    }
    let left_out = whole - all.len();
    (all, left_out)
}

fn value(multiplier: &Multiplier) -> (f64, String) {
    let (Censored::At(value) | Censored::Above(value) | Censored::Below(value)) = multiplier.value;
    (value, multiplier.value.to_string())
}

fn axis(groups: &[Group], column: Column) -> Axis {
    let all = || groups.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.multiplier));
    let values = all().map(|multiplier| value(multiplier).0);
    let [low, high] = extent(values.chain([1.0])).unwrap_or([0.5, 2.0]);
    let bounds = all().flat_map(|multiplier| multiplier.corrected).flatten();
    let bounds = bounds.map(|bound| bound.clamp(low / REACH, high * REACH));
    let [low, high] = extent(bounds.chain([low, high])).unwrap_or([low, high]);
    // Room for arrows.
    Axis::log(low * 0.96, high * 1.04, if column == Column::Double { 7 } else { 4 })
}

fn draw(born: &Born, groups: &[Group], column: Column) -> Sheet {
    let widest = if column == Column::Double { i32::MAX } else { NAME };
    let label = |arm: &Arm| match widest {
        i32::MAX => font::label(&arm.shown),
        widest => font::label_in(&arm.shown, widest),
    };
    let names = groups.iter().map(|(arm, _)| font::width(&label(arm), TICK)).max().unwrap_or(0);
    let rows = || groups.iter().flat_map(|(_, rows)| rows);
    let budgets = rows().map(|row| font::width(&row.budget, TICK)).max().unwrap_or(0);
    let numbers = rows().map(|row| font::width(&value(row.multiplier).1, TICK)).max().unwrap_or(0);
    let budget_end = names + budgets + 12 * PT;
    let (left, right) = (budget_end + 6 * PT, numbers + 10 * PT);
    let height = rows().count() as i32 * ROW + (groups.len() as i32 - 1) * GAP;
    let sheet = Sheet::new(column.width(), TOP + height + 28 * PT);
    let edges = [left, sheet.size.0 - right];
    let plot = sheet.plot(
        left..edges[1],
        TOP..TOP + height,
        axis(groups, column),
        Axis::exact(0.0, 1.0, 2),
    );
    let head = |x: i32, text: &str, side: HPos| {
        sheet.text((x, TOP - 6 * PT), text, TICK, INK, side, VPos::Center);
    };
    let unit = match born.unit {
        BudgetUnit::TokensPerParameter => "tokens/parameter",
        BudgetUnit::Flops => "FLOP",
    };
    head(budget_end, unit, HPos::Right);
    let one = plot.at(1.0, 0.0).0;
    sheet.line([(one, TOP), (one, TOP + height)], GREY, 50, "150 150");
    let mut top = TOP;
    for (number, (arm, rows)) in groups.iter().enumerate() {
        if number > 0 {
            sheet.line([(4 * PT, top), (sheet.size.0 - 4 * PT, top)], GREY, 20, "");
            top += GAP / 2;
        }
        let at = (4 * PT, top + ROW / 2);
        sheet.text(at, &label(arm), TICK, INK, HPos::Left, VPos::Center);
        for row in rows {
            let y = top + ROW / 2;
            sheet.text((budget_end, y), &row.budget, TICK, INK, HPos::Right, VPos::Center);
            mark(&sheet, &plot, (row, arm.look), y, edges);
            let text = value(row.multiplier).1;
            let at = (sheet.size.0 - 4 * PT, y);
            sheet.text(at, &text, TICK, INK, HPos::Right, VPos::Center);
            top += ROW;
        }
        top += GAP / 2;
    }
    plot.horizontal_axis("Compute multiplier");
    drop(plot);
    sheet
}

/// The value and its interval; arrows where they are open.
fn mark(sheet: &Sheet, plot: &Plot, (row, look): (&Row, Look), y: i32, edges: [i32; 2]) {
    let look = Look { dash: "", ..look };
    let across = |value: f64| plot.at(value, 0.0).0;
    let [low, high] = row.multiplier.corrected;
    let ends = [(low, edges[0], -1), (high, edges[1], 1)].map(|(bound, edge, side)| {
        let at = bound.map(across).filter(|at| (edges[0]..=edges[1]).contains(at));
        (at.unwrap_or(edge), at.is_none(), side)
    });
    if row.multiplier.n > 1 {
        sheet.line([(ends[0].0, y), (ends[1].0, y)], look.color, 110, "");
        for (x, is_open, side) in ends {
            if is_open {
                sheet.arrow((x, y), (side, 0), look.color);
            }
        }
    }
    let x = across(value(row.multiplier).0);
    match row.multiplier.value {
        Censored::At(_) => sheet.marker((x, y), look, 240, 1.0),
        Censored::Above(_) => bound(sheet, (x, y), 1, look),
        Censored::Below(_) => bound(sheet, (x, y), -1, look),
    }
}

/// A wide point of an arrow from a bound on.
fn bound(sheet: &Sheet, (x, y): At, side: i32, look: Look) {
    let (length, half) = (6 * PT, 3 * PT);
    sheet.fill([(x, y - half), (x + side * length, y), (x, y + half)], look.color, 1.0);
}

fn numbers(born: &Born) -> Vec<Vec<String>> {
    let mut rows = header(
        "strategy budget multiplier bound low high low_corrected high_corrected n seeds_outside",
    );
    for gap in &born.frontier.gaps {
        let against = gap.against.as_ref().ok();
        let Some(multiplier) = against.and_then(|against| against.multiplier.as_ref()) else {
            continue;
        };
        let (value, bound) = match multiplier.value {
            Censored::At(value) => (value, ""),
            Censored::Above(value) => (value, "above"),
            Censored::Below(value) => (value, "below"),
        };
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        rows.push(cells([
            gap.arm.clone(),
            born.budget(gap.budget),
            value.to_string(),
            bound.to_owned(),
            text(multiplier.bounds[0]),
            text(multiplier.bounds[1]),
            text(multiplier.corrected[0]),
            text(multiplier.corrected[1]),
            multiplier.n.to_string(),
            multiplier.censored.to_string(),
        ]));
    }
    rows
}
