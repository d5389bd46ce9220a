//! Reading the text of a sweep: which files, as raw bytes or as tokens, and the digest of it.

mod digest;
mod raw;
mod shared;
mod sources;
mod tokenize;

pub(crate) use self::sources::Reading;
