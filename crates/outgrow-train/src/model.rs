//! The model in libtorch: the paper's section 2, and the forms that today's models have.
//!
//! Shape suffixes: b sequences, t positions, h `d_model`, n heads of a group, q query heads that
//! share keys and values, k `d_k`, v `d_v`, f `d_ff`, o outputs; `x_nh` stands for activations with
//! b and t folded into one leading dimension. Of stacked replicates all shapes begin with their
//! number r, weights and activations alike, and each product is one of r.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Activation, Architecture, Norm, ParamId,
    ParamKind::{self, *},
    Rotary,
    model::{Axis, HeadGroup, HeadShape, LayerShape},
    plan::paths::SubLayer,
};
use tch::{Device, Kind, Reduction, Tensor};

/// A model ready to compute: its sizes, and a tensor for each parameter, all on one device.
pub struct Model<'a> {
    architecture: &'a Architecture,
    weights: BTreeMap<ParamId, Tensor>,
    /// The kind of the activations.
    compute: Kind,
}

impl<'a> Model<'a> {
    /// A model of these weights, computing in their kind.
    ///
    /// # Panics
    /// If a parameter is missing (when it is first used).
    pub fn new(architecture: &'a Architecture, weights: BTreeMap<ParamId, Tensor>) -> Self {
        let compute = weights[&ParamId::global(Embedding)].kind();
        Self { architecture, weights, compute }
    }

    /// A model of weights in any kind that computes in one of its own: each weight is converted
    /// when it is used, a piece at a time, so that this takes little memory.
    ///
    /// # Panics
    /// As of [`Model::new`].
    pub fn computing(
        architecture: &'a Architecture,
        weights: BTreeMap<ParamId, Tensor>,
        compute: Kind,
    ) -> Self {
        Self { compute, ..Self::new(architecture, weights) }
    }

    /// Logits b × t × o of token ids b × t; t is at most `seq_len`. Of stacked replicates r × b × t
    /// × o of r × b × t, or of b × t that all read.
    pub fn logits(&self, tokens_bt: &Tensor) -> Tensor {
        self.run(tokens_bt, |_, _, _| {})
    }

    /// What attention and MLP of each layer do to the stream.
    pub fn sublayers(&self, tokens_bt: &Tensor) -> Vec<[SubLayer; 2]> {
        let rms = |x: &Tensor| x.square().mean(Kind::Double).sqrt().double_value(&[]);
        let mut seen = vec![];
        let _ = self.run(tokens_bt, |x_nh, _, added_nh| {
            seen.push(SubLayer { stream: rms(x_nh), adds: rms(added_nh) })
        });
        seen.chunks(2).map(|layer| [layer[0], layer[1]]).collect()
    }

    /// The model; `look` is shown the stream before each sub-layer, what it reads of it, normed,
    /// and what it adds to it.
    pub(crate) fn run(
        &self,
        tokens_bt: &Tensor,
        mut look: impl FnMut(&Tensor, &Tensor, &Tensor),
    ) -> Tensor {
        let form = self.architecture.form;
        let t = *tokens_bt.size().last().expect("token ids are batch × position");
        let embedded_bth = self.embed(tokens_bt, t);
        let outer = embedded_bth.size()[..embedded_bth.dim() - 2].to_vec();
        let mut x_nh = embedded_bth.flatten(-3, -2);
        let among = self.among(t, &x_nh);
        for (layer, shape) in self.architecture.layers.iter().enumerate() {
            let at = At { model: self, layer: Some(layer) };
            let normed_nh = at.norm(&x_nh, [AttentionNorm, AttentionNormBias]);
            let attended_nh = at.gained(at.attention(&normed_nh, shape, &among), AttentionGain);
            look(&x_nh, &normed_nh, &attended_nh);
            let after_nh = &x_nh + attended_nh;
            let read_nh = if form.parallel { &x_nh } else { &after_nh };
            let normed_nh = at.norm(read_nh, [MlpNorm, MlpNormBias]);
            let thought_nh = at.gained(at.mlp(&normed_nh), MlpGain);
            look(read_nh, &normed_nh, &thought_nh);
            x_nh = after_nh + thought_nh;
        }
        let outside = At { model: self, layer: None };
        if form.final_norm {
            x_nh = outside.norm(&x_nh, [FinalNorm, FinalNormBias]);
        }
        let logits = match form.tied {
            true => {
                self.product(&x_nh, &self.weights[&ParamId::global(Embedding)].transpose(-2, -1))
            }
            false => outside.times(&x_nh, Unembedding),
        };
        logits.view(&[&outer, [t, -1].as_slice()].concat()[..])
    }

