//! What a transform does to parameters, as data, and the one executor of it.
//!
//! A transform never touches a tensor: it returns a list of [`Edit`]s. [`apply`] executes the list on anything that is
//! [`Values`]: libtorch tensors, the f64 arrays of the reference model, and the optimizer's moments beside the weights,
//! each under its own [`Role`].

use std::{collections::BTreeMap, ops::Range};

use crate::{
    init::Initializer,
    param::{Axis, ParamId, ParamKind},
    stream::stream,
};

/// One change to the parameters of a model. Edits hold in sequence: positions count what earlier edits have inserted.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Insert `len` new entries at position `at` of an axis.
    Pad {
        /// The parameter.
        param: ParamId,
        /// The axis that grows.
        axis: Axis,
        /// Where the first new entry will stand.
        at: usize,
        /// How many new entries.
        len: usize,
        /// What they must be.
        fill: Fill,
        /// The existing entries of the axis that are of the new ones' kind: what an initializer may copy.
        like: Range<usize>,
    },
    /// Multiply the entries `range` of an axis.
    Scale {
        /// The parameter.
        param: ParamId,
        /// The axis.
        axis: Axis,
        /// Which entries of it.
        range: Range<usize>,
        /// The factor.
        by: f64,
    },
    /// Insert a layer; the layers from `index` on move up by one.
    InsertLayer {
        /// Where the new layer will stand.
        index: usize,
        /// Its parameters: kind, shape, and what they must be.
        params: Vec<(ParamKind, Vec<usize>, Fill)>,
        /// The layer (by its number before the insertion) that an initializer may copy.
        like: usize,
    },
}

/// What new entries must be for the function to be preserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The proof demands zero.
    Zero,
    /// Any finite value will do.
    Free,
}

/// A tensor, as far as growing needs one.
pub trait Values: Sized {
    /// Lengths of the axes.
    fn shape(&self) -> Vec<usize>;
    /// New values of the same number type and place, row-major.
    fn same_kind(&self, shape: &[usize], values: Vec<f64>) -> Self;
    /// A copy with `slab` inserted at position `at` of dimension `dim`.
    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self;
    /// A copy with the entries `range` of dimension `dim` multiplied by `by`.
    fn scale(&self, dim: usize, range: Range<usize>, by: f64) -> Self;
    /// The entries `indices` of dimension `dim`, in that order.
    fn select(&self, dim: usize, indices: &[usize]) -> Self;
}

/// As what the values grow: it decides what new entries are, and how a scale acts.
///
/// If θ̂ = s·θ then ∂L/∂θ̂ = (1/s)·∂L/∂θ; so the first moment of a scaled entry becomes m/s, the second v/s²
/// (checked against autograd by the conformance suite).
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// Model weights: free entries come from the initializer, drawn from the streams `growth/<event>/…` of the seed.
    Weights {
        /// How free entries are made.
        initializer: &'a Initializer,
        /// The trial's seed.
        seed: u64,
        /// Which growth event of the trial this is.
        event: u64,
    },
    /// Running mean of gradients: m/s, new entries 0.
    FirstMoment,
    /// Running mean of squared gradients: v/s², new entries 0.
    SecondMoment,
    /// The optimizer step at which an entry was born: unscaled, new entries get this step.
    Born(u64),
}

impl Role<'_> {
    fn factor(&self, scale: f64) -> f64 {
        match self {
            Role::Weights { .. } => scale,
            Role::FirstMoment => 1.0 / scale,
            Role::SecondMoment => 1.0 / (scale * scale),
            Role::Born(_) => 1.0,
        }
    }

    fn constant(&self) -> f64 {
        match self {
            Role::Born(step) => *step as f64,
            _ => 0.0,
        }
    }
}

