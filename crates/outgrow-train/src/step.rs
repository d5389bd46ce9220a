//! One training step: data, forward pass, backward pass, optimizer.

use outgrow_core::{
    Trial,
    sweep::{Precision, memory::Backward},
};
use outgrow_data::Tokens;
use tch::{Kind, Tensor};

use crate::{
    by_hand::{self, ByHand},
    device::Device,
    model::{Model, cross_entropy},
    optimizer,
    state::TrainingState,
};

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Tokens to the device.
    Data,
    /// From tokens to the loss.
    Forward,
    /// From the loss to the gradient.
    Backward,
    /// From the gradient to the next weights.
    Optimizer,
}

/// Steps a training state; by hand where that is possible.
pub struct Stepper {
    compute: Kind,
    device: Device,
    parts: usize,
    by_hand: Option<ByHand>,
}

/// What a step leaves on the device.
pub struct Stepped {
    /// Mean cross-entropy of the batch before the step, nats per token; of stacked replicates one
    /// for each.
    pub loss: Tensor,
    /// Of the gradient, before it is clipped.
    pub gradient_norm: Tensor,
}

/// The kind that activations are computed in, and that of the master weights.
pub fn kinds(precision: Precision) -> (Kind, Kind) {
    match precision {
        Precision::Float32 => (Kind::Float, Kind::Float),
        Precision::Bfloat16 => (Kind::BFloat16, Kind::Float),
        Precision::Float64 => (Kind::Double, Kind::Double),
    }
}

/// How the gradients of a trial are computed here, so many replicates as one model: by hand where
/// that is possible.
pub fn backward(trial: &Trial, device: Device, together: usize) -> Backward {
    let kind = kinds(trial.settings.training.precision).0;
    match together == 1 && by_hand::serves(trial.plan.target(), device.tch(), kind) {
        true => Backward::ByHand,
        false => Backward::Autograd,
    }
}

impl Stepper {
    /// For states on `device`; batches are computed in so many equal parts, one after another, for
    /// memory.
    pub fn new(precision: Precision, device: Device, parts: usize) -> Self {
        Self { compute: kinds(precision).0, device, parts, by_hand: None }
    }

    /// Gives back the memory that is kept from step to step.
    pub fn rest(&mut self) {
        self.by_hand = None;
    }

    /// The kind that activations are computed in.
    pub fn compute(&self) -> Kind {
        self.compute
    }

    /// One step of `trial` on sequences of `seq_len + 1` tokens, or of its replicates on as many
    /// for each, one replicate's after another's; `after` is told when a part of it has been asked
    /// for (of the device, which may not have done it yet).
    pub fn step<'t>(
        &mut self,
        state: &mut TrainingState,
        trial: &Trial,
        sequences: impl Iterator<Item = Tokens<'t>>,
        learning_rate: f64,
        after: &mut dyn FnMut(Phase),
    ) -> Stepped {
        let sequences: Vec<Tokens> = sequences.collect();
        let batch = sequences.len() / state.replicates().unwrap_or(1) as usize;
        let size = batch.div_ceil(self.parts);
        let mut parts = (0..batch).step_by(size).map(|at| {
            sequences
                .chunks(batch)
                .flat_map(|of_one| of_one[at..].iter().take(size).copied())
                .collect::<Vec<_>>()
        });
        let (mut loss, mut gradient) =
            self.gradient(state, &parts.next().expect("a batch of sequences"), after);
        if self.parts > 1 {
            // By hand, the next part is computed where this one's gradient lies.
            gradient = gradient.copy();
            for part in parts {
                let (its_loss, its_gradient) = self.gradient(state, &part, after);
                (loss, gradient) = (loss + its_loss, gradient + its_gradient);
            }
            (loss, gradient) = (loss / self.parts as f64, gradient / self.parts as f64);
        }
        let gradient_norm = optimizer::step(state, &gradient, trial, learning_rate);
        after(Phase::Optimizer);
        Stepped { loss, gradient_norm }
    }

    /// Loss and flat gradient of some sequences.
    fn gradient(
        &mut self,
        state: &TrainingState,
        sequences: &[Tokens],
        after: &mut dyn FnMut(Phase),
    ) -> (Tensor, Tensor) {
        let seq_len = state.architecture().seq_len;
        if self.by_hand.as_ref().is_none_or(|passes| !passes.is_for(state.architecture())) {
            self.by_hand = ByHand::new(state, sequences.len(), self.compute);
        }
        match &mut self.by_hand {
            Some(passes) => {
                let ids = |of: fn(Tokens) -> Tokens| {
                    let mut ids = vec![];
                    sequences.iter().for_each(|sequence| of(*sequence).append_to(&mut ids));
                    ids
                };
                let (tokens, targets) = (
                    ids(|sequence| sequence.range(0..sequence.len() - 1)),
                    ids(|sequence| sequence.range(1..sequence.len())),
                );
                after(Phase::Data);
                let (loss, gradient) =
                    passes.run(state, &tokens, &targets, &mut || after(Phase::Forward));
                after(Phase::Backward);
                (Tensor::from(loss), gradient)
            }
            None => {
                let (inputs, targets) = batch_of(sequences.iter().copied(), seq_len, self.device);
                let each = |ids: Tensor| match state.replicates() {
                    Some(r) => ids.unflatten(0, [r, -1]),
                    None => ids,
                };
                let (inputs, targets) = (each(inputs), each(targets));
                after(Phase::Data);
                let model = Model::new(state.architecture(), state.weights(self.compute));
                let loss = cross_entropy(&model.logits(&inputs), &targets);
                after(Phase::Forward);
                // Replicates have nothing in common: the sum's gradient is each one's own.
                let gradient =
                    Tensor::run_backward(&[loss.sum(loss.kind())], &[&state.weights], false, false)
                        .remove(0);
                after(Phase::Backward);
                (loss.detach(), gradient)
            }
        }
    }
}

/// Inputs and targets b × t of sequences of t + 1 tokens.
pub(crate) fn batch_of<'t>(
    sequences: impl Iterator<Item = Tokens<'t>>,
    seq_len: usize,
    device: Device,
) -> (Tensor, Tensor) {
    let mut tokens: Vec<i64> = vec![];
    sequences.for_each(|sequence| sequence.append_to(&mut tokens));
    let tokens = Tensor::from_slice(&tokens).view([-1, seq_len as i64 + 1]).to_device(device.tch());
    (tokens.narrow(1, 0, seq_len as i64), tokens.narrow(1, 1, seq_len as i64))
}
