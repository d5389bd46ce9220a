//! Function preservation under random compositions of transforms.

use std::{collections::BTreeMap, path::Path};

use outgrow_core::{
    ParamId, Transform,
    edit::Initializer,
    growth::{
        compose::{random_architecture, random_composition},
        grow_all,
    },
    stream::{Stream, stream},
};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};

use super::{
    error::GrowError,
    probe::{PROBE_LEN, compare, probe, tolerance},
};
use crate::{
    checkpoint::Checkpoint,
    device::Device,
    finite::finite,
    state::{GrowOptions, TrainingState},
};

/// Random compositions of transforms.
#[derive(Clone, Copy, Debug)]
pub struct Compositions {
    /// How many are drawn.
    pub n: u64,
    /// No one has more transforms.
    pub most: usize,
    /// The seed of all draws.
    pub seed: u64,
}

impl Compositions {
    fn stream(self, number: u64) -> Stream {
        stream(self.seed, &format!("check/{number}"))
    }
}

/// What a check over random compositions found.
#[derive(Clone, Debug)]
pub struct CompositionCheck {
    /// How many compositions were applied.
    pub compositions: u64,
    /// The largest change of logits relative to the larger of 1 and the largest logit.
    pub worst: f64,
    /// Which composition moved them most, as the seed of `worst_transforms`.
    pub worst_transforms: Vec<Transform>,
    /// The largest change that rounding alone explains.
    pub tolerance: f64,
    /// How often each transform was applied.
    pub applied: BTreeMap<&'static str, u64>,
}

/// Proves function preservation on this device: random models with unequal layers and random
/// weights, grown by random compositions of up to `most` transforms, their logits compared before
/// and after.
pub fn check_compositions(
    of: Compositions,
    kind: CheckKind,
    device: Device,
    mut progress: impl FnMut(u64),
) -> CompositionCheck {
    let mut check = CompositionCheck::new(of.n, kind.tch());
    for number in 0..of.n {
        let (error, transforms) = check_one(number, of, kind, device);
        check.count(error, transforms);
        progress(number + 1);
    }
    check
}

/// Proves function preservation on one checkpoint: grown by random compositions of up to `of.most`
/// transforms, each from the checkpoint itself, its logits compared before and after. Nothing is
/// written.
///
/// # Errors
/// If it can't be read.
pub fn check_checkpoint(
    folder: &Path,
    of: Compositions,
    device: Device,
    mut progress: impl FnMut(u64),
) -> Result<CompositionCheck, GrowError> {
    let before = finite(Checkpoint::read(folder, device)?.state)?;
    let architecture = before.architecture().clone();
    let mut check = CompositionCheck::new(of.n, before.master());
    let tokens = probe(&architecture, [2, PROBE_LEN], of.seed).to_device(device.tch());
    let targets = tokens.remainder(architecture.n_outputs as i64);
    for number in 0..of.n {
        let transforms = random_composition(&architecture, of.most, &mut of.stream(number));
        let grown = grow_all(&architecture, &transforms, 0).expect("a random composition is valid");
        let initializer = check_initializer(number);
        let after = no_grad(|| {
            before.grown(
                &grown,
                &GrowOptions {
                    initializer: &initializer,
                    copies: false,
                    seed: of.seed,
                    event: number,
                },
            )
        });
        check.count(compare(&before, &after, &tokens, &targets).error(), transforms);
        progress(number + 1);
    }
    Ok(check)
}

/// Both ways of making free entries, in turn.
fn check_initializer(number: u64) -> Initializer {
    if number.is_multiple_of(2) { Initializer::Normal { scale: 1.0 } } else { Initializer::Copy }
}

impl CompositionCheck {
    fn new(compositions: u64, kind: Kind) -> Self {
        let tolerance = tolerance(kind);
        Self {
            compositions,
            worst: 0.0,
            worst_transforms: vec![],
            tolerance,
            applied: BTreeMap::new(),
        }
    }

    /// Whether no composition moved logits by more than is allowed.
    pub fn holds(&self) -> bool {
        self.worst <= self.tolerance
    }

    fn count(&mut self, error: f64, transforms: Vec<Transform>) {
        for transform in &transforms {
            *self.applied.entry(transform.kind().name()).or_default() += 1;
        }
        // A change that is not a number must not be lost in a comparison.
        if error.is_nan() || error >= self.worst {
            self.worst = if error.is_nan() { f64::INFINITY } else { error };
            self.worst_transforms = transforms;
        }
    }
}

/// The kinds that a check runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Weights and logits in float32.
    F32,
    /// Weights and logits in float64.
    F64,
}

impl CheckKind {
    fn tch(self) -> Kind {
        match self {
            CheckKind::F32 => Kind::Float,
            CheckKind::F64 => Kind::Double,
        }
    }
}

fn check_one(
    number: u64,
    of: Compositions,
    kind: CheckKind,
    device: Device,
) -> (f64, Vec<Transform>) {
    let mut rng = of.stream(number);
    let architecture = random_architecture(&mut rng);
    let transforms = random_composition(&architecture, of.most, &mut rng);
    let grown = grow_all(&architecture, &transforms, 0).expect("a random composition is valid");
    let mut before = TrainingState::fresh(&architecture, rng.random(), kind.tch(), device);
    randomise(&mut before, &mut rng);
    let initializer = check_initializer(number);
    let after = no_grad(|| {
        before.grown(
            &grown,
            &GrowOptions { initializer: &initializer, copies: false, seed: of.seed, event: number },
        )
    });
    let tokens = probe(&architecture, [2, PROBE_LEN], number).to_device(device.tch());
    let targets = tokens.remainder(architecture.n_outputs as i64);
    (compare(&before, &after, &tokens, &targets).error(), transforms)
}

/// Adds noise of O(1) to every weight, so that gains and biases are not at their first values.
fn randomise(state: &mut TrainingState, rng: &mut Stream) {
    let add = |(id, weight): (ParamId, Tensor)| {
        let noise: Vec<f64> = (0..weight.numel()).map(|_| rng.random_range(-0.5..0.5)).collect();
        let noise = Tensor::from_slice(&noise)
            .to_kind(weight.kind())
            .to_device(weight.device())
            .view_as(&weight);
        (id, weight + noise)
    };
    let weights = state.parts().weights.into_iter().map(add).collect();
    *state = TrainingState::from_weights(&state.architecture().clone(), weights);
}
