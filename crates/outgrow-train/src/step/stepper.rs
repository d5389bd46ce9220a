//! One training step: data, forward pass, backward pass, optimizer.

use outgrow_core::{Architecture, sweep::StepSettings};
use outgrow_data::Tokens;
use tch::{Kind, Tensor};

use super::{
    backend::{Backend, Phase},
    settings::kinds,
};
use crate::{device::Device, optimizer, state::TrainingState};

/// Steps a training state.
pub struct Stepper {
    settings: StepSettings,
    backend: Backend,
    micro_batches: usize,
}

/// What a step leaves on the device.
pub struct Stepped {
    /// Mean cross-entropy of the batch before the step, nats per token; of stacked replicates one
    /// for each.
    pub loss: Tensor,
    /// Of the gradient, before it is clipped.
    pub gradient_norm: Tensor,
}

impl Stepper {
    /// For states on `device`; batches are computed in so many equal micro-batches, one after
    /// another, for memory.
    pub fn new(settings: StepSettings, device: Device, micro_batches: usize) -> Self {
        let backend = Backend::new(kinds(settings.precision).0, device);
        Self { settings, backend, micro_batches }
    }

    /// From now on all rates are multiplied by what a rule has measured.
    pub fn set_measured(&mut self, factor: f64) {
        self.settings.measured = factor;
    }

    /// Factor on the learning rates of all parameters of a model.
    pub fn factor_of_all(&self, now: &Architecture) -> f64 {
        self.settings.factor_of_all(now)
    }

    /// Gives back the memory that is kept from step to step.
    pub fn release_buffers(&mut self) {
        self.backend.release_buffers();
    }

    /// The kind that activations are computed in.
    pub fn compute(&self) -> Kind {
        self.backend.compute
    }

    /// One step on sequences of `seq_len + 1` tokens, or of stacked replicates on as many for
    /// each, one replicate's after another's; `after` is told when a part of it has been asked
    /// for (of the device, which may not have done it yet).
    pub fn step<'t>(
        &mut self,
        state: &mut TrainingState,
        sequences: impl Iterator<Item = Tokens<'t>>,
        learning_rate: f64,
        after: &mut dyn FnMut(Phase),
    ) -> Stepped {
        let sequences: Vec<Tokens> = sequences.collect();
        let batch = sequences.len() / state.replicates().unwrap_or(1) as usize;
        let size = batch.div_ceil(self.micro_batches);
        let mut micro_batches = (0..batch).step_by(size).map(|at| {
            sequences
                .chunks(batch)
                .flat_map(|of_one| of_one[at..].iter().take(size).copied())
                .collect::<Vec<_>>()
        });
        let (mut loss, mut gradient) = self.backend.gradient(
            state,
            &micro_batches.next().expect("a batch of sequences"),
            after,
        );
        if self.micro_batches > 1 {
            // Fused, the next one is computed where this one's gradient lies.
            gradient = gradient.copy();
            for micro_batch in micro_batches {
                let (its_loss, its_gradient) = self.backend.gradient(state, &micro_batch, after);
                (loss, gradient) = (loss + its_loss, gradient + its_gradient);
            }
            (loss, gradient) =
                (loss / self.micro_batches as f64, gradient / self.micro_batches as f64);
        }
        let gradient_norm = optimizer::step(state, &gradient, &self.settings, learning_rate);
        after(Phase::Optimizer);
        Stepped { loss, gradient_norm }
    }
}
