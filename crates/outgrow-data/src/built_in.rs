//! The built-in corpus.

/// The built-in corpus: Rust sources of pinned dependencies, found and digest-checked when this
/// crate was built.
pub const BUILT_IN: &str = "rust-crates";
/// Its training text.
pub(crate) static TRAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/corpus.train"));
/// Its validation text.
pub(crate) static VALIDATION: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/corpus.validation"));
/// BLAKE3 of both.
pub(crate) const DIGEST: &str = include_str!("../corpus.digest");
