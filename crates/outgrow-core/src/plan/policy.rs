//! What a growth does beside the function: how new entries begin, what becomes of the optimizer,
//! and the learning rate after it.
//!
//! Papers mix these choices silently with the operator that they propose; here each varies alone.

use serde::{Deserialize, Serialize};

use super::rates::{Factors, RateRule};
use crate::{Architecture, ParamId, edit::Initializer, plan::GrowthPlan};

/// The three choices at every growth of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthPolicy {
    /// How free entries are made.
    pub initializer: Initializer,
    /// What becomes of AdamW's moments and of the age that bias correction counts.
    pub optimizer: OptimizerAtGrowth,
    /// The learning rate after a growth.
    pub learning_rate: LearningRateAtGrowth,
}

/// The optimizer at growth. Moments of surviving entries follow their weights (m/s and v/s² where a
/// weight is scaled by s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerAtGrowth {
    /// Moments stay, new entries (drawn or copied) begin with none; each entry's bias correction
    /// counts from its own birth.
    KeepEntryAge,
    /// Moments stay; bias correction counts from the first step for all entries, as a shared step
    /// counter does. A new entry then first moves by √((1−β₂ᵗ)/(1−β₂)) · (1−β₁)/(1−β₁ᵗ) times what
    /// it should: 3.16 times for β₂ = 0.999, 0.45 for 0.95.
    KeepGlobalStep,
    /// All moments are zero again, and all entries count from here.
    Reset,
    /// As `keep_entry_age`, but a copy of a unit or a layer brings its source's moments along, in
    /// the scale of the part of the gradient that it gets, and its source's age (staged training).
    ScaledCopy,
}

/// The learning rate after a growth, as a factor on the schedule's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LearningRateAtGrowth {
    /// The schedule goes on.
    Unchanged,
    /// From zero up to the schedule's over so many tokens, for all entries.
    RewarmAll {
        /// After each growth.
        tokens: u64,
    },
    /// Likewise, but only for the entries that were born at the growth.
    RewarmNew {
        /// After each birth.
        tokens: u64,
    },
    /// From the first growth on, only what was born at a growth is trained (LLaMA-Pro); the rest
    /// neither moves nor decays.
    NewOnly,
    /// The schedule goes back: after a growth it runs on from the share `to` of its course,
    /// stretched to end with the trial, re-warmed over so many tokens (staged training: `to` is
    /// where a from-scratch model has the grown model's loss).
    Rewind {
        /// Share of the schedule's course, from 0 to 1.
        to: f64,
        /// Re-warming after each growth.
        tokens: u64,
    },
    /// The rate of a matrix is divided by the factor by which its inputs have become more since the
    /// trial's beginning: `rebase` by `mup`, with ε as it is.
    MupRebase,
    /// Rates and Adam's ε go on as a rule has them for the grown model beside the initial one.
    Rebase {
        /// Which.
        rule: RateRule,
        /// Beside it, re-warming of the entries that were born at a growth over so many tokens; 0
        /// for none.
        #[serde(default, skip_serializing_if = "is_zero")]
        rewarm_new: u64,
    },
}

fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl LearningRateAtGrowth {
    /// Tokens of its re-warming; 0 without any.
    pub fn tokens(&self) -> u64 {
        match *self {
            Self::RewarmAll { tokens }
            | Self::RewarmNew { tokens }
            | Self::Rewind { tokens, .. }
            | Self::Rebase { rewarm_new: tokens, .. } => tokens,
            Self::Unchanged | Self::NewOnly | Self::MupRebase => 0,
        }
    }

    /// Its rule for rates by size.
    pub fn rule(&self) -> Option<RateRule> {
        match *self {
            Self::MupRebase => Some(RateRule::Mup),
            Self::Rebase { rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// Whether its factor on the rate is measured in the model.
    pub fn is_measured(&self) -> bool {
        self.rule() == Some(RateRule::PathsVariance)
    }
}

impl GrowthPolicy {
    /// Factor on the learning rate of all entries at the step that begins at `tokens`.
    pub fn factor(&self, plan: &GrowthPlan, tokens: u64, step_tokens: u64) -> f64 {
        use LearningRateAtGrowth::{RewarmAll, Rewind};
        let (RewarmAll { tokens: over } | Rewind { tokens: over, .. }) = self.learning_rate else {
            return 1.0;
        };
        last_growth(plan, tokens).map_or(1.0, |growth| rewarm(tokens - growth + step_tokens, over))
    }

    /// Where on its course the schedule stands, from 0 to 1, when `tokens` of `of` are trained.
    pub fn course(&self, plan: &GrowthPlan, tokens: u64, of: u64) -> f64 {
        match (self.learning_rate, last_growth(plan, tokens)) {
            (LearningRateAtGrowth::Rewind { to, .. }, Some(growth)) => {
                to + (1.0 - to) * (tokens - growth) as f64 / (of - growth) as f64
            }
            _ => tokens as f64 / of as f64,
        }
    }

    /// Factor on the learning rate of entries in the step that is their `age`th, from 1; `is_new`
    /// if a growth bore them, `grown` if there was a growth.
    pub fn entry_factor(&self, is_new: bool, grown: bool, age: i64, step_tokens: u64) -> f64 {
        match self.learning_rate {
            LearningRateAtGrowth::RewarmNew { tokens: over }
            | LearningRateAtGrowth::Rebase { rewarm_new: over, .. }
                if is_new =>
            {
                rewarm(age.max(0) as u64 * step_tokens, over)
            }
            LearningRateAtGrowth::NewOnly if grown && !is_new => 0.0,
            _ => 1.0,
        }
    }

    /// Factors of a parameter of a model that began as `initial` and is `now` this large, beside
    /// that of all.
    pub fn parameter_factors(
        &self,
        param: ParamId,
        initial: &Architecture,
        now: &Architecture,
    ) -> Factors {
        let factors =
            (self.learning_rate.rule()).map_or(Factors::ONE, |r| r.of(param, initial, now));
        match self.learning_rate {
            LearningRateAtGrowth::MupRebase => Factors { eps: 1.0, ..factors },
            _ => factors,
        }
    }

    /// Refuses numbers that mean nothing.
    ///
    /// # Errors
    /// The field with its table, what it was, and what is allowed.
    pub fn check(&self) -> Result<(), (&'static str, f64, &'static str)> {
        match self.learning_rate {
            LearningRateAtGrowth::Rewind { to, .. } if !(0.0..=1.0).contains(&to) => {
                Err(("learning_rate.to", to, "it must be a share from 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// Steps that AdamW's bias correction counts at step `step` (from 1) for an entry born after
    /// step `born`.
    pub fn age(&self, plan: &GrowthPlan, step: i64, born: i64, step_tokens: u64) -> i64 {
        match self.optimizer {
            OptimizerAtGrowth::KeepEntryAge | OptimizerAtGrowth::ScaledCopy => step - born,
            OptimizerAtGrowth::KeepGlobalStep => step,
            OptimizerAtGrowth::Reset => {
                let now = (step - 1).max(0) as u64 * step_tokens;
                step - last_growth(plan, now).map_or(0, |growth| (growth / step_tokens) as i64)
            }
        }
    }
}

/// Tokens at the last growth at or before `tokens`.
fn last_growth(plan: &GrowthPlan, tokens: u64) -> Option<u64> {
    plan.stages().iter().map(|stage| stage.tokens).take_while(|&growth| growth <= tokens).last()
}

/// A straight line from zero (not reached) to one.
fn rewarm(done: u64, over: u64) -> f64 {
    if over == 0 { 1.0 } else { (done as f64 / over as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, LayerShape, Norm, ParamKind, Stage, growth::transform::HiddenExpansion};

    fn policy(optimizer: OptimizerAtGrowth, learning_rate: LearningRateAtGrowth) -> GrowthPolicy {
        GrowthPolicy { initializer: Initializer::Copy, optimizer, learning_rate }
    }

    /// Grows at 100 and at 300 tokens.
    fn plan() -> GrowthPlan {
        let form = Form::decoder(Norm::RmsNorm, 0.0);
        let initial = Architecture::uniform(4, 5, 4, 1, LayerShape::uniform(1, 2, 2, 4), form);
        let stage = |tokens, d_model| Stage::new(tokens, vec![HiddenExpansion { d_model }.into()]);
        GrowthPlan::new(initial, vec![stage(100, 6), stage(300, 8)]).expect("a plan")
    }

    #[test]
    fn rates_rise_after_each_growth() {
        use LearningRateAtGrowth::*;
        let all = policy(OptimizerAtGrowth::KeepEntryAge, RewarmAll { tokens: 40 });
        let factors =
            [0, 90, 100, 110, 130, 200, 300].map(|tokens| all.factor(&plan(), tokens, 10));
        assert_eq!(factors, [1.0, 1.0, 0.25, 0.5, 1.0, 1.0, 0.25]);
        assert_eq!(all.entry_factor(true, true, 1, 10), 1.0);
        let new = policy(OptimizerAtGrowth::KeepEntryAge, RewarmNew { tokens: 40 });
        assert_eq!([1, 2, 9].map(|age| new.entry_factor(true, true, age, 10)), [0.25, 0.5, 1.0]);
        assert_eq!(
            (new.entry_factor(false, true, 1, 10), new.factor(&plan(), 100, 10)),
            (1.0, 1.0)
        );
        assert_eq!(policy(OptimizerAtGrowth::Reset, Unchanged).factor(&plan(), 100, 10), 1.0);
    }

    #[test]
    fn the_new_alone_the_past_again_and_wider_matrices() {
        use LearningRateAtGrowth::*;
        let only = policy(OptimizerAtGrowth::KeepEntryAge, NewOnly);
        let factors = [(false, false), (false, true), (true, true)]
            .map(|(new, grown)| only.entry_factor(new, grown, 1, 10));
        assert_eq!(factors, [1.0, 0.0, 1.0]);
        let rewind = policy(OptimizerAtGrowth::KeepEntryAge, Rewind { to: 0.25, tokens: 20 });
        assert_eq!(
            [0, 50, 100, 300, 350, 400].map(|t| rewind.course(&plan(), t, 400)),
            [0.0, 0.125, 0.25, 0.25, 0.625, 1.0]
        );
        assert_eq!([50, 100, 110].map(|t| rewind.factor(&plan(), t, 10)), [1.0, 0.5, 1.0]);
        let mup = policy(OptimizerAtGrowth::KeepEntryAge, MupRebase);
        let factor = |kind| {
            let param = ParamId::in_layer(0, kind);
            mup.parameter_factors(param, plan().initial(), plan().target())
        };
        assert_eq!(
            [ParamKind::Wq, ParamKind::W2, ParamKind::AttentionNorm].map(factor),
            [0.5, 1.0, 1.0].map(|rate| Factors { rate, eps: 1.0 })
        );
        assert!(policy(OptimizerAtGrowth::Reset, Rewind { to: 1.5, tokens: 0 }).check().is_err());
    }

    #[test]
    fn ages_count_from_birth_from_the_first_step_or_from_the_last_growth() {
        use OptimizerAtGrowth::*;
        let age = |optimizer, step, born| {
            policy(optimizer, LearningRateAtGrowth::Unchanged).age(&plan(), step, born, 10)
        };
        // Step 11 is the first after the growth at 100 tokens.
        assert_eq!(
            [age(KeepEntryAge, 11, 10), age(KeepGlobalStep, 11, 10), age(Reset, 11, 0)],
            [1, 11, 1]
        );
        assert_eq!([age(Reset, 10, 0), age(Reset, 30, 0), age(Reset, 31, 30)], [10, 20, 1]);
    }
}
