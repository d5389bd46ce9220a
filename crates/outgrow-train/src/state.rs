//! The whole state of a training: what grows.
//!
//! All weights lie in one flat tensor, both moments and the birth steps in three more of the same layout. Autograd then
//! gives one flat gradient (the views' backward is a single concatenation), and the optimizer is a handful of operations
//! whatever the number of parameters. To grow, the flat tensors are cut into parameters, edited, and laid out anew.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, ParamId,
    edit::{Role, apply},
    growth::Grown,
    init::{Initializer, fresh},
    param::parameters,
};
use tch::{Kind, Tensor};

use crate::{device::Device, tensor::Growable};

/// Where each parameter stands in a flat tensor; those with weight decay come first.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    entries: Vec<(ParamId, Vec<i64>)>,
    sizes: Vec<i64>,
    decayed: i64,
}

/// Weights, AdamW moments and birth steps of a model in training.
pub struct TrainingState {
    architecture: Architecture,
    layout: Layout,
    /// Master weights, a leaf that requires gradients.
    pub(crate) weights: Tensor,
    /// Running mean of gradients.
    pub(crate) first_moment: Tensor,
    /// Running mean of squared gradients.
    pub(crate) second_moment: Tensor,
    /// The optimizer steps at which entries were born, and for each entry the number of its own; what bias correction looks up.
    pub(crate) cohorts: Vec<i64>,
    pub(crate) cohort: Tensor,
    /// Optimizer steps so far.
    pub(crate) step: i64,
    /// What the weights are multiplied by while a mask opens.
    pub(crate) mask: Option<Tensor>,
}

/// The four tensors of a training state, cut into parameters.
pub struct Parts {
    /// Master weights.
    pub weights: BTreeMap<ParamId, Tensor>,
    /// Running mean of gradients.
    pub first_moment: BTreeMap<ParamId, Tensor>,
    /// Running mean of squared gradients.
    pub second_moment: BTreeMap<ParamId, Tensor>,
    /// Birth steps.
    pub born: BTreeMap<ParamId, Tensor>,
}

impl Layout {
    /// The layout of a model's parameters.
    pub fn new(architecture: &Architecture) -> Self {
        let mut ids = parameters(architecture);
        ids.sort_by_key(|id| !id.kind.decays());
        let shape = |id: ParamId| id.shape(architecture).iter().map(|&n| n as i64).collect::<Vec<_>>();
        let entries: Vec<_> = ids.into_iter().map(|id| (id, shape(id))).collect();
        let size = |entry: &(ParamId, Vec<i64>)| entry.1.iter().product::<i64>();
        let decayed = entries.iter().filter(|entry| entry.0.kind.decays()).map(size).sum();
        Self { sizes: entries.iter().map(size).collect(), entries, decayed }
    }

    /// Each parameter with the place of its first entry and their number.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (ParamId, i64, i64)> {
        let mut at = 0;
        self.entries.iter().zip(&self.sizes).map(move |((id, _), &size)| {
            at += size;
            (*id, at - size, size)
        })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.sizes.iter().sum::<i64>() as usize
    }

    /// How many of the leading entries decay.
    pub(crate) fn decayed(&self) -> i64 {
        self.decayed
    }

    /// Views of a flat tensor, one for each parameter.
    pub fn cut(&self, flat: &Tensor) -> BTreeMap<ParamId, Tensor> {
        let parts = flat.split_with_sizes(&self.sizes[..], 0);
        self.entries.iter().zip(parts).map(|((id, shape), part)| (*id, part.view(&shape[..]))).collect()
    }

    /// One flat tensor of all parameters.
    pub(crate) fn join(&self, parts: &BTreeMap<ParamId, Tensor>) -> Tensor {
        let flat: Vec<Tensor> = self.entries.iter().map(|(id, _)| parts[id].reshape([-1])).collect();
        Tensor::cat(&flat, 0)
    }
}

impl TrainingState {
    /// A new model, drawn from the `init` streams of `seed`, with an optimizer that has not stepped.
    pub fn fresh(architecture: &Architecture, seed: u64, master: Kind, device: Device) -> Self {
        let like = Growable(Tensor::zeros([0], (master, device.tch())));
        let weights = fresh(architecture, seed, &like).into_iter().map(|(id, values)| (id, values.0)).collect();
        Self::from_weights(architecture, weights)
    }

