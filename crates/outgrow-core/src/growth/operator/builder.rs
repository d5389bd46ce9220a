//! Writing down the edits of an operator.

use std::ops::Range;

use super::{OperatorError, units::Share};
use crate::{
    edit::{Edit, LayerCopy, Unit},
    growth::{target::TargetShape, transform::Transform},
    model::{Architecture, Axis, LayerShape, ParamId, ParamKind, parameters},
    stream::Stream,
};

/// A growth being written down: the sizes so far, where it must lead, and the edits so far.
pub(super) struct OperatorBuilder<'a> {
    pub(super) operator: &'static str,
    pub(super) now: Architecture,
    pub(super) to: &'a TargetShape,
    pub(super) edits: Vec<Edit>,
    pub(super) rng: Stream,
}

/// The axes along which a head is copied.
pub(super) const HEAD_AXES: [Axis; 4] = [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed];

impl OperatorBuilder<'_> {
    pub(super) fn refuse<T>(&self, why: impl Into<String>) -> Result<T, OperatorError> {
        Err(OperatorError::Refused { operator: self.operator, why: why.into() })
    }

    pub(super) fn check_nothing_shrinks(&self) -> Result<(), OperatorError> {
        let (now, to) = (&self.now, self.to);
        if to.d_model < now.d_model {
            return self
                .refuse(format!("d_model can't shrink from {} to {}", now.d_model, to.d_model));
        }
        if to.layers.len() < now.layers.len() {
            return self.refuse(format!(
                "n_layers can't shrink from {} to {}",
                now.layers.len(),
                to.layers.len()
            ));
        }
        if *to == TargetShape::of(now) && self.operator == "untie" {
            return self.refuse("no layer uses the weights of another");
        }
        if *to == TargetShape::of(now) {
            return self
                .refuse("it would enlarge nothing: the model has the sizes of the goal already");
        }
        Ok(())
    }

    /// A table that is read and written in one can't be divided among copies.
    pub(super) fn check_form(&self) -> Result<(), OperatorError> {
        if self.now.form.tied && self.to.d_model > self.now.d_model {
            return self.refuse(
                "d_model can't grow where the unembedding is the token embedding: its rows are \
                 read in parts, its columns written whole; the six transforms can do it",
            );
        }
        Ok(())
    }

    /// What copies or mixes units would have to know of all the passes that they are in.
    pub(super) fn check_own_weights(&self) -> Result<(), OperatorError> {
        match self.now.shares() || self.to.layers.iter().any(|layer| layer.of.is_some()) {
            true => self.refuse(
                "layers use the weights of others: untie them first (operator = { kind = \"untie\" })",
            ),
            false => Ok(()),
        }
    }

    /// What an operator did not see to, it can't do.
    pub(super) fn check_arrived(&self) -> Result<(), OperatorError> {
        if TargetShape::of(&self.now) == *self.to {
            return Ok(());
        }
        let to = Architecture {
            d_model: self.to.d_model,
            layers: self.to.layers.clone(),
            ..self.now.clone()
        };
        let (now, to) = (self.now.describe(), to.describe());
        if now == to {
            return self.refuse("other layers would use the weights of others than in the target");
        }
        self.refuse(format!("it leads to {now}, and not to {to}"))
    }

    /// A depth operator leaves widths as they are.
    pub(super) fn only_depth(&self) -> Result<(), OperatorError> {
        let (now, to) = (&self.now, self.to);
        if to.d_model != now.d_model {
            return self.refuse(format!(
                "it only adds layers, but d_model is {} and should become {}",
                now.d_model, to.d_model
            ));
        }
        let is_known =
            |layer: &LayerShape| now.layers.iter().any(|now| now.untied() == layer.untied());
        if !to.layers.iter().all(is_known) {
            return self.refuse(
                "it only adds layers that are copies, but the target's layers have other sizes",
            );
        }
        Ok(())
    }

    /// A width operator leaves the number of layers as it is.
    pub(super) fn only_width(&self) -> Result<(), OperatorError> {
        let (from, to) = (self.now.layers.len(), self.to.layers.len());
        if from == to {
            Ok(())
        } else {
            self.refuse(format!("it adds no layers, but n_layers is {from} and should become {to}"))
        }
    }

    /// Makes the list of layers anew; copies are those that the rule marks.
    pub(super) fn layers(&mut self, copies: Vec<LayerCopy>) {
        self.now.layers = copies.iter().map(|copy| self.now.layers[copy.from].clone()).collect();
        self.edits.push(Edit::Layers(copies));
    }

    /// Sets to zero what a layer writes into the stream.
    pub(super) fn silence(&mut self, layer: usize) {
        let form = self.now.form;
        for kind in [ParamKind::Wo, ParamKind::Bo, ParamKind::W2, ParamKind::B2]
            .into_iter()
            .filter(|k| k.exists(form))
        {
            self.edits.push(Edit::Clear { param: ParamId::in_layer(layer, kind), block: vec![] });
        }
    }

    /// A transform as a part of an operator.
    pub(super) fn transform(
        &mut self,
        transform: impl Into<Transform>,
    ) -> Result<(), OperatorError> {
        let operator = self.operator;
        let grown = transform.into().grow(&self.now);
        let grown = grown.map_err(|error| OperatorError::Transform { operator, error })?;
        self.now = grown.architecture;
        self.edits.extend(grown.edits);
        Ok(())
    }

    /// The parameters that have an axis: in one layer, or in the whole model.
    pub(super) fn params(&self, axis: Axis, layer: Option<usize>) -> Vec<ParamId> {
        let all = parameters(&self.now).into_iter();
        all.filter(|id| id.kind.dim(axis).is_some() && (layer.is_none() || id.layer == layer))
            .collect()
    }

    /// Copies the channels of the stream: what writes them is copied, what reads them is divided. A
    /// norm sees the same root mean square where every channel is copied equally often, with ε on
    /// the sum multiplied like the sum ([`OperatorBuilder::multiply_eps`]).
    pub(super) fn copy_channels(&mut self, shares: &[Share]) {
        for param in self.params(Axis::Model, None) {
            self.gather(param, Axis::Model, shares, self.now.d_model, None);
        }
        self.now.d_model = shares.len();
    }

    pub(super) fn multiply_eps(&mut self, by: usize) {
        self.now.form.eps_sum *= by as f64;
    }

    /// Copies the units of an MLP.
    pub(super) fn copy_units(&mut self, layer: usize, shares: &[Share]) {
        let old = self.now.layers[layer].d_ff;
        for param in self.params(Axis::Ff, Some(layer)) {
            self.gather(param, Axis::Ff, shares, old, None);
        }
        self.now.layers[layer].d_ff = shares.len();
    }

    /// Copies heads as wholes.
    pub(super) fn copy_heads(&mut self, layer: usize, shares: &[Share]) {
        for axis in HEAD_AXES {
            let (entries, old) = self.head_entries(layer, axis, shares);
            for param in self.params(axis, Some(layer)) {
                self.gather(param, axis, &entries, old, None);
            }
        }
        self.set_heads(layer, shares);
    }

    /// Copies units and heads of every layer up to the goal, by shares of one kind.
    pub(super) fn copy_in_layers(&mut self, shares: fn(usize, usize, &mut Stream) -> Vec<Share>) {
        for layer in 0..self.now.layers.len() {
            let (now, to) = (self.now.layers[layer].clone(), &self.to.layers[layer]);
            if to.d_ff > now.d_ff {
                let shares = shares(now.d_ff, to.d_ff, &mut self.rng);
                self.copy_units(layer, &shares);
            }
            if to.heads.len() > now.heads.len() {
                let shares = shares(now.heads.len(), to.heads.len(), &mut self.rng);
                self.copy_heads(layer, &shares);
            }
        }
    }

    /// The entries of one of the heads' axes that belong to copied heads, and how many there were.
    pub(super) fn head_entries(
        &self,
        layer: usize,
        axis: Axis,
        shares: &[Share],
    ) -> (Vec<Share>, usize) {
        let shape = &self.now.layers[layer];
        let range = |head: usize| -> Range<usize> {
            let at = shape.offset(axis, head);
            at..at + shape.heads[head].width(axis)
        };
        let entries = shares
            .iter()
            .flat_map(|share| range(share.from).map(|from| Share { from, part: share.part }));
        (entries.collect(), shape.width(axis))
    }

    pub(super) fn set_heads(&mut self, layer: usize, shares: &[Share]) {
        let heads = shares.iter().map(|share| self.now.layers[layer].heads[share.from]).collect();
        self.now.layers[layer].heads = heads;
    }

    /// One axis of one parameter: read in parts, or written whole (a copy's gradient is then the
    /// part that is read of it).
    pub(super) fn gather(
        &mut self,
        param: ParamId,
        axis: Axis,
        shares: &[Share],
        old: usize,
        new_from: Option<ParamId>,
    ) {
        let unit = |(number, share): (usize, &Share)| {
            let (weight, gradient) =
                if param.kind.reads(axis) { (share.part, 1.0) } else { (1.0, share.part) };
            Unit { from: share.from, weight, gradient, is_new: number >= old }
        };
        let units = shares.iter().enumerate().map(unit).collect();
        self.edits.push(Edit::Gather { param, axis, units, new_from });
    }

    /// For each layer, how many heads and units it must have; refuses heads of other sizes than the
    /// layer's.
    pub(super) fn check_heads_whole(&self) -> Result<(), OperatorError> {
        for (number, (now, to)) in self.now.layers.iter().zip(&self.to.layers).enumerate() {
            let (from, heads) = (now.heads.len(), to.heads.len());
            if heads < from {
                return self.refuse(format!(
                    "n_heads of layer {number} can't shrink from {from} to {heads}"
                ));
            }
            if to.d_ff < now.d_ff {
                return self.refuse(format!(
                    "d_ff of layer {number} can't shrink from {} to {}",
                    now.d_ff, to.d_ff
                ));
            }
            if now.heads.iter().chain(&to.heads).any(|head| *head != now.heads[0]) {
                return self.refuse(format!(
                    "it copies heads as wholes, so d_k and d_v can't change: layer {number} has \
                     {} and should have {}",
                    describe_heads(now),
                    describe_heads(to)
                ));
            }
        }
        Ok(())
    }

    /// By which whole number an axis is multiplied.
    pub(super) fn factor(
        &self,
        what: &str,
        from: usize,
        to: usize,
    ) -> Result<usize, OperatorError> {
        if to.is_multiple_of(from) {
            return Ok(to / from);
        }
        self.refuse(format!(
            "{what} must be multiplied by a whole number: {from} can't become {to}"
        ))
    }

    /// The one factor by which every layer's axis is multiplied.
    pub(super) fn layer_factor(
        &self,
        what: &str,
        of: fn(&LayerShape) -> usize,
    ) -> Result<usize, OperatorError> {
        let pairs: Vec<_> = self
            .now
            .layers
            .iter()
            .zip(&self.to.layers)
            .map(|(now, to)| (of(now), of(to)))
            .collect();
        let factors: Result<Vec<_>, _> =
            pairs.iter().map(|&(from, to)| self.factor(what, from, to)).collect();
        let factors = factors?;
        match factors.iter().all(|factor| *factor == factors[0]) {
            true => Ok(factors[0]),
            false => {
                self.refuse(format!("{what} must be multiplied by the same number in every layer"))
            }
        }
    }
}

pub(super) fn describe_heads(layer: &LayerShape) -> String {
    let groups = layer.groups();
    let text = groups
        .iter()
        .map(|group| format!("{} of d_k {}, d_v {}", group.n_heads, group.d_k, group.d_v));
    text.collect::<Vec<_>>().join(" and ")
}
