//! Differences between arms that were asked for.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    axis::Axis,
    common::{cells, extent, header, tested_cells},
    figure::Figure,
    font,
    measures::{Column, PT, TICK},
    sheet::{Plot, Sheet},
    style::{self, GREY, INK, Look},
};
use crate::{analysis::Analysis, contrast::Contrast, tested::Tested, unit::LossUnit};

const ROW: i32 = 24 * PT;
/// Contrasts whose panels stand below each other in a single column.
const FEW: usize = 6;
/// Widest name of an arm.
const NAME: i32 = 96 * PT;

/// One quantity of all contrasts.
struct Panel {
    title: &'static str,
    /// The title where there is little room.
    short: &'static str,
    of: fn(&Contrast) -> Option<&Tested>,
    by: f64,
}

impl Panel {
    fn name(&self, is_narrow: bool, unit: LossUnit) -> String {
        let name = if is_narrow { self.short } else { self.title };
        if self.by == 1.0 { unit.of_difference(name) } else { format!("{name} (points)") }
    }
}

const PANELS: [Panel; 2] = [
    Panel { title: "Final loss", short: "Loss", of: |c| c.loss.as_ref(), by: 1.0 },
    Panel { title: "Compute saved", short: "Saved", of: |c| c.saving.as_ref(), by: 100.0 },
];

/// The figure; none where no contrast was asked for.
pub fn figure(analysis: &Analysis) -> Option<Figure> {
    let is_known = |panel: &Panel| analysis.contrasts.iter().any(|c| (panel.of)(c).is_some());
    let panels: Vec<&Panel> = PANELS.iter().filter(|panel| is_known(panel)).collect();
    if panels.is_empty() {
        return None;
    }
    let caption = "Differences between arms, the upper name minus the lower one, each at the best \
                   of its learning rates, paired by seed: marks are means over seeds, bars 95 % \
                   Student-t intervals, corrected (Holm) for all comparisons of their kind; \
                   light marks are seeds. Left of 0, the first ends at a lower loss; right of 0, it saves more \
                   compute.";
    Some(Figure::new("contrasts", caption.into(), numbers(analysis), |column| {
        draw(analysis, &panels, column)
    }))
}

fn draw(analysis: &Analysis, panels: &[&Panel], column: Column) -> Sheet {
    // Below each other, many rows are higher than a page.
    let is_beside = column == Column::Double || analysis.contrasts.len() > FEW;
    let is_narrow = is_beside && column == Column::Single;
    let widest = if is_narrow { NAME * 3 / 4 } else { NAME };
    let name = |name: &str| font::label_in(analysis.shown(name), widest);
    let all = || analysis.contrasts.iter().flat_map(|c| [&c.a, &c.b]);
    let left = all().map(|arm| font::width(&name(arm), TICK)).max().unwrap_or(0) + 18 * PT;
    let height = analysis.contrasts.len() as i32 * ROW;
    let block = height + 40 * PT;
    let blocks = if is_beside { 1 } else { panels.len() as i32 };
    let sheet = Sheet::new(column.width(), blocks * block);
    let places = if is_beside { panels.len() as i32 } else { 1 };
    let width = (sheet.size.0 - left - 8 * PT) / places;
    for (number, panel) in (0..).zip(panels) {
        let (across, down) = if is_beside { (number, 0) } else { (0, number) };
        let (x, y) = (left + across * width, 6 * PT + down * block);
        let from = x + if across > 0 { 14 * PT } else { 0 };
        let axis = scale(analysis, panel, if column == Column::Double { 6 } else { 4 });
        let plot = sheet.plot(from..x + width, y..y + height, axis, Axis::exact(0.0, 1.0, 2));
        marks(&plot, &sheet, analysis, panel, y);
        plot.horizontal_axis(&panel.name(is_narrow, analysis.unit));
        for (row, contrast) in (0..).zip(&analysis.contrasts).filter(|_| across == 0) {
            let middle = y + row * ROW + ROW / 2;
            let lines = [name(&contrast.a), format!("− {}", name(&contrast.b))];
            for (down, text) in [-5 * PT, 5 * PT].into_iter().zip(lines) {
                let at = (left - 6 * PT, middle + down);
                sheet.text(at, &text, TICK, INK, HPos::Right, VPos::Center);
            }
        }
    }
    sheet
}

/// The axis of a panel: all seeds and intervals, and zero.
fn scale(analysis: &Analysis, panel: &Panel, labels: usize) -> Axis {
    let known = analysis.contrasts.iter().filter_map(panel.of);
    let all = known.flat_map(|tested| {
        let bounds = tested.corrected.bounds.into_iter().flatten();
        bounds.chain(tested.values().iter().copied()).collect::<Vec<_>>()
    });
    let [low, high] = extent(all.chain([0.0]).map(|v| v * panel.by)).unwrap_or([0.0, 1.0]);
    Axis::linear(low, high, labels)
}

fn marks(plot: &Plot, sheet: &Sheet, analysis: &Analysis, panel: &Panel, top: i32) {
    let rows = analysis.contrasts.len() as i32;
    let zero = plot.at(0.0, 0.0).0;
    sheet.line([(zero, top), (zero, top + rows * ROW)], GREY, 50, "150 150");
    let across = |value: f64| plot.at(value * panel.by, 0.0).0;
    let look = Look { dash: "", ..style::strategy(1) };
    for (row, contrast) in (0..).zip(&analysis.contrasts) {
        let Some(tested) = (panel.of)(contrast) else { continue };
        let y = top + row * ROW + ROW / 2;
        tested
            .values()
            .iter()
            .for_each(|v| sheet.marker((across(*v), y - 5 * PT), look, 150, 0.35));
        if let Some([low, high]) = tested.corrected.bounds {
            sheet.line(
                [(across(low), y + 2 * PT), (across(high), y + 2 * PT)],
                look.color,
                110,
                "",
            );
        }
        sheet.marker((across(tested.value.mean), y + 2 * PT), look, 270, 1.0);
    }
}

fn numbers(analysis: &Analysis) -> Vec<Vec<String>> {
    let mut rows =
        header("a b quantity difference low high low_corrected high_corrected p p_corrected n");
    for contrast in &analysis.contrasts {
        let both = [("loss", &contrast.loss), ("saving", &contrast.saving)];
        for (quantity, tested) in both {
            let Some(tested) = tested else { continue };
            let of = cells([contrast.a.clone(), contrast.b.clone(), quantity.into()]);
            rows.push([of, tested_cells(tested)].concat());
        }
    }
    rows
}
