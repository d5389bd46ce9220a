//! The whole state of a training: what grows.
//!
//! All weights lie in one flat tensor, both moments and the birth steps in three more of the same
//! layout. Autograd then gives one flat gradient (the views' backward is a single concatenation),
//! and the optimizer is a handful of operations whatever the number of parameters. To grow, the
//! flat tensors are cut into parameters, edited, and laid out anew.
//!
//! Replicates of one plan have the same shapes at all times, so several can be one state: each flat
//! tensor then has a row for each.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, ParamId,
    edit::{Initializer, Role, apply, fresh},
    growth::Grown,
    model::parameters,
};
use tch::{Kind, Tensor};

use crate::{device::Device, dtype::Dtype, tensor::Growable};

/// Where each parameter stands in a flat tensor; those with weight decay come first.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    entries: Vec<(ParamId, Vec<i64>)>,
    sizes: Vec<i64>,
    decayed: i64,
}

/// Weights, AdamW moments and birth steps of a model in training, or of r replicates of it: flat
/// tensors of all n entries, or r × n.
pub struct TrainingState {
    architecture: Architecture,
    layout: Layout,
    /// Master weights, a leaf that requires gradients.
    pub(crate) weights: Tensor,
    /// Running mean of gradients.
    pub(crate) first_moment: Tensor,
    /// Running mean of squared gradients.
    pub(crate) second_moment: Tensor,
    /// The optimizer steps at which entries were born, and for each entry the number of its own;
    /// what bias correction looks up.
    pub(crate) cohorts: Vec<i64>,
    pub(crate) cohort: Tensor,
    /// Optimizer steps so far.
    pub(crate) step: i64,
    /// What the weights are multiplied by while a mask opens.
    pub(crate) mask: Option<Tensor>,
}

/// The four tensors of a training state, cut into parameters.
pub struct Parts {
    /// Master weights, in the shapes of the architecture.
    pub weights: BTreeMap<ParamId, Tensor>,
    /// Running mean of gradients.
    pub first_moment: BTreeMap<ParamId, Tensor>,
    /// Running mean of squared gradients.
    pub second_moment: BTreeMap<ParamId, Tensor>,
    /// The step at which each entry was born; int32.
    pub born: BTreeMap<ParamId, Tensor>,
}

impl Layout {
    /// The layout of a model's parameters.
    pub fn new(architecture: &Architecture) -> Self {
        let mut ids = parameters(architecture);
        ids.sort_by_key(|id| !id.kind.decays());
        let shape =
            |id: ParamId| id.shape(architecture).iter().map(|&n| n as i64).collect::<Vec<_>>();
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

    /// Views of a flat tensor, one for each parameter, with as many replicates in front as it has
    /// rows.
    pub fn cut(&self, flat: &Tensor) -> BTreeMap<ParamId, Tensor> {
        let size = flat.size();
        let (_, replicates) = size.split_last().expect("a flat tensor has entries");
        let parts = flat.split_with_sizes(&self.sizes[..], -1);
        let view = |shape: &[i64], part: Tensor| part.view(&[replicates, shape].concat()[..]);
        self.entries.iter().zip(parts).map(|((id, shape), part)| (*id, view(shape, part))).collect()
    }

    /// One flat tensor of all parameters.
    pub(crate) fn join(&self, parts: &BTreeMap<ParamId, Tensor>) -> Tensor {
        let flat: Vec<Tensor> =
            self.entries.iter().map(|(id, _)| parts[id].reshape([-1])).collect();
        Tensor::cat(&flat, 0)
    }
}

impl TrainingState {
    /// A new model, drawn from the `init` streams of `seed`, with an optimizer that has not
    /// stepped.
    pub fn fresh(architecture: &Architecture, seed: u64, master: Kind, device: Device) -> Self {
        let like = Growable(Tensor::zeros([0], (master, device.tch())));
        let weights = fresh(architecture, seed, &like)
            .into_iter()
            .map(|(id, values)| (id, values.0))
            .collect();
        Self::from_weights(architecture, weights)
    }

    /// A state around given weights, with an optimizer that has not stepped.
    pub fn from_weights(architecture: &Architecture, weights: BTreeMap<ParamId, Tensor>) -> Self {
        let layout = Layout::new(architecture);
        let weights = layout.join(&weights).detach();
        Self {
            architecture: architecture.clone(),
            layout,
            first_moment: weights.zeros_like(),
            second_moment: weights.zeros_like(),
            cohorts: vec![0],
            cohort: Tensor::zeros(&weights.size()[..], (Kind::Int, weights.device())),
            weights: weights.set_requires_grad(true),
            step: 0,
            mask: None,
        }
    }

    /// A state from its tensors.
    pub fn from_parts(architecture: &Architecture, parts: Parts, step: i64) -> Self {
        let layout = Layout::new(architecture);
        // Each map goes when it is joined: there is never more than one of the four twice.
        let Parts { weights, first_moment, second_moment, born } = parts;
        let flat = [weights, first_moment, second_moment, born].map(|parts| layout.join(&parts));
        Self::from_flat(architecture, layout, flat, step)
    }

    /// A state of flat weights, moments and births.
    fn from_flat(
        architecture: &Architecture,
        layout: Layout,
        flat: [Tensor; 4],
        step: i64,
    ) -> Self {
        let [weights, first_moment, second_moment, born] = flat;
        let (cohorts, cohort) = cohorts(&born);
        Self {
            architecture: architecture.clone(),
            weights: weights.detach().set_requires_grad(true),
            first_moment,
            second_moment,
            cohorts,
            cohort,
            layout,
            step,
            mask: None,
        }
    }

