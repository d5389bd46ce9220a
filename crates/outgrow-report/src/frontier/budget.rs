//! The least loss over sizes at one budget.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use super::{
    jackknife::{mean, pseudo_values, without},
    law::Law,
    polynomial::{Bottom, Shape},
    rows::{BornEnd, Count},
};
use crate::{
    interval::{Interval, interval},
    tested::{Tested, correct},
};

/// Least number of sizes for a vertex.
const SIZES: usize = 5;

/// The minimum over the sizes of one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vertex {
    /// Parameters. Its interval is widened by how far the cubic's own minimum is off.
    pub n_star: Interval,
    /// Nats. Its interval is widened by `cubic_moves` or `undercut`, whichever is more, where that is
    /// more than its half-width.
    pub loss: Interval,
    /// By how many nats the cubic's own minimum differs from `loss`; none where it has none.
    pub cubic_moves: Option<f64>,
    /// The size that shows `loss` to be too high; none where no size does.
    pub undercut: Option<Undercut>,
    /// Nats per squared factor e of N.
    pub curvature: f64,
    /// The sizes with a weight above zero, by their numbers in the rows.
    pub sizes: Vec<usize>,
}

/// A size that ends clearly below the vertex. Loss against size has a step there, as it has between
/// models of two layers and of three, and no polynomial has one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Undercut {
    /// Its number in the rows.
    pub size: usize,
    /// Its parameters.
    pub n: f64,
    /// Its loss minus that of the vertex in nats, corrected for all sizes of the budget.
    pub by: Interval,
}

/// Why a budget has no vertex, and so no gap.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum NotEnclosed {
    #[error("{0} sizes with fresh text, a vertex takes {SIZES}: add sizes")]
    TooFewSizes(usize),
    #[error("no seed has an end at every size: train the missing ones")]
    NoSeed,
    #[error("loss against size has no minimum: add sizes or seeds")]
    NoMinimum,
    #[error("the best size is below the second smallest: add smaller sizes")]
    Smaller,
    #[error("the best size is above the second largest: add larger sizes")]
    Larger,
    #[error("without seed {0} loss against size has no minimum among the sizes: add seeds")]
    Unstable(usize),
}

/// The born ends of one budget.
pub(super) struct Slice {
    pub budget: usize,
    /// Of the geometric mean of FLOPs.
    pub log_c: f64,
    sizes: Vec<usize>,
    /// log N, rising.
    x: Vec<f64>,
    /// log of FLOPs per token, one a size.
    per_token: Vec<f64>,
    /// Losses, one a size, of the seeds that have every size; at `log_c`.
    losses: BTreeMap<usize, Vec<f64>>,
    pub shape: Result<Shape, NotEnclosed>,
}

impl Slice {
    /// Of all fresh ends; none where the budget has none.
    pub fn of(fresh: &[&BornEnd], budget: usize, count: Count) -> Option<Self> {
        let own: Vec<&BornEnd> = fresh.iter().copied().filter(|end| end.budget == budget).collect();
        let log_c = mean(own.iter().map(|end| end.flops.ln()))?;
        let mut by_size: BTreeMap<usize, Vec<&BornEnd>> = BTreeMap::new();
        own.iter().for_each(|&end| by_size.entry(end.size).or_default().push(end));
        let mut columns: Vec<Column> =
            by_size.values().map(|ends| Column::of(ends, fresh, log_c, count)).collect();
        columns.sort_by(|a, b| a.x.total_cmp(&b.x));
        let seeds: BTreeSet<usize> = own.iter().map(|end| end.seed).collect();
        let row = |seed: usize| -> Option<Vec<f64>> {
            columns.iter().map(|column| column.losses.get(&seed).copied()).collect()
        };
        let mut slice = Self {
            budget,
            log_c,
            sizes: columns.iter().map(|column| column.size).collect(),
            x: columns.iter().map(|column| column.x).collect(),
            per_token: columns.iter().map(|column| column.per_token).collect(),
            losses: seeds.into_iter().filter_map(|seed| Some((seed, row(seed)?))).collect(),
            shape: Err(NotEnclosed::NoSeed),
        };
        slice.shape = slice.enclosed();
        Some(slice)
    }

    /// That have every size.
    pub fn seeds(&self) -> Vec<usize> {
        self.losses.keys().copied().collect()
    }

    fn means(&self, seeds: &[usize]) -> Vec<f64> {
        let rows: Vec<&Vec<f64>> = seeds.iter().filter_map(|seed| self.losses.get(seed)).collect();
        let mean = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64;
        (0..self.x.len()).map(mean).collect()
    }

