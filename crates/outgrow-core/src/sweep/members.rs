//! The trials of a sweep.

use std::collections::BTreeMap;

use super::{
    arm::Arm,
    born, controls,
    error::{SweepError, bad},
    frontier::budget_text,
    grid::Grid,
    resolved::Sweep,
    settings::{Settings, TrainingSettings, Trial},
    spec::{About, SweepSpec, TrainingSpec},
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
    /// Whether it only helps to choose a point of the grid, and is in no comparison.
    pub tuning: bool,
    /// Which point of the sweep's grid, beside the learning rate: `batch_size=8`; empty without a
    /// grid.
    pub setting: String,
    /// The budget of the sweep's frontier at whose end it stands, in its unit; none without a
    /// frontier.
    pub budget: Option<f64>,
    /// Whether it is trained only if the best of what was tried is at the rim.
    pub widens: bool,
    /// Its place among all trials of the sweep, in the order in which they are taken.
    pub position: usize,
    pub trial: Trial,
}

impl Member {
    /// What people call the trial within its sweep, which has `several_rates` or one.
    pub fn label(&self, several_rates: bool) -> String {
        let rate = several_rates.then_some(self.trial.settings.training.learning_rate);
        label(&self.strategy, (self.plan, self.replicate), rate, self.budget, &self.setting)
    }
}

/// `random/3#1@0.005 at 20 [batch_size=8]`: strategy, plan and replicate, the learning rate where a
/// sweep has several, the budget where it has a frontier, and the point of its grid.
pub fn label(
    strategy: &str,
    (plan, replicate): (usize, usize),
    learning_rate: Option<f64>,
    budget: Option<f64>,
    setting: &str,
) -> String {
    let rate = learning_rate.map_or_else(String::new, |rate| format!("@{rate}"));
    let budget = budget.map_or_else(String::new, |budget| format!(" at {}", budget_text(budget)));
    let setting = if setting.is_empty() { String::new() } else { format!(" [{setting}]") };
    format!("{strategy}/{plan}#{replicate}{rate}{budget}{setting}")
}

