//! The part of a line within the unit square.

type Point = (f64, f64);

/// A line that ends on the frame ends there, not a rounding before or behind it.
const ON_FRAME: f64 = 1e-9;

/// Whether a point is within, or on the frame.
pub fn is_within((x, y): Point) -> bool {
    let is_in = |share: f64| (-ON_FRAME..=1.0 + ON_FRAME).contains(&share);
    is_in(x) && is_in(y)
}

/// The pieces of a line through points that are within.
pub fn within(points: &[Point]) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = vec![];
    for pair in points.windows(2) {
        let Some([from, to]) = segment(pair[0], pair[1]) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// Liang and Barsky's clipping of one segment.
fn segment(from: Point, to: Point) -> Option<[Point; 2]> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let mut range = [0.0f64, 1.0f64];
    for (step, room) in [(-dx, from.0), (dx, 1.0 - from.0), (-dy, from.1), (dy, 1.0 - from.1)] {
        let room = if room.abs() < ON_FRAME { 0.0 } else { room };
        if step == 0.0 && room < 0.0 {
            return None;
        }
        match step {
            s if s < 0.0 => range[0] = range[0].max(room / s),
            s if s > 0.0 => range[1] = range[1].min(room / s),
            _ => {}
        }
    }
    let at = |share: f64| match share {
        0.0 => from,
        1.0 => to,
        share => (from.0 + share * dx, from.1 + share * dy),
    };
    (range[0] <= range[1]).then(|| range.map(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_frame() {
        let all = within(&[(-0.5, 0.5), (0.5, 0.5), (0.5, 1.5), (0.9, 1.5), (0.9, 0.5)]);
        assert_eq!(all, [vec![(0.0, 0.5), (0.5, 0.5), (0.5, 1.0)], vec![(0.9, 1.0), (0.9, 0.5)]]);
        assert_eq!(within(&[(2.0, 0.0), (2.0, 1.0)]), Vec::<Vec<Point>>::new());
        assert!(is_within((0.0, 1.0)) && !is_within((0.5, 1.1)));
    }
}
