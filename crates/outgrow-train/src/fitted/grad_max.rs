//! GradMax's outgoing weights, from the gradients of one batch.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, ParamId, ParamKind,
    growth::operator::{GradMax, Objective},
    model::{Activation, Axis},
};
use tch::{Kind, Tensor, no_grad};

use crate::{
    model::{Model, activated, cross_entropy},
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

/// Steps of the power iteration for Σ|g|.
const POWER_STEPS: usize = 50;

/// `n` outgoing rows of this length that make the gradient M r of the incoming weights as large as
/// it can be, each at right angles to those before it: n × outputs of M, inputs × outputs.
fn directions(m_io: &Tensor, n: i64, length: f64, objective: Objective) -> Tensor {
    let m_io = m_io.to_kind(Kind::Double);
    let (_, _, v) = m_io.svd(true, true);
    let singular_no = v.transpose(0, 1).narrow(0, 0, n);
    let rows_no = match objective {
        Objective::L2 => singular_no,
        Objective::L1 => {
            let mut rows: Vec<Tensor> = vec![];
            for number in 0..n {
                let mut row = singular_no.get(number);
                for _ in 0..POWER_STEPS {
                    let next = m_io.transpose(0, 1).mv(&m_io.mv(&row).sign());
                    // Where nothing is left to gain, what is there stays.
                    let Some(next) = at_right_angles(next, &rows) else { break };
                    row = next;
                }
                rows.push(at_right_angles(row.shallow_clone(), &rows).unwrap_or(row));
            }
            Tensor::stack(&rows, 0)
        }
    };
    rows_no * length
}

/// What of a row stands at right angles to others, of length 1; none if that is nothing but rounding.
fn at_right_angles(row: Tensor, others: &[Tensor]) -> Option<Tensor> {
    let length = |row: &Tensor| row.norm().double_value(&[]);
    let apart = |row: Tensor, other: &Tensor| &row - other * row.dot(other);
    let whole = length(&row);
    // Twice: what rounding left of the others goes, too.
    let rest = others.iter().chain(others).fold(row, apart);
    let left = length(&rest);
    (left > 1e-9 * whole).then(|| rest / left)
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
    /// What new units write. Those of a ReLU stand at b₁ = 1, where it has a slope; b₂ takes back
    /// the constant.
    fn units(&self, seen: &Seen, weights: &mut Weights) {
        let d_ff = |architecture: &Architecture| architecture.layers[self.number].d_ff as i64;
        let (from, to) = (d_ff(self.before.architecture()), d_ff(self.new));
        if to == from {
            return;
        }
        let form = self.new.form;
        let id = |kind| ParamId::in_layer(self.number, kind);
        let w2 = weights[&id(ParamKind::W2)].copy();
        let length = self.grad_max.scale * mean_row(&w2.narrow(0, 0, from));
        let objective = self.grad_max.objective;
        let m = |read_nh: &Tensor| read_nh.transpose(0, 1).matmul(&seen.gradient_nh);
        let rows = match form.gated {
            false => directions(&m(&seen.read_nh), to - from, length, objective),
            true => {
                let gates_nf = self.gates(seen, weights).narrow(1, from, to - from);
                let own = |unit: i64| {
                    let through_nh = &seen.read_nh * gates_nf.narrow(1, unit, 1);
                    directions(&m(&through_nh), 1, length, objective)
                };
                Tensor::cat(&(0..to - from).map(own).collect::<Vec<_>>(), 0)
            }
        };
        let rows = rows.to_kind(w2.kind());
        w2.narrow(0, from, to - from).copy_(&rows);
        if form.activation == Activation::Relu && !form.gated {
            let b1 = weights[&id(ParamKind::B1)].copy();
            let _ = b1.narrow(0, from, to - from).fill_(1.0);
            let b2 = &weights[&id(ParamKind::B2)]
                - rows.sum_dim_intlist(Some([0i64].as_slice()), false, rows.kind());
            weights.extend([(id(ParamKind::B1), b1), (id(ParamKind::B2), b2)]);
        }
        weights.insert(id(ParamKind::W2), w2);
    }

    /// How far the gates of the grown layer are open.
    fn gates(&self, seen: &Seen, weights: &Weights) -> Tensor {
        let id = |kind| ParamId::in_layer(self.number, kind);
        let inner = seen.read_nh.matmul(&weights[&id(ParamKind::Wg)]);
        let inner = match weights.get(&id(ParamKind::Bg)) {
            Some(bias) => inner + bias,
            None => inner,
        };
        activated(self.new.form.activation, &inner)
    }

    /// What new value channels write: one row for each query that reads them.
    fn values(&self, seen: &Seen, weights: &mut Weights) {
        let architecture = self.before.architecture();
        let (shape, goal) = (&architecture.layers[self.number], &self.new.layers[self.number]);
        let id = ParamId::in_layer(self.number, ParamKind::Wo);
        let wo = weights[&id].copy();
        let model = Model::new(architecture, self.before.weights(self.before.master()));
        let (t, h) = (self.inputs.size()[1], architecture.d_model as i64);
        let heads = shape.heads.iter().zip(&goal.heads).enumerate();
        for (head, (now, to)) in heads.filter(|(_, (now, to))| to.d_v > now.d_v) {
            let passed_nh = model.passed_on([self.number, head], &seen.read_nh, t);
            let (old, n) = (now.d_v as i64, (to.d_v - now.d_v) as i64);
            let queries = 0..now.n_queries as i64;
            let at = |query: i64| goal.offset(Axis::Mixed, head) as i64 + query * to.d_v as i64;
            let of_query = |query: i64| {
                passed_nh.narrow(1, query * h, h).transpose(0, 1).matmul(&seen.gradient_nh)
            };
            let m = Tensor::cat(&queries.clone().map(of_query).collect::<Vec<_>>(), 1);
            let there: Vec<Tensor> =
                queries.clone().map(|query| wo.narrow(0, at(query), old)).collect();
            let length = self.grad_max.scale * mean_row(&Tensor::cat(&there, 1));
            let rows = directions(&m, n, length, self.grad_max.objective).to_kind(wo.kind());
            for query in queries {
                wo.narrow(0, at(query) + old, n).copy_(&rows.narrow(1, query * h, h));
            }
        }
        weights.insert(id, wo);
    }
}

#[cfg(test)]
mod tests {
    use outgrow_core::{
        Form, HeadShape, LayerShape, Norm, Operator, Positions, Rotary, edit::Initializer,
        growth::TargetShape, stream::stream,
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

    /// The paper's form, LayerNorm, and those of today: with gates, rotary positions, norms of
    /// queries and keys, biases, and values that several queries read.
    fn forms() -> Vec<(Form, usize)> {
        let plain = Form::decoder(Norm::RmsNorm, 1e-5);
        let rotary = Rotary { theta: 100.0, width: 4, channels: None, scaling: None };
        let bare = Form { mlp_bias: false, activation: Activation::Silu, ..plain };
        let llama = Form { gated: true, positions: Positions::Rotary(rotary), ..bare };
        let all = Form {
            mlp_bias: true,
            qkv_bias: true,
            output_bias: true,
            qk_norm_eps: Some(1e-3),
            parallel: true,
            ..llama
        };
        vec![
            (plain, 1),
            (Form::decoder(Norm::LayerNorm, 1e-5), 1),
            (Form { activation: Activation::Gelu, ..plain }, 1),
            (bare, 1),
            (llama, 2),
            (all, 2),
        ]
    }

    fn model(form: Form, n_queries: usize, d_v: usize, d_ff: usize) -> Architecture {
        let heads = vec![HeadShape { n_queries, d_k: 4, d_v }; 2];
        Architecture::uniform(13, 8, 10, 2, LayerShape::own(heads, d_ff), form)
    }

    fn grown(operator: &GradMax, before: &TrainingState, to: &Architecture) -> TrainingState {
        let grown = Operator::GradMax(operator.clone())
            .grow(before.architecture(), &TargetShape::of(to), 1)
            .expect("possible");
        let initializer = &Initializer::Normal { scale: 1.0 };
        let options = GrowOptions { initializer, copies: false, seed: 1, event: 0 };
        let padded = no_grad(|| before.grown(&grown, &options));
        fit(operator, before, padded, &|_, _| Some(tokens(1))).expect("not stopped")
    }

    fn square(tensor: &Tensor) -> f64 {
        tensor.square().sum(Kind::Double).double_value(&[])
    }

    /// The function stays, and no outgoing weights of the same length give the new incoming ones a
    /// larger gradient: its square is c² times the sum of the first σ².
    #[test]
    fn what_is_new_gets_the_largest_gradient_there_is() {
        for (form, n_queries) in forms() {
            let before =
                TrainingState::fresh(&model(form, n_queries, 3, 12), 4, Kind::Double, Device::Cpu);
            let operator = GradMax { scale: 0.5, batch_size: 12, objective: Objective::L2 };
            let after = grown(&operator, &before, &model(form, n_queries, 5, 16));
            let logits = |state: &TrainingState| {
                Model::new(state.architecture(), state.weights(Kind::Double)).logits(&tokens(2).0)
            };
            let moved = (logits(&before) - logits(&after)).abs().max().double_value(&[]);
            assert!(moved < 1e-12, "{form:?}: logits move by {moved:e}");
            let found = gradient(&after);
            let seen = gradients(&before, &tokens(1).0, &tokens(1).1);
            let weights = before.parts().weights;
            let near = |found: f64, best: f64, what: &str| {
                assert!((found / best - 1.0).abs() < 1e-8, "{form:?}, {what}: {found} of {best}");
            };
            for layer in 0..2 {
                let at = |kind| ParamId::in_layer(layer, kind);
                let Seen { read_nh, gradient_nh } = &seen[2 * layer + 1];
                let first = |read_nh: &Tensor, n: i64| {
                    let (_, sigma, _) = read_nh.transpose(0, 1).matmul(gradient_nh).svd(true, true);
                    square(&sigma.narrow(0, 0, n))
                };
                let length = 0.5 * mean_row(&weights[&at(ParamKind::W2)]);
                // The slope at zero of all but ReLU, whose units stand where it is one.
                let slope = if form.activation == Activation::Relu { 1.0 } else { 0.5 };
                let best = match form.gated {
                    false => first(read_nh, 4) * slope * slope,
                    true => {
                        let grown = after.parts().weights;
                        let inner = read_nh.matmul(&grown[&at(ParamKind::Wg)]);
                        let gates = activated(form.activation, &inner);
                        (12..16).map(|j| first(&(read_nh * gates.narrow(1, j, 1)), 1)).sum()
                    }
                };
                let new = found[&at(ParamKind::W1)].narrow(1, 12, 4);
                near(square(&new), best * length * length, "units");
                let Seen { read_nh, gradient_nh } = &seen[2 * layer];
                let model = Model::new(before.architecture(), before.weights(Kind::Double));
                for head in 0..2 {
                    let passed = no_grad(|| model.passed_on([layer, head], read_nh, 8));
                    let m: Vec<Tensor> = (0..n_queries as i64)
                        .map(|q| passed.narrow(1, q * 10, 10).transpose(0, 1).matmul(gradient_nh))
                        .collect();
                    let (_, sigma, _) = Tensor::cat(&m, 1).svd(true, true);
                    let rows = weights[&at(ParamKind::Wo)].narrow(
                        0,
                        (head * 3 * n_queries) as i64,
                        3 * n_queries as i64,
                    );
                    let rows =
                        rows.view([n_queries as i64, 3, 10]).transpose(0, 1).reshape([3, -1]);
                    let length = 0.5 * mean_row(&rows);
                    let new = found[&at(ParamKind::Wv)].narrow(1, head as i64 * 5 + 3, 2);
                    let best = square(&sigma.narrow(0, 0, 2)) * length * length;
                    near(square(&new), best, "values");
                }
            }
        }
    }

    /// Adam's first step moves every entry as far: for it the sum of sizes counts.
    #[test]
    fn the_other_objective_makes_the_sum_larger() {
        let (form, n_queries) = forms()[0];
        let before =
            TrainingState::fresh(&model(form, n_queries, 3, 12), 4, Kind::Double, Device::Cpu);
        let sum = |objective| {
            let operator = GradMax { scale: 0.5, batch_size: 12, objective };
            let after = grown(&operator, &before, &model(form, n_queries, 3, 13));
            let new = &gradient(&after)[&ParamId::in_layer(1, ParamKind::W1)].narrow(1, 12, 1);
            [new.abs().sum(Kind::Double).double_value(&[]), square(new)]
        };
        let [[sum_2, square_2], [sum_1, square_1]] = [Objective::L2, Objective::L1].map(sum);
        assert!(sum_1 > 1.001 * sum_2, "{sum_1} {sum_2}");
        assert!(square_1 < square_2, "{square_1} {square_2}");
        // Each row is at right angles to those before it, and as long.
        let wave = Tensor::arange(60, (Kind::Double, tch::Device::Cpu)).sin().view([10, 6]);
        // Of rank 2, and of full rank.
        for m in [wave.shallow_clone(), wave.square() * &wave + wave.exp()] {
            let rows = directions(&m, 4, 2.0, Objective::L1);
            let products = rows.matmul(&rows.transpose(0, 1));
            let eye = Tensor::eye(4, (Kind::Double, tch::Device::Cpu));
            let off = (products - eye * 4.0).abs().max().double_value(&[]);
            assert!(off < 1e-9, "{off:e}");
        }
    }
}
