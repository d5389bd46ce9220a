//! Is the function preserved? Asked around every growth, by `outgrow grow`, and by `outgrow check`
//! on random compositions.

use std::{collections::BTreeMap, path::Path};

use outgrow_core::{
    Architecture, Growth, ParamId, Transform,
    edit::Initializer,
    event::Preservation,
    growth::{
        self, GrowthError,
        compose::{random_architecture, random_composition},
        grow_all,
    },
    stream::stream,
};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    device::Device,
    model::{Model, cross_entropy},
    room::{self, Need, NoRoom},
    state::{How, TrainingState},
};

/// How far logits may move, relative to the larger of 1 and the largest logit, by rounding alone.
pub fn tolerance(kind: Kind) -> f64 {
    match kind {
        Kind::Double => 1e-11,
        _ => 1e-5,
    }
}

/// Runs the same probe batch through a model before and after a growth, in the kind of its master
/// weights: what growing does is asked, not what a low precision does to both.
pub(crate) fn compare(
    before: &TrainingState,
    after: &TrainingState,
    inputs: &Tensor,
    targets: &Tensor,
) -> Preservation {
    let logits = |state: &TrainingState| {
        no_grad(|| Model::new(state.architecture(), state.weights(state.master())).logits(inputs))
    };
    preservation(&logits(before), &logits(after), targets, before.master())
}

/// What the logits of a probe say, of a model before and after a growth that were computed in a
/// kind.
pub(crate) fn preservation(
    old: &Tensor,
    new: &Tensor,
    targets: &Tensor,
    computed: Kind,
) -> Preservation {
    let max = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    Preservation {
        max_logit_change: max(&(new - old)),
        max_logit: max(old),
        loss_before: cross_entropy(old, targets).double_value(&[]),
        loss_after: cross_entropy(new, targets).double_value(&[]),
        tolerance: tolerance(computed),
    }
}

/// No probe is longer: a model may say that it reads a million positions, and attention takes their
/// square.
pub(crate) const PROBE_LEN: usize = 128;

/// Random token ids to probe a model with, so many sequences of `longest` tokens, or of as many as
/// the model reads.
pub(crate) fn probe(
    architecture: &Architecture,
    [sequences, longest]: [usize; 2],
    seed: u64,
) -> Tensor {
    let mut rng = stream(seed, "probe");
    let length = architecture.seq_len.min(longest);
    let ids = (0..sequences * length).map(|_| rng.random_range(0..architecture.vocab_size as i64));
    Tensor::from_slice(&ids.collect::<Vec<_>>()).view([sequences as i64, length as i64])
}

/// A checkpoint's model, grown.
pub struct GrownCheckpoint {
    /// Before.
    pub before: TrainingState,
    /// After.
    pub after: TrainingState,
    /// Whether all growths claim to preserve the function.
    pub preserving: bool,
    /// What a probe with random tokens says.
    pub preservation: Preservation,
}

impl GrownCheckpoint {
    /// Grows the model of the checkpoint in `from`.
    ///
    /// # Errors
    /// If it can't be read, or a growth does not apply.
    pub fn read(
        from: &Path,
        growths: &[Growth],
        initializer: &Initializer,
        seed: u64,
        device: Device,
    ) -> Result<Self, GrowError> {
        let before = finite(Checkpoint::read(from, device)?.state)?;
        let architecture = before.architecture().clone();
        let grown = growth::grow_all(&architecture, growths, seed);
        let grown = grown.map_err(|(number, error)| GrowError::Growth { number, error })?;
        room::check(
            &grown.architecture,
            Need { each: bytes_of_each(&before), device, disk: None },
        )?;
        let how = How { initializer, copies: false, seed, event: 0 };
        let after = no_grad(|| before.grown(&grown, &how));
        let tokens = probe(&architecture, [4, PROBE_LEN], seed).to_device(device.tch());
        let targets = tokens.remainder(architecture.n_outputs as i64);
        let preservation = compare(&before, &after, &tokens, &targets);
        Ok(Self {
            preserving: growth::all_preserve(&architecture, growths),
            preservation,
            before,
            after,
        })
    }

    /// Writes the grown model to `to`; one that broke its promise to preserve the function is not
    /// written.
    ///
    /// # Errors
    /// If the function moved against the growths' claim, or the folder can't be written.
    pub fn write(self, to: &Path) -> Result<(), GrowError> {
        let Preservation { tolerance, .. } = self.preservation;
        if self.preserving && !self.preservation.holds() {
            return Err(GrowError::NotPreserved { error: self.preservation.error(), tolerance });
        }
        let disk = Some((to, bytes_of_each(&self.after)));
        room::check(self.after.architecture(), Need { each: 0, device: Device::Cpu, disk })?;
        // The grown model is no trial's any more, but its optimizer goes along.
        Ok(Checkpoint { state: self.after, progress: None }.write(to).map(drop)?)
    }
}

/// A model whose weights are no numbers.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the parameter {name} holds {what}: the model diverged, and nothing can be said of it")]
pub struct NotFinite {
    /// Which parameter.
    pub name: String,
    /// What it holds.
    pub what: &'static str,
}

/// The state, unless one of its weights is NaN or infinite.
pub(crate) fn finite(state: TrainingState) -> Result<TrainingState, NotFinite> {
    check_finite(&state).map(|()| state)
}

