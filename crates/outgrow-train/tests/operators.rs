//! Operators and the growth doctor on libtorch: moments follow the gradients, what can't learn is
//! found, what stays equal is told.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Form, Growth, LayerShape, Norm, ParamId, ParamKind,
    edit::{Initializer, Role, apply, fresh},
    growth::{
        Application, Grown, Operator, TargetShape,
        operator::{
            Bert2Bert, HyperCloning, IdentityBlocks, Knowledge, Lemon, Net2Net, Sparkling, Stack,
            Staged, StagedDepth,
        },
        transform::MlpExpansion,
    },
    reference::{self, Array, Params},
    stream::stream,
};
use outgrow_train::{
    Checkpoint, Device, GrowRequest, GrownCheckpoint, Model, TrainingState, cross_entropy, doctor,
};
use rand::RngExt;
use tch::{Kind, Tensor};

/// (d_model, n_layers, n_heads, d_ff); heads of d_k 3 and d_v 2.
type Sizes = (usize, usize, usize, usize);

fn model((d_model, n_layers, n_heads, d_ff): Sizes, norm: Norm, final_norm: bool) -> Architecture {
    let form = Form { final_norm, ..Form::decoder(norm, 1e-2) };
    Architecture::uniform(7, 5, d_model, n_layers, LayerShape::uniform(n_heads, 3, 2, d_ff), form)
}

fn random_params(architecture: &Architecture, seed: u64) -> Params {
    let mut rng = stream(seed, "weights");
    let mut params = fresh(architecture, seed, &Array::empty());
    params
        .values_mut()
        .for_each(|array| array.values.iter_mut().for_each(|v| *v = rng.random_range(-1.0..1.0)));
    params
}

fn tensors(params: &Params) -> BTreeMap<ParamId, Tensor> {
    let one = |array: &Array| {
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        Tensor::from_slice(&array.values).view(&shape[..])
    };
    params.iter().map(|(id, array)| (*id, one(array))).collect()
}

fn ids(rows: &[i64]) -> Tensor {
    Tensor::from_slice(rows).view([-1, 5])
}

const TOKENS: [i64; 10] = [1, 4, 0, 6, 2, 3, 3, 5, 1, 0];
const TARGETS: [i64; 10] = [4, 0, 6, 2, 5, 3, 5, 1, 0, 6];

fn gradients(architecture: &Architecture, params: &Params) -> Params {
    let leaves: BTreeMap<_, _> =
        tensors(params).into_iter().map(|(id, t)| (id, t.set_requires_grad(true))).collect();
    let inputs: Vec<Tensor> = leaves.values().map(Tensor::shallow_clone).collect();
    let keys: Vec<ParamId> = leaves.keys().copied().collect();
    let loss =
        cross_entropy(&Model::new(architecture, leaves).logits(&ids(&TOKENS)), &ids(&TARGETS));
    let found = Tensor::run_backward(&[&loss], &inputs, false, false);
    let values = |tensor: &Tensor| {
        Vec::<f64>::try_from(&tensor.contiguous().flatten(0, -1)).expect("values")
    };
    keys.into_iter()
        .zip(found)
        .map(|(id, g)| (id, Array::new(params[&id].shape.clone(), values(&g))))
        .collect()
}

fn applied(params: &Params, grown: &Grown, role: Role) -> Params {
    let mut after = params.clone();
    apply(&mut after, &grown.edits, role);
    after
}