    /// What a head's attention would pass on of what it reads, softmax(Q Kᵀ / √k) x, that of its
    /// queries side by side: n × (queries · d_model) of n × d_model.
    pub(crate) fn passed_on(&self, [layer, head]: [usize; 2], read_nh: &Tensor, t: i64) -> Tensor {
        let (shape, h) = (&self.architecture.layers[layer], self.architecture.d_model);
        let HeadShape { n_queries, d_k, .. } = shape.heads[head];
        let of_layer = At { model: self, layer: Some(layer) };
        let cut = |kind: ParamKind, axis: Axis| {
            let (at, n) = (shape.offset(axis, head) as i64, shape.heads[head].width(axis) as i64);
            of_layer.get(kind).map(|whole| whole.narrow(-1, at, n))
        };
        let whole = |kind| of_layer.get(kind).map(Tensor::shallow_clone);
        // Such a head alone, whose values are what it reads, and which writes what it mixed.
        let eye = |n: usize| Some(Tensor::eye(n as i64, (self.compute, read_nh.device())));
        let parts = [
            (Wq, cut(Wq, Axis::Query)),
            (Bq, cut(Bq, Axis::Query)),
            (Wk, cut(Wk, Axis::Key)),
            (Bk, cut(Bk, Axis::Key)),
            (QueryNorm, whole(QueryNorm)),
            (KeyNorm, whole(KeyNorm)),
            (Wv, eye(h)),
            (Wo, eye(n_queries * h)),
        ];
        let weights = (parts.into_iter())
            .filter_map(|(kind, tensor)| Some((ParamId::in_layer(0, kind), tensor?)))
            .collect();
        let alone = LayerShape::own(vec![HeadShape { n_queries, d_k, d_v: h }], 1);
        let architecture = Architecture { layers: vec![alone], ..self.architecture.clone() };
        let model = Model { architecture: &architecture, weights, compute: self.compute };
        let at = At { model: &model, layer: Some(0) };
        at.attention(read_nh, &architecture.layers[0], &model.among(t, read_nh))
    }

    /// The rows of the tables, each replicate's of its own.
    fn embed(&self, tokens_bt: &Tensor, t: i64) -> Tensor {
        let table = &self.weights[&ParamId::global(Embedding)];
        let rows = match table.size()[..] {
            [r, vocab, h] => {
                let first = Tensor::arange(r, (Kind::Int64, table.device())) * vocab;
                let tokens = tokens_bt + first.view([r, 1, 1]);
                Tensor::embedding(&table.reshape([r * vocab, h]), &tokens, -1, false, false)
            }
            _ => Tensor::embedding(table, tokens_bt, -1, false, false),
        };
        let rows = rows.to_kind(self.compute);
        match self.weights.get(&ParamId::global(Positions)) {
            Some(positions_sh) => {
                rows + positions_sh.narrow(-2, 0, t).to_kind(self.compute).unsqueeze(-3)
            }
            None => rows,
        }
    }

    /// x w, with w converted to the kind of x a few columns at a time if it is of another.
    fn product(&self, x: &Tensor, w: &Tensor) -> Tensor {
        if w.kind() == self.compute {
            return x.matmul(w);
        }
        let [.., rows, columns] = w.size()[..] else { panic!("a matrix has two dimensions") };
        let width = (CONVERTED / rows).max(1);
        let part =
            |at: i64| x.matmul(&w.narrow(-1, at, width.min(columns - at)).to_kind(self.compute));
        Tensor::cat(&(0..columns).step_by(width as usize).map(part).collect::<Vec<_>>(), -1)
    }

    fn among(&self, t: i64, like: &Tensor) -> Among {
        let heads = self.architecture.layers.iter().flat_map(|layer| &layer.heads);
        let widths: BTreeSet<usize> = heads.map(|head| head.d_k).collect();
        let turns = |rotary| {
            widths.into_iter().map(|d_k| (d_k, Turns::new(rotary, d_k, t, like))).collect()
        };
        let turns = self.architecture.form.rotary().map_or_else(BTreeMap::new, turns);
        Among { t, mask_tt: self.mask(t, like), turns }
    }

