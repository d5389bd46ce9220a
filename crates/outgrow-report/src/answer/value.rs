//! The answer before any words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    analysis::Progress,
    born::Born,
    drawn::Drawn,
    interval::Interval,
    judge::Family,
    jump::{Jump, Spike},
    sizes::Sizes,
    unit::LossUnit,
};

/// What a sweep says about growing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Answer {
    pub sweep: String,
    /// Of all losses and their differences.
    pub unit: LossUnit,
    /// Bits per byte of a loss of one nat per token; none where losses are told in one unit alone.
    pub bits_per_byte: Option<f64>,
    /// How far its trials are.
    pub progress: Progress,
    /// The from-scratch control.
    pub control: ControlState,
    /// Growing strategies whose saving was tested.
    pub tested: usize,
    /// What people read for the name of an arm.
    pub names: BTreeMap<String, String>,
    /// Trainable parameters of each arm.
    pub parameters: BTreeMap<String, Sizes>,
    /// Sizes that never grow, beside the target's.
    pub fixed_sizes: usize,
    /// The name of the only one.
    pub fixed_size: Option<String>,
    /// How many growing strategies do better than each control.
    pub counts: Vec<Count>,
    /// One for each comparison with a control; none without a final loss of the control.
    pub findings: Vec<Finding>,
    /// What is judged together.
    pub families: Vec<Family>,
    /// One for each contrast that was asked for and each of its quantities.
    pub contrasts: Vec<Finding>,
    /// Strategies whose loss goes up after they grew, the highest first.
    pub jumps: Vec<Jump>,
    /// Other strategies of which single trials do, the highest first.
    pub spikes: Vec<Spike>,
    /// The frontier of being born, and what is judged against it.
    pub born: Option<Born>,
    /// Strategies whose plans are drawn.
    pub drawn: Vec<Drawn>,
    /// The growth events that claim to preserve the function; none if no event does.
    pub preserved: Option<Preserved>,
    /// Growth events whose copied units got equal gradients and stay equal.
    pub locked: usize,
    /// Trials that diverged or failed; no mean has them.
    pub lost: usize,
    /// Strategies whose learning rate is the lowest or the highest of several that were tried.
    pub at_the_edge: Vec<String>,
}

/// What is known of the from-scratch control.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ControlState {
    /// The sweep has none with an evaluation.
    Missing,
    /// Every trial of it diverged or failed.
    Lost,
    /// No trial of it is complete yet.
    Open,
    /// It is trained.
    Trained {
        /// Final validation loss, in the unit of the answer.
        loss: Interval,
        learning_rate: f64,
        /// How many learning rates were tried.
        learning_rates: usize,
    },
}

/// How many growing strategies do better than a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// In what.
    pub quantity: Quantity,
    /// In the mean over seeds; of savings, only where all trials reached the control's loss.
    pub better: usize,
    /// Significantly, after correction.
    pub clear: usize,
    /// Strategies that are compared.
    pub of: usize,
    /// Those of them with at least two seeds.
    pub tested: usize,
}

/// A growing strategy against a control, or an arm against another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Finding {
    pub strategy: String,
    /// How many plans it has.
    pub plans: usize,
    pub quantity: Quantity,
    pub against: String,
    /// The mean over seeds, with the interval that agrees with the verdict: corrected for all that
    /// are asked the same question. An upper bound where the verdict is [`Verdict::NotReached`].
    pub value: Interval,
    pub verdict: Verdict,
    /// Whether it is a saving that some trial has before the end of its schedule.
    pub on_the_way: bool,
    /// Where only the lowest and the highest of several strategies are given: of how many.
    pub extreme_of: Option<usize>,
}

/// What two strategies are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Fraction of the control's compute saved on the way to its final loss.
    ComputeSaved,
    /// Final loss minus that of the target size with the same compute.
    LossAtSameCompute,
    /// Final loss minus that of the best size that never grows, with the same compute.
    LossToBestFixedSize,
    /// Final loss of one arm minus that of another.
    LossDifference,
    /// Fraction of the control's compute that one arm saves, minus that of another.
    SavingDifference,
}

/// What the numbers of a comparison mean. A difference needs p ≤ 5 % after Holm's correction for
/// all that are asked the same question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Less compute than the control.
    Cheaper,
    /// More compute than the control.
    Dearer,
    /// Neither more nor less, as far as these seeds tell.
    Unclear {
        /// Seeds needed to tell a difference of this size from zero with 80 % power, at the level at
        /// which this one is judged, if more than there are.
        seeds_needed: Option<usize>,
    },
    /// Some trial did not reach the control's final loss.
    NotReached {
        /// Trials that did.
        reached: usize,
        /// All complete trials.
        of: usize,
    },
    /// It ends at a lower loss than the control.
    Lower,
    /// It ends at the same loss.
    Equal,
    /// It ends at a higher loss.
    Higher,
}

/// Growth events that claim to preserve the function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Preserved {
    pub events: usize,
    /// The largest change of logits, relative to the tolerance.
    pub worst: f64,
}
