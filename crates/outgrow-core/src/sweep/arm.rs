//! A plan with its budget: what replicates and learning rates multiply.

use super::{
    error::{SweepError, bad},
    resolved::Sweep,
    spec::{Budget, StrategySpec},
};
use crate::{
    flops,
    growth::{Growth, grow_all},
    model::Architecture,
    plan::{GrowthPlan, GrowthPolicy, Sampled, Strategy, Task},
    stream::stream,
};

/// No trial spends more: beyond what any plan without learning operators can.
const MOST_FLOPS: u128 = 1 << 121;

/// What replicates and learning rates multiply: a plan with its budget.
pub(super) struct Arm {
    pub strategy: String,
    pub kind: &'static str,
    pub number: usize,
    /// Which point of the strategy's own fields of the grid; empty without such.
    pub setting: String,
    /// Of a frontier, in its unit; none without one.
    pub budget: Option<f64>,
    pub plan: GrowthPlan,
    pub tokens: u64,
    pub growth: GrowthPolicy,
    /// Whether it begins with the weights of the sweep's initial checkpoint, if there is one.
    pub continues: bool,
}

impl Sweep {
    /// A plan and its tokens: as many as the control's, or as many as give it the control's FLOPs.
    pub(super) fn arm(&self, strategy: &StrategySpec, number: usize) -> Result<Arm, SweepError> {
        let sampled = self.sample(strategy, number)?;
        let tokens = match self.spec.training.match_budget {
            Budget::Tokens => self.whole_steps(self.spec.training.tokens),
            Budget::Flops => self.budget(&strategy.name, self.equal_flops_tokens(&sampled))?,
        };
        let named = |error| SweepError::Plan { name: strategy.name.clone(), error };
        let plan = sampled.plan(tokens, self.step_tokens()).map_err(named)?;
        plan.check_end(tokens).map_err(named)?;
        if plan.train_flops(tokens) > MOST_FLOPS {
            let allowed = format!(
                "no trial may spend more than {:.0e}: its operators learn for too long",
                MOST_FLOPS as f64
            );
            return bad(&format!("FLOPs of {}", strategy.name), plan.train_flops(tokens), &allowed);
        }
        let growth = strategy.growth.clone().unwrap_or_else(|| self.spec.training.growth.clone());
        let continues =
            strategy.initial.is_none() && !matches!(strategy.strategy, Strategy::FromScratch(_));
        let (kind, strategy) = (strategy.strategy.name(), strategy.name.clone());
        let (setting, budget) = (String::new(), None);
        Ok(Arm { strategy, kind, number, setting, budget, plan, tokens, growth, continues })
    }

    pub(super) fn sample(
        &self,
        strategy: &StrategySpec,
        number: usize,
    ) -> Result<Sampled, SweepError> {
        let own = strategy
            .initial
            .as_ref()
            .map(|sizes| self.spec.architecture(sizes, "strategies.initial"))
            .transpose()?;
        let task = Task { initial: own.as_ref().unwrap_or(&self.initial), target: &self.target };
        // Named by the rule and not by the strategy's name: the same rule under two policies
        // samples the same plans.
        let rule = serde_json::to_string(&strategy.strategy).expect("a strategy is plain data");
        // The name that this field had when the published plans were drawn.
        let rule = rule.replace("\"grow_between\":", "\"window\":");
        let mut rng = stream(self.spec.seed, &format!("sampling/{rule}/{number}"));
        let named = |error| SweepError::Strategy { name: strategy.name.clone(), error };
        strategy.strategy.sample(&task, &mut rng).map_err(named)
    }

    /// How many tokens cost a grown trial what the control's tokens cost the target architecture.
    fn equal_flops_tokens(&self, sampled: &Sampled) -> f64 {
        let per_sequence = |a: &Architecture| flops::train_flops(a, a.seq_len) as f64;
        let mut architecture = sampled.initial.clone();
        let (mut from, mut mean, mut operators) = (0.0, 0.0, 0.0);
        for (at, growths) in &sampled.stages {
            mean += (at - from) * per_sequence(&architecture);
            from = *at;
            if let Ok(grown) = grow_all(&architecture, growths, 0) {
                let data_driven = growths.iter().filter_map(Growth::data_driven);
                operators += data_driven
                    .map(|operator| operator.flops(&architecture, &grown.architecture) as f64)
                    .sum::<f64>();
                architecture = grown.architecture;
            }
        }
        mean += (1.0 - from) * per_sequence(&architecture);
        let sequences = self.spec.training.tokens as f64 / self.target.seq_len as f64;
        let left = sequences * per_sequence(&self.target) - operators;
        left.max(0.0) / mean * self.target.seq_len as f64
    }
}
