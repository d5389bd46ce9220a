//! Text as tokens: corpora and documents in the formats that people have, tokenizers, and files of
//! tokens that all workers map.
//!
//! It knows files and bytes, and nothing of models, tensors, databases or processes.
//! [`Corpus::open`] writes tokens once, [`Corpus::prepared`] finds them again, [`survey`] says what
//! they would be; what a training sequence is depends on a seed and its number alone.

mod built_in;
mod corpus;
mod documents;
mod error;
pub mod fetch;
mod files;
mod formats;
mod guard;
mod listener;
mod order;
mod plain;
mod prepared;
pub mod publish;
mod reading;
mod regular;
mod summary;
mod survey;
mod tokenizer;
mod tokens;

pub use self::{
    built_in::BUILT_IN,
    corpus::Corpus,
    error::CorpusError,
    files::{Files, LeftOut},
    formats::Skipped,
    guard::guarded,
    listener::Listener,
    order::Order,
    plain::plain_text,
    regular::read_regular,
    summary::{Counts, Summary},
    survey::{Survey, each_text, survey},
    tokenizer::{
        Counted, LARGEST_TOKENIZER, MAX_VOCAB_SIZE, Tokenizer, check_vocab_size, train_bpe,
    },
    tokens::Tokens,
};
