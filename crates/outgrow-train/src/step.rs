//! One training step: data, forward pass, backward pass, optimizer.

use outgrow_core::{Trial, sweep::Precision};
use tch::{Kind, Tensor};

use crate::{
    by_hand::ByHand,
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
    by_hand: Option<ByHand>,
}

/// What a step leaves on the device.
pub struct Stepped {
    /// Mean cross-entropy of the batch before the step, nats per token.
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

impl Stepper {
    /// For states on `device`.
    pub fn new(precision: Precision, device: Device) -> Self {
        Self { compute: kinds(precision).0, device, by_hand: None }
    }

    /// The kind that activations are computed in.
    pub fn compute(&self) -> Kind {
        self.compute
    }

    /// One step of `trial` on sequences of `seq_len + 1` tokens; `after` is told when a part of it has been asked for (of the
    /// device, which may not have done it yet).
    pub fn step<'t>(
        &mut self,
        state: &mut TrainingState,
        trial: &Trial,
        sequences: impl Iterator<Item = &'t [u8]>,
        learning_rate: f64,
        after: &mut dyn FnMut(Phase),
    ) -> Stepped {
        let (batch, seq_len) = (trial.settings.training.batch_size, state.architecture().seq_len);
        if self.by_hand.as_ref().is_none_or(|passes| !passes.is_for(state.architecture())) {
            self.by_hand = ByHand::new(state, batch, self.compute);
        }
        let (loss, gradient) = match &mut self.by_hand {
            Some(passes) => {
                let (mut tokens, mut targets) = (vec![], vec![]);
                for sequence in sequences {
                    tokens.extend(sequence[..seq_len].iter().map(|&byte| i64::from(byte)));
                    targets.extend(sequence[1..].iter().map(|&byte| i64::from(byte)));
                }
                after(Phase::Data);
                let (loss, gradient) = passes.run(state, &tokens, &targets, &mut || after(Phase::Forward));
                (Tensor::from(loss), gradient)
            }
            None => {
                let (inputs, targets) = batch_of(sequences, seq_len, self.device);
                after(Phase::Data);
                let model = Model::new(state.architecture(), state.weights(self.compute));
                let loss = cross_entropy(&model.logits(&inputs), &targets);
                after(Phase::Forward);
                let gradient = Tensor::run_backward(&[&loss], &[&state.weights], false, false).remove(0);
                (loss.detach(), gradient)
            }
        };
        after(Phase::Backward);
        let gradient_norm = optimizer::step(state, &gradient, trial, learning_rate);
        after(Phase::Optimizer);
        Stepped { loss, gradient_norm }
    }
}

/// Inputs and targets b × t of sequences of t + 1 tokens.
pub(crate) fn batch_of<'t>(
    sequences: impl Iterator<Item = &'t [u8]>,
    seq_len: usize,
    device: Device,
) -> (Tensor, Tensor) {
    let tokens: Vec<i64> = sequences.flatten().map(|&byte| i64::from(byte)).collect();
    let tokens = Tensor::from_slice(&tokens).view([-1, seq_len as i64 + 1]).to_device(device.tch());
    (tokens.narrow(1, 0, seq_len as i64), tokens.narrow(1, 1, seq_len as i64))
}