    /// Weights around the minimum of a first fit, if all seeds and all without each enclose it.
    fn enclosed(&self) -> Result<Shape, NotEnclosed> {
        let (n, seeds) = (self.x.len(), self.seeds());
        if n < SIZES {
            return Err(NotEnclosed::TooFewSizes(n));
        }
        if seeds.is_empty() {
            return Err(NotEnclosed::NoSeed);
        }
        let y = self.means(&seeds);
        let lowest = (0..n).min_by(|&a, &b| y[a].total_cmp(&y[b])).unwrap_or(0);
        let first = Shape::flat(self.x[lowest], n).bottom(&self.x, &y);
        let centre = first.map_or(self.x[lowest], |b| b.x.clamp(self.x[0], self.x[n - 1]));
        let shape = Shape::around(centre, &self.x, SIZES);
        let bottom = shape.bottom(&self.x, &y).ok_or(NotEnclosed::NoMinimum)?;
        if bottom.x < self.x[1] {
            return Err(NotEnclosed::Smaller);
        }
        if bottom.x > self.x[n - 2] {
            return Err(NotEnclosed::Larger);
        }
        let is_unstable = |&&seed: &&usize| {
            let bottom = shape.bottom(&self.x, &self.means(&without(&seeds, Some(seed))));
            !bottom.is_some_and(|b| self.x[0] <= b.x && b.x <= self.x[n - 1])
        };
        match seeds.iter().find(|seed| seeds.len() > 1 && is_unstable(seed)) {
            Some(&seed) => Err(NotEnclosed::Unstable(seed)),
            None => Ok(shape),
        }
    }

    /// By the means of these seeds, of which those with every size count.
    pub fn least(&self, seeds: &[usize]) -> Option<Bottom> {
        self.shape.as_ref().ok()?.bottom(&self.x, &self.means(seeds))
    }

    /// By how many nats the least loss may be wrong by its form: the cubic's own minimum differs, or
    /// a size undercuts it.
    pub fn misfit(&self, seeds: &[usize]) -> f64 {
        misfit(self.cubic_moves(seeds), self.undercut(seeds).as_ref())
    }

    fn cubic_moves(&self, seeds: &[usize]) -> Option<[f64; 2]> {
        let (shape, bottom) = (self.shape.as_ref().ok()?, self.least(seeds)?);
        shape.cubic_moves(&self.x, &self.means(seeds), &bottom)
    }

    /// The size that ends the furthest below the least loss, of those that clearly do.
    fn undercut(&self, seeds: &[usize]) -> Option<Undercut> {
        let tested = |size: usize| {
            let by = |out| {
                let seeds = without(seeds, out);
                Some(self.means(&seeds)[size] - self.least(&seeds)?.loss)
            };
            Some((size, Tested::of(&pseudo_values(seeds, by)?)?))
        };
        let mut all: Vec<(usize, Tested)> = (0..self.x.len()).filter_map(tested).collect();
        correct(all.iter_mut().map(|(_, tested)| tested));
        let lower = all.iter().filter(|(_, by)| by.value.mean < 0.0 && by.is_significant());
        let lowest = lower.min_by(|a, b| a.1.value.mean.total_cmp(&b.1.value.mean));
        lowest.map(|(size, by)| Undercut {
            size: self.sizes[*size],
            n: self.x[*size].exp(),
            by: by.corrected,
        })
    }

    pub fn vertex(&self) -> Result<Vertex, NotEnclosed> {
        let shape = self.shape.as_ref().map_err(Clone::clone)?;
        let seeds = self.seeds();
        let bottom = self.least(&seeds).ok_or(NotEnclosed::NoMinimum)?;
        let jackknife = |of: fn(Bottom) -> f64| {
            let values = pseudo_values(&seeds, |out| self.least(&without(&seeds, out)).map(of));
            values.as_ref().and_then(interval).ok_or(NotEnclosed::NoMinimum)
        };
        let (moves, undercut) = (self.cubic_moves(&seeds), self.undercut(&seeds));
        let along = moves.map_or(0.0, |[along, _]| along.abs());
        let (loss, misfit) = (jackknife(|bottom| bottom.loss)?, misfit(moves, undercut.as_ref()));
        let used = self.sizes.iter().zip(&shape.weights).filter(|(_, weight)| **weight > 0.0);
        Ok(Vertex {
            n_star: jackknife(|bottom| bottom.x)?.widened(along).map(f64::exp),
            loss: if misfit > loss.half_width() { loss.widened(misfit) } else { loss },
            cubic_moves: moves.map(|[_, loss]| loss),
            undercut,
            curvature: bottom.curvature,
            sizes: used.map(|(size, _)| *size).collect(),
        })
    }