impl Sweep {
    /// Whether its trials have several learning rates.
    pub fn has_several_rates(&self) -> bool {
        self.spec.rates().len() > 1
    }

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
        let has_frontier = spec.frontier.is_some();
        let usual = || controls::usual_fixed_sizes([&initial, &target], has_frontier);
        spec.controls.fixed_sizes.get_or_insert_with(usual);
        let sweep = born::resolve(Self { spec, initial, target })?;
        sweep.rates()?;
        controls::check(&sweep)?;
        sweep.spec.check_extent(&sweep.target)?;
        // Every strategy must be able to sample; one draw of each tells, and names the axis that
        // would shrink.
        for strategy in &sweep.spec.strategies {
            sweep.sample(strategy, (0, 0))?;
        }
        sweep.check_grid()?;
        sweep.spec.check_words()?;
        Ok(sweep)
    }

    /// Every trial that the sweep may have: each plan of each strategy and each control, at each
    /// point of the grid, under each replicate's seed, those that only tune last. Where some only
    /// tune, not all of them are trained: see [`Sweep::first_round`]. `data` is the text's digest.
    ///
    /// # Errors
    /// If a strategy can't be sampled, a plan has no room in its budget, or the controls make too
    /// many trials.
    pub fn members(&self, data: &str) -> Result<Vec<Member>, SweepError> {
        let mut members = vec![];
        let mut seen = BTreeMap::new();
        let mut plans = 0;
        let rates = self.spec.rates();
        for point in self.points()? {
            let arms = point.sweep.arms(&self.spec.grid)?;
            // Plans of single replicates are counted in the first.
            let of_one = arms.iter().filter(|arm| arm.replicate.is_none_or(|own| own == 0));
            plans += of_one.count() as u128;
            self.spec.check_trials(plans, "plans and controls")?;
            for arm in &arms {
                point.sweep.check_warmup(arm)?;
                check_rewarming(arm)?;
                for rate in self.spec.candidate_rates() {
                    let first = point.sweep.member(arm, rate, 0, data).trial;
                    // A choice that changes nothing of this plan makes no further trial; one that
                    // only seemed to change nothing is named.
                    let place = |whole| {
                        let setting = point.setting(arm, whole);
                        let numbers = (rate.to_bits(), arm.budget.map(f64::to_bits));
                        (arm.strategy.clone(), arm.number, numbers, setting)
                    };
                    let mut own = place(false);
                    if let Some(known) = seen.get(&own) {
                        if *known == first {
                            continue;
                        }
                        own = place(true);
                    }
                    let setting = own.3.clone();
                    seen.insert(own, first);
                    let all = 0..self.spec.all_replicates();
                    let replicates = arm.replicate.map_or(all, |own| own..own + 1);
                    members.extend(replicates.map(|replicate| {
                        let member = point.sweep.member(arm, rate, replicate, data);
                        let widens = arm.widens || !rates.contains(&rate);
                        Member { setting: setting.clone(), widens, ..member }
                    }));
                }
            }
        }
        let names = members.iter().map(|member| member.strategy.as_str()).collect();
        self.spec.check_contrasts(&names)?;
        members.extend(self.looks(&members)?);
        Ok(in_place(by_strategy(members)))
    }

    /// The plans of all strategies, and of the controls that they need, at each budget that they
    /// have; and the frontier.
    fn arms(&self, grid: &Grid) -> Result<Vec<Arm>, SweepError> {
        let mut arms = vec![];
        for (budget, sweep) in self.at_budgets() {
            let own = sweep.arms_of_strategies(grid)?;
            arms.extend(own.into_iter().map(|arm| Arm { budget, ..arm }));
        }
        arms.extend(self.born_arms()?);
        Ok(arms)
    }

    fn arms_of_strategies(&self, grid: &Grid) -> Result<Vec<Arm>, SweepError> {
        let mut arms = vec![];
        for strategy in &self.spec.strategies {
            for own in self.own_points(strategy, grid)? {
                let (plans, setting) = (own.strategy.strategy.plans(), own.setting());
                let replicates = match own.strategy.about {
                    Some(About::Rule) => self.spec.all_replicates(),
                    _ => 1,
                };
                for number in 0..plans * replicates {
                    let (replicate, setting) = (number / plans, setting.clone());
                    let arm = self.arm(&own.strategy, (replicate, number % plans))?;
                    let replicate = (replicates > 1).then_some(replicate);
                    arms.push(Arm { setting, replicate, number, ..arm });
                }
            }
        }
        arms.extend(controls::arms(self, &arms)?);
        Ok(arms)
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
        let TrainingSpec { schedule, optimizer, precision, .. } = self.spec.training.clone();
        let batch_size = arm.batch_size;
        let growth = (!arm.plan.stages().is_empty()).then(|| arm.growth.clone());
        let rates = self.rates().expect("it was checked when the sweep was made");
        let training = TrainingSettings {
            batch_size,
            learning_rate,
            schedule,
            optimizer,
            rates,
            precision,
            growth,
        };
        let (data, mut evaluation) = (data.to_owned(), self.spec.evaluation.clone());
        if arm.plan.stages().is_empty() {
            evaluation.after_growth.clear();
        }
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
            tuning: replicate >= self.spec.replicates,
            setting: String::new(),
            budget: arm.budget,
            widens: arm.widens,
            position: 0,
            trial: Trial { plan: arm.plan.clone(), settings, seed },
        }
    }
}

/// Refuses a re-warming that a trial never comes out of.
fn check_rewarming(arm: &Arm) -> Result<(), SweepError> {
    let tokens = arm.growth.learning_rate.tokens();
    if arm.plan.stages().is_empty() || tokens < arm.tokens {
        return Ok(());
    }
    let allowed = format!("{} trains {} tokens only: it must be fewer", arm.strategy, arm.tokens);
    bad("training.growth.learning_rate.tokens", tokens, &allowed)
}

/// Each with its place in the order in which they are taken.
fn in_place(mut members: Vec<Member>) -> Vec<Member> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&number| members[number].replicate);
    for (position, number) in order.into_iter().enumerate() {
        members[number].position = position;
    }
    members
}

/// The trials strategy by strategy, in the order in which these come first.
fn by_strategy(mut members: Vec<Member>) -> Vec<Member> {
    let mut order: BTreeMap<String, usize> = BTreeMap::new();
    for member in &members {
        let next = order.len();
        order.entry(member.strategy.clone()).or_insert(next);
    }
    members.sort_by_key(|member| order[&member.strategy]);
    members
}
