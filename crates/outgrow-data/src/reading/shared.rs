//! What raw and tokenized reading have in common.

use std::{collections::HashSet, fs::File};

use outgrow_core::sweep::DataSpec;

use crate::{
    documents::Part,
    error::{CorpusError, read_error},
    files::Source,
    listener::Listener,
};

/// Finds training documents that are validation documents: those come first.
#[derive(Default)]
pub(super) struct Both(HashSet<u64>);

impl Both {
    /// A document was seen; 1 if it is in both.
    pub fn saw(&mut self, part: Part, hash: u64) -> u64 {
        match part {
            Part::Validation => {
                self.0.insert(hash);
                0
            }
            Part::Train => u64::from(self.0.contains(&hash)),
        }
    }
}

/// What a file has, without the mark of UTF-8, as it lies on the disk.
pub(super) fn hash_of(
    source: &Source,
    listener: &dyn Listener,
) -> Result<blake3::Hash, CorpusError> {
    let failed = read_error(&source.path);
    let mut hasher = blake3::Hasher::new();
    if source.bytes >= MAPPED {
        hasher.update_mmap_rayon(&source.path).map_err(failed)?;
    } else {
        let file = File::open(&source.path).map_err(&failed)?;
        hasher.update_reader(file).map_err(failed)?;
    }
    listener.read(source.bytes);
    Ok(hasher.finalize())
}

/// From so many bytes on a file is hashed on all cores.
const MAPPED: u64 = 1 << 20;

/// The name of the text in JSON and Parquet.
pub(super) fn field(spec: &DataSpec) -> &str {
    spec.field.as_deref().unwrap_or("text")
}
