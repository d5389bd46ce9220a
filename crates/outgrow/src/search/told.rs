//! A search as its report tells it.

use outgrow_core::plan::strategy::{Measure, lattice::Levels};
use outgrow_report::{Believed, Common, Input, Searched};
use outgrow_search::{Effect, Plan, Trait, effects};

use super::Search;

/// Of the plans that are believed to be the best, so many are told.
const BEST: usize = 10;

impl Search {
    /// What it has found, put beside the rows.
    pub(crate) fn tell(&self, mut input: Input) -> Input {
        let history = self.so_far(&input);
        let mut believed: Vec<_> = history.believed().plans.into_iter().collect();
        believed.sort_by(|a, b| a.1.loss.total_cmp(&b.1.loss));
        let best = believed.iter().take(BEST).filter_map(|(plan, estimate)| {
            let placed = self.place(plan)?;
            let rate = self.rate_of(&placed).map_or_else(String::new, |rate| format!("@{rate}"));
            Some(Believed {
                name: format!("{}/{}{rate}", placed.strategy.name, placed.number),
                plan: self.words(plan),
                loss: estimate.loss,
                error: estimate.error,
                seeds: estimate.seeds,
            })
        });
        let common = effects(&self.space, &history, self.seed).unwrap_or_default();
        let names: Vec<String> = self.strategies.iter().map(|(own, _)| own.name.clone()).collect();
        input.searched = Some(Searched {
            searcher: self.spec.searcher.name().into(),
            plans: names.len() * self.rates.len() * self.ways.len(),
            trials: history.outcomes.len(),
            of_trials: self.spec.trials,
            charged_flops: history.charged(),
            best: best.collect(),
            effects: common.iter().map(|effect| self.common(effect)).collect(),
            strategy: believed.first().map_or_else(String::new, |(plan, _)| self.as_strategy(plan)),
            is_compared: input.trials.iter().all(|trial| names.contains(&trial.strategy)),
            strategies: names,
        });
        input
    }

    /// "width 1/3, depth 1/2; width 3/3 at 10 %; depth 2/2 at 35 %": levels are counted from 1.
    fn words(&self, plan: &Plan) -> String {
        let axes = &self.space.lattice.axes;
        let level = |axis: usize, levels: &Levels| {
            let all = axes[axis].levels.len();
            format!("{} {}/{all}", axes[axis].name, levels[axis] + 1)
        };
        let way = &plan.way;
        let initial: Vec<String> = (0..axes.len()).map(|axis| level(axis, &way.initial)).collect();
        let stages = way.stages.iter().enumerate().map(|(number, step)| {
            let before = way.phase(number);
            let raised = (0..axes.len()).filter(|axis| step.levels[*axis] != before[*axis]);
            let raised: Vec<String> = raised.map(|axis| level(axis, &step.levels)).collect();
            format!("{} at {}", raised.join(", "), self.share(step.place))
        });
        [initial.join(", ")].into_iter().chain(stages).collect::<Vec<_>>().join("; ")
    }

    /// "10 %", of what places are shares of.
    fn share(&self, place: u16) -> String {
        let at = self.space.lattice.at.of().0[usize::from(place)];
        format!("{} %", (1000.0 * at).round() / 10.0)
    }

    fn common(&self, effect: &Effect) -> Common {
        let axes = &self.space.lattice.axes;
        let of = match self.space.lattice.at.measure() {
            Measure::Tokens => "tokens",
            Measure::Compute => "compute",
        };
        let (what, value) = match effect.of {
            Trait::Reached { axis, level, place } => {
                let axis = &axes[axis];
                let what = format!("{} {}/{}", axis.name, level + 1, axis.levels.len());
                let value = place.map_or_else(
                    || "from the beginning".to_owned(),
                    |place| format!("at {} of the {of}", self.share(place)),
                );
                (what, value)
            }
            Trait::Stages(stages) => ("stages".to_owned(), stages.to_string()),
            Trait::Chosen { choice, value } => {
                let value = usize::from(value);
                let value = match choice == 0 && self.strategies.len() > 1 {
                    true => self.strategies.get(value).map(|(own, _)| own.name.clone()),
                    false => self.rates.get(value).map(f64::to_string),
                };
                (self.space.choices[choice].name.clone(), value.unwrap_or_default())
            }
        };
        Common { what, value, loss: effect.loss, interval: effect.interval }
    }
}
