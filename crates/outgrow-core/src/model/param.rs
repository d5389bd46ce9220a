//! The parameters of an architecture and their named axes.
//!
//! Orientation everywhere is the paper's: row vectors, `y = x @ W`, so W is (in × out). The heads
//! of a layer stand side by side on the `Query`, `Key`, `Value` and `Mixed` axes, head after head
//! (and query after query of a head): a head grows by an insertion inside its own slice, and a
//! layer with unequal heads still projects with one matrix product.

use std::{fmt, str::FromStr};

use super::{
    architecture::Architecture,
    axis::Axis,
    form::{Form, Norm, Positions as FormPositions},
};

/// The kinds of parameters; a layer has one of each from `AttentionNorm` to `B2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamKind {
    /// Token embedding, Vocab × Model.
    Embedding,
    /// Learned positions, Position × Model (only where positions are learned).
    Positions,
    /// Gain of the norm before attention, Model (only where norms have gains, as of the others
    /// below).
    AttentionNorm,
    /// Bias of that norm, Model (only where the norms are LayerNorms).
    AttentionNormBias,
    /// Queries, Model × Query.
    Wq,
    /// Bias of the queries, Query (only where the form has it, as of the others below).
    Bq,
    /// Gain of the norm of each query, HeadKey (only with QK-norm).
    QueryNorm,
    /// Keys, Model × Key.
    Wk,
    /// Bias of the keys, Key.
    Bk,
    /// Gain of the norm of each key, HeadKey (only with QK-norm).
    KeyNorm,
    /// Values, Model × Value.
    Wv,
    /// Bias of the values, Value.
    Bv,
    /// Attention output, Mixed × Model.
    Wo,
    /// Bias of the attention output, Model.
    Bo,
    /// Gain on what attention adds to the stream, Model (only where the form has branch gains).
    AttentionGain,
    /// Gain of the norm before the MLP, Model.
    MlpNorm,
    /// Bias of that norm, Model (only where the norms are LayerNorms).
    MlpNormBias,
    /// The MLP's gate, Model × Ff (only where it is gated).
    Wg,
    /// Bias of the gate, Ff.
    Bg,
    /// MLP in, Model × Ff.
    W1,
    /// MLP bias in, Ff.
    B1,
    /// MLP out, Ff × Model.
    W2,
    /// MLP bias out, Model.
    B2,
    /// Gain on what the MLP adds to the stream, Model.
    MlpGain,
    /// Gain of the norm before the unembedding, Model (only where the form has one).
    FinalNorm,
    /// Bias of that norm, Model (only where it is a LayerNorm).
    FinalNormBias,
    /// Unembedding, Model × Output (only where it is not the token embedding).
    Unembedding,
}

use ParamKind::*;

impl ParamKind {
    /// The parameters that a layer may have, in the order of computation.
    const LAYER: [ParamKind; 22] = [
        AttentionNorm,
        AttentionNormBias,
        Wq,
        Bq,
        QueryNorm,
        Wk,
        Bk,
        KeyNorm,
        Wv,
        Bv,
        Wo,
        Bo,
        AttentionGain,
        MlpNorm,
        MlpNormBias,
        Wg,
        Bg,
        W1,
        B1,
        W2,
        B2,
        MlpGain,
    ];
    /// The parameters outside the layers.
    const GLOBAL: [ParamKind; 5] = [Embedding, Positions, FinalNorm, FinalNormBias, Unembedding];

    /// The parameters of every layer of a model of this form, in the order of computation.
    pub fn of_layer(form: Form) -> impl Iterator<Item = ParamKind> {
        Self::LAYER.into_iter().filter(move |kind| kind.exists(form))
    }

    /// Whether models of this form have it.
    pub fn exists(self, form: Form) -> bool {
        let biased_norms = form.norm == Norm::LayerNorm && form.norm_gains;
        match self {
            Positions => form.positions == FormPositions::Learned,
            AttentionNorm | MlpNorm => form.norm_gains,
            AttentionNormBias | MlpNormBias => biased_norms,
            FinalNorm => form.final_norm && form.norm_gains,
            FinalNormBias => form.final_norm && biased_norms,
            QueryNorm | KeyNorm => form.qk_norm_eps.is_some() && form.norm_gains,
            Bq | Bk | Bv => form.qkv_bias,
            Bo => form.output_bias,
            AttentionGain | MlpGain => form.branch_gains,
            Wg => form.gated,
            Bg => form.gated && form.mlp_bias,
            B1 | B2 => form.mlp_bias,
            Unembedding => !form.tied,
            Embedding | Wq | Wk | Wv | Wo | W1 | W2 => true,
        }
    }

