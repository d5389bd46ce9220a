//! What the rows say: strategies, their mean curves, and what each saves against the from-scratch
//! control.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    event::Diagnosis,
    growth::TransformKind,
    rows::{CurveRow, GrowthRow, TrialRow},
};
use serde::Serialize;

use crate::{
    Input, Interval, ReportError,
    comparison::{self, Ablation, Comparison},
    escape::visible,
};

/// Points of a mean curve.
const GRID: usize = 96;
/// Points of a trial's curve: more the eye can't tell apart.
const MOST_POINTS: usize = 100;

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
    /// Strategies that differ in their policies only.
    pub ablations: Vec<Ablation>,
    /// Worst measured change of logits at a growth that claims to preserve the function, relative
    /// to what is allowed, and the number of such growths.
    pub worst_growth: Option<(f64, usize)>,
    /// Growths whose copied units are bound to stay equal.
    pub locked: usize,
}

/// A strategy and its trials.
#[derive(Clone, Debug, Serialize)]
pub struct Strategy {
    /// Its name in the sweep.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// Its learning rate: of those that were tried, and that most trials completed, the one with
    /// the lowest mean final loss.
    pub learning_rate: f64,
    /// How many learning rates were tried.
    pub learning_rates: usize,
    /// Whether its learning rate is the lowest or the highest that was tried, of several.
    pub is_at_the_edge: bool,
    /// Its trials at that rate with at least one evaluation.
    #[serde(skip)]
    pub runs: Vec<Run>,
    /// Plans and seeds.
    pub plans: usize,
    /// Seeds with an evaluation.
    pub seeds: usize,
    /// Trials, at any rate.
    pub trials: usize,
    /// Those of them that diverged or failed.
    pub lost: usize,
    /// Final validation loss over the complete trials, nats per token.
    pub final_loss: Option<Interval>,
    /// Training FLOPs of a complete trial.
    pub train_flops: Option<Interval>,
    /// Tokens of a complete trial.
    pub tokens: Option<Interval>,
    /// Against the control; none for the control, or without one.
    pub comparison: Option<Comparison>,
    /// Names of its plans by content.
    #[serde(skip)]
    pub plan_ids: BTreeSet<String>,
    /// Initializer, optimizer and learning rate at growth.
    #[serde(skip)]
    pub policy: [String; 3],
}

/// What a strategy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The target size from its first token on.
    Control,
    /// The same on another budget, its schedule annealed to that.
    Annealed,
    /// Another size that never grows.
    FixedSize,
    /// A growing model.
    Grown,
}

impl Role {
    fn of(kind: &str) -> Self {
        match kind {
            "from_scratch" => Role::Control,
            "from_scratch_annealed" => Role::Annealed,
            "fixed_size" => Role::FixedSize,
            _ => Role::Grown,
        }
    }
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
    /// Tokens at its growth events, and the axes that they enlarged.
    pub growths: Vec<(f64, Vec<TransformKind>)>,
}

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Point {
    pub tokens: f64,
    pub train_flops: f64,
    pub sunk_flops: f64,
    pub six_nd: f64,
    pub wall_seconds: f64,
    pub loss: f64,
}

/// What stands on the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cost {
    Tokens,
    TrainFlops,
    SunkFlops,
    SixNd,
    WallSeconds,
}

