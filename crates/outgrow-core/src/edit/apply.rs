//! The one executor of edits.

use std::{collections::BTreeMap, ops::Range};

use rand_distr::{Distribution, StandardNormal};

use super::{
    init::{self, Initializer},
    list::{Edit, Fill, LayerCopy, Unit},
    values::Values,
};
use crate::{
    model::{Axis, ParamId, ParamKind},
    stream::{Stream, stream},
};

/// As what the values grow: it decides what new entries are, and how a scale acts.
///
/// If θ̂ = s·θ then ∂L/∂θ̂ = (1/s)·∂L/∂θ; so the first moment of a scaled entry becomes m/s, the
/// second v/s² (checked against autograd by the conformance suite). A copied unit's gradient is a
/// part of its source's, which its [`Unit`] says. With `copies`, copies of units and layers bring
/// their source's moments and birth along, in that scale; without, they begin anew like every other
/// new entry.
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// Model weights: free entries come from the initializer, drawn from the streams
    /// `growth/<event>/…` of the seed.
    Weights {
        /// How free entries are made.
        initializer: &'a Initializer,
        /// The trial's seed.
        seed: u64,
        /// Which growth event of the trial this is.
        event: u64,
    },
    /// Running mean of gradients: m/s, new entries 0.
    FirstMoment {
        /// Whether copies bring theirs along.
        copies: bool,
    },
    /// Running mean of squared gradients: v/s², new entries 0.
    SecondMoment {
        /// Whether copies bring theirs along.
        copies: bool,
    },
    /// The optimizer step at which an entry was born: unscaled, new entries get this step.
    Born {
        /// The step.
        step: u64,
        /// Whether copies bring theirs along.
        copies: bool,
    },
    /// What the weights are multiplied by while a mask opens: one, but for what is masked.
    Mask {
        /// How far it is open, from 0 to 1.
        open: f64,
    },
}

impl Role<'_> {
    /// What a factor on the weight (and the factor on the gradient that goes with it) does here.
    fn factor(&self, weight: f64, gradient: f64) -> f64 {
        match self {
            Role::Weights { .. } => weight,
            Role::FirstMoment { .. } => gradient,
            Role::SecondMoment { .. } => gradient * gradient,
            Role::Born { .. } | Role::Mask { .. } => 1.0,
        }
    }

    /// New entries that are not drawn.
    fn constant(&self) -> f64 {
        match self {
            Role::Born { step, .. } => *step as f64,
            Role::Mask { .. } => 1.0,
            _ => 0.0,
        }
    }

    /// Whether a copy begins anew instead of as its source.
    fn forgets_copies(&self) -> bool {
        match self {
            Role::Weights { .. } | Role::Mask { .. } => false,
            Role::FirstMoment { copies }
            | Role::SecondMoment { copies }
            | Role::Born { copies, .. } => !copies,
        }
    }

    fn constants<V: Values>(&self, like: &V, shape: &[usize]) -> V {
        like.filled(shape, self.constant())
    }
}

/// Executes `edits` in order on the parameters of a model.
///
/// # Panics
/// If the parameters are not those of the architecture that the edits were made for: edits come
/// from [`crate::Growth`]s that were checked against it.
pub fn apply<V: Values>(params: &mut BTreeMap<ParamId, V>, edits: &[Edit], role: Role) {
    for (number, edit) in edits.iter().enumerate() {
        match edit {
            Edit::Scale { param, axis, range, by } => {
                scale(params, *param, *axis, range, role.factor(*by, 1.0 / by));
            }
            Edit::MaskedScale { param, axis, range, by } => {
                if let Role::Mask { open } = role {
                    scale(params, *param, *axis, range, opened(*by, open));
                }
            }
            Edit::Pad { param, .. } => pad(params, *param, edit, number, &role),
            Edit::InsertLayer { index, params: new, like } => {
                insert_layer(params, *index, new, *like, number, &role)
            }
            Edit::Gather { param, axis, units, new_from } => {
                let dim = dim(*param, *axis);
                let other = new_from.map(|id| whole(&params[&id]));
                update(params, *param, |old| {
                    gather(old, dim, units, other.as_ref().unwrap_or(old), &role)
                });
            }
            Edit::Layers(copies) => rearrange(params, copies, &role),
            Edit::Untie { owner, layers, passes } => untie(params, *owner, layers, *passes, &role),
            Edit::Remake(shapes) => {
                let made = |(id, shape): &(ParamId, Vec<usize>)| {
                    let old = &params[&ParamId { layer: id.layer.map(|_| 0), ..*id }];
                    (*id, role.constants(old, shape))
                };
                *params = shapes.iter().map(made).collect();
            }
            Edit::Clear { param, block } => {
                let range = |axis| block.iter().find(|(cleared, _)| cleared == axis);
                let ranges = param.kind.axes().iter().map(|axis| Some(range(axis)?.1.clone()));
                let ranges: Vec<_> = ranges.collect();
                update(params, *param, |old| clear(old, 0, &ranges, &role));
            }
            Edit::Noise { param, axis, relative, to, from } => {
                if let Role::Weights { seed, event, .. } = role {
                    let dim = dim(*param, *axis);
                    let mut stream = stream(seed, &format!("growth/{event}/{number}/{param}"));
                    update(params, *param, |old| {
                        noisy(old, dim, *relative, to, from.as_ref(), &mut stream)
                    });
                }
            }
        }
    }
}

