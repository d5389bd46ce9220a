use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::Edit,
    flops,
    growth::target::TargetShape,
    model::{Architecture, Axis, LayerShape, ParamId, parameters},
};

/// LiGO (Wang et al., arXiv 2303.00980): a learned linear map from the small model's weights to the
/// large one's.
///
/// ```text
/// Ŵ_l = Σ_j w_lj B_in W_j B_outᵀ,    B = [I; M]
/// ```
///
/// One B for the channels of the stream (tables, what reads and writes the stream, norms), and for
/// each source layer one for its queries, keys, values and units each; what reads values or units
/// takes the B of what writes them. The B of heads is laid out head by head: the channels of an old
/// head come first in its place among the new ones. Gains are scaled by √(d/d̂) and keys by
/// √(k̂/k), as of the transforms, so that with M = 0 the old model comes out; the paper, which
/// keeps the size of heads, has neither. One table w of depth for each kind of parameter. I stays;
/// M and w begin as `initial` says. They are learned by AdamW on the task's loss for `steps`
/// batches of training text, the rate rising for `warmup` of them and falling to zero in a straight
/// line; then the large model's weights are made and train on. Not function preserving. Every one
/// of its FLOPs is charged.
///
/// The equation is the paper's. Its code mixes layers first, in the small sizes, and has a B for
/// each *target* layer (`order = "depth_first"`), which is cheaper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ligo {
    /// How many steps M and w are learned for (the paper: 100); with 0 the map is the one that
    /// learning begins with, the control that tells what learning adds.
    pub steps: u64,
    /// Their learning rate at its highest.
    pub learning_rate: f64,
    /// Sequences of each of these steps.
    pub batch_size: u64,
    /// Steps for which the rate rises first. (The published command has 10,000 of 100.)
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warmup: u64,
    /// Decoupled decay of M and w.
    #[serde(default, skip_serializing_if = "is_none")]
    pub weight_decay: f64,
    /// Largest global norm of their gradient; 0 switches clipping off.
    #[serde(default, skip_serializing_if = "is_none")]
    pub clip_norm: f64,
    /// What learning begins with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial: LigoInitial,
    /// What is mixed first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: LigoOrder,
}

/// The map that learning begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LigoInitial {
    /// w as stacking (ABCABC) plus U(0, 0.03), M uniform; rows add up to one.
    #[default]
    Stack,
    /// The same with w as interposition (AABBCC).
    Interlace,
    /// w as stacking; each row of M one of the old channels, plus U(0, 0.03).
    Select,
}

/// Whether layers are made wide before they are mixed, or after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LigoOrder {
    /// Wide first, by a B for each layer of the small model: the paper's equation.
    #[default]
    WidthFirst,
    /// Mixed first, then made wide by a B for each layer of the large model: the paper's code.
    DepthFirst,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_none(number: &f64) -> bool {
    *number == 0.0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Refuses forms whose parts B does not know how to mix.
fn check_form(builder: &OperatorBuilder) -> Result<(), OperatorError> {
    let form = builder.now.form;
    let layers = || builder.now.layers.iter().chain(&builder.to.layers);
    if layers().flat_map(|layer| &layer.heads).any(|head| head.n_queries > 1) {
        return builder.refuse("it mixes heads that have keys and values of their own");
    }
    if !form.norm_gains {
        return builder.refuse("its norms need gains, which undo the longer mean");
    }
    let widest = |layers: &[LayerShape]| {
        layers.iter().flat_map(|layer| &layer.heads).map(|head| head.d_k).max()
    };
    let pairs = form.rotary().is_some() || form.qk_norm_eps.is_some();
    if pairs && widest(&builder.now.layers) != widest(&builder.to.layers) {
        return builder.refuse(
            "d_k can't grow under rotary positions or QK-norm: mixed channels of queries and keys \
             would be turned and normed as others",
        );
    }
    Ok(())
}

impl Ligo {
    /// With the defaults of what may be left out.
    pub fn new(steps: u64, learning_rate: f64, batch_size: u64) -> Self {
        Self {
            steps,
            learning_rate,
            batch_size,
            warmup: 0,
            weight_decay: 0.0,
            clip_norm: 0.0,
            initial: LigoInitial::default(),
            order: LigoOrder::default(),
        }
    }

    /// The learning rate of a step, from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let rise = match self.warmup {
            0 => 1.0,
            warmup => ((step + 1) as f64 / warmup as f64).min(1.0),
        };
        self.learning_rate * rise * (1.0 - step as f64 / self.steps as f64)
    }
}