impl Cost {
    /// Its value at a point.
    pub fn of(self, point: &Point) -> f64 {
        match self {
            Cost::Tokens => point.tokens,
            Cost::TrainFlops => point.train_flops,
            Cost::SunkFlops => point.sunk_flops,
            Cost::SixNd => point.six_nd,
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
    /// Its last evaluation.
    pub fn last(&self) -> &Point {
        self.curve.last().expect("a run has an evaluation")
    }

    /// Loss at `x` tokens from a growth at `at`, minus that of the last evaluation before the
    /// growth. At the growth itself the loss is what it was: no line is drawn from before it to
    /// after it.
    fn change_around(&self, at: f64, x: f64) -> f64 {
        let after = self.curve.partition_point(|point| point.tokens <= at);
        let before = Point { tokens: at, ..self.curve[after.saturating_sub(1)] };
        let known: Vec<Point> = match x <= 0.0 {
            true => self.curve[..after].iter().copied().chain([before]).collect(),
            false => std::iter::once(before).chain(self.curve[after..].iter().copied()).collect(),
        };
        interpolate(&known, Cost::Tokens, at + x) - before.loss
    }

    /// What it had cost when the loss fell to `target`: on a straight line between the last
    /// evaluation above it and the first at or below it. None if it never did.
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
        let runs = Runs::new(input);
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let mut names: Vec<&str> = vec![];
        for trial in &input.trials {
            *states.entry(trial.state.clone()).or_default() += 1;
            if !names.contains(&trial.strategy.as_str()) {
                names.push(&trial.strategy);
            }
        }
        let mut strategies: Vec<Strategy> =
            names.iter().filter_map(|name| Strategy::new(input, &runs, name)).collect();
        if strategies.is_empty() {
            return Err(ReportError::Empty(nothing(&input.sweep, &states)));
        }
        strategies.sort_by_key(|strategy| strategy.role != Role::Control);
        let control = strategies.iter().find(|strategy| strategy.role == Role::Control).cloned();
        if let Some(control) = &control {
            let all = strategies.clone();
            for strategy in strategies.iter_mut().filter(|s| s.role != Role::Control) {
                strategy.comparison = Some(Comparison::new(strategy, control, &all));
            }
            comparison::correct(&mut strategies);
        }
        Ok(Self {
            sweep: input.sweep.clone(),
            ablations: comparison::ablations(&strategies),
            strategies,
            states,
            control: control.map(|control| control.name),
            plans: plans(input),
            worst_growth: worst_growth(input),
            locked: input
                .growths
                .iter()
                .filter(|g| g.diagnosis.as_ref().is_some_and(Diagnosis::is_locked))
                .count(),
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
    pub fn count(&self, states: &[&str]) -> usize {
        states.iter().filter_map(|state| self.states.get(*state)).sum()
    }

    /// What whoever sees only a part of the report must know: that it is preliminary, or that no
    /// trial came to its end.
    pub fn note(&self) -> Option<String> {
        let (open, all) =
            (self.count(&["waiting", "running"]), self.states.values().sum::<usize>());
        match (open, self.count(&["diverged", "failed"])) {
            (0, lost) if lost == all => {
                Some(format!("No trial came to its end: {}.", list(&self.states)))
            }
            (0, _) => None,
            (open, _) => {
                Some(format!("Preliminary: {open} trials are not trained to their end yet."))
            }
        }
    }

    /// The growing strategies.
    pub fn grown(&self) -> impl Iterator<Item = &Strategy> {
        self.strategies.iter().filter(|strategy| strategy.role == Role::Grown)
    }
}

/// "3 diverged, 1 failed".
fn list(states: &BTreeMap<String, usize>) -> String {
    states.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", ")
}

/// Why there is nothing to draw, and what to do about it.
fn nothing(sweep: &str, states: &BTreeMap<String, usize>) -> String {
    let (sweep, found) = (visible(sweep), list(states));
    let all: usize = states.values().sum();
    let of = |names: &[&str]| names.iter().filter_map(|name| states.get(*name)).sum::<usize>();
    match (of(&["waiting", "running"]), of(&["diverged"]), of(&["failed"])) {
        (0, _, _) if all == 0 => format!("sweep {sweep} has no trials"),
        (0, diverged, 0) if diverged == all => format!(
            "all {all} trials of sweep {sweep} diverged before an evaluation that is a number, so there is nothing to draw; a lower \
             training.learning_rate or a longer warmup may keep them (`outgrow status` lists them)"
        ),
        (0, _, 1..) => format!(
            "no trial of sweep {sweep} was evaluated: {found}; `outgrow status` says why, `outgrow run --retry-failed SWEEP.toml` \
             trains the failed ones again"
        ),
        (0, _, _) => format!(
            "no trial of sweep {sweep} has an evaluation that is a number: {found}; `outgrow status` lists them"
        ),
        _ => format!(
            "sweep {sweep} has no trial with an evaluation yet ({found}); train some with `outgrow run`"
        ),
    }
}

/// The evaluations and growth events of the trials, by trial.
struct Runs<'a> {
    curves: BTreeMap<&'a str, Vec<&'a CurveRow>>,
    growths: BTreeMap<&'a str, Vec<&'a GrowthRow>>,
}

impl<'a> Runs<'a> {
    fn new(input: &'a Input) -> Self {
        let mut runs = Self { curves: BTreeMap::new(), growths: BTreeMap::new() };
        // The rows come trial by trial: one look-up for each run of rows.
        for rows in input.curves.chunk_by(|a, b| a.trial == b.trial) {
            runs.curves.entry(&rows[0].trial).or_default().extend(rows);
        }
        for row in &input.growths {
            runs.growths.entry(&row.trial).or_default().push(row);
        }
        runs
    }

    fn run(&self, trial: &TrialRow) -> Option<Run> {
        let growths = self.growths.get(trial.trial.as_str()).map_or(&[][..], Vec::as_slice);
        let source = growths
            .first()
            .map_or(0.0, |row| row.at.train_flops.saturating_sub(row.operator_flops) as f64);
        let rows = self.curves.get(trial.trial.as_str())?;
        let curve: Vec<Point> = rows.iter().filter_map(|row| point(row, trial, source)).collect();
        let growths = growths.iter().map(|row| (row.at.tokens as f64, row.axes.clone())).collect();
        let (plan, replicate, complete) = (trial.plan, trial.replicate, trial.state == "complete");
        (!curve.is_empty()).then_some(Run { plan, replicate, complete, curve, growths })
    }
}

fn point(row: &CurveRow, trial: &TrialRow, source: f64) -> Option<Point> {
    let (tokens, train_flops) = (row.at.tokens as f64, row.at.train_flops as f64);
    let ends = trial.phases.iter().skip(1).map(|phase| phase.tokens as f64).chain([f64::INFINITY]);
    let phases = trial.phases.iter().zip(ends);
    let six_nd = phases.map(|(phase, end)| {
        6.0 * phase.non_embedding as f64 * (end.min(tokens) - phase.tokens as f64).max(0.0)
    });
    Some(Point {
        tokens,
        train_flops,
        sunk_flops: (train_flops - source).max(0.0),
        six_nd: six_nd.sum(),
        wall_seconds: row.at.wall_seconds,
        loss: row.val_loss?,
    })
}

/// The mean of each seed's values, over the seeds.
pub fn by_seed(values: impl Iterator<Item = (usize, f64)>) -> BTreeMap<usize, f64> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    values.for_each(|(seed, value)| groups.entry(seed).or_default().push(value));
    groups
        .into_iter()
        .map(|(seed, values)| (seed, values.iter().sum::<f64>() / values.len() as f64))
        .collect()
}

/// The interval over the seeds.
pub fn interval(by_seed: &BTreeMap<usize, f64>) -> Option<Interval> {
    Interval::of(&by_seed.values().copied().collect::<Vec<_>>())
}

/// One learning rate of a strategy.
struct Arm {
    learning_rate: f64,
    runs: Vec<Run>,
}

impl Arm {
    /// For choosing: more complete trials first, then the lower mean final loss.
    fn merit(&self) -> (usize, f64) {
        let finals: Vec<f64> =
            self.runs.iter().filter(|run| run.complete).map(|run| run.last().loss).collect();
        (finals.len(), -finals.iter().sum::<f64>() / finals.len().max(1) as f64)
    }
}

impl Strategy {
    /// The strategy at its best learning rate; none without an evaluation.
    fn new(input: &Input, runs: &Runs, name: &str) -> Option<Self> {
        let trials: Vec<&TrialRow> =
            input.trials.iter().filter(|trial| trial.strategy == name).collect();
        let mut arms: Vec<Arm> = vec![];
        for trial in &trials {
            let at = arms
                .iter()
                .position(|arm| arm.learning_rate == trial.learning_rate)
                .unwrap_or_else(|| {
                    arms.push(Arm { learning_rate: trial.learning_rate, runs: vec![] });
                    arms.len() - 1
                });
            arms[at].runs.extend(runs.run(trial));
        }
        let rates: Vec<f64> = arms.iter().map(|arm| arm.learning_rate).collect();
        let better = |a: &Arm, b: &Arm| {
            let ((n_a, loss_a), (n_b, loss_b)) = (a.merit(), b.merit());
            n_a.cmp(&n_b)
                .then(loss_a.total_cmp(&loss_b))
                .then(b.learning_rate.total_cmp(&a.learning_rate))
        };
        let Arm { learning_rate, runs } =
            arms.into_iter().filter(|arm| !arm.runs.is_empty()).max_by(better)?;
        let complete = || runs.iter().filter(|run| run.complete);
        let over_seeds = |of: fn(&Point) -> f64| {
            interval(&by_seed(complete().map(|run| (run.replicate, of(run.last())))))
        };
        let count = |of: fn(&Run) -> usize| runs.iter().map(of).collect::<BTreeSet<_>>().len();
        let policy = &trials[0].policy;
        Some(Self {
            name: name.to_owned(),
            role: Role::of(&trials[0].kind),
            learning_rate,
            learning_rates: rates.len(),
            is_at_the_edge: rates.len() > 1
                && (rates.iter().all(|rate| *rate >= learning_rate)
                    || rates.iter().all(|rate| *rate <= learning_rate)),
            plans: count(|run| run.plan),
            seeds: count(|run| run.replicate),
            trials: trials.len(),
            lost: trials
                .iter()
                .filter(|trial| ["diverged", "failed"].contains(&trial.state.as_str()))
                .count(),
            final_loss: over_seeds(|point| point.loss),
            train_flops: over_seeds(|point| point.train_flops),
            tokens: over_seeds(|point| point.tokens),
            comparison: None,
            plan_ids: trials.iter().map(|trial| trial.plan_id.clone()).collect(),
            policy: [
                text(&policy.initializer),
                text(&policy.optimizer),
                text(&policy.learning_rate),
            ],
            runs,
        })
    }

