//! The frontier of being born, and how far grown models are from it.
//!
//! For each compute C, the *frontier* L*(C) is the least loss, over all sizes N, of a model that has
//! that size from its first token to the end of its own schedule. A growing arm is judged by its
//! *gap* g = L_grown − L*(C) in nats, and by its *multiplier* m = C*(L_grown) / C, where C* is the
//! compute at which the frontier has that loss. Growing pays where g < 0 and m > 1.
//!
//! **L\*** (`budget.rs`, `polynomial.rs`). At each budget, losses are polynomials in x = log N
//! (approach 2 of Hoffmann et al. 2022, arXiv:2203.15556), by weighted least squares on means over
//! seeds. A parabola with equal weights finds the neighbourhood; tricube weights around its vertex
//! (Cleveland 1979) leave the nearest five sizes and those as near. With them
//!
//! - log N* = x* = −b / 2c of the parabola a + b x + c x², if c > 0 and x* lies between the second
//!   and the last but one size;
//! - L* = the cubic with the same weights at x*. On skewed curves a parabola misses the bottom by
//!   several ten-thousandths of a nat; the cubic corrects this. Its own minimum is not taken: that
//!   is a steeper function of noise. Where the two differ by more than the half-width of the
//!   interval, the interval is widened by the difference.
//!
//! A polynomial knows no step, as loss may have one where sizes go from two layers to three. If a
//! size that was trained ends clearly below L* (Holm over the sizes of the budget), L* is too high:
//! this *undercut* is said, and widens intervals in the same way.
//!
//! Ends are off their budget by whole steps. Their losses are moved to the mean log C of the budget
//! along the slope of their size against log C.
//!
//! **Intervals** (`jackknife.rs`). One seed at a time is left out, with all of its sizes, budgets
//! and arms, because branches share trunks and sizes share text. Pseudo-values
//! p_s = n θ − (n − 1) θ₋ₛ are treated as a sample: mean ± t(n − 1) · sd / √n. Vertices of single
//! seeds are not averaged: a vertex is concave in noise. The weights stay those of all seeds.
//!
//! **The law** (`law.rs`). L = E + A N^−α + B D^−β, by Hoffmann et al.'s approach 3, checks the
//! vertices, gives exponents, and draws the frontier between budgets. It is no reference.
//!
//! **m** (`curve.rs`). log(L* − E) is linear in log C between budgets. C* is where this meets the
//! mean loss of the arm. The interval of m is the set of C at which the interval of L_grown − L*(C)
//! includes zero (as in Fieller 1954), so it excludes 1 where that of g excludes 0. Outside
//! of the measured budgets nothing is extrapolated: m is only known to be above or below a bound.
//!
//! **Many arms and budgets**: Holm (1979) over all of them.
//!
//! **Learning rates** (`rate.rs`) are chosen on seeds that are not in the rows.

mod budget;
mod curve;
mod jackknife;
mod law;
mod lines;
mod polynomial;
mod rate;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde::Serialize;
use thiserror::Error;

use self::{
    budget::Slice,
    curve::Curve,
    jackknife::{mean, pseudo_values, without},
    law::LawFit,
};
pub use self::{
    budget::{NotEnclosed, Undercut, Vertex},
    curve::{Censored, Multiplier},
    law::{Exponents, FittedLaw, Law},
    lines::{Parabola, SizeLoss},
    rate::{RateChoice, RateTrial, choose_rates},
    rows::{BornEnd, Count, Counts, GrownEnd},
};
use crate::{
    interval::{Interval, by_seed, interval},
    tested::{self, Tested},
};

/// Computes of one budget differ by whole steps; by more than this share they are another budget.
const SAME_BUDGET: f64 = 0.03;

/// The frontier and the arms judged against it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frontier {
    /// What N is in `budgets` and `law`.
    pub count: Count,
    /// In order of compute; those without a usable born end are left out.
    pub budgets: Vec<Budget>,
    /// None for fewer than 8 points of size and budget, or where no law falls in N and D.
    pub law: Option<FittedLaw>,
    /// In order of arms as in the rows, then of compute.
    pub gaps: Vec<ArmGap>,
}

