//! Which growth when: plans, what a growth does to the training around it, and the rules that
//! sample plans.

pub mod paths;
mod policy;
mod rates;
mod sequence;
mod stage;
pub mod strategy;

pub use self::{
    policy::{GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth},
    rates::{Factors, RateRule},
    sequence::{Element, NUMBERS},
    stage::{GrowthPlan, Look, Phase, PlanError, Stage, causal_share, mean_size},
    strategy::{Length, Sampled, Strategy, StrategyError, Task},
};
