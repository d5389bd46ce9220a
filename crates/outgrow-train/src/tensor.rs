//! libtorch tensors as [`Values`], so that growth can be executed on them.

use std::ops::Range;

use outgrow_core::edit::Values;
use tch::{Kind, Tensor};

/// A tensor that edits can be executed on. Copies are made; nothing is changed in place.
#[derive(Debug)]
pub struct Growable(pub Tensor);

impl Values for Growable {
    fn shape(&self) -> Vec<usize> {
        self.0.size().iter().map(|&n| n as usize).collect()
    }

    fn same_kind(&self, shape: &[usize], values: Vec<f64>) -> Self {
        Growable(from_f64(shape, &values, self.0.kind(), self.0.device()))
    }

    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self {
        let (dim, at) = (dim as i64, at as i64);
        let rest = self.0.size()[dim as usize] - at;
        Growable(Tensor::cat(&[&self.0.narrow(dim, 0, at), &slab.0, &self.0.narrow(dim, at, rest)], dim))
    }

    fn scale(&self, dim: usize, range: Range<usize>, by: f64) -> Self {
        let scaled = self.0.copy();
        let _ = scaled.narrow(dim as i64, range.start as i64, range.len() as i64).g_mul_scalar_(by);
        Growable(scaled)
    }

    fn select(&self, dim: usize, indices: &[usize]) -> Self {
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        Growable(self.0.index_select(dim as i64, &Tensor::from_slice(&indices).to_device(self.0.device())))
    }
}

/// A tensor of `shape` from row-major f64 values.
pub(crate) fn from_f64(shape: &[usize], values: &[f64], kind: Kind, device: tch::Device) -> Tensor {
    let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    Tensor::from_slice(values).to_kind(kind).reshape(&shape).to_device(device)
}