/// Where an operator preserves the function, autograd says what the moments of survivors and copies
/// must become: what the edits make of the old gradients.
#[test]
fn copied_moments_are_those_of_the_copies_gradients() {
    let small = (6, 2, 2, 5);
    let ways: Vec<(Operator, Sizes)> = vec![
        (Operator::Net2Net(Net2Net { noise: 0.0 }), (6, 2, 5, 12)),
        (Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::Own }), (6, 2, 3, 8)),
        (Operator::HyperCloning(HyperCloning { noise_db: None }), (18, 2, 4, 15)),
        (Operator::Lemon(Lemon {}), (12, 2, 5, 12)),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), (12, 2, 4, 10)),
        (Operator::IdentityBlocks(IdentityBlocks {}), (6, 4, 2, 5)),
    ];
    for (operator, to) in ways {
        for (norm, final_norm) in
            [(Norm::RmsNorm, true), (Norm::RmsNorm, false), (Norm::LayerNorm, true)]
        {
            let before = model(small, norm, final_norm);
            let grown = operator
                .grow(&before, &TargetShape::of(&model(to, norm, final_norm)), 4)
                .expect("possible");
            let params = random_params(&before, 2);
            let weights = Role::Weights {
                initializer: &Initializer::Normal { scale: 1.0 },
                seed: 3,
                event: 1,
            };
            let new = gradients(&grown.architecture, &applied(&params, &grown, weights));
            // Layers that write nothing have copies of moments, but no gradient like their
            // source's.
            let copies = !matches!(operator, Operator::IdentityBlocks(_));
            let carried =
                applied(&gradients(&before, &params), &grown, Role::FirstMoment { copies });
            let mut zeros = params.clone();
            zeros.values_mut().for_each(|array| array.values.fill(0.0));
            let born = applied(&zeros, &grown, Role::Born { step: 1, copies });
            for (id, gradient) in &new {
                for (i, g) in
                    gradient.values.iter().enumerate().filter(|(i, _)| born[id].values[*i] == 0.0)
                {
                    let want = carried[id].values[i];
                    assert!(
                        (g - want).abs() < 1e-10,
                        "{operator:?}, {norm:?}: entry {i} of {id} has {g}, not {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn libtorch_agrees_with_the_reference_on_every_grown_model() {
    for norm in [Norm::RmsNorm, Norm::LayerNorm] {
        let before = model((6, 2, 2, 5), norm, true);
        let to = TargetShape::of(&model((9, 5, 3, 8), norm, true));
        let grown = Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::NextLayer })
            .grow(&before, &to, 1)
            .expect("possible");
        let weights = Role::Weights { initializer: &Initializer::Copy, seed: 3, event: 1 };
        let after = applied(&random_params(&before, 7), &grown, weights);
        let tokens: Vec<usize> = TOKENS[..5].iter().map(|&t| t as usize).collect();
        let expected = reference::logits(&grown.architecture, &after, &tokens);
        let found = Model::new(&grown.architecture, tensors(&after)).logits(&ids(&TOKENS[..5]));
        let found = Vec::<f64>::try_from(&found.contiguous().flatten(0, -1)).expect("values");
        let worst =
            found.iter().zip(&expected.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-11, "{norm:?}: {worst:e}");
    }
}

/// A trained-looking model with wide enough layers that no ReLU decides alone, in a checkpoint.
fn checkpoint(folder: &std::path::Path) -> (std::path::PathBuf, Architecture) {
    outgrow_train::device::initialise(1);
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    let architecture = Architecture::uniform(17, 12, 16, 2, LayerShape::uniform(2, 6, 6, 24), form);
    let state = TrainingState::fresh(&architecture, 3, Kind::Float, Device::Cpu);
    let path = folder.join("model");
    Checkpoint { state, progress: None }.write(&path).expect("written");
    (path, architecture)
}

fn grown(growth: impl Into<Growth>) -> GrownCheckpoint {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, _) = checkpoint(folder.path());
    let initializer = Initializer::Normal { scale: 1.0 };
    let request = GrowRequest {
        growths: &[growth.into()],
        initializer: &initializer,
        seed: 1,
        device: Device::Cpu,
        dtype: None,
    };
    GrownCheckpoint::read(&path, &request).expect("grows")
}

fn operated(operator: Operator, (d_model, n_layers, n_heads, d_ff): Sizes) -> GrownCheckpoint {
    grown(Application {
        operator,
        to: TargetShape {
            d_model,
            layers: vec![LayerShape::uniform(n_heads, 6, 6, d_ff); n_layers],
        },
    })
}

#[test]
fn the_doctor_sees_what_stays_equal() {
    let wide = (32, 2, 4, 48);
    let cases = [
        (Operator::HyperCloning(HyperCloning { noise_db: None }), Some(true)),
        (Operator::HyperCloning(HyperCloning { noise_db: Some(10.0) }), Some(false)),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), None),
        (Operator::Lemon(Lemon {}), Some(false)),
        (Operator::Sparkling(Sparkling {}), Some(true)),
    ];
    for (operator, locked) in cases {
        let found =
            doctor::consult(&operated(operator.clone(), wide), None, 1).expect("random tokens");
        assert!(!found.is_dead() && found.reached[2] > 0.5, "{operator:?}: {found:?}");
        match locked {
            // The halves of staged training are equal as wholes, no unit reads what another reads.
            None => assert_eq!(found.symmetry, None, "{operator:?}"),
            Some(locked) => {
                assert_eq!(found.is_locked(), locked, "{operator:?}: {:?}", found.symmetry)
            }
        }
    }
    let stacked = operated(
        Operator::Stack(Stack { order: outgrow_core::growth::operator::Order::Block }),
        (16, 4, 2, 24),
    );
    let found = doctor::consult(&stacked, None, 1).expect("random tokens");
    assert_eq!((found.symmetry, found.rms_before.len(), found.rms_after.len()), (None, 2, 4));
    assert!(
        !stacked.preserving && !stacked.preservation.holds(),
        "stacking moves the function, as published"
    );
}

#[test]
fn the_doctor_finds_what_can_never_learn() {
    let alive = grown(MlpExpansion { layer: None, d_ff: 40 });
    let found = doctor::consult(&alive, None, 1).expect("random tokens");
    // Half of the new entries (what writes) are reached at once, the rest when the other half has
    // moved.
    assert!(
        found.reached[0] > 0.2 && found.reached[0] < 0.7 && found.reached[2] > 0.8,
        "{found:?}"
    );
    assert!(found.first_update.is_some_and(|size| (size - 1.0).abs() < 0.05), "{found:?}");
    assert!(found.dead.is_empty() && !found.is_dead());
    // Both sides of the new units zero.
    let mut parts = alive.after.parts();
    for layer in 0..2 {
        for (kind, dim) in [(ParamKind::W1, 1), (ParamKind::B1, 0)] {
            let _ = parts.weights[&ParamId::in_layer(layer, kind)].narrow(dim, 24, 16).zero_();
        }
    }
    let architecture = alive.after.architecture().clone();
    parts.weights.values_mut().for_each(|weight| *weight = weight.copy());
    let after = TrainingState::from_parts(&architecture, parts, 0);
    let dead = GrownCheckpoint { after, ..alive };
    let found = doctor::consult(&dead, None, 1).expect("random tokens");
    assert!(found.is_dead() && found.reached == [0.0; 3], "{found:?}");
    assert!(
        found.dead.contains(&"layers.0.w_1".to_owned())
            && found.dead.contains(&"layers.1.w_2".to_owned()),
        "{found:?}"
    );
}
