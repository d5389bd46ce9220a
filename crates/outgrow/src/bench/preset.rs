//! Sizes that people know.

use std::{fmt, str::FromStr};

use outgrow_core::{
    Architecture, Form, LayerShape, Norm,
    sweep::{OptimizerSpec, Precision, StepSettings},
};

/// The configurations of nanoGPT, with this program's form: RMSNorm, ReLU, no biases in attention,
/// an unembedding of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// nanoGPT's for a processor.
    NanogptCpu,
    /// nanoGPT's Shakespeare for a GPU.
    NanogptShakespeare,
    /// GPT-2 124M.
    Gpt2,
}

/// The numbers of a preset.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct PresetSizes {
    pub n_layers: usize,
    pub n_heads: usize,
    pub d_model: usize,
    pub seq_len: usize,
    /// Sequences of a step.
    pub batch_size: usize,
    pub vocab_size: usize,
}

impl Preset {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::NanogptCpu, Self::NanogptShakespeare, Self::Gpt2];

    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NanogptCpu => "nanogpt-cpu",
            Self::NanogptShakespeare => "nanogpt-shakespeare",
            Self::Gpt2 => "gpt2",
        }
    }

    /// Its sizes, in words.
    pub fn about(self) -> &'static str {
        match self {
            Self::NanogptCpu => {
                "4 layers, 4 heads, 128 wide, 64 positions, 12 sequences: nanoGPT's for a processor"
            }
            Self::NanogptShakespeare => {
                "6 layers, 6 heads, 384 wide, 256 positions, 64 sequences: nanoGPT's Shakespeare \
                 for a GPU"
            }
            Self::Gpt2 => "12 layers, 12 heads, 768 wide, 1024 positions, 12 sequences: GPT-2 124M",
        }
    }

    /// Its numbers.
    pub fn sizes(self) -> PresetSizes {
        let [n_layers, n_heads, d_model, seq_len, batch_size, vocab_size] = match self {
            Self::NanogptCpu => [4, 4, 128, 64, 12, 65],
            Self::NanogptShakespeare => [6, 6, 384, 256, 64, 65],
            Self::Gpt2 => [12, 12, 768, 1024, 12, 50_304],
        };
        PresetSizes { n_layers, n_heads, d_model, seq_len, batch_size, vocab_size }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown preset `{text}`; expected one of {names}")
        })
    }
}

impl PresetSizes {
    /// Tokens of a step.
    pub fn step_tokens(&self) -> u64 {
        (self.batch_size * self.seq_len) as u64
    }

    /// The model.
    pub fn architecture(&self) -> Architecture {
        let (d, d_head) = (self.d_model, self.d_model / self.n_heads);
        let form = Form::decoder(Norm::RmsNorm, 1e-5 * d as f64);
        let layer = LayerShape::uniform(self.n_heads, d_head, d_head, 4 * d);
        Architecture::uniform(self.vocab_size, self.seq_len, d, self.n_layers, layer, form)
    }

    /// Its steps, with nanoGPT's AdamW.
    pub fn step_settings(&self, precision: Precision) -> StepSettings {
        let (beta1, beta2, eps, weight_decay, clip_norm) = (0.9, 0.99, 1e-8, 0.1, 1.0);
        StepSettings {
            optimizer: OptimizerSpec { beta1, beta2, eps, weight_decay, clip_norm },
            step_tokens: self.step_tokens(),
            ..StepSettings::usual(&self.architecture(), precision)
        }
    }
}
