//! The loss on validation text, of all members at once.

use outgrow_data::Tokens;
use tch::{Kind, no_grad};

use crate::{
    device::Device,
    model::{Model, cross_entropy},
    state::TrainingState,
    step::batch_of,
};

/// Windows of validation text, `batch` of which are computed at a time.
pub(super) struct Validation<'a> {
    pub(super) windows: Vec<Tokens<'a>>,
    pub(super) batch: usize,
    pub(super) device: Device,
}

impl Validation<'_> {
    /// The mean cross-entropy of each replicate, activations computed in a kind, nats per token;
    /// none if `goes_on`, which is asked before each batch, says no.
    pub(super) fn losses(
        &self,
        state: &TrainingState,
        compute: Kind,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<f64>> {
        let model = Model::new(state.architecture(), state.weights(compute));
        let mut sums = vec![0.0; state.replicates().unwrap_or(1) as usize];
        for chunk in self.windows.chunks(self.batch) {
            if !goes_on() {
                return None;
            }
            let (inputs, targets) =
                batch_of(chunk.iter().copied(), state.architecture().seq_len, self.device);
            let targets = state.replicates().map_or(targets.shallow_clone(), |r| {
                targets.unsqueeze(0).expand([r, -1, -1], false)
            });
            let losses =
                no_grad(|| cross_entropy(&model.logits(&inputs), &targets)).to_kind(Kind::Double);
            let losses = Vec::<f64>::try_from(losses.view(-1)).expect("a loss for each member");
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss * chunk.len() as f64);
        }
        Some(sums.into_iter().map(|sum| sum / self.windows.len() as f64).collect())
    }
}
