//! Leaving one seed out.

use std::collections::BTreeMap;

/// The seeds but one.
pub(super) fn without(seeds: &[usize], out: Option<usize>) -> Vec<usize> {
    seeds.iter().copied().filter(|seed| Some(*seed) != out).collect()
}

/// Pseudo-values n θ − (n − 1) θ₋ₛ, one for each seed s (Tukey 1958), of an estimate from all seeds
/// (`None`) and from all but one. None where one of these estimates does not exist. Of one seed the
/// pseudo-value is the estimate.
pub(super) fn pseudo_values(
    seeds: &[usize],
    of: impl Fn(Option<usize>) -> Option<f64>,
) -> Option<BTreeMap<usize, f64>> {
    let (full, n) = (of(None)?, seeds.len() as f64);
    if let [only] = seeds {
        return Some(BTreeMap::from([(*only, full)]));
    }
    seeds.iter().map(|&seed| Some((seed, n * full - (n - 1.0) * of(Some(seed))?))).collect()
}

/// None of none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    (n > 0.0).then(|| sum / n)
}
