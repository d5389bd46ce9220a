//! What stands between the matrix products, each as one pass over memory, forward and backward.
//!
//! A kernel takes each of its arrays and sizes as a parameter of its own, however many they are:
//! they are borrowed separately, and some are written.
//!
//! All arrays are row-major. R rows are b sequences of t positions; h is `d_model`.

use super::simd::{Element, exp, max, simd, sum};

/// x = table[token] + position.
pub(super) fn embed<E: Element>(
    tokens: &[i64],
    table: &[E],
    positions: &[E],
    t: usize,
    h: usize,
    x: &mut [f32],
) {
    simd(|| {
        for (row, (out, &token)) in x.chunks_exact_mut(h).zip(tokens).enumerate() {
            let (token, position) =
                (&table[token as usize * h..][..h], &positions[row % t * h..][..h]);
            for ((out, a), b) in out.iter_mut().zip(token).zip(position) {
                *out = a.get() + b.get();
            }
        }
    });
}

/// The gradients of table and positions, added to what is there.
pub(super) fn embed_backward(
    tokens: &[i64],
    t: usize,
    h: usize,
    dx: &[f32],
    table: &mut [f32],
    positions: &mut [f32],
) {
    simd(|| {
        for (row, (dx, &token)) in dx.chunks_exact(h).zip(tokens).enumerate() {
            add_to(&mut table[token as usize * h..][..h], dx);
            add_to(&mut positions[row % t * h..][..h], dx);
        }
    });
}

#[inline(always)]
fn add_to(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

/// An RMSNorm: its gain, and ε on the mean of squares.
pub(super) struct Gain<'a, E> {
    pub gain: &'a [E],
    pub eps: f32,
}

impl<E: Element> Gain<'_, E> {
    /// y = x·g·r with r = 1/√(mean x² + ε), row by row; r is kept.
    pub fn norm(&self, x: &[f32], y: &mut [E], r: &mut [f32]) {
        simd(|| {
            for ((x, y), r) in
                x.chunks_exact(self.gain.len()).zip(y.chunks_exact_mut(self.gain.len())).zip(r)
            {
                self.row(x, y, r);
            }
        });
    }

    /// next = x + a + bias (if any), and its norm.
    pub fn add_norm(
        &self,
        x: &[f32],
        added: &[E],
        bias: Option<&[E]>,
        next: &mut [f32],
        y: &mut [E],
        r: &mut [f32],
    ) {
        let h = self.gain.len();
        simd(|| {
            let rows = x.chunks_exact(h).zip(added.chunks_exact(h)).zip(next.chunks_exact_mut(h));
            for (((x, added), next), (y, r)) in rows.zip(y.chunks_exact_mut(h).zip(r)) {
                add_row(x, added, bias, next);
                self.row(next, y, r);
            }
        });
    }

    #[inline(always)]
    fn row(&self, x: &[f32], y: &mut [E], r: &mut f32) {
        *r = 1.0 / (sum(x, x, |a, b| a * b) / x.len() as f32 + self.eps).sqrt();
        for ((y, x), g) in y.iter_mut().zip(x).zip(self.gain) {
            *y = E::put(x * *r * g.get());
        }
    }

    /// dx += r·g·dy − x·r³/h·Σ(dy·g·x), and dg += Σ_rows dy·x·r.
    pub fn backward(&self, dy: &[E], x: &[f32], r: &[f32], dx: &mut [f32], dgain: &mut [f32]) {
        let h = self.gain.len();
        let mut weighted = vec![0.0f32; h];
        simd(|| {
            let rows = dy.chunks_exact(h).zip(x.chunks_exact(h)).zip(dx.chunks_exact_mut(h)).zip(r);
            for (((dy, x), dx), &r) in rows {
                for ((w, dy), g) in weighted.iter_mut().zip(dy).zip(self.gain) {
                    *w = dy.get() * g.get();
                }
                let along = sum(&weighted, x, |w, x| w * x) * r * r * r / h as f32;
                for ((dx, w), x) in dx.iter_mut().zip(&weighted).zip(x) {
                    *dx += w * r - x * along;
                }
                for ((dgain, dy), x) in dgain.iter_mut().zip(dy).zip(x) {
                    *dgain += dy.get() * x * r;
                }
            }
        });
    }
}

#[inline(always)]
fn add_row<E: Element>(x: &[f32], added: &[E], bias: Option<&[E]>, next: &mut [f32]) {
    for ((next, x), a) in next.iter_mut().zip(x).zip(added) {
        *next = x + a.get();
    }
    if let Some(bias) = bias {
        for (next, bias) in next.iter_mut().zip(bias) {
            *next += bias.get();
        }
    }
}

