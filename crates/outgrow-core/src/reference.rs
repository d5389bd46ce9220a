//! The slow, obvious model in f64: what the paper's section 2 says, loop by loop.
//!
//! It is here to be compared with: the libtorch model must agree with it, and every transform is checked on it without
//! any tensor library.

use std::collections::BTreeMap;

use crate::{
    architecture::{Architecture, Norm},
    edit::Values,
    param::{ParamId, ParamKind},
};

/// A dense row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// The entries.
    pub values: Vec<f64>,
}

/// The parameters of a reference model.
pub type Params = BTreeMap<ParamId, Array>;

impl Array {
    /// An array of `shape` from its entries.
    ///
    /// # Panics
    /// If their number is not the shape's.
    pub fn new(shape: Vec<usize>, values: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "as many values as the shape {shape:?} says");
        Self { shape, values }
    }

    /// The empty array: something to name a number type with, for [`crate::init::fresh`].
    pub fn empty() -> Self {
        Self { shape: vec![0], values: vec![] }
    }

    /// Row `i` of a matrix.
    fn row(&self, i: usize) -> &[f64] {
        let n = self.shape[1];
        &self.values[i * n..(i + 1) * n]
    }

    /// (outer, len, inner) around dimension `dim`: entry (o, i, n) stands at (o·len + i)·inner + n.
    fn around(&self, dim: usize) -> (usize, usize, usize) {
        (self.shape[..dim].iter().product(), self.shape[dim], self.shape[dim + 1..].iter().product())
    }
}

impl Values for Array {
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn same_kind(&self, shape: &[usize], values: Vec<f64>) -> Self {
        Array::new(shape.to_vec(), values)
    }

    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self {
        let (outer, len, inner) = self.around(dim);
        let added = slab.shape[dim];
        let mut values = Vec::with_capacity(self.values.len() + slab.values.len());
        for o in 0..outer {
            let old = &self.values[o * len * inner..(o + 1) * len * inner];
            values.extend_from_slice(&old[..at * inner]);
            values.extend_from_slice(&slab.values[o * added * inner..(o + 1) * added * inner]);
            values.extend_from_slice(&old[at * inner..]);
        }
        let mut shape = self.shape.clone();
        shape[dim] += added;
        Array::new(shape, values)
    }

    fn scale(&self, dim: usize, factors: &[f64]) -> Self {
        let (outer, len, inner) = self.around(dim);
        let mut scaled = self.clone();
        for (n, value) in scaled.values.iter_mut().enumerate() {
            *value *= factors[n / inner % len];
        }
        debug_assert_eq!(scaled.values.len(), outer * len * inner);
        scaled
    }

    fn add(&self, other: &Self) -> Self {
        Array::new(self.shape.clone(), add(&self.values, &other.values))
    }

    fn mean(&self, dim: usize) -> Self {
        let (outer, len, inner) = self.around(dim);
        let mean =
            |o: usize, n: usize| (0..len).map(|i| self.values[(o * len + i) * inner + n]).sum::<f64>() / len as f64;
        let values = (0..outer).flat_map(|o| (0..inner).map(move |n| (o, n))).map(|(o, n)| mean(o, n)).collect();
        let mut shape = self.shape.clone();
        shape[dim] = 1;
        Array::new(shape, values)
    }

    fn root_mean_square(&self) -> f64 {
        (self.values.iter().map(|v| v * v).sum::<f64>() / self.values.len().max(1) as f64).sqrt()
    }

    fn select(&self, dim: usize, indices: &[usize]) -> Self {
        let (outer, len, inner) = self.around(dim);
        let entry = |o: usize, i: usize| &self.values[(o * len + i) * inner..(o * len + i + 1) * inner];
        let values = (0..outer).flat_map(|o| indices.iter().flat_map(move |&i| entry(o, i)).copied()).collect();
        let mut shape = self.shape.clone();
        shape[dim] = indices.len();
        Array::new(shape, values)
    }
}

