//! Which files text is read from.

mod finder;
mod names;
mod own;
mod source;

pub use self::source::{Files, LeftOut};
pub(crate) use self::{
    finder::Finder,
    source::{Source, by_kind},
};
