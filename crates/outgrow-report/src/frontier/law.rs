//! The law of loss against size and text: L(N, D) = E + A N^−α + B D^−β.
//!
//! Hoffmann et al. 2022 (arXiv:2203.15556), approach 3, equation 3: the parameters minimize the sum
//! over the points of Huber_δ(log L̂ − log L), with log L̂ = logsumexp(e, a − α log N, b − β log D),
//! E = exp e, A = exp a, B = exp b. Here log N and log D are taken relative to their means, and
//! L-BFGS (Liu & Nocedal 1989) begins from least squares at many pairs of exponents, of which the
//! best go on. Neither changes the minimum.
//!
//! δ is at least their 0.001, and otherwise 3 robust standard deviations of the residuals. Points
//! here are means over few seeds: their noise is often above 0.001, the loss of most points would
//! be linear, and the fit jumps between points as a median does. Leaving one seed out then
//! underestimates its error: with δ = 0.001 and a noise of 0.01 nats, intervals of β hold the truth
//! in 89 to 91 % of simulations instead of 95.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use argmin::{
    core::{CostFunction, Error, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};
use serde::Serialize;

use super::{
    jackknife::{mean, pseudo_values},
    polynomial::solve,
    rows::{BornEnd, Count},
};
use crate::interval::{Interval, interval};

/// From this number of seeds on there are exponents.
const SEEDS_FOR_EXPONENTS: usize = 5;
/// Least number of points.
const POINTS: usize = 8;
/// The δ of Hoffmann et al.
const DELTA: f64 = 1e-3;
/// Exponents from which fits start, for α and β alike.
const STARTS: [f64; 8] = [0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.3];
/// The best of these starts go through the optimizer.
const POLISHED: usize = 4;
/// Parameters: e, a, α, b, β.
const P: usize = 5;
/// Most evaluations of one run of the optimizer.
const EVALUATIONS: u32 = 3000;

/// One point: natural logarithms of the number of parameters, of the tokens and of the loss.
#[derive(Clone, Copy, Debug)]
struct Point {
    log_n: f64,
    log_d: f64,
    log_loss: f64,
}

/// L(N, D) = E + A N^−α + B D^−β, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Law {
    /// E, the loss of an infinite model on infinite text.
    pub e: f64,
    /// A.
    pub a: f64,
    /// α.
    pub alpha: f64,
    /// B.
    pub b: f64,
    /// β.
    pub beta: f64,
}

impl Law {
    /// Nats at N parameters and D tokens.
    pub fn loss(&self, n: f64, d: f64) -> f64 {
        self.e + self.a * n.powf(-self.alpha) + self.b * d.powf(-self.beta)
    }

    /// β/(α + β): with C ∝ N D the best N grows as this power of C.
    pub fn size_exponent(&self) -> f64 {
        self.beta / (self.alpha + self.beta)
    }

    /// αβ/(α + β): with C ∝ N D the least L − E falls as this power of C.
    pub fn loss_exponent(&self) -> f64 {
        self.alpha * self.beta / (self.alpha + self.beta)
    }

    /// From many starts; none where no start ends at a law that falls in N and in D.
    fn fit(points: &[Point]) -> Option<Self> {
        if points.len() < POINTS {
            return None;
        }
        let problem = Problem::new(points);
        let rough = problem.best_of(problem.starts())?;
        problem.from(rough)
    }

    /// From this law: for nearly the same points.
    fn refit(&self, points: &[Point]) -> Option<Self> {
        let problem = Problem::new(points);
        (points.len() >= POINTS).then(|| problem.from(problem.parameters(self))).flatten()
    }
}

/// The law on means over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FittedLaw {
    /// Through all ends with fresh text.
    pub law: Law,
    /// Over how many seeds its points are means.
    pub seeds: usize,
    /// None for fewer than 5 seeds.
    pub exponents: Option<Exponents>,
}