impl Method for Ligo {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        check_form(builder)?;
        let alike = |layers: &[LayerShape]| layers.iter().all(|layer| *layer == layers[0]);
        if !alike(&builder.now.layers) || !alike(&builder.to.layers) {
            return builder.refuse(
                "it mixes layers, so all layers of the model must have the same sizes, \
                         and all of the target",
            );
        }
        let (from, to) = (builder.now.layers[0].clone(), builder.to.layers[0].clone());
        if !from.fits(&to) {
            return builder
                .refuse("d_ff and the number of heads can't shrink, nor d_k and d_v of any head");
        }
        builder.now.d_model = builder.to.d_model;
        builder.now.layers = builder.to.layers.clone();
        let shapes =
            parameters(&builder.now).into_iter().map(|id| (id, id.shape(&builder.now))).collect();
        builder.edits.push(Edit::Remake(shapes));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }

    fn check(&self) -> Result<(), OperatorError> {
        let refuse = |why: String| Err(OperatorError::Refused { operator: "ligo", why });
        match self {
            Ligo { batch_size: 0, .. } => refuse("`batch_size` is 0; it must be at least 1".into()),
            Ligo { learning_rate, .. } if !(learning_rate.is_finite() && *learning_rate > 0.0) => {
                refuse(format!(
                    "`learning_rate` is {learning_rate:?}; it must be a positive number"
                ))
            }
            Ligo { weight_decay, clip_norm, .. } => {
                let fields = [("weight_decay", weight_decay), ("clip_norm", clip_norm)];
                match fields.into_iter().find(|(_, value)| !(0.0..=1e6).contains(*value)) {
                    Some((field, value)) => {
                        refuse(format!("`{field}` is {value:?}; it must be from 0 to 1e6"))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn is_fitted(&self) -> bool {
        true
    }

    fn flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        let (steps, batch_size) = (u128::from(self.steps), u128::from(self.batch_size));
        let (made, step) = (
            self.expansion_flops(from, to),
            batch_size.saturating_mul(flops::train_flops(to, to.seq_len)),
        );
        steps.saturating_mul(step.saturating_add(3 * made)).saturating_add(made)
    }
}

impl Ligo {
    /// FLOPs of making the large weights once: the products with B on each side, and the sums over
    /// source layers.
    fn expansion_flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        let size = |id: ParamId, axis: Axis, architecture: &Architecture| {
            id.kind.dim(axis).map_or(1, |dim| id.shape(architecture)[dim] as u128)
        };
        let products = |id: ParamId| {
            let target = ParamId { layer: id.layer.map(|_| 0), ..id };
            let mut done = u128::from(id.n_entries(from));
            let mut flops = 0;
            for &axis in id.kind.axes() {
                let (old, new) = (size(id, axis, from), size(target, axis, to));
                flops += if new > old { 2 * done * new } else { 0 };
                done = done / old * new;
            }
            flops
        };
        let (n, n_new) = (from.layers.len() as u128, to.layers.len() as u128);
        let (made_wide, mixed) = match self.order {
            LigoOrder::WidthFirst => (n, to),
            LigoOrder::DepthFirst => (n_new, from),
        };
        let all = parameters(from).into_iter();
        let wide: u128 = all
            .filter(|id| id.layer.is_none_or(|layer| layer == 0))
            .map(|id| products(id) * if id.layer.is_some() { made_wide } else { 1 })
            .sum();
        let in_layer = parameters(mixed).into_iter().filter(|id| id.layer == Some(0));
        let layer: u128 = in_layer.map(|id| u128::from(id.n_entries(mixed))).sum();
        wide + 2 * layer * n * n_new
    }
}
