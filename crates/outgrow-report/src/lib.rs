//! Rows to a report: statistics, figures, tables, provenance.
//!
//! It takes plain rows and gives files as bytes; where the rows come from and where the files go it
//! does not know. The unit of replication is the seed: the plans of a strategy are averaged within
//! each seed before anything is said about spread. The same rows give the same bytes.

mod ablation;
mod analysis;
mod answer;
mod born;
mod cautions;
mod checks;
mod choice;
mod choices;
mod clock;
mod compare;
mod compared;
mod comparison;
mod confirmed;
mod contrast;
mod curves;
mod drawn;
mod ends;
mod error;
pub mod escape;
mod estimates;
mod figures;
pub mod frontier;
mod input;
mod interval;
mod judge;
mod jump;
mod latex;
mod markdown;
mod names;
mod numbers;
mod on_the_way;
mod own_budget;
mod pair;
mod pair_files;
mod plans;
mod provenance;
mod report;
mod runs;
mod searched;
mod sizes;
mod strategy;
mod table;
mod tables;
mod tested;
mod tuned;
mod unit;

pub use self::{
    ablation::{Ablation, AblationRow},
    analysis::{Analysis, Progress},
    answer::{Answer, ControlState, Count, Finding, Preserved, Quantity, Verdict},
    born::Born,
    checks::Check,
    choices::choices,
    clock::Clock,
    comparison::{Comparison, Gap, Saving},
    confirmed::Confirmed,
    contrast::Contrast,
    drawn::Drawn,
    error::ReportError,
    estimates::estimates,
    figures::{CurveLook, Regret, Scaling, ScalingPoint, curve_looks, regret, scaling},
    input::Input,
    interval::Interval,
    judge::Family,
    jump::{Jump, Spike},
    own_budget::own_budget,
    pair::{Pair, PairArm, Side, setting_lines},
    pair_files::files as pair_files,
    provenance::digest,
    report::{Report, report},
    searched::{Believed, Common, Promise, Searched},
    sizes::Sizes,
    strategy::{Role, Strategy, Tried},
    tested::Tested,
    unit::LossUnit,
};
