//! Rows to a report: statistics, figures, tables, provenance.
//!
//! It takes plain rows and gives files as bytes; where the rows come from and where the files go it
//! does not know. The unit of replication is the seed: the plans of a strategy are averaged within
//! each seed before anything is said about spread. The same rows give the same bytes.

mod ablation;
mod analysis;
mod answer;
mod clock;
mod compare;
mod comparison;
mod contrast;
mod curves;
mod error;
pub mod escape;
mod figures;
pub mod frontier;
mod input;
mod interval;
mod jump;
mod latex;
mod markdown;
mod names;
mod numbers;
mod pair;
mod pair_files;
mod plans;
mod provenance;
mod report;
mod runs;
mod strategy;
mod table;
mod tables;
mod tested;

pub use self::{
    ablation::{Ablation, AblationRow},
    analysis::{Analysis, Progress},
    answer::{Answer, ControlState, Finding, Preserved, Quantity, Verdict},
    clock::Clock,
    comparison::{Comparison, Gap, Saving},
    contrast::Contrast,
    error::ReportError,
    figures::{CurveLook, Scaling, ScalingPoint, curve_looks, scaling},
    input::Input,
    interval::Interval,
    jump::Jump,
    pair::{Pair, PairArm, Side, setting_lines},
    pair_files::files as pair_files,
    provenance::digest,
    report::{Report, report},
    strategy::{Role, Strategy, Tried},
    tested::Tested,
};
