//! Ridge regression (Hoerl & Kennard 1970), its strength chosen by generalised cross-validation (Golub,
//! Heath & Wahba 1979). With normal noise its posterior can be drawn from, as Thompson sampling does.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use outgrow_core::stream::Stream;
use rand_distr::{Distribution, StandardNormal};

/// Strengths that are tried, for standardised features and losses.
const STRENGTHS: [f64; 9] = [1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1000.0];

/// A fit uses at most this share of what the losses tell.
const MOST_USED: f64 = 0.9;

/// A linear function of features.
#[derive(Clone, Debug)]
pub struct Ridge {
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
    /// Standard deviation of a loss about the function.
    pub noise: f64,
}

impl Ridge {
    /// Of losses by features, one row each; none before there are three.
    pub fn fit(rows: &[Vec<f64>], losses: &[f64]) -> Option<Self> {
        let (n, d) = (rows.len(), rows.first()?.len());
        if n < 3 {
            return None;
        }
        let mut x = DMatrix::from_fn(n, d, |row, column| rows[row][column]);
        let mut y = DVector::from_column_slice(losses);
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
        let fitted = STRENGTHS.map(|strength| Fit::at(strength, &eigenvalues, &along, total, n));
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

    /// The loss that it predicts of features.
    pub fn mean(&self, features: &[f64]) -> f64 {
        let features = DVector::from_column_slice(features);
        let standardised = (features - &self.centre).component_div(&self.scale);
        self.mean_loss + standardised.dot(&self.weights)
    }

    /// A function drawn from the posterior: that of losses with noise of their own, and of weights that
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
}

/// A fit of one strength, in the eigenvectors of the features.
struct Fit {
    strength: f64,
    along: DVector<f64>,
    /// Of the losses about the surface.
    variance: f64,
    /// Of generalised cross-validation.
    score: f64,
    /// Degrees of freedom.
    used: f64,
}

impl Fit {
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
