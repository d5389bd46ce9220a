//! A panel for each arm.

use plotters::style::text_anchor::{HPos, VPos};

use super::{BOTTOM, Chart, RIGHT, Series, means};
use crate::figures::{
    font,
    measures::{Column, LABEL, PT, TICK},
    sheet::{Plot, Sheet},
    style::{GREY, INK, Look},
};

/// Above each panel: its title.
const TITLE: i32 = 12 * PT;
/// Between panels.
const GAP: i32 = 7 * PT;
/// Size of a title that is too long.
const SMALL: i32 = 6 * PT;
/// From its first line to its second.
const LINE: i32 = 7 * PT;
const TOP: i32 = 4 * PT;

/// Draws a view of a chart once for each of its series.
pub fn draw(chart: &Chart, column: Column) -> Sheet {
    let columns = column.panels().min(chart.series.len() as i32);
    let rows = (chart.series.len() as i32 + columns - 1) / columns;
    let view = chart.panel_view();
    let left = view.y.axis(4).room();
    let width = (column.width() - left - RIGHT - (columns - 1) * GAP) / columns;
    let height = column.panel_height();
    let titles: Vec<Title> = chart.series.iter().map(|own| title(&own.name, width)).collect();
    let lines = titles.iter().map(|title| title.lines.len() as i32).max().unwrap_or(1);
    let above = TITLE + (lines - 1) * LINE;
    let all = rows * (above + height) + (rows - 1) * GAP;
    let sheet = Sheet::new(column.width(), TOP + all + BOTTOM);
    for (number, own) in chart.series.iter().enumerate() {
        let (row, place) = (number as i32 / columns, number as i32 % columns);
        let (x, y) = (left + place * (width + GAP), TOP + row * (above + height + GAP) + above);
        let axes = (chart.x_axis(&view, 4), view.y.axis(4));
        let plot = sheet.plot(x..x + width, y..y + height, axes.0, axes.1);
        panel(chart, &plot, own);
        let Title { lines, size } = &titles[number];
        for (up, line) in lines.iter().rev().enumerate() {
            let at = (x, y - 4 * PT - up as i32 * LINE);
            sheet.text(at, line, *size, INK, HPos::Left, VPos::Bottom);
        }
        // Only the outer panels have numbers.
        let is_lowest = number as i32 + columns >= chart.series.len() as i32;
        plot.frame(place == 0, is_lowest.then_some(GAP / 2 - 2 * PT));
    }
    let middle = (left + (column.width() - left - RIGHT) / 2, sheet.size.1 - 12 * PT);
    sheet.text(middle, &chart.x_name, LABEL, INK, HPos::Center, VPos::Top);
    sheet.upwards((4 * PT, TOP + all / 2), &chart.y_name);
    sheet
}

/// A name as it fits above a panel: in one line or in two.
struct Title {
    lines: Vec<String>,
    size: i32,
}

fn title(name: &str, width: i32) -> Title {
    let fits = |text: &str, size: i32| font::width(&font::label_in(text, i32::MAX), size) <= width;
    if let Some(size) = [TICK, SMALL].into_iter().find(|size| fits(name, *size)) {
        return Title { lines: vec![font::label_in(name, i32::MAX)], size };
    }
    let small = |text: &str| font::label_in(text, width * TICK / SMALL);
    let mut breaks = name.match_indices(' ').map(|(at, _)| name.split_at(at));
    let lines = match breaks.rfind(|(head, _)| fits(head, SMALL)) {
        Some((head, tail)) => vec![small(head), small(tail.trim_start())],
        None => vec![small(name)],
    };
    Title { lines, size: SMALL }
}

fn panel(chart: &Chart, plot: &Plot, own: &Series) {
    let grey = Look { color: GREY, dash: "", ..own.look };
    for other in chart.series.iter().filter(|other| other.name != own.name) {
        let look = if other.is_control { Look { dash: "", ..other.look } } else { grey };
        plot.curve(&means(other), look, if other.is_control { 60 } else { 30 });
    }
    let [_, y] = plot.ends();
    for x in &own.growths {
        plot.curve(&[(*x, y[0]), (*x, y[1])], Look { dash: "80 120", ..own.look }, 50);
    }
    chart.curves(plot, &[&Series { look: Look { dash: "", ..own.look }, ..own.clone() }]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_title_takes_two_lines_before_it_is_cut() {
        let lines = |name: &str| title(name, 60 * PT).lines;
        assert_eq!(lines("late"), ["late"]);
        assert_eq!(
            lines("the six transforms at once, one by one"),
            ["the six transforms at", "once, one by one"]
        );
        let cut =
            lines("the six transforms one after the other, and each of them as late as it can be");
        assert!(cut.len() == 2 && cut[1].contains('…'), "{cut:?}");
        assert_eq!(lines(&"a".repeat(80)).len(), 1);
    }
}
