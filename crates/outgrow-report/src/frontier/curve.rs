//! L* against compute, and the compute at which it has a given loss.

use std::fmt;

use serde::Serialize;

use super::{
    budget::{Slice, interpolate},
    jackknife::without,
};
use crate::interval::{mean_and_variance, quantile};

/// Compute that the best born model needs for the loss of an arm, over the arm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Multiplier {
    /// Of the mean loss.
    pub value: Censored,
    /// The 95 % interval as if it were the only one; none where it is open.
    pub bounds: [Option<f64>; 2],
    /// The interval at the level at which Holm's procedure decides about the gap.
    pub corrected: [Option<f64>; 2],
    /// Seeds.
    pub n: usize,
    /// Seeds whose own loss, paired with the frontier's, is outside of the measured budgets.
    pub censored: usize,
}

/// A number, or the bound that is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Censored {
    At(f64),
    Above(f64),
    Below(f64),
}

impl fmt::Display for Censored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(value) => write!(f, "{value:.2}"),
            Self::Above(value) => write!(f, "> {value:.2}"),
            Self::Below(value) => write!(f, "< {value:.2}"),
        }
    }
}

/// L* of the budgets with a vertex, by seeds of a comparison. Between budgets log(L* − E) is linear
/// in log C: exactly so for a law with C ∝ N D.
pub(super) struct Curve {
    /// log C, rising.
    x: Vec<f64>,
    budgets: Vec<usize>,
    seeds: Vec<usize>,
    /// E.
    floor: f64,
    /// log(L* − E) with all seeds, then without each; none where one of them has no minimum.
    heights: Option<Vec<Vec<f64>>>,
}

impl Curve {
    /// `e` is the law's. It is kept at least a tenth of the range of L* below the least.
    pub fn of(slices: &[Slice], seeds: &[usize], e: Option<f64>) -> Self {
        let known: Vec<&Slice> = slices.iter().filter(|slice| slice.shape.is_ok()).collect();
        let of = |slice: &Slice, out: Option<usize>| {
            let all = slice.seeds();
            let shared: Vec<usize> = seeds.iter().copied().filter(|s| all.contains(s)).collect();
            let used = if shared.is_empty() { all } else { shared };
            Some(slice.least(&without(&used, out))?.loss)
        };
        let losses = |out| known.iter().map(|slice| of(slice, out)).collect::<Option<Vec<f64>>>();
        let least: Option<Vec<Vec<f64>>> = outs(seeds).map(losses).collect();
        let all = || least.iter().flatten().flatten().copied();
        let [low, high] = [all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max)];
        let floor = e.unwrap_or(0.0).min(low - 0.1 * (high - low));
        let height = |losses: Vec<f64>| losses.iter().map(|loss| (loss - floor).ln()).collect();
        Self {
            x: known.iter().map(|slice| slice.log_c).collect(),
            budgets: known.iter().map(|slice| slice.budget).collect(),
            seeds: seeds.to_vec(),
            floor,
            heights: least.map(|all| all.into_iter().map(height).collect()),
        }
    }

    pub fn seeds(&self) -> &[usize] {
        &self.seeds
    }

    /// L* of a budget, without a seed.
    pub fn at_budget(&self, budget: usize, out: Option<usize>) -> Option<f64> {
        let place = self.budgets.iter().position(|own| *own == budget)?;
        let row = outs(&self.seeds).position(|own| own == out)?;
        Some(self.floor + self.heights.as_ref()?[row][place].exp())
    }

    /// L* at a compute between the budgets, without a seed.
    pub fn at(&self, log_c: f64, out: Option<usize>) -> Option<f64> {
        let row = outs(&self.seeds).position(|own| own == out)?;
        let heights = &self.heights.as_ref()?[row];
        let height = match heights[..] {
            [] => return None,
            [only] => only,
            _ => interpolate(&self.x, heights, log_c),
        };
        Some(self.floor + height.exp())
    }

    /// d L* / d log C at a budget, from the next ones on both sides; 0 for a single budget.
    pub fn slope(&self, budget: usize) -> f64 {
        let Some(i) = self.budgets.iter().position(|own| *own == budget) else { return 0.0 };
        let [low, high] = [i.saturating_sub(1), (i + 1).min(self.x.len() - 1)];
        let run = self.x[high] - self.x[low];
        let [a, b] = [low, high].map(|i| self.at_budget(self.budgets[i], None));
        a.zip(b).filter(|_| run > 0.0).map_or(0.0, |(a, b)| (b - a) / run)
    }

    /// The multiplier at `log_c` of an arm with these mean losses; none for a single budget. Its
    /// interval is the set of computes C at which the interval of L_grown − L*(C) includes zero,
    /// with `widening` added to both sides of that.
    pub fn multiplier(
        &self,
        log_c: f64,
        grown: impl Fn(Option<usize>) -> Option<f64>,
        [level, widening]: [f64; 2],
    ) -> Option<Multiplier> {
        let grown = outs(&self.seeds).map(grown).collect::<Option<Vec<f64>>>()?;
        let gaps = Gaps { curve: self, heights: self.heights.as_ref()?, grown };
        // The arm's own compute belongs to it: it may be off its budget by the rounding of steps.
        let range = [self.x.first()?.min(log_c), self.x.last()?.max(log_c)];
        if self.x.len() < 2 {
            return None;
        }
        let over = |place: f64| (place - log_c).exp();
        let value = match crossing(range, |place| gaps.of(0, place)) {
            Crossing::At(place) => Censored::At(over(place)),
            Crossing::Before(first) => Censored::Below(over(first)),
            Crossing::After(last) => Censored::Above(over(last)),
        };
        let n = self.seeds.len();
        let bounds = |level: f64| {
            let reach = if n > 1 { quantile(n, level) } else { f64::INFINITY };
            let bound = |side: f64| {
                crossing(range, |place| {
                    let [mean, error] = gaps.mean_and_error(place);
                    mean + side * (reach * error + widening)
                })
            };
            [bound(1.0).lower(), bound(-1.0).upper()].map(|place| place.map(over))
        };
        let [lowest, highest] = [range[1], range[0]].map(|place| gaps.frontier(0, place));
        let here = gaps.frontier(0, log_c);
        let own = gaps.pseudo(log_c).into_iter().map(|gap| here + gap);
        Some(Multiplier {
            value,
            bounds: bounds(0.05),
            corrected: bounds(level),
            n,
            censored: own.filter(|loss| *loss > highest || *loss < lowest).count(),
        })
    }
}

