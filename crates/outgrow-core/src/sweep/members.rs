//! The trials of a sweep.

use super::{
    arm::Arm,
    controls,
    error::{SweepError, bad},
    resolved::Sweep,
    settings::{Settings, TrainingSettings, Trial},
    spec::{ControlsSpec, SweepSpec, TrainingSpec},
};
use crate::stream::derive;

/// A trial's place in a sweep.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Member {
    /// Name of the strategy in the sweep file.
    pub strategy: String,
    pub kind: &'static str,
    /// Which plan of the strategy, from 0.
    pub plan: usize,
    /// Which replicate, from 0.
    pub replicate: usize,
    /// Which point of the sweep's grid, beside the learning rate: `batch_size=8`; empty without a
    /// grid.
    pub setting: String,
    pub trial: Trial,
}

impl Sweep {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// The first thing that is wrong with it: where, what was found, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        Self::new(SweepSpec::parse(text)?)
    }

    /// Checks a specification.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn new(spec: SweepSpec) -> Result<Self, SweepError> {
        spec.check()?;
        let initial = spec.architecture(&spec.initial, "initial")?;
        let target = spec.architecture(&spec.target, "target")?;
        let mut spec = spec;
        spec.controls.get_or_insert_with(|| ControlsSpec::default_for(&initial, &target));
        let sweep = Self { spec, initial, target };
        controls::check(&sweep)?;
        sweep.spec.check_extent(&sweep.target)?;
        // Every strategy must be able to sample; one draw of each tells, and names the axis that
        // would shrink.
        for strategy in &sweep.spec.strategies {
            sweep.sample(strategy, 0)?;
        }
        Ok(sweep)
    }

    /// Every trial of the sweep: each plan of each strategy and each control, at each learning
    /// rate, under each replicate's seed. `data` is the text's digest.
    ///
    /// # Errors
    /// If a strategy can't be sampled, a plan has no room in its budget, or the controls make too
    /// many trials.
    pub fn members(&self, data: &str) -> Result<Vec<Member>, SweepError> {
        let mut arms = vec![];
        for strategy in &self.spec.strategies {
            for number in 0..strategy.strategy.plans() {
                arms.push(self.arm(strategy, number)?);
            }
        }
        arms.extend(controls::arms(self, &arms)?);
        self.spec.check_trials(arms.len() as u128, "plans and controls")?;
        arms.iter().try_for_each(|arm| self.check_warmup(arm))?;
        let mut members = vec![];
        for arm in &arms {
            for rate in self.spec.rates() {
                members.extend(
                    (0..self.spec.replicates)
                        .map(|replicate| self.member(arm, *rate, replicate, data)),
                );
            }
        }
        Ok(members)
    }

    /// Refuses a warm-up that a shorter trial never comes out of.
    fn check_warmup(&self, arm: &Arm) -> Result<(), SweepError> {
        match self.spec.training.schedule.warmup_tokens() {
            Some(warmup) if warmup >= arm.tokens as f64 => {
                let Arm { strategy, tokens, .. } = arm;
                let allowed = format!("{strategy} trains {tokens} tokens only: it must be fewer");
                bad("training.schedule.warmup", warmup, &allowed)
            }
            _ => Ok(()),
        }
    }

    fn member(&self, arm: &Arm, learning_rate: f64, replicate: usize, data: &str) -> Member {
        let TrainingSpec { batch_size, schedule, optimizer, precision, .. } =
            self.spec.training.clone();
        let growth = (!arm.plan.stages().is_empty()).then(|| arm.growth.clone());
        let training =
            TrainingSettings { batch_size, learning_rate, schedule, optimizer, precision, growth };
        let (data, evaluation) = (data.to_owned(), self.spec.evaluation.clone());
        let initial = self.spec.initial.digest.clone().filter(|_| arm.continues);
        let settings = Settings { data, initial, tokens: arm.tokens, training, evaluation };
        // One seed per replicate, the same for every plan: a grown trial and its control see the
        // same tokens.
        let seed = derive(self.spec.seed, &format!("replicate/{replicate}"));
        Member {
            strategy: arm.strategy.clone(),
            kind: arm.kind,
            plan: arm.number,
            replicate,
            setting: String::new(),
            trial: Trial { plan: arm.plan.clone(), settings, seed },
        }
    }
}
