//! One suite for all transforms: they preserve the function, alone and composed, and every zero and
//! scale is necessary.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, Form, LayerShape, Norm, ParamId, ParamKind, Positions, Rotary, Transform,
    edit::{Edit, Fill, Initializer, Role, apply, fresh},
    growth::{
        Grown, TABLE, TransformError, TransformKind,
        compose::{
            random_architecture, random_architecture_of, random_composition, random_form,
            random_tokens, random_transform,
        },
        grow_all,
        transform::AttentionExpansion,
    },
    model::parameters,
    reference::{Array, Params, logits},
    stream::{Stream, stream},
};

/// Random weights of O(1), so that nothing hides behind a small factor; norm gains and biases are
/// random, too.
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
        let grown = grow_all(&architecture, &transforms, 0).expect("a valid composition");
        let initializer = if number % 2 == 0 { NORMAL } else { Initializer::Copy };
        let after = grow(&params, &grown.edits, &initializer);
        for id in parameters(&grown.architecture) {
            assert_eq!(after[&id].shape, id.shape(&grown.architecture), "{id}");
        }
        let error = change(
            &logits(&architecture, &params, &tokens),
            &logits(&grown.architecture, &after, &tokens),
        );
        assert!(error <= 1e-11, "composition {number} moves logits by {error:e}: {transforms:?}");
        worst = worst.max(error);
    }
    println!("largest change over 1500 compositions: {worst:e}");
}

/// A random model of a form that `fits`, with a transform of `kind` that it does not refuse.
fn random_case(
    kind: TransformKind,
    fits: &dyn Fn(&Form) -> bool,
    rng: &mut Stream,
) -> (Architecture, Transform, Grown) {
    loop {
        let form = random_form(rng);
        if !fits(&form) {
            continue;
        }
        let mut architecture = random_architecture_of(form, rng);
        architecture.seq_len = architecture.seq_len.max(4);
        let transform = random_transform(&architecture, kind, rng);
        if let Ok(grown) = transform.grow(&architecture) {
            return (architecture, transform, grown);
        }
    }
}

/// Applies `kind` to random models, with `break_it` done to the edits, and gives the median change
/// of logits.
fn change_when_broken(
    kind: TransformKind,
    fits: &dyn Fn(&Form) -> bool,
    break_it: impl Fn(&mut Edit),
) -> f64 {
    let mut changes: Vec<f64> = (0..40)
        .map(|number| {
            let mut rng = stream(number, "teeth");
            let (architecture, _, mut grown) = random_case(kind, fits, &mut rng);
            let params = random_params(&architecture, &mut rng);
            let tokens = random_tokens(&architecture, &mut rng);
            grown.edits.iter_mut().for_each(&break_it);
            // A large scale: what must be zero is drawn as boldly as the weights of these models.
            let after = grow(&params, &grown.edits, &Initializer::Normal { scale: 3.0 });
            change(
                &logits(&architecture, &params, &tokens),
                &logits(&grown.architecture, &after, &tokens),
            )
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    changes[changes.len() / 2]
}

/// Forms in which a parameter is there and a mistake in it shows: a bias of the keys shifts all
/// scores of a query alike unless they are turned, and what is normed again forgets its scale.
fn shows(kind: ParamKind, form: &Form) -> bool {
    let by_itself = match kind {
        ParamKind::Bk => {
            let all_turned = form.rotary().is_some_and(|rotary| rotary.channels.is_none());
            all_turned && form.qk_norm_eps.is_none()
        }
        ParamKind::Wq | ParamKind::Wk => form.qk_norm_eps.is_none(),
        _ => true,
    };
    by_itself && form.final_norm && kind.exists(*form)
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
            // A free bias is 0 by our initializer, so its zero is broken by a value of its own
            // below.
            if !zero.is_bias() {
                let moved = change_when_broken(row.transform, &|form| shows(zero, form), free);
                assert!(
                    moved > 1e-3,
                    "{:?}: {zero:?} need not be zero? logits move by {moved:e}",
                    row.transform
                );
            }
        }
    }
}

#[test]
fn a_new_output_bias_must_be_zero() {
    use rand::RngExt;
    for row in &TABLE {
        for &bias in row.zero.iter().filter(|kind| kind.is_bias()) {
            // A norm of the end sees no bias of its own in channels that nobody reads.
            let fits = |form: &Form| {
                shows(bias, &Form { final_norm: true, ..*form }) && bias.exists(*form)
            };
            let moved = |number| {
                let mut rng = stream(number, "bias");
                let (architecture, _, grown) = random_case(row.transform, &fits, &mut rng);
                let params = random_params(&architecture, &mut rng);
                let tokens = random_tokens(&architecture, &mut rng);
                let mut after = grow(&params, &grown.edits, &NORMAL);
                let born = born(&params, &grown.edits);
                for (id, array) in after.iter_mut().filter(|(id, _)| id.kind == bias) {
                    for (value, born) in array.values.iter_mut().zip(&born[id].values) {
                        // Not the same in all channels: a LayerNorm takes that back.
                        *value += born * rng.random_range(0.5..1.5);
                    }
                }
                change(
                    &logits(&architecture, &params, &tokens),
                    &logits(&grown.architecture, &after, &tokens),
                )
            };
            let mut moved: Vec<f64> = (0..15).map(moved).collect();
            moved.sort_by(f64::total_cmp);
            let moved = moved[7];
            assert!(moved > 1e-3, "{:?}, {bias:?}: logits move by {moved:e}", row.transform);
        }
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
        for (kinds, with_gains) in [(row.scaled, true), (row.scaled_bare, false)] {
            for &scaled in kinds {
                let unscale = |edit: &mut Edit| match edit {
                    Edit::Scale { param, by, .. } if param.kind == scaled => *by = 1.0,
                    _ => {}
                };
                let fits = |form: &Form| shows(scaled, form) && form.norm_gains == with_gains;
                let moved = change_when_broken(row.transform, &fits, unscale);
                assert!(
                    moved > 1e-3,
                    "{:?}: {scaled:?} need not be scaled? logits move by {moved:e}",
                    row.transform
                );
            }
        }
    }
}

