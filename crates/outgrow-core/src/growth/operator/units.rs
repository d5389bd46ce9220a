//! Which units are copied, and what each copy gets of what reads them.

use rand::RngExt;

use crate::{edit::LayerCopy, stream::Stream};

/// A copy of a unit, and the part of it that what reads the unit gets from this copy. The parts of
/// a unit's copies add up to one where the function is to be preserved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) from: usize,
    pub(super) part: f64,
}

/// The layers in this order; of the copies of a layer, the first is the layer itself.
pub(super) fn first_survives(order: impl IntoIterator<Item = usize>) -> Vec<LayerCopy> {
    let mut seen = vec![];
    let copy = |from: usize| {
        let is_new = seen.contains(&from);
        seen.push(from);
        LayerCopy { from, is_new }
    };
    order.into_iter().map(copy).collect()
}

/// All units `times` times one after another, the parts equal.
pub(super) fn tiled(n: usize, times: usize) -> Vec<Share> {
    (0..n * times).map(|i| Share { from: i % n, part: 1.0 / times as f64 }).collect()
}

/// The units, then copies of units drawn uniformly; what reads a unit is divided by its number of
/// copies (Net2Net).
pub(super) fn drawn(n: usize, to: usize, rng: &mut Stream) -> Vec<Share> {
    let from: Vec<usize> =
        (0..to).map(|i| if i < n { i } else { rng.random_range(0..n) }).collect();
    let mut copies = vec![0; n];
    from.iter().for_each(|&unit| copies[unit] += 1);
    from.into_iter().map(|from| Share { from, part: 1.0 / copies[from] as f64 }).collect()
}

/// The units again and again, their copies' parts unequal, so that equal units get unequal
/// gradients (LEMON).
pub(super) fn unequal(n: usize, to: usize, rng: &mut Stream) -> Vec<Share> {
    let weights: Vec<f64> = (0..to).map(|_| rng.random_range(0.5..1.5)).collect();
    let mut sums = vec![0.0; n];
    weights.iter().enumerate().for_each(|(i, weight)| sums[i % n] += weight);
    (0..to).map(|i| Share { from: i % n, part: weights[i] / sums[i % n] }).collect()
}
