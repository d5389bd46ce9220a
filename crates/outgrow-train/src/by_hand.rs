//! The training step on a processor, forward and backward by hand: libtorch's matrix products, and
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
mod kernels;
mod simd;

use std::{collections::BTreeMap, marker::PhantomData};

use outgrow_core::{
    Architecture, Norm, ParamId,
    ParamKind::{self, *},
    model::{Axis, HeadGroup, LayerShape},
};
use tch::{Device, Kind, Tensor, no_grad};

use self::{
    kernels::{Gain, Heads},
    simd::{Bf16, Element},
};
use crate::state::{Layout, TrainingState};

/// Forward and backward passes of one architecture, for batches of one size.
pub(crate) struct ByHand(Box<dyn Pass>);

/// Whether models of this form are trained by hand there.
pub(crate) fn serves(architecture: &Architecture, device: Device, compute: Kind) -> bool {
    let kind = matches!(compute, Kind::Float | Kind::BFloat16);
    let single =
        architecture.layers.iter().flat_map(|layer| &layer.heads).all(|head| head.n_queries == 1);
    kind && device == Device::Cpu
        && architecture.form.norm == Norm::RmsNorm
        && architecture.form.is_plain()
        && single
}

trait Pass {
    fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor);
    fn is_for(&self, architecture: &Architecture) -> bool;
}

impl ByHand {
    /// The passes, if they can be done by hand: of one replicate.
    pub fn new(state: &TrainingState, batch: usize, compute: Kind) -> Option<Self> {
        let architecture = state.architecture();
        if state.replicates().is_some() || !serves(architecture, state.weights.device(), compute) {
            return None;
        }
        Some(Self(match compute {
            Kind::BFloat16 => Box::new(Passes::<Bf16>::new(architecture, batch)),
            _ => Box::new(Passes::<f32>::new(architecture, batch)),
        }))
    }

    /// Whether they are those of this architecture.
    pub fn is_for(&self, architecture: &Architecture) -> bool {
        self.0.is_for(architecture)
    }

    /// The mean cross-entropy of a batch in nats, and the flat gradient of the master weights;
    /// token ids are b × t. Between the two passes it tells so.
    pub fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor) {
        no_grad(|| self.0.run(state, tokens, targets, half_way))
    }
}

/// A libtorch tensor that nobody else holds, as a slice.
struct Buffer<E>(Tensor, PhantomData<E>);

impl<E: Element> Buffer<E> {
    fn new(shape: &[usize]) -> Self {
        let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        Self(Tensor::zeros(&shape, (E::KIND, Device::Cpu)), PhantomData)
    }

    fn get(&self) -> &[E] {
        read(&self.0)
    }

    fn get_mut(&mut self) -> &mut [E] {
        // SAFETY: contiguous numbers of this kind, as made above; the tensor is only reached
        // through this buffer, which is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast(), self.0.numel()) }
    }
}

/// A contiguous tensor of the processor's as a slice. It must not be written while the slice lives.
fn read<E: Element>(tensor: &Tensor) -> &[E] {
    assert!(tensor.kind() == E::KIND && tensor.is_contiguous() && tensor.device() == Device::Cpu);
    // SAFETY: as asserted; within this file tensors are written through `&mut` buffers or by
    // libtorch calls, between which no such slice is held.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// The norm of a flat gradient.
pub(crate) fn norm(gradient: &Tensor) -> f64 {
    adamw::norm(read(gradient))
}

/// The flat tensors of a state that steps, and which birth is each entry's.
pub(crate) fn flat<'a>(
    state: &'a mut TrainingState,
    gradient: &'a Tensor,
) -> (adamw::Flat<'a>, &'a [i32]) {
    let write = |tensor: &Tensor| {
        assert!(
            tensor.kind() == Kind::Float
                && tensor.is_contiguous()
                && tensor.device() == Device::Cpu
        );
        // SAFETY: as asserted; the state is borrowed mutably, and each of its tensors is taken
        // once.
        unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
    };
    let (weights, first, second) =
        (write(&state.weights), write(&state.first_moment), write(&state.second_moment));
    let ages = &state.cohort;
    assert!(ages.kind() == Kind::Int && ages.is_contiguous());
    // SAFETY: as asserted.
    let ages = unsafe { std::slice::from_raw_parts(ages.data_ptr().cast::<i32>(), ages.numel()) };
    (adamw::Flat { weights, first, second, gradient: read(gradient) }, ages)
}

