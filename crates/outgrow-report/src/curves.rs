//! Mean curves of strategies, for drawing.

use crate::{
    interval::{Interval, by_seed, interval},
    runs::{Cost, Point, Run},
    strategy::Strategy,
};

/// Points of a mean curve.
const GRID: usize = 96;
/// Points of a trial's curve: more the eye can't tell apart.
const MOST_POINTS: usize = 100;

impl Strategy {
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
        let events = self
            .runs
            .iter()
            .flat_map(|run| run.growths.iter().map(move |growth| (run, growth.tokens)));
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
    pub plan: usize,
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

impl Run {
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
}

/// The loss at a cost between two evaluations, for drawing mean curves only.
fn interpolate(curve: &[Point], cost: Cost, x: f64) -> f64 {
    let after = curve.partition_point(|point| cost.of(point) < x).clamp(1, curve.len().max(2) - 1);
    let (Some(a), Some(b)) = (curve.get(after - 1), curve.get(after)) else { return curve[0].loss };
    let (from, to) = (cost.of(a), cost.of(b));
    let share = if to > from { ((x - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
    a.loss + share * (b.loss - a.loss)
}