    /// Its trials that were trained to their end.
    pub fn complete(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.complete)
    }

    /// Its complete trial of a seed: the first plan's, where there are several.
    pub fn of_seed(&self, replicate: usize) -> Option<&Run> {
        self.complete().find(|run| run.replicate == replicate)
    }

    /// The mean difference of its loss to the control's at the same compute, on the stretch that
    /// both have in common: FLOPs, and nats over seeds.
    pub fn gap_curve(&self, control: &Strategy) -> Vec<(f64, Interval)> {
        let pairs: Vec<(&Run, &Run)> = self
            .complete()
            .filter_map(|run| Some((run, control.of_seed(run.replicate)?)))
            .collect();
        let both = || pairs.iter().flat_map(|(a, b)| [*a, *b]);
        let first = both().map(|run| run.curve[0].train_flops).fold(0.0, f64::max);
        let last = both().map(|run| run.last().train_flops).fold(f64::INFINITY, f64::min);
        let at = |run: &Run, x: f64| interpolate(&run.curve, Cost::TrainFlops, x);
        let mean = |x: f64| {
            let gaps = pairs.iter().map(|(run, base)| (run.replicate, at(run, x) - at(base, x)));
            Some((x, interval(&by_seed(gaps))?))
        };
        logarithmic(first, last).filter_map(mean).collect()
    }