/// Powers with 95 % intervals, which are those of their logarithms (of α/β for `size`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exponents {
    /// α, of N.
    pub alpha: Interval,
    /// β, of D.
    pub beta: Interval,
    /// β/(α + β): how the best N grows with C where C ∝ N D.
    pub size: Interval,
    /// αβ/(α + β): how the least L − E falls with C where C ∝ N D.
    pub loss: Interval,
}

/// The law of all seeds, and without each.
pub(super) struct LawFit {
    pub law: Law,
    seeds: Vec<usize>,
    /// None where there is no law.
    left_out: BTreeMap<usize, Option<Law>>,
}

impl LawFit {
    pub fn of(fresh: &[&BornEnd], count: Count) -> Option<Self> {
        let seeds: BTreeSet<usize> = fresh.iter().map(|end| end.seed).collect();
        let law = Law::fit(&points(fresh, count, None))?;
        let refit = |&seed: &usize| (seed, law.refit(&points(fresh, count, Some(seed))));
        let left_out = seeds.iter().map(refit).collect();
        Some(Self { law, seeds: seeds.into_iter().collect(), left_out })
    }

    /// None where there is no law without this seed.
    pub fn without(&self, seed: Option<usize>) -> Option<&Law> {
        seed.map_or(Some(&self.law), |seed| self.left_out.get(&seed)?.as_ref())
    }

    pub fn fitted(&self) -> FittedLaw {
        let is_enough = self.seeds.len() >= SEEDS_FOR_EXPONENTS;
        let exponents = is_enough.then(|| self.exponents()).flatten();
        FittedLaw { law: self.law, seeds: self.seeds.len(), exponents }
    }

    fn exponents(&self) -> Option<Exponents> {
        let jackknife = |of: fn(&Law) -> f64, back: fn(f64) -> f64| {
            let values = pseudo_values(&self.seeds, |out| self.without(out).map(of))?;
            interval(&values).map(|found| found.map(back))
        };
        Some(Exponents {
            alpha: jackknife(|law| law.alpha.ln(), f64::exp)?,
            beta: jackknife(|law| law.beta.ln(), f64::exp)?,
            size: jackknife(|law| (law.alpha / law.beta).ln(), |x| 1.0 / (1.0 + x.exp()))?,
            loss: jackknife(|law| law.loss_exponent().ln(), f64::exp)?,
        })
    }
}

/// Means over seeds, one point a size and budget.
fn points(fresh: &[&BornEnd], count: Count, out: Option<usize>) -> Vec<Point> {
    let mut cells: BTreeMap<(usize, usize), Vec<&BornEnd>> = BTreeMap::new();
    for &end in fresh.iter().filter(|end| Some(end.seed) != out) {
        cells.entry((end.size, end.budget)).or_default().push(end);
    }
    let point = |ends: Vec<&BornEnd>| {
        Some(Point {
            log_n: mean(ends.iter().map(|end| count.of(&end.counts).ln()))?,
            log_d: mean(ends.iter().map(|end| end.tokens.ln()))?,
            log_loss: mean(ends.iter().map(|end| end.loss))?.ln(),
        })
    };
    cells.into_values().filter_map(point).collect()
}

/// Points relative to the means of log N and log D.
#[derive(Clone)]
struct Problem {
    points: Vec<Point>,
    means: [f64; 2],
    delta: f64,
}

impl Problem {
    fn new(points: &[Point]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / count;
        let means = [mean(|p| p.log_n), mean(|p| p.log_d)];
        let centred =
            |p: &Point| Point { log_n: p.log_n - means[0], log_d: p.log_d - means[1], ..*p };
        Self { points: points.iter().map(centred).collect(), means, delta: DELTA }
    }

    /// e, a, α, b, β with a and b at the means.
    fn parameters(&self, law: &Law) -> Vec<f64> {
        let [n, d] = self.means;
        let at = |scale: f64, power: f64, mean: f64| scale.ln() - power * mean;
        vec![law.e.ln(), at(law.a, law.alpha, n), law.alpha, at(law.b, law.beta, d), law.beta]
    }

