//! Hugging Face's tokenizers: read from a `tokenizer.json`, or trained.

mod encode;
mod ends;
mod others;
mod train;

pub use self::{
    encode::{LARGEST_TOKENIZER, Tokenizer},
    train::{MAX_VOCAB_SIZE, check_vocab_size, train_bpe},
};
