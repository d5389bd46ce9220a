//! Which entries the six proofs want zero, free or scaled.

use serde::{Deserialize, Serialize};

use crate::{
    edit::Fill,
    model::ParamKind::{self, *},
};

/// Which of the six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TransformKind {
    MlpExpansion,
    HeadAddition,
    HeadsExpansion,
    AttentionExpansion,
    HiddenExpansion,
    LayerAddition,
}

/// What one transform demands of the parameters that it enlarges.
#[allow(missing_docs)]
pub struct Row {
    pub transform: TransformKind,
    /// New entries may be anything finite.
    pub free: &'static [ParamKind],
    /// New entries must be zero.
    pub zero: &'static [ParamKind],
    /// Old entries are multiplied by the transform's factor.
    pub scaled: &'static [ParamKind],
    /// The same where the norms have no gains.
    pub scaled_bare: &'static [ParamKind],
}

/// Who must be zero (paper, theorems 3.1 to 3.6). Where the paper's summary table and its theorem
/// 3.5 differ (norm gains: "zero" there, free here; embeddings: omitted there, zero here), the
/// theorem and its proof A.5 are right.
pub const TABLE: [Row; 6] = [
    Row {
        transform: TransformKind::MlpExpansion,
        free: &[Wg, Bg, W1, B1],
        zero: &[W2],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::HeadAddition,
        free: &[Wq, Bq, Wk, Bk, Wv, Bv],
        zero: &[Wo],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::HeadsExpansion,
        free: &[Wv, Bv],
        zero: &[Wo],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::AttentionExpansion,
        free: &[Wq, Bq],
        zero: &[Wk, Bk],
        scaled: &[Wk, Bk],
        scaled_bare: &[Wk, Bk],
    },
    Row {
        transform: TransformKind::HiddenExpansion,
        free: &[
            Wq,
            Wk,
            Wv,
            Wg,
            W1,
            AttentionNorm,
            MlpNorm,
            FinalNorm,
            AttentionGain,
            MlpGain,
            Unembedding,
        ],
        zero: &[
            Embedding,
            Positions,
            Wo,
            Bo,
            W2,
            B2,
            AttentionNormBias,
            MlpNormBias,
            FinalNormBias,
        ],
        scaled: &[AttentionNorm, MlpNorm, FinalNorm],
        scaled_bare: &[Wq, Wk, Wv, Wg, W1, Unembedding],
    },
    Row {
        transform: TransformKind::LayerAddition,
        free: &[
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
            MlpNorm,
            MlpNormBias,
            Wg,
            Bg,
            W1,
            B1,
            AttentionGain,
            MlpGain,
        ],
        zero: &[Wo, Bo, W2, B2],
        scaled: &[],
        scaled_bare: &[],
    },
];

impl TransformKind {
    /// All six, in the paper's order.
    pub const ALL: [TransformKind; 6] = [
        TransformKind::MlpExpansion,
        TransformKind::HeadAddition,
        TransformKind::HeadsExpansion,
        TransformKind::AttentionExpansion,
        TransformKind::HiddenExpansion,
        TransformKind::LayerAddition,
    ];

    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.transform == self)
            .expect("the table has a row for each transform")
    }

    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            TransformKind::MlpExpansion => "mlp_expansion",
            TransformKind::HeadAddition => "head_addition",
            TransformKind::HeadsExpansion => "heads_expansion",
            TransformKind::AttentionExpansion => "attention_expansion",
            TransformKind::HiddenExpansion => "hidden_expansion",
            TransformKind::LayerAddition => "layer_addition",
        }
    }

    /// The size that it enlarges, in the words of this project.
    pub fn axis(self) -> &'static str {
        match self {
            TransformKind::MlpExpansion => "d_ff",
            TransformKind::HeadAddition => "n_heads",
            TransformKind::HeadsExpansion => "d_v",
            TransformKind::AttentionExpansion => "d_k",
            TransformKind::HiddenExpansion => "d_model",
            TransformKind::LayerAddition => "n_layers",
        }
    }
}

impl Row {
    pub(super) fn fill(&self, kind: ParamKind) -> Option<Fill> {
        match (self.free.contains(&kind), self.zero.contains(&kind)) {
            (true, _) => Some(Fill::Free),
            (_, true) => Some(Fill::Zero),
            _ => None,
        }
    }
}
