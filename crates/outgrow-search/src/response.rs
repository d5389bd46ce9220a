//! A response surface: the loss of a plan as a second-order polynomial of when each axis reaches
//! each of its levels, by ridge regression (Hoerl & Kennard 1970), its strength chosen by
//! generalised cross-validation (Golub, Heath & Wahba 1979). With normal noise its posterior can be
//! drawn from, as Thompson sampling does.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use outgrow_core::stream::Stream;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    history::History,
    space::{Plan, Space},
};

/// Strengths that are tried, for standardised features and losses.
const STRENGTHS: [f64; 9] = [1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1000.0];

/// A surface uses at most this share of what the losses tell.
const MOST_USED: f64 = 0.9;

/// A fitted surface.
#[derive(Clone, Debug)]
pub struct Response {
    centre: DVector<f64>,
    scale: DVector<f64>,
    mean_loss: f64,
    /// Of standardised features.
    weights: DVector<f64>,
    /// Standardised features and losses, and what solves for weights: eigenvectors of the features
    /// and, along each, one over its eigenvalue and the strength.
    x: DMatrix<f64>,
    y: DVector<f64>,
    axes: DMatrix<f64>,
    inverse: DVector<f64>,
    /// Standard deviation of a weight before anything is known.
    prior: f64,
    /// Standard deviation of a loss about the surface, nats.
    pub noise: f64,
}

impl Space {
    /// What a surface knows of a plan. For each level of each axis: at which share of the trial it
    /// is reached, 0 if it begins there, 1 if never; squares and products of these; the number of
    /// stages; and each value of each choice.
    pub fn features(&self, plan: &Plan) -> Vec<f64> {
        let way = &plan.way;
        let places = &self.lattice.at.of().0;
        let at = |phase: usize| match phase.checked_sub(1).map(|stage| &way.stages[stage]) {
            None => 0.0,
            Some(step) => places.get(usize::from(step.place)).copied().unwrap_or(1.0),
        };
        let reached = |axis: usize, level: u8| {
            let phase = way.phases().position(|levels| levels[axis] >= level);
            phase.map_or(1.0, at)
        };
        let top = self.lattice.top();
        let times: Vec<f64> = (0..top.len())
            .flat_map(|axis| (1..=top[axis]).map(move |level| (axis, level)))
            .map(|(axis, level)| reached(axis, level))
            .collect();
        let products = (0..times.len()).flat_map(|i| (i..times.len()).map(move |j| (i, j)));
        let products: Vec<f64> = products.map(|(i, j)| times[i] * times[j]).collect();
        let choices = self.choices.iter().zip(&plan.choices).flat_map(|(choice, value)| {
            (1..choice.values).map(move |other| if *value == other { 1.0 } else { 0.0 })
        });
        let stages = way.stages.len() as f64;
        times.iter().copied().chain(products).chain([stages]).chain(choices).collect()
    }
}

impl Response {
    /// Through all outcomes of a search; none before there are three.
    pub fn fit(space: &Space, history: &History) -> Option<Self> {
        let believed = history.believed();
        let paired = |(plan, seed, loss)| (plan, believed.paired(seed, loss));
        let losses: Vec<(&Plan, f64)> = history.losses().map(paired).collect();
        if losses.len() < 3 {
            return None;
        }
        let rows: Vec<Vec<f64>> = losses.iter().map(|(plan, _)| space.features(plan)).collect();
        let (n, d) = (rows.len(), rows[0].len());
        let mut x = DMatrix::from_fn(n, d, |row, column| rows[row][column]);
        let mut y = DVector::from_iterator(n, losses.iter().map(|(_, loss)| *loss));
        let mean_loss = y.mean();
        y.add_scalar_mut(-mean_loss);
        let centre = x.row_mean().transpose();
        let mut scale = DVector::from_element(d, 1.0);
        for (column, mut values) in x.column_iter_mut().enumerate() {
            values.add_scalar_mut(-centre[column]);
            let deviation = (values.norm_squared() / n as f64).sqrt();
            scale[column] = if deviation > 1e-9 { deviation } else { 1.0 };
            values /= scale[column];
        }
        let SymmetricEigen { eigenvectors: axes, eigenvalues } =
            SymmetricEigen::new(x.transpose() * &x);
        let along = axes.transpose() * (x.transpose() * &y);
        let total = y.norm_squared();
        let fitted = STRENGTHS.map(|strength| Ridge::at(strength, &eigenvalues, &along, total, n));
        // One that explains everything explains nothing; of these the one that explains the least.
        let honest = fitted.iter().filter(|one| one.used < MOST_USED * n as f64);
        let best = honest.min_by(|a, b| a.score.total_cmp(&b.score)).or(fitted.last())?;
        Some(Self {
            weights: &axes * &best.along,
            noise: best.variance.sqrt(),
            prior: (best.variance / best.strength).sqrt(),
            inverse: eigenvalues.map(|value| (value.max(0.0) + best.strength).recip()),
            centre,
            scale,
            mean_loss,
            x,
            y,
            axes,
        })
    }

    /// The loss that it predicts of a plan.
    pub fn mean(&self, space: &Space, plan: &Plan) -> f64 {
        self.mean_loss + self.standardised(space, plan).dot(&self.weights)
    }

    /// A surface drawn from the posterior: that of losses with noise of their own, and of weights that
    /// were drawn from the prior. It does not depend on which eigenvectors a machine finds.
    pub fn draw(&self, random: &mut Stream) -> Self {
        let mut normal = |n: usize, deviation: f64| {
            DVector::from_fn(n, |_, _| {
                let normal: f64 = StandardNormal.sample(random);
                deviation * normal
            })
        };
        let before = normal(self.x.ncols(), self.prior);
        let seen = &self.y + normal(self.x.nrows(), self.noise) - &self.x * &before;
        let along = self.axes.transpose() * (self.x.transpose() * seen);
        let weights = before + &self.axes * along.component_mul(&self.inverse);
        Self { weights, ..self.clone() }
    }

    fn standardised(&self, space: &Space, plan: &Plan) -> DVector<f64> {
        let features = DVector::from_vec(space.features(plan));
        (features - &self.centre).component_div(&self.scale)
    }
}

/// A fit of one strength, in the eigenvectors of the features.
struct Ridge {
    strength: f64,
    along: DVector<f64>,
    /// Of the losses about the surface.
    variance: f64,
    /// Of generalised cross-validation.
    score: f64,
    /// Degrees of freedom.
    used: f64,
}

impl Ridge {
    fn at(
        strength: f64,
        eigenvalues: &DVector<f64>,
        along: &DVector<f64>,
        total: f64,
        n: usize,
    ) -> Self {
        let values = || eigenvalues.iter().map(|value| value.max(0.0));
        let weights = DVector::from_iterator(
            along.len(),
            along.iter().zip(values()).map(|(along, value)| along / (value + strength)),
        );
        let explained: f64 = weights
            .iter()
            .zip(along.iter().zip(values()))
            .map(|(weight, (along, value))| 2.0 * weight * along - weight * weight * value)
            .sum();
        let residual = (total - explained).max(0.0);
        // One more for the mean.
        let used: f64 = 1.0 + values().map(|value| value / (value + strength)).sum::<f64>();
        let left = (n as f64 - used).max(1e-9);
        let score = n as f64 * residual / (left * left);
        Self { strength, along: weights, variance: residual / left, score, used }
    }
}
