//! libtorch tensors as [`Values`], so that growth can be executed on them.

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

    fn scale(&self, dim: usize, factors: &[f64]) -> Self {
        let mut shape = vec![1; self.0.dim()];
        shape[dim] = factors.len();
        Growable(&self.0 * from_f64(&shape, factors, self.0.kind(), self.0.device()))
    }

    fn add(&self, other: &Self) -> Self {
        Growable(&self.0 + &other.0)
    }

    fn mean(&self, dim: usize) -> Self {
        Growable(self.0.mean_dim(Some([dim as i64].as_slice()), true, self.0.kind()))
    }

    fn root_mean_square(&self) -> f64 {
        self.0.to_kind(Kind::Double).square().mean(Kind::Double).sqrt().double_value(&[])
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