/// No seed, then each of several.
fn outs(seeds: &[usize]) -> impl Iterator<Item = Option<usize>> {
    let several = if seeds.len() > 1 { seeds } else { &[] };
    std::iter::once(None).chain(several.iter().copied().map(Some))
}

/// L_grown − L*(C) with all seeds, then without each.
struct Gaps<'a> {
    curve: &'a Curve,
    heights: &'a [Vec<f64>],
    grown: Vec<f64>,
}

impl Gaps<'_> {
    fn frontier(&self, row: usize, log_c: f64) -> f64 {
        self.curve.floor + interpolate(&self.curve.x, &self.heights[row], log_c).exp()
    }

    fn of(&self, row: usize, log_c: f64) -> f64 {
        self.grown[row] - self.frontier(row, log_c)
    }

    /// Pseudo-values; the gap itself of a single seed.
    fn pseudo(&self, log_c: f64) -> Vec<f64> {
        let full = self.of(0, log_c);
        let n = self.grown.len() as f64 - 1.0;
        let seeds = 1..self.grown.len();
        let values: Vec<f64> =
            seeds.map(|row| n * full - (n - 1.0) * self.of(row, log_c)).collect();
        if values.is_empty() { vec![full] } else { values }
    }

    /// The error of a single seed is not known: infinite.
    fn mean_and_error(&self, log_c: f64) -> [f64; 2] {
        let values = self.pseudo(log_c);
        let (mean, variance) = mean_and_variance(&values);
        let is_known = values.len() > 1;
        [mean, if is_known { (variance / values.len() as f64).sqrt() } else { f64::INFINITY }]
    }
}

/// Before the range, which begins here; at a place; or after the range, which ends here.
enum Crossing {
    Before(f64),
    At(f64),
    After(f64),
}

impl Crossing {
    /// The largest place that it is known not to be before.
    fn lower(self) -> Option<f64> {
        match self {
            Self::Before(_) => None,
            Self::At(place) | Self::After(place) => Some(place),
        }
    }

    /// The smallest place that it is known not to be after.
    fn upper(self) -> Option<f64> {
        match self {
            Self::After(_) => None,
            Self::At(place) | Self::Before(place) => Some(place),
        }
    }
}

/// Where a rising function passes zero, by bisection to 1e-7 of the range.
fn crossing([mut low, mut high]: [f64; 2], f: impl Fn(f64) -> f64) -> Crossing {
    if f(low) > 0.0 {
        return Crossing::Before(low);
    }
    if f(high) < 0.0 {
        return Crossing::After(high);
    }
    for _ in 0..24 {
        let middle = (low + high) / 2.0;
        if f(middle) > 0.0 { high = middle } else { low = middle }
    }
    Crossing::At((low + high) / 2.0)
}
