//! Models as Hugging Face's transformers keeps them: a folder of `config.json`, safetensors (in one
//! file or in shards), a tokenizer and whatever else lies beside them.
//!
//! A family ([`Family`], a file each) says which architecture a `config.json` means and where its
//! tensors lie; the rest is the same for all. Reading trusts nothing: sizes are bounded, names of
//! shards must be plain file names, shapes are compared before anything is computed. Weights are
//! mapped, not read, so that growing takes little more memory than what is written.

mod beside;
mod config;
mod error;
mod facts;
mod family;
mod fields;
mod format;
mod gpt2;
mod gpt_neox;
mod layout;
mod llama;
mod longrope;
mod qwen3;
mod read;
mod rope;
mod tensors;
mod texts;
mod uniform;
mod write;

pub use self::{
    beside::{LeftOut, is_hub},
    error::HubError,
    family::Family,
    read::{HubModel, notes, read_architecture},
    texts::{HubTokenizer, byte_tokenizer},
    write::{Written, export},
};
pub(crate) use self::{
    error::format_error,
    write::{Aside, FolderSource},
};
pub use crate::dtype::Dtype;
