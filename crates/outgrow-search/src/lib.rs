//! The search over growth plans.
//!
//! A [`Space`] says what may vary; a [`Plan`] is a point of it, a [`Mutation`] a small named edit.
//! A [`Searcher`] asks, given what was asked and what came of it, for the plans to train next: a
//! pure function of the space, the history and a seed. What trains them, and where history is kept,
//! it does not know.

mod history;
mod mutation;
mod racing;
mod response;
mod searcher;
mod space;
mod table;

pub use self::{
    history::{Asked, Believed, Estimate, History, Outcome},
    mutation::Mutation,
    racing::Racing,
    response::Response,
    searcher::{Evolution, Local, Random, Searcher, Surrogate},
    space::{Choice, Plan, Space},
    table::{Progress, Row, Rules, Table},
};