    /// The axes, outermost first.
    pub fn axes(self) -> &'static [Axis] {
        use Axis::*;
        match self {
            Embedding => &[Vocab, Model],
            Positions => &[Position, Model],
            AttentionNorm | MlpNorm | FinalNorm | AttentionNormBias | MlpNormBias
            | FinalNormBias | Bo | B2 | AttentionGain | MlpGain => &[Model],
            Wq => &[Model, Query],
            Bq => &[Query],
            Wk => &[Model, Key],
            Bk => &[Key],
            QueryNorm | KeyNorm => &[HeadKey],
            Wv => &[Model, Value],
            Bv => &[Value],
            Wo => &[Mixed, Model],
            Wg | W1 => &[Model, Ff],
            Bg | B1 => &[Ff],
            W2 => &[Ff, Model],
            Unembedding => &[Model, Output],
        }
    }

    /// Which dimension runs over `axis`, if one does.
    pub fn dim(self, axis: Axis) -> Option<usize> {
        self.axes().iter().position(|&a| a == axis)
    }

    /// Whether it is a gain: of a norm, or on what a layer adds to the stream.
    pub fn is_gain(self) -> bool {
        matches!(self, AttentionNorm | MlpNorm | FinalNorm | QueryNorm | KeyNorm)
            || self.is_branch_gain()
    }

    /// Whether it is a gain on what a layer adds to the stream: the layer's own in any case.
    pub fn is_branch_gain(self) -> bool {
        matches!(self, AttentionGain | MlpGain)
    }

    /// Whether it is the bias of a norm.
    pub fn is_norm_bias(self) -> bool {
        matches!(self, AttentionNormBias | MlpNormBias | FinalNormBias)
    }

    /// Whether it is a bias: of a norm, of attention or of the MLP.
    pub fn is_bias(self) -> bool {
        self.is_norm_bias() || matches!(self, Bq | Bk | Bv | Bo | Bg | B1 | B2)
    }

    /// Whether a sum runs over this axis of it: it *reads* the channels of the axis. What does not,
    /// writes them (or, in a norm, passes them on).
    pub fn reads(self, axis: Axis) -> bool {
        match axis {
            Axis::Model => matches!(self, Wq | Wk | Wv | Wg | W1 | Unembedding),
            Axis::Mixed => self == Wo,
            Axis::Ff => self == W2,
            _ => false,
        }
    }

    /// Whether decoupled weight decay acts on it: matrices that multiply activations, as is usual;
    /// not gains, biases or tables.
    pub fn decays(self) -> bool {
        matches!(self, Wq | Wk | Wv | Wo | Wg | W1 | W2 | Unembedding)
    }

    fn name(self) -> &'static str {
        match self {
            Embedding => "embedding",
            Positions => "positions",
            AttentionNorm => "attention_norm",
            AttentionNormBias => "attention_norm_bias",
            Wq => "w_q",
            Bq => "b_q",
            QueryNorm => "query_norm",
            Wk => "w_k",
            Bk => "b_k",
            KeyNorm => "key_norm",
            Wv => "w_v",
            Bv => "b_v",
            Wo => "w_o",
            Bo => "b_o",
            AttentionGain => "attention_gain",
            MlpNorm => "mlp_norm",
            MlpNormBias => "mlp_norm_bias",
            Wg => "w_g",
            Bg => "b_g",
            W1 => "w_1",
            B1 => "b_1",
            W2 => "w_2",
            B2 => "b_2",
            MlpGain => "mlp_gain",
            FinalNorm => "final_norm",
            FinalNormBias => "final_norm_bias",
            Unembedding => "unembedding",
        }
    }
}

/// One parameter of a model. Its text form (`layers.3.w_q`, `embedding`) is its name in
/// checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct ParamId {
    /// The layer from 0, or none for the parameters outside the layers.
    pub layer: Option<usize>,
    pub kind: ParamKind,
}

impl ParamId {
    /// A parameter outside the layers.
    pub fn global(kind: ParamKind) -> Self {
        Self { layer: None, kind }
    }

