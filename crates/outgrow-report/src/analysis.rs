//! What the rows say: strategies, their mean curves, and what each saves against the from-scratch control.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{Transform, rows::CurveRow, transform::TransformKind};
use serde::Serialize;

use crate::{Input, Interval, ReportError};

/// Points of a mean curve.
const GRID: usize = 96;
/// How a control is known.
const CONTROL: &str = "from_scratch";

/// A sweep, understood.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// Its name.
    pub sweep: String,
    /// Its strategies in the order of the sweep file, the control first.
    pub strategies: Vec<Strategy>,
    /// How many trials are in which state.
    pub states: BTreeMap<String, usize>,
    /// Name of the control, if the sweep has one.
    pub control: Option<String>,
    /// The plans, for the timeline.
    #[serde(skip)]
    pub plans: Vec<Plan>,
    /// Worst measured change of logits at a growth, relative to what is allowed, and the number of growths.
    pub worst_growth: Option<(f64, usize)>,
}

/// A strategy and its trials.
#[derive(Clone, Debug, Serialize)]
pub struct Strategy {
    /// Its name in the sweep.
    pub name: String,
    /// Whether it is the control.
    pub is_control: bool,
    /// Its trials with at least one evaluation.
    #[serde(skip)]
    pub runs: Vec<Run>,
    /// Plans and seeds.
    pub plans: usize,
    /// Seeds with an evaluation.
    pub seeds: usize,
    /// Trials that diverged or failed.
    pub lost: usize,
    /// Final validation loss over the complete trials, nats per token.
    pub final_loss: Option<Interval>,
    /// Training FLOPs of a complete trial.
    pub train_flops: Option<Interval>,
    /// Against the control; none for the control, or without one.
    pub comparison: Option<Comparison>,
}

/// A strategy against the control, seed by seed.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Final loss minus the control's, under the same seed.
    pub loss_difference: Option<Interval>,
    /// What each trial saved.
    pub savings: Vec<Saving>,
    /// Complete trials that reached the control's final loss, and all complete trials.
    pub reached: [usize; 2],
    /// Compute saved on the way to the control's final loss, as a fraction; over seeds in which every trial reached it.
    pub compute: Option<Interval>,
    /// Wall time saved likewise.
    pub wall: Option<Interval>,
}

/// What one trial saved on the way to its control's final loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// Which plan.
    pub plan: usize,
    /// Which seed.
    pub replicate: usize,
    /// Fraction of the control's FLOPs saved; none if the loss was never reached.
    pub compute: Option<f64>,
    /// Fraction of the control's wall time saved.
    pub wall: Option<f64>,
}

/// One trial.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which plan.
    pub plan: usize,
    /// Which seed.
    pub replicate: usize,
    /// Whether it was trained to its end.
    pub complete: bool,
    /// Its evaluations.
    pub curve: Vec<Point>,
    /// Tokens at its growth events.
    pub growths: Vec<f64>,
}

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Point {
    pub tokens: f64,
    pub train_flops: f64,
    pub wall_seconds: f64,
    pub loss: f64,
}

/// What stands on the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cost {
    Tokens,
    TrainFlops,
    WallSeconds,
}

impl Cost {
    /// Its value at a point.
    pub fn of(self, point: &Point) -> f64 {
        match self {
            Cost::Tokens => point.tokens,
            Cost::TrainFlops => point.train_flops,
            Cost::WallSeconds => point.wall_seconds,
        }
    }
}

/// A plan as the timeline shows it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `random/3`.
    pub name: String,
    /// Tokens of the trial.
    pub tokens: f64,
    /// Parameters at the beginning.
    pub parameters: f64,
    /// Tokens, kinds of the transforms, and parameters after.
    pub stages: Vec<(f64, BTreeSet<TransformKind>, f64)>,
}

impl Run {
    fn last(&self) -> &Point {
        self.curve.last().expect("a run has an evaluation")
    }

