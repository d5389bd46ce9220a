//! Looking after a database and what lies beside it.

mod mend;
mod orphans;
mod survey;
mod words;

pub use self::{
    mend::Mended,
    orphans::{Orphan, remove_orphans},
    survey::Survey,
};
pub(crate) use survey::silent;
