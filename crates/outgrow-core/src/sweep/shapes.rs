//! Sizes on the straight way from an initial size to a target, and beyond both, geometric in the
//! number of parameters.
//!
//! The way is the one in equal ratios of all axes. Layers, heads and their widths are whole and
//! few, so the way is a staircase; the widths of residual stream and MLP, which are many, make up
//! for it, so that a size has the parameters that it is to have. Head widths that initial and
//! target have in common stay.

use crate::model::{
    Architecture, HeadShape, LayerShape, MAX_COUNT, MAX_SIZE, n_frontier_parameters,
};

/// Parameters that are off by less are as near as rounding allows.
const NEAR: f64 = 0.03;

/// The size at `share` of the way between two, in equal ratios; below 0 and above 1 beyond them.
pub(super) fn between(from: &Architecture, to: &Architecture, share: f64) -> Architecture {
    at(from, to, [share, share], layers_at(from, to, share))
}

/// Whether all layers, and all heads of a layer, are alike.
pub(super) fn is_uniform(architecture: &Architecture) -> bool {
    let first = &architecture.layers[0];
    architecture.layers.iter().all(|layer| layer == first)
        && first.heads.iter().all(|head| *head == first.heads[0])
}

/// The geometric mean of two sizes, weighted by `share`; beyond them no larger than any model's.
fn mean(a: usize, b: usize, share: f64) -> usize {
    ((a as f64 * (b as f64 / a as f64).powf(share)).round() as usize).clamp(1, MAX_SIZE)
}

fn layers_at(from: &Architecture, to: &Architecture, share: f64) -> usize {
    mean(from.layers.len(), to.layers.len(), share).min(MAX_COUNT)
}

/// The same with heads at one share, and the widths of residual stream and MLP at another; with so
/// many layers.
fn at(
    from: &Architecture,
    to: &Architecture,
    [share, of_widths]: [f64; 2],
    n_layers: usize,
) -> Architecture {
    let (a, b) = (&from.layers[0], &to.layers[0]);
    let head = HeadShape {
        n_queries: mean(a.heads[0].n_queries, b.heads[0].n_queries, share),
        d_k: to.form.whole_d_k(mean(a.heads[0].d_k, b.heads[0].d_k, share)),
        d_v: mean(a.heads[0].d_v, b.heads[0].d_v, share),
    };
    let layer = LayerShape::own(
        vec![head; mean(a.heads.len(), b.heads.len(), share).min(MAX_COUNT)],
        mean(a.d_ff, b.d_ff, of_widths),
    );
    let (d_model, layers) = (mean(from.d_model, to.d_model, of_widths), vec![layer; n_layers]);
    Architecture { d_model, layers, form: to.form, ..*to }
}

/// `number` sizes, the second the initial one and the last but one the target; neighbours are
/// `ratio` apart in parameters, as near as rounding allows.
pub(super) fn grid(
    initial: &Architecture,
    target: &Architecture,
    number: usize,
) -> Vec<Architecture> {
    let ratio = ratio(initial, target, number);
    let least = n_frontier_parameters(initial) as f64;
    let size = |place: usize| match place {
        1 => initial.clone(),
        place if place == number - 2 => target.clone(),
        place => of_parameters(initial, target, least * ratio.powi(place as i32 - 1)),
    };
    (0..number).map(size).collect()
}

/// So many sizes more on the same way, below the smallest (`first` is -1) or above the largest
/// (`first` is `number`), the nearest first; as far as rounding leaves them apart.
pub(super) fn beyond(
    initial: &Architecture,
    target: &Architecture,
    (number, first, more): (usize, i32, i32),
) -> Vec<Architecture> {
    let ratio = ratio(initial, target, number);
    let least = n_frontier_parameters(initial) as f64;
    let step = if first < 0 { -1 } else { 1 };
    let sizes = (0..more).map(|n| {
        let wanted = least * ratio.powi(first + n * step - 1);
        (wanted, of_parameters(initial, target, wanted))
    });
    let is_near = |wanted: f64, size: &Architecture| {
        let off = (n_frontier_parameters(size) as f64 / wanted).ln().abs();
        off < ratio.ln() / 4.0 && size.validate().is_ok()
    };
    sizes.take_while(|(wanted, size)| is_near(*wanted, size)).map(|(_, size)| size).collect()
}

/// A model of as many parameters with so many layers, as near as rounding allows: head widths stay,
/// and the widths of residual stream and MLP and the number of heads keep their ratios.
pub(super) fn with_layers(like: &Architecture, n_layers: usize) -> Architecture {
    let n = |one: &Architecture| n_frontier_parameters(one) as f64;
    let times = |value: usize, share: f64| {
        ((value as f64 * share.exp2()).round() as usize).clamp(1, MAX_SIZE)
    };
    let scaled = |share: f64| {
        let first = &like.layers[0];
        let heads = times(first.heads.len(), share).min(MAX_COUNT);
        let layer = LayerShape::own(vec![first.heads[0]; heads], times(first.d_ff, share));
        let layers = vec![layer; n_layers.min(MAX_COUNT)];
        Architecture { d_model: times(like.d_model, share), layers, form: like.form, ..*like }
    };
    let [low, high] = bracket(|share| n(&scaled(share)) >= n(like)).map(scaled);
    let off = |one: &Architecture| (n(one) / n(like)).ln().abs();
    if off(&low) < off(&high) { low } else { high }
}

/// How far apart neighbours of so many sizes are in parameters.
pub(super) fn ratio(initial: &Architecture, target: &Architecture, number: usize) -> f64 {
    let [from, to] = [initial, target].map(|one| n_frontier_parameters(one) as f64);
    (to / from).powf(1.0 / (number - 3) as f64)
}

/// Parameters at such shares. All layers are alike, so two of them tell.
fn n_at(from: &Architecture, to: &Architecture, shares: [f64; 2]) -> f64 {
    let [one, two] =
        [1, 2].map(|layers| n_frontier_parameters(&at(from, to, shares, layers)) as f64);
    one + (layers_at(from, to, shares[0]) - 1) as f64 * (two - one)
}

/// The size on the way that has so many parameters, as near as rounding allows.
fn of_parameters(from: &Architecture, to: &Architecture, wanted: f64) -> Architecture {
    let n = |shares: [f64; 2]| n_at(from, to, shares);
    // On both sides of a step of the staircase the widths make up for it; the better one is where
    // they have less to do.
    let made_up = bracket(|share| n([share, share]) >= wanted).map(|share| {
        let off = |of_widths: f64| (n([share, of_widths]) / wanted).ln().abs();
        let [low, high] = bracket(|of_widths| n([share, of_widths]) >= wanted);
        let best = if off(low) < off(high) { low } else { high };
        ([off(best).max(NEAR), (best - share).abs()], [share, best])
    });
    let [(first, shares), (second, others)] = made_up;
    let shares = if first <= second { shares } else { others };
    at(from, to, shares, layers_at(from, to, shares[0]))
}

/// Two shares beside the one from which on something holds.
fn bracket(holds: impl Fn(f64) -> bool) -> [f64; 2] {
    // A step beyond either end is half the whole way at most, for there are five sizes or more, and
    // three steps are the most; there is room for steps of the staircase.
    let (mut below, mut above) = (-2.5, 3.5);
    for _ in 0..40 {
        let middle = (below + above) / 2.0;
        if holds(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    [below, above]
}
