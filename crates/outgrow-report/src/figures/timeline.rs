//! When each plan grew, along which axis, and how large the model was then.

use outgrow_core::growth::TransformKind;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::{cells, cost_unit, divisor, header},
    figure::Figure,
    font,
    measures::{At, Column, PT, TICK},
    sheet::{Sample, Sheet},
    style::{self, GREY, INK},
};
use crate::{
    analysis::Analysis,
    plans::{Plan, Stage},
    runs::Cost,
};

/// More plans than fit on a page are not drawn; the table of numbers has all.
const MOST: usize = 20;
/// Heights of a plan's row with six lanes of marks, where there are few plans and where there are
/// many.
const ROWS: [i32; 2] = [34 * PT, 26 * PT];
/// So many are few.
const FEW: usize = 8;
/// Size of numbers within a row.
const SMALL: i32 = 6 * PT;
const LANES: [i32; 2] = [4 * PT, 280];

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
        "When each plan grew, and along which axis{some}. A mark is an axis that grew there; small \
         numbers beside the mark of new layers are their places in the grown model (from 0, next \
         to the input), per cents above are the share of the trial's compute that was spent \
         by then, where there is room for them; the grey steps are the number of parameters, as a \
         share of the largest."
    );
    Some(Figure::new("growth_timeline", caption, numbers(&plans), |column| draw(shown, column)))
}

fn draw(plans: &[&Plan], column: Column) -> Sheet {
    let names =
        plans.iter().map(|plan| font::width(&font::label(&plan.name), TICK)).max().unwrap_or(0);
    let left = names + 12 * PT;
    let occurs = |kind: &TransformKind| {
        plans.iter().any(|plan| plan.stages.iter().any(|stage| stage.kinds.contains(kind)))
    };
    let legend: Vec<_> = TransformKind::ALL
        .into_iter()
        .filter(occurs)
        .map(|kind| (kind.axis().to_owned(), style::transform(kind)))
        .collect();
    let rows = plans.len() as i32;
    let height = ROWS[usize::from(plans.len() > FEW)];
    // The legend's height is known once it is written, so it is written on a trial sheet first.
    let top = Sheet::new(column.width(), PT).legend(4 * PT, &legend, Sample::Marker) + 2 * PT;
    let sheet = Sheet::new(column.width(), top + rows * height + 28 * PT);
    sheet.legend(4 * PT, &legend, Sample::Marker);
    let most = plans.iter().map(|plan| plan.tokens).fold(0.0, f64::max);
    let unit = cost_unit(Cost::Tokens, most);
    let by = divisor(Cost::Tokens, unit);
    let x = Axis::exact(0.0, most / by, column.labels());
    let bottom = top + rows * height;
    let plot = sheet.plot(left..sheet.size.0 - 8 * PT, top..bottom, x, Axis::exact(0.0, 1.0, 2));
    let across = |tokens: f64| plot.at(tokens / by, 0.0).0;
    let largest =
        plans.iter().flat_map(|plan| plan.stages.iter().map(|s| s.parameters)).fold(0.0, f64::max);
    for (number, plan) in plans.iter().enumerate() {
        let base = top + (number as i32 + 1) * height - 2 * PT;
        let lane = LANES[usize::from(plans.len() > FEW)];
        row(&sheet, plan, &Row { base, height, lane }, largest, across);
        sheet.text(
            (left - 6 * PT, base - height / 2 + 5 * PT),
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

/// The place of a plan's row.
struct Row {
    base: i32,
    /// Of the row, and of a lane of marks.
    height: i32,
    lane: i32,
}

fn row(sheet: &Sheet, plan: &Plan, place: &Row, largest: f64, across: impl Fn(f64) -> i32) {
    sizes(sheet, plan, place, largest, &across);
    let ends = plan.stages.iter().skip(1).map(|stage| stage.tokens).chain([plan.tokens]);
    let mut free = i32::MIN;
    for (stage, end) in plan.stages.iter().zip(ends) {
        let (x, next) = (across(stage.tokens), across(end));
        for (lane, kind) in TransformKind::ALL.iter().enumerate() {
            if stage.kinds.contains(kind) {
                let y = place.base - place.lane / 2 - lane as i32 * place.lane + PT / 2;
                sheet.marker((x, y), style::transform(*kind), 190, 1.0);
                layers(sheet, stage, *kind, (x + 3 * PT, y), next);
            }
        }
        let Some(share) = stage.compute.map(|share| format!("{:.0} %", 100.0 * share)) else {
            continue;
        };
        let width = font::width(&share, SMALL);
        if x - width / 2 >= free {
            let at = (x, place.base - place.height + 4 * PT);
            sheet.text(at, &share, SMALL, INK, HPos::Center, VPos::Center);
            free = x + width / 2 + 2 * PT;
        }
    }
}

/// The parameters on the way, as steps.
fn sizes(sheet: &Sheet, plan: &Plan, place: &Row, largest: f64, across: &impl Fn(f64) -> i32) {
    let base = place.base;
    let room = f64::from(place.height - 12 * PT);
    sheet.line([(across(0.0), base), (across(plan.tokens), base)], GREY, 40, "");
    let sizes = [(0.0, plan.parameters)]
        .into_iter()
        .chain(plan.stages.iter().map(|stage| (stage.tokens, stage.parameters)));
    let ends = plan.stages.iter().map(|stage| stage.tokens).chain([plan.tokens]);
    for ((from, parameters), to) in sizes.zip(ends) {
        let y = base - (room * parameters / largest).round() as i32;
        let (x0, x1) = (across(from), across(to));
        sheet.fill([(x0, base), (x0, y), (x1, y), (x1, base)], GREY, 0.25);
    }
}

/// The places of new layers beside their mark, if they fit before the next event.
fn layers(sheet: &Sheet, stage: &Stage, kind: TransformKind, at: At, next: i32) {
    let places: Vec<String> = stage.layers.iter().map(usize::to_string).collect();
    let text = places.join(", ");
    let fits = at.0 + font::width(&text, SMALL) < next;
    if kind == TransformKind::LayerAddition && fits {
        sheet.text(at, &text, SMALL, INK, HPos::Left, VPos::Center);
    }
}

fn numbers(plans: &[&Plan]) -> Vec<Vec<String>> {
    let mut rows = header("plan tokens axes parameters_after compute_share new_layers");
    for plan in plans {
        for stage in &plan.stages {
            let axes: Vec<&str> = stage.kinds.iter().map(|kind| kind.axis()).collect();
            let layers: Vec<String> = stage.layers.iter().map(usize::to_string).collect();
            rows.push(cells([
                plan.name.clone(),
                stage.tokens.to_string(),
                axes.join(" "),
                stage.parameters.to_string(),
                stage.compute.map_or_else(String::new, |share| share.to_string()),
                layers.join(" "),
            ]));
        }
    }
    rows
}