    /// Loss at `x` tokens from a growth at `at`, minus that of the last evaluation before the growth. At the growth itself
    /// the loss is what it was: no line is drawn from before it to after it.
    fn change_around(&self, at: f64, x: f64) -> f64 {
        let after = self.curve.partition_point(|point| point.tokens <= at);
        let before = Point { tokens: at, ..self.curve[after.saturating_sub(1)] };
        let known: Vec<Point> = match x <= 0.0 {
            true => self.curve[..after].iter().copied().chain([before]).collect(),
            false => std::iter::once(before).chain(self.curve[after..].iter().copied()).collect(),
        };
        interpolate(&known, Cost::Tokens, at + x) - before.loss
    }

    /// What it had cost when the loss fell to `target`: on a straight line between the last evaluation above it and the
    /// first at or below it. None if it never did.
    pub fn reaches(&self, cost: Cost, target: f64) -> Option<f64> {
        let at = self.curve.iter().position(|point| point.loss <= target)?;
        let (point, before) = (&self.curve[at], &self.curve[at.saturating_sub(1)]);
        let share = if at == 0 { 1.0 } else { (before.loss - target) / (before.loss - point.loss) };
        Some(cost.of(before) + share * (cost.of(point) - cost.of(before)))
    }
}

impl Analysis {
    /// Understands the rows of a sweep.
    ///
    /// # Errors
    /// If no trial has an evaluation yet.
    pub fn new(input: &Input) -> Result<Self, ReportError> {
        let mut curves: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
        for row in &input.curves {
            curves.entry(&row.trial).or_default().extend(point(row));
        }
        let mut growths: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for row in &input.growths {
            growths.entry(&row.trial).or_default().push(row.tokens as f64);
        }
        let mut strategies: Vec<Strategy> = vec![];
        let mut states = BTreeMap::new();
        for trial in &input.trials {
            *states.entry(trial.state.clone()).or_default() += 1;
            let at = strategies.iter().position(|s| s.name == trial.strategy).unwrap_or_else(|| {
                strategies.push(Strategy::new(&trial.strategy, trial.kind == CONTROL));
                strategies.len() - 1
            });
            let strategy = &mut strategies[at];
            strategy.lost += usize::from(["diverged", "failed"].contains(&trial.state.as_str()));
            let curve = curves.get(trial.trial.as_str()).cloned().unwrap_or_default();
            if !curve.is_empty() {
                let (plan, replicate, complete) = (trial.plan, trial.replicate, trial.state == "complete");
                let growths = growths.get(trial.trial.as_str()).cloned().unwrap_or_default();
                strategy.runs.push(Run { plan, replicate, complete, curve, growths });
            }
        }
        strategies.retain(|strategy| !strategy.runs.is_empty());
        if strategies.is_empty() {
            return Err(ReportError::Empty(input.sweep.clone()));
        }
        strategies.sort_by_key(|strategy| !strategy.is_control);
        strategies.iter_mut().for_each(Strategy::summarise);
        let control = strategies.iter().find(|strategy| strategy.is_control).cloned();
        if let Some(control) = &control {
            strategies.iter_mut().filter(|s| !s.is_control).for_each(|s| s.comparison = Some(s.compare(control)));
        }
        Ok(Self {
            sweep: input.sweep.clone(),
            strategies,
            states,
            control: control.map(|control| control.name),
            plans: plans(input)?,
            worst_growth: worst_growth(input),
        })
    }

    /// The control and those that are compared with it.
    pub fn compared(&self) -> Option<(&Strategy, Vec<&Strategy>)> {
        let control = self.strategies.iter().find(|strategy| strategy.is_control)?;
        Some((control, self.strategies.iter().filter(|strategy| !strategy.is_control).collect()))
    }
}

fn point(row: &CurveRow) -> Option<Point> {
    let loss = row.val_loss?;
    let (tokens, train_flops) = (row.at.tokens as f64, row.at.train_flops as f64);
    Some(Point { tokens, train_flops, wall_seconds: row.at.wall_seconds, loss })
}

/// The mean of each seed's values, over the seeds.
fn by_seed(values: impl Iterator<Item = (usize, f64)>) -> BTreeMap<usize, f64> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    values.for_each(|(seed, value)| groups.entry(seed).or_default().push(value));
    groups.into_iter().map(|(seed, values)| (seed, values.iter().sum::<f64>() / values.len() as f64)).collect()
}

