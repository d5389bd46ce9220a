//! Text from a model, token by token.

use outgrow_core::stream::{Stream, stream};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    checkpoint::Checkpoint,
    device::Device,
    finite::{NotFinite, check_finite},
    model::Model,
};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; at 0 the most likely token is taken, the first of equals.
    pub temperature: f64,
    /// Only so many of the most likely tokens are drawn from.
    pub top_k: Option<usize>,
    /// Of all draws.
    pub seed: u64,
}

/// Why nothing can be drawn from a model.
#[derive(Debug, Error, PartialEq)]
pub enum SampleError {
    /// It sees what comes after a token.
    #[error(
        "this model reads in both directions (causal = false), so it predicts no next token; only a causal model continues a text"
    )]
    NotCausal,
    /// There is nothing to go on from.
    #[error("the prompt is empty; give at least one token")]
    Empty,
    /// A token id that the model does not know.
    #[error(
        "the prompt has token id {0}; this model knows and predicts 0 to {1}: is it the model's tokenizer?"
    )]
    Unknown(i64, usize),
    /// The temperature is no number that makes sense.
    #[error("the temperature is {0}; it must be 0 or a positive number")]
    Temperature(f64),
    /// A weight is NaN or infinite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
}

/// Draws tokens that follow a prompt and gives each to `each`, until that says no. Of a context
/// that is longer than the model reads, it reads the end. On one device, the same seed draws the
/// same tokens.
///
/// # Errors
/// If the model or the prompt is refused.
pub fn sample(
    checkpoint: &Checkpoint,
    prompt: &[i64],
    sampling: Sampling,
    device: Device,
    each: &mut dyn FnMut(i64) -> bool,
) -> Result<(), SampleError> {
    let architecture = checkpoint.state.architecture();
    let known = architecture.vocab_size.min(architecture.n_outputs);
    let unknown = prompt.iter().find(|id| !(0..known as i64).contains(id));
    match unknown {
        _ if !architecture.form.causal => return Err(SampleError::NotCausal),
        Some(&id) => return Err(SampleError::Unknown(id, known - 1)),
        None if prompt.is_empty() => return Err(SampleError::Empty),
        None if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite()) => {
            return Err(SampleError::Temperature(sampling.temperature));
        }
        None => {}
    }
    check_finite(&checkpoint.state)?;
    let model = Model::new(architecture, checkpoint.state.weights(checkpoint.state.master()));
    let (mut draws, mut context) = (stream(sampling.seed, "sample"), prompt.to_vec());
    loop {
        context.drain(..context.len().saturating_sub(architecture.seq_len));
        let tokens = Tensor::from_slice(&context).unsqueeze(0).to_device(device.tch());
        let logits = no_grad(|| model.logits(&tokens).select(1, -1).flatten(0, -1));
        let logits = logits.to_kind(Kind::Double).to_device(tch::Device::Cpu).contiguous();
        let logits: Vec<f64> = Vec::try_from(logits).expect("logits are float64 values");
        let next = choose(&logits[..known], sampling, &mut draws) as i64;
        if !each(next) {
            return Ok(());
        }
        context.push(next);
    }
}

/// The place of the logit that is chosen.
fn choose(logits: &[f64], sampling: Sampling, draws: &mut Stream) -> usize {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // Stable: of equal ones the first comes first.
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    if sampling.temperature == 0.0 {
        return order[0];
    }
    order.truncate(sampling.top_k.unwrap_or(usize::MAX).max(1));
    let largest = logits[order[0]];
    let weight = |place: usize| ((logits[place] - largest) / sampling.temperature).exp();
    let total: f64 = order.iter().map(|&place| weight(place)).sum();
    let mut left = draws.random::<f64>() * total;
    let chosen = order.iter().find(|&&place| {
        left -= weight(place);
        left < 0.0
    });
    // Rounding may leave a little.
    *chosen.unwrap_or(&order[order.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f64; 4] = [0.0, 2.0, 2.0, -1.0];

    fn counts(temperature: f64, top_k: Option<usize>) -> [usize; 4] {
        let mut draws = stream(1, "sample");
        let mut counts = [0; 4];
        for _ in 0..10_000 {
            counts[choose(&LOGITS, Sampling { temperature, top_k, seed: 1 }, &mut draws)] += 1;
        }
        counts
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        assert_eq!(counts(0.0, None), [0, 10_000, 0, 0]);
        assert_eq!(counts(1.0, Some(1)), [0, 10_000, 0, 0]);
        let [a, b, c, d] = counts(1.0, None);
        let total: f64 = LOGITS.iter().map(|logit| logit.exp()).sum();
        for (count, logit) in [a, b, c, d].into_iter().zip(LOGITS) {
            let expected = logit.exp() / total;
            assert!((count as f64 / 1e4 - expected).abs() < 0.02, "{count} of {expected}");
        }
        let [a, _, _, d] = counts(1.0, Some(2));
        assert_eq!((a, d), (0, 0));
        let [a, _, _, d] = counts(0.1, None);
        assert_eq!((a, d), (0, 0), "cold");
    }
}
