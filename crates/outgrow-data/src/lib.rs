//! Text as tokens: corpora and documents in the formats that people have, tokenizers, and files of
//! tokens that all workers map.
//!
//! It knows files and bytes, and nothing of models, tensors, databases or processes.
//! [`Corpus::open`] writes tokens once, [`Corpus::prepared`] finds them again, [`survey`] says what
//! they would be; what a training sequence is depends on a seed and its number alone.

mod columns;
mod corpus;
mod documents;
mod ends;
mod error;
pub mod fetch;
mod files;
mod guard;
mod json;
mod kind;
mod listener;
mod prepare;
pub mod publish;
mod reading;
mod summary;
mod text;
mod tokenizer;
mod tokens;
mod unpack;

pub use corpus::{BUILT_IN, Corpus, Order};
pub use documents::Skipped;
pub use error::CorpusError;
pub use files::{Files, LeftOut};
pub use listener::Listener;
pub use reading::{Survey, each_text, survey};
pub use summary::{Counts, Summary};
pub use tokenizer::{MAX_VOCAB_SIZE, Tokenizer, check_vocab_size, train_bpe};
pub use tokens::Tokens;