    /// A copy that can be trained by itself.
    pub fn copy(&self) -> Self {
        // Births are never written in place.
        self.each(Tensor::copy, Tensor::shallow_clone)
    }

    /// The same state: what is done to one is done to the other, as long as it is done in place.
    pub fn share(&self) -> Self {
        self.each(Tensor::shallow_clone, Tensor::shallow_clone)
    }

    fn each(&self, tensor: impl Fn(&Tensor) -> Tensor, cohort: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            architecture: self.architecture.clone(),
            layout: self.layout.clone(),
            weights: tensor(&self.weights.detach()).set_requires_grad(true),
            first_moment: tensor(&self.first_moment),
            second_moment: tensor(&self.second_moment),
            cohorts: self.cohorts.clone(),
            cohort: cohort(&self.cohort),
            step: self.step,
            mask: self.mask.as_ref().map(tensor),
        }
    }

    /// Replicates as one state, which takes their place; one stays as it is.
    ///
    /// # Panics
    /// If there is none, or they differ in architecture or step.
    pub fn stack(mut replicates: Vec<Self>) -> Self {
        if replicates.len() == 1 {
            return replicates.remove(0);
        }
        let first = &replicates[0];
        let alike =
            |other: &Self| other.architecture == first.architecture && other.step == first.step;
        assert!(replicates.iter().all(alike), "replicates are of one architecture and at one step");
        let stack = |of: &dyn Fn(&Self) -> Tensor| {
            Tensor::stack(&replicates.iter().map(of).collect::<Vec<_>>(), 0)
        };
        let flat = [
            stack(&|state| state.weights.detach()),
            stack(&|state| state.first_moment.shallow_clone()),
            stack(&|state| state.second_moment.shallow_clone()),
            stack(&Self::born),
        ];
        let mask = first
            .mask
            .is_some()
            .then(|| stack(&|state| state.mask.as_ref().expect("as the first").shallow_clone()));
        Self {
            mask,
            ..Self::from_flat(&first.architecture, first.layout.clone(), flat, first.step)
        }
    }

    /// How many replicates there are, where they are stacked.
    pub fn replicates(&self) -> Option<i64> {
        (self.weights.dim() == 2).then(|| self.weights.size()[0])
    }

    /// One of the replicates, sharing its tensors with this state; of one that is not stacked, all
    /// of it.
    pub fn replicate(&self, number: usize) -> Self {
        match self.replicates() {
            Some(_) => {
                let row = |tensor: &Tensor| tensor.select(0, number as i64);
                self.each(row, row)
            }
            None => self.share(),
        }
    }

    /// The sizes and the form of the model.
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

    /// The type of the master weights, as PyTorch calls it.
    pub fn dtype(&self) -> Dtype {
        Dtype::of(self.master())
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
        let cohorts =
            Tensor::from_slice(&self.cohorts).to_kind(Kind::Int).to_device(self.cohort.device());
        look_up(&cohorts, &self.cohort)
    }

    /// The state after a growth: the same edits on weights, moments and birth steps, each under its
    /// own role.
    pub fn grown(&self, grown: &Grown, options: &GrowOptions) -> Self {
        let layout = Layout::new(&grown.architecture);
        let grow = |flat: &Tensor, role: Role| {
            let parts = self.layout.cut(flat).into_iter();
            let mut values = parts.map(|(id, tensor)| (id, Growable(tensor))).collect();
            apply(&mut values, &grown.edits, role);
            layout.join(&values.into_iter().map(|(id, values)| (id, values.0)).collect())
        };
        let GrowOptions { initializer, copies, seed, event } = *options;
        let flat = [
            grow(&self.weights.detach(), Role::Weights { initializer, seed, event }),
            grow(&self.first_moment, Role::FirstMoment { copies }),
            grow(&self.second_moment, Role::SecondMoment { copies }),
            grow(&self.born(), Role::Born { step: self.step as u64, copies }),
        ];
        Self::from_flat(&grown.architecture, layout.clone(), flat, self.step)
    }
}

/// The steps at which entries were born, in order, and for each entry the number of its own. They
/// are few, so they are found one after another: sorting all entries would take several times their
/// memory.
fn cohorts(born: &Tensor) -> (Vec<i64>, Tensor) {
    let mut steps = vec![born.min().int64_value(&[])];
    loop {
        let later = born.masked_select(&born.gt(steps[steps.len() - 1]));
        if later.numel() == 0 {
            break;
        }
        steps.push(later.min().int64_value(&[]));
    }
    let table = Tensor::from_slice(&steps).to_kind(born.kind()).to_device(born.device());
    let cohort = born.bucketize(&table, true, false);
    (steps, cohort)
}

/// The numbers of a table that places, of any shape, ask for.
pub(crate) fn look_up(table: &Tensor, places: &Tensor) -> Tensor {
    table.index_select(0, &places.flatten(0, -1)).view(&places.size()[..])
}

/// What decides about new entries beside the edits.
#[derive(Clone, Copy, Debug)]
pub struct GrowOptions<'a> {
    /// How free entries are made.
    pub initializer: &'a Initializer,
    /// Whether copies bring their source's moments and births along.
    pub copies: bool,
    /// The seed of the draws.
    pub seed: u64,
    /// Which growth event it is.
    pub event: u64,
}