fn pad<V: Values>(
    params: &mut BTreeMap<ParamId, V>,
    id: ParamId,
    edit: &Edit,
    number: usize,
    role: &Role,
) {
    let Edit::Pad { axis, at, len, fill, like, .. } = edit else { unreachable!("asked before") };
    let dim = dim(id, *axis);
    update(params, id, |old| {
        let mut shape = old.shape();
        let full = shape.clone();
        shape[dim] = *len;
        let copy = || old.select(dim, &cycle(like.clone(), *len));
        let mean = || {
            let liked = old.select(dim, &like.clone().collect::<Vec<_>>());
            liked.mean(dim).select(dim, &vec![0; *len])
        };
        let new = New { role, number, param: id, shape: &shape, full: &full, source: old };
        old.insert(dim, *at, &new.entries(*fill, copy, mean))
    });
}

/// A root of a ratio of widths on its way to one: the root of the ratio with so much of the new
/// width as the mask lets through.
fn opened(by: f64, open: f64) -> f64 {
    let through = |ratio: f64| ratio + open * (1.0 - ratio);
    if by < 1.0 { through(by * by).sqrt() } else { 1.0 / through(1.0 / (by * by)).sqrt() }
}

fn scale<V: Values>(
    params: &mut BTreeMap<ParamId, V>,
    param: ParamId,
    axis: Axis,
    range: &Range<usize>,
    factor: f64,
) {
    if factor != 1.0 {
        let dim = dim(param, axis);
        let factor_of = |i: usize| if range.contains(&i) { factor } else { 1.0 };
        update(params, param, |old| {
            old.scale(dim, &(0..old.shape()[dim]).map(factor_of).collect::<Vec<_>>())
        });
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

fn whole<V: Values>(values: &V) -> V {
    values.select(0, &(0..values.shape()[0]).collect::<Vec<_>>())
}

/// New entries to be made.
struct New<'a, V> {
    role: &'a Role<'a>,
    /// Number of the edit: it names the stream.
    number: usize,
    param: ParamId,
    /// Of the new entries.
    shape: &'a [usize],
    /// Of the tensor whose fan-in counts.
    full: &'a [usize],
    /// What is there.
    source: &'a V,
}

impl<V: Values> New<'_, V> {
    fn entries(&self, fill: Fill, copy: impl FnOnce() -> V, mean: impl FnOnce() -> V) -> V {
        match (self.role, fill) {
            (Role::Weights { .. }, Fill::Mean) => mean(),
            (Role::Mask { open }, Fill::Masked) => self.source.filled(self.shape, *open),
            (Role::Weights { initializer: Initializer::Copy, .. }, Fill::Free | Fill::Masked) => {
                copy()
            }
            (Role::Weights { initializer, seed, event }, Fill::Free | Fill::Masked) => {
                let mut stream =
                    stream(*seed, &format!("growth/{event}/{}/{}", self.number, self.param));
                let std_dev = initializer.std_dev(self.param.kind, self.full, self.shape, || {
                    self.source.root_mean_square()
                });
                init::entries(self.source, self.param.kind, self.shape, std_dev, &mut stream)
            }
            _ => self.role.constants(self.source, self.shape),
        }
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
                let cut = |values: V, dim: usize| {
                    values.select(dim, &cycle(0..source.shape()[dim], shape[dim]))
                };
                (1..shape.len()).fold(source.select(0, &cycle(0..source.shape()[0], shape[0])), cut)
            };
            let param = ParamId::in_layer(index, *kind);
            // The new layer's own shape decides the fan-in, not the source's.
            let new = New { role, number, param, shape, full: shape, source };
            (
                param,
                new.entries(*fill, copy, || {
                    unreachable!("a layer has no entries to take a mean of")
                }),
            )
        })
        .collect();
    let moved = std::mem::take(params).into_iter().map(|(id, values)| match id.layer {
        Some(layer) if layer >= index => (ParamId::in_layer(layer + 1, id.kind), values),
        _ => (id, values),
    });
    *params = moved.chain(born).collect();
}