/// Executes `edits` in order on the parameters of a model.
///
/// # Panics
/// If the parameters are not those of the architecture that the edits were made for: edits come from
/// [`crate::Transform`]s that were checked against it.
pub fn apply<V: Values>(params: &mut BTreeMap<ParamId, V>, edits: &[Edit], role: Role) {
    for (number, edit) in edits.iter().enumerate() {
        match edit {
            Edit::Scale { param, axis, range, by } => {
                let factor = role.factor(*by);
                if factor != 1.0 {
                    let dim = dim(*param, *axis);
                    update(params, *param, |old| old.scale(dim, range.clone(), factor));
                }
            }
            Edit::Pad { param, axis, at, len, fill, like } => {
                let dim = dim(*param, *axis);
                update(params, *param, |old| {
                    let mut shape = old.shape();
                    shape[dim] = *len;
                    let copy = |n: usize| old.select(dim, &cycle(like.clone(), n));
                    old.insert(dim, *at, &new_entries(&role, *fill, number, *param, &shape, old, || copy(*len)))
                });
            }
            Edit::InsertLayer { index, params: new, like } => insert_layer(params, *index, new, *like, number, &role),
        }
    }
}

fn dim(param: ParamId, axis: Axis) -> usize {
    param.kind.dim(axis).unwrap_or_else(|| panic!("{param} has no axis {axis:?}"))
}

fn update<V>(params: &mut BTreeMap<ParamId, V>, param: ParamId, change: impl FnOnce(&V) -> V) {
    let slot = params.get_mut(&param).unwrap_or_else(|| panic!("the model has no {param}"));
    *slot = change(slot);
}

/// `n` positions that run through `like` again and again: unit j copies unit j modulo their number.
fn cycle(like: Range<usize>, n: usize) -> Vec<usize> {
    like.cycle().take(n).collect()
}

fn new_entries<V: Values>(
    role: &Role,
    fill: Fill,
    number: usize,
    param: ParamId,
    shape: &[usize],
    like: &V,
    copy: impl FnOnce() -> V,
) -> V {
    let len = shape.iter().product();
    match (role, fill) {
        (Role::Weights { initializer: Initializer::Copy, .. }, Fill::Free) => copy(),
        (Role::Weights { initializer: Initializer::Normal { scale }, seed, event }, Fill::Free) => {
            let mut stream = stream(*seed, &format!("growth/{event}/{number}/{param}"));
            like.same_kind(shape, crate::init::free_entries(param.kind, shape, &like.shape(), *scale, &mut stream))
        }
        _ => like.same_kind(shape, vec![role.constant(); len]),
    }
}

fn insert_layer<V: Values>(
    params: &mut BTreeMap<ParamId, V>,
    index: usize,
    new: &[(ParamKind, Vec<usize>, Fill)],
    like: usize,
    number: usize,
    role: &Role,
) {
    let born: Vec<_> = new
        .iter()
        .map(|(kind, shape, fill)| {
            let source = &params[&ParamId::in_layer(like, *kind)];
            let copy = || {
                let cut = |values: V, dim: usize| values.select(dim, &cycle(0..source.shape()[dim], shape[dim]));
                (1..shape.len()).fold(source.select(0, &cycle(0..source.shape()[0], shape[0])), cut)
            };
            let param = ParamId::in_layer(index, *kind);
            // The new layer's own shape decides the fan-in, not the source's.
            (param, layer_entries(role, *fill, number, param, shape, source, copy))
        })
        .collect();
    let moved = std::mem::take(params).into_iter().map(|(id, values)| match id.layer {
        Some(layer) if layer >= index => (ParamId::in_layer(layer + 1, id.kind), values),
        _ => (id, values),
    });
    *params = moved.chain(born).collect();
}

fn layer_entries<V: Values>(
    role: &Role,
    fill: Fill,
    number: usize,
    param: ParamId,
    shape: &[usize],
    source: &V,
    copy: impl FnOnce() -> V,
) -> V {
    let own = source.same_kind(shape, vec![0.0; shape.iter().product()]);
    new_entries(role, fill, number, param, shape, &own, copy)
}
