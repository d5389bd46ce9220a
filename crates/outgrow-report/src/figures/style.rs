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
    Left,
}

/// Text and axes.
pub const INK: RGBColor = RGBColor(38, 38, 38);
/// What stands in the background.
pub const GREY: RGBColor = RGBColor(140, 140, 140);

/// The control is black; strategies follow in Okabe and Ito's order without yellow, which no line
/// shows well, and with a purple and a brown that are darker than all of them.
const COLORS: [RGBColor; 9] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(92, 46, 145),
    RGBColor(122, 72, 20),
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
    Marker::Left,
];

/// The look of the strategy of this number. After nine the colours come again with other dashes and
/// markers.
pub fn strategy(number: usize) -> Look {
    // Black is the control's alone.
    let Some(beyond) = number.checked_sub(1) else {
        return Look { color: COLORS[0], dash: DASHES[0], marker: MARKERS[0] };
    };
    let others = COLORS.len() - 1;
    let (place, turn) = (beyond % others + 1, beyond / others);
    Look {
        color: COLORS[place],
        dash: DASHES[(place + turn) % DASHES.len()],
        marker: MARKERS[(place + turn) % MARKERS.len()],
    }
}

/// The look of a transform.
pub fn transform(kind: TransformKind) -> Look {
    let number = TransformKind::ALL.iter().position(|k| *k == kind).expect("ALL has all");
    // Without black, which is the control's.
    let color = if number == 5 { COLORS[6] } else { COLORS[number + 1] };
    Look { color, dash: "", marker: MARKERS[number] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_arms_look_alike() {
        let all: Vec<Look> = (0..40).map(strategy).collect();
        for (number, look) in all.iter().enumerate() {
            assert!(!all[..number].contains(look), "{number}: {look:?}");
        }
        let colors: Vec<RGBColor> = all[..9].iter().map(|look| look.color).collect();
        for (number, color) in colors.iter().enumerate() {
            assert!(!colors[..number].contains(color), "{number}: {color:?}");
        }
    }
}