    /// From where on, and up to where, all its trials have evaluations.
    fn in_common(&self, cost: Cost) -> [f64; 2] {
        let first = self.runs.iter().map(|run| cost.of(&run.curve[0])).fold(0.0, f64::max);
        [first, self.runs.iter().map(|run| cost.of(run.last())).fold(f64::INFINITY, f64::min)]
    }

    /// The mean loss over `cost`, on the stretch that all its trials have in common: cost, and loss
    /// over seeds. It ends where the first of them ends: a mean over those that are left would jump
    /// there.
    pub fn mean_curve(&self, cost: Cost) -> Vec<(f64, Interval)> {
        let [first, last] = self.in_common(cost);
        let mean = |x: f64| {
            let losses =
                self.runs.iter().map(|run| (run.replicate, interpolate(&run.curve, cost, x)));
            Some((x, interval(&by_seed(losses))?))
        };
        logarithmic(first, last).filter_map(mean).collect()
    }

    /// The trials that go on beyond the end of the mean curve, each from there to its own end;
    /// where there is no mean curve, the whole trials.
    pub fn beyond(&self, cost: Cost) -> Vec<Beyond> {
        let [first, last] = self.in_common(cost);
        let from = if first < last { last } else { 0.0 };
        let tail = |run: &Run| {
            let join = (from > 0.0).then(|| (from, interpolate(&run.curve, cost, from)));
            let rest = run
                .curve
                .iter()
                .filter(|point| cost.of(point) > from)
                .map(|point| (cost.of(point), point.loss));
            let curve = thinned(join.into_iter().chain(rest).collect());
            (curve.len() > 1).then_some(Beyond { plan: run.plan, replicate: run.replicate, curve })
        };
        self.runs.iter().filter_map(tail).collect()
    }