fn interval(by_seed: &BTreeMap<usize, f64>) -> Option<Interval> {
    Interval::of(&by_seed.values().copied().collect::<Vec<_>>())
}

impl Strategy {
    fn new(name: &str, is_control: bool) -> Self {
        Self {
            name: name.to_owned(),
            is_control,
            runs: vec![],
            plans: 0,
            seeds: 0,
            lost: 0,
            final_loss: None,
            train_flops: None,
            comparison: None,
        }
    }

    fn complete(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.complete)
    }

    fn summarise(&mut self) {
        self.plans = self.runs.iter().map(|run| run.plan).collect::<BTreeSet<_>>().len();
        self.seeds = self.runs.iter().map(|run| run.replicate).collect::<BTreeSet<_>>().len();
        self.final_loss = interval(&by_seed(self.complete().map(|run| (run.replicate, run.last().loss))));
        self.train_flops = interval(&by_seed(self.complete().map(|run| (run.replicate, run.last().train_flops))));
    }

    fn compare(&self, control: &Strategy) -> Comparison {
        let control_of = |seed: usize| control.complete().find(|run| run.replicate == seed);
        let differences = self
            .complete()
            .filter_map(|run| Some((run.replicate, run.last().loss - control_of(run.replicate)?.last().loss)));
        let savings: Vec<Saving> =
            self.complete().filter_map(|run| Some(saving(run, control_of(run.replicate)?))).collect();
        let over_seeds = |of: fn(&Saving) -> Option<f64>| {
            let missing: BTreeSet<usize> = savings.iter().filter(|s| of(s).is_none()).map(|s| s.replicate).collect();
            let whole = savings.iter().filter(|s| !missing.contains(&s.replicate));
            interval(&by_seed(whole.filter_map(|s| Some((s.replicate, of(s)?)))))
        };
        Comparison {
            loss_difference: interval(&by_seed(differences)),
            reached: [savings.iter().filter(|s| s.compute.is_some()).count(), savings.len()],
            compute: over_seeds(|saving| saving.compute),
            wall: over_seeds(|saving| saving.wall),
            savings,
        }
    }

    /// The mean loss over `cost`, on the stretch that all its trials have in common: cost, and loss over seeds.
    pub fn mean_curve(&self, cost: Cost) -> Vec<(f64, Interval)> {
        let first = self.runs.iter().map(|run| cost.of(&run.curve[0])).fold(0.0, f64::max);
        let last = self.runs.iter().map(|run| cost.of(run.last())).fold(f64::INFINITY, f64::min);
        if !(first > 0.0 && first < last) {
            return vec![];
        }
        let ratio = (last / first).powf(1.0 / (GRID - 1) as f64);
        let at = |i: usize| if i + 1 == GRID { last } else { first * ratio.powi(i as i32) };
        let mean = |x: f64| {
            let losses = self.runs.iter().map(|run| (run.replicate, interpolate(&run.curve, cost, x)));
            Some((x, interval(&by_seed(losses))?))
        };
        (0..GRID).filter_map(|i| mean(at(i))).collect()
    }

    /// The mean change of loss around its growth events since the last evaluation before each, over tokens since the event: a
    /// tenth of the shortest trial to both sides, over the events that have so much room; over seeds.
    pub fn around_growth(&self) -> Vec<(f64, Interval)> {
        let reach = self.runs.iter().map(|run| run.last().tokens / 10.0).fold(f64::INFINITY, f64::min);
        let events = self.runs.iter().flat_map(|run| run.growths.iter().map(move |&at| (run, at)));
        let has_room = |(run, at): &(&Run, f64)| at - run.curve[0].tokens >= reach && run.last().tokens - at >= reach;
        let seen: Vec<(&Run, f64)> = events.filter(has_room).collect();
        if seen.is_empty() {
            return vec![];
        }
        let change = |(run, at): &(&Run, f64), x: f64| (run.replicate, run.change_around(*at, x));
        let mean = |x: f64| Some((x, interval(&by_seed(seen.iter().map(|event| change(event, x))))?));
        (0..GRID).filter_map(|i| mean(reach * (2.0 * i as f64 / (GRID - 1) as f64 - 1.0))).collect()
    }

    /// FLOPs to reach each of `targets` as a fraction of the control's, over seeds (a mean of logarithms); it ends where the
    /// first trial of a seed did not get there.
    pub fn flops_ratio(&self, control: &Strategy, targets: &[f64]) -> Vec<(f64, Interval)> {
        let ratio = |target: f64| {
            let logs = self.runs.iter().map(|run| {
                let base = control.runs.iter().find(|base| base.replicate == run.replicate)?;
                let flops = [run, base].map(|run| run.reaches(Cost::TrainFlops, target));
                Some((run.replicate, (flops[0]? / flops[1]?).ln()))
            });
            let logs: Option<Vec<_>> = logs.collect();
            Some((target, interval(&by_seed(logs?.into_iter()))?.map(f64::exp)))
        };
        targets.iter().map_while(|&target| ratio(target)).collect()
    }
}

