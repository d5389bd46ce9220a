//! Text as tokens: corpora and documents in the formats that people have, tokenizers, and files of tokens that all workers map.
//!
//! It knows files and bytes, and nothing of models, tensors, databases or processes. [`Corpus::open`] lays tokens down once,
//! [`Corpus::prepared`] finds them again; what a training sequence is depends on a seed and its number alone.

mod corpus;
mod documents;
pub mod fetch;
mod prepare;
mod tokenizer;
mod tokens;

pub use corpus::{BUILT_IN, Corpus, CorpusError, Order};
pub use documents::{each_text, sources};
pub use tokenizer::{Tokenizer, train_bpe};
pub use tokens::Tokens;
