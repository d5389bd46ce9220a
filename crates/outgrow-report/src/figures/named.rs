//! Which arms a figure names, where there are too many for all.

use plotters::style::RGBColor;

use super::{
    chart::MOST,
    style::{Look, Marker},
};

/// So many are named where not all are.
const BEST: usize = 5;

/// How those are drawn that are not named.
pub const OTHERS: Look = Look { color: RGBColor(165, 165, 165), dash: "", marker: Marker::Cross };

/// Which of some arms have a name: all, or of more than seven the five with the lowest values.
pub fn named(merits: &[f64]) -> Vec<bool> {
    if merits.len() <= MOST {
        return vec![true; merits.len()];
    }
    let mut order: Vec<usize> = (0..merits.len()).collect();
    order.sort_by(|a, b| merits[*a].total_cmp(&merits[*b]));
    (0..merits.len()).map(|arm| order[..BEST].contains(&arm)).collect()
}

/// A legend with an entry for those that are not named, if there are any.
pub fn with_others(mut legend: Vec<(String, Look)>, others: usize) -> Vec<(String, Look)> {
    if others > 0 {
        legend.push((format!("{others} others"), OTHERS));
    }
    legend
}

/// What a caption says of them.
pub fn words(others: usize, best: &str) -> String {
    match others {
        0 => String::new(),
        n => format!(" The {BEST} arms with {best} have colours; {n} others are grey."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_seven_have_a_name() {
        assert_eq!(named(&[3.0; 7]), [true; 7]);
        let merits = [8.0, 1.0, 7.0, 2.0, f64::INFINITY, 3.0, 4.0, 5.0];
        let is_named = named(&merits);
        assert_eq!(is_named.iter().filter(|is| **is).count(), BEST);
        assert!(!is_named[0] && is_named[1] && !is_named[4], "{is_named:?}");
        assert_eq!(with_others(vec![], 3)[0].0, "3 others");
    }
}