/// The units one after another; those that begin anew under this role as its constant.
fn gather<V: Values>(old: &V, dim: usize, units: &[Unit], new_from: &V, role: &Role) -> V {
    let mut made = old.select(dim, &[]);
    for run in units.chunk_by(|a, b| a.is_new == b.is_new) {
        let is_new = run[0].is_new;
        let piece = if is_new && role.forgets_copies() {
            let mut shape = old.shape();
            shape[dim] = run.len();
            role.constants(old, &shape)
        } else {
            let indices: Vec<usize> = run.iter().map(|unit| unit.from).collect();
            let factors: Vec<f64> =
                run.iter().map(|unit| role.factor(unit.weight, unit.gradient)).collect();
            let picked = if is_new { new_from } else { old }.select(dim, &indices);
            if factors.iter().all(|&factor| factor == 1.0) {
                picked
            } else {
                picked.scale(dim, &factors)
            }
        };
        made = made.insert(dim, made.shape()[dim], &piece);
    }
    made
}

fn rearrange<V: Values>(params: &mut BTreeMap<ParamId, V>, copies: &[LayerCopy], role: &Role) {
    let old = std::mem::take(params);
    for (layer, copy) in copies.iter().enumerate() {
        for (id, values) in old.iter().filter(|(id, _)| id.layer == Some(copy.from)) {
            let forgotten = copy.is_new && role.forgets_copies();
            let made =
                if forgotten { role.constants(values, &values.shape()) } else { whole(values) };
            params.insert(ParamId::in_layer(layer, id.kind), made);
        }
    }
    params.extend(old.into_iter().filter(|(id, _)| id.layer.is_none()));
}

/// The layers get what the owner has, all in the part of the gradient that is theirs.
fn untie<V: Values>(
    params: &mut BTreeMap<ParamId, V>,
    owner: usize,
    layers: &[usize],
    passes: usize,
    role: &Role,
) {
    let part = |values: &V, passes_left: usize| match role
        .factor(1.0, passes_left as f64 / passes as f64)
    {
        1.0 => whole(values),
        factor => values.scale(0, &vec![factor; values.shape()[0]]),
    };
    let owned: Vec<ParamId> = (params.keys().copied())
        .filter(|id| id.layer == Some(owner) && !id.kind.is_branch_gain())
        .collect();
    for id in owned {
        for &layer in layers {
            let old = &params[&id];
            let made = match role.forgets_copies() {
                true => role.constants(old, &old.shape()),
                false => part(old, 1),
            };
            params.insert(ParamId::in_layer(layer, id.kind), made);
        }
        update(params, id, |old| part(old, passes - layers.len()));
    }
}

/// Sets the block to the role's constant, one dimension after the other.
fn clear<V: Values>(old: &V, dim: usize, block: &[Option<Range<usize>>], role: &Role) -> V {
    let Some(range) = block.get(dim) else { return role.constants(old, &old.shape()) };
    let len = old.shape()[dim];
    let range = range.clone().unwrap_or(0..len);
    let part = |range: Range<usize>| old.select(dim, &range.collect::<Vec<_>>());
    let cleared = clear(&part(range.clone()), dim + 1, block, role);
    part(0..range.start).insert(dim, range.start, &cleared).insert(
        dim,
        range.end,
        &part(range.end..len),
    )
}

fn noisy<V: Values>(
    old: &V,
    dim: usize,
    relative: f64,
    to: &Range<usize>,
    from: Option<&Range<usize>>,
    stream: &mut Stream,
) -> V {
    let part = |range: Range<usize>| old.select(dim, &range.collect::<Vec<_>>());
    let block = part(to.clone());
    let std_dev = relative * block.root_mean_square();
    let noise = block.made(&block.shape(), &mut || {
        let z: f64 = StandardNormal.sample(stream);
        std_dev * z
    });
    let replace = |values: V, range: &Range<usize>, sign: f64| {
        let part = |range: Range<usize>| values.select(dim, &range.collect::<Vec<_>>());
        let changed = part(range.clone()).add(&noise.scale(dim, &vec![sign; range.len()]));
        let len = values.shape()[dim];
        part(0..range.start).insert(dim, range.start, &changed).insert(
            dim,
            range.end,
            &part(range.end..len),
        )
    };
    let added = replace(part(0..old.shape()[dim]), to, 1.0);
    match from {
        Some(from) => replace(added, from, -1.0),
        None => added,
    }
}
