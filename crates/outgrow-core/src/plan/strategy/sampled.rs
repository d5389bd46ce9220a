use super::share::Measure;
use crate::{
    flops,
    growth::{Growth, grow_all},
    model::Architecture,
    plan::{GrowthPlan, Look, PlanError, Stage},
};

/// A sampled way from an initial architecture to the target, its places as shares of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// What the trial begins with.
    pub initial: Architecture,
    /// What the shares are shares of.
    pub measure: Measure,
    /// A share of the trial, and what is applied there; shares rise, but may be equal.
    pub stages: Vec<(f64, Vec<Growth>)>,
    /// What else is tried at each of the stages; none of them where it is empty.
    pub looks: Vec<Option<Look>>,
}

/// How long a trial is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// So many training tokens.
    Tokens(f64),
    /// As many tokens as cost so many training FLOPs.
    Flops(f64),
}

/// What a way costs: FLOPs of a token in each phase, and of the operators at its beginning.
struct Phases {
    token: Vec<f64>,
    operators: Vec<f64>,
}

impl Sampled {
    /// A way on which nothing else is tried.
    pub fn new(initial: Architecture, measure: Measure, stages: Vec<(f64, Vec<Growth>)>) -> Self {
        Self { initial, measure, stages, looks: vec![] }
    }

    /// A model that never grows.
    pub(super) fn fixed(initial: &Architecture) -> Self {
        Self::new(initial.clone(), Measure::Tokens, vec![])
    }

    /// Looks take whole steps of so many tokens.
    pub(crate) fn in_steps(mut self, step_tokens: u64) -> Self {
        for look in self.looks.iter_mut().flatten() {
            look.tokens = look.tokens.div_ceil(step_tokens) * step_tokens;
        }
        self
    }

    /// Whether anything else is tried on the way.
    pub fn looks_around(&self) -> bool {
        self.looks.iter().any(Option::is_some)
    }

    fn look(&self, stage: usize) -> Option<&Look> {
        self.looks.get(stage)?.as_ref()
    }

    /// Tokens of each phase of a trial of that length; below zero where a learning operator spends
    /// more than there is.
    pub fn phases(&self, length: Length) -> Vec<f64> {
        let Phases { token, operators } = self.costs();
        let ends = self.stages.iter().map(|(at, _)| *at).chain([1.0]);
        let shares: Vec<f64> =
            ends.scan(0.0, |from, to| Some(to - std::mem::replace(from, to))).collect();
        let weighed = |weights: &[f64]| -> f64 {
            shares.iter().zip(weights).map(|(share, weight)| share * weight).sum()
        };
        match self.measure {
            Measure::Tokens => {
                let tokens = match length {
                    Length::Tokens(tokens) => tokens,
                    Length::Flops(flops) => {
                        (flops - operators.iter().sum::<f64>()) / weighed(&token)
                    }
                };
                shares.iter().map(|share| share * tokens).collect()
            }
            Measure::Compute => {
                let inverse: Vec<f64> = token.iter().map(|cost| cost.recip()).collect();
                let flops = match length {
                    Length::Flops(flops) => flops,
                    // An operator takes its FLOPs from the phase that it begins.
                    Length::Tokens(tokens) => {
                        let taken: f64 = operators.iter().zip(&inverse).map(|(o, i)| o * i).sum();
                        (tokens + taken) / weighed(&inverse)
                    }
                };
                let phase =
                    |(share, (cost, own)): (&f64, (&f64, &f64))| (share * flops - own) / cost;
                shares.iter().zip(token.iter().zip(&operators)).map(phase).collect()
            }
        }
    }

    /// Training FLOPs of phases of so many tokens, and of the operators between them.
    pub fn flops(&self, phases: &[f64]) -> f64 {
        let Phases { token, operators } = self.costs();
        let trained: f64 = phases.iter().zip(token).map(|(tokens, cost)| tokens * cost).sum();
        trained + operators.iter().sum::<f64>()
    }

    fn costs(&self) -> Phases {
        let mut architecture = self.initial.clone();
        let mut costs = Phases {
            token: vec![flops::train_flops_per_token(&architecture)],
            operators: vec![0.0],
        };
        for (stage, (_, growths)) in self.stages.iter().enumerate() {
            let mut operators = self.look(stage).map_or(0, |look| look.flops(&architecture)) as f64;
            if let Ok(grown) = grow_all(&architecture, growths, 0) {
                let fitted = growths.iter().filter_map(Growth::fitted);
                operators += fitted
                    .map(|operator| operator.flops(&architecture, &grown.architecture) as f64)
                    .sum::<f64>();
                architecture = grown.architecture;
            }
            costs.token.push(flops::train_flops_per_token(&architecture));
            costs.operators.push(operators);
        }
        costs
    }

    /// The plan whose phases have so many tokens, in optimizer steps of `step_tokens`: each stage
    /// stands at the nearest step, after at least one step and before the last of `tokens`.
    ///
    /// # Errors
    /// If the transforms don't apply (a fault of the strategy).
    pub fn plan(
        &self,
        phases: &[f64],
        tokens: u64,
        step_tokens: u64,
    ) -> Result<GrowthPlan, PlanError> {
        let last = (tokens / step_tokens).saturating_sub(1).max(1);
        let mut stages: Vec<Stage> = vec![];
        let mut before = 0.0;
        for (number, (phase, (_, growths))) in phases.iter().zip(&self.stages).enumerate() {
            before += phase;
            let step = (before / step_tokens as f64).round() as u64;
            let tokens = step.clamp(1, last) * step_tokens;
            let look = self.look(number).cloned();
            match stages.last_mut() {
                // Where something else is tried, two stages on one step are refused.
                Some(stage) if stage.tokens == tokens && !self.looks_around() => {
                    stage.growths.extend(growths.iter().cloned())
                }
                _ => stages.push(Stage { look, ..Stage::new(tokens, growths.clone()) }),
            }
        }
        GrowthPlan::new(self.initial.clone(), stages)
    }
}
