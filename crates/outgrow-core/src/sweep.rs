//! The sweep file, and the trials that it means.
//!
//! [`SweepSpec`] is what a user types; [`Sweep`] is what it means: checked, and with its
//! architectures spelled out. [`Sweep::members`] samples the plans and pairs them with replicates;
//! a [`Trial`]'s identity is a hash of what determines its result.

mod arm;
mod born;
mod check;
mod controls;
mod differences;
mod error;
mod expected;
mod file;
mod form;
mod frontier;
mod grid;
mod looks;
mod members;
pub mod memory;
mod mentions;
mod merge;
mod names;
mod passes;
mod points;
mod policy;
mod prefix;
mod rates;
mod renamed;
mod resolved;
mod rounds;
mod schedule;
mod search;
mod searched;
mod settings;
mod shapes;
mod sizes;
mod spec;
mod words;

pub use self::{
    born::{BornBudget, BornSize},
    differences::{Difference, differences},
    error::SweepError,
    expected::ExpectedGrowth,
    file::{Draft, PRESETS},
    form::ModelSpec,
    frontier::{
        BORN, BORN_CHECK, BudgetUnit, DEEPER, FrontierCheck, FrontierSizes, FrontierSpec,
        MOST_PASSES, WIDER, budget_text, check_of,
    },
    grid::Grid,
    looks::{LOOK, Looked},
    members::{Member, label},
    policy::OwnPolicy,
    prefix::{SharedPrefix, in_order, shared_prefixes},
    rates::{Rates, RatesSpec},
    resolved::Sweep,
    rounds::{ArmAt, Choices, Chosen, Edge, GridPoint},
    schedule::LearningRateSchedule,
    search::{Names, SearchSpec, SearcherKind},
    searched::Searched,
    settings::{Settings, StepSettings, TrainingSettings, Trial},
    sizes::{LayerSpec, Sharing, SizesSpec},
    spec::{
        About, Budget, CheckpointSpec, ControlsSpec, DataSpec, EvaluationSpec, OptimizerSpec,
        Precision, StrategySpec, SweepSpec, TextFormat, TrainingSpec, VOCAB_SIZE,
    },
    words::{ContrastSpec, Words},
};
