//! The growth doctor: can what was born learn, and does it learn as it should?

use std::collections::BTreeMap;

use outgrow_core::{
    ParamId, ParamKind,
    event::Diagnosis,
    plan::paths::SubLayer,
    stream::stream,
    sweep::{Precision, StepSettings},
};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};

use crate::{
    evaluate::{self, EvalError},
    grow_verified::{GrownCheckpoint, PROBE_LEN},
    model::{Model, cross_entropy},
    optimizer,
    state::TrainingState,
};

/// Steps that are looked at.
pub const STEPS: usize = 3;

/// The steps that a copy of the grown model is trained for.
pub struct TrialSteps<'a> {
    /// Inputs and targets of each.
    pub batches: [(Tensor, Tensor); STEPS],
    /// How each moves the copy.
    pub settings: StepSettings,
    /// Of all.
    pub learning_rate: f64,
    /// Sets the mask that a copy has in the step of this number, from 0.
    pub set_mask: &'a dyn Fn(&mut TrainingState, usize),
}

/// Trains a copy of the grown model for a few steps, and says what happens to its new entries.
pub fn examine(before: &TrainingState, after: &TrainingState, steps: &TrialSteps<'_>) -> Diagnosis {
    let TrialSteps { batches, settings, learning_rate, set_mask } = steps;
    let mut state = after.copy();
    let is_new = newborn(before, &state);
    let twins = twins(&state);
    let mut seen = is_new.zeros_like();
    let (mut reached, mut cosines) = ([0.0; STEPS], [None; STEPS]);
    let mut diagnosis = Diagnosis { new_entries: count(&is_new), ..Diagnosis::default() };
    for (number, (inputs, targets)) in batches.iter().enumerate() {
        set_mask(&mut state, number);
        let gradient = gradient(&state, inputs, targets);
        let mut old_weights = state.weights.detach().copy();
        let _ = optimizer::step(&mut state, &gradient, settings, *learning_rate);
        let update = no_grad(|| old_weights.g_sub_(&state.weights.detach()).neg_());
        seen = seen.logical_or(&gradient.ne(0.0)).logical_and(&is_new);
        reached[number] = count(&seen) as f64 / diagnosis.new_entries.max(1) as f64;
        cosines[number] = symmetry(&state, &gradient, &twins);
        if number == 0 {
            diagnosis.gradient_ratio = ratio(&gradient, &is_new);
            diagnosis.update_ratio = ratio(&update, &is_new);
            let rate = learning_rate * settings.factor_of_all(state.architecture());
            diagnosis.first_update = mean_of(&update.abs(), &seen).map(|size| size / rate);
        }
    }
    diagnosis.reached = reached;
    diagnosis.dead = dead(&state, &is_new, &seen);
    diagnosis.symmetry = cosines[0].zip(cosines[STEPS - 1]).map(|(first, last)| [first, last]);
    let sublayers = |state: &TrainingState| {
        no_grad(|| {
            Model::new(state.architecture(), state.weights(state.master())).sublayers(&batches[0].0)
        })
    };
    let rms = |layers: &[[SubLayer; 2]]| {
        layers.iter().map(|layer| layer.map(|sublayer| sublayer.adds)).collect()
    };
    let sublayers_after = sublayers(after);
    diagnosis.rms_before = rms(&sublayers(before));
    diagnosis.rms_after = rms(&sublayers_after);
    diagnosis.shares_after =
        sublayers_after.iter().map(|layer| layer.map(|sublayer| sublayer.share())).collect();
    diagnosis
}

/// Which entries the growth has just borne. In a model that was never trained all entries are as
/// young; there those count that have no place in the model before.
fn newborn(before: &TrainingState, after: &TrainingState) -> Tensor {
    if after.step > 0 {
        return after.born().eq(after.step);
    }
    let old = before.parts().weights;
    let mark = |(id, weight): (ParamId, Tensor)| {
        let mark = weight.ones_like().to_kind(Kind::Bool);
        if let Some(old) = old.get(&id) {
            let corner =
                old.size().iter().enumerate().fold(mark.shallow_clone(), |part, (dim, &len)| {
                    part.narrow(dim as i64, 0, len)
                });
            let _ = corner.shallow_clone().fill_(0);
        }
        (id, mark)
    };
    after.layout().join(&after.parts().weights.into_iter().map(mark).collect())
}

/// Examines a grown checkpoint outside any trial, with AdamW as it is usual (learning rate 0.001, β
/// 0.9 and 0.95) on windows of at most 128 token ids of a text, or on random tokens if there is
/// none.
///
/// # Errors
/// If the text is shorter than one window, or has tokens that the model does not know.
pub fn consult(
    grown: &GrownCheckpoint,
    text: Option<&[i64]>,
    seed: u64,
) -> Result<Diagnosis, EvalError> {
    const SEQUENCES: usize = 8;
    let architecture = grown.before.architecture();
    let (seq_len, n) = (architecture.seq_len.min(PROBE_LEN), STEPS * SEQUENCES);
    let rows: Vec<i64> = match text {
        Some(text) => {
            evaluate::check_text(architecture, text, seq_len + 1)?;
            text.windows(seq_len + 1).step_by(seq_len).cycle().take(n).flatten().copied().collect()
        }
        None => {
            let mut rng = stream(seed, "doctor");
            let last = architecture.vocab_size.min(architecture.n_outputs) as i64;
            (0..n * (seq_len + 1)).map(|_| rng.random_range(0..last)).collect()
        }
    };
    let rows = Tensor::from_slice(&rows)
        .view([n as i64, seq_len as i64 + 1])
        .to_device(grown.before.weights.device());
    let batches = std::array::from_fn(|step| {
        let rows = rows.narrow(0, (step * SEQUENCES) as i64, SEQUENCES as i64);
        (rows.narrow(1, 0, seq_len as i64), rows.narrow(1, 1, seq_len as i64))
    });
    let steps = TrialSteps {
        batches,
        settings: StepSettings::usual(architecture, Precision::Float32),
        learning_rate: 1e-3,
        set_mask: &|_, _| {},
    };
    Ok(examine(&grown.before, &grown.after, &steps))
}

