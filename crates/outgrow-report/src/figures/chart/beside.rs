//! Names of curves beside their ends.

use plotters::style::text_anchor::{HPos, VPos};

use super::Series;
use crate::figures::{
    font,
    measures::{At, PT, TICK},
    sheet::{Plot, Sheet},
};

/// Distance of two names.
const LINE: i32 = 9 * PT;

/// Writes the name of each curve at the right of the plot, as near to the height of its end as the
/// others let it, with a fine line from there.
pub fn names(sheet: &Sheet, plot: &Plot, series: &[Series]) {
    let (right, [top, bottom]) = plot.right();
    let ends: Vec<(usize, At)> = series
        .iter()
        .enumerate()
        .filter_map(|(number, one)| {
            let means = one.mean.iter().map(|(x, y)| (*x, y.mean));
            let thin = one.thin.iter().flatten().copied();
            Some((number, plot.last_in_sight(&mut means.chain(thin))?))
        })
        .collect();
    let mut order = ends.clone();
    order.sort_by_key(|(_, at)| at.1);
    let wanted: Vec<i32> = order.iter().map(|(_, at)| at.1).collect();
    for ((number, end), y) in order.iter().zip(spread(&wanted, LINE, [top, bottom])) {
        let Series { name, look, .. } = &series[*number];
        sheet.line([*end, (right + 8 * PT, y)], look.color, 25, "");
        let at = (right + 10 * PT, y);
        sheet.text(at, &font::label(name), TICK, look.color, HPos::Left, VPos::Center);
    }
}

/// Heights as near to the wanted ones (in their order) as a distance allows, within bounds where
/// there is room.
fn spread(wanted: &[i32], distance: i32, [top, bottom]: [i32; 2]) -> Vec<i32> {
    let mut places: Vec<i32> = wanted.to_vec();
    for n in 1..places.len() {
        places[n] = places[n].max(places[n - 1] + distance);
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = (*place).min(most);
        most = *place - distance;
    }
    let over = places.first().map_or(0, |first| (top - first).max(0));
    places.iter().map(|place| place + over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance() {
        assert_eq!(spread(&[0, 1, 50, 99, 100], 10, [0, 100]), [0, 10, 50, 90, 100]);
        assert_eq!(spread(&[0, 0, 0], 10, [0, 15]), [0, 10, 20]);
        assert!(spread(&[], 10, [0, 15]).is_empty());
    }
}
