//! The answer of a sweep: as values first, then in words.

mod contrasted;
mod find;
mod frontier;
mod rows;
mod value;
mod words;

pub use self::value::{Answer, ControlState, Count, Finding, Preserved, Quantity, Verdict};
