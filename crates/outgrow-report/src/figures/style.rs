//! How strategies and transforms look: colour, dash and marker together, so that grey print and
//! colour-blind eyes can tell.

use outgrow_core::growth::TransformKind;
use plotters::style::RGBColor;

/// The look of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Okabe and Ito's palette.
    pub color: RGBColor,
    /// As SVG says it; empty for a line without gaps.
    pub dash: &'static str,
    pub marker: Marker,
}

/// Shapes of single points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Marker {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
    Cross,
    Bar,
}

/// Text and axes.
pub const INK: RGBColor = RGBColor(38, 38, 38);
/// What stands in the background.
pub const GREY: RGBColor = RGBColor(140, 140, 140);

/// The control is black; strategies follow in Okabe and Ito's order without yellow, which no line
/// shows well.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const DASHES: [&str; 7] =
    ["", "500 150", "150 150", "600 150 150 150", "300 150", "700 200", "150 300"];
const MARKERS: [Marker; 7] = [
    Marker::Circle,
    Marker::Square,
    Marker::Diamond,
    Marker::Up,
    Marker::Down,
    Marker::Cross,
    Marker::Bar,
];

/// The look of the strategy of this number. After seven the colours come again with other dashes
/// and markers.
pub fn strategy(number: usize) -> Look {
    let turn = number / COLORS.len();
    // Black is the control's alone.
    let color = match number.checked_sub(COLORS.len()) {
        None => number,
        Some(beyond) => 1 + beyond % (COLORS.len() - 1),
    };
    Look {
        color: COLORS[color],
        dash: DASHES[(number + turn) % DASHES.len()],
        marker: MARKERS[(number + turn) % MARKERS.len()],
    }
}

/// The look of a transform.
pub fn transform(kind: TransformKind) -> Look {
    let number = TransformKind::ALL.iter().position(|k| *k == kind).expect("ALL has all");
    // Without black, which is the control's.
    let color = if number == 5 { COLORS[6] } else { COLORS[number + 1] };
    Look { color, dash: "", marker: MARKERS[number] }
}
