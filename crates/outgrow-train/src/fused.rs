//! The training step on a processor, forward and backward fused: libtorch's matrix products, and
//! between them one pass over memory each, into buffers that live as long as the architecture does.
//!
//! It computes what autograd computes through [`crate::Model`], which stays the reference (a test
//! holds the two together) and serves wherever this does not: other devices, float64, forms that
//! are not the paper's. The stream between layers is kept in float32 whatever the activations are
//! kept in.
//!
//! Shapes: b sequences, t positions, R = b·t rows, h `d_model`, n heads of a group, d their width,
//! f `d_ff`, o outputs.

pub(crate) mod adamw;
mod attention;
mod backward;
mod buffers;
mod flat;
mod forward;
mod kernels;
mod passes;
mod simd;
mod tensors;

pub(crate) use self::{
    flat::{flat, norm},
    passes::{Fused, serves},
};
