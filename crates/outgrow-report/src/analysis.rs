//! What the rows say: strategies, their mean curves, and what each saves against the from-scratch
//! control.

use std::collections::BTreeMap;

use outgrow_core::{
    TrialState::{self, Diverged, Failed, Running, Waiting},
    event::Diagnosis,
    rows::GrowthRow,
};
use serde::Serialize;

use crate::{
    ablation::{Ablation, ablations},
    born::Born,
    clock::Clock,
    compare::compare,
    compared::compared,
    comparison::Comparison,
    confirmed::{Confirmed, confirmed},
    contrast::{Contrast, contrasts},
    drawn::{Drawn, drawn},
    error::ReportError,
    escape::visible,
    input::Input,
    judge::{Asked, Family, judge},
    jump::{Jump, Spike, jumps, spikes},
    names::names,
    own_budget::at_own_budget,
    plans::{Plan, plans},
    runs::Runs,
    searched::Searched,
    sizes::Sizes,
    strategy::{Role, Strategy},
    tuned::Tuned,
    unit::LossUnit,
};

/// A sweep, understood.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Analysis {
    pub sweep: String,
    /// What its file says of it.
    pub notes: Option<String>,
    pub tags: Vec<String>,
    /// Of all losses and their differences.
    pub unit: LossUnit,
    /// Bits per byte of a loss of one nat per token; none where losses are told in one unit alone.
    pub bits_per_byte: Option<f64>,
    /// What people read for the name of an arm.
    pub names: BTreeMap<String, String>,
    /// Its strategies in the order of the sweep file, the control first.
    pub strategies: Vec<Strategy>,
    /// How many trials are in which state.
    pub states: BTreeMap<TrialState, usize>,
    /// Name of the control, if the sweep has one.
    pub control: Option<String>,
    /// The plans, for the timeline.
    #[serde(skip)]
    pub plans: Vec<Plan>,
    /// Strategies that differ in their policies only.
    pub ablations: Vec<Ablation>,
    /// Differences that were asked for.
    pub contrasts: Vec<Contrast>,
    /// What is judged together.
    pub families: Vec<Family>,
    /// Strategies whose loss jumps after growth.
    pub jumps: Vec<Jump>,
    /// Other strategies of which single trials do.
    pub spikes: Vec<Spike>,
    /// The frontier of being born, and what is judged against it; none without `[frontier]`.
    pub born: Option<Born>,
    /// What a search has found.
    pub searched: Option<Searched>,
    /// What searches of other sweeps believed of its plans, beside what it measured.
    pub confirmed: Vec<Confirmed>,
    /// Strategies whose plans are drawn.
    pub drawn: Vec<Drawn>,
    /// Whether times can be compared.
    pub clock: Clock,
    /// Worst measured change of logits at a growth that claims to preserve the function, relative
    /// to what is allowed, and the number of such growths.
    pub worst_growth: Option<(f64, usize)>,
    /// Growths whose copied units are bound to stay equal.
    pub locked: usize,
}

/// How far a sweep's trials are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// None waits or runs, and some are complete.
    Done,
    /// So many wait or run.
    Preliminary(usize),
    /// All diverged or failed: how many are in which state.
    NoneComplete(BTreeMap<TrialState, usize>),
}

impl Progress {
    /// What a reader must know; none where all is done.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Preliminary(open) => {
                Some(format!("Preliminary: {open} trials are not trained to their end yet"))
            }
            Self::NoneComplete(states) => {
                Some(format!("No trial came to its end: {}", list(states)))
            }
        }
    }
}

impl Analysis {
    /// Understands the rows of a sweep.
    ///
    /// # Errors
    /// If no trial has an evaluation yet.
    pub fn new(input: &Input) -> Result<Self, ReportError> {
        let mut states: BTreeMap<TrialState, usize> = BTreeMap::new();
        input.trials.iter().for_each(|t| *states.entry(t.state).or_default() += 1);
        let input = &*compared(input);
        let runs = Runs::new(input);
        let tuned = Tuned::of(input, &runs);
        let born = Born::of(input, &runs, &tuned);
        let confirmed = confirmed(input, born.as_ref());
        let input = &*at_own_budget(input);
        let names = names(input);
        let arm = |name: &&str| Strategy::new(input, &runs, &tuned, [*name, &*names[*name]]);
        let mut strategies: Vec<Strategy> = in_order(input).iter().filter_map(arm).collect();
        if strategies.is_empty() {
            return Err(ReportError::Empty(nothing(&input.sweep, &states)));
        }
        strategies.sort_by_key(|strategy| strategy.role != Role::Control);
        let control = compare_all(&mut strategies);
        let mut ablations = ablations(&strategies);
        let mut contrasts = contrasts(&input.words.contrasts, &strategies);
        let asked = Asked {
            strategies: &mut strategies,
            contrasts: &mut contrasts,
            ablations: &mut ablations,
        };
        let families = judge(asked, control.as_deref().unwrap_or_default(), &names);
        Ok(Self {
            sweep: input.sweep.clone(),
            notes: input.words.notes.clone(),
            tags: input.words.tags.clone(),
            unit: input.unit,
            bits_per_byte: input.bits_per_byte(),
            plans: plans(input, &names),
            names,
            ablations,
            contrasts,
            families,
            jumps: jumps(&strategies),
            spikes: spikes(&strategies),
            born,
            searched: input.searched.clone(),
            confirmed,
            drawn: drawn(input),
            clock: Clock::of(input),
            strategies,
            states,
            control,
            worst_growth: worst_growth(input),
            locked: locked(input),
        })
    }

