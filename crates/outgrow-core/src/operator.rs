//! The field's operators: published methods for growing a model, as lists of edits like the
//! transforms. Each is one small file: its equations, its source, what it can't do, and whether it
//! preserves the function.
//!
//! Notation: a parameter `W` is (in × out), as everywhere here. Copying a unit c times means: what
//! *writes* the unit is copied, what *reads* it is divided among the copies ([`Share`]).

mod bert2bert;
mod depth_up_scaling;
mod grad_max;
mod gradual_stack;
mod hyper_cloning;
mod identity_blocks;
mod lemon;
mod ligo;
mod msg;
mod net2net;
mod sparkling;
mod stack;
mod staged;

use std::ops::Range;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    bert2bert::{Bert2Bert, Knowledge},
    depth_up_scaling::DepthUpScaling,
    grad_max::GradMax,
    gradual_stack::{Block, GradualStack},
    hyper_cloning::HyperCloning,
    identity_blocks::IdentityBlocks,
    lemon::Lemon,
    ligo::Ligo,
    msg::Msg,
    net2net::Net2Net,
    sparkling::Sparkling,
    stack::{Order, Stack},
    staged::{Staged, StagedDepth},
};
use crate::{
    architecture::{Architecture, ArchitectureError, LayerShape},
    edit::{Edit, LayerCopy, Unit},
    growth::{Goal, Grown},
    param::{Axis, ParamId, ParamKind, parameters},
    stream::{Stream, stream},
    transform::{Transform, TransformError},
};

/// What the file of an operator says.
trait Method {
    /// Writes down the edits that lead from the way's architecture to its goal.
    fn grow(&self, way: &mut Way) -> Result<(), OperatorError>;

    /// Whether it claims to preserve the function.
    fn preserves(&self, from: &Architecture, to: &Goal) -> bool;

    /// Refuses parameters that mean nothing.
    fn check(&self) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Tokens for which a mask stands before what it added.
    fn ramp_tokens(&self) -> u64 {
        0
    }

    /// Whether training text decides what it makes.
    fn learns(&self) -> bool {
        false
    }

    /// FLOPs that it spends on itself.
    fn flops(&self, _from: &Architecture, _to: &Architecture) -> u128 {
        0
    }

    /// How the sizes between its first and its last application lie.
    fn spacing(&self) -> Spacing {
        Spacing::Arithmetic
    }
}

/// How sizes lie between a first and a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Equal differences.
    Arithmetic,
    /// Equal factors.
    Geometric,
}

macro_rules! operators {
    ($($method:ident = $name:literal,)*) => {
        /// A published method. In files: `{ kind = "stack", order = "block" }`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[allow(missing_docs)]
        pub enum Operator {
            $(#[serde(rename = $name)] $method($method),)*
        }

        impl Operator {
            /// What files, databases and figures call it.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Operator::$method(_) => $name,)*
                }
            }

            fn method(&self) -> &dyn Method {
                match self {
                    $(Operator::$method(method) => method,)*
                }
            }
        }
    };
}

// The list: an operator, and what files, databases and figures call it.
operators! {
    Stack = "stack",
    GradualStack = "gradual_stack",
    DepthUpScaling = "depth_up_scaling",
    IdentityBlocks = "identity_blocks",
    Net2Net = "net2net",
    Bert2Bert = "bert2bert",
    HyperCloning = "hyper_cloning",
    Lemon = "lemon",
    Staged = "staged",
    Sparkling = "sparkling",
    Msg = "msg",
    Ligo = "ligo",
    GradMax = "grad_max",
}

/// Why an operator can't do what it is asked.
#[derive(Debug, Error, PartialEq)]
pub enum OperatorError {
    /// Its rule does not lead there.
    #[error("{operator}: {why}")]
    Refused {
        /// Which operator.
        operator: &'static str,
        /// What it would take, what was asked, and what is allowed.
        why: String,
    },
    /// A transform that it is made of can't be applied.
    #[error("{operator}: {error}")]
    Transform {
        /// Which operator.
        operator: &'static str,
        /// Why not.
        error: TransformError,
    },
    /// The result is no architecture.
    #[error("the grown model would be invalid: {0}")]
    Invalid(#[from] ArchitectureError),
}

impl Operator {
    /// Enlarges `architecture` to the goal.
    ///
    /// # Errors
    /// If its rule does not lead there.
    pub fn grow(
        &self,
        architecture: &Architecture,
        to: &Goal,
        seed: u64,
    ) -> Result<Grown, OperatorError> {
        self.method().check()?;
        let rng = stream(seed, "units");
        let mut way =
            Way { operator: self.name(), now: architecture.clone(), to, edits: vec![], rng };
        way.check_nothing_shrinks()?;
        way.check_form()?;
        self.method().grow(&mut way)?;
        way.check_arrived()?;
        way.now.validate()?;
        Ok(Grown { architecture: way.now, edits: way.edits })
    }

