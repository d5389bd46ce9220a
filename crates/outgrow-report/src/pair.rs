//! Two sweeps beside each other.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::sweep::{Difference, differences};
use serde::Serialize;

use crate::{
    analysis::Analysis,
    compare::paired,
    comparison::Comparison,
    error::ReportError,
    input::Input,
    interval::Interval,
    strategy::Strategy,
    tested::{self, Tested},
    unit::LossUnit,
};

pub use self::words::setting_lines;

/// Two sweeps, and what they have in common.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Pair {
    /// What the two are called; their identities are part of it where the names are the same.
    pub names: [String; 2],
    pub ids: [String; 2],
    /// Fields of the sweep files that differ, as they are in the first and in the second.
    #[serde(serialize_with = "settings")]
    pub settings: Vec<Difference>,
    /// Whether both are trained on the same text, cut in the same way.
    pub is_same_text: bool,
    /// Whether both have the same tokenizer, or none: only then nats per token are of one kind.
    pub is_same_tokenizer: bool,
    /// Of all losses and their differences.
    pub unit: LossUnit,
    /// Trials that are not trained to their end yet.
    pub open: usize,
    /// Arms of both, in the order of the first sweep; then those of the second alone.
    pub arms: Vec<PairArm>,
}

/// An arm of two sweeps.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct PairArm {
    pub strategy: String,
    pub shown: String,
    /// What it came to in each; none where a sweep has no such arm, or no evaluation of it.
    pub sides: [Option<Side>; 2],
    /// Final loss in the second sweep minus that in the first, over the seeds that both have.
    pub paired: Option<Tested>,
    /// The same without pairs, where they have no seed in common: Welch's interval and test.
    pub unpaired: Option<Tested>,
    /// Seeds of complete trials in each.
    pub seeds: [usize; 2],
}

/// An arm in one of the sweeps, at its best learning rate.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Side {
    pub learning_rate: f64,
    pub setting: String,
    pub final_loss: Option<Interval>,
    /// Compute saved on the way to the final loss of its sweep's control.
    pub saved: Option<Interval>,
    pub train_flops: Option<f64>,
}

impl Pair {
    /// Puts two sweeps beside each other. Without a unit, losses are in nats per token; of sweeps
    /// with different tokenizers they are in bits per byte.
    ///
    /// # Errors
    /// If one of them has no evaluation yet, or no bytes where those are needed, or nats per token
    /// are wanted of different tokenizers.
    pub fn new(a: &Input, b: &Input, unit: Option<LossUnit>) -> Result<Self, ReportError> {
        let is_same_tokenizer = a.tokenizer == b.tokenizer;
        let unit = match (unit, is_same_tokenizer) {
            (Some(LossUnit::NatsPerToken), false) => return Err(ReportError::OtherTokens),
            (Some(unit), _) => unit,
            (None, true) => LossUnit::NatsPerToken,
            (None, false) => LossUnit::BitsPerByte,
        };
        let (a, b) = (&a.clone().in_unit(unit)?, &b.clone().in_unit(unit)?);
        let sweeps = [a, b];
        let analyses = [Analysis::new(a)?, Analysis::new(b)?];
        let mut arms: Vec<PairArm> =
            strategies(&analyses).iter().map(|name| arm(name, sweeps, &analyses)).collect();
        tested::correct(arms.iter_mut().filter_map(PairArm::tested_mut));
        let is_open = |input: &&Input| input.trials.iter().filter(|t| t.state.is_open()).count();
        Ok(Self {
            names: names(sweeps),
            ids: sweeps.map(|input| input.id.clone()),
            settings: differences(&a.spec, &b.spec),
            is_same_text: a.data == b.data,
            is_same_tokenizer,
            unit,
            open: sweeps.iter().map(is_open).sum(),
            arms,
        })
    }

    /// Whether any arm is compared over seeds that both sweeps have.
    pub fn is_paired(&self) -> bool {
        self.arms.iter().any(|arm| arm.paired.is_some())
    }
}

impl PairArm {
    /// What is said of the difference; none where only one sweep has the arm.
    pub fn tested(&self) -> Option<&Tested> {
        self.paired.as_ref().or(self.unpaired.as_ref())
    }

    fn tested_mut(&mut self) -> Option<&mut Tested> {
        self.paired.as_mut().or(self.unpaired.as_mut())
    }

    /// The difference with the interval that goes with what is said of it.
    pub fn difference(&self) -> Option<Interval> {
        self.tested().map(|tested| tested.corrected)
    }

    /// How many seeds the difference is over: those of both, or "4 and 3" where none is in both.
    pub fn n(&self) -> Option<String> {
        let [a, b] = self.seeds;
        let paired = self.paired.as_ref().map(|tested| tested.value.n.to_string());
        paired.or_else(|| self.unpaired.as_ref().map(|_| format!("{a} and {b}")))
    }
}

/// Names that tell the two apart.
fn names(sweeps: [&Input; 2]) -> [String; 2] {
    let is_same = sweeps[0].sweep == sweeps[1].sweep;
    sweeps.map(|input| match is_same {
        true => format!("{} ({})", input.sweep, input.id.chars().take(8).collect::<String>()),
        false => input.sweep.clone(),
    })
}

/// The arms of both, each once.
fn strategies(analyses: &[Analysis; 2]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = analyses.iter().flat_map(|analysis| &analysis.strategies);
    all.filter(|strategy| seen.insert(&strategy.name)).map(|s| s.name.clone()).collect()
}

fn arm(name: &str, inputs: [&Input; 2], analyses: &[Analysis; 2]) -> PairArm {
    let find = |analysis: &Analysis| {
        analysis.strategies.iter().find(|strategy| strategy.name == name).cloned()
    };
    let own = [find(&analyses[0]), find(&analyses[1])];
    let losses = |number: usize| {
        own[number].as_ref().map(|strategy| by_seed(inputs[number], strategy)).unwrap_or_default()
    };
    let (a, b) = (losses(0), losses(1));
    let paired = Tested::of(&paired(&b, &a));
    let unpaired = if paired.is_none() { Tested::between(&b, &a) } else { None };
    let shown = analyses.iter().find_map(|analysis| analysis.names.get(name));
    PairArm {
        strategy: name.to_owned(),
        shown: shown.cloned().unwrap_or_else(|| name.to_owned()),
        sides: own.map(|strategy| strategy.as_ref().map(side)),
        paired,
        unpaired,
        seeds: [a.len(), b.len()],
    }
}

/// Final losses by the seeds themselves, which other sweeps may have as other replicates. A seed
/// is as many bits as a number of replicates.
fn by_seed(input: &Input, strategy: &Strategy) -> BTreeMap<usize, f64> {
    let own = input.trials.iter().filter(|trial| trial.strategy == strategy.name);
    let seeds: BTreeMap<usize, u64> = own.map(|trial| (trial.replicate, trial.seed)).collect();
    let losses = strategy.losses().into_iter();
    losses.filter_map(|(replicate, loss)| Some((*seeds.get(&replicate)? as usize, loss))).collect()
}

fn side(strategy: &Strategy) -> Side {
    let comparison = strategy.comparison.as_ref().filter(|c| !c.is_censored());
    Side {
        learning_rate: strategy.learning_rate,
        setting: strategy.setting.clone(),
        final_loss: strategy.final_loss,
        saved: comparison.and_then(Comparison::compute_corrected),
        train_flops: strategy.train_flops.map(|flops| flops.mean),
    }
}

fn settings<S: serde::Serializer>(all: &[Difference], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(all.iter().map(
        |one| serde_json::json!({ "field": one.field, "a": one.values[0], "b": one.values[1] }),
    ))
}