    /// Each size: its N, its losses by seed at `log_c`, and whether the parabola goes through it.
    pub fn sizes(&self) -> impl Iterator<Item = (f64, Interval, bool)> {
        let is_fitted = |i: usize| self.shape.as_ref().is_ok_and(|shape| shape.weights[i] > 0.0);
        let losses = |i: usize| self.losses.iter().map(|(seed, row)| (*seed, row[i])).collect();
        (0..self.x.len())
            .filter_map(move |i| Some((self.x[i].exp(), interval(&losses(i))?, is_fitted(i))))
    }

    /// The parabola at log N.
    pub fn parabola(&self, at: f64) -> Option<f64> {
        self.shape.as_ref().ok()?.parabola(&self.x, &self.means(&self.seeds()), at)
    }

    /// The least loss of a law at this compute between the smallest and the largest size, with the
    /// FLOPs per token of the sizes; by golden sections.
    pub fn by_law(&self, law: &Law) -> f64 {
        let loss = |x: f64| {
            let log_d = self.log_c - interpolate(&self.x, &self.per_token, x);
            law.loss(x.exp(), log_d.exp())
        };
        let [mut low, mut high] = [self.x[0], self.x[self.x.len() - 1]];
        let golden = (5f64.sqrt() - 1.0) / 2.0;
        for _ in 0..30 {
            let step = golden * (high - low);
            let is_left = loss(high - step) < loss(low + step);
            if is_left { high = low + step } else { low = high - step }
        }
        loss((low + high) / 2.0)
    }
}

/// Of a cubic's move along log N and in loss, and of what is below the least loss.
fn misfit(cubic_moves: Option<[f64; 2]>, undercut: Option<&Undercut>) -> f64 {
    let moves = cubic_moves.map_or(0.0, |[_, loss]| loss.abs());
    moves.max(undercut.map_or(0.0, |undercut| undercut.by.mean.abs()))
}

/// One size at one budget.
struct Column {
    size: usize,
    x: f64,
    per_token: f64,
    losses: BTreeMap<usize, f64>,
}

impl Column {
    /// Losses are moved to `log_c` along the size's own slope: ends are off by whole steps.
    fn of(ends: &[&BornEnd], fresh: &[&BornEnd], log_c: f64, count: Count) -> Self {
        let slope = slope(fresh, ends[0]);
        let moved = |end: &BornEnd| end.loss + slope * (log_c - end.flops.ln());
        let per_token = mean(ends.iter().map(|end| (end.flops / end.tokens).ln()));
        Self {
            size: ends[0].size,
            x: count.of(&ends[0].counts).ln(),
            per_token: per_token.unwrap_or_default(),
            losses: ends.iter().map(|end| (end.seed, moved(end))).collect(),
        }
    }
}

/// d loss / d log C of the size of an end at its budget, from the next budgets on both sides; 0
/// where the size has no other.
fn slope(fresh: &[&BornEnd], end: &BornEnd) -> f64 {
    let mut budgets: BTreeMap<usize, Vec<&BornEnd>> = BTreeMap::new();
    let own = fresh.iter().filter(|other| other.size == end.size);
    own.for_each(|other| budgets.entry(other.budget).or_default().push(other));
    let point = |ends: &Vec<&BornEnd>| {
        Some([mean(ends.iter().map(|e| e.flops.ln()))?, mean(ends.iter().map(|e| e.loss))?])
    };
    let mut points: Vec<(usize, [f64; 2])> =
        budgets.iter().filter_map(|(&budget, ends)| Some((budget, point(ends)?))).collect();
    points.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]));
    let i = points.iter().position(|point| point.0 == end.budget).unwrap_or(0);
    let [low, high] = [i.saturating_sub(1), (i + 1).min(points.len() - 1)].map(|i| points[i].1);
    if high[0] > low[0] { (high[1] - low[1]) / (high[0] - low[0]) } else { 0.0 }
}

/// Linear between points of rising x, of which there are at least two; beyond them along the
/// outermost pieces.
pub(super) fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let i = x.partition_point(|x| *x < at).clamp(1, x.len() - 1);
    y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1])
}