/// next = x + a + bias (if any).
pub(super) fn add<E: Element>(
    x: &[f32],
    added: &[E],
    bias: Option<&[E]>,
    h: usize,
    next: &mut [f32],
) {
    simd(|| {
        for ((x, a), next) in
            x.chunks_exact(h).zip(added.chunks_exact(h)).zip(next.chunks_exact_mut(h))
        {
            add_row(x, a, bias, next);
        }
    });
}

/// The same numbers in another type.
pub(super) fn cast<E: Element>(from: &[f32], to: &mut [E]) {
    simd(|| {
        for (to, from) in to.iter_mut().zip(from) {
            *to = E::put(*from);
        }
    });
}

/// ReLU(x + bias), in place.
pub(super) fn bias_relu<E: Element>(x: &mut [E], bias: &[E]) {
    simd(|| {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                let value = x.get() + bias.get();
                // NaN passes, as it does through libtorch's.
                *x = E::put(if value < 0.0 { 0.0 } else { value });
            }
        }
    });
}

/// dx where the ReLU's output was positive, in place; and dbias += Σ_rows dx.
pub(super) fn relu_backward<E: Element>(y: &[E], dx: &mut [E], dbias: &mut [f32]) {
    let n = dbias.len();
    simd(|| {
        for (y, dx) in y.chunks_exact(n).zip(dx.chunks_exact_mut(n)) {
            for ((y, dx), dbias) in y.iter().zip(dx).zip(dbias.iter_mut()) {
                let value = if y.get() > 0.0 { dx.get() } else { 0.0 };
                *dx = E::put(value);
                *dbias += value;
            }
        }
    });
}

/// sums += Σ_rows x.
pub(super) fn column_sums(x: &[f32], sums: &mut [f32]) {
    simd(|| x.chunks_exact(sums.len()).for_each(|row| add_to(sums, row)));
}

/// softmax(scale · scores) of each row of t × t matrices, in place; causal rows see no later
/// columns.
pub(super) fn softmax<E: Element>(scores: &mut [E], t: usize, scale: f32, causal: bool) {
    simd(|| {
        for (row, scores) in scores.chunks_exact_mut(t).enumerate() {
            let (seen, hidden) = scores.split_at_mut(if causal { row % t + 1 } else { t });
            let largest = max(seen.iter().map(|x| x.get()));
            for x in seen.iter_mut() {
                *x = E::put(exp((x.get() - largest) * scale));
            }
            let by = 1.0 / sum(seen, seen, |x, _| x.get());
            for x in seen {
                *x = E::put(x.get() * by);
            }
            hidden.fill(E::put(0.0));
        }
    });
}

/// The gradient of scores from that of their softmax p, in place: scale · p · (dp − Σ p·dp).
pub(super) fn softmax_backward<E: Element>(
    p: &[E],
    dp: &mut [E],
    t: usize,
    scale: f32,
    causal: bool,
) {
    simd(|| {
        for (row, (p, dp)) in p.chunks_exact(t).zip(dp.chunks_exact_mut(t)).enumerate() {
            let n = if causal { row % t + 1 } else { t };
            let (seen, hidden) = dp.split_at_mut(n);
            let along = sum(&p[..n], seen, |p, dp| p.get() * dp.get());
            for (p, dp) in p.iter().zip(seen) {
                *dp = E::put(scale * p.get() * (dp.get() - along));
            }
            hidden.fill(E::put(0.0));
        }
    });
}

/// Columns of rows b × t that n heads of width d have, from column `at` on.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub at: usize,
    pub n: usize,
    pub d: usize,
    /// Positions.
    pub t: usize,
    /// Columns in all.
    pub width: usize,
}

impl Heads {
    /// (b·t) × width to (b·n) × t × d.
    pub fn gather<E: Element>(&self, rows: &[E], heads: &mut [E]) {
        for (number, head) in heads.chunks_exact_mut(self.d).enumerate() {
            head.copy_from_slice(&rows[self.place(number)..][..self.d]);
        }
    }

    /// (b·n) × t × d to (b·t) × width.
    pub fn scatter<E: Element>(&self, heads: &[E], rows: &mut [E]) {
        for (number, head) in heads.chunks_exact(self.d).enumerate() {
            rows[self.place(number)..][..self.d].copy_from_slice(head);
        }
    }

