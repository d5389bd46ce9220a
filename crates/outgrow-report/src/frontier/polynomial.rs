//! Weighted polynomials through the sizes of a budget.

/// Where a first fit has its minimum, and what each size weighs.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub centre: f64,
    pub weights: Vec<f64>,
}

impl Shape {
    /// Tricube weights (1 − (d/h)³)³ of the distance d to the centre, as in Cleveland's loess
    /// (1979); h is the distance of the first point beyond the `nearest` ones, so that these have a
    /// weight. Weights fall smoothly to zero: which points count does not jump with the centre.
    pub fn around(centre: f64, x: &[f64], nearest: usize) -> Self {
        let mut far: Vec<f64> = x.iter().map(|x| (x - centre).abs()).collect();
        far.sort_by(f64::total_cmp);
        let width = far.get(nearest).copied().unwrap_or(1.3 * far[far.len() - 1]);
        let weight = |x: &f64| (1.0 - ((x - centre).abs() / width).min(1.0).powi(3)).powi(3);
        Self { centre, weights: x.iter().map(weight).collect() }
    }

    pub fn flat(centre: f64, count: usize) -> Self {
        Self { centre, weights: vec![1.0; count] }
    }

    /// Coefficients of powers of x − centre by weighted least squares; none where they are not
    /// determined.
    fn fit<const N: usize>(&self, x: &[f64], y: &[f64]) -> Option<[f64; N]> {
        let mut rows = vec![vec![0.0; N + 1]; N];
        for ((x, y), weight) in x.iter().zip(y).zip(&self.weights) {
            let powers: [f64; N] = std::array::from_fn(|i| (x - self.centre).powi(i as i32));
            for (row, own) in rows.iter_mut().zip(powers) {
                row.iter_mut().zip(powers).for_each(|(cell, other)| *cell += weight * own * other);
                row[N] += weight * own * y;
            }
        }
        solve(rows)
    }

    /// The parabola at x.
    pub fn parabola(&self, x: &[f64], y: &[f64], at: f64) -> Option<f64> {
        Some(value(self.fit::<3>(x, y)?, at - self.centre))
    }

    /// The minimum; none where the parabola opens downwards.
    pub fn bottom(&self, x: &[f64], y: &[f64]) -> Option<Bottom> {
        let [_, b, c] = self.fit(x, y)?;
        let place = -b / (2.0 * c);
        let cubic = self.fit::<4>(x, y)?;
        let loss = value(cubic, place);
        (c > 0.0).then_some(Bottom { x: self.centre + place, loss, curvature: 2.0 * c })
    }

    /// By how much the minimum is elsewhere, and its loss lower, if the cubic's own minimum is
    /// taken; none where the cubic has none.
    pub fn cubic_moves(&self, x: &[f64], y: &[f64], bottom: &Bottom) -> Option<[f64; 2]> {
        let cubic = self.fit::<4>(x, y)?;
        let [_, b, c, d] = cubic;
        let root = (c * c - 3.0 * b * d).sqrt();
        let place = -b / (c + root);
        let is_minimum = place.is_finite() && c + root > 0.0;
        let at = place + self.centre - bottom.x;
        is_minimum.then(|| [at, value(cubic, place) - bottom.loss])
    }
}

/// The minimum over sizes at one budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bottom {
    /// log N at the vertex of the parabola.
    pub x: f64,
    /// Nats: the cubic there.
    pub loss: f64,
    /// Nats per squared factor e of N.
    pub curvature: f64,
}

fn value<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    coefficients.into_iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Gaussian elimination with pivots; the right side stands last in each row. None where the rows
/// are singular.
pub(super) fn solve<const N: usize>(mut rows: Vec<Vec<f64>>) -> Option<[f64; N]> {
    for i in 0..N {
        let pivot = (i..N).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        let (done, open) = rows.split_at_mut(i + 1);
        for row in open {
            let factor = row[i] / done[i][i];
            row.iter_mut().zip(&done[i]).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    let mut found = [0.0; N];
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| rows[i][j] * found[j]).sum();
        found[i] = (rows[i][N] - known) / rows[i][i];
    }
    found.iter().all(|value| value.is_finite()).then_some(found)
}
