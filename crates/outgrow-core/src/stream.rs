//! Named streams of randomness.
//!
//! Every draw of an experiment comes from a stream named by a seed and a path (`init/layers.0.w_q`,
//! `data`, `growth/2/5`, `sampling/random/0`), made here and handed over as data: so neither
//! threads, nor the order of work, nor the number of workers can change a result, and a change of
//! one part does not shift the numbers of another.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator behind every stream.
pub type Stream = ChaCha8Rng;

/// The stream called `path` of `seed`.
pub fn stream(seed: u64, path: &str) -> Stream {
    ChaCha8Rng::from_seed(key(seed, path))
}

/// A seed derived from another one by name: `derive(seed, "replicate/3")`.
pub fn derive(seed: u64, path: &str) -> u64 {
    let key = key(seed, path);
    // 53 bits: a seed must survive JSON readers, SQL and spreadsheets that keep numbers as doubles.
    u64::from_le_bytes(key[..8].try_into().expect("8 bytes")) >> 11
}

fn key(seed: u64, path: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("outgrow 2026 random stream");
    hasher.update(&seed.to_le_bytes());
    hasher.update(path.as_bytes());
    *hasher.finalize().as_bytes()
}
