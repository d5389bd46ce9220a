//! GradMax's outgoing weights, from the gradients of one batch.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, ParamId, ParamKind,
    growth::operator::GradMax,
    model::{Axis, HeadShape},
};
use tch::{Kind, Tensor, no_grad};

use crate::{
    model::{Model, cross_entropy},
    state::TrainingState,
};

/// Sets what the new units and value channels of the grown state write.
pub fn fit(
    grad_max: &GradMax,
    before: &TrainingState,
    grown: TrainingState,
    batch: &dyn Fn(u64, u64) -> Option<(Tensor, Tensor)>,
) -> Option<TrainingState> {
    let (inputs, targets) = batch(0, grad_max.batch_size)?;
    let (old, new) = (before.architecture(), grown.architecture().clone());
    let seen = gradients(before, &inputs, &targets);
    let mut parts = grown.parts();
    no_grad(|| {
        for layer in 0..old.layers.len() {
            let at = Layer { number: layer, grad_max, before, new: &new, inputs: &inputs };
            let (attention, mlp) = (&seen[2 * layer], &seen[2 * layer + 1]);
            at.units(mlp, &mut parts.weights);
            at.values(attention, &mut parts.weights);
        }
    });
    Some(TrainingState::from_parts(&new, parts, grown.step))
}

/// What a sub-layer read, and the gradient of the loss by what it added to the stream.
struct Seen {
    read_nh: Tensor,
    gradient_nh: Tensor,
}

fn gradients(state: &TrainingState, inputs: &Tensor, targets: &Tensor) -> Vec<Seen> {
    let (mut reads, mut added) = (vec![], vec![]);
    let logits = Model::new(state.architecture(), state.weights(state.master())).run(
        inputs,
        |_, normed, add| {
            reads.push(normed.detach());
            added.push(add.shallow_clone());
        },
    );
    let found = Tensor::run_backward(&[&cross_entropy(&logits, targets)], &added, false, false);
    reads
        .into_iter()
        .zip(found)
        .map(|(read_nh, gradient_nh)| Seen { read_nh, gradient_nh })
        .collect()
}

/// The first `n` right singular vectors of xᵀ ∂L/∂y, each of this length: n × d_model.
fn directions(read_nh: &Tensor, gradient_nh: &Tensor, n: i64, length: f64) -> Tensor {
    let m_hh = read_nh.transpose(0, 1).matmul(gradient_nh).to_kind(Kind::Double);
    let (_, _, v) = m_hh.svd(true, true);
    (v.transpose(0, 1).narrow(0, 0, n) * length).to_kind(read_nh.kind())
}

/// The mean length of the rows of a matrix.
fn mean_row(weight: &Tensor) -> f64 {
    weight
        .square()
        .sum_dim_intlist(Some([1i64].as_slice()), false, Kind::Double)
        .sqrt()
        .mean(Kind::Double)
        .double_value(&[])
}

type Weights = BTreeMap<ParamId, Tensor>;

/// A layer that grows.
struct Layer<'a> {
    number: usize,
    grad_max: &'a GradMax,
    before: &'a TrainingState,
    new: &'a Architecture,
    inputs: &'a Tensor,
}

impl Layer<'_> {
    /// New units stand at b₁ = 1, where a ReLU has a slope; b₂ takes back the constant.
    fn units(&self, seen: &Seen, weights: &mut Weights) {
        let d_ff = |architecture: &Architecture| architecture.layers[self.number].d_ff as i64;
        let (from, to) = (d_ff(self.before.architecture()), d_ff(self.new));
        if to == from {
            return;
        }
        let id = |kind| ParamId::in_layer(self.number, kind);
        let w2 = weights[&id(ParamKind::W2)].copy();
        let length = self.grad_max.scale * mean_row(&w2.narrow(0, 0, from));
        let rows = directions(&seen.read_nh, &seen.gradient_nh, to - from, length);
        w2.narrow(0, from, to - from).copy_(&rows);
        let b1 = weights[&id(ParamKind::B1)].copy();
        let _ = b1.narrow(0, from, to - from).fill_(1.0);
        let b2 = &weights[&id(ParamKind::B2)]
            - rows.sum_dim_intlist(Some([0i64].as_slice()), false, rows.kind());
        weights.extend([(id(ParamKind::W2), w2), (id(ParamKind::B1), b1), (id(ParamKind::B2), b2)]);
    }

    /// What new value channels write.
    fn values(&self, seen: &Seen, weights: &mut Weights) {
        let (shape, goal) =
            (&self.before.architecture().layers[self.number], &self.new.layers[self.number]);
        let id = ParamId::in_layer(self.number, ParamKind::Wo);
        let wo = weights[&id].copy();
        let heads = shape.heads.iter().zip(&goal.heads).enumerate();
        for (head, (now, to)) in heads.filter(|(_, (now, to))| to.d_v > now.d_v) {
            let passed_nh = self.passed_on(head, *now, &seen.read_nh);
            let (at, old, n) =
                (goal.offset(Axis::Value, head) as i64, now.d_v as i64, (to.d_v - now.d_v) as i64);
            let length = self.grad_max.scale * mean_row(&wo.narrow(0, at, old));
            wo.narrow(0, at + old, n).copy_(&directions(&passed_nh, &seen.gradient_nh, n, length));
        }
        weights.insert(id, wo);
    }

    /// What a head's attention would pass on of what it reads: softmax(Q Kᵀ / √k) x.
    fn passed_on(&self, head: usize, shape: HeadShape, read_nh: &Tensor) -> Tensor {
        let architecture = self.before.architecture();
        let weights = self.before.parts().weights;
        let (b, t) = self.inputs.size2().expect("token ids are batch × position");
        let at = architecture.layers[self.number].offset(Axis::Key, head) as i64;
        let d_k = shape.d_k as i64;
        let project = |kind| {
            let weight = weights[&ParamId::in_layer(self.number, kind)].narrow(1, at, d_k);
            read_nh.matmul(&weight).view([b, t, d_k])
        };
        let scores = project(ParamKind::Wq).matmul(&project(ParamKind::Wk).transpose(1, 2))
            / (d_k as f64).sqrt();
        let scores = match architecture.form.causal {
            true => scores.masked_fill(
                &Tensor::ones([t, t], (Kind::Bool, scores.device())).triu(1),
                f64::NEG_INFINITY,
            ),
            false => scores,
        };
        scores.softmax(-1, None).matmul(&read_nh.view([b, t, -1])).view([b * t, -1])
    }
}

