//! The formats that text is read from: plain text, JSON and Parquet, as they are or compressed.

mod columns;
mod detect;
mod json;
mod kind;
mod skipped;
mod text;
mod unpack;

pub use self::skipped::Skipped;
pub(crate) use self::{
    columns::each as each_row,
    detect::kind_of,
    json::{Records, lacks},
    kind::{Format, Kind, Packing},
    text::{Text, pieces},
    unpack::{unpacked, without_mark},
};
