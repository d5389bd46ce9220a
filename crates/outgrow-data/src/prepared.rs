//! Text written as tokens, once for all workers.
//!
//! Two files of token ids, `<digest>.train` and `<digest>.validation`, little-endian, one document
//! after the other, each with its end behind it; `<digest>.bytes`, how many bytes of text each token
//! of validation text stands for; `<digest>.tokenizer.json`, the tokenizer, if there is one; and
//! `<digest>.json`, written last, which says how wide an id is and what the files' digests are. Raw
//! text, which is bytes as they are, has the first two alone: its name is its digest.

mod head;
mod write;

pub(crate) use self::{
    head::{Head, head_of, lengths_path, part_path, tokenizer_path},
    write::write,
};