    /// Whether it claims to preserve the function on this way.
    pub fn preserves(&self, from: &Architecture, to: &Goal) -> bool {
        self.method().preserves(from, to)
    }

    /// Tokens for which a mask stands before what it added.
    pub fn ramp_tokens(&self) -> u64 {
        self.method().ramp_tokens()
    }

    /// Whether training text decides what it makes. It then stands alone in its stage.
    pub fn learns(&self) -> bool {
        self.method().learns()
    }

    /// FLOPs that it spends on itself.
    pub fn flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        self.method().flops(from, to)
    }

    /// How the sizes between several applications lie.
    pub fn spacing(&self) -> Spacing {
        self.method().spacing()
    }
}

/// A growth being written down: the sizes so far, where it must lead, and the edits so far.
struct Way<'a> {
    operator: &'static str,
    now: Architecture,
    to: &'a Goal,
    edits: Vec<Edit>,
    rng: Stream,
}

/// The axes along which a head is copied.
const HEAD_AXES: [Axis; 4] = [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed];

/// A copy of a unit, and the part of it that what reads the unit gets from this copy. The parts of
/// a unit's copies add up to one where the function is to be preserved.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share {
    from: usize,
    part: f64,
}

impl Way<'_> {
    fn refuse<T>(&self, why: impl Into<String>) -> Result<T, OperatorError> {
        Err(OperatorError::Refused { operator: self.operator, why: why.into() })
    }

    fn check_nothing_shrinks(&self) -> Result<(), OperatorError> {
        let (now, to) = (&self.now, self.to);
        if to.d_model < now.d_model {
            return self
                .refuse(format!("d_model can't shrink from {} to {}", now.d_model, to.d_model));
        }
        if to.layers.len() < now.layers.len() {
            return self.refuse(format!(
                "n_layers can't shrink from {} to {}",
                now.layers.len(),
                to.layers.len()
            ));
        }
        if *to == Goal::of(now) {
            return self
                .refuse("it would enlarge nothing: the model has the sizes of the goal already");
        }
        Ok(())
    }

    /// A table that is read and written in one can't be divided among copies.
    fn check_form(&self) -> Result<(), OperatorError> {
        if self.now.form.tied && self.to.d_model > self.now.d_model {
            return self.refuse(
                "d_model can't grow where the unembedding is the token embedding: its rows are read in parts, its columns written whole; the six transforms can do it",
            );
        }
        Ok(())
    }

    /// Refuses all forms but the paper's (with either norm).
    fn only_plain(&self) -> Result<(), OperatorError> {
        let single =
            self.now.layers.iter().flat_map(|layer| &layer.heads).all(|head| head.n_queries == 1);
        if self.now.form.is_plain() && single {
            return Ok(());
        }
        self.refuse(
            "its rule is for the paper's form: learned positions, ReLU with biases, one query to a head, no gate, no attention biases",
        )
    }

    /// What an operator did not see to, it can't do.
    fn check_arrived(&self) -> Result<(), OperatorError> {
        if Goal::of(&self.now) == *self.to {
            return Ok(());
        }
        let now = Architecture {
            d_model: self.to.d_model,
            layers: self.to.layers.clone(),
            ..self.now.clone()
        };
        self.refuse(format!("it leads to {}, and not to {}", self.now.describe(), now.describe()))
    }

    /// A depth operator leaves widths as they are.
    fn only_depth(&self) -> Result<(), OperatorError> {
        let (now, to) = (&self.now, self.to);
        if to.d_model != now.d_model {
            return self.refuse(format!(
                "it only adds layers, but d_model is {} and should become {}",
                now.d_model, to.d_model
            ));
        }
        if to.layers.iter().any(|layer| !now.layers.contains(layer)) {
            return self.refuse(
                "it only adds layers that are copies, but the target's layers have other sizes",
            );
        }
        Ok(())
    }

    /// A width operator leaves the number of layers as it is.
    fn only_width(&self) -> Result<(), OperatorError> {
        let (from, to) = (self.now.layers.len(), self.to.layers.len());
        if from == to {
            Ok(())
        } else {
            self.refuse(format!("it adds no layers, but n_layers is {from} and should become {to}"))
        }
    }

    /// Makes the list of layers anew; copies are those that the rule marks.
    fn layers(&mut self, copies: Vec<LayerCopy>) {
        self.now.layers = copies.iter().map(|copy| self.now.layers[copy.from].clone()).collect();
        self.edits.push(Edit::Layers(copies));
    }

    /// Sets to zero what a layer writes into the stream.
    fn silence(&mut self, layer: usize) {
        let form = self.now.form;
        for kind in [ParamKind::Wo, ParamKind::Bo, ParamKind::W2, ParamKind::B2]
            .into_iter()
            .filter(|k| k.exists(form))
        {
            self.edits.push(Edit::Clear { param: ParamId::in_layer(layer, kind), block: vec![] });
        }
    }

    /// A transform as a part of an operator.
    fn transform(&mut self, transform: impl Into<Transform>) -> Result<(), OperatorError> {
        let operator = self.operator;
        let grown = transform.into().grow(&self.now);
        let grown = grown.map_err(|error| OperatorError::Transform { operator, error })?;
        self.now = grown.architecture;
        self.edits.extend(grown.edits);
        Ok(())
    }

    /// The parameters that have an axis: in one layer, or in the whole model.
    fn params(&self, axis: Axis, layer: Option<usize>) -> Vec<ParamId> {
        let all = parameters(&self.now).into_iter();
        all.filter(|id| id.kind.dim(axis).is_some() && (layer.is_none() || id.layer == layer))
            .collect()
    }

    /// Copies the channels of the stream: what writes them is copied, what reads them is divided. A
    /// norm sees the same root mean square where every channel is copied equally often, with ε on
    /// the sum multiplied like the sum ([`Way::multiply_eps`]).
    fn copy_channels(&mut self, shares: &[Share]) {
        for param in self.params(Axis::Model, None) {
            self.gather(param, Axis::Model, shares, self.now.d_model, None);
        }
        self.now.d_model = shares.len();
    }

    fn multiply_eps(&mut self, by: usize) {
        self.now.form.eps_sum *= by as f64;
    }

    /// Copies the units of an MLP.
    fn copy_units(&mut self, layer: usize, shares: &[Share]) {
        let old = self.now.layers[layer].d_ff;
        for param in self.params(Axis::Ff, Some(layer)) {
            self.gather(param, Axis::Ff, shares, old, None);
        }
        self.now.layers[layer].d_ff = shares.len();
    }

    /// Copies heads as wholes.
    fn copy_heads(&mut self, layer: usize, shares: &[Share]) {
        for axis in HEAD_AXES {
            let (entries, old) = self.head_entries(layer, axis, shares);
            for param in self.params(axis, Some(layer)) {
                self.gather(param, axis, &entries, old, None);
            }
        }
        self.set_heads(layer, shares);
    }

    /// Copies units and heads of every layer up to the goal, by shares of one kind.
    fn copy_in_layers(&mut self, shares: fn(usize, usize, &mut Stream) -> Vec<Share>) {
        for layer in 0..self.now.layers.len() {
            let (now, to) = (self.now.layers[layer].clone(), &self.to.layers[layer]);
            if to.d_ff > now.d_ff {
                let shares = shares(now.d_ff, to.d_ff, &mut self.rng);
                self.copy_units(layer, &shares);
            }
            if to.heads.len() > now.heads.len() {
                let shares = shares(now.heads.len(), to.heads.len(), &mut self.rng);
                self.copy_heads(layer, &shares);
            }
        }
    }

    /// The entries of one of the heads' axes that belong to copied heads, and how many there were.
    fn head_entries(&self, layer: usize, axis: Axis, shares: &[Share]) -> (Vec<Share>, usize) {
        let shape = &self.now.layers[layer];
        let range = |head: usize| -> Range<usize> {
            let at = shape.offset(axis, head);
            at..at + shape.heads[head].width(axis)
        };
        let entries = shares
            .iter()
            .flat_map(|share| range(share.from).map(|from| Share { from, part: share.part }));
        (entries.collect(), shape.width(axis))
    }

    fn set_heads(&mut self, layer: usize, shares: &[Share]) {
        let heads = shares.iter().map(|share| self.now.layers[layer].heads[share.from]).collect();
        self.now.layers[layer].heads = heads;
    }

    /// One axis of one parameter: read in parts, or written whole (a copy's gradient is then the
    /// part that is read of it).
    fn gather(
        &mut self,
        param: ParamId,
        axis: Axis,
        shares: &[Share],
        old: usize,
        new_from: Option<ParamId>,
    ) {
        let unit = |(number, share): (usize, &Share)| {
            let (weight, gradient) =
                if param.kind.reads(axis) { (share.part, 1.0) } else { (1.0, share.part) };
            Unit { from: share.from, weight, gradient, is_new: number >= old }
        };
        let units = shares.iter().enumerate().map(unit).collect();
        self.edits.push(Edit::Gather { param, axis, units, new_from });
    }

    /// For each layer, how many heads and units it must have; refuses heads of other sizes than the
    /// layer's.
    fn check_heads_whole(&self) -> Result<(), OperatorError> {
        for (number, (now, to)) in self.now.layers.iter().zip(&self.to.layers).enumerate() {
            let (from, heads) = (now.heads.len(), to.heads.len());
            if heads < from {
                return self.refuse(format!(
                    "n_heads of layer {number} can't shrink from {from} to {heads}"
                ));
            }
            if to.d_ff < now.d_ff {
                return self.refuse(format!(
                    "d_ff of layer {number} can't shrink from {} to {}",
                    now.d_ff, to.d_ff
                ));
            }
            if now.heads.iter().chain(&to.heads).any(|head| *head != now.heads[0]) {
                return self.refuse(format!(
                    "it copies heads as wholes, so d_k and d_v can't change: layer {number} has {} and should have {}",
                    describe_heads(now),
                    describe_heads(to)
                ));
            }
        }
        Ok(())
    }

    /// By which whole number an axis is multiplied.
    fn factor(&self, what: &str, from: usize, to: usize) -> Result<usize, OperatorError> {
        if to.is_multiple_of(from) {
            return Ok(to / from);
        }
        self.refuse(format!(
            "{what} must be multiplied by a whole number: {from} can't become {to}"
        ))
    }

    /// The one factor by which every layer's axis is multiplied.
    fn layer_factor(
        &self,
        what: &str,
        of: fn(&LayerShape) -> usize,
    ) -> Result<usize, OperatorError> {
        let pairs: Vec<_> = self
            .now
            .layers
            .iter()
            .zip(&self.to.layers)
            .map(|(now, to)| (of(now), of(to)))
            .collect();
        let factors: Result<Vec<_>, _> =
            pairs.iter().map(|&(from, to)| self.factor(what, from, to)).collect();
        let factors = factors?;
        match factors.iter().all(|factor| *factor == factors[0]) {
            true => Ok(factors[0]),
            false => {
                self.refuse(format!("{what} must be multiplied by the same number in every layer"))
            }
        }
    }
}