    /// Where row `number` of (b·n·t) × d stands.
    #[inline(always)]
    fn place(&self, number: usize) -> usize {
        let (position, head) = (number % self.t, number / self.t);
        let (head, sequence) = (head % self.n, head / self.n);
        (sequence * self.t + position) * self.width + self.at + head * self.d
    }
}

/// Mean cross-entropy of logits R × o in nats, its gradient in their place.
pub(super) fn cross_entropy<E: Element>(logits: &mut [E], targets: &[i64], o: usize) -> f64 {
    let by = 1.0 / targets.len() as f32;
    let mut total = 0.0f64;
    let mut weights = vec![0.0f32; o];
    simd(|| {
        for (row, &target) in logits.chunks_exact_mut(o).zip(targets) {
            let largest = max(row.iter().map(|x| x.get()));
            for (weight, x) in weights.iter_mut().zip(row.iter()) {
                *weight = exp(x.get() - largest);
            }
            let sum = sum(&weights, &weights, |x, _| x);
            let target = target as usize;
            total += f64::from(sum.ln()) - f64::from(row[target].get() - largest);
            for (x, weight) in row.iter_mut().zip(&weights) {
                *x = E::put(weight / sum * by);
            }
            row[target] = E::put((weights[target] / sum - 1.0) * by);
        }
    });
    total / targets.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers around 0 that look random.
    fn numbers(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed) * 1.7).sin()).collect()
    }

    /// Holds a gradient to differences of `loss` at a point.
    fn is_gradient(x: &[f32], gradient: &[f32], loss: impl Fn(&[f32]) -> f32) {
        for (i, &expected) in gradient.iter().enumerate() {
            let at = |by: f32| {
                let mut moved = x.to_vec();
                moved[i] += by;
                loss(&moved)
            };
            let found = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((found - expected).abs() < 2e-3, "{i}: {found}, not {expected}");
        }
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn softmax_is_a_distribution_over_what_is_seen_and_has_its_gradient() {
        // Two matrices whose rows are no whole number of lanes.
        let (t, scores) = (17, numbers(2 * 17 * 17, 0.0));
        let of = |scores: &[f32], causal| {
            let mut p = scores.to_vec();
            softmax(&mut p, t, 0.5, causal);
            p
        };
        for causal in [false, true] {
            let p = of(&scores, causal);
            for (row, p) in p.chunks_exact(t).enumerate() {
                let n = if causal { row % t + 1 } else { t };
                assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5 && p[n..] == vec![0.0; t - n]);
            }
            let toward = numbers(scores.len(), 0.3);
            let mut d = toward.clone();
            softmax_backward(&p, &mut d, t, 0.5, causal);
            let rows = 5 * t;
            is_gradient(&scores[..rows], &d[..rows], |moved| dot(&of(moved, causal), &toward));
        }
    }

    #[test]
    fn a_norm_has_its_gradient() {
        let (x, gain, toward) = (numbers(3 * 19, 0.1), numbers(19, 0.2), numbers(3 * 19, 0.3));
        let norm = Gain { gain: &gain, eps: 1e-5 };
        let of = |x: &[f32]| {
            let (mut y, mut r) = (vec![0.0f32; x.len()], vec![0.0; 3]);
            norm.norm(x, &mut y, &mut r);
            (y, r)
        };
        let (mut dx, mut dgain) = (vec![0.0; x.len()], vec![0.0; gain.len()]);
        norm.backward(&toward, &x, &of(&x).1, &mut dx, &mut dgain);
        is_gradient(&x, &dx, |moved| dot(&of(moved).0, &toward));
    }

    #[test]
    fn heads_are_gathered_and_scattered_back() {
        // Two sequences of 3 positions, rows of 11 columns: 2 heads of width 4 from column 2 on.
        let heads = Heads { at: 2, n: 2, d: 4, t: 3, width: 11 };
        let rows = numbers(2 * 3 * 11, 0.0);
        let (mut gathered, mut back) = (vec![0.0f32; 2 * 2 * 3 * 4], vec![0.0; rows.len()]);
        heads.gather(&rows, &mut gathered);
        heads.scatter(&gathered, &mut back);
        for (row, back) in rows.chunks_exact(11).zip(back.chunks_exact(11)) {
            assert_eq!((&back[..2], &back[10..]), (&[0.0, 0.0][..], &[0.0][..]));
            assert_eq!(back[2..10], row[2..10]);
        }
        // The second head of the first sequence, its position 1.
        assert_eq!(gathered[(3 + 1) * 4..][..4], rows[11 + 2 + 4..][..4]);
    }
}
