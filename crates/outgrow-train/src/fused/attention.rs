//! Attention, forward and backward.

use outgrow_core::{
    Architecture,
    ParamKind::{self, *},
    model::{Axis, HeadGroup, LayerShape},
};
use tch::Tensor;

use super::{
    buffers::{Kept, Scratch},
    kernels::{self, Heads},
    simd::Element,
    tensors::mm,
};

/// What the heads give, from the normed stream.
pub(super) fn attend<'w, E: Element>(
    this: &mut Kept<E>,
    scratch: &mut Scratch<E>,
    w: &impl Fn(ParamKind) -> &'w Tensor,
    architecture: &Architecture,
) {
    let (t, causal) = (architecture.seq_len, architecture.form.causal);
    for (kind, rows) in [(Wq, &scratch.q), (Wk, &scratch.k), (Wv, &scratch.v)] {
        mm(rows, &this.normed[0].0, w(kind));
    }
    let groups = groups(&scratch.shape, t);
    for ((kept, out), (group, keys, values)) in
        this.heads.iter_mut().zip(&mut scratch.out).zip(groups)
    {
        keys.gather(scratch.q.get(), kept.q.get_mut());
        keys.gather(scratch.k.get(), kept.k.get_mut());
        values.gather(scratch.v.get(), kept.v.get_mut());
        let _ = kept.q.0.bmm_out(&kept.p.0, &kept.k.0.transpose(1, 2));
        kernels::softmax(kept.p.get_mut(), t, scale(&group), causal);
        let _ = kept.p.0.bmm_out(&out.0, &kept.v.0);
        values.scatter(out.get(), this.attended.get_mut());
    }
}

/// From the gradient of what the heads gave (in `scratch.v`) to those of queries, keys and values (in
/// `scratch`).
pub(super) fn attend_backward<E: Element>(
    this: &Kept<E>,
    scratch: &mut Scratch<E>,
    architecture: &Architecture,
) {
    let (t, causal) = (architecture.seq_len, architecture.form.causal);
    let groups = groups(&scratch.shape, t);
    for ((_, _, values), out) in groups.iter().zip(&mut scratch.out) {
        values.gather(scratch.v.get(), out.get_mut());
    }
    for (((kept, d), out), (group, keys, values)) in
        this.heads.iter().zip(&mut scratch.heads).zip(&scratch.out).zip(groups)
    {
        let _ = out.0.bmm_out(&d.p.0, &kept.v.0.transpose(1, 2));
        let _ = kept.p.0.transpose(1, 2).bmm_out(&d.v.0, &out.0);
        kernels::softmax_backward(kept.p.get(), d.p.get_mut(), t, scale(&group), causal);
        let _ = d.p.0.bmm_out(&d.q.0, &kept.k.0);
        let _ = d.p.0.transpose(1, 2).bmm_out(&d.k.0, &kept.q.0);
        keys.scatter(d.q.get(), scratch.q.get_mut());
        keys.scatter(d.k.get(), scratch.k.get_mut());
        values.scatter(d.v.get(), scratch.v.get_mut());
    }
}

/// The columns of each group of heads among the keys and among the values.
fn groups(shape: &LayerShape, t: usize) -> Vec<(HeadGroup, Heads, Heads)> {
    let (mut key_at, mut value_at) = (0, 0);
    let place = |group: HeadGroup| {
        let keys =
            Heads { at: key_at, n: group.n_heads, d: group.d_k, t, width: shape.width(Axis::Key) };
        let values = Heads {
            at: value_at,
            n: group.n_heads,
            d: group.d_v,
            t,
            width: shape.width(Axis::Value),
        };
        key_at += group.n_heads * group.d_k;
        value_at += group.n_heads * group.d_v;
        (group, keys, values)
    };
    shape.groups().into_iter().map(place).collect()
}

fn scale(group: &HeadGroup) -> f32 {
    (1.0 / (group.d_k as f64).sqrt()) as f32
}
