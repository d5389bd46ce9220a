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
    /// tokens since the event and over seeds: up to that evaluation, and from the first one after
    /// the event. It reaches a tenth of the shortest trial to both sides, further where evaluations
    /// are rarer than that, over the events that have so much room.
    pub fn around_growth(&self) -> (MeanCurve, MeanCurve) {
        let shortest = self.runs.iter().map(|run| run.last().tokens).fold(f64::INFINITY, f64::min);
        let events = self.runs.iter().flat_map(|run| {
            run.growths.iter().filter_map(move |growth| Around::new(run, growth.tokens))
        });
        let mut seen: Vec<Around> = events.collect();
        let farthest = seen.iter().map(|event| event.after).fold(0.0, f64::max);
        let reach = (shortest / 10.0).max(2.0 * farthest);
        seen.retain(|event| event.has_room(reach));
        let [before, after] = [|event: &Around| event.before, |event: &Around| event.after]
            .map(|of| seen.iter().map(of).fold(0.0, f64::max));
        let mean = |x: f64| {
            let changes = seen.iter().map(|event| (event.run.replicate, event.change(x)));
            Some((x, interval(&by_seed(changes))?))
        };
        // Closer where the loss moves more.
        let share = |i: usize| (i as f64 / (GRID - 1) as f64).powi(2);
        let to = |from: f64| move |i: usize| from + (reach - from) * share(i);
        let is_short = |from: f64| from >= reach;
        let all = if is_short(before) || is_short(after) { 0 } else { GRID };
        let left = (0..all).rev().map(to(before)).filter_map(|x| mean(-x));
        (left.collect(), (0..all).map(to(after)).filter_map(mean).collect())
    }

    /// The cost of each growth, in the mean over trials; none where they do not all grow by one plan.
    pub fn growth_costs(&self, cost: Cost) -> Vec<f64> {
        let most = self.runs.iter().map(|run| run.growths.len()).max().unwrap_or(0);
        let all = if self.plans == 1 { most } else { 0 };
        let at = |run: &Run, number: usize| {
            let tokens = run.growths.get(number)?.tokens;
            let after = run.curve.partition_point(|point| point.tokens < tokens);
            let (a, b) = (run.curve.get(after.checked_sub(1)?)?, run.curve.get(after)?);
            let share = (tokens - a.tokens) / (b.tokens - a.tokens);
            Some(cost.of(a) + share * (cost.of(b) - cost.of(a)))
        };
        let mean = |number: usize| {
            let costs: Vec<f64> = self.runs.iter().filter_map(|run| at(run, number)).collect();
            Some(Interval::of(&costs)?.mean)
        };
        (0..all).filter_map(mean).collect()
    }

    /// The mean change of loss by the growth itself, over the events and seeds that know it.
    pub fn change_at_growth(&self) -> Option<f64> {
        let changes = self.runs.iter().flat_map(|run| {
            run.growths.iter().filter_map(move |event| Some((run.replicate, event.loss_change?)))
        });
        Some(interval(&by_seed(changes))?.mean)
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

/// Places and means.
type MeanCurve = Vec<(f64, Interval)>;

/// A growth of a trial among its evaluations.
struct Around<'a> {
    run: &'a Run,
    at: f64,
    /// The loss of the last evaluation before it.
    level: f64,
    /// Tokens from that evaluation to the growth, and from the growth to the next.
    before: f64,
    after: f64,
}

impl<'a> Around<'a> {
    /// None without evaluations on both sides.
    fn new(run: &'a Run, at: f64) -> Option<Self> {
        let next = run.curve.partition_point(|point| point.tokens <= at);
        let (last, next) = (run.curve.get(next.checked_sub(1)?)?, run.curve.get(next)?);
        let (before, after) = (at - last.tokens, next.tokens - at);
        Some(Self { run, at, level: last.loss, before, after })
    }

    fn has_room(&self, reach: f64) -> bool {
        let [first, last] = [&self.run.curve[0], self.run.last()].map(|point| point.tokens);
        self.at - first >= reach && last - self.at >= reach
    }

    /// The loss at so many tokens from it, minus the level; no line is drawn from before it to
    /// after it.
    fn change(&self, x: f64) -> f64 {
        let next = self.run.curve.partition_point(|point| point.tokens <= self.at);
        let known = if x <= 0.0 { &self.run.curve[..next] } else { &self.run.curve[next..] };
        interpolate(known, Cost::Tokens, self.at + x) - self.level
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
