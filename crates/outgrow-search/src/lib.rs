//! The search over growth plans.
//!
//! A [`Space`] says what may vary; a [`Plan`] is a point of it, a [`Mutation`] a small named edit.
//! A [`Searcher`] asks, given what was asked and what came of it, for the plans to train next: a
//! pure function of the space, the history and a seed. What trains them, and where history is kept,
//! it does not know.

mod cost;
mod effects;
mod features;
mod history;
mod mutation;
mod racing;
mod rank;
mod ridge;
mod searcher;
mod space;
mod table;
mod trees;

pub use self::{
    cost::cost_of_control,
    effects::{Effect, Trait, effects},
    history::{Asked, Believed, Estimate, History, Known, Outcome},
    mutation::Mutation,
    racing::Racing,
    rank::{
        Drawn, FEWEST_PLANS, FINAL, Predict, Ranked, Ranking, Teachers, Trained, mean_without,
        rank, spearman,
    },
    ridge::Ridge,
    searcher::{Evolution, Local, Predictor, Random, Searcher, Surrogate, Tpe},
    space::{Choice, Plan, Space},
    table::{Progress, Row, Rules, Table},
    trees::{TreeSettings, Trees},
};
