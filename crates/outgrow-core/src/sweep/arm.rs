//! A plan with its budget: what replicates and learning rates multiply.

use super::{
    error::{SweepError, bad},
    resolved::Sweep,
    spec::{Budget, StrategySpec},
};
use crate::{
    flops,
    plan::{GrowthPlan, GrowthPolicy, Length, Sampled, Strategy, Task},
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
    /// FLOPs and tokens as the budget asks for them, before they are rounded to whole steps.
    pub nominal: (f64, f64),
    pub growth: GrowthPolicy,
    /// Sequences in a batch.
    pub batch_size: usize,
    /// Whether it is trained only if the best born size is at the rim of the others.
    pub widens: bool,
    /// The only replicate that it is trained in; all of them if none.
    pub replicate: Option<usize>,
    /// Whether it begins with the weights of the sweep's initial checkpoint, if there is one.
    pub continues: bool,
}

/// How long an arm is.
struct Lengths {
    /// Tokens of each phase.
    phases: Vec<f64>,
    tokens: u64,
    nominal: (f64, f64),
}

impl Sweep {
    /// A plan and its tokens: as many as the control's, or as many as give it the control's FLOPs.
    ///
    /// `draw` is the replicate that it is drawn for, and its number there.
    pub(super) fn arm(
        &self,
        strategy: &StrategySpec,
        draw: (usize, usize),
    ) -> Result<Arm, SweepError> {
        let sampled = self.sample(strategy, draw)?.in_steps(self.step_tokens());
        let Lengths { phases, tokens, nominal } = self.lengths(&strategy.name, &sampled)?;
        let named = |error| SweepError::Plan { name: strategy.name.clone(), error };
        let plan = sampled.plan(&phases, tokens, self.step_tokens()).map_err(named)?;
        plan.check_end(tokens).map_err(named)?;
        if plan.train_flops(tokens) > MOST_FLOPS {
            let allowed = format!(
                "no trial may spend more than {:.0e}: its operators learn for too long",
                MOST_FLOPS as f64
            );
            return bad(&format!("FLOPs of {}", strategy.name), plan.train_flops(tokens), &allowed);
        }
        let growth = strategy.policy(&self.spec.training)?;
        let continues = strategy.initial.is_none()
            && !matches!(strategy.strategy, Strategy::FromScratch(_))
            && !strategy.strategy.has_own_initial();
        let (kind, strategy) = (strategy.strategy.name(), strategy.name.clone());
        let (setting, budget) = (String::new(), None);
        let (number, replicate) = (draw.1, None);
        Ok(Arm {
            batch_size: self.spec.training.batch_size,
            widens: false,
            strategy,
            kind,
            number,
            setting,
            budget,
            plan,
            tokens,
            nominal,
            growth,
            replicate,
            continues,
        })
    }

    /// Tokens of a way in whole steps, and its nominal budget.
    fn lengths(&self, name: &str, sampled: &Sampled) -> Result<Lengths, SweepError> {
        let length = match self.spec.training.match_budget {
            Budget::Tokens => Length::Tokens(self.spec.training.tokens as f64),
            Budget::Flops => Length::Flops(self.control_flops()),
        };
        if sampled.looks_around() && self.spec.training.match_budget == Budget::Tokens {
            let allowed = format!("\"flops\": {name} is charged for all that it tries");
            return bad("training.match_budget", "\"tokens\"", &allowed);
        }
        let mut phases = sampled.phases(length);
        let exact: f64 = phases.iter().sum();
        if exact <= 0.0 {
            let allowed = "its operators, or what it tries, spend more than the whole budget: let them \
                           learn for fewer steps, or look for fewer tokens";
            return bad(&format!("compute of {name}"), "too much", allowed);
        }
        if phases.iter().any(|tokens| *tokens < 0.0) {
            let allowed = "its operator, or what it tries there, spends more than the share of the \
                           compute from there to the next place: leave more room";
            return bad(&format!("at_compute of {name}"), "too late", allowed);
        }
        let nominal = (sampled.flops(&phases), exact);
        let tokens = self.budget(name, exact)?;
        // Where orders are compared on the way, those that begin alike grow at the same steps.
        if !sampled.looks_around() {
            phases.iter_mut().for_each(|phase| *phase *= tokens as f64 / exact);
        }
        Ok(Lengths { phases, tokens, nominal })
    }

    pub(super) fn sample(
        &self,
        strategy: &StrategySpec,
        draw: (usize, usize),
    ) -> Result<Sampled, SweepError> {
        let own = strategy
            .initial
            .as_ref()
            .map(|sizes| self.spec.architecture(sizes, "strategies.initial"))
            .transpose()?;
        let (initial, seed) = (own.as_ref().unwrap_or(&self.initial), self.spec.seed);
        let task = Task { initial, target: &self.target, seed, draw };
        let named = |error| SweepError::Strategy { name: strategy.name.clone(), error };
        let sampled = strategy.strategy.sample(&task).map_err(named)?;
        let never_grows =
            matches!(strategy.strategy, Strategy::FromScratch(_) | Strategy::FixedSize(_));
        if sampled.stages.is_empty() && !never_grows {
            let allowed = "its initial model has the sizes of the target, so it never grows: give \
                           it other sizes, or use the kind fixed_size";
            return bad(&format!("initial of {}", strategy.name), "the target", allowed);
        }
        Ok(sampled)
    }

    /// Training FLOPs of the target size with the sweep's tokens.
    pub(super) fn control_flops(&self) -> f64 {
        let sequences = self.spec.training.tokens as f64 / self.target.seq_len as f64;
        sequences * flops::train_flops(&self.target, self.target.seq_len) as f64
    }
}
