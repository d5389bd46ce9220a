//! Rotary positions.

use serde::{Deserialize, Serialize};

/// Rotary positions: channels 2i and 2i + 1 of a head are turned at position p by
/// p·θ^(−2i/`width`).
///
/// `width` is a constant of the form, not the `d_k` of today: a head that grows keeps the
/// frequencies that it has, and its new pairs go on with lower ones. Angles, their sines and
/// cosines are computed in float32 whatever the model is computed in, as transformers does: they
/// are part of what an imported model is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotary {
    /// θ, the base of the frequencies.
    pub theta: f64,
    /// What the exponents are fractions of; usually the `d_k` that the model began with.
    pub width: usize,
    /// How many of a head's channels are turned, from its first; all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// What became of the frequencies when the model was taught longer texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<FrequencyScaling>,
}

/// Changes of rotary frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum FrequencyScaling {
    /// All divided by a factor.
    Linear { factor: f64 },
    /// Llama 3's: low frequencies are divided by the factor, high ones stay, those between change
    /// gradually.
    Llama3 {
        factor: f64,
        /// Low are those that turn fewer times than this within the original length.
        low_freq_factor: f64,
        /// High are those that turn more often than this.
        high_freq_factor: f64,
        /// The length that the model was trained with before, in positions.
        original_length: usize,
    },
}

impl Rotary {
    /// How many channels of a head of this `d_k` are turned.
    pub fn turned(&self, d_k: usize) -> usize {
        self.channels.unwrap_or(d_k)
    }

    /// The exponents 2i / `width` of the first `n` pairs.
    pub fn exponents(&self, n: usize) -> Vec<f32> {
        (0..n).map(|i| (2 * i) as f32 / self.width as f32).collect()
    }

    /// A frequency as it is after scaling, in radians per position; computed in float32, step by
    /// step as transformers does.
    pub fn scaled(&self, frequency: f32) -> f32 {
        match self.scaling {
            None => frequency,
            Some(FrequencyScaling::Linear { factor }) => frequency / factor as f32,
            Some(FrequencyScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_length,
            }) => {
                let length = original_length as f64;
                let (longest, shortest) =
                    ((length / low_freq_factor) as f32, (length / high_freq_factor) as f32);
                let wavelength = std::f64::consts::TAU as f32 / frequency;
                if wavelength > longest {
                    return frequency / factor as f32;
                }
                if wavelength < shortest {
                    return frequency;
                }
                let turns = length as f32 / wavelength;
                let smooth =
                    (turns - low_freq_factor as f32) / (high_freq_factor - low_freq_factor) as f32;
                (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
            }
        }
    }

    /// Cosine and sine by which pair `i` of a head is turned at `position`, in float32.
    pub(crate) fn turn(&self, position: usize, i: usize) -> (f64, f64) {
        let frequency =
            self.scaled(1.0 / (self.theta as f32).powf(2.0 * i as f32 / self.width as f32));
        let angle = position as f32 * frequency;
        (angle.cos().into(), angle.sin().into())
    }
}
