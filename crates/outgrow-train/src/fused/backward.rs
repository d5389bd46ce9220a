//! The backward pass.

use outgrow_core::{
    Architecture, ParamId,
    ParamKind::{self, *},
};

use super::{
    attention::attend_backward,
    buffers::{Buffers, Kept, Scratch, Stream},
    kernels::{self, Gain},
    simd::Element,
    tensors::{Params, add_mm, mm, read, weight_gradient},
};

impl<E: Element> Buffers<E> {
    /// From the gradient of the logits (in their place) to that of every parameter.
    pub(super) fn backward(&mut self, w: &Params, tokens: &[i64]) {
        let (t, h, eps) = (self.architecture.seq_len, self.architecture.d_model, self.eps());
        let grads = Params(self.layout.cut(&self.gradient.0));
        self.head_backward(w, &grads);
        for (number, kept) in self.layers.iter().enumerate().rev() {
            let scratch = &mut self.scratches[self.scratch_of[number]];
            let layer =
                Layer { number, architecture: &self.architecture, w, grads: &grads, kept, eps };
            layer.mlp(scratch, &mut self.stream);
            layer.attention(scratch, &mut self.stream);
        }
        let (mut table, mut positions) =
            (vec![0.0f32; self.architecture.vocab_size * h], vec![0.0f32; t * h]);
        kernels::embed_backward(tokens, t, h, self.stream.dx.get(), &mut table, &mut positions);
        grads.put::<E>(ParamId::global(Embedding), &table);
        grads.put::<E>(ParamId::global(Positions), &positions);
    }

    /// The gradients of unembedding and final norm, and of the stream at the end.
    fn head_backward(&mut self, w: &Params, grads: &Params) {
        let (h, eps) = (self.architecture.d_model, self.eps());
        let Stream { added, dx, .. } = &mut self.stream;
        weight_gradient(grads.global(Unembedding), &self.last, &self.logits);
        mm(added, &self.logits.0, &w.global(Unembedding).tr());
        dx.get_mut().fill(0.0);
        if self.architecture.form.final_norm {
            let mut d_gain = vec![0.0f32; h];
            let norm = Gain { gain: read::<E>(w.global(FinalNorm)), eps };
            norm.backward(added.get(), self.x.get(), &self.last_r, dx.get_mut(), &mut d_gain);
            grads.put::<E>(ParamId::global(FinalNorm), &d_gain);
        } else {
            let zeros = vec![0.0; dx.0.numel()];
            kernels::add(&zeros, added.get(), None, h, dx.get_mut());
        }
    }
}

/// A layer on the way back.
struct Layer<'a, E> {
    number: usize,
    architecture: &'a Architecture,
    w: &'a Params,
    grads: &'a Params,
    kept: &'a Kept<E>,
    eps: f32,
}

impl<E: Element> Layer<'_, E> {
    fn id(&self, kind: ParamKind) -> ParamId {
        ParamId::in_layer(self.number, kind)
    }

    /// From the gradient of the stream after the MLP to that before it.
    fn mlp(&self, scratch: &mut Scratch<E>, stream: &mut Stream<E>) {
        let (of, grad) =
            (|kind| self.w.layer(self.number, kind), |kind| self.grads.layer(self.number, kind));
        kernels::cast(stream.dx.get(), stream.dx_as_kept.get_mut());
        let mut d_bias = vec![0.0f32; self.architecture.d_model];
        kernels::column_sums(stream.dx.get(), &mut d_bias);
        self.grads.put::<E>(self.id(B2), &d_bias);
        weight_gradient(grad(W2), &self.kept.inner, &stream.dx_as_kept);
        mm(&scratch.d_inner, &stream.dx_as_kept.0, &of(W2).tr());
        let mut d_bias = vec![0.0f32; scratch.shape.d_ff];
        kernels::relu_backward(self.kept.inner.get(), scratch.d_inner.get_mut(), &mut d_bias);
        self.grads.put::<E>(self.id(B1), &d_bias);
        weight_gradient(grad(W1), &self.kept.normed[1], &scratch.d_inner);
        mm(&stream.added, &scratch.d_inner.0, &of(W1).tr());
        self.norm(MlpNorm, 1, stream);
    }

    /// From the gradient of the stream after attention to that before it.
    fn attention(&self, scratch: &mut Scratch<E>, stream: &mut Stream<E>) {
        let (of, grad) =
            (|kind| self.w.layer(self.number, kind), |kind| self.grads.layer(self.number, kind));
        kernels::cast(stream.dx.get(), stream.dx_as_kept.get_mut());
        weight_gradient(grad(Wo), &self.kept.attended, &stream.dx_as_kept);
        mm(&scratch.v, &stream.dx_as_kept.0, &of(Wo).tr());
        attend_backward(self.kept, scratch, self.architecture);
        for (kind, d) in [(Wq, &scratch.q), (Wk, &scratch.k), (Wv, &scratch.v)] {
            weight_gradient(grad(kind), &self.kept.normed[0], d);
        }
        mm(&stream.added, &scratch.q.0, &of(Wq).tr());
        add_mm(&stream.added, &scratch.k.0, &of(Wk).tr());
        add_mm(&stream.added, &scratch.v.0, &of(Wv).tr());
        self.norm(AttentionNorm, 0, stream);
    }

    /// From the gradient of what a sub-layer read (0 attention, 1 the MLP) to that of the stream,
    /// to which it is added, and of the gain.
    fn norm(&self, kind: ParamKind, which: usize, stream: &mut Stream<E>) {
        let mut d_gain = vec![0.0f32; self.architecture.d_model];
        let norm = Gain { gain: read::<E>(self.w.layer(self.number, kind)), eps: self.eps };
        norm.backward(
            stream.added.get(),
            self.kept.x[which].get(),
            &self.kept.r[which],
            stream.dx.get_mut(),
            &mut d_gain,
        );
        self.grads.put::<E>(self.id(kind), &d_gain);
    }
}
