//! Sizes that people know.

use clap::ValueEnum;
use outgrow_core::{Architecture, Form, LayerShape, Norm};

/// The configurations of nanoGPT, with this program's form: RMSNorm, ReLU, no biases in attention,
/// an unembedding of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// 4 layers, 4 heads, 128 wide, 64 positions, 12 sequences: nanoGPT's for a processor
    NanogptCpu,
    /// 6 layers, 6 heads, 384 wide, 256 positions, 64 sequences: nanoGPT's Shakespeare for a GPU
    NanogptShakespeare,
    /// 12 layers, 12 heads, 768 wide, 1024 positions, 12 sequences: GPT-2 124M
    Gpt2,
}

/// The numbers of a preset.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub n_layers: usize,
    pub n_heads: usize,
    pub d_model: usize,
    pub seq_len: usize,
    pub batch: usize,
    pub vocab: usize,
}

impl Preset {
    /// As it is named on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// Its numbers.
    #[rustfmt::skip]
    pub fn sizes(self) -> Sizes {
        match self {
            Preset::NanogptCpu => Sizes { n_layers: 4, n_heads: 4, d_model: 128, seq_len: 64, batch: 12, vocab: 65 },
            Preset::NanogptShakespeare => Sizes { n_layers: 6, n_heads: 6, d_model: 384, seq_len: 256, batch: 64, vocab: 65 },
            Preset::Gpt2 => Sizes { n_layers: 12, n_heads: 12, d_model: 768, seq_len: 1024, batch: 12, vocab: 50_304 },
        }
    }
}

impl Sizes {
    /// Tokens of a step.
    pub fn tokens(&self) -> usize {
        self.batch * self.seq_len
    }

    /// The model.
    pub fn architecture(&self) -> Architecture {
        let (d, d_head) = (self.d_model, self.d_model / self.n_heads);
        let form = Form::decoder(Norm::RmsNorm, 1e-5 * d as f64);
        let layer = LayerShape::uniform(self.n_heads, d_head, d_head, 4 * d);
        Architecture::uniform(self.vocab, self.seq_len, d, self.n_layers, layer, form)
    }
}