    /// −∞ above the diagonal, to be added to scores; none where every position sees every other.
    fn mask(&self, t: i64, like: &Tensor) -> Option<Tensor> {
        let open = || Tensor::zeros([t, t], (like.kind(), like.device()));
        let above = || Tensor::ones([t, t], (Kind::Bool, like.device())).triu(1);
        self.architecture.form.causal.then(|| open().masked_fill(&above(), f64::NEG_INFINITY))
    }
}

/// Entries of a weight that are converted at a time.
const CONVERTED: i64 = 1 << 23;

/// What attention knows of positions.
struct Among {
    t: i64,
    mask_tt: Option<Tensor>,
    /// For each width of keys, where positions are rotary.
    turns: BTreeMap<usize, Turns>,
}

/// Cosines and sines of rotary positions, t × pairs. They and their angles are computed in float32,
/// step by step as transformers does, so that an imported model computes the same.
struct Turns {
    channels: i64,
    cos_tp: Tensor,
    sin_tp: Tensor,
}

impl Turns {
    fn new(rotary: Rotary, d_k: usize, t: i64, like: &Tensor) -> Self {
        let channels = rotary.turned(d_k);
        let powers = powers(rotary.theta, &rotary.exponents(channels / 2));
        let frequencies = powers.into_iter().map(|power| 1.0 / power);
        let scaled: Vec<f32> = frequencies.map(|frequency| rotary.scaled(frequency)).collect();
        let positions = Tensor::arange(t, (Kind::Float, Device::Cpu));
        let angles_tp = positions.unsqueeze(1) * Tensor::from_slice(&scaled).unsqueeze(0);
        let there = |x: Tensor| x.to_device(like.device()).to_kind(like.kind());
        Self {
            channels: channels as i64,
            cos_tp: there(angles_tp.cos()),
            sin_tp: there(angles_tp.sin()),
        }
    }

    /// Pair i, of channels 2i and 2i + 1, turned by its angle.
    fn turn(&self, x_bntk: &Tensor) -> Tensor {
        let turned = x_bntk.narrow(-1, 0, self.channels);
        let pairs = turned.unflatten(-1, [self.channels / 2, 2]);
        let (a, b) = (pairs.select(-1, 0), pairs.select(-1, 1));
        let turned = Tensor::stack(
            &[&a * &self.cos_tp - &b * &self.sin_tp, &b * &self.cos_tp + &a * &self.sin_tp],
            -1,
        )
        .flatten(-2, -1);
        match x_bntk.size()[x_bntk.dim() - 1] - self.channels {
            0 => turned,
            rest => Tensor::cat(&[turned, x_bntk.narrow(-1, self.channels, rest)], -1),
        }
    }
}

/// Powers of a base in float32, by libtorch: those of another library differ in their last digit.
pub(crate) fn powers(base: f64, exponents: &[f32]) -> Vec<f32> {
    Tensor::pow_scalar(base, &Tensor::from_slice(exponents))
        .try_into()
        .expect("a number for each exponent")
}

/// A layer of a model, or what stands outside the layers.
struct At<'m, 'a> {
    model: &'m Model<'a>,
    layer: Option<usize>,
}

impl At<'_, '_> {
    /// A parameter, if the form has it: the layer's own, or that of the layer whose weights it uses.
    fn get(&self, kind: ParamKind) -> Option<&Tensor> {
        let param = ParamId { layer: self.layer, kind };
        self.model.weights.get(&param.owned(self.model.architecture))
    }

    /// What a branch adds, times its gain, where the form has one.
    fn gained(&self, branch_nh: Tensor, kind: ParamKind) -> Tensor {
        match self.vector(kind) {
            Some(gain) if branch_nh.dim() == 3 => branch_nh * gain.unsqueeze(1),
            Some(gain) => branch_nh * gain,
            None => branch_nh,
        }
    }

    /// A vector to be added to or multiplied with activations, in their kind.
    fn vector(&self, kind: ParamKind) -> Option<Tensor> {
        self.get(kind).map(|vector| vector.to_kind(self.model.compute))
    }

    /// x w.
    fn times(&self, x: &Tensor, w: ParamKind) -> Tensor {
        self.model.product(x, self.get(w).expect("a model of every form has this matrix"))
    }

