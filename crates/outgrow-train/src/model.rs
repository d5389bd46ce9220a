//! The model in libtorch: the paper's section 2, with ε and a final norm as parts of the form.
//!
//! Shape suffixes: b sequences, t positions, h `d_model`, n heads of a group, k `d_k`, v `d_v`, f `d_ff`, o outputs;
//! `x_nh` stands for activations with b and t folded into one leading dimension. Of stacked replicates all shapes begin with
//! their number r, weights and activations alike, and each product is one of r.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Norm, ParamId, ParamKind,
    ParamKind::*,
    architecture::{HeadGroup, LayerShape},
};
use tch::{Device, Kind, Reduction, Tensor};

/// A model ready to compute: its sizes, and a tensor for each parameter, all of one kind and on one device.
pub struct Model<'a> {
    architecture: &'a Architecture,
    weights: BTreeMap<ParamId, Tensor>,
}

impl<'a> Model<'a> {
    /// A model of these weights.
    ///
    /// # Panics
    /// If a parameter is missing (when it is first used).
    pub fn new(architecture: &'a Architecture, weights: BTreeMap<ParamId, Tensor>) -> Self {
        Self { architecture, weights }
    }

    /// Logits b × t × o of token ids b × t; t is at most `seq_len`. Of stacked replicates r × b × t × o of r × b × t, or of b × t that
    /// all read.
    pub fn logits(&self, tokens_bt: &Tensor) -> Tensor {
        self.run(tokens_bt, |_, _| {})
    }

    /// Root mean square of what attention and MLP of each layer add to the stream.
    pub fn sublayer_rms(&self, tokens_bt: &Tensor) -> Vec<[f64; 2]> {
        let mut seen = vec![];
        let _ =
            self.run(tokens_bt, |_, added_nh| seen.push(added_nh.square().mean(Kind::Double).sqrt().double_value(&[])));
        seen.chunks(2).map(|layer| [layer[0], layer[1]]).collect()
    }

    /// The model; `look` is shown what each sub-layer reads, normed, and what it adds to the stream.
    pub(crate) fn run(&self, tokens_bt: &Tensor, mut look: impl FnMut(&Tensor, &Tensor)) -> Tensor {
        let t = *tokens_bt.size().last().expect("token ids are batch × position");
        let positions_th = self.global(Positions).narrow(-2, 0, t);
        let embedded_bth = self.embed(tokens_bt) + positions_th.unsqueeze(-3);
        let outer = embedded_bth.size()[..embedded_bth.dim() - 2].to_vec();
        let mut x_nh = embedded_bth.flatten(-3, -2);
        let mask_tt = self.mask(t, &x_nh);
        for (layer, shape) in self.architecture.layers.iter().enumerate() {
            let w = |kind| &self.weights[&ParamId::in_layer(layer, kind)];
            let normed_nh = self.norm(&x_nh, w, [AttentionNorm, AttentionNormBias]);
            let attended_nh = attention(&normed_nh, shape, w, mask_tt.as_ref(), t);
            look(&normed_nh, &attended_nh);
            x_nh = &x_nh + attended_nh;
            let normed_nh = self.norm(&x_nh, w, [MlpNorm, MlpNormBias]);
            let thought_nh = mlp(&normed_nh, w);
            look(&normed_nh, &thought_nh);
            x_nh = &x_nh + thought_nh;
        }
        if self.architecture.form.final_norm {
            x_nh = self.norm(&x_nh, |kind| self.global(kind), [FinalNorm, FinalNormBias]);
        }
        x_nh.matmul(self.global(Unembedding)).view(&[&outer, [t, -1].as_slice()].concat()[..])
    }

    /// The rows of the table, each replicate's of its own.
    fn embed(&self, tokens_bt: &Tensor) -> Tensor {
        let table = self.global(Embedding);
        let &[r, vocab, h] = &table.size()[..] else {
            return Tensor::embedding(table, tokens_bt, -1, false, false);
        };
        let first = Tensor::arange(r, (Kind::Int64, table.device())) * vocab;
        Tensor::embedding(&table.reshape([r * vocab, h]), &(tokens_bt + first.view([r, 1, 1])), -1, false, false)
    }

    fn global(&self, kind: ParamKind) -> &Tensor {
        &self.weights[&ParamId::global(kind)]
    }

