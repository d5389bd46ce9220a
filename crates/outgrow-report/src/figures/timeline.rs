//! When each plan grew, along which axis, and how large the model was then.

use outgrow_core::growth::TransformKind;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::{cells, cost_unit, divisor},
    figure::Figure,
    font,
    measures::{Column, PT, TICK},
    sheet::{Sample, Sheet},
    style::{self, GREY, INK},
};
use crate::{analysis::Analysis, plans::Plan, runs::Cost};

/// More plans than fit on a page are not drawn; the table of numbers has all.
const MOST: usize = 16;
/// Height of a plan's row, six lanes of marks.
const ROW: i32 = 26 * PT;
const LANE: i32 = 4 * PT;

/// The figure; none where nothing grew.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let plans: Vec<&Plan> = analysis.plans.iter().filter(|plan| !plan.stages.is_empty()).collect();
    if plans.is_empty() {
        return None;
    }
    let shown = &plans[..plans.len().min(MOST)];
    let some = if plans.len() > MOST {
        format!(" (the first {MOST} of {} plans)", plans.len())
    } else {
        String::new()
    };
    let caption = format!(
        "When each plan grew, and along which axis{some}. A mark is a growth event with that \
         transform; \
         the grey steps are the number of parameters, as a share of the largest."
    );
    Some(Figure::new("growth_timeline", caption, numbers(&plans), |column| draw(shown, column)))
}

fn draw(plans: &[&Plan], column: Column) -> Sheet {
    let names =
        plans.iter().map(|plan| font::width(&font::label(&plan.name), TICK)).max().unwrap_or(0);
    let left = names + 12 * PT;
    let legend: Vec<_> = TransformKind::ALL
        .map(|kind| (kind.name().replace('_', " "), style::transform(kind)))
        .into();
    let rows = plans.len() as i32;
    // The legend's height is known once it is written, so it is written on a trial sheet first.
    let top = Sheet::new(column.width(), PT).legend(4 * PT, &legend, Sample::Marker) + 2 * PT;
    let sheet = Sheet::new(column.width(), top + rows * ROW + 28 * PT);
    sheet.legend(4 * PT, &legend, Sample::Marker);
    let most = plans.iter().map(|plan| plan.tokens).fold(0.0, f64::max);
    let unit = cost_unit(Cost::Tokens, most);
    let by = divisor(Cost::Tokens, unit);
    let x = Axis::exact(0.0, most / by, column.labels());
    let bottom = top + rows * ROW;
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..bottom, x, Axis::exact(0.0, 1.0, 2));
    let across = |tokens: f64| plot.at(tokens / by, 0.0).0;
    let largest = plans.iter().flat_map(|plan| plan.stages.iter().map(|s| s.2)).fold(0.0, f64::max);
    for (number, plan) in plans.iter().enumerate() {
        let base = top + (number as i32 + 1) * ROW - 2 * PT;
        row(&sheet, plan, base, largest, across);
        sheet.text(
            (left - 6 * PT, base - ROW / 2 + PT),
            &font::label(&plan.name),
            TICK,
            INK,
            HPos::Right,
            VPos::Center,
        );
    }
    plot.horizontal_axis(unit.1);
    sheet
}

fn row(sheet: &Sheet, plan: &Plan, base: i32, largest: f64, across: impl Fn(f64) -> i32) {
    let height =
        |parameters: f64| base - ((ROW - 4 * PT) as f64 * parameters / largest).round() as i32;
    sheet.line([(across(0.0), base), (across(plan.tokens), base)], GREY, 40, "");
    let sizes = [(0.0, plan.parameters)]
        .into_iter()
        .chain(plan.stages.iter().map(|stage| (stage.0, stage.2)));
    let ends = plan.stages.iter().map(|stage| stage.0).chain([plan.tokens]);
    for ((from, parameters), to) in sizes.zip(ends) {
        let (x0, x1, y) = (across(from), across(to), height(parameters));
        sheet.fill([(x0, base), (x0, y), (x1, y), (x1, base)], GREY, 0.25);
    }
    for (tokens, kinds, _) in &plan.stages {
        for (lane, kind) in TransformKind::ALL.iter().enumerate() {
            if kinds.contains(kind) {
                let y = base - LANE / 2 - lane as i32 * LANE + PT / 2;
                sheet.marker((across(*tokens), y), style::transform(*kind), 190, 1.0);
            }
        }
    }
}

fn numbers(plans: &[&Plan]) -> Vec<Vec<String>> {
    let mut rows =
        vec![["plan", "tokens", "transforms", "parameters_after"].map(str::to_owned).to_vec()];
    for plan in plans {
        for (tokens, kinds, parameters) in &plan.stages {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            rows.push(cells([
                plan.name.clone(),
                tokens.to_string(),
                kinds.join(" "),
                parameters.to_string(),
            ]));
        }
    }
    rows
}
