//! Grows tensors of one's own: whatever implements [`Values`] can be grown by the edits of a
//! transform or an operator. Here a tensor is a plain `Vec<f32>`; a type of candle or burn would
//! call the same few operations of its library.
//!
//! `cargo run --example grow -p outgrow-core`

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Form, LayerShape, Norm, ParamId,
    edit::{Initializer, Role, Values, apply, fresh},
    growth::{Sizes, grow_all, reach},
    reference::{Array, logits},
};

/// A dense row-major tensor.
#[derive(Clone)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// How many entries lie side by side below dimension `dim`, and how many such runs there are
    /// above it.
    fn around(&self, dim: usize) -> (usize, usize) {
        (self.shape[..dim].iter().product(), self.shape[dim + 1..].iter().product())
    }

    /// The tensor whose entry `i` of dimension `dim` is made from `run(outer, i)`.
    fn along<'a>(&'a self, dim: usize, n: usize, run: impl Fn(usize, usize) -> &'a [f32]) -> Self {
        let (outer, _) = self.around(dim);
        let mut shape = self.shape.clone();
        shape[dim] = n;
        let data = (0..outer)
            .flat_map(|o| (0..n).flat_map(move |i| [(o, i)]))
            .flat_map(|(o, i)| run(o, i));
        Self { data: data.copied().collect(), shape }
    }

    fn run(&self, dim: usize, o: usize, i: usize) -> &[f32] {
        let (_, inner) = self.around(dim);
        let at = (o * self.shape[dim] + i) * inner;
        &self.data[at..at + inner]
    }
}

impl Values for Tensor {
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn made(&self, shape: &[usize], next: &mut dyn FnMut() -> f64) -> Self {
        let data = (0..shape.iter().product()).map(|_| next() as f32).collect();
        Self { shape: shape.to_vec(), data }
    }

    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self {
        let new = slab.shape[dim];
        self.along(dim, self.shape[dim] + new, |o, i| match i {
            i if i < at => self.run(dim, o, i),
            i if i < at + new => slab.run(dim, o, i - at),
            i => self.run(dim, o, i - new),
        })
    }

    fn scale(&self, dim: usize, factors: &[f64]) -> Self {
        let (_, inner) = self.around(dim);
        let factor = |n: usize| factors[n / inner % self.shape[dim]] as f32;
        let data = self.data.iter().enumerate().map(|(n, value)| value * factor(n)).collect();
        Self { shape: self.shape.clone(), data }
    }

    fn select(&self, dim: usize, indices: &[usize]) -> Self {
        self.along(dim, indices.len(), |o, i| self.run(dim, o, indices[i]))
    }

    fn add(&self, other: &Self) -> Self {
        let data = self.data.iter().zip(&other.data).map(|(a, b)| a + b).collect();
        Self { shape: self.shape.clone(), data }
    }

    fn mean(&self, dim: usize) -> Self {
        let sums = (1..self.shape[dim])
            .fold(self.select(dim, &[0]), |sum, i| sum.add(&self.select(dim, &[i])));
        sums.scale(dim, &[1.0 / self.shape[dim] as f64])
    }

    fn root_mean_square(&self) -> f64 {
        let squares: f64 = self.data.iter().map(|&value| f64::from(value).powi(2)).sum();
        (squares / self.data.len().max(1) as f64).sqrt()
    }
}

fn main() {
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    let layer = LayerShape::uniform(2, 8, 8, 32);
    let small = Architecture::uniform(100, 16, 16, 2, layer, form);
    let nothing = Tensor { shape: vec![0], data: vec![] };
    let mut weights: BTreeMap<ParamId, Tensor> = fresh(&small, 7, &nothing);
    let before = logits(&small, &in_f64(&weights), &[1, 2, 3]);

    let sizes = Sizes { d_model: Some(24), n_layers: Some(3), d_ff: Some(64), ..Sizes::default() };
    let transforms = reach(&small, &sizes).expect("nothing shrinks");
    let grown = grow_all(&small, &transforms, 0).expect("each can be applied");
    let initializer = Initializer::Normal { scale: 1.0 };
    apply(
        &mut weights,
        &grown.edits,
        Role::Weights { initializer: &initializer, seed: 7, event: 0 },
    );

    let after = logits(&grown.architecture, &in_f64(&weights), &[1, 2, 3]);
    let change = before.values.iter().zip(&after.values).map(|(a, b)| (a - b).abs());
    println!("from {}\n  to {}", small.describe(), grown.architecture.describe());
    println!("largest change of a logit: {:.1e}", change.fold(0.0, f64::max));
}

/// For the reference model, which computes in f64.
fn in_f64(weights: &BTreeMap<ParamId, Tensor>) -> BTreeMap<ParamId, Array> {
    let array = |tensor: &Tensor| {
        Array::new(tensor.shape.clone(), tensor.data.iter().map(|&value| value.into()).collect())
    };
    weights.iter().map(|(id, tensor)| (*id, array(tensor))).collect()
}