    /// The form's norm with its ε on the sum: libtorch's own with ε/d on the mean.
    fn norm<'w>(&self, x_nh: &Tensor, w: impl Fn(ParamKind) -> &'w Tensor, [gain, bias]: [ParamKind; 2]) -> Tensor {
        let d = self.architecture.d_model as i64;
        let eps = self.architecture.form.eps_sum / d as f64;
        let stacked = x_nh.dim() == 3;
        match self.architecture.form.norm {
            Norm::RmsNorm if stacked => x_nh.rms_norm::<&Tensor>([d], None, eps) * w(gain).unsqueeze(1),
            Norm::LayerNorm if stacked => {
                let normed = x_nh.layer_norm::<&Tensor>([d], None, None, eps, false);
                normed * w(gain).unsqueeze(1) + w(bias).unsqueeze(1)
            }
            Norm::RmsNorm => x_nh.rms_norm([d], Some(w(gain)), eps),
            Norm::LayerNorm => x_nh.layer_norm([d], Some(w(gain)), Some(w(bias)), eps, false),
        }
    }

    /// −∞ above the diagonal, to be added to scores; none where every position sees every other.
    fn mask(&self, t: i64, like: &Tensor) -> Option<Tensor> {
        let open = || Tensor::zeros([t, t], (like.kind(), like.device()));
        let above = || Tensor::ones([t, t], (Kind::Bool, like.device())).triu(1);
        self.architecture.form.causal.then(|| open().masked_fill(&above(), f64::NEG_INFINITY))
    }
}

/// Σ_e softmax(Q_e K_eᵀ / √k_e) V_e W_o,e: one product for all projections of a kind, one attention per run of equal heads.
fn attention<'w>(
    x_nh: &Tensor,
    shape: &LayerShape,
    w: impl Fn(ParamKind) -> &'w Tensor,
    mask_tt: Option<&Tensor>,
    t: i64,
) -> Tensor {
    let (q, k, v) = (x_nh.matmul(w(Wq)), x_nh.matmul(w(Wk)), x_nh.matmul(w(Wv)));
    let size = q.size();
    let (_, outer) = size.split_last().expect("a row for each position");
    let (mut key_at, mut value_at) = (0, 0);
    let mut heads = vec![];
    for HeadGroup { n_heads, d_k, d_v } in shape.groups() {
        let (n, d_k, d_v) = (n_heads as i64, d_k as i64, d_v as i64);
        let cut = |x: &Tensor, at: i64, d: i64| x.narrow(-1, at, n * d).view([-1, t, n, d]).transpose(1, 2);
        let (q_bntk, k_bntk, v_bntv) = (cut(&q, key_at, d_k), cut(&k, key_at, d_k), cut(&v, value_at, d_v));
        let scale = 1.0 / (d_k as f64).sqrt();
        let h_bntv = attend(&q_bntk, &k_bntk, &v_bntv, scale, mask_tt);
        heads.push(h_bntv.transpose(1, 2).reshape(&[outer, [n * d_v].as_slice()].concat()[..]));
        key_at += n * d_k;
        value_at += n * d_v;
    }
    let all = if heads.len() == 1 { heads.remove(0) } else { Tensor::cat(&heads, -1) };
    all.matmul(w(Wo))
}

/// On a GPU libtorch's fused kernels are fastest; on a CPU two batched products are, at the lengths that run there.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask_tt: Option<&Tensor>) -> Tensor {
    if q.device() != Device::Cpu {
        return Tensor::scaled_dot_product_attention::<&Tensor>(q, k, v, None, 0.0, mask_tt.is_some(), scale, false);
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

/// ReLU(x W_1 + b_1) W_2 + b_2.
fn mlp<'w>(x_nh: &Tensor, w: impl Fn(ParamKind) -> &'w Tensor) -> Tensor {
    let inner_nf = affine(x_nh, w(W1), w(B1)).relu();
    affine(&inner_nf, w(W2), w(B2))
}

/// x w + b.
fn affine(x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
    match x.dim() {
        3 => b.unsqueeze(1).baddbmm(x, w, 1.0, 1.0),
        _ => b.addmm(x, w),
    }
}

/// Mean cross-entropy of logits b × t × o against token ids b × t, nats per token, computed in float32 at least; of stacked replicates
/// one for each.
pub fn cross_entropy(logits_bto: &Tensor, targets_bt: &Tensor) -> Tensor {
    let kind = if logits_bto.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let (logits, targets) = (logits_bto.flatten(0, -2).to_kind(kind), targets_bt.flatten(0, -1));
    // tch's own `cross_entropy_for_logits` computes in float32 whatever it is given.
    let loss = |reduction| logits.cross_entropy_loss::<&Tensor>(&targets, None, reduction, -100, 0.0);
    match logits_bto.size()[..] {
        [r, _, _, _] => loss(Reduction::None).view([r, -1]).mean_dim([-1].as_slice(), false, kind),
        _ => loss(Reduction::Mean),
    }
}
