//! LESA's layers between layers, predicted by networks that learn on the layers that are there.

use outgrow_core::{ParamId, ParamKind, growth::operator::Lesa, stream::stream};
use rand::{Rng, RngExt, seq::SliceRandom};
use tch::{
    Kind, Tensor,
    nn::{self, OptimizerConfig},
    no_grad,
};

use crate::{state::TrainingState, tensor::from_f64};

/// Rows of a step.
const BATCH: usize = 64;

/// Weight of the difference of the norms in the loss.
const OF_NORM: f64 = 5e-4;

/// Puts what the networks predict into the layers that came between others.
pub fn fit(lesa: &Lesa, before: &TrainingState, grown: TrainingState, seed: u64) -> TrainingState {
    let (old, new) = (before.architecture(), grown.architecture().clone());
    let (n, n_new) = (old.layers.len(), new.layers.len());
    let gaps = Lesa::gaps(n, n_new);
    let source = before.parts().weights;
    let mut parts = grown.parts();
    for kind in ParamKind::of_layer(old.form) {
        let layers: Vec<&Tensor> =
            (0..n).map(|layer| &source[&ParamId::in_layer(layer, kind)]).collect();
        let between: Vec<Tensor> = match kind.axes().len() {
            2 => predicted(lesa, &layers, gaps.clone(), (seed, kind)),
            _ => gaps.clone().map(|l| (layers[l] + layers[l + 1]) / 2.0).collect(),
        };
        for (number, weight) in between.into_iter().enumerate() {
            // Behind its lower neighbour and all new layers before it.
            let id = ParamId::in_layer(gaps.start + 2 * number + 1, kind);
            parts.weights.insert(id, weight);
        }
    }
    TrainingState::from_parts(&new, parts, grown.step)
}

/// The matrices of one kind between each layer of `gaps` and the next.
fn predicted(
    lesa: &Lesa,
    layers_io: &[&Tensor],
    gaps: std::ops::Range<usize>,
    (seed, kind): (u64, ParamKind),
) -> Vec<Tensor> {
    let master = layers_io[0].kind();
    let transposed: Vec<Tensor> =
        layers_io.iter().map(|w| w.transpose(0, 1).to_kind(Kind::Double)).collect();
    let (u_or, s_r, v) = Tensor::cat(&transposed, 1).svd(true, true);
    let inputs = layers_io[0].size()[0];
    // V_l, one row for each singular value, times a layer's inputs.
    let v_ri: Vec<Tensor> = (0..layers_io.len() as i64)
        .map(|l| v.narrow(0, l * inputs, inputs).transpose(0, 1).contiguous())
        .collect();
    let around = |l: usize, r: usize| Tensor::cat(&[&v_ri[l], &v_ri[r]], 1);
    let middle = 1..layers_io.len() - 1;
    let given = Tensor::cat(&middle.clone().map(|l| around(l - 1, l + 1)).collect::<Vec<_>>(), 0);
    let wanted = Tensor::cat(&middle.map(|l| v_ri[l].shallow_clone()).collect::<Vec<_>>(), 0);
    let network = Network::learned(lesa, &given, &wanted, seed, &format!("lesa/{kind:?}"));
    let made = |l: usize| {
        let row_ri = no_grad(|| network.of(&around(l, l + 1)));
        (&u_or * &s_r).matmul(&row_ri).transpose(0, 1).contiguous().to_kind(master)
    };
    gaps.map(made).collect()
}

/// ReLU network with two hidden layers.
struct Network {
    layers: [(Tensor, Tensor); 3],
}

impl Network {
    /// Learned to predict rows from what is given.
    fn learned(lesa: &Lesa, given: &Tensor, wanted: &Tensor, seed: u64, name: &str) -> Self {
        let store = nn::VarStore::new(given.device());
        let mut rng = stream(seed, name);
        let (inputs, outputs) = (given.size()[1] as usize, wanted.size()[1] as usize);
        let network = Self::new(inputs, outputs, &store.root(), &mut rng);
        let mut optimizer =
            nn::AdamW::default().build(&store, lesa.learning_rate).expect("a store with variables");
        let mut order: Vec<i64> = (0..given.size()[0]).collect();
        for _ in 0..lesa.epochs {
            order.shuffle(&mut rng);
            for rows in order.chunks(BATCH) {
                let rows = Tensor::from_slice(rows).to_device(given.device());
                let [given, wanted] = [given, wanted].map(|all| all.index_select(0, &rows));
                optimizer.backward_step(&loss(&network.of(&given), &wanted));
            }
        }
        network
    }

