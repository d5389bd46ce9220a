//! The forward pass.

use outgrow_core::ParamKind::*;

use super::{
    attention::attend,
    buffers::Buffers,
    kernels::{self, Gain},
    simd::Element,
    tensors::{Params, mm, read},
};

impl<E: Element> Buffers<E> {
    /// The logits of a batch, everything else kept.
    pub(super) fn forward(&mut self, w: &Params, tokens: &[i64]) {
        let (t, h, eps, n) =
            (self.architecture.seq_len, self.architecture.d_model, self.eps(), self.layers.len());
        let gain = |tensor| Gain { gain: read::<E>(tensor), eps };
        let first = self.layers.first_mut().map_or(&mut self.x, |layer| &mut layer.x[0]);
        kernels::embed(
            tokens,
            read::<E>(w.global(Embedding)),
            read(w.global(Positions)),
            t,
            h,
            first.get_mut(),
        );
        for number in 0..n {
            let (this, rest) = self.layers[number..].split_first_mut().expect("a layer");
            let scratch = &mut self.scratches[self.scratch_of[number]];
            let of = |kind| w.layer(number, kind);
            if number == 0 {
                let [normed, _] = &mut this.normed;
                gain(of(AttentionNorm)).norm(this.x[0].get(), normed.get_mut(), &mut this.r[0]);
            }
            attend(this, scratch, &of, &self.architecture);
            mm(&self.stream.added, &this.attended.0, of(Wo));
            let ([x_0, x_1], [_, normed], [_, r]) = (&mut this.x, &mut this.normed, &mut this.r);
            let norm = gain(of(MlpNorm));
            norm.add_norm(
                x_0.get(),
                self.stream.added.get(),
                None,
                x_1.get_mut(),
                normed.get_mut(),
                r,
            );
            mm(&this.inner, &this.normed[1].0, of(W1));
            kernels::bias_relu(this.inner.get_mut(), read::<E>(of(B1)));
            mm(&self.stream.added, &this.inner.0, of(W2));
            let (x, added, bias) = (this.x[1].get(), self.stream.added.get(), Some(read(of(B2))));
            match rest.first_mut() {
                Some(next) => gain(w.layer(number + 1, AttentionNorm)).add_norm(
                    x,
                    added,
                    bias,
                    next.x[0].get_mut(),
                    next.normed[0].get_mut(),
                    &mut next.r[0],
                ),
                None => kernels::add(x, added, bias, h, self.x.get_mut()),
            }
        }
        match self.architecture.form.final_norm {
            true => {
                gain(w.global(FinalNorm)).norm(self.x.get(), self.last.get_mut(), &mut self.last_r)
            }
            false => kernels::cast(self.x.get(), self.last.get_mut()),
        }
        mm(&self.logits, &self.last.0, w.global(Unembedding));
    }
}
