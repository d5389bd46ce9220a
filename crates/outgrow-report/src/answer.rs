//! The answer of a sweep: as values first, then in words.

mod find;
mod value;
mod words;

pub use self::value::{Answer, ControlState, Finding, Preserved, Quantity, Verdict};
