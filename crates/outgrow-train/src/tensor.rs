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

    fn made(&self, shape: &[usize], next: &mut dyn FnMut() -> f64) -> Self {
        let n: usize = shape.iter().product();
        let flat = Tensor::empty([n as i64], (self.0.kind(), self.0.device()));
        // A piece at a time: as f64, all of them would take several times the tensor's own memory.
        for at in (0..n).step_by(PIECE) {
            let piece: Vec<f64> = (at..n.min(at + PIECE)).map(|_| next()).collect();
            flat.narrow(0, at as i64, piece.len() as i64).copy_(&Tensor::from_slice(&piece));
        }
        Growable(flat.reshape(sizes(shape)))
    }

    fn filled(&self, shape: &[usize], value: f64) -> Self {
        Growable(Tensor::full(sizes(shape), value, (self.0.kind(), self.0.device())))
    }

    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self {
        let (dim, at) = (dim as i64, at as i64);
        let rest = self.0.size()[dim as usize] - at;
        Growable(Tensor::cat(
            &[&self.0.narrow(dim, 0, at), &slab.0, &self.0.narrow(dim, at, rest)],
            dim,
        ))
    }

    fn scale(&self, dim: usize, factors: &[f64]) -> Self {
        let mut shape = vec![1; self.0.dim()];
        shape[dim] = factors.len();
        // In a short type the factor itself would be rounded, and the product again at each step:
        // it stays long from here on.
        let long = self.long();
        let factors = from_f64(&shape, factors, long.kind(), long.device());
        Growable(long * factors)
    }

    fn add(&self, other: &Self) -> Self {
        Growable(&self.0 + &other.0)
    }

    fn mean(&self, dim: usize) -> Self {
        let long = self.long();
        let kind = long.kind();
        Growable(long.mean_dim(Some([dim as i64].as_slice()), true, kind))
    }

    fn root_mean_square(&self) -> f64 {
        self.0.to_kind(Kind::Double).square().mean(Kind::Double).sqrt().double_value(&[])
    }

    fn select(&self, dim: usize, indices: &[usize]) -> Self {
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        Growable(
            self.0
                .index_select(dim as i64, &Tensor::from_slice(&indices).to_device(self.0.device())),
        )
    }
}

impl Growable {
    /// The same in float32 at least.
    fn long(&self) -> Tensor {
        match self.0.kind() {
            Kind::BFloat16 | Kind::Half => self.0.to_kind(Kind::Float),
            _ => self.0.shallow_clone(),
        }
    }
}

/// Entries that are drawn at a time.
const PIECE: usize = 1 << 20;

fn sizes(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&n| n as i64).collect()
}

/// A tensor of `shape` from row-major f64 values.
pub(crate) fn from_f64(shape: &[usize], values: &[f64], kind: Kind, device: tch::Device) -> Tensor {
    Tensor::from_slice(values).to_kind(kind).reshape(sizes(shape)).to_device(device)
}