    fn law(&self, p: &[f64]) -> Option<Law> {
        let [n, d] = self.means;
        let scale = |log: f64, power: f64, mean: f64| (log + power * mean).exp();
        let law = Law {
            e: p[0].exp(),
            a: scale(p[1], p[2], n),
            alpha: p[2],
            b: scale(p[3], p[4], d),
            beta: p[4],
        };
        (p[2] > 0.0 && p[4] > 0.0 && p.iter().all(|p| p.is_finite())).then_some(law)
    }

    /// log L̂ − log L, and the shares of the three terms in L̂.
    fn residual(&self, p: &[f64], point: &Point) -> (f64, [f64; 3]) {
        let logs = [p[0], p[1] - p[2] * point.log_n, p[3] - p[4] * point.log_d];
        let most = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let terms = logs.map(|log| (log - most).exp());
        let sum: f64 = terms.iter().sum();
        (most + sum.ln() - point.log_loss, terms.map(|term| term / sum))
    }

    /// 3 robust standard deviations of the residuals (1.4826 × their median size), corrected for 5
    /// fitted parameters.
    fn delta_of(&self, p: &[f64]) -> f64 {
        let mut sizes: Vec<f64> =
            self.points.iter().map(|point| self.residual(p, point).0.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let count = sizes.len() as f64;
        let spread = 1.4826 * sizes[sizes.len() / 2] * (count / (count - 5.0)).sqrt();
        (3.0 * spread).max(DELTA)
    }

    /// For each pair of exponents the E, A, B of least squares: linear, given the exponents.
    fn starts(&self) -> Vec<Vec<f64>> {
        let pairs = STARTS.iter().flat_map(|&alpha| STARTS.iter().map(move |&beta| (alpha, beta)));
        let mut starts: Vec<(f64, Vec<f64>)> = pairs
            .map(|(alpha, beta)| {
                let p = self.linear(alpha, beta);
                (self.cost(&p), p)
            })
            .collect();
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        starts.into_iter().take(POLISHED).map(|(_, p)| p).collect()
    }

    fn linear(&self, alpha: f64, beta: f64) -> Vec<f64> {
        let mut rows = vec![vec![0.0; 4]; 3];
        for point in &self.points {
            let loss = point.log_loss.exp();
            // Relative residuals: those of the logarithm, to first order.
            let terms = [1.0, (-alpha * point.log_n).exp(), (-beta * point.log_d).exp()]
                .map(|term| term / loss);
            for (row, own) in rows.iter_mut().zip(terms) {
                for (cell, other) in row.iter_mut().zip(terms.into_iter().chain([1.0])) {
                    *cell += own * other;
                }
            }
        }
        // Where least squares asks for a negative part, a small one.
        let losses = self.points.iter().map(|point| point.log_loss.exp());
        let least = 0.02 * losses.fold(f64::INFINITY, f64::min);
        let [e, a, b] = solve(rows).unwrap_or([least; 3]).map(|part: f64| part.max(least).ln());
        vec![e, a, alpha, b, beta]
    }

    /// With the δ of the residuals at `near`, from there.
    fn from(&self, near: Vec<f64>) -> Option<Law> {
        let wider = Self { delta: self.delta_of(&near), ..self.clone() };
        wider.best_of(vec![near]).and_then(|best| wider.law(&best))
    }

    /// The least of the ends of L-BFGS from these starts.
    fn best_of(&self, starts: Vec<Vec<f64>>) -> Option<Vec<f64>> {
        let ends = starts.into_iter().filter_map(|start| self.minimize(start));
        ends.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(p, _)| p)
    }

