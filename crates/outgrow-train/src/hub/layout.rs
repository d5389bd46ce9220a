//! Where a family keeps parameters: which of them lie in a tensor, and how.

use std::collections::BTreeMap;

use outgrow_core::{Architecture, ParamId, ParamKind, model::Axis};
use tch::{Kind, Tensor};

/// How a family stores a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As we do: a vector, a table, or in × out.
    Same,
    /// Out × in.
    Transposed,
}

/// How several of our parameters lie in one tensor, along the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fused {
    /// One after the other.
    Blocks,
    /// Head by head: of each head first this one's part, then that one's.
    PerHead,
}

/// One tensor of a family, `{}` for the number of a layer, and which of our parameters it holds.
pub struct Stored {
    pub name: &'static str,
    pub kinds: &'static [ParamKind],
    pub layout: Layout,
    pub fused: Fused,
}

pub(super) const fn one(name: &'static str, kinds: &'static [ParamKind], layout: Layout) -> Stored {
    Stored { name, kinds, layout, fused: Fused::Blocks }
}

impl Stored {
    /// The layers that have it; of one outside of them, none.
    pub(super) fn layers(&self, architecture: &Architecture) -> Vec<Option<usize>> {
        match self.name.contains("{}") {
            true => (0..architecture.layers.len()).map(Some).collect(),
            false => vec![None],
        }
    }

    pub(super) fn name_of(&self, layer: Option<usize>) -> String {
        layer.map_or(self.name.to_owned(), |layer| self.name.replace("{}", &layer.to_string()))
    }

    fn ids(&self, layer: Option<usize>) -> impl Iterator<Item = ParamId> {
        self.kinds.iter().map(move |&kind| ParamId { layer, kind })
    }

    /// Its shape in the file.
    pub(super) fn shape(&self, architecture: &Architecture, layer: Option<usize>) -> Vec<usize> {
        let shapes: Vec<Vec<usize>> = self.ids(layer).map(|id| id.shape(architecture)).collect();
        let mut shape = shapes[0].clone();
        let last = shape.len() - 1;
        shape[last] = shapes.iter().map(|shape| shape[last]).sum();
        if self.layout == Layout::Transposed {
            shape.reverse();
        }
        shape
    }

    /// Our parameters out of its tensor.
    pub(super) fn cut(
        &self,
        tensor: &Tensor,
        architecture: &Architecture,
        layer: Option<usize>,
    ) -> Vec<(ParamId, Tensor)> {
        let ours = if self.layout == Layout::Transposed {
            tensor.transpose(0, 1)
        } else {
            tensor.shallow_clone()
        };
        let n = self.kinds.len() as i64;
        let part = |number: i64| match self.fused {
            _ if n == 1 => ours.shallow_clone(),
            Fused::Blocks => ours.chunk(n, -1).remove(number as usize),
            Fused::PerHead => {
                let heads =
                    architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
                ours.unflatten(-1, [heads, n, -1]).select(-2, number).flatten(-2, -1)
            }
        };
        let one = |(number, id): (usize, ParamId)| {
            let part = part(number as i64);
            let order = pairs(architecture, id);
            (id, order.map_or(part.shallow_clone(), |order| part.index_select(-1, &order)))
        };
        self.ids(layer).enumerate().map(one).collect()
    }

    /// Its tensor out of our parameters, in one kind.
    pub(super) fn join(
        &self,
        weights: &BTreeMap<ParamId, Tensor>,
        architecture: &Architecture,
        layer: Option<usize>,
        scale: &dyn Fn(ParamId) -> f64,
        kind: Kind,
    ) -> Tensor {
        let one = |id: ParamId| {
            let mut part = weights[&id].shallow_clone();
            if let Some(order) = pairs(architecture, id) {
                part = part.index_select(-1, &order.argsort(-1, false));
            }
            match scale(id) {
                1.0 => part.to_kind(kind),
                by if part.kind() == Kind::Double => (part * by).to_kind(kind),
                by => (part.to_kind(Kind::Float) * by).to_kind(kind),
            }
        };
        let parts: Vec<Tensor> = self.ids(layer).map(one).collect();
        let ours = match (&parts[..], self.fused) {
            ([whole], _) => whole.shallow_clone(),
            (parts, Fused::Blocks) => Tensor::cat(parts, -1),
            (parts, Fused::PerHead) => {
                let heads =
                    architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
                let split: Vec<Tensor> =
                    parts.iter().map(|part| part.unflatten(-1, [heads, -1])).collect();
                Tensor::stack(&split, -2).flatten(-3, -1)
            }
        };
        let stored = if self.layout == Layout::Transposed { ours.transpose(0, 1) } else { ours };
        stored.contiguous()
    }
}

/// Where transformers keeps the channels of our heads. We turn neighbours, channels 2i and 2i + 1;
/// it turns channels i and i + half of those that are turned. None where nothing is turned.
fn pairs(architecture: &Architecture, id: ParamId) -> Option<Tensor> {
    let rotary = architecture.form.rotary()?;
    let layer = &architecture.layers[id.layer?];
    let axis = *id.kind.axes().last().expect("every parameter has an axis");
    let head = layer.heads[0];
    let n = match axis {
        Axis::Query => layer.n_heads(),
        Axis::Key => layer.heads.len(),
        Axis::HeadKey => 1,
        _ => return None,
    };
    let half = rotary.turned(head.d_k) / 2;
    let one = |channel: usize| match channel {
        turned if turned < 2 * half => turned / 2 + turned % 2 * half,
        rest => rest,
    };
    let order = (0..n).flat_map(|number| {
        (0..head.d_k).map(move |channel| (number * head.d_k + one(channel)) as i64)
    });
    Some(Tensor::from_slice(&order.collect::<Vec<_>>()))
}