    /// x w + b, or x w where the form has no b.
    fn affine(&self, x: &Tensor, w: ParamKind, b: ParamKind) -> Tensor {
        let Some(b) = self.vector(b) else { return self.times(x, w) };
        let matrix = self.get(w).expect("a model of every form has this matrix");
        match x.dim() {
            _ if matrix.kind() != self.model.compute => self.times(x, w) + b,
            3 => b.unsqueeze(1).baddbmm(x, matrix, 1.0, 1.0),
            _ => b.addmm(x, matrix),
        }
    }

    /// The form's norm with its ε on the sum: libtorch's own with ε/d on the mean.
    fn norm(&self, x_nh: &Tensor, [gain, bias]: [ParamKind; 2]) -> Tensor {
        let architecture = self.model.architecture;
        let d = architecture.d_model as i64;
        let eps = architecture.form.eps_sum / d as f64;
        let (gain, bias) = (self.vector(gain), self.vector(bias));
        if x_nh.dim() == 3 {
            let normed = match architecture.form.norm {
                Norm::RmsNorm => x_nh.rms_norm::<&Tensor>([d], None, eps),
                Norm::LayerNorm => x_nh.layer_norm::<&Tensor>([d], None, None, eps, false),
            };
            let scaled = gain.map_or(normed.shallow_clone(), |gain| normed * gain.unsqueeze(1));
            return bias.map_or(scaled.shallow_clone(), |bias| scaled + bias.unsqueeze(1));
        }
        match architecture.form.norm {
            Norm::RmsNorm => x_nh.rms_norm([d], gain, eps),
            Norm::LayerNorm => x_nh.layer_norm([d], gain, bias, eps, false),
        }
    }

    /// Σ_e softmax(Q_e K_eᵀ / √k_e) V_e W_o,e: one product for all projections of a kind, one
    /// attention per run of equal heads.
    fn attention(&self, x_nh: &Tensor, shape: &LayerShape, among: &Among) -> Tensor {
        let (q, k, v) =
            (self.affine(x_nh, Wq, Bq), self.affine(x_nh, Wk, Bk), self.affine(x_nh, Wv, Bv));
        let size = q.size();
        let (_, outer) = size.split_last().expect("a row for each position");
        let (mut query_at, mut key_at, mut value_at) = (0, 0, 0);
        let mut heads = vec![];
        for group in shape.groups() {
            let HeadGroup { n_heads, d_k, d_v, .. } = group;
            let (n, kv, t) = (n_heads as i64, group.n_kv_heads() as i64, among.t);
            let (wide, narrow) = (d_k as i64, d_v as i64);
            let cut =
                |x: &Tensor, at: i64, n: i64, d: i64| x.narrow(-1, at, n * d).unflatten(-1, [n, d]);
            // Queries and keys as they meet each other: normed, and turned by their positions.
            let ready = |x: Tensor, gain: ParamKind| {
                let x_bntk =
                    self.head_norm(x, gain).flatten(0, -3).unflatten(0, [-1, t]).transpose(1, 2);
                among.turns.get(&d_k).map_or(x_bntk.shallow_clone(), |turns| turns.turn(&x_bntk))
            };
            let q_bntk = ready(cut(&q, query_at, n, wide), QueryNorm);
            let k_bntk = ready(cut(&k, key_at, kv, wide), KeyNorm);
            let v_bntv =
                cut(&v, value_at, kv, narrow).flatten(0, -3).unflatten(0, [-1, t]).transpose(1, 2);
            let shared =
                |x: Tensor| if n == kv { x } else { x.repeat_interleave_self_int(n / kv, 1, None) };
            let scale = 1.0 / (d_k as f64).sqrt();
            let h_bntv =
                attend(&q_bntk, &shared(k_bntk), &shared(v_bntv), scale, among.mask_tt.as_ref());
            heads.push(
                h_bntv.transpose(1, 2).reshape(&[outer, [n * narrow].as_slice()].concat()[..]),
            );
            query_at += n * wide;
            key_at += kv * wide;
            value_at += kv * narrow;
        }
        let all = if heads.len() == 1 { heads.remove(0) } else { Tensor::cat(&heads, -1) };
        self.affine(&all, Wo, Bo)
    }