    fn minimize(&self, start: Vec<f64>) -> Option<(Vec<f64>, f64)> {
        let scaled = Scaled::around(self, start)?;
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-6).ok()?;
        let solver = solver.with_tolerance_cost(1e-9).ok()?;
        let run = Executor::new(&scaled, solver)
            .configure(|state| state.param(vec![0.0; P]).max_iters(300))
            .timer(false)
            .run()
            .ok()?;
        let mut state = run.state;
        let cost = state.get_best_cost();
        let end = state.take_best_param().filter(|_| cost.is_finite())?;
        Some((scaled.parameters(&end), cost))
    }

    /// In units of δ², so that the tolerances of the optimizer do not depend on it.
    fn cost(&self, p: &[f64]) -> f64 {
        let huber = |r: f64| {
            let z = (r / self.delta).abs();
            if z <= 1.0 { z * z / 2.0 } else { z - 0.5 }
        };
        self.points.iter().map(|point| huber(self.residual(p, point).0)).sum()
    }

    /// A residual with its derivatives.
    fn slopes(&self, p: &[f64], point: &Point) -> (f64, [f64; P]) {
        let (r, [e, n, d]) = self.residual(p, point);
        (r, [e, n, -point.log_n * n, d, -point.log_d * d])
    }
}

/// Parameters p = start + T u, with T T' the inverse of the Gauss-Newton matrix at the start. The
/// cost is nearly round in u: L-BFGS takes fewer steps.
struct Scaled<'a> {
    problem: &'a Problem,
    start: Vec<f64>,
    /// Rows of T.
    rows: Vec<Vec<f64>>,
    /// How often the cost may still be asked for: a line search that rounding keeps from its
    /// conditions would not end by itself.
    left: Cell<u32>,
}

impl<'a> Scaled<'a> {
    fn around(problem: &'a Problem, start: Vec<f64>) -> Option<Self> {
        let mut matrix = vec![vec![0.0; P]; P];
        for point in &problem.points {
            let (_, slopes) = problem.slopes(&start, point);
            for (row, own) in matrix.iter_mut().zip(slopes) {
                row.iter_mut().zip(slopes).for_each(|(cell, other)| *cell += own * other);
            }
        }
        let factor = cholesky(matrix)?;
        // T = δ L'⁻¹: row i of T has the solutions of L' t = δ e.
        let columns: Vec<Vec<f64>> = (0..P).map(|j| back(&factor, j, problem.delta)).collect();
        let rows = (0..P).map(|i| columns.iter().map(|column| column[i]).collect()).collect();
        Some(Self { problem, start, rows, left: Cell::new(EVALUATIONS) })
    }

    fn parameters(&self, u: &[f64]) -> Vec<f64> {
        let moved = |row: &Vec<f64>| row.iter().zip(u).map(|(t, u)| t * u).sum::<f64>();
        self.start.iter().zip(&self.rows).map(|(start, row)| start + moved(row)).collect()
    }
}

/// L with L L' = the matrix; none where it is not positive definite.
fn cholesky(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for j in 0..P {
        for i in j..P {
            let known: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - known;
            matrix[i][j] = if i == j { rest.sqrt() } else { rest / matrix[j][j] };
        }
        if matrix[j][j].is_nan() || matrix[j][j] <= 0.0 {
            return None;
        }
    }
    Some(matrix)
}

/// x with L' x = `scale` times the unit vector `j`.
fn back(factor: &[Vec<f64>], j: usize, scale: f64) -> Vec<f64> {
    let mut x = vec![0.0; P];
    for i in (0..=j).rev() {
        let known: f64 = (i + 1..P).map(|k| factor[k][i] * x[k]).sum();
        x[i] = (if i == j { scale } else { 0.0 } - known) / factor[i][i];
    }
    x
}

impl CostFunction for &Scaled<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, u: &Vec<f64>) -> Result<f64, Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| Error::msg("the optimizer does not end"))?);
        Ok(self.problem.cost(&self.parameters(u)))
    }
}

impl Gradient for &Scaled<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, u: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let (p, problem) = (self.parameters(u), self.problem);
        let mut gradient = [0.0; P];
        for point in &problem.points {
            let (r, slopes) = problem.slopes(&p, point);
            let slope = (r / problem.delta).clamp(-1.0, 1.0) / problem.delta;
            gradient.iter_mut().zip(slopes).for_each(|(sum, part)| *sum += slope * part);
        }
        let along = |j: usize| self.rows.iter().zip(gradient).map(|(row, g)| row[j] * g).sum();
        Ok((0..P).map(along).collect())
    }
}