fn saving(run: &Run, control: &Run) -> Saving {
    let target = control.last().loss;
    let of = |cost: Cost| Some(1.0 - run.reaches(cost, target)? / control.reaches(cost, target)?);
    Saving { plan: run.plan, replicate: run.replicate, compute: of(Cost::TrainFlops), wall: of(Cost::WallSeconds) }
}

/// The loss at a cost between two evaluations, for drawing mean curves only.
fn interpolate(curve: &[Point], cost: Cost, x: f64) -> f64 {
    let after = curve.partition_point(|point| cost.of(point) < x).clamp(1, curve.len().max(2) - 1);
    let (Some(a), Some(b)) = (curve.get(after - 1), curve.get(after)) else { return curve[0].loss };
    let (from, to) = (cost.of(a), cost.of(b));
    let share = if to > from { ((x - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
    a.loss + share * (b.loss - a.loss)
}

fn plans(input: &Input) -> Result<Vec<Plan>, ReportError> {
    let mut plans: BTreeMap<(usize, &str, usize), Plan> = BTreeMap::new();
    let mut order: Vec<&str> = vec![];
    for trial in input.trials.iter().filter(|trial| trial.kind != CONTROL) {
        let place = order.iter().position(|name| *name == trial.strategy).unwrap_or_else(|| {
            order.push(&trial.strategy);
            order.len() - 1
        });
        let key = (place, trial.strategy.as_str(), trial.plan);
        let grown: Vec<_> = input.growths.iter().filter(|row| row.trial == trial.trial).collect();
        // All replicates of a plan grow alike; the one that has come furthest shows all of it.
        if plans.get(&key).is_some_and(|plan| plan.stages.len() >= grown.len()) {
            continue;
        }
        let stage = |row: &&outgrow_core::rows::GrowthRow| {
            let transforms: Vec<Transform> = serde_json::from_str(&row.transforms)?;
            Ok((row.tokens as f64, transforms.iter().map(Transform::kind).collect(), row.parameters_after as f64))
        };
        let parameters = grown.first().map_or(0.0, |row| row.parameters_before as f64);
        let stages = grown.iter().map(stage).collect::<Result<_, ReportError>>()?;
        plans.insert(key, Plan { name: trial.strategy.clone(), tokens: trial.tokens as f64, parameters, stages });
    }
    let several = |name: &str| plans.keys().filter(|key| key.1 == name).count() > 1;
    let numbered: Vec<String> = plans
        .keys()
        .map(|(_, name, plan)| if several(name) { format!("{name} {}", plan + 1) } else { (*name).to_owned() })
        .collect();
    Ok(plans.into_values().zip(numbered).map(|(plan, name)| Plan { name, ..plan }).collect())
}

fn worst_growth(input: &Input) -> Option<(f64, usize)> {
    let relative = |row: &outgrow_core::rows::GrowthRow| row.error.map_or(f64::INFINITY, |error| error / row.tolerance);
    let worst = input.growths.iter().map(relative).reduce(f64::max)?;
    Some((worst, input.growths.len()))
}