    /// The control and those that are compared with it.
    pub fn compared(&self) -> Option<(&Strategy, Vec<&Strategy>)> {
        let control = self.strategies.iter().find(|strategy| strategy.role == Role::Control)?;
        Some((
            control,
            self.strategies.iter().filter(|strategy| strategy.role != Role::Control).collect(),
        ))
    }

    /// How many trials are in one of some states.
    pub fn count(&self, states: &[TrialState]) -> usize {
        states.iter().filter_map(|state| self.states.get(state)).sum()
    }

    /// How far the trials are.
    pub fn progress(&self) -> Progress {
        let open = self.count(&[Waiting, Running]);
        let lost = self.count(&[Diverged, Failed]);
        match open {
            0 if lost == self.states.values().sum::<usize>() => {
                Progress::NoneComplete(self.states.clone())
            }
            0 => Progress::Done,
            open => Progress::Preliminary(open),
        }
    }

    /// What a reader of a part of the report must know: that it is preliminary, or that no trial is
    /// complete.
    pub fn note(&self) -> Option<String> {
        self.progress().words().map(|words| format!("{words}."))
    }

    /// What people read for the name of an arm.
    pub fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// How many sizes that never grow there are beside the target's.
    pub fn fixed_sizes(&self) -> usize {
        self.strategies.iter().filter(|strategy| strategy.role == Role::FixedSize).count()
    }

    /// What the sizes that never grow are called, above a column.
    pub fn fixed_head(&self) -> &'static str {
        if self.fixed_sizes() > 1 { "best fixed size" } else { "fixed size" }
    }

    /// The only size that never grows beside the target's; none of several.
    pub fn fixed_size(&self) -> Option<&Strategy> {
        let mut all = self.strategies.iter().filter(|strategy| strategy.role == Role::FixedSize);
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }

    /// The sizes that never grow, in a sentence: of one there is no best.
    pub fn fixed_words(&self) -> String {
        match self.fixed_size() {
            Some(only) => format!("{}, which never grows", only.shown),
            None => "the best of the sizes that never grow".into(),
        }
    }

    /// Trainable parameters of each arm.
    pub fn sizes(&self) -> BTreeMap<String, Sizes> {
        let sizes = |strategy: &Strategy| Some((strategy.name.clone(), strategy.parameters?));
        self.strategies.iter().filter_map(sizes).collect()
    }

    /// Whether the saving of an arm was read before the end of a schedule.
    pub fn is_on_the_way(&self, name: &str) -> bool {
        let own = self.strategies.iter().find(|strategy| strategy.name == name);
        let comparison = own.and_then(|strategy| strategy.comparison.as_ref());
        comparison.is_some_and(Comparison::is_on_the_way)
    }

    /// The growing strategies.
    pub fn grown(&self) -> impl Iterator<Item = &Strategy> {
        self.strategies.iter().filter(|strategy| strategy.role == Role::Grown)
    }
}

/// Names of the strategies, in the order of the trials.
fn in_order(input: &Input) -> Vec<&str> {
    let mut names: Vec<&str> = vec![];
    for trial in &input.trials {
        if !names.contains(&trial.strategy.as_str()) {
            names.push(&trial.strategy);
        }
    }
    names
}

/// Compares all with the control. Gives its name.
fn compare_all(strategies: &mut [Strategy]) -> Option<String> {
    let control = strategies.iter().find(|strategy| strategy.role == Role::Control).cloned()?;
    let all = strategies.to_vec();
    for strategy in strategies.iter_mut().filter(|s| s.role != Role::Control) {
        strategy.comparison = Some(compare(strategy, &control, &all));
    }
    Some(control.name)
}

/// "3 diverged, 1 failed".
fn list(states: &BTreeMap<TrialState, usize>) -> String {
    states.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", ")
}

/// Why there is nothing to draw, and what to do about it.
fn nothing(sweep: &str, states: &BTreeMap<TrialState, usize>) -> String {
    let (sweep, found) = (visible(sweep), list(states));
    let all: usize = states.values().sum();
    let of = |names: &[TrialState]| names.iter().filter_map(|name| states.get(name)).sum::<usize>();
    match (of(&[Waiting, Running]), of(&[Diverged]), of(&[Failed])) {
        (0, _, _) if all == 0 => format!("sweep {sweep} has no trials"),
        (0, diverged, 0) if diverged == all => format!(
            "all {all} trials of sweep {sweep} diverged before an evaluation that is a number, so \
             there is nothing to draw; a lower \
             training.learning_rate or a longer warmup may keep them (`outgrow status` lists them)"
        ),
        (0, _, 1..) => format!(
            "no trial of sweep {sweep} was evaluated: {found}; `outgrow status` says why, \
             `outgrow run --retry-failed SWEEP.toml` \
             trains the failed ones again"
        ),
        (0, _, _) => format!(
            "no trial of sweep {sweep} has an evaluation that is a number: {found}; `outgrow \
             status` lists them"
        ),
        _ => format!(
            "sweep {sweep} has no trial with an evaluation yet ({found}); train some with \
             `outgrow run`"
        ),
    }
}

/// Over the growth events that claim to preserve the function.
fn worst_growth(input: &Input) -> Option<(f64, usize)> {
    let relative = |row: &GrowthRow| row.error.map_or(f64::INFINITY, |error| error / row.tolerance);
    let claims: Vec<f64> =
        input.growths.iter().filter(|row| row.preserving).map(relative).collect();
    let worst = claims.iter().copied().reduce(f64::max)?;
    Some((worst, claims.len()))
}

fn locked(input: &Input) -> usize {
    let is_locked = |row: &&GrowthRow| row.diagnosis.as_ref().is_some_and(Diagnosis::is_locked);
    input.growths.iter().filter(is_locked).count()
}