#[cfg(test)]
mod tests {
    use outgrow_core::{
        Form, LayerShape, Norm, Operator, edit::Initializer, growth::TargetShape, stream::stream,
    };
    use rand::RngExt;

    use super::*;
    use crate::{device::Device, state::GrowOptions};

    fn tokens(seed: u64) -> (Tensor, Tensor) {
        let mut rng = stream(seed, "tokens");
        let mut draw = || {
            Tensor::from_slice(&(0..96).map(|_| rng.random_range(0..13i64)).collect::<Vec<_>>())
                .view([12, 8])
        };
        (draw(), draw())
    }

    fn gradient(state: &TrainingState) -> Weights {
        let (inputs, targets) = tokens(1);
        let logits = Model::new(state.architecture(), state.weights(Kind::Double)).logits(&inputs);
        let loss = cross_entropy(&logits, &targets);
        state
            .layout()
            .cut(&Tensor::run_backward(&[&loss], &[&state.weights], false, false).remove(0))
    }

    /// The function stays, and no outgoing weights of the same length give the new incoming ones a
    /// larger gradient: its square is c² times the sum of the first σ².
    #[test]
    fn new_units_get_the_largest_gradient_there_is() {
        for norm in [Norm::RmsNorm, Norm::LayerNorm] {
            let form = Form::decoder(norm, 1e-5);
            let old = Architecture::uniform(13, 8, 10, 2, LayerShape::uniform(2, 4, 3, 12), form);
            let to = TargetShape { d_model: 10, layers: vec![LayerShape::uniform(2, 4, 5, 16); 2] };
            let operator = GradMax { scale: 0.5, batch_size: 12 };
            let grown = Operator::GradMax(operator.clone()).grow(&old, &to, 1).expect("possible");
            let before = TrainingState::fresh(&old, 4, Kind::Double, Device::Cpu);
            let options =
                GrowOptions { initializer: &Initializer::Copy, copies: false, seed: 1, event: 0 };
            let padded = || no_grad(|| before.grown(&grown, &options));
            let after =
                fit(&operator, &before, padded(), &|_, _| Some(tokens(1))).expect("not stopped");
            let logits = |state: &TrainingState| {
                Model::new(state.architecture(), state.weights(Kind::Double)).logits(&tokens(2).0)
            };
            let moved = (logits(&before) - logits(&after)).abs().max().double_value(&[]);
            assert!(moved < 1e-12, "{norm:?}: logits move by {moved:e}");
            let found = gradient(&after);
            let seen = gradients(&before, &tokens(1).0, &tokens(1).1);
            for layer in 0..2 {
                let Seen { read_nh, gradient_nh } = &seen[2 * layer + 1];
                let (_, sigma, _) = read_nh.transpose(0, 1).matmul(gradient_nh).svd(true, true);
                let w2 = &before.parts().weights[&ParamId::in_layer(layer, ParamKind::W2)];
                let best = sigma.narrow(0, 0, 4).square().sum(Kind::Double).double_value(&[])
                    * (0.5 * mean_row(w2)).powi(2);
                let new = found[&ParamId::in_layer(layer, ParamKind::W1)].narrow(1, 12, 4);
                let square = new.square().sum(Kind::Double).double_value(&[]);
                assert!((square / best - 1.0).abs() < 1e-9, "{norm:?}: {square} of {best}");
            }
            // Value channels: larger than with drawn outgoing weights of the same length.
            let drawn = padded();
            let mut parts = drawn.parts();
            let wo = ParamId::in_layer(0, ParamKind::Wo);
            let (mut rng, theirs) = (stream(9, "drawn"), after.parts().weights[&wo].copy());
            for row in [3, 4, 8, 9] {
                let length = theirs.get(row).norm().double_value(&[]);
                let random = Tensor::from_slice(
                    &(0..10).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>(),
                );
                theirs.get(row).copy_(&(&random / random.norm() * length));
            }
            parts.weights.insert(wo, theirs);
            let drawn = TrainingState::from_parts(&grown.architecture, parts, 0);
            let size = |state: &TrainingState| {
                let wv = &gradient(state)[&ParamId::in_layer(0, ParamKind::Wv)];
                [3, 4, 8, 9]
                    .map(|column| wv.select(1, column).square().sum(Kind::Double).double_value(&[]))
                    .iter()
                    .sum::<f64>()
            };
            assert!(size(&after) > 1.2 * size(&drawn), "{} {}", size(&after), size(&drawn));
        }
    }
}