/// Logits of one sequence, `tokens.len()` × `n_outputs`.
///
/// # Panics
/// If a token is outside the vocabulary, the sequence is longer than `seq_len`, or `params` are not the architecture's.
pub fn logits(architecture: &Architecture, params: &Params, tokens: &[usize]) -> Array {
    let global = |kind| &params[&ParamId::global(kind)];
    let d_model = architecture.d_model;
    let mut x: Vec<Vec<f64>> = tokens
        .iter()
        .enumerate()
        .map(|(i, &token)| add(global(ParamKind::Embedding).row(token), global(ParamKind::Positions).row(i)))
        .collect();
    for layer in 0..architecture.layers.len() {
        let p = |kind| &params[&ParamId::in_layer(layer, kind)];
        let normed = norm(&x, architecture, p, [ParamKind::AttentionNorm, ParamKind::AttentionNormBias]);
        let attended = attention(architecture, layer, &normed, p);
        x = x.iter().zip(&attended).map(|(a, b)| add(a, b)).collect();
        let normed = norm(&x, architecture, p, [ParamKind::MlpNorm, ParamKind::MlpNormBias]);
        x = x.iter().zip(&normed).map(|(a, b)| add(a, &mlp(b, p))).collect();
    }
    if architecture.form.final_norm {
        x = norm(&x, architecture, global, [ParamKind::FinalNorm, ParamKind::FinalNormBias]);
    }
    debug_assert!(x.iter().all(|row| row.len() == d_model));
    let out = x.iter().flat_map(|row| times(row, global(ParamKind::Unembedding))).collect();
    Array::new(vec![tokens.len(), architecture.n_outputs], out)
}

/// x·g·√d / √(Σx² + ε) (paper, equation 5, with ε on the sum), or the same of x − μ, plus a bias.
fn norm<'a>(
    x: &[Vec<f64>],
    architecture: &Architecture,
    p: impl Fn(ParamKind) -> &'a Array,
    [gain, bias]: [ParamKind; 2],
) -> Vec<Vec<f64>> {
    let d = architecture.d_model as f64;
    let (centred, gain) = (architecture.form.norm == Norm::LayerNorm, &p(gain).values);
    let one = |row: &Vec<f64>| {
        let mean = if centred { row.iter().sum::<f64>() / d } else { 0.0 };
        let sum = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() + architecture.form.eps_sum;
        let scale = d.sqrt() / sum.sqrt();
        let scaled: Vec<f64> = row.iter().zip(gain).map(|(v, g)| (v - mean) * g * scale).collect();
        if centred { add(&scaled, &p(bias).values) } else { scaled }
    };
    x.iter().map(one).collect()
}

/// Σ_e softmax(Q_e K_eᵀ / √k_e) V_e W_o,e (paper, equation 2).
fn attention<'a>(
    architecture: &Architecture,
    layer: usize,
    x: &[Vec<f64>],
    p: impl Fn(ParamKind) -> &'a Array,
) -> Vec<Vec<f64>> {
    let project = |kind| x.iter().map(|row| times(row, p(kind))).collect::<Vec<_>>();
    let (q, k, v) = (project(ParamKind::Wq), project(ParamKind::Wk), project(ParamKind::Wv));
    let shape = &architecture.layers[layer];
    let position = |i: usize| {
        let last = if architecture.form.causal { i + 1 } else { x.len() };
        let mut heads = vec![0.0; shape.values()];
        for (e, head) in shape.heads.iter().enumerate() {
            let (ko, vo) = (shape.key_offset(e), shape.value_offset(e));
            let score = |j: usize| dot(&q[i][ko..ko + head.d_k], &k[j][ko..ko + head.d_k]) / (head.d_k as f64).sqrt();
            let weights = softmax((0..last).map(score).collect());
            for (j, weight) in weights.iter().enumerate() {
                for c in vo..vo + head.d_v {
                    heads[c] += weight * v[j][c];
                }
            }
        }
        times(&heads, p(ParamKind::Wo))
    };
    (0..x.len()).map(position).collect()
}

/// ReLU(x W_1 + b_1) W_2 + b_2 (paper, equation 3).
fn mlp<'a>(x: &[f64], p: impl Fn(ParamKind) -> &'a Array) -> Vec<f64> {
    let mut inner = add(&times(x, p(ParamKind::W1)), &p(ParamKind::B1).values);
    inner.iter_mut().for_each(|v| *v = v.max(0.0));
    add(&times(&inner, p(ParamKind::W2)), &p(ParamKind::B2).values)
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Row vector times matrix.
fn times(x: &[f64], w: &Array) -> Vec<f64> {
    let mut out = vec![0.0; w.shape[1]];
    for (i, &xi) in x.iter().enumerate() {
        for (o, wi) in out.iter_mut().zip(w.row(i)) {
            *o += xi * wi;
        }
    }
    out
}

fn softmax(scores: Vec<f64>) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| e / sum).collect()
}
