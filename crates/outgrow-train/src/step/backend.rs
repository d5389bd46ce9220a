//! Loss and gradient: fused where that is possible, by autograd elsewhere.

use outgrow_data::Tokens;
use tch::{Kind, Tensor};

use super::batch::batch_of;
use crate::{
    device::Device,
    fused::Fused,
    model::{Model, cross_entropy},
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

/// Computes gradients of states on a device.
pub(super) struct Backend {
    /// The kind that activations are computed in.
    pub(super) compute: Kind,
    device: Device,
    fused: Option<Fused>,
}

impl Backend {
    pub(super) fn new(compute: Kind, device: Device) -> Self {
        Self { compute, device, fused: None }
    }

    /// Gives back the memory that is kept from step to step.
    pub(super) fn release_buffers(&mut self) {
        self.fused = None;
    }

    /// Loss and flat gradient of some sequences; fused, the gradient lies where the next one will.
    pub(super) fn gradient(
        &mut self,
        state: &TrainingState,
        sequences: &[Tokens],
        after: &mut dyn FnMut(Phase),
    ) -> (Tensor, Tensor) {
        if self.fused.as_ref().is_none_or(|passes| !passes.is_for(state.architecture())) {
            self.fused = Fused::new(state, sequences.len(), self.compute);
        }
        match &mut self.fused {
            Some(passes) => by_passes(passes, state, sequences, after),
            None => self.by_autograd(state, sequences, after),
        }
    }

    fn by_autograd(
        &self,
        state: &TrainingState,
        sequences: &[Tokens],
        after: &mut dyn FnMut(Phase),
    ) -> (Tensor, Tensor) {
        let seq_len = state.architecture().seq_len;
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

fn by_passes(
    passes: &mut Fused,
    state: &TrainingState,
    sequences: &[Tokens],
    after: &mut dyn FnMut(Phase),
) -> (Tensor, Tensor) {
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
    let (loss, gradient) = passes.run(state, &tokens, &targets, &mut || after(Phase::Forward));
    after(Phase::Backward);
    (Tensor::from(loss), gradient)
}