    /// The mean change of loss around its growth events since the last evaluation before each, over
    /// tokens since the event: a tenth of the shortest trial to both sides, over the events that
    /// have so much room; over seeds.
    pub fn around_growth(&self) -> Vec<(f64, Interval)> {
        let reach =
            self.runs.iter().map(|run| run.last().tokens / 10.0).fold(f64::INFINITY, f64::min);
        let events =
            self.runs.iter().flat_map(|run| run.growths.iter().map(move |growth| (run, growth.0)));
        let has_room = |(run, at): &(&Run, f64)| {
            at - run.curve[0].tokens >= reach && run.last().tokens - at >= reach
        };
        let seen: Vec<(&Run, f64)> = events.filter(has_room).collect();
        if seen.is_empty() {
            return vec![];
        }
        let change = |(run, at): &(&Run, f64), x: f64| (run.replicate, run.change_around(*at, x));
        let mean =
            |x: f64| Some((x, interval(&by_seed(seen.iter().map(|event| change(event, x))))?));
        (0..GRID).filter_map(|i| mean(reach * (2.0 * i as f64 / (GRID - 1) as f64 - 1.0))).collect()
    }

    /// FLOPs to reach each of `targets` as a fraction of the control's, over seeds (a mean of
    /// logarithms); it ends where the first trial of a seed did not get there.
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

/// A trial beyond the end of its strategy's mean curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Beyond {
    /// Which plan.
    pub plan: usize,
    /// Which seed.
    pub replicate: usize,
    /// Cost and loss.
    pub curve: Vec<(f64, f64)>,
}

/// No more points of a curve than the eye can tell apart, its ends among them.
pub fn thinned(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = curve.len().div_ceil(MOST_POINTS).max(1);
    let last = curve.len().saturating_sub(1);
    let stays = |n: usize| n == 0 || (last - n).is_multiple_of(every);
    curve.into_iter().enumerate().filter(|(n, _)| stays(*n)).map(|(_, point)| point).collect()
}