    fn new(inputs: usize, outputs: usize, path: &nn::Path, rng: &mut impl Rng) -> Self {
        let widths = [inputs, Lesa::HIDDEN, Lesa::HIDDEN, outputs];
        let layers = [0, 1, 2].map(|number| {
            let shape = [widths[number], widths[number + 1]];
            // As PyTorch draws them.
            let most = 1.0 / (shape[0] as f64).sqrt();
            let mut drawn = |shape: &[usize], name: &str| {
                let values: Vec<f64> = (0..shape.iter().product::<usize>())
                    .map(|_| rng.random_range(-most..most))
                    .collect();
                let values = from_f64(shape, &values, Kind::Double, path.device());
                path.add(&format!("{name}{number}"), values, true)
            };
            (drawn(&shape, "w"), drawn(&shape[1..], "b"))
        });
        Self { layers }
    }

    fn of(&self, x: &Tensor) -> Tensor {
        let [first, second, last] = &self.layers;
        let through = |x: &Tensor, (w, b): &(Tensor, Tensor)| x.matmul(w) + b;
        through(&through(&through(x, first).relu(), second).relu(), last)
    }
}

fn loss(found: &Tensor, wanted: &Tensor) -> Tensor {
    let norms = |rows: &Tensor| {
        rows.square().sum_dim_intlist(Some([1i64].as_slice()), false, Kind::Double).sqrt()
    };
    let apart = (norms(found) - norms(wanted)).square().mean(Kind::Double);
    (found - wanted).square().mean(Kind::Double) * (1.0 - OF_NORM) + apart * OF_NORM
}

#[cfg(test)]
mod tests {
    use outgrow_core::{
        Architecture, Form, Growth, LayerShape, Norm,
        edit::Initializer,
        growth::{Application, Operator, TargetShape, grow_all},
    };

    use super::*;
    use crate::{device::Device, state::GrowOptions};

    /// Layers that change evenly from the first to the last: what comes between is near the middle.
    #[test]
    fn what_changes_evenly_is_gone_on_with() {
        crate::device::initialise(1);
        let form = Form { branch_gains: true, ..Form::decoder(Norm::RmsNorm, 1e-5) };
        let model = |n| Architecture::uniform(7, 4, 8, n, LayerShape::uniform(2, 4, 4, 16), form);
        let (old, new) = (model(6), model(8));
        let mut weights = TrainingState::fresh(&old, 1, Kind::Double, Device::Cpu).parts().weights;
        let at = |layer: f64, id: ParamId, like: &Tensor| {
            let n = Tensor::arange(like.numel() as i64, (Kind::Double, tch::Device::Cpu));
            let ends = [1.3, 0.7].map(|by| (&n * by + id.kind as i64 as f64).sin());
            (&ends[0] * (1.0 - layer / 5.0) + &ends[1] * (layer / 5.0)).view(&like.size()[..])
        };
        for (id, weight) in &mut weights {
            if let Some(layer) = id.layer {
                *weight = at(layer as f64, *id, weight);
            }
        }
        let before = TrainingState::from_weights(&old, weights);
        let lesa = Lesa { epochs: 400, learning_rate: 1e-3 };
        let operator = Operator::Lesa(lesa.clone());
        let growth = Growth::from(Application { operator, to: TargetShape::of(&new) });
        let plan = grow_all(&old, &[growth], 0).expect("possible");
        let initializer = &Initializer::Normal { scale: 1.0 };
        let options = GrowOptions { initializer, copies: false, seed: 1, event: 0 };
        let fitted = || fit(&lesa, &before, no_grad(|| before.grown(&plan, &options)), 3);
        let (after, again) = (fitted().parts().weights, fitted().parts().weights);
        for (id, weight) in &after {
            assert!(weight.equal(&again[id]), "{id}");
        }
        // Old layers 0 to 5 stand at 0, 1, 2, 3, 5, 7.
        for (place, was) in [(3, 3.0_f64), (4, 3.5), (5, 4.0), (6, 4.5), (7, 5.0)] {
            for kind in [ParamKind::Wq, ParamKind::W1, ParamKind::W2, ParamKind::MlpNorm] {
                let id = ParamId::in_layer(place, kind);
                let off = |to: f64| {
                    let wanted = at(to, id, &after[&id]);
                    (&after[&id] - &wanted).norm().double_value(&[])
                };
                match was.fract() {
                    0.0 => assert!(off(was) < 1e-12, "{id}"),
                    _ => {
                        let copied = (at(was - 0.5, id, &after[&id]) - at(was, id, &after[&id]))
                            .norm()
                            .double_value(&[]);
                        assert!(off(was) < 0.7 * copied, "{id}: {} of {copied}", off(was));
                    }
                }
            }
        }
    }
}
