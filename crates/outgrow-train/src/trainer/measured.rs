//! The paths through a model in training, measured.

use outgrow_core::plan::paths;
use outgrow_data::Corpus;
use tch::no_grad;

use super::growing::PROBE_SEQUENCES;
use crate::{
    checkpoint::Paths, device::Device, model::Model, state::TrainingState, step::batch_of,
};

impl Paths {
    /// Of a model that is about to grow for the first time.
    pub(super) fn before(state: &TrainingState, corpus: &Corpus, device: Device) -> Self {
        Self { ln_before: ln_variance(state, corpus, device), factor: 1.0 }
    }

    /// The same, of the model as it is now.
    pub(super) fn measured(self, state: &TrainingState, corpus: &Corpus, device: Device) -> Self {
        Self { factor: (0.5 * (self.ln_before - ln_variance(state, corpus, device))).exp(), ..self }
    }
}

/// On the probe's validation text.
fn ln_variance(state: &TrainingState, corpus: &Corpus, device: Device) -> f64 {
    let architecture = state.architecture();
    let seq_len = architecture.seq_len;
    let windows = corpus.validation((PROBE_SEQUENCES * seq_len) as u64, seq_len);
    let (inputs, _) = batch_of(windows.iter().copied(), seq_len, device);
    let model = Model::new(architecture, state.weights(state.master()));
    paths::ln_variance(architecture, &no_grad(|| model.sublayers(&inputs)))
}
