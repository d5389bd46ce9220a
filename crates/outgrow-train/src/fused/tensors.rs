//! Tensors of the processor as slices, and products of them into buffers.

use std::{collections::BTreeMap, marker::PhantomData};

use outgrow_core::{ParamId, ParamKind};
use tch::{Device, Tensor};

use super::{kernels, simd::Element};

/// A libtorch tensor that nobody else holds, as a slice.
pub(super) struct Buffer<E>(pub(super) Tensor, PhantomData<E>);

impl<E: Element> Buffer<E> {
    pub(super) fn new(shape: &[usize]) -> Self {
        let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        Self(Tensor::zeros(&shape, (E::KIND, Device::Cpu)), PhantomData)
    }

    pub(super) fn get(&self) -> &[E] {
        read(&self.0)
    }

    pub(super) fn get_mut(&mut self) -> &mut [E] {
        // SAFETY: contiguous numbers of this kind, as made above; the tensor is only reached
        // through this buffer, which is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast(), self.0.numel()) }
    }
}

/// A contiguous tensor of the processor's as a slice. It must not be written while the slice lives.
pub(super) fn read<E: Element>(tensor: &Tensor) -> &[E] {
    assert!(tensor.kind() == E::KIND && tensor.is_contiguous() && tensor.device() == Device::Cpu);
    // SAFETY: as asserted; within `fused` tensors are written through `&mut` buffers or by
    // libtorch calls, between which no such slice is held.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// Parameters, each a view of one flat tensor.
pub(super) struct Params(pub(super) BTreeMap<ParamId, Tensor>);

impl Params {
    pub(super) fn layer(&self, layer: usize, kind: ParamKind) -> &Tensor {
        &self.0[&ParamId::in_layer(layer, kind)]
    }

    pub(super) fn global(&self, kind: ParamKind) -> &Tensor {
        &self.0[&ParamId::global(kind)]
    }

    /// Writes float32 numbers into a parameter, in its own kind.
    pub(super) fn put<E: Element>(&self, id: ParamId, values: &[f32]) {
        let tensor = &self.0[&id];
        assert!(
            tensor.kind() == E::KIND && tensor.is_contiguous() && tensor.numel() == values.len()
        );
        // SAFETY: as asserted; no other slice of the gradient lives.
        let slice =
            unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<E>(), values.len()) };
        kernels::cast(values, slice);
    }
}

/// out = a b.
pub(super) fn mm<E>(out: &Buffer<E>, a: &Tensor, b: &Tensor) {
    let _ = a.mm_out(&out.0, b);
}

/// out += a b.
pub(super) fn add_mm<E>(out: &Buffer<E>, a: &Tensor, b: &Tensor) {
    let _ = out.0.addmm_out(&out.0, a, b);
}

/// The gradient of w in y = x w: xᵀ dy.
pub(super) fn weight_gradient<E>(out: &Tensor, x: &Buffer<E>, dy: &Buffer<E>) {
    let _ = x.0.tr().mm_out(out, &dy.0);
}