/// All sizes at one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// Its number in the rows.
    pub budget: usize,
    /// The geometric mean of its born ends.
    pub flops: f64,
    /// The least loss over sizes.
    pub vertex: Result<Vertex, NotEnclosed>,
    /// Least loss by the law minus that of the vertex; none where one of them is missing.
    pub law_minus_vertex: Option<Interval>,
}

/// One arm at one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmGap {
    /// Its name in the rows.
    pub arm: String,
    /// The budget's number in the rows.
    pub budget: usize,
    /// The geometric mean of its ends.
    pub flops: f64,
    /// Its two numbers, or why there are none.
    pub against: Result<Against, NoGap>,
}

/// An arm against the frontier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// L_grown − L* in nats: below 0 growing pays. Corrected for all arms and budgets.
    pub gap: Tested,
    /// Above 1 growing pays; none where a single budget has a vertex.
    pub multiplier: Option<Multiplier>,
}

impl Against {
    /// Whether the gap is told from zero, after correction.
    pub fn is_clear(&self) -> bool {
        self.gap.p_corrected.is_some_and(|p| p < tested::LEVEL)
    }

    /// With how many seeds it would be, where it is not; none where no number of them would do.
    pub fn seeds_needed(&self) -> Option<usize> {
        let more = |seeds: &usize| *seeds > self.gap.value.n;
        self.gap.seeds_needed().filter(more).filter(|_| !self.is_clear())
    }
}

/// Why an arm has no gap at a budget.
#[derive(Clone, Debug, PartialEq, Error, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum NoGap {
    #[error("{0}")]
    NotEnclosed(#[from] NotEnclosed),
    #[error(
        "no born size has an end with fresh text at this budget: add it to the frontier's budgets, \
         or take a larger text"
    )]
    NoBudget,
    #[error("it shares no seed with the born sizes: give both the same seeds")]
    NoSharedSeed,
    #[error("its compute differs from the born sizes' by {0:+.1} %; at most 3 % can be corrected")]
    OtherCompute(f64),
}

/// The frontier through `born`, and the gap of each arm and budget of `grown`, with one of the
/// counts of parameters as N. Ends with a loss that is not finite are left out.
pub fn estimate(born: &[BornEnd], grown: &[GrownEnd], count: Count) -> Frontier {
    Estimator::new(born, count).frontier(grown)
}

/// The born sizes, against which several families of arms can be judged.
pub struct Estimator {
    count: Count,
    /// In order of compute.
    slices: Vec<Slice>,
    fit: Option<LawFit>,
}

impl Estimator {
    /// Fits the vertices and the law.
    pub fn new(born: &[BornEnd], count: Count) -> Self {
        let fresh: Vec<&BornEnd> = born.iter().filter(|end| end.counts_as(count)).collect();
        let numbers: BTreeSet<usize> = fresh.iter().map(|end| end.budget).collect();
        let mut slices: Vec<Slice> =
            numbers.iter().filter_map(|&budget| Slice::of(&fresh, budget, count)).collect();
        slices.sort_by(|a, b| a.log_c.total_cmp(&b.log_c));
        Self { count, slices, fit: LawFit::of(&fresh, count) }
    }

    /// With the gaps of one family of arms, which are corrected together.
    pub fn frontier(&self, grown: &[GrownEnd]) -> Frontier {
        let fit = self.fit.as_ref();
        let e = fit.map(|fit| fit.law.e);
        Frontier {
            count: self.count,
            budgets: self.slices.iter().map(|slice| budget(slice, fit)).collect(),
            law: fit.map(LawFit::fitted),
            gaps: Judge { slices: &self.slices, e, curves: BTreeMap::new() }.gaps(grown),
        }
    }
}

fn budget(slice: &Slice, fit: Option<&LawFit>) -> Budget {
    let vertex = slice.vertex();
    let difference = |fit: &LawFit| {
        let seeds = slice.seeds();
        let of =
            |out| Some(slice.by_law(fit.without(out)?) - slice.least(&without(&seeds, out))?.loss);
        interval(&pseudo_values(&seeds, of)?)
    };
    let law_minus_vertex = fit.filter(|_| vertex.is_ok()).and_then(difference);
    Budget { budget: slice.budget, flops: slice.log_c.exp(), vertex, law_minus_vertex }
}

