//! What is refused as a model, whatever file it comes from.

use thiserror::Error;

use super::{
    architecture::{Architecture, HeadShape, MAX_COUNT, MAX_HEADS, MAX_PARAMETERS, MAX_SIZE},
    form::Form,
    param::n_parameters,
    rotary::{FrequencyScaling, Rotary},
};

/// No number of a form is larger: it must be one in float32, too.
const LARGEST: f64 = 1e30;

/// Why an architecture is not one.
#[derive(Debug, Error, PartialEq)]
#[allow(missing_docs)]
pub enum ArchitectureError {
    /// A size is zero or beyond the bound.
    #[error("{what} is {value}; it must be from 1 to {max}")]
    Size {
        /// Which size, with its place.
        what: String,
        value: usize,
        /// The largest that is allowed.
        max: usize,
    },
    /// ε is negative, too large or not a number.
    #[error("{0} is {1:?}; it must be a number from 0 to 1e30")]
    Epsilon(&'static str, f64),
    /// The form and the sizes do not go together.
    #[error("{0}")]
    Form(String),
    /// More parameters than any machine holds.
    #[error("the architecture has more than {MAX_PARAMETERS} parameters")]
    TooLarge,
}

impl Architecture {
    /// Checks every size against the bounds.
    ///
    /// # Errors
    /// The first size that is zero or too large, with its place.
    pub fn validate(&self) -> Result<(), ArchitectureError> {
        size(|| "vocab_size".into(), self.vocab_size, MAX_SIZE)?;
        size(|| "n_outputs".into(), self.n_outputs, MAX_SIZE)?;
        size(|| "seq_len".into(), self.seq_len, MAX_SIZE)?;
        size(|| "d_model".into(), self.d_model, MAX_SIZE)?;
        size(|| "the number of layers".into(), self.layers.len(), MAX_COUNT)?;
        for (index, layer) in self.layers.iter().enumerate() {
            size(|| format!("d_ff of layer {index}"), layer.d_ff, MAX_SIZE)?;
            size(|| format!("the number of heads of layer {index}"), layer.heads.len(), MAX_COUNT)?;
            for (e, head) in layer.heads.iter().enumerate() {
                size(
                    || format!("the number of queries of head {e} of layer {index}"),
                    head.n_queries,
                    MAX_COUNT,
                )?;
                size(|| format!("d_k of head {e} of layer {index}"), head.d_k, MAX_SIZE)?;
                size(|| format!("d_v of head {e} of layer {index}"), head.d_v, MAX_SIZE)?;
            }
        }
        self.validate_owners()?;
        size(|| "the number of heads of all layers".into(), self.n_heads(), MAX_HEADS)?;
        self.form.validate(self)?;
        if n_parameters(self) > MAX_PARAMETERS {
            return Err(ArchitectureError::TooLarge);
        }
        Ok(())
    }

    /// Checks that a layer which uses another's weights can.
    fn validate_owners(&self) -> Result<(), ArchitectureError> {
        for (index, layer) in self.layers.iter().enumerate() {
            let Some(of) = layer.of else { continue };
            let owner = self.layers[..index].get(of).filter(|owner| owner.of.is_none());
            let why = match owner {
                Some(owner) if *owner == layer.untied() => continue,
                Some(_) => "the two must have the same sizes",
                None => "it must be a layer before it with weights of its own",
            };
            let said = format!("layer {index} uses the weights of layer {of}: {why}");
            return Err(ArchitectureError::Form(said));
        }
        Ok(())
    }
}

impl Form {
    /// Refuses what is no form, or none of these sizes.
    pub(crate) fn validate(&self, architecture: &Architecture) -> Result<(), ArchitectureError> {
        let refuse = |why: String| Err(ArchitectureError::Form(why));
        if !(0.0..=LARGEST).contains(&self.eps_sum) {
            return Err(ArchitectureError::Epsilon("eps_sum", self.eps_sum));
        }
        if let Some(eps) = self.qk_norm_eps {
            if !(0.0..=LARGEST).contains(&eps) {
                return Err(ArchitectureError::Epsilon("qk_norm_eps", eps));
            }
            for (number, layer) in architecture.layers.iter().enumerate() {
                if layer.heads.iter().any(|head| head.d_k != layer.heads[0].d_k) {
                    return refuse(format!(
                        "with qk_norm_eps all heads of a layer share one gain, so they must have \
                         the same d_k; those of layer {number} differ"
                    ));
                }
            }
        }
        if self.tied && architecture.n_outputs != architecture.vocab_size {
            let (outputs, vocab) = (architecture.n_outputs, architecture.vocab_size);
            return refuse(format!(
                "tied embeddings need as many outputs as tokens, but they are {outputs} and {vocab}"
            ));
        }
        self.rotary().map_or(Ok(()), |rotary| rotary.validate(architecture))
    }
}

impl Rotary {
    fn validate(&self, architecture: &Architecture) -> Result<(), ArchitectureError> {
        let refuse = |why: String| Err(ArchitectureError::Form(why));
        if !(1.0..=LARGEST).contains(&self.theta) {
            return refuse(format!(
                "theta of the rotary positions is {:?}; it must be from 1 to {LARGEST:e}",
                self.theta
            ));
        }
        if !(1..=MAX_SIZE).contains(&self.width) {
            return refuse(format!(
                "width of the rotary positions is {}; usual is the d_k",
                self.width
            ));
        }
        let positive = |value: f64| (1.0 / LARGEST..=LARGEST).contains(&value);
        let scaling = match self.scaling {
            None => true,
            Some(FrequencyScaling::Linear { factor }) => positive(factor),
            Some(FrequencyScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_length,
            }) => {
                let positive =
                    [factor, low_freq_factor, high_freq_factor].into_iter().all(positive);
                positive && low_freq_factor < high_freq_factor && original_length > 0
            }
        };
        if !scaling {
            return refuse(format!(
                "the scaling of the rotary positions needs factors from {:e} to {LARGEST:e}, the \
                 low one below the high one",
                1.0 / LARGEST
            ));
        }
        for (number, layer) in architecture.layers.iter().enumerate() {
            for head in &layer.heads {
                let turned = self.turned(head.d_k);
                if turned % 2 == 1 || turned > head.d_k {
                    return refuse(format!(
                        "rotary positions turn pairs of channels, so they can't turn {turned} of \
                         d_k {} in layer {number}: it must be an even number, at most d_k",
                        head.d_k
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Checks the head count and one head's sizes of a layer that is about to get them.
pub(crate) fn check_heads(
    layer: usize,
    n_heads: usize,
    head: HeadShape,
) -> Result<(), ArchitectureError> {
    size(|| format!("the number of heads of layer {layer}"), n_heads, MAX_COUNT)?;
    size(
        || format!("the number of queries of the new heads of layer {layer}"),
        head.n_queries,
        MAX_COUNT,
    )?;
    size(|| format!("d_k of the new heads of layer {layer}"), head.d_k, MAX_SIZE)?;
    size(|| format!("d_v of the new heads of layer {layer}"), head.d_v, MAX_SIZE)
}

fn size(what: impl FnOnce() -> String, value: usize, max: usize) -> Result<(), ArchitectureError> {
    match value {
        v if (1..=max).contains(&v) => Ok(()),
        value => Err(ArchitectureError::Size { what: what(), value, max }),
    }
}
