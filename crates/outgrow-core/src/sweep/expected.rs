//! What a trial will have recorded when it has come to a step: known from its definition alone, and
//! so a way to see what is missing.

use super::settings::Trial;
use crate::{
    growth::{Growth, all_preserve},
    model::n_parameters,
};

/// What a growth event says that is not measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ExpectedGrowth<'a> {
    /// Optimizer steps before it.
    pub step: u64,
    /// Training tokens before it.
    pub tokens: u64,
    pub growths: &'a [Growth],
    /// Parameters before and after.
    pub parameters: [u64; 2],
    /// Whether all that is applied claims to preserve the function.
    pub preserving: bool,
}

impl Trial {
    /// The first step after `step` whose training loss is recorded.
    pub fn next_recorded(&self, step: u64) -> Option<u64> {
        self.next_due(step, self.settings.evaluation.record_every_tokens)
    }

    /// The first step after `step` that is evaluated.
    pub fn next_evaluated(&self, step: u64) -> Option<u64> {
        let due = self.next_due(step, self.settings.evaluation.every_tokens)?;
        Some(self.next_after_growth(step).map_or(due, |next| next.min(due)))
    }

    /// The first step after `step` that is evaluated because a growth was shortly before.
    fn next_after_growth(&self, step: u64) -> Option<u64> {
        let (of_step, after) = (self.step_tokens(), &self.settings.evaluation.after_growth);
        let grown = self.plan.stages().iter().map(|stage| stage.tokens / of_step);
        let next = |grown: u64| {
            after.iter().map(|steps| grown.saturating_add(*steps)).find(|next| *next > step)
        };
        grown.filter_map(next).min()
    }

    /// What is due after `every` tokens, and at the end, comes at the step that reaches the next
    /// multiple.
    fn next_due(&self, step: u64, every: u64) -> Option<u64> {
        let (of_step, every, last) =
            (u128::from(self.step_tokens()), u128::from(every.max(1)), self.steps());
        let multiple = (u128::from(step) * of_step / every + 1) * every;
        let due = u64::try_from(multiple.div_ceil(of_step)).unwrap_or(u64::MAX).min(last);
        (step < last).then_some(due)
    }

    /// The growth event of a stage of the plan.
    pub fn expected_growth(&self, stage: usize) -> Option<ExpectedGrowth<'_>> {
        let planned = self.plan.stages().get(stage)?;
        let [before, after] = [stage, stage + 1].map(|stage| self.plan.architecture_after(stage));
        Some(ExpectedGrowth {
            step: planned.tokens / self.step_tokens(),
            tokens: planned.tokens,
            growths: &planned.growths,
            parameters: [before, after].map(n_parameters),
            preserving: all_preserve(before, &planned.growths),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::Sweep;

    #[test]
    fn a_growth_is_followed_by_evaluations_of_its_own() {
        let text = include_str!("../../../outgrow-store/tests/sweep.toml");
        let sweep = Sweep::parse(text).expect("a sweep");
        for mut trial in sweep.members("d").expect("members").into_iter().map(|m| m.trial) {
            let all = |trial: &super::Trial| -> Vec<u64> {
                let next = |step: &u64| trial.next_evaluated(*step);
                std::iter::successors(trial.next_evaluated(0), next).collect()
            };
            let plain = all(&trial);
            trial.settings.evaluation.after_growth = vec![1, 2, 4, 8];
            let (of_step, last) = (trial.step_tokens(), trial.steps());
            let grown = trial.plan.stages().iter().map(|stage| stage.tokens / of_step);
            let extra = grown.flat_map(|step| [1, 2, 4, 8].map(|more| step + more));
            let mut expected: Vec<u64> =
                plain.iter().copied().chain(extra.filter(|step| *step <= last)).collect();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(all(&trial), expected);
        }
    }

    /// As the training loop decides it, step by step.
    fn due(before: u64, now: u64, every: u64) -> bool {
        now / every > before / every
    }

    #[test]
    fn what_is_due_comes_when_the_loop_says() {
        let text = include_str!("../../../outgrow-store/tests/sweep.toml");
        let sweep = Sweep::parse(text).expect("a sweep");
        let members = sweep.members("d").expect("members");
        for every in [1, 3, 63, 64, 65, 100, 127, 128, 1000, 1 << 40] {
            let mut trial = members[0].trial.clone();
            trial.settings.evaluation.record_every_tokens = every;
            let (tokens, last) = (trial.step_tokens(), trial.steps());
            let loop_says =
                |step: &u64| *step == last || due((step - 1) * tokens, step * tokens, every);
            let expected: Vec<u64> = (1..=last).filter(loop_says).collect();
            let found: Vec<u64> =
                std::iter::successors(trial.next_recorded(0), |step| trial.next_recorded(*step))
                    .collect();
            assert_eq!(found, expected, "every {every} tokens");
        }
    }
}
