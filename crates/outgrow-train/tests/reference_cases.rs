//! The libtorch model against the reference cases and against the f64 reference model: logits and
//! gradients.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Form, ParamId,
    edit::{Initializer, Role, apply, fresh},
    growth::{
        compose::{random_architecture, random_tokens},
        grow_all,
    },
    reference::{self, Array, Params},
    stream::stream,
};
use outgrow_testkit::{Case, cases};
use outgrow_train::{Model, cross_entropy};
use tch::{Kind, Tensor};

fn tensors(params: &Params, kind: Kind) -> BTreeMap<ParamId, Tensor> {
    let one = |array: &Array| {
        let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        Tensor::from_slice(&array.values).to_kind(kind).view(&shape[..])
    };
    params.iter().map(|(id, array)| (*id, one(array))).collect()
}

fn ids(rows: &[Vec<usize>]) -> Tensor {
    let flat: Vec<i64> = rows.iter().flatten().map(|&t| t as i64).collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, -1])
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.to_kind(Kind::Double).contiguous().flatten(0, -1)).expect("values")
}

fn worst(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn libtorch_gives_their_logits() {
    for case in cases() {
        for (kind, tolerance) in [(Kind::Double, 1e-10), (Kind::Float, 1e-5)] {
            let weights = || tensors(&case.params(), kind);
            for (name, form) in case.variants() {
                let architecture = Architecture { form, ..case.architecture.clone() };
                let found =
                    values(&Model::new(&architecture, weights()).logits(&ids(&case.tokens())));
                let expected = &case.logits(&name).values;
                let scale = expected.iter().fold(1.0f64, |max, v| max.max(v.abs()));
                let error = worst(&found, expected) / scale;
                assert!(
                    error <= tolerance,
                    "{} {name} in {kind:?}: logits differ by {error:e}",
                    case.name
                );
            }
        }
    }
}

fn gradients(
    case: &Case,
    architecture: &Architecture,
    params: &Params,
) -> (f64, BTreeMap<ParamId, Vec<f64>>) {
    let leaves: BTreeMap<_, _> = tensors(params, Kind::Double)
        .into_iter()
        .map(|(id, t)| (id, t.set_requires_grad(true)))
        .collect();
    let inputs: Vec<Tensor> = leaves.values().map(Tensor::shallow_clone).collect();
    let keys: Vec<ParamId> = leaves.keys().copied().collect();
    let loss = cross_entropy(
        &Model::new(architecture, leaves).logits(&ids(&case.tokens())),
        &ids(&case.targets()),
    );
    let found = Tensor::run_backward(&[&loss], &inputs, false, false);
    (loss.double_value(&[]), keys.into_iter().zip(found.iter().map(values)).collect())
}

fn causal(architecture: &Architecture) -> Architecture {
    Architecture { form: Form { causal: true, ..Form::paper() }, ..architecture.clone() }
}

#[test]
fn libtorch_gives_their_gradients() {
    let mut checked = 0;
    for case in cases() {
        let Some(expected) = case.gradients() else { continue };
        let (loss, found) = gradients(&case, &causal(&case.architecture), &case.params());
        assert!((loss - case.loss().expect("a loss")).abs() < 1e-12, "{}: loss {loss}", case.name);
        for (id, gradient) in found {
            let error = worst(&gradient, &expected[&id].values);
            assert!(error < 1e-12, "{}: the gradient of {id} differs by {error:e}", case.name);
        }
        checked += 1;
    }
    assert!(checked > 0, "no case has gradients");
}

/// After a growth, the gradient of every surviving entry is the old one divided by the entry's
/// scale.
#[test]
fn surviving_gradients_agree_up_to_their_scale() {
    let all = cases();
    for case in &all {
        let base = case.base(&all);
        let Some(transforms) = case.transforms().filter(|t| !t.is_empty()) else { continue };
        let edits = grow_all(&base.architecture, &transforms, 0).expect("valid").edits;
        let initializer = Initializer::Normal { scale: 1.0 };
        let mut weights = base.params();
        apply(&mut weights, &edits, Role::Weights { initializer: &initializer, seed: 1, event: 0 });
        let (_, old) = gradients(base, &causal(&base.architecture), &base.params());
        // A first moment grows by 1/s, new entries 0: exactly what the old gradients must become.
        let mut carried: Params = base
            .params()
            .into_iter()
            .map(|(id, a)| (id, Array::new(a.shape, old[&id].clone())))
            .collect();
        apply(&mut carried, &edits, Role::FirstMoment { copies: false });
        let mut born: Params = base
            .params()
            .into_iter()
            .map(|(id, a)| (id, Array::new(a.shape, vec![0.0; a.values.len()])))
            .collect();
        apply(&mut born, &edits, Role::Born { step: 1, copies: false });
        let (_, new) = gradients(case, &causal(&case.architecture), &weights);
        for (id, gradient) in new {
            for (i, g) in gradient.iter().enumerate().filter(|(i, _)| born[&id].values[*i] == 0.0) {
                let want = carried[&id].values[i];
                assert!(
                    (g - want).abs() < 1e-11,
                    "{}: entry {i} of {id} has gradient {g}, not {want}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn libtorch_agrees_with_the_reference_model() {
    for number in 0..200 {
        let mut rng = stream(number, "libtorch");
        let architecture = random_architecture(&mut rng);
        let params = fresh(&architecture, number, &Array::empty());
        let tokens = random_tokens(&architecture, &mut rng);
        let expected = reference::logits(&architecture, &params, &tokens);
        let found = values(
            &Model::new(&architecture, tensors(&params, Kind::Double)).logits(&ids(&[tokens])),
        );
        let error = worst(&found, &expected.values);
        // Two libraries' float32 sines differ in their last digit.
        let tolerance = if architecture.form.rotary().is_some() { 1e-5 } else { 1e-10 };
        assert!(error < tolerance, "model {number}: logits differ by {error:e}");
    }
}