fn describe_heads(layer: &LayerShape) -> String {
    let groups = layer.groups();
    let text = groups
        .iter()
        .map(|group| format!("{} of d_k {}, d_v {}", group.n_heads, group.d_k, group.d_v));
    text.collect::<Vec<_>>().join(" and ")
}

/// The layers in this order; of the copies of a layer, the first is the layer itself.
fn first_survives(order: impl IntoIterator<Item = usize>) -> Vec<LayerCopy> {
    let mut seen = vec![];
    let copy = |from: usize| {
        let is_new = seen.contains(&from);
        seen.push(from);
        LayerCopy { from, is_new }
    };
    order.into_iter().map(copy).collect()
}

/// All units `times` times one after another, the parts equal.
fn tiled(n: usize, times: usize) -> Vec<Share> {
    (0..n * times).map(|i| Share { from: i % n, part: 1.0 / times as f64 }).collect()
}

/// The units, then copies of units drawn uniformly; what reads a unit is divided by its number of
/// copies (Net2Net).
fn drawn(n: usize, to: usize, rng: &mut Stream) -> Vec<Share> {
    let from: Vec<usize> =
        (0..to).map(|i| if i < n { i } else { rng.random_range(0..n) }).collect();
    let mut copies = vec![0; n];
    from.iter().for_each(|&unit| copies[unit] += 1);
    from.into_iter().map(|from| Share { from, part: 1.0 / copies[from] as f64 }).collect()
}

/// The units again and again, their copies' parts unequal, so that equal units get unequal
/// gradients (LEMON).
fn unequal(n: usize, to: usize, rng: &mut Stream) -> Vec<Share> {
    let weights: Vec<f64> = (0..to).map(|_| rng.random_range(0.5..1.5)).collect();
    let mut sums = vec![0.0; n];
    weights.iter().enumerate().for_each(|(i, weight)| sums[i % n] += weight);
    (0..to).map(|i| Share { from: i % n, part: weights[i] / sums[i % n] }).collect()
}