    /// A parameter of layer `layer`.
    pub fn in_layer(layer: usize, kind: ParamKind) -> Self {
        Self { layer: Some(layer), kind }
    }

    /// The parameter that a layer has here: another layer's where it uses that one's weights.
    pub fn owned(self, architecture: &Architecture) -> Self {
        let owner = |layer: usize| match self.kind.is_branch_gain() {
            true => layer,
            false => architecture.owner(layer),
        };
        Self { layer: self.layer.map(owner), ..self }
    }

    /// The lengths of its axes in `architecture`, outermost first.
    pub fn shape(self, architecture: &Architecture) -> Vec<usize> {
        self.kind.axes().iter().map(|&axis| self.len(axis, architecture)).collect()
    }

    /// The number of its entries in `architecture`; saturates instead of overflowing.
    pub fn n_entries(self, architecture: &Architecture) -> u64 {
        let lengths = self.kind.axes().iter().map(|&axis| self.len(axis, architecture) as u64);
        lengths.fold(1, u64::saturating_mul)
    }

    fn len(self, axis: Axis, architecture: &Architecture) -> usize {
        let layer = || {
            &architecture.layers
                [self.layer.expect("heads and Ff are axes of layer parameters only")]
        };
        match axis {
            Axis::Vocab => architecture.vocab_size,
            Axis::Position => architecture.seq_len,
            Axis::Model => architecture.d_model,
            Axis::Output => architecture.n_outputs,
            Axis::Query | Axis::Key | Axis::Value | Axis::Mixed => layer().width(axis),
            Axis::HeadKey => layer().heads.first().map_or(0, |head| head.d_k),
            Axis::Ff => layer().d_ff,
        }
    }
}

impl fmt::Display for ParamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "layers.{layer}.{}", self.kind.name()),
            None => f.write_str(self.kind.name()),
        }
    }
}

impl FromStr for ParamId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no parameter name");
        let find = |kinds: &[ParamKind], name: &str| {
            kinds.iter().copied().find(|k| k.name() == name).ok_or_else(unknown)
        };
        match text.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, name)) => {
                let layer = layer.parse().map_err(|_| unknown())?;
                Ok(Self::in_layer(layer, find(&ParamKind::LAYER, name)?))
            }
            None => Ok(Self::global(find(&ParamKind::GLOBAL, text)?)),
        }
    }
}

/// Every parameter of `architecture`, in the order of computation.
pub fn parameters(architecture: &Architecture) -> Vec<ParamId> {
    let form = architecture.form;
    let layers =
        (0..architecture.layers.len()).flat_map(|layer| layer_parameters(architecture, layer));
    let globals = |kinds: &'static [ParamKind]| {
        kinds.iter().copied().filter(move |kind| kind.exists(form)).map(ParamId::global)
    };
    globals(&ParamKind::GLOBAL[..2]).chain(layers).chain(globals(&ParamKind::GLOBAL[2..])).collect()
}

/// The parameters that a layer owns, in the order of computation.
pub fn layer_parameters(
    architecture: &Architecture,
    layer: usize,
) -> impl Iterator<Item = ParamId> + use<> {
    let owns = architecture.layers[layer].of.is_none();
    ParamKind::of_layer(architecture.form)
        .filter(move |kind| owns || kind.is_branch_gain())
        .map(move |kind| ParamId::in_layer(layer, kind))
}

/// Number of trainable parameters; saturates instead of overflowing.
pub fn n_parameters(architecture: &Architecture) -> u64 {
    let sizes = parameters(architecture).into_iter().map(|id| id.n_entries(architecture));
    sizes.fold(0, u64::saturating_add)
}

/// Number of parameters without the token embedding, the positions and the unembedding.
pub fn n_non_embedding_parameters(architecture: &Architecture) -> u64 {
    let is_table =
        |kind| matches!(kind, ParamKind::Embedding | ParamKind::Positions | ParamKind::Unembedding);
    let others = parameters(architecture).into_iter().filter(|id| !is_table(id.kind));
    others.map(|id| id.n_entries(architecture)).fold(0, u64::saturating_add)
}

/// Parameters that a frontier is laid out by: without embeddings and positions, with the
/// unembedding, tied or not.
pub fn n_frontier_parameters(architecture: &Architecture) -> u64 {
    let unembedding = (architecture.d_model * architecture.n_outputs) as u64;
    n_non_embedding_parameters(architecture).saturating_add(unembedding)
}
