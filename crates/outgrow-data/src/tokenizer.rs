//! Hugging Face's tokenizers: read from a `tokenizer.json`, or trained.

mod counted;
mod encode;
mod ends;
mod others;
mod train;

pub use self::{
    counted::Counted,
    encode::{LARGEST_TOKENIZER, Tokenizer},
    train::{MAX_VOCAB_SIZE, check_vocab_size, train_bpe},
};