/// Points of a mean curve from `first` to `last`, in equal ratios; none where there is no stretch.
fn logarithmic(first: f64, last: f64) -> impl Iterator<Item = f64> {
    let n = if first > 0.0 && first < last { GRID } else { 0 };
    let ratio = (last / first).powf(1.0 / (GRID - 1) as f64);
    (0..n).map(move |i| if i + 1 == GRID { last } else { first * ratio.powi(i as i32) })
}

/// A part of a policy as the sweep file says it.
fn text(part: &impl Serialize) -> String {
    match serde_json::to_value(part).expect("a policy is plain data") {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(fields) => {
            let value = |value: &serde_json::Value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            };
            let rest = fields
                .iter()
                .filter(|(key, _)| *key != "kind")
                .map(|(key, v)| format!(" {key} {}", value(v)));
            fields.get("kind").map(value).unwrap_or_default() + &rest.collect::<String>()
        }
        other => other.to_string(),
    }
}

/// The loss at a cost between two evaluations, for drawing mean curves only.
fn interpolate(curve: &[Point], cost: Cost, x: f64) -> f64 {
    let after = curve.partition_point(|point| cost.of(point) < x).clamp(1, curve.len().max(2) - 1);
    let (Some(a), Some(b)) = (curve.get(after - 1), curve.get(after)) else { return curve[0].loss };
    let (from, to) = (cost.of(a), cost.of(b));
    let share = if to > from { ((x - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
    a.loss + share * (b.loss - a.loss)
}

fn plans(input: &Input) -> Vec<Plan> {
    let mut grown: BTreeMap<&str, Vec<&GrowthRow>> = BTreeMap::new();
    input.growths.iter().for_each(|row| grown.entry(&row.trial).or_default().push(row));
    let mut plans: BTreeMap<(usize, &str, usize), Plan> = BTreeMap::new();
    let mut order: Vec<&str> = vec![];
    for trial in input.trials.iter().filter(|trial| Role::of(&trial.kind) == Role::Grown) {
        let place = order.iter().position(|name| *name == trial.strategy).unwrap_or_else(|| {
            order.push(&trial.strategy);
            order.len() - 1
        });
        let key = (place, trial.strategy.as_str(), trial.plan);
        let rows = grown.get(trial.trial.as_str()).map_or(&[][..], Vec::as_slice);
        // All replicates of a plan grow alike; the one that has come furthest shows all of it.
        if plans.get(&key).is_some_and(|plan| plan.stages.len() >= rows.len()) {
            continue;
        }
        let stage = |row: &&GrowthRow| {
            (row.at.tokens as f64, row.axes.iter().copied().collect(), row.parameters_after as f64)
        };
        let parameters = rows.first().map_or(0.0, |row| row.parameters_before as f64);
        let stages = rows.iter().map(stage).collect();
        plans.insert(
            key,
            Plan { name: trial.strategy.clone(), tokens: trial.tokens as f64, parameters, stages },
        );
    }
    let several = |name: &str| plans.keys().filter(|key| key.1 == name).count() > 1;
    let numbered: Vec<String> = plans
        .keys()
        .map(
            |(_, name, plan)| {
                if several(name) { format!("{name} {}", plan + 1) } else { (*name).to_owned() }
            },
        )
        .collect();
    plans.into_values().zip(numbered).map(|(plan, name)| Plan { name, ..plan }).collect()
}

/// Over the growth events that claim to preserve the function.
fn worst_growth(input: &Input) -> Option<(f64, usize)> {
    let relative = |row: &GrowthRow| row.error.map_or(f64::INFINITY, |error| error / row.tolerance);
    let claims: Vec<f64> =
        input.growths.iter().filter(|row| row.preserving).map(relative).collect();
    let worst = claims.iter().copied().reduce(f64::max)?;
    Some((worst, claims.len()))
}
