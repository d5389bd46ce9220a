//! The slow, obvious model in f64: what the paper's section 2 says, loop by loop.
//!
//! It is here to be compared with: the libtorch model must agree with it, and every transform is
//! checked on it without any tensor library.

use std::collections::BTreeMap;

use crate::{
    edit::Values,
    model::{Architecture, Axis, Form, Norm, ParamId, ParamKind, Rotary},
};

/// A dense row-major array.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Array {
    /// Lengths of the axes.
    pub shape: Vec<usize>,
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
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "as many values as the shape {shape:?} says"
        );
        Self { shape, values }
    }

    /// The empty array: something to name a number type with, for [`crate::edit::fresh`].
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
        (
            self.shape[..dim].iter().product(),
            self.shape[dim],
            self.shape[dim + 1..].iter().product(),
        )
    }
}

impl Values for Array {
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn made(&self, shape: &[usize], next: &mut dyn FnMut() -> f64) -> Self {
        Array::new(shape.to_vec(), (0..shape.iter().product()).map(|_| next()).collect())
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
        let mean = |o: usize, n: usize| {
            (0..len).map(|i| self.values[(o * len + i) * inner + n]).sum::<f64>() / len as f64
        };
        let values = (0..outer)
            .flat_map(|o| (0..inner).map(move |n| (o, n)))
            .map(|(o, n)| mean(o, n))
            .collect();
        let mut shape = self.shape.clone();
        shape[dim] = 1;
        Array::new(shape, values)
    }

    fn root_mean_square(&self) -> f64 {
        (self.values.iter().map(|v| v * v).sum::<f64>() / self.values.len().max(1) as f64).sqrt()
    }

    fn select(&self, dim: usize, indices: &[usize]) -> Self {
        let (outer, len, inner) = self.around(dim);
        let entry =
            |o: usize, i: usize| &self.values[(o * len + i) * inner..(o * len + i + 1) * inner];
        let values = (0..outer)
            .flat_map(|o| indices.iter().flat_map(move |&i| entry(o, i)).copied())
            .collect();
        let mut shape = self.shape.clone();
        shape[dim] = indices.len();
        Array::new(shape, values)
    }
}

/// Logits of one sequence, `tokens.len()` × `n_outputs`.
///
/// # Panics
/// If a token is outside the vocabulary, the sequence is longer than `seq_len`, or `params` are not
/// the architecture's.
pub fn logits(architecture: &Architecture, params: &Params, tokens: &[usize]) -> Array {
    let form = architecture.form;
    let global = |kind| params.get(&ParamId::global(kind));
    let embedding = global(ParamKind::Embedding).expect("a table of tokens");
    let embed = |(i, &token): (usize, &usize)| match global(ParamKind::Positions) {
        Some(positions) => add(embedding.row(token), positions.row(i)),
        None => embedding.row(token).to_vec(),
    };
    let mut x: Vec<Vec<f64>> = tokens.iter().enumerate().map(embed).collect();
    for layer in 0..architecture.layers.len() {
        let p = |kind| params.get(&ParamId::in_layer(layer, kind).owned(architecture));
        // What a branch adds, times its gain.
        let gained = |branch: Vec<f64>, kind| match p(kind) {
            Some(gain) => branch.iter().zip(&gain.values).map(|(b, g)| b * g).collect(),
            None => branch,
        };
        let normed =
            norm(&x, architecture, p, [ParamKind::AttentionNorm, ParamKind::AttentionNormBias]);
        let attended = attention(architecture, layer, &normed, p).into_iter();
        let attended = attended.map(|row| gained(row, ParamKind::AttentionGain));
        let after: Vec<Vec<f64>> = x.iter().zip(attended).map(|(a, b)| add(a, &b)).collect();
        let read = if form.parallel { &x } else { &after };
        let normed = norm(read, architecture, p, [ParamKind::MlpNorm, ParamKind::MlpNormBias]);
        let thought = normed.iter().map(|row| gained(mlp(form, row, p), ParamKind::MlpGain));
        x = after.iter().zip(thought).map(|(a, b)| add(a, &b)).collect();
    }
    if form.final_norm {
        x = norm(&x, architecture, global, [ParamKind::FinalNorm, ParamKind::FinalNormBias]);
    }
    let out = x.iter().flat_map(|row| match global(ParamKind::Unembedding) {
        Some(unembedding) => times(row, unembedding),
        None => (0..architecture.vocab_size).map(|token| dot(row, embedding.row(token))).collect(),
    });
    Array::new(vec![tokens.len(), architecture.n_outputs], out.collect())
}