/// Parameters, each a view of one flat tensor.
struct Params(BTreeMap<ParamId, Tensor>);

impl Params {
    fn layer(&self, layer: usize, kind: ParamKind) -> &Tensor {
        &self.0[&ParamId::in_layer(layer, kind)]
    }

    fn global(&self, kind: ParamKind) -> &Tensor {
        &self.0[&ParamId::global(kind)]
    }

    /// Writes float32 numbers into a parameter, in its own kind.
    fn put<E: Element>(&self, id: ParamId, values: &[f32]) {
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

/// What the forward pass of a layer leaves for its backward pass.
struct Kept<E> {
    /// The stream before attention, and before the MLP: R × h.
    x: [Buffer<f32>; 2],
    /// Both normed.
    normed: [Buffer<E>; 2],
    /// 1/√(mean of squares) of each row.
    r: [Vec<f32>; 2],
    heads: Vec<KeptHeads<E>>,
    /// What the heads give, side by side: R × values.
    attended: Buffer<E>,
    /// The MLP's units after their ReLU: R × f.
    inner: Buffer<E>,
}

/// Of a group of heads: (b·n) × t × d, and the attention weights (b·n) × t × t.
struct KeptHeads<E> {
    q: Buffer<E>,
    k: Buffer<E>,
    v: Buffer<E>,
    p: Buffer<E>,
}

/// Room for what a pass needs between two of its products; layers of one shape share it.
struct Room<E> {
    shape: LayerShape,
    q: Buffer<E>,
    k: Buffer<E>,
    v: Buffer<E>,
    heads: Vec<KeptHeads<E>>,
    out: Vec<Buffer<E>>,
    d_inner: Buffer<E>,
}

struct Passes<E> {
    architecture: Architecture,
    layout: Layout,
    b: usize,
    layers: Vec<Kept<E>>,
    rooms: Vec<Room<E>>,
    room_of: Vec<usize>,
    /// The stream at the end, and what the unembedding reads.
    x: Buffer<f32>,
    last: Buffer<E>,
    last_r: Vec<f32>,
    logits: Buffer<E>,
    /// What a sub-layer adds, and on the way back the gradient of what it read: R × h.
    added: Buffer<E>,
    /// The gradient of the stream, and the same as activations are kept.
    dx: Buffer<f32>,
    dx_as_kept: Buffer<E>,
    gradient: Buffer<E>,
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

impl<E: Element> Room<E> {
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

impl<E: Element> Passes<E> {
    fn new(architecture: &Architecture, b: usize) -> Self {
        let (t, h) = (architecture.seq_len, architecture.d_model);
        let mut rooms: Vec<Room<E>> = vec![];
        let room_of = architecture.layers.iter().map(|shape| {
            rooms.iter().position(|room| room.shape == *shape).unwrap_or_else(|| {
                rooms.push(Room::new(b, t, shape));
                rooms.len() - 1
            })
        });
        let room_of = room_of.collect();
        let layout = Layout::new(architecture);
        Self {
            layers: architecture.layers.iter().map(|shape| Kept::new(b, t, h, shape)).collect(),
            rooms,
            room_of,
            x: Buffer::new(&[b * t, h]),
            last: Buffer::new(&[b * t, h]),
            last_r: vec![0.0; b * t],
            logits: Buffer::new(&[b * t, architecture.n_outputs]),
            added: Buffer::new(&[b * t, h]),
            dx: Buffer::new(&[b * t, h]),
            dx_as_kept: Buffer::new(&[b * t, h]),
            gradient: Buffer::new(&[layout.len()]),
            architecture: architecture.clone(),
            layout,
            b,
        }
    }

    fn eps(&self) -> f32 {
        (self.architecture.form.eps_sum / self.architecture.d_model as f64) as f32
    }

    /// The logits of a batch, everything else kept.
    fn forward(&mut self, w: &Params, tokens: &[i64]) {
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
            let room = &mut self.rooms[self.room_of[number]];
            let of = |kind| w.layer(number, kind);
            if number == 0 {
                let [normed, _] = &mut this.normed;
                gain(of(AttentionNorm)).norm(this.x[0].get(), normed.get_mut(), &mut this.r[0]);
            }
            attend(this, room, &of, &self.architecture);
            mm(&self.added, &this.attended.0, of(Wo));
            let ([x_0, x_1], [_, normed], [_, r]) = (&mut this.x, &mut this.normed, &mut this.r);
            let norm = gain(of(MlpNorm));
            norm.add_norm(x_0.get(), self.added.get(), None, x_1.get_mut(), normed.get_mut(), r);
            mm(&this.inner, &this.normed[1].0, of(W1));
            kernels::bias_relu(this.inner.get_mut(), read::<E>(of(B1)));
            mm(&self.added, &this.inner.0, of(W2));
            let (x, added, bias) = (this.x[1].get(), self.added.get(), Some(read(of(B2))));
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

    /// From the gradient of the logits (in their place) to that of every parameter.
    fn backward(&mut self, w: &Params, tokens: &[i64]) {
        let (t, h, eps) = (self.architecture.seq_len, self.architecture.d_model, self.eps());
        let gain = |tensor| Gain { gain: read::<E>(tensor), eps };
        let grads = Params(self.layout.cut(&self.gradient.0));
        let mut d_gain = vec![0.0f32; h];
        weight_gradient(grads.global(Unembedding), &self.last, &self.logits);
        mm(&self.added, &self.logits.0, &w.global(Unembedding).tr());
        self.dx.get_mut().fill(0.0);
        if self.architecture.form.final_norm {
            let norm = gain(w.global(FinalNorm));
            norm.backward(
                self.added.get(),
                self.x.get(),
                &self.last_r,
                self.dx.get_mut(),
                &mut d_gain,
            );
            grads.put::<E>(ParamId::global(FinalNorm), &d_gain);
        } else {
            let h = self.architecture.d_model;
            let zeros = vec![0.0; self.dx.0.numel()];
            kernels::add(&zeros, self.added.get(), None, h, self.dx.get_mut());
        }
        for (number, this) in self.layers.iter().enumerate().rev() {
            let room = &mut self.rooms[self.room_of[number]];
            let of = |kind| w.layer(number, kind);
            let grad = |kind| grads.layer(number, kind);
            let id = |kind| ParamId::in_layer(number, kind);

            kernels::cast(self.dx.get(), self.dx_as_kept.get_mut());
            let mut d_bias = vec![0.0f32; h];
            kernels::column_sums(self.dx.get(), &mut d_bias);
            grads.put::<E>(id(B2), &d_bias);
            weight_gradient(grad(W2), &this.inner, &self.dx_as_kept);
            mm(&room.d_inner, &self.dx_as_kept.0, &of(W2).tr());
            let mut d_bias = vec![0.0f32; room.shape.d_ff];
            kernels::relu_backward(this.inner.get(), room.d_inner.get_mut(), &mut d_bias);
            grads.put::<E>(id(B1), &d_bias);
            weight_gradient(grad(W1), &this.normed[1], &room.d_inner);
            mm(&self.added, &room.d_inner.0, &of(W1).tr());
            d_gain.fill(0.0);
            let norm = gain(of(MlpNorm));
            norm.backward(
                self.added.get(),
                this.x[1].get(),
                &this.r[1],
                self.dx.get_mut(),
                &mut d_gain,
            );
            grads.put::<E>(id(MlpNorm), &d_gain);

            kernels::cast(self.dx.get(), self.dx_as_kept.get_mut());
            weight_gradient(grad(Wo), &this.attended, &self.dx_as_kept);
            mm(&room.v, &self.dx_as_kept.0, &of(Wo).tr());
            attend_backward(this, room, &self.architecture);
            for (kind, d) in [(Wq, &room.q), (Wk, &room.k), (Wv, &room.v)] {
                weight_gradient(grad(kind), &this.normed[0], d);
            }
            mm(&self.added, &room.q.0, &of(Wq).tr());
            add_mm(&self.added, &room.k.0, &of(Wk).tr());
            add_mm(&self.added, &room.v.0, &of(Wv).tr());
            d_gain.fill(0.0);
            let norm = gain(of(AttentionNorm));
            norm.backward(
                self.added.get(),
                this.x[0].get(),
                &this.r[0],
                self.dx.get_mut(),
                &mut d_gain,
            );
            grads.put::<E>(id(AttentionNorm), &d_gain);
        }
        let (mut table, mut positions) =
            (vec![0.0f32; self.architecture.vocab_size * h], vec![0.0f32; t * h]);
        kernels::embed_backward(tokens, t, h, self.dx.get(), &mut table, &mut positions);
        grads.put::<E>(ParamId::global(Embedding), &table);
        grads.put::<E>(ParamId::global(Positions), &positions);
    }
}

impl<E: Element> Pass for Passes<E> {
    fn run(
        &mut self,
        state: &TrainingState,
        tokens: &[i64],
        targets: &[i64],
        half_way: &mut dyn FnMut(),
    ) -> (f64, Tensor) {
        assert_eq!(
            tokens.len(),
            self.b * self.architecture.seq_len,
            "a batch of the size that was announced"
        );
        let weights = Params(state.weights(E::KIND));
        self.forward(&weights, tokens);
        let loss =
            kernels::cross_entropy(self.logits.get_mut(), targets, self.architecture.n_outputs);
        half_way();
        self.backward(&weights, tokens);
        // Shared where nothing has to be converted: the next run overwrites it.
        let gradient = self.gradient.0.to_kind(state.master());
        (loss, state.mask.as_ref().map_or(gradient.shallow_clone(), |mask| gradient * mask))
    }

    fn is_for(&self, architecture: &Architecture) -> bool {
        self.architecture == *architecture
    }
}

/// out = a b.
fn mm<E>(out: &Buffer<E>, a: &Tensor, b: &Tensor) {
    let _ = a.mm_out(&out.0, b);
}

/// out += a b.
fn add_mm<E>(out: &Buffer<E>, a: &Tensor, b: &Tensor) {
    let _ = out.0.addmm_out(&out.0, a, b);
}

/// The gradient of w in y = x w: xᵀ dy.
fn weight_gradient<E>(out: &Tensor, x: &Buffer<E>, dy: &Buffer<E>) {
    let _ = x.0.tr().mm_out(out, &dy.0);
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

/// What the heads give, from the normed stream.
fn attend<'w, E: Element>(
    this: &mut Kept<E>,
    room: &mut Room<E>,
    w: &impl Fn(ParamKind) -> &'w Tensor,
    architecture: &Architecture,
) {
    let (t, causal) = (architecture.seq_len, architecture.form.causal);
    for (kind, rows) in [(Wq, &room.q), (Wk, &room.k), (Wv, &room.v)] {
        mm(rows, &this.normed[0].0, w(kind));
    }
    let groups = groups(&room.shape, t);
    for ((kept, out), (group, keys, values)) in this.heads.iter_mut().zip(&mut room.out).zip(groups)
    {
        keys.gather(room.q.get(), kept.q.get_mut());
        keys.gather(room.k.get(), kept.k.get_mut());
        values.gather(room.v.get(), kept.v.get_mut());
        let _ = kept.q.0.bmm_out(&kept.p.0, &kept.k.0.transpose(1, 2));
        kernels::softmax(kept.p.get_mut(), t, scale(&group), causal);
        let _ = kept.p.0.bmm_out(&out.0, &kept.v.0);
        values.scatter(out.get(), this.attended.get_mut());
    }
}

/// From the gradient of what the heads gave (in `room.v`) to those of queries, keys and values (in
/// `room`).
fn attend_backward<E: Element>(this: &Kept<E>, room: &mut Room<E>, architecture: &Architecture) {
    let (t, causal) = (architecture.seq_len, architecture.form.causal);
    let groups = groups(&room.shape, t);
    for ((_, _, values), out) in groups.iter().zip(&mut room.out) {
        values.gather(room.v.get(), out.get_mut());
    }
    for (((kept, d), out), (group, keys, values)) in
        this.heads.iter().zip(&mut room.heads).zip(&room.out).zip(groups)
    {
        let _ = out.0.bmm_out(&d.p.0, &kept.v.0.transpose(1, 2));
        let _ = kept.p.0.transpose(1, 2).bmm_out(&d.v.0, &out.0);
        kernels::softmax_backward(kept.p.get(), d.p.get_mut(), t, scale(&group), causal);
        let _ = d.p.0.bmm_out(&d.q.0, &kept.k.0);
        let _ = d.p.0.transpose(1, 2).bmm_out(&d.k.0, &kept.q.0);
        keys.scatter(d.q.get(), room.q.get_mut());
        keys.scatter(d.k.get(), room.k.get_mut());
        values.scatter(d.v.get(), room.v.get_mut());
    }
}

fn scale(group: &HeadGroup) -> f32 {
    (1.0 / (group.d_k as f64).sqrt()) as f32
}

#[cfg(test)]
mod tests;
