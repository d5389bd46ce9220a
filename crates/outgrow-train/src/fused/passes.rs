//! Forward and backward, one after the other.

use outgrow_core::{Architecture, Norm};
use tch::{Device, Kind, Tensor, no_grad};

use super::{
    buffers::Buffers,
    kernels,
    simd::{Bf16, Element},
    tensors::Params,
};
use crate::state::TrainingState;

/// Forward and backward passes of one architecture, for batches of one size.
pub(crate) struct Fused(Box<dyn Pass>);

/// Whether models of this form are trained by the fused passes there.
pub(crate) fn serves(architecture: &Architecture, device: Device, compute: Kind) -> bool {
    let kind = matches!(compute, Kind::Float | Kind::BFloat16);
    let single =
        architecture.layers.iter().flat_map(|layer| &layer.heads).all(|head| head.n_queries == 1);
    // They write the gradient of each layer where it stands, and add none up.
    kind && device == Device::Cpu
        && !architecture.shares()
        && architecture.form.norm == Norm::RmsNorm
        && architecture.form.is_plain()
        && single
}

trait Pass {
    fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor);
    fn is_for(&self, architecture: &Architecture) -> bool;
}

impl Fused {
    /// The passes, if they serve: of one replicate.
    pub fn new(state: &TrainingState, batch: usize, compute: Kind) -> Option<Self> {
        let architecture = state.architecture();
        if state.replicates().is_some() || !serves(architecture, state.weights.device(), compute) {
            return None;
        }
        Some(Self(match compute {
            Kind::BFloat16 => Box::new(Buffers::<Bf16>::new(architecture, batch)),
            _ => Box::new(Buffers::<f32>::new(architecture, batch)),
        }))
    }

    /// Whether they are those of this architecture.
    pub fn is_for(&self, architecture: &Architecture) -> bool {
        self.0.is_for(architecture)
    }

    /// The mean cross-entropy of a batch in nats, and the flat gradient of the master weights;
    /// token ids are b × t. Between the two passes it tells so.
    pub fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor) {
        no_grad(|| self.0.run(state, tokens, targets, half_way))
    }
}

impl<E: Element> Pass for Buffers<E> {
    fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor) {
        assert_eq!(
            tokens.len(),
            self.b * self.architecture.seq_len,
            "a batch of the size that was announced"
        );
        let weights = Params(state.weights(E::KIND));
        self.forward(&weights, tokens);
        let loss =
            kernels::cross_entropy(self.logits.get_mut(), targets, self.architecture.n_outputs);
        half_way();
        self.backward(&weights, tokens);
        // Shared where nothing has to be converted: the next run overwrites it.
        let gradient = self.gradient.0.to_kind(state.master());
        (loss, state.mask.as_ref().map_or(gradient.shallow_clone(), |mask| gradient * mask))
    }

    fn is_for(&self, architecture: &Architecture) -> bool {
        self.architecture == *architecture
    }
}

#[cfg(test)]
mod tests;
