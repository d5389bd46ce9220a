//! Trials and their evaluations.

use std::collections::BTreeMap;

use outgrow_core::{
    TrialState,
    growth::TransformKind,
    rows::{CurveRow, GrowthRow, TrialRow},
};

use crate::input::Input;

/// One trial.
#[derive(Clone, Debug)]
pub struct Run {
    pub plan: usize,
    pub replicate: usize,
    /// Whether it was trained to its end.
    pub complete: bool,
    /// Its evaluations.
    pub curve: Vec<Point>,
    /// Its growth events.
    pub growths: Vec<Event>,
}

/// A growth of a trial.
#[derive(Clone, Debug)]
pub struct Event {
    pub tokens: f64,
    /// The axes that it enlarged.
    pub axes: Vec<TransformKind>,
    /// Loss of the grown model on the probe batch minus that of the model before.
    pub loss_change: Option<f64>,
}

impl Run {
    /// Its last evaluation.
    pub fn last(&self) -> &Point {
        self.curve.last().expect("a run has an evaluation")
    }

    /// Whether it had a loss before its last evaluation.
    pub fn is_early(&self, target: f64) -> bool {
        let at = self.curve.iter().position(|point| point.loss <= target);
        at.is_some_and(|at| at + 1 < self.curve.len())
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

/// The evaluations and growth events of the trials, by trial.
pub struct Runs<'a> {
    curves: BTreeMap<&'a str, Vec<&'a CurveRow>>,
    growths: BTreeMap<&'a str, Vec<&'a GrowthRow>>,
}

impl<'a> Runs<'a> {
    /// Sorts the rows of a sweep by trial.
    pub fn new(input: &'a Input) -> Self {
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

    /// A trial; none without an evaluation.
    pub fn run(&self, trial: &TrialRow) -> Option<Run> {
        let growths = self.growths.get(trial.trial.as_str()).map_or(&[][..], Vec::as_slice);
        let source = growths
            .first()
            .map_or(0.0, |row| row.at.train_flops.saturating_sub(row.operator_flops) as f64);
        let rows = self.curves.get(trial.trial.as_str())?;
        let curve: Vec<Point> = rows.iter().filter_map(|row| point(row, trial, source)).collect();
        let event = |row: &&GrowthRow| Event {
            tokens: row.at.tokens as f64,
            axes: row.axes.clone(),
            loss_change: row.loss_change,
        };
        let growths = growths.iter().map(event).collect();
        let (plan, replicate, complete) =
            (trial.plan, trial.replicate, trial.state == TrialState::Complete);
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
