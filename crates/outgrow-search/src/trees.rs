//! Boosted regression trees. They know nothing of noise: what is not known is drawn by fitting them to
//! losses that are drawn again (the bootstrap, Efron 1979), which stands for a draw from a posterior.

use outgrow_core::stream::Stream;
use rand::RngExt;
use smartcore::{
    linalg::basic::matrix::DenseMatrix,
    xgboost::xgb_regressor::{XGRegressor, XGRegressorParameters},
};

/// Losses that drawn trees are fitted to, at most.
const MOST_ROWS: usize = 500;

/// How trees are grown.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TreeSettings {
    pub trees: usize,
    pub depth: u16,
    /// What a tree adds of what it has learned.
    pub learning_rate: f64,
    /// Losses that a leaf stands for, at least.
    pub leaf: usize,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { trees: 30, depth: 3, learning_rate: 0.2, leaf: 3 }
    }
}

/// Fitted trees.
pub struct Trees {
    trees: XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>,
    mean: f64,
    scale: f64,
}

impl Trees {
    /// Of losses by features, one row each; none before there are three.
    pub fn fit(rows: &[Vec<f64>], losses: &[f64], settings: TreeSettings) -> Option<Self> {
        let TreeSettings { trees, depth, learning_rate, leaf } = settings;
        if losses.len() < 3 {
            return None;
        }
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / n;
        let scale = variance.sqrt().max(1e-12);
        let y: Vec<f64> = losses.iter().map(|loss| (loss - mean) / scale).collect();
        let parameters = XGRegressorParameters::default()
            .with_n_estimators(trees)
            .with_max_depth(depth)
            .with_learning_rate(learning_rate)
            .with_min_child_weight(leaf)
            .with_base_score(0.0)
            .with_seed(0);
        let x = DenseMatrix::from_2d_vec(&rows.to_vec()).ok()?;
        Some(Self { trees: XGRegressor::fit(&x, &y, parameters).ok()?, mean, scale })
    }

    /// Fitted to rows that are drawn again.
    pub fn draw(rows: &[Vec<f64>], losses: &[f64], random: &mut Stream) -> Option<Self> {
        let n = losses.len();
        let drawn: Vec<usize> = (0..n.min(MOST_ROWS)).map(|_| random.random_range(0..n)).collect();
        let rows: Vec<Vec<f64>> = drawn.iter().map(|row| rows[*row].clone()).collect();
        let losses: Vec<f64> = drawn.iter().map(|row| losses[*row]).collect();
        Self::fit(&rows, &losses, TreeSettings::default())
    }

    /// The losses that they predict of features, one row each.
    pub fn means(&self, rows: &[Vec<f64>]) -> Option<Vec<f64>> {
        let x = DenseMatrix::from_2d_vec(&rows.to_vec()).ok()?;
        let predicted = self.trees.predict(&x).ok()?;
        Some(predicted.into_iter().map(|one| self.mean + self.scale * one).collect())
    }
}
