use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use super::Task;
use crate::{model::LayerShape, stream::Stream};

/// Where new layers go: which of the target's layers the initial ones become, and in which order
/// the others come where a plan adds them bit by bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// Behind the layers that are there: next to the output.
    #[default]
    End,
    /// Before the layers that are there: next to the input, the last one first.
    Start,
    /// Between the layers that are there, evenly: as many behind each of them.
    Interleave,
    /// Drawn, uniformly among the ways that fit. The draw depends on the sweep's seed, the replicate
    /// and the number of the plan alone, so strategies that differ in when, how often or what else they grow have
    /// the same places.
    Random,
}

/// Which initial layer becomes which of the target's, and the order of those that it lacks.
pub(super) struct Places {
    /// For each initial layer, the layer of the target that it will become.
    pub images: Vec<usize>,
    /// The other layers of the target, first come first.
    pub absent: Vec<usize>,
}

type Fits<'a> = &'a dyn Fn(usize, usize) -> bool;

impl Layers {
    /// The places of a task's layers, if its initial layers fit into the target's.
    pub(super) fn places(
        self,
        task: &Task,
        fits: impl Fn(&LayerShape, &LayerShape) -> bool,
    ) -> Option<Places> {
        let (initial, target) = (&task.initial.layers, &task.target.layers);
        let (n, m) = (initial.len(), target.len());
        let fits = |i: usize, j: usize| fits(&initial[i], &target[j]);
        let mut rng = task.stream("layers");
        let images = match self {
            Self::End => first(n, m, &fits)?,
            Self::Start => {
                let mirrored = first(n, m, &|i, j| fits(n - 1 - i, m - 1 - j))?;
                mirrored.into_iter().rev().map(|j| m - 1 - j).collect()
            }
            Self::Interleave => even(n, m, &fits)?,
            Self::Random => draw(n, m, &fits, &mut rng)?,
        };
        let mut absent: Vec<usize> = (0..m).filter(|j| !images.contains(j)).collect();
        match self {
            Self::End => {}
            Self::Start => absent.reverse(),
            Self::Interleave => absent = spread(&absent),
            Self::Random => absent.shuffle(&mut rng),
        }
        Some(Places { images, absent })
    }
}

/// The lowest order-preserving choice of `n` of `m` places that fit.
fn first(n: usize, m: usize, fits: Fits) -> Option<Vec<usize>> {
    let mut free = 0;
    let next = |i| {
        let j = (free..m).find(|&j| fits(i, j))?;
        free = j + 1;
        Some(j)
    };
    (0..n).map(next).collect()
}

/// The order-preserving choice that is nearest to even distances.
///
/// `cost[i][j]` is the least sum of distances of the layers from i on among the places from j on.
fn even(n: usize, m: usize, fits: Fits) -> Option<Vec<usize>> {
    let distance = |i: usize, j: usize| (i * m / n).abs_diff(j) as f64;
    let mut cost = vec![vec![f64::INFINITY; m + 1]; n + 1];
    cost[n] = vec![0.0; m + 1];
    let here = |cost: &[Vec<f64>], i: usize, j: usize| match fits(i, j) {
        true => cost[i + 1][j + 1] + distance(i, j),
        false => f64::INFINITY,
    };
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            cost[i][j] = cost[i][j + 1].min(here(&cost, i, j));
        }
    }
    if cost[0][0].is_infinite() {
        return None;
    }
    let mut free = 0;
    let next = |i| {
        let j = (free..m).find(|&j| here(&cost, i, j) <= cost[i][j])?;
        free = j + 1;
        Some(j)
    };
    (0..n).map(next).collect()
}

/// Draws, uniformly, an order-preserving choice of places that fit.
///
/// `ways[i][j]` counts the choices for the layers from i on among the places from j on; walking the
/// table with those weights makes every choice equally likely.
fn draw(n: usize, m: usize, fits: Fits, rng: &mut Stream) -> Option<Vec<usize>> {
    let mut ways = vec![vec![0.0f64; m + 1]; n + 1];
    ways[n] = vec![1.0; m + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let here = if fits(i, j) { ways[i + 1][j + 1] } else { 0.0 };
            ways[i][j] = ways[i][j + 1] + here;
        }
    }
    let mut images = vec![];
    let mut j = 0;
    for i in 0..n {
        // Choose j as image, or skip it, in proportion to the ways that each leaves.
        while !(j < m && fits(i, j) && rng.random::<f64>() * ways[i][j] < ways[i + 1][j + 1]) {
            j += 1;
            if j >= m {
                return None;
            }
        }
        images.push(j);
        j += 1;
    }
    Some(images)
}

/// A list in an order of which every beginning is spread over it.
fn spread(all: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|number| number.reverse_bits());
    order.into_iter().map(|number| all[number]).collect()
}
