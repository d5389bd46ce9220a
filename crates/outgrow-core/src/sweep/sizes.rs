//! Sizes of models in sweep files.

use serde::{Deserialize, Serialize};

use super::error::{SweepError, at_most, bad};
use crate::growth::Sizes;
use crate::model::{Architecture, HeadGroup, LayerShape, MAX_COUNT, MAX_HEADS};

/// No model of a sweep is deeper.
const MOST_LAYERS: usize = 2048;

/// The sizes of a model: either alike in all layers (`n_layers` and one layer's fields), or one
/// entry of `layers` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SizesSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,
    /// How many keys and values the heads share; each has its own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_k: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_v: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
    /// How many of the layers have weights of their own; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_layers: Option<usize>,
    /// In which order the others use those; `cycle` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<LayerSpec>>,
    /// Of `initial` alone: the folder of a model that is trained on, a checkpoint or one of
    /// transformers. The sizes, the form and the number of tokens are filled in from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Digest of its weights; filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// ε of its norms on the sum of squares, to the last bit; filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps_sum: Option<f64>,
}

/// The sizes of one layer whose heads may differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// Runs of equal heads, in order.
    pub heads: Vec<HeadGroup>,
    /// Width of the MLP.
    pub d_ff: usize,
    /// The layer before it, from 0, whose weights it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
}

/// The order in which layers use shared weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// ABCABC: all of them, again and again.
    Cycle,
    /// AABBCC: each several times.
    Repeat,
}

impl Sharing {
    /// How layers share weights, as short as it can be said: how many have their own, and the order;
    /// nothing where all have, none where it can't be said so.
    #[allow(clippy::option_option)]
    fn of(layers: &[LayerShape]) -> Option<Option<(usize, Self)>> {
        let n = layers.len();
        let unique = layers.iter().filter(|layer| layer.of.is_none()).count();
        if unique == n {
            return Some(None);
        }
        let says = |sharing: &Self| {
            n.is_multiple_of(unique)
                && (0..n).all(|l| layers[l].of.unwrap_or(l) == sharing.owner(l, n, unique))
        };
        let sharing = [Self::Cycle, Self::Repeat].into_iter().find(says)?;
        Some(Some((unique, sharing)))
    }

    /// Whose weights layer `layer` of `n` uses, `unique` of which have their own.
    fn owner(self, layer: usize, n: usize, unique: usize) -> usize {
        match self {
            Self::Cycle => layer % unique,
            Self::Repeat => layer / (n / unique) * (n / unique),
        }
    }
}

impl From<Sizes> for SizesSpec {
    fn from(sizes: Sizes) -> Self {
        let Sizes { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff } = sizes;
        Self { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, ..Self::none() }
    }
}

impl SizesSpec {
    pub(super) fn none() -> Self {
        Self {
            d_model: None,
            n_layers: None,
            n_heads: None,
            n_kv_heads: None,
            d_k: None,
            d_v: None,
            d_ff: None,
            unique_layers: None,
            sharing: None,
            layers: None,
            checkpoint: None,
            digest: None,
            eps_sum: None,
        }
    }

    /// The sizes of an architecture, as short as they can be said.
    pub(super) fn of(architecture: &Architecture) -> Self {
        let (layers, first) = (&architecture.layers, &architecture.layers[0]);
        let group = first.groups()[0];
        let alike = layers.iter().all(|layer| layer.untied() == *first);
        let shared = Sharing::of(layers);
        let uniform = alike && shared.is_some() && first.groups().len() == 1;
        let (unique_layers, sharing) = shared.flatten().filter(|_| uniform).unzip();
        let list = || {
            let one = |layer: &LayerShape| LayerSpec {
                heads: layer.groups(),
                d_ff: layer.d_ff,
                of: layer.of,
            };
            layers.iter().map(one).collect()
        };
        Self {
            d_model: Some(architecture.d_model),
            n_layers: uniform.then_some(layers.len()),
            n_heads: uniform.then_some(group.n_heads),
            n_kv_heads: group.n_kv_heads.filter(|_| uniform),
            d_k: uniform.then_some(group.d_k),
            d_v: uniform.then_some(group.d_v),
            d_ff: uniform.then_some(first.d_ff),
            unique_layers,
            sharing,
            layers: (!uniform).then(list),
            checkpoint: None,
            digest: None,
            eps_sum: None,
        }
    }

