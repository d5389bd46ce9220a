//! The frontier and the parabolas of its budgets as points, for figures.

use std::collections::BTreeSet;

use super::{Estimator, budget::Slice, curve::Curve, jackknife::pseudo_values};
use crate::interval::{Interval, interval};

/// Points between two budgets, and of a parabola.
const POINTS: usize = 16;

/// The sizes of one budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Parabola {
    /// Its number in the rows.
    pub budget: usize,
    /// From small to large.
    pub sizes: Vec<SizeLoss>,
    /// N, and nats; empty where the vertex is not enclosed.
    pub curve: Vec<(f64, f64)>,
}

/// A size at one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeLoss {
    /// N.
    pub n: f64,
    /// Over the seeds with every size, moved to the compute of the budget.
    pub loss: Interval,
    /// Whether it has a weight above zero.
    pub is_fitted: bool,
}

impl Estimator {
    /// FLOPs, and L* there with its 95 % interval, from the first to the last budget with a vertex.
    /// Between two budgets the interval is that of the interpolation, widened by as much as theirs
    /// are, in proportion.
    pub fn line(&self) -> Vec<(f64, Interval)> {
        let known: Vec<&Slice> = self.slices.iter().filter(|slice| slice.shape.is_ok()).collect();
        let seeds = shared(&known);
        let curve = Curve::of(&self.slices, &seeds, self.fit.as_ref().map(|fit| fit.law.e));
        let at = |log_c: f64| interval(&pseudo_values(&seeds, |out| curve.at(log_c, out))?);
        let more = |slice: &&Slice| {
            let wider = slice.vertex().ok()?.loss.half_width() - at(slice.log_c)?.half_width();
            Some([slice.log_c, if wider.is_finite() { wider.max(0.0) } else { 0.0 }])
        };
        let Some(places) = known.iter().map(more).collect::<Option<Vec<_>>>() else {
            return vec![];
        };
        let point = |[log_c, more]: [f64; 2]| Some((log_c.exp(), at(log_c)?.widened(more)));
        steps(&places).into_iter().filter_map(point).collect()
    }

    /// The sizes of each budget, in order of compute.
    pub fn parabolas(&self) -> Vec<Parabola> {
        self.slices.iter().map(parabola).collect()
    }
}

/// The seeds that each of some budgets has.
fn shared(slices: &[&Slice]) -> Vec<usize> {
    let sets = slices.iter().map(|slice| slice.seeds().into_iter().collect::<BTreeSet<_>>());
    sets.reduce(|all, own| &all & &own).unwrap_or_default().into_iter().collect()
}

/// The places, and evenly between them.
fn steps(places: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let between = |both: &[[f64; 2]]| -> Vec<[f64; 2]> {
        let share = |i: usize| i as f64 / POINTS as f64;
        let at = |t: f64| [0, 1].map(|k| both[0][k] + t * (both[1][k] - both[0][k]));
        (0..POINTS).map(|i| at(share(i))).collect()
    };
    places.windows(2).flat_map(between).chain(places.last().copied()).collect()
}

fn parabola(slice: &Slice) -> Parabola {
    let size = |(n, loss, is_fitted)| SizeLoss { n, loss, is_fitted };
    let sizes: Vec<SizeLoss> = slice.sizes().map(size).collect();
    let fitted = || sizes.iter().filter(|size| size.is_fitted).map(|size| size.n.ln());
    let [from, to] =
        [fitted().reduce(f64::min), fitted().reduce(f64::max)].map(Option::unwrap_or_default);
    let point = |i: usize| {
        let x = from + (to - from) * i as f64 / (2 * POINTS) as f64;
        Some((x.exp(), slice.parabola(x)?))
    };
    let curve = (0..=2 * POINTS).filter_map(point).collect();
    Parabola { budget: slice.budget, sizes, curve }
}