/// What can't be exact is refused, with the reason.
#[test]
fn what_cannot_be_exact_is_refused() {
    let refused = |form: Form, kind, words: &str| {
        let mut rng = stream(1, "refused");
        let architecture = random_architecture_of(form, &mut rng);
        let error =
            random_transform(&architecture, kind, &mut rng).grow(&architecture).expect_err(words);
        assert!(
            matches!(error, TransformError::Refused { .. }) && error.to_string().contains(words),
            "{error}"
        );
    };
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    refused(Form { qk_norm_eps: Some(1e-6), ..form }, TransformKind::AttentionExpansion, "QK-norm");
    refused(
        Form { tied: true, norm_gains: false, ..form },
        TransformKind::HiddenExpansion,
        "different scales",
    );
    let layer_norm = Form { tied: true, final_norm: false, ..Form::decoder(Norm::LayerNorm, 1e-5) };
    refused(layer_norm, TransformKind::HiddenExpansion, "the means");
    let rotary = Rotary { theta: 1e4, width: 4, channels: None, scaling: None };
    let turned = Form { positions: Positions::Rotary(rotary), ..form };
    let architecture = random_architecture_of(turned, &mut stream(2, "refused"));
    let error = AttentionExpansion { layer: None, heads: None, d_k: 9 };
    let error = Transform::from(error).grow(&architecture).expect_err("an odd d_k").to_string();
    assert!(error.contains("pairs"), "{error}");
}

/// The frequencies of pairs that are there do not move when `d_k` grows; what recomputes them,
/// moves logits.
#[test]
fn rotary_frequencies_are_kept() {
    let mut rng = stream(3, "rotary");
    let rotary =
        |width| Positions::Rotary(Rotary { theta: 1e4, width, channels: None, scaling: None });
    let form = Form { positions: rotary(4), ..Form::decoder(Norm::RmsNorm, 1e-5) };
    let mut architecture = random_architecture_of(form, &mut rng);
    architecture.layers = vec![LayerShape::uniform(2, 4, 4, 8); 2];
    architecture.seq_len = 7;
    let params = random_params(&architecture, &mut rng);
    let tokens = random_tokens(&architecture, &mut rng);
    let grown = Transform::from(AttentionExpansion { layer: None, heads: None, d_k: 8 })
        .grow(&architecture)
        .expect("valid");
    let after = grow(&params, &grown.edits, &NORMAL);
    let before = logits(&architecture, &params, &tokens);
    assert!(change(&before, &logits(&grown.architecture, &after, &tokens)) < 1e-12);
    let recomputed =
        Architecture { form: Form { positions: rotary(8), ..form }, ..grown.architecture };
    assert!(change(&before, &logits(&recomputed, &after, &tokens)) > 1e-3);
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
        let edits = grow_all(&architecture, &transforms, 0).expect("valid").edits;
        let mut by_role = BTreeMap::new();
        for (name, role) in [
            ("m", Role::FirstMoment { copies: false }),
            ("v", Role::SecondMoment { copies: false }),
        ] {
            let mut values = ones.clone();
            apply(&mut values, &edits, role);
            by_role.insert(name, values);
        }
        let weights = grow(&ones, &edits, &NORMAL);
        for (id, born) in born(&ones, &edits) {
            for (i, born) in born.values.iter().enumerate() {
                let (w, m, v) = (
                    weights[&id].values[i],
                    by_role["m"][&id].values[i],
                    by_role["v"][&id].values[i],
                );
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
    for wrong in
        ["", "layers", "layers.0", "layers.x.w_q", "layers.0.embedding", "w_q", "layers.0.w_q.x"]
    {
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
        assert_eq!(
            serde_json::from_str::<Vec<Transform>>(&text).expect("reads back"),
            transforms,
            "{text}"
        );
    }
    let unknown = r#"{"transform": "mlp_expansion", "d_ff": 8, "layers": 1}"#;
    let error =
        serde_json::from_str::<Transform>(unknown).expect_err("an unknown field").to_string();
    assert!(error.contains("layers"), "{error}");
}