    /// Takes the sizes that it leaves out from others, unless either lists its layers.
    pub(super) fn fill_from(&mut self, other: &Self) {
        self.d_model = self.d_model.or(other.d_model);
        if self.layers.is_none() && other.layers.is_none() {
            let n_kv_heads = other.n_kv_heads.filter(|_| self.n_heads.is_none());
            if self.n_layers.is_none() {
                self.unique_layers = self.unique_layers.or(other.unique_layers);
                self.sharing = self.sharing.or(other.sharing);
            }
            self.n_layers = self.n_layers.or(other.n_layers);
            self.n_heads = self.n_heads.or(other.n_heads);
            self.n_kv_heads = self.n_kv_heads.or(n_kv_heads);
            self.d_k = self.d_k.or(other.d_k);
            self.d_v = self.d_v.or(other.d_v);
            self.d_ff = self.d_ff.or(other.d_ff);
        }
    }

    /// Refuses what only the sweep's own `initial` may say, and half of it there.
    pub(super) fn check_checkpoint(&self, table: &str) -> Result<(), SweepError> {
        let filled = self.digest.is_some() || self.eps_sum.is_some();
        if table != "initial" && (self.checkpoint.is_some() || filled) {
            let allowed = "only the sweep's `initial` may be a checkpoint";
            return bad(&format!("{table}.checkpoint"), "given", allowed);
        }
        let is_given = self.checkpoint.is_some();
        let allowed = "it stands beside `checkpoint`, and is filled in when the sweep file is read";
        if is_given != self.digest.is_some() {
            return bad("initial.digest", "incomplete", allowed);
        }
        if is_given != self.eps_sum.is_some() {
            return bad("initial.eps_sum", "incomplete", allowed);
        }
        Ok(())
    }

    /// The layers one by one.
    pub(super) fn shapes(&self, table: &str) -> Result<Vec<LayerShape>, SweepError> {
        self.check_extent(table)?;
        let beside =
            [("unique_layers", self.unique_layers.is_some()), ("sharing", self.sharing.is_some())];
        if let (Some(_), Some((field, _))) = (&self.layers, beside.iter().find(|(_, said)| *said)) {
            let allowed = "a list of layers says itself whose weights each uses: `of = NUMBER`";
            return bad(&format!("{table}.{field}"), "beside layers", allowed);
        }
        match (&self.layers, self.n_layers) {
            (Some(layers), None) if self.uniform().is_none() => {
                layers.iter().map(|layer| layer.shape(table)).collect()
            }
            (None, Some(n)) => match self.uniform() {
                Some(layer) => self.shared(table, vec![layer.shape(table)?; n]),
                None => {
                    bad(table, "incomplete", "beside n_layers it needs n_heads, d_k, d_v and d_ff")
                }
            },
            _ => {
                let allowed = "give either n_layers, n_heads, d_k, d_v and d_ff, or one entry of \
                               `layers` per layer";
                bad(table, "neither uniform nor a list of layers", allowed)
            }
        }
    }

    /// Equal layers, of which some use the weights of others.
    fn shared(
        &self,
        table: &str,
        mut layers: Vec<LayerShape>,
    ) -> Result<Vec<LayerShape>, SweepError> {
        let (n, unique) = (layers.len(), self.unique_layers.unwrap_or(layers.len()));
        if self.sharing.is_some() && self.unique_layers.is_none() {
            let allowed = "say beside it how many layers have weights of their own: unique_layers";
            return bad(&format!("{table}.sharing"), "alone", allowed);
        }
        if unique == 0 || !n.is_multiple_of(unique) {
            let allowed = format!("n_layers, which is {n}, must be a multiple of it");
            return bad(&format!("{table}.unique_layers"), unique, &allowed);
        }
        let sharing = self.sharing.unwrap_or(Sharing::Cycle);
        for (number, layer) in layers.iter_mut().enumerate() {
            let owner = sharing.owner(number, n, unique);
            layer.of = (owner != number).then_some(owner);
        }
        Ok(layers)
    }