    /// Each head's RMSNorm of its own, where the form has QK-norm; the last two dimensions are n ×
    /// k.
    fn head_norm(&self, x: Tensor, gain: ParamKind) -> Tensor {
        let Some(eps) = self.model.architecture.form.qk_norm_eps else { return x };
        let d = *x.size().last().expect("channels");
        let normed = x.rms_norm::<&Tensor>([d], None, eps);
        match self.vector(gain) {
            Some(gain) if gain.dim() == 2 => normed * gain.unsqueeze(1).unsqueeze(1),
            Some(gain) => normed * gain,
            None => normed,
        }
    }

    /// act(x W_1 + b_1) W_2 + b_2, or with a gate (act(x W_g + b_g) ∘ (x W_1 + b_1)) W_2 + b_2.
    fn mlp(&self, x_nh: &Tensor) -> Tensor {
        let form = self.model.architecture.form;
        let act = |x: Tensor| activated(form.activation, &x);
        let units_nf = self.affine(x_nh, W1, B1);
        let inner_nf =
            if form.gated { act(self.affine(x_nh, Wg, Bg)) * units_nf } else { act(units_nf) };
        self.affine(&inner_nf, W2, B2)
    }
}

/// The form's nonlinearity.
pub(crate) fn activated(activation: Activation, x: &Tensor) -> Tensor {
    match activation {
        Activation::Relu => x.relu(),
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
        Activation::Silu => x.silu(),
    }
}

/// On a GPU libtorch's fused kernels are fastest, where they can read the heads; on a CPU two batched
/// products are, at the lengths that run there.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask_tt: Option<&Tensor>) -> Tensor {
    if q.device() != Device::Cpu && [q, k, v].iter().all(|x| is_aligned(x)) {
        return Tensor::scaled_dot_product_attention::<&Tensor>(
            q,
            k,
            v,
            None,
            0.0,
            mask_tt.is_some(),
            scale,
            false,
        );
    }
    if q.device() != Device::Cpu && q.kind() == Kind::BFloat16 {
        // Fused kernels add up in float32, too.
        let long = |x: &Tensor| x.to_kind(Kind::Float);
        let mask = mask_tt.map(long);
        return attend(&long(q), &long(k), &long(v), scale, mask.as_ref()).to_kind(q.kind());
    }
    let (b, n, t, d_v) = v.size4().expect("b × n × t × v");
    let fold = |x: &Tensor| x.reshape([b * n, t, -1]);
    let (q, k_transposed, v) = (fold(q), fold(k).transpose(1, 2), fold(v));
    let scores = match mask_tt {
        Some(mask) => mask.unsqueeze(0).baddbmm(&q, &k_transposed, 1.0, scale),
        None => q.bmm(&k_transposed) * scale,
    };
    scores.softmax(-1, None).bmm(&v).view([b, n, t, d_v])
}

/// Whether fused kernels can read the rows of heads, n × t × k, in words of 16 bytes. Heads of odd
/// widths, or beside ones of odd widths, begin anywhere.
fn is_aligned(x_bntk: &Tensor) -> bool {
    let entries = 16 / x_bntk.kind().elt_size_in_bytes() as i64;
    let (sizes, strides) = (x_bntk.size(), x_bntk.stride());
    let whole = |n: i64| n % entries == 0;
    let rows = sizes.iter().zip(&strides).take(3);
    whole(sizes[3])
        && rows.into_iter().all(|(&size, &stride)| size == 1 || whole(stride))
        && (x_bntk.data_ptr() as usize).is_multiple_of(16)
}

/// Mean cross-entropy of logits b × t × o against token ids b × t, nats per token, computed in
/// float32 at least; of stacked replicates one for each.
pub fn cross_entropy(logits_bto: &Tensor, targets_bt: &Tensor) -> Tensor {
    let kind = if logits_bto.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let (logits, targets) = (logits_bto.flatten(0, -2).to_kind(kind), targets_bt.flatten(0, -1));
    // tch's own `cross_entropy_for_logits` computes in float32 whatever it is given.
    let loss =
        |reduction| logits.cross_entropy_loss::<&Tensor>(&targets, None, reduction, -100, 0.0);
    match logits_bto.size()[..] {
        [r, _, _, _] => loss(Reduction::None).view([r, -1]).mean_dim([-1].as_slice(), false, kind),
        _ => loss(Reduction::Mean),
    }
}