    /// A state around given weights, with an optimizer that has not stepped.
    pub fn from_weights(architecture: &Architecture, weights: BTreeMap<ParamId, Tensor>) -> Self {
        let zeros = |kind: Option<Kind>| {
            let zero = |w: &Tensor| w.zeros_like().to_kind(kind.unwrap_or(w.kind()));
            weights.iter().map(|(id, w)| (*id, zero(w))).collect::<BTreeMap<_, _>>()
        };
        let (first_moment, second_moment, born) = (zeros(None), zeros(None), zeros(Some(Kind::Int)));
        Self::from_parts(architecture, Parts { weights, first_moment, second_moment, born }, 0)
    }

    /// A state from its tensors.
    pub fn from_parts(architecture: &Architecture, parts: Parts, step: i64) -> Self {
        let layout = Layout::new(architecture);
        let born = layout.join(&parts.born).to_kind(Kind::Int);
        let (cohorts, cohort, _) = born.internal_unique2(true, true, false);
        Self {
            architecture: architecture.clone(),
            weights: layout.join(&parts.weights).detach().set_requires_grad(true),
            first_moment: layout.join(&parts.first_moment),
            second_moment: layout.join(&parts.second_moment),
            cohorts: Vec::try_from(&cohorts.to_kind(Kind::Int64)).expect("a list of steps"),
            cohort: cohort.to_kind(Kind::Int),
            layout,
            step,
            mask: None,
        }
    }

    /// A copy that shares nothing with this one.
    pub fn copy(&self) -> Self {
        let copy =
            |tensors: BTreeMap<ParamId, Tensor>| tensors.into_iter().map(|(id, tensor)| (id, tensor.copy())).collect();
        let Parts { weights, first_moment, second_moment, born } = self.parts();
        let (weights, born) = (copy(weights), copy(born));
        let parts = Parts { weights, first_moment: copy(first_moment), second_moment: copy(second_moment), born };
        let mask = self.mask.as_ref().map(Tensor::copy);
        Self { mask, ..Self::from_parts(&self.architecture, parts, self.step) }
    }

    /// The model's sizes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Where each parameter stands.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The master weights behind their mask, if there is one; gradients flow through them.
    pub fn weights(&self, compute: Kind) -> BTreeMap<ParamId, Tensor> {
        let masked = self.mask.as_ref().map(|mask| &self.weights * mask);
        self.layout.cut(&masked.as_ref().unwrap_or(&self.weights).to_kind(compute))
    }

    /// The master weights' kind.
    pub fn master(&self) -> Kind {
        self.weights.kind()
    }

    /// The state cut into parameters, as views without gradients.
    pub fn parts(&self) -> Parts {
        Parts {
            weights: self.layout.cut(&self.weights.detach()),
            first_moment: self.layout.cut(&self.first_moment),
            second_moment: self.layout.cut(&self.second_moment),
            born: self.layout.cut(&self.born()),
        }
    }

    /// The optimizer step at which each entry was born.
    pub(crate) fn born(&self) -> Tensor {
        let cohorts = Tensor::from_slice(&self.cohorts).to_kind(Kind::Int).to_device(self.cohort.device());
        cohorts.index_select(0, &self.cohort)
    }

    /// The state after a growth: the same edits on weights, moments and birth steps, each under its own role.
    pub fn grown(&self, grown: &Grown, how: &How) -> Self {
        let parts = self.parts();
        let grow = |tensors: BTreeMap<ParamId, Tensor>, role: Role| {
            let mut values = tensors.into_iter().map(|(id, tensor)| (id, Growable(tensor))).collect();
            apply(&mut values, &grown.edits, role);
            values.into_iter().map(|(id, values)| (id, values.0)).collect()
        };
        let How { initializer, copies, seed, event } = *how;
        let parts = Parts {
            weights: grow(parts.weights, Role::Weights { initializer, seed, event }),
            first_moment: grow(parts.first_moment, Role::FirstMoment { copies }),
            second_moment: grow(parts.second_moment, Role::SecondMoment { copies }),
            born: grow(parts.born, Role::Born { step: self.step as u64, copies }),
        };
        Self::from_parts(&grown.architecture, parts, self.step)
    }
}

/// What decides about new entries beside the edits.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// How free entries are made.
    pub initializer: &'a Initializer,
    /// Whether copies bring their source's moments and births along.
    pub copies: bool,
    /// Of the draws.
    pub seed: u64,
    /// Which growth event it is.
    pub event: u64,
}
