//! Axes: a range, its ticks, and where a value stands on it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};

use super::{
    font::{self, RAISED},
    measures::{PT, TICK},
};

/// A linear or logarithmic axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
    pub ticks: Vec<(f64, String)>,
    /// Ticks without a label.
    pub minor: Vec<f64>,
}

impl Axis {
    /// A linear axis over `from` to `to`, a little wider so that nothing lies on its ends; about
    /// `most` labels at the most.
    pub fn linear(from: f64, to: f64, most: usize) -> Self {
        let (from, to) = widened(from, to);
        Self { ticks: linear_ticks(from, to, most), minor: vec![], from, to, is_log: false }
    }

    /// A linear axis over exactly `from` to `to`.
    pub fn exact(from: f64, to: f64, most: usize) -> Self {
        Self { ticks: linear_ticks(from, to, most), minor: vec![], from, to, is_log: false }
    }

    /// The same axis the other way round: for one that was given its high end first.
    pub fn reversed(self, most: usize) -> Self {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        Self { ticks: linear_ticks(low, high, most), from: high, to: low, ..self }
    }

    /// A logarithmic axis over positive values: powers of ten where there are several decades,
    /// 1-2-5 below that, and round numbers where not even two of those fit.
    pub fn log(from: f64, to: f64, most: usize) -> Self {
        let margin = (to / from).powf(0.03).max(1.002);
        let (from, to) = (from / margin, to * margin);
        let decades = (to / from).log10();
        let (ticks, minor) = if decades > 3.0 {
            (
                powers(from, to, most),
                within_decades(from, to, &[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
            )
        } else {
            let fine = within_decades(from, to, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
            let candidates = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]];
            let fits = candidates.iter().map(|steps| within_decades(from, to, steps));
            let fits = fits.into_iter().find(|ticks| (3..=most).contains(&ticks.len()));
            match fits {
                Some(ticks) => {
                    (ticks.into_iter().map(|value| (value, plain(value))).collect(), fine)
                }
                None => (linear_ticks(from, to, most), vec![]),
            }
        };
        let labelled =
            |value: &f64| ticks.iter().any(|(tick, _)| (tick / value - 1.0).abs() < 1e-9);
        let minor = minor.into_iter().filter(|value| !labelled(value)).collect();
        Self { from, to, is_log: true, ticks, minor }
    }

    /// The room that its numbers and its name take beside a vertical one.
    pub fn room(&self) -> i32 {
        let numbers = self.ticks.iter().map(|(_, label)| font::width(label, TICK));
        numbers.max().unwrap_or(0) + 22 * PT
    }

    /// The same with numbers at these places; of more than so many, at the ends alone.
    pub fn with_ticks(self, at: &[f64], most: usize) -> Self {
        let shown = if at.len() > most { vec![at[0], at[at.len() - 1]] } else { at.to_vec() };
        let ticks = shown.into_iter().map(|value| (value, plain(value))).collect();
        Self { ticks, minor: at.to_vec(), ..self }
    }

    /// Its lower and its upper end.
    pub fn ends(&self) -> [f64; 2] {
        [self.from.min(self.to), self.from.max(self.to)]
    }

    /// Where a value stands, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        match self.is_log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.share(*value) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

fn widened(from: f64, to: f64) -> (f64, f64) {
    let width = if to > from { to - from } else { from.abs().max(1.0) * 0.1 };
    (from - 0.04 * width, to + 0.04 * width)
}

fn linear_ticks(from: f64, to: f64, most: usize) -> Vec<(f64, String)> {
    let raw = (to - from) / most.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(10.0 * power);
    // As many digits as the step has.
    let digits = (0..12)
        .find(|d| ((step * 10f64.powi(*d)).round() - step * 10f64.powi(*d)).abs() < 1e-6)
        .unwrap_or(12);
    let (first, last) = ((from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64);
    let label = |value: f64| format!("{value:.*}", digits as usize).replace('-', "\u{2212}");
    (first..=last).map(|i| i as f64 * step + 0.0).map(|value| (value, label(value))).collect()
}

fn powers(from: f64, to: f64, most: usize) -> Vec<(f64, String)> {
    let (first, last) = (from.log10().ceil() as i32, to.log10().floor() as i32);
    let every = ((last - first) as usize / most.max(1) + 1) as i32;
    let exponents = (first..=last).filter(|e| e % every == 0);
    exponents
        .map(|e| {
            (
                10f64.powi(e),
                format!("10{}{}{}", RAISED[0], e.to_string().replace('-', "\u{2212}"), RAISED[1]),
            )
        })
        .collect()
}

/// `steps` × 10ⁿ within a range.
fn within_decades(from: f64, to: f64, steps: &[f64]) -> Vec<f64> {
    let (first, last) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    let all = (first..=last).flat_map(|e| steps.iter().map(move |step| step * 10f64.powi(e)));
    all.filter(|value| (from..=to).contains(value)).collect()
}

/// A number without needless digits.
fn plain(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn every_range_gets_ticks() {
        assert_eq!(labels(&Axis::log(0.03, 0.9, 6)), ["0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(labels(&Axis::log(2.0, 4.4, 6)), ["2.0", "2.5", "3.0", "3.5", "4.0", "4.5"]);
        assert_eq!(
            labels(&Axis::log(1e15, 1e20, 6)),
            [15, 16, 17, 18, 19, 20].map(|e| format!("10\u{e}{e}\u{f}"))
        );
        assert_eq!(labels(&Axis::log(1.80, 1.84, 4)), ["1.80", "1.82", "1.84"]);
        assert_eq!(labels(&Axis::exact(-0.2, 0.4, 4)), ["\u{2212}0.2", "0.0", "0.2", "0.4"]);
    }

    #[test]
    fn values_stand_where_they_should() {
        let axis = Axis::exact(0.0, 4.0, 4);
        assert_eq!(axis.map(&1.0, (100, 500)), 200);
        assert_eq!(axis.map(&1.0, (500, 100)), 400);
        let axis = Axis::log(1.0, 100.0, 4);
        assert!((axis.share(10.0) - 0.5).abs() < 1e-12);
    }
}
