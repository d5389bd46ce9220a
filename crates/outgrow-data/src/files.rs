//! Which files text is read from.

mod finder;
mod looked;
mod names;
mod own;
mod pattern;
mod source;
mod walk;

pub use self::source::{Files, LeftOut};
pub(crate) use self::{
    finder::find,
    source::{Source, by_kind},
};
