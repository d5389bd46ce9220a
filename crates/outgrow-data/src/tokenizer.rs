//! Hugging Face's tokenizers: read from a `tokenizer.json`, or trained.

mod encode;
mod ends;
mod train;

pub use self::{
    encode::Tokenizer,
    train::{MAX_VOCAB_SIZE, check_vocab_size, train_bpe},
};
