//! What growing needs of a tensor.

/// A tensor, as far as growing needs one.
pub trait Values: Sized {
    /// Lengths of the axes.
    fn shape(&self) -> Vec<usize>;
    /// New values of the same number type and place, row-major, one call for each.
    fn made(&self, shape: &[usize], next: &mut dyn FnMut() -> f64) -> Self;
    /// New values of the same number type and place, all alike.
    fn filled(&self, shape: &[usize], value: f64) -> Self {
        self.made(shape, &mut || value)
    }
    /// A copy with `slab` inserted at position `at` of dimension `dim`.
    fn insert(&self, dim: usize, at: usize, slab: &Self) -> Self;
    /// A copy with entry i of dimension `dim` multiplied by `factors[i]`.
    fn scale(&self, dim: usize, factors: &[f64]) -> Self;
    /// The entries `indices` of dimension `dim`, in that order.
    fn select(&self, dim: usize, indices: &[usize]) -> Self;
    /// The sum with values of the same shape.
    fn add(&self, other: &Self) -> Self;
    /// The mean over dimension `dim`, which stays with length 1.
    fn mean(&self, dim: usize) -> Self;
    /// The root of the mean square of all entries.
    fn root_mean_square(&self) -> f64;
}