pub(crate) fn check_finite(state: &TrainingState) -> Result<(), NotFinite> {
    let weights = state.parts().weights;
    match weights.iter().find_map(|(id, weight)| Some((id, not_finite(weight)?))) {
        None => Ok(()),
        Some((id, what)) => Err(NotFinite { name: id.to_string(), what }),
    }
}

/// What a tensor holds that is no finite number; none if all are.
pub(crate) fn not_finite(tensor: &Tensor) -> Option<&'static str> {
    // NaN is the least and the greatest of any numbers that it is among.
    let (least, greatest) = no_grad(|| tensor.aminmax(None, false));
    let ends = [least, greatest].map(|end| end.double_value(&[]));
    if ends.iter().all(|end| end.is_finite()) {
        return None;
    }
    Some(if ends.iter().any(|end| end.is_nan()) { "NaN" } else { "infinity" })
}

/// Bytes that a state takes for each parameter: of its weight alone, or with moments and age.
fn bytes_of_each(state: &TrainingState) -> u64 {
    let weight = state.master().elt_size_in_bytes() as u64;
    if state.step > 0 { 3 * weight + 4 } else { weight }
}

/// Why a checkpoint can't be grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// It can't be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A weight is NaN or infinite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// It would be too large for this machine.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// A transform or an operator can't be applied.
    #[error("growth {number} (from 0): {error}")]
    Growth {
        /// Which.
        number: usize,
        /// Why not.
        error: GrowthError,
    },
    /// The function moved.
    #[error(
        "the function was not preserved: logits moved by {error:.1e}, allowed are {tolerance:.0e}; nothing was written"
    )]
    NotPreserved {
        /// By how much.
        error: f64,
        /// What is allowed.
        tolerance: f64,
    },
}

/// What a check over random compositions found.
#[derive(Clone, Debug)]
pub struct CompositionCheck {
    /// How many compositions.
    pub compositions: u64,
    /// The largest change of logits relative to the larger of 1 and the largest logit.
    pub worst: f64,
    /// Which composition moved them most, as the seed of `worst_transforms`.
    pub worst_transforms: Vec<Transform>,
    /// What is allowed.
    pub tolerance: f64,
    /// How often each transform was applied.
    pub applied: BTreeMap<&'static str, u64>,
}

/// Proves function preservation on this device: random models with unequal layers and random
/// weights, grown by random compositions of up to `most` transforms, their logits compared before
/// and after.
pub fn check_compositions(
    compositions: u64,
    most: usize,
    kind: CheckKind,
    seed: u64,
    device: Device,
    mut progress: impl FnMut(u64),
) -> CompositionCheck {
    let mut check = CompositionCheck::new(compositions, kind.tch());
    for number in 0..compositions {
        let (error, transforms) = check_one(number, most, kind, seed, device);
        check.count(error, transforms);
        progress(number + 1);
    }
    check
}

/// Proves function preservation on one checkpoint: grown by random compositions of up to `most`
/// transforms, each from the checkpoint itself, its logits compared before and after. Nothing is
/// written.
///
/// # Errors
/// If it can't be read.
pub fn check_checkpoint(
    folder: &Path,
    compositions: u64,
    most: usize,
    seed: u64,
    device: Device,
    mut progress: impl FnMut(u64),
) -> Result<CompositionCheck, GrowError> {
    let before = finite(Checkpoint::read(folder, device)?.state)?;
    let architecture = before.architecture().clone();
    let mut check = CompositionCheck::new(compositions, before.master());
    let tokens = probe(&architecture, [2, PROBE_LEN], seed).to_device(device.tch());
    let targets = tokens.remainder(architecture.n_outputs as i64);
    for number in 0..compositions {
        let transforms =
            random_composition(&architecture, most, &mut stream(seed, &format!("check/{number}")));
        let grown = grow_all(&architecture, &transforms, 0).expect("a random composition is valid");
        let initializer = check_initializer(number);
        let after = no_grad(|| {
            before.grown(
                &grown,
                &How { initializer: &initializer, copies: false, seed, event: number },
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
    /// float32.
    F32,
    /// float64.
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
    most: usize,
    kind: CheckKind,
    seed: u64,
    device: Device,
) -> (f64, Vec<Transform>) {
    let mut rng = stream(seed, &format!("check/{number}"));
    let architecture = random_architecture(&mut rng);
    let transforms = random_composition(&architecture, most, &mut rng);
    let grown = grow_all(&architecture, &transforms, 0).expect("a random composition is valid");
    let mut before = TrainingState::fresh(&architecture, rng.random(), kind.tch(), device);
    randomise(&mut before, &mut rng);
    let initializer = check_initializer(number);
    let after = no_grad(|| {
        before.grown(&grown, &How { initializer: &initializer, copies: false, seed, event: number })
    });
    let tokens = probe(&architecture, [2, PROBE_LEN], number).to_device(device.tch());
    let targets = tokens.remainder(architecture.n_outputs as i64);
    (compare(&before, &after, &tokens, &targets).error(), transforms)
}

/// Adds noise of O(1) to every weight, so that gains and biases are not at their first values.
fn randomise(state: &mut TrainingState, rng: &mut outgrow_core::stream::Stream) {
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