    /// Refuses more layers or heads than a model of a sweep may have, before there are any.
    fn check_extent(&self, table: &str) -> Result<(), SweepError> {
        let kv_heads = |layer: &LayerSpec| {
            layer
                .heads
                .iter()
                .map(HeadGroup::n_kv_heads)
                .fold(0, usize::saturating_add)
                .min(MAX_HEADS + 1)
        };
        let (n_layers, n_heads) = match &self.layers {
            Some(layers) => (layers.len(), layers.iter().map(kv_heads).sum()),
            None => {
                let n_layers = self.n_layers.unwrap_or(0);
                (
                    n_layers,
                    self.uniform().map_or(0, |layer| n_layers.saturating_mul(kv_heads(&layer))),
                )
            }
        };
        at_most(&format!("{table}.n_layers"), n_layers as u64, MOST_LAYERS as u64)?;
        if n_heads > MAX_HEADS {
            let allowed = format!(
                "all layers together may have {MAX_HEADS} heads with keys and values of their own"
            );
            return bad(
                &format!("{table}.n_heads"),
                format!("{n_heads} in all layers, or more"),
                &allowed,
            );
        }
        Ok(())
    }

    fn uniform(&self) -> Option<LayerSpec> {
        let (n_heads, n_kv_heads, d_k, d_v) =
            (self.n_heads?, self.n_kv_heads, self.d_k?, self.d_v?);
        Some(LayerSpec {
            heads: vec![HeadGroup { n_heads, n_kv_heads, d_k, d_v }],
            d_ff: self.d_ff?,
            of: None,
        })
    }
}

impl LayerSpec {
    fn shape(&self, table: &str) -> Result<LayerShape, SweepError> {
        let heads = |group: &HeadGroup| {
            let allowed = format!("it must be a multiple of n_kv_heads, from 1 to {MAX_COUNT}");
            group
                .heads()
                .map_or_else(|| bad(&format!("{table}.n_heads"), group.n_heads, &allowed), Ok)
        };
        let heads = self.heads.iter().map(heads).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(LayerShape { heads, d_ff: self.d_ff, of: self.of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, Norm};

    #[test]
    fn what_shares_weights_is_said_as_it_is_read() {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        let model = Architecture::uniform(8, 4, 6, 6, LayerShape::uniform(1, 2, 2, 4), form);
        let owners = |of: [usize; 6]| {
            let mut model = model.clone();
            for (number, layer) in model.layers.iter_mut().enumerate() {
                layer.of = (of[number] != number).then_some(of[number]);
            }
            model.validate().expect("valid");
            model
        };
        for (model, said) in [
            (owners([0, 1, 2, 3, 4, 5]), (None, None)),
            (owners([0, 0, 0, 0, 0, 0]), (Some(1), Some(Sharing::Cycle))),
            (owners([0, 1, 0, 1, 0, 1]), (Some(2), Some(Sharing::Cycle))),
            (owners([0, 0, 0, 3, 3, 3]), (Some(2), Some(Sharing::Repeat))),
        ] {
            let spec = SizesSpec::of(&model);
            assert_eq!((spec.unique_layers, spec.sharing), said);
            assert_eq!(spec.n_layers, Some(6));
            assert_eq!(spec.shapes("target").expect("sizes"), model.layers);
        }
        // Before and behind a loop.
        let listed = SizesSpec::of(&owners([0, 1, 1, 1, 1, 5]));
        assert!(listed.layers.is_some() && listed.unique_layers.is_none());
        assert_eq!(listed.shapes("target").expect("sizes")[2].of, Some(1));
        let both = SizesSpec { unique_layers: Some(2), ..listed };
        assert!(both.shapes("target").expect_err("both").to_string().contains("beside layers"));
    }
}