/// x·g·√d / √(Σx² + ε) (paper, equation 5, with ε on the sum), or the same of x − μ, plus a bias;
/// without g and bias where there are none.
fn norm<'a>(
    x: &[Vec<f64>],
    architecture: &Architecture,
    p: impl Fn(ParamKind) -> Option<&'a Array>,
    [gain, bias]: [ParamKind; 2],
) -> Vec<Vec<f64>> {
    let d = architecture.d_model as f64;
    let centred = architecture.form.norm == Norm::LayerNorm;
    let one = |row: &Vec<f64>| {
        let mean = if centred { row.iter().sum::<f64>() / d } else { 0.0 };
        let row: Vec<f64> = row.iter().map(|v| v - mean).collect();
        let scaled = scaled(&row, p(gain), architecture.form.eps_sum);
        match p(bias) {
            Some(bias) => add(&scaled, &bias.values),
            None => scaled,
        }
    };
    x.iter().map(one).collect()
}

/// x·g·√d / √(Σx² + ε).
fn scaled(x: &[f64], gain: Option<&Array>, eps_sum: f64) -> Vec<f64> {
    let scale = (x.len() as f64).sqrt() / (x.iter().map(|v| v * v).sum::<f64>() + eps_sum).sqrt();
    match gain {
        Some(gain) => x.iter().zip(&gain.values).map(|(v, g)| v * g * scale).collect(),
        None => x.iter().map(|v| v * scale).collect(),
    }
}

/// Σ_e softmax(Q_e K_eᵀ / √k_e) V_e W_o,e (paper, equation 2), several queries to a K_e and V_e
/// where they are shared.
fn attention<'a>(
    architecture: &Architecture,
    layer: usize,
    x: &[Vec<f64>],
    p: impl Fn(ParamKind) -> Option<&'a Array>,
) -> Vec<Vec<f64>> {
    let (shape, form) = (&architecture.layers[layer], architecture.form);
    let project = |w, b| x.iter().map(|row| affine(row, p(w), p(b))).collect::<Vec<_>>();
    let (q, k, v) = (
        project(ParamKind::Wq, ParamKind::Bq),
        project(ParamKind::Wk, ParamKind::Bk),
        project(ParamKind::Wv, ParamKind::Bv),
    );
    // A query or key as it meets the others: normed, and turned by its position.
    let ready = |row: &[f64], gain, position: usize| {
        let normed = match form.qk_norm_eps {
            Some(eps) => scaled(row, p(gain), eps * row.len() as f64),
            None => row.to_vec(),
        };
        form.rotary().map_or(normed.clone(), |rotary| turned(normed, &rotary, position))
    };
    let one = |i: usize| {
        let last = if form.causal { i + 1 } else { x.len() };
        let mut mixed = vec![0.0; shape.width(Axis::Mixed)];
        for (e, head) in shape.heads.iter().enumerate() {
            let (ko, vo) = (shape.offset(Axis::Key, e), shape.offset(Axis::Value, e));
            for query in 0..head.n_queries {
                let qo = shape.offset(Axis::Query, e) + query * head.d_k;
                let mo = shape.offset(Axis::Mixed, e) + query * head.d_v;
                let q_i = ready(&q[i][qo..qo + head.d_k], ParamKind::QueryNorm, i);
                let score = |j: usize| {
                    dot(&q_i, &ready(&k[j][ko..ko + head.d_k], ParamKind::KeyNorm, j))
                        / (head.d_k as f64).sqrt()
                };
                for (j, weight) in softmax((0..last).map(score).collect()).iter().enumerate() {
                    for c in 0..head.d_v {
                        mixed[mo + c] += weight * v[j][vo + c];
                    }
                }
            }
        }
        affine(&mixed, p(ParamKind::Wo), p(ParamKind::Bo))
    };
    (0..x.len()).map(one).collect()
}

/// Rotary positions: pair i, of channels 2i and 2i + 1, turned by its angle.
fn turned(mut x: Vec<f64>, rotary: &Rotary, position: usize) -> Vec<f64> {
    for i in 0..rotary.turned(x.len()) / 2 {
        let (cos, sin) = rotary.turn(position, i);
        let (a, b) = (x[2 * i], x[2 * i + 1]);
        (x[2 * i], x[2 * i + 1]) = (a * cos - b * sin, b * cos + a * sin);
    }
    x
}

/// act(x W_1 + b_1) W_2 + b_2 (paper, equation 3), or (act(x W_g + b_g) ∘ (x W_1 + b_1)) W_2 + b_2.
fn mlp<'a>(form: Form, x: &[f64], p: impl Fn(ParamKind) -> Option<&'a Array>) -> Vec<f64> {
    let inner = affine(x, p(ParamKind::W1), p(ParamKind::B1));
    let inner: Vec<f64> = match form.gated {
        true => {
            let gate = affine(x, p(ParamKind::Wg), p(ParamKind::Bg));
            gate.iter().zip(&inner).map(|(g, v)| form.activation.of(*g) * v).collect()
        }
        false => inner.into_iter().map(|v| form.activation.of(v)).collect(),
    };
    affine(&inner, p(ParamKind::W2), p(ParamKind::B2))
}

/// x W + b, or x W where there is no b.
fn affine(x: &[f64], w: Option<&Array>, b: Option<&Array>) -> Vec<f64> {
    let product = times(x, w.expect("a model of every form has this matrix"));
    b.map_or(product.clone(), |b| add(&product, &b.values))
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
