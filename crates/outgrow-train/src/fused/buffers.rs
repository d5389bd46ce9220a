//! What the passes keep and use: buffers that live as long as the architecture does.

use outgrow_core::{
    Architecture,
    model::{Axis, HeadGroup, LayerShape},
};

use super::{simd::Element, tensors::Buffer};
use crate::state::Layout;

/// What the forward pass of a layer leaves for its backward pass.
pub(super) struct Kept<E> {
    /// The stream before attention, and before the MLP: R × h.
    pub(super) x: [Buffer<f32>; 2],
    /// Both normed.
    pub(super) normed: [Buffer<E>; 2],
    /// 1/√(mean of squares) of each row.
    pub(super) r: [Vec<f32>; 2],
    pub(super) heads: Vec<KeptHeads<E>>,
    /// What the heads give, side by side: R × values.
    pub(super) attended: Buffer<E>,
    /// The MLP's units after their ReLU: R × f.
    pub(super) inner: Buffer<E>,
}

/// Of a group of heads: (b·n) × t × d, and the attention weights (b·n) × t × t.
pub(super) struct KeptHeads<E> {
    pub(super) q: Buffer<E>,
    pub(super) k: Buffer<E>,
    pub(super) v: Buffer<E>,
    pub(super) p: Buffer<E>,
}

/// Space for what a pass needs between two of its products; layers of one shape share it.
pub(super) struct Scratch<E> {
    pub(super) shape: LayerShape,
    pub(super) q: Buffer<E>,
    pub(super) k: Buffer<E>,
    pub(super) v: Buffer<E>,
    pub(super) heads: Vec<KeptHeads<E>>,
    pub(super) out: Vec<Buffer<E>>,
    pub(super) d_inner: Buffer<E>,
}

/// What a sub-layer adds, and the gradient of the stream: R × h each.
pub(super) struct Stream<E> {
    /// What a sub-layer adds, and on the way back the gradient of what it read.
    pub(super) added: Buffer<E>,
    /// The gradient of the stream, and the same as activations are kept.
    pub(super) dx: Buffer<f32>,
    pub(super) dx_as_kept: Buffer<E>,
}

/// Everything that the passes of one architecture keep and use, for batches of b sequences.
pub(super) struct Buffers<E> {
    pub(super) architecture: Architecture,
    pub(super) layout: Layout,
    pub(super) b: usize,
    pub(super) layers: Vec<Kept<E>>,
    pub(super) scratches: Vec<Scratch<E>>,
    pub(super) scratch_of: Vec<usize>,
    /// The stream at the end, and what the unembedding reads.
    pub(super) x: Buffer<f32>,
    pub(super) last: Buffer<E>,
    pub(super) last_r: Vec<f32>,
    pub(super) logits: Buffer<E>,
    pub(super) stream: Stream<E>,
    pub(super) gradient: Buffer<E>,
}

impl<E: Element> KeptHeads<E> {
    fn new(b: usize, t: usize, group: &HeadGroup) -> Self {
        let HeadGroup { n_heads, d_k, d_v, .. } = *group;
        let of = |width: usize| Buffer::new(&[b * n_heads, t, width]);
        Self { q: of(d_k), k: of(d_k), v: of(d_v), p: of(t) }
    }
}

impl<E: Element> Kept<E> {
    fn new(b: usize, t: usize, h: usize, shape: &LayerShape) -> Self {
        let rows = b * t;
        let stream = || Buffer::new(&[rows, h]);
        Self {
            x: [stream(), stream()],
            normed: [Buffer::new(&[rows, h]), Buffer::new(&[rows, h])],
            r: [vec![0.0; rows], vec![0.0; rows]],
            heads: shape.groups().iter().map(|group| KeptHeads::new(b, t, group)).collect(),
            attended: Buffer::new(&[rows, shape.width(Axis::Value)]),
            inner: Buffer::new(&[rows, shape.d_ff]),
        }
    }
}

impl<E: Element> Scratch<E> {
    fn new(b: usize, t: usize, shape: &LayerShape) -> Self {
        let rows = |width: usize| Buffer::new(&[b * t, width]);
        Self {
            q: rows(shape.width(Axis::Key)),
            k: rows(shape.width(Axis::Key)),
            v: rows(shape.width(Axis::Value)),
            heads: shape.groups().iter().map(|group| KeptHeads::new(b, t, group)).collect(),
            out: shape.groups().iter().map(|g| Buffer::new(&[b * g.n_heads, t, g.d_v])).collect(),
            d_inner: rows(shape.d_ff),
            shape: shape.clone(),
        }
    }
}

impl<E: Element> Stream<E> {
    fn new(rows: usize, h: usize) -> Self {
        Self {
            added: Buffer::new(&[rows, h]),
            dx: Buffer::new(&[rows, h]),
            dx_as_kept: Buffer::new(&[rows, h]),
        }
    }
}

impl<E: Element> Buffers<E> {
    pub(super) fn new(architecture: &Architecture, b: usize) -> Self {
        let (t, h) = (architecture.seq_len, architecture.d_model);
        let mut scratches: Vec<Scratch<E>> = vec![];
        let scratch_of = architecture.layers.iter().map(|shape| {
            scratches.iter().position(|scratch| scratch.shape == *shape).unwrap_or_else(|| {
                scratches.push(Scratch::new(b, t, shape));
                scratches.len() - 1
            })
        });
        let scratch_of = scratch_of.collect();
        let layout = Layout::new(architecture);
        Self {
            layers: architecture.layers.iter().map(|shape| Kept::new(b, t, h, shape)).collect(),
            scratches,
            scratch_of,
            x: Buffer::new(&[b * t, h]),
            last: Buffer::new(&[b * t, h]),
            last_r: vec![0.0; b * t],
            logits: Buffer::new(&[b * t, architecture.n_outputs]),
            stream: Stream::new(b * t, h),
            gradient: Buffer::new(&[layout.len()]),
            architecture: architecture.clone(),
            layout,
            b,
        }
    }

    /// ε on the mean of squares.
    pub(super) fn eps(&self) -> f32 {
        (self.architecture.form.eps_sum / self.architecture.d_model as f64) as f32
    }
}
