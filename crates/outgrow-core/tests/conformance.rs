//! One suite for all transforms: they preserve the function, alone and composed, and every zero and scale is necessary.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Norm, ParamId, Transform,
    compose::{random_architecture, random_composition, random_tokens, random_transform},
    edit::{Edit, Fill, Role, apply},
    init::{Initializer, fresh},
    param::parameters,
    reference::{Array, Params, logits},
    stream::{Stream, stream},
    transform::{TABLE, TransformKind, grow_all},
};

/// Random weights of O(1), so that nothing hides behind a small factor; norm gains and biases are random, too.
fn random_params(architecture: &Architecture, rng: &mut Stream) -> Params {
    use rand::RngExt;
    let mut params = fresh(architecture, rng.random(), &Array::empty());
    for array in params.values_mut() {
        array.values.iter_mut().for_each(|v| *v = rng.random_range(-1.0..1.0));
    }
    params
}

fn grow(params: &Params, edits: &[Edit], initializer: &Initializer) -> Params {
    let mut grown = params.clone();
    apply(&mut grown, edits, Role::Weights { initializer, seed: 3, event: 1 });
    grown
}

/// Largest change of a logit relative to the larger of 1 and the largest logit.
fn change(before: &Array, after: &Array) -> f64 {
    let scale = before.values.iter().fold(1.0f64, |max, v| max.max(v.abs()));
    before.values.iter().zip(&after.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

const NORMAL: Initializer = Initializer::Normal { scale: 1.0 };

#[test]
fn random_compositions_preserve_the_function() {
    let mut worst = 0.0f64;
    for number in 0..1500 {
        let mut rng = stream(number, "conformance");
        let architecture = random_architecture(&mut rng);
        let params = random_params(&architecture, &mut rng);
        let tokens = random_tokens(&architecture, &mut rng);
        let transforms = random_composition(&architecture, 12, &mut rng);
        let grown = grow_all(&architecture, &transforms).expect("a valid composition");
        let initializer = if number % 2 == 0 { NORMAL } else { Initializer::Copy };
        let after = grow(&params, &grown.edits, &initializer);
        for id in parameters(&grown.architecture) {
            assert_eq!(after[&id].shape, id.shape(&grown.architecture), "{id}");
        }
        let error = change(&logits(&architecture, &params, &tokens), &logits(&grown.architecture, &after, &tokens));
        assert!(error <= 1e-11, "composition {number} moves logits by {error:e}: {transforms:?}");
        worst = worst.max(error);
    }
    println!("largest change over 1500 compositions: {worst:e}");
}

/// Applies `kind` to random models, with `break_it` done to the edits, and gives the median change of logits.
fn change_when_broken(kind: TransformKind, break_it: impl Fn(&mut Edit)) -> f64 {
    let mut changes: Vec<f64> = (0..40)
        .map(|number| {
            let mut rng = stream(number, "teeth");
            let mut architecture = random_architecture(&mut rng);
            architecture.form.final_norm = true;
            architecture.seq_len = architecture.seq_len.max(4);
            architecture.d_model = architecture.d_model.max(3);
            let params = random_params(&architecture, &mut rng);
            let tokens = random_tokens(&architecture, &mut rng);
            let transform = random_transform(&architecture, kind, &mut rng);
            let mut grown = transform.grow(&architecture).expect("valid");
            grown.edits.iter_mut().for_each(&break_it);
            // A large scale: what must be zero is drawn as boldly as the weights of these models.
            let after = grow(&params, &grown.edits, &Initializer::Normal { scale: 3.0 });
            change(&logits(&architecture, &params, &tokens), &logits(&grown.architecture, &after, &tokens))
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    changes[changes.len() / 2]
}

#[test]
fn every_required_zero_has_teeth() {
    for row in &TABLE {
        for &zero in row.zero {
            let free = |edit: &mut Edit| match edit {
                Edit::Pad { param, fill, .. } if param.kind == zero => *fill = Fill::Free,
                Edit::InsertLayer { params, .. } => {
                    params.iter_mut().filter(|p| p.0 == zero).for_each(|p| p.2 = Fill::Free);
                }
                _ => {}
            };
            // A free bias is 0 by our initializer, so its zero is broken by a value of its own below.
            if !zero.is_bias() {
                let moved = change_when_broken(row.transform, free);
                assert!(moved > 1e-3, "{:?}: {zero:?} need not be zero? logits move by {moved:e}", row.transform);
            }
        }
    }
}

#[test]
fn a_new_output_bias_must_be_zero() {
    use outgrow_core::ParamKind::{AttentionNormBias, B2, MlpNormBias};
    let hidden = [B2, AttentionNormBias, MlpNormBias].map(|bias| (TransformKind::HiddenExpansion, bias));
    for (kind, bias) in hidden.into_iter().chain([(TransformKind::LayerAddition, B2)]) {
        let mut rng = stream(5, "bias");
        let mut architecture = random_architecture(&mut rng);
        architecture.form.final_norm = false;
        architecture.form.norm = Norm::LayerNorm;
        architecture.seq_len = 4;
        let params = random_params(&architecture, &mut rng);
        let tokens = random_tokens(&architecture, &mut rng);
        let grown = random_transform(&architecture, kind, &mut rng).grow(&architecture).expect("valid");
        let mut after = grow(&params, &grown.edits, &NORMAL);
        let born = born(&params, &grown.edits);
        for (id, array) in after.iter_mut().filter(|(id, _)| id.kind == bias) {
            for (value, born) in array.values.iter_mut().zip(&born[id].values) {
                *value += born;
            }
        }
        let moved = change(&logits(&architecture, &params, &tokens), &logits(&grown.architecture, &after, &tokens));
        assert!(moved > 1e-3, "{kind:?}, {bias:?}: logits move by {moved:e}");
    }
}

/// 1 where an entry is new, 0 where it is old.
fn born(params: &Params, edits: &[Edit]) -> Params {
    let mut born = params.clone();
    born.values_mut().for_each(|array| array.values.fill(0.0));
    apply(&mut born, edits, Role::Born { step: 1, copies: false });
    born
}

#[test]
fn every_scale_has_teeth() {
    for row in &TABLE {
        for &scaled in row.scaled {
            let unscale = |edit: &mut Edit| match edit {
                Edit::Scale { param, by, .. } if param.kind == scaled => *by = 1.0,
                _ => {}
            };
            let moved = change_when_broken(row.transform, unscale);
            assert!(moved > 1e-3, "{:?}: {scaled:?} need not be scaled? logits move by {moved:e}", row.transform);
        }
    }
}

#[test]
fn moments_and_births_follow_the_weights() {
    for number in 0..200 {
        let mut rng = stream(number, "roles");
        let architecture = random_architecture(&mut rng);
        let ones: Params = random_params(&architecture, &mut rng)
            .into_iter()
            .map(|(id, a)| (id, Array::new(a.shape.clone(), vec![1.0; a.values.len()])))
            .collect();
        let transforms = random_composition(&architecture, 6, &mut rng);
        let edits = grow_all(&architecture, &transforms).expect("valid").edits;
        let mut by_role = BTreeMap::new();
        for (name, role) in [("m", Role::FirstMoment { copies: false }), ("v", Role::SecondMoment { copies: false })] {
            let mut values = ones.clone();
            apply(&mut values, &edits, role);
            by_role.insert(name, values);
        }
        let weights = grow(&ones, &edits, &NORMAL);
        for (id, born) in born(&ones, &edits) {
            for (i, born) in born.values.iter().enumerate() {
                let (w, m, v) = (weights[&id].values[i], by_role["m"][&id].values[i], by_role["v"][&id].values[i]);
                match *born {
                    1.0 => assert_eq!((m, v), (0.0, 0.0), "{id}: new entries have no moments"),
                    _ => assert!(
                        (m * w - 1.0).abs() < 1e-12 && (v * w * w - 1.0).abs() < 1e-12,
                        "{id}: s·m/s and s²·v/s²"
                    ),
                }
            }
        }
    }
}

#[test]
fn parameter_names_read_back() {
    let architecture = random_architecture(&mut stream(1, "names"));
    for id in parameters(&architecture) {
        assert_eq!(id.to_string().parse::<ParamId>(), Ok(id));
    }
    for wrong in ["", "layers", "layers.0", "layers.x.w_q", "layers.0.embedding", "w_q", "layers.0.w_q.x"] {
        assert!(wrong.parse::<ParamId>().is_err(), "{wrong}");
    }
}

#[test]
fn transforms_read_back_from_json() {
    for number in 0..200 {
        let mut rng = stream(number, "json");
        let architecture = random_architecture(&mut rng);
        let transforms = random_composition(&architecture, 6, &mut rng);
        let text = serde_json::to_string(&transforms).expect("JSON");
        assert_eq!(serde_json::from_str::<Vec<Transform>>(&text).expect("reads back"), transforms, "{text}");
    }
    let unknown = r#"{"transform": "mlp_expansion", "d_ff": 8, "layers": 1}"#;
    let error = serde_json::from_str::<Transform>(unknown).expect_err("an unknown field").to_string();
    assert!(error.contains("layers"), "{error}");
}
