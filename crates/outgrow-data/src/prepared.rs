//! Text written as tokens, once for all workers.
//!
//! Two files of token ids, `<digest>.train` and `<digest>.validation`, little-endian, one document
//! after the other, each with its end behind it; and `<digest>.json`, written last, which says how
//! wide an id is and what the files' digests are. Raw text, which is bytes as they are, has no
//! third file: its name is its digest.

mod head;
mod write;

pub(crate) use self::{
    head::{Head, head_of, part_path},
    write::write,
};