struct Judge<'a> {
    slices: &'a [Slice],
    e: Option<f64>,
    /// By the seeds of the comparison.
    curves: BTreeMap<Vec<usize>, Rc<Curve>>,
}

/// An arm at a budget, before the correction.
struct Case {
    arm: String,
    budget: usize,
    log_c: f64,
    /// Mean loss of each seed.
    losses: BTreeMap<usize, f64>,
    gap: Result<(Tested, Rc<Curve>), NoGap>,
}

impl Case {
    fn grown(&self, seeds: &[usize], out: Option<usize>) -> Option<f64> {
        mean(without(seeds, out).iter().map(|seed| self.losses[seed]))
    }

    fn judged(self) -> ArmGap {
        let against = match &self.gap {
            Err(why) => Err(why.clone()),
            Ok((gap, curve)) => {
                let grown = |out| self.grown(curve.seeds(), out);
                let decided = [gap.level, gap.widening()];
                let multiplier = curve.multiplier(self.log_c, grown, decided);
                Ok(Against { gap: gap.clone(), multiplier })
            }
        };
        ArmGap { arm: self.arm, budget: self.budget, flops: self.log_c.exp(), against }
    }
}

impl Judge<'_> {
    fn gaps(mut self, grown: &[GrownEnd]) -> Vec<ArmGap> {
        let mut arms: Vec<&str> = vec![];
        let mut cells: BTreeMap<(usize, usize), Vec<&GrownEnd>> = BTreeMap::new();
        for end in grown.iter().filter(|end| end.is_usable()) {
            let known = arms.iter().position(|arm| *arm == end.arm);
            let arm = known.unwrap_or_else(|| {
                arms.push(&end.arm);
                arms.len() - 1
            });
            cells.entry((arm, end.budget)).or_default().push(end);
        }
        let mut cases: Vec<(usize, Case)> =
            cells.iter().map(|(&(arm, _), ends)| (arm, self.case(ends))).collect();
        cases.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.log_c.total_cmp(&b.1.log_c)));
        let known = cases.iter_mut().filter_map(|(_, case)| case.gap.as_mut().ok());
        tested::correct(known.map(|(gap, _)| gap));
        cases.into_iter().map(|(_, case)| case.judged()).collect()
    }

    /// Of the ends of one arm at one budget, of which there is at least one.
    fn case(&mut self, ends: &[&GrownEnd]) -> Case {
        let mut case = Case {
            arm: ends[0].arm.clone(),
            budget: ends[0].budget,
            log_c: mean(ends.iter().map(|end| end.flops.ln())).unwrap_or_default(),
            losses: by_seed(ends.iter().map(|end| (end.seed, end.loss))),
            gap: Err(NoGap::NoBudget),
        };
        case.gap = self.gap(&case);
        case
    }

    fn gap(&mut self, case: &Case) -> Result<(Tested, Rc<Curve>), NoGap> {
        let place = self.slices.iter().position(|slice| slice.budget == case.budget);
        let slice = &self.slices[place.ok_or(NoGap::NoBudget)?];
        slice.shape.as_ref().map_err(Clone::clone)?;
        let off = case.log_c - slice.log_c;
        if off.exp_m1().abs() > SAME_BUDGET {
            return Err(NoGap::OtherCompute(100.0 * off.exp_m1()));
        }
        let mut seeds = slice.seeds();
        seeds.retain(|seed| case.losses.contains_key(seed));
        if seeds.is_empty() {
            return Err(NoGap::NoSharedSeed);
        }
        let new = || Rc::new(Curve::of(self.slices, &seeds, self.e));
        let curve = self.curves.entry(seeds.clone()).or_insert_with(new).clone();
        let tilt = curve.slope(case.budget) * off;
        let gap = |out| Some(case.grown(&seeds, out)? - curve.at_budget(case.budget, out)? - tilt);
        let values = pseudo_values(&seeds, gap).ok_or(NotEnclosed::NoMinimum)?;
        let tested = Tested::widened(&values, slice.misfit(&seeds));
        Ok((tested.ok_or(NoGap::NoSharedSeed)?, curve))
    }
}