fn gradient(state: &TrainingState, inputs: &Tensor, targets: &Tensor) -> Tensor {
    let model = Model::new(state.architecture(), state.weights(state.master()));
    let loss = cross_entropy(&model.logits(inputs), targets);
    Tensor::run_backward(&[&loss], &[&state.weights], false, false).remove(0)
}

fn count(mask: &Tensor) -> u64 {
    mask.sum(Kind::Int64).int64_value(&[]) as u64
}

fn mean_of(values: &Tensor, mask: &Tensor) -> Option<f64> {
    let n = count(mask);
    (n > 0).then(|| (values * mask).sum(Kind::Double).double_value(&[]) / n as f64)
}

/// Root mean square over the new entries over that over the old ones.
fn ratio(values: &Tensor, is_new: &Tensor) -> Option<f64> {
    let squares = values.square();
    let (new, old) = (mean_of(&squares, is_new)?, mean_of(&squares, &is_new.logical_not())?);
    (old > 0.0).then(|| (new / old).sqrt())
}

/// Parameters that have new entries none of which was seen with a gradient. A table's row learns
/// when its token comes, so tables are left out.
fn dead(state: &TrainingState, is_new: &Tensor, seen: &Tensor) -> Vec<String> {
    let count_in = |mask: &Tensor, at: i64, len: i64| count(&mask.narrow(0, at, len));
    let segments = state.layout().segments().filter(|(id, ..)| id.kind != ParamKind::Embedding);
    let silent = segments
        .filter(|&(_, at, len)| count_in(is_new, at, len) > 0 && count_in(seen, at, len) == 0);
    silent.map(|(id, ..)| id.to_string()).collect()
}

/// For each parameter that writes units: pairs of equal columns, each with the first that it
/// equals.
fn twins(state: &TrainingState) -> BTreeMap<ParamId, Vec<[i64; 2]>> {
    let weights = state.parts().weights;
    let units =
        weights.into_iter().filter(|(id, _)| matches!(id.kind, ParamKind::W1 | ParamKind::Wv));
    units
        .map(|(id, weight)| (id, equal_columns(&weight)))
        .filter(|(_, pairs)| !pairs.is_empty())
        .collect()
}

/// Columns with equal sums under two fixed weightings are equal, but for an accident that does no
/// harm.
fn equal_columns(weight: &Tensor) -> Vec<[i64; 2]> {
    let rows = Tensor::arange(weight.size()[0], (Kind::Double, weight.device()));
    let weight = weight.to_kind(Kind::Double);
    let sums = [rows.sin() + 2.0, (&rows * 0.7).cos() + 2.0].map(|by| by.matmul(&weight));
    let [a, b] =
        sums.map(|sum| Vec::<f64>::try_from(sum.to_device(tch::Device::Cpu)).expect("numbers"));
    let mut first: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    let mut pairs = vec![];
    for (column, key) in a.iter().zip(&b).map(|(a, b)| (a.to_bits(), b.to_bits())).enumerate() {
        match first.get(&key) {
            Some(&original) => pairs.push([original, column as i64]),
            None => drop(first.insert(key, column as i64)),
        }
    }
    pairs
}

/// Mean cosine between the gradients of twins.
fn symmetry(
    state: &TrainingState,
    gradient: &Tensor,
    twins: &BTreeMap<ParamId, Vec<[i64; 2]>>,
) -> Option<f64> {
    let gradients = state.layout().cut(gradient);
    let cosines: Vec<f64> = twins
        .iter()
        .flat_map(|(id, pairs)| {
            let columns = |of: usize| {
                let indices: Vec<i64> = pairs.iter().map(|pair| pair[of]).collect();
                let indices = Tensor::from_slice(&indices).to_device(gradient.device());
                gradients[id].index_select(1, &indices).to_kind(Kind::Double)
            };
            let (a, b) = (columns(0), columns(1));
            let dot = (&a * &b).sum_dim_intlist(Some([0i64].as_slice()), false, Kind::Double);
            let norm = |x: &Tensor| {
                x.square().sum_dim_intlist(Some([0i64].as_slice()), false, Kind::Double).sqrt()
            };
            Vec::<f64>::try_from((dot / (norm(&a) * norm(&b))).to_device(tch::Device::Cpu))
                .expect("numbers")
        })
        .filter(|cosine| cosine.is_finite())
        .collect();
    (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64)
}
