//! What a growth does beside the function: how new entries begin, what becomes of the optimizer, and the learning rate after it.
//!
//! Papers mix these choices silently with the operator that they propose; here each varies alone.

use serde::{Deserialize, Serialize};

use crate::{init::Initializer, plan::GrowthPlan};

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

/// The optimizer at growth. Moments of surviving entries follow their weights (m/s and v/s² where a weight is scaled by s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerAtGrowth {
    /// Moments stay; each entry's bias correction counts from its own birth.
    KeepEntryAge,
    /// Moments stay; bias correction counts from the first step for all entries, as a shared step counter does. A new entry
    /// then first moves by √((1−β₂ᵗ)/(1−β₂)) · (1−β₁)/(1−β₁ᵗ) times what it should: 3.16 times for β₂ = 0.999, 0.45 for 0.95.
    KeepGlobalStep,
    /// All moments are zero again, and all entries count from here.
    Reset,
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
}

impl GrowthPolicy {
    /// Factor on the learning rate of all entries at the step that begins at `tokens`.
    pub fn factor(&self, plan: &GrowthPlan, tokens: u64, step_tokens: u64) -> f64 {
        let LearningRateAtGrowth::RewarmAll { tokens: over } = self.learning_rate else { return 1.0 };
        last_growth(plan, tokens).map_or(1.0, |growth| rewarm(tokens - growth + step_tokens, over))
    }

    /// Factor on the learning rate of entries in the step that is their `age`th, from 1; `is_new` if a growth bore them.
    pub fn entry_factor(&self, is_new: bool, age: i64, step_tokens: u64) -> f64 {
        match self.learning_rate {
            LearningRateAtGrowth::RewarmNew { tokens: over } if is_new => rewarm(age.max(0) as u64 * step_tokens, over),
            _ => 1.0,
        }
    }

    /// Steps that AdamW's bias correction counts at step `step` (from 1) for an entry born after step `born`.
    pub fn age(&self, plan: &GrowthPlan, step: i64, born: i64, step_tokens: u64) -> i64 {
        match self.optimizer {
            OptimizerAtGrowth::KeepEntryAge => step - born,
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
    use crate::{
        Architecture, Form, LayerShape, Stage,
        transform::{HiddenExpansion, Transform},
    };

    fn policy(optimizer: OptimizerAtGrowth, learning_rate: LearningRateAtGrowth) -> GrowthPolicy {
        GrowthPolicy { initializer: Initializer::Copy, optimizer, learning_rate }
    }

    /// Grows at 100 and at 300 tokens.
    fn plan() -> GrowthPlan {
        let form = Form { causal: true, final_norm: true, eps_sum: 0.0 };
        let initial = Architecture::uniform(4, 5, 4, 1, LayerShape::uniform(1, 2, 2, 4), form);
        let stage = |tokens, d_model| Stage { tokens, transforms: vec![Transform::from(HiddenExpansion { d_model })] };
        GrowthPlan::new(initial, vec![stage(100, 6), stage(300, 8)]).expect("a plan")
    }

    #[test]
    fn rates_rise_after_each_growth() {
        use LearningRateAtGrowth::*;
        let all = policy(OptimizerAtGrowth::KeepEntryAge, RewarmAll { tokens: 40 });
        let factors = [0, 90, 100, 110, 130, 200, 300].map(|tokens| all.factor(&plan(), tokens, 10));
        assert_eq!(factors, [1.0, 1.0, 0.25, 0.5, 1.0, 1.0, 0.25]);
        assert_eq!(all.entry_factor(true, 1, 10), 1.0);
        let new = policy(OptimizerAtGrowth::KeepEntryAge, RewarmNew { tokens: 40 });
        assert_eq!([1, 2, 9].map(|age| new.entry_factor(true, age, 10)), [0.25, 0.5, 1.0]);
        assert_eq!((new.entry_factor(false, 1, 10), new.factor(&plan(), 100, 10)), (1.0, 1.0));
        assert_eq!(policy(OptimizerAtGrowth::Reset, Unchanged).factor(&plan(), 100, 10), 1.0);
    }

    #[test]
    fn ages_count_from_birth_from_the_first_step_or_from_the_last_growth() {
        use OptimizerAtGrowth::*;
        let age =
            |optimizer, step, born| policy(optimizer, LearningRateAtGrowth::Unchanged).age(&plan(), step, born, 10);
        // Step 11 is the first after the growth at 100 tokens.
        assert_eq!([age(KeepEntryAge, 11, 10), age(KeepGlobalStep, 11, 10), age(Reset, 11, 0)], [1, 11, 1]);
        assert_eq!([age(Reset, 10, 0), age(Reset, 30, 0), age(Reset, 31, 30)], [10, 20, 1]);
    }
}
