//! Training a byte-level BPE.

use tokenizers::{
    AddedToken,
    decoders::byte_level::ByteLevel as Decoder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::byte_level::ByteLevel,
};

use super::ends;

/// More tokens than any tokenizer of today has.
pub const MAX_VOCAB_SIZE: usize = 1 << 20;

/// Trains a byte-level BPE of `vocab_size` tokens on texts and gives its `tokenizer.json`. It knows
/// every byte, so it encodes any text, and ends documents with `<|endoftext|>`.
///
/// # Errors
/// If the vocabulary is too small for all bytes, or larger than [`MAX_VOCAB_SIZE`], or the trainer
/// fails.
pub fn train_bpe(
    texts: impl Iterator<Item = String> + Send,
    vocab_size: usize,
) -> Result<String, String> {
    check_vocab_size(vocab_size)?;
    let failed = |error: tokenizers::Error| error.to_string();
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level));
    tokenizer.with_decoder(Some(Decoder::default()));
    let mut trainer: tokenizers::models::TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(ends::USUAL[0], true)])
        .build()
        .into();
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}

/// Whether [`train_bpe`] takes a size.
///
/// # Errors
/// If not: what is allowed.
pub fn check_vocab_size(vocab_size: usize) -> Result<(), String> {
    match vocab_size {
        ..257 => Err(format!(
            "a vocabulary of {vocab_size} is too small: all bytes and <|endoftext|> are 257"
        )),
        257..=MAX_VOCAB_SIZE => Ok(()),
        _ => Err(format!("a vocabulary of {vocab_size} is too large: at most {MAX_VOCAB_SIZE}")),
    }
}
