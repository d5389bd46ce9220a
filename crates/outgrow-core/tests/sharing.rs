//! Layers that use the weights of others: what is shared, counted, grown and untied.

use outgrow_core::{
    Architecture, Form, Growth, GrowthPlan, LayerShape, Norm, ParamId, ParamKind, Stage,
    edit::{Initializer, Role, apply, fresh},
    flops,
    growth::{
        Application, Grown, Operator, TargetShape, grow_all,
        operator::{AddPasses, Order, Stack, Untie},
        transform::{
            AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
            MlpExpansion,
        },
    },
    model::{n_parameters, parameters},
    reference::{Array, Params, logits},
    stream::stream,
};

/// A and B, then what `owners` says.
fn model(branch_gains: bool, owners: &[usize]) -> Architecture {
    let form = Form { branch_gains, ..Form::decoder(Norm::RmsNorm, 1e-2) };
    let layer = LayerShape::uniform(2, 3, 2, 5);
    let mut model = Architecture::uniform(7, 5, 6, 2, layer.clone(), form);
    model.layers.extend(owners.iter().map(|&of| LayerShape { of: Some(of), ..layer.clone() }));
    model.validate().expect("valid");
    model
}

fn params(architecture: &Architecture) -> Params {
    use rand::RngExt;
    let mut rng = stream(5, "shared");
    let mut params = fresh(architecture, 1, &Array::empty());
    for array in params.values_mut() {
        array.values.iter_mut().for_each(|v| *v = rng.random_range(-1.0..1.0));
    }
    params
}

const TOKENS: [usize; 5] = [1, 4, 0, 6, 2];

fn grown(params: &Params, grown: &Grown) -> Params {
    let mut after = params.clone();
    let role = Role::Weights { initializer: &Initializer::Copy, seed: 3, event: 1 };
    apply(&mut after, &grown.edits, role);
    for id in parameters(&grown.architecture) {
        assert_eq!(after[&id].shape, id.shape(&grown.architecture), "{id}");
    }
    assert_eq!(after.len(), parameters(&grown.architecture).len());
    after
}

fn to(operator: Operator, goal: &Architecture) -> Growth {
    Application { operator, to: TargetShape::of(goal) }.into()
}

fn untied(architecture: &Architecture) -> Architecture {
    let layers = architecture.layers.iter().map(LayerShape::untied).collect();
    Architecture { layers, ..architecture.clone() }
}

#[test]
fn what_is_shared_is_owned_once_and_computed_each_time() {
    let (own, shared) = (model(false, &[]), model(false, &[0, 1, 0]));
    assert_eq!(n_parameters(&shared), n_parameters(&own));
    assert_eq!(flops::forward_flops(&shared, 5), flops::forward_flops(&untied(&shared), 5));
    let gains = model(true, &[0, 1, 0]);
    let of_own = n_parameters(&untied(&gains)) - n_parameters(&untied(&shared));
    assert_eq!((n_parameters(&gains) - n_parameters(&shared), of_own), (5 * 2 * 6, 5 * 2 * 6));
    assert_eq!(
        shared.describe(),
        untied(&shared).describe().replace("5 layers", "5 layers with the weights of 2")
    );
    for (layer, of, said) in [
        (0, 0, "it must be a layer before it"),
        (2, 3, "it must be a layer before it"),
        (4, 2, "it must be a layer before it with weights of its own"),
    ] {
        let mut wrong = shared.clone();
        wrong.layers[layer].of = Some(of);
        let error = wrong.validate().expect_err("wrong").to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut wrong = shared.clone();
    wrong.layers[3].d_ff += 1;
    assert!(wrong.validate().expect_err("wrong").to_string().contains("the same sizes"));
}

#[test]
fn untying_and_silent_passes_change_no_bit() {
    for gains in [false, true] {
        let before = model(gains, &[0, 1, 0]);
        let weights = params(&before);
        let some = {
            let mut some = before.clone();
            some.layers[2].of = None;
            some
        };
        for goal in [untied(&before), some] {
            let growth = to(Operator::Untie(Untie {}), &goal);
            assert!(growth.preserves(&before));
            let plan = growth.grow(&before, 0).expect("possible");
            assert_eq!(plan.architecture, goal);
            let after = grown(&weights, &plan);
            assert_eq!(logits(&before, &weights, &TOKENS), logits(&goal, &after, &TOKENS));
        }
    }
    let weights = params(&model(true, &[]));
    for owners in [&[0usize][..], &[0, 1], &[0, 1, 0, 1]] {
        let goal = model(true, owners);
        let plan = to(Operator::AddPasses(AddPasses {}), &goal)
            .grow(&model(true, &[]), 0)
            .expect("possible");
        assert_eq!(plan.architecture, goal);
        let mut after = grown(&weights, &plan);
        let same = logits(&goal, &after, &TOKENS);
        assert_eq!(logits(&model(true, &[]), &weights, &TOKENS), same);
        // Each gain of the new passes must be zero.
        for layer in 2..goal.layers.len() {
            for kind in [ParamKind::AttentionGain, ParamKind::MlpGain] {
                let id = ParamId::in_layer(layer, kind);
                assert!(after[&id].values.iter().all(|gain| *gain == 0.0));
                let silent = std::mem::replace(
                    after.get_mut(&id).expect("a gain"),
                    Array::new(vec![6], vec![0.5; 6]),
                );
                assert_ne!(logits(&goal, &after, &TOKENS), same, "{id}");
                after.insert(id, silent);
            }
        }
    }
    // AABB: between the layers that are there.
    let mut goal = model(true, &[0, 1]);
    goal.layers.swap(1, 2);
    goal.layers[1].of = Some(0);
    goal.layers[2].of = None;
    goal.layers[3].of = Some(2);
    let plan = to(Operator::AddPasses(AddPasses {}), &goal).grow(&model(true, &[]), 0);
    let plan = plan.expect("possible");
    assert_eq!(plan.architecture, goal);
    let after = grown(&weights, &plan);
    assert_eq!(logits(&model(true, &[]), &weights, &TOKENS), logits(&goal, &after, &TOKENS));
}

#[test]
fn what_is_untied_grows_as_what_was_shared() {
    let before = model(true, &[0, 1, 0]);
    let weights = params(&before);
    let transforms: Vec<Growth> = vec![
        MlpExpansion { layer: None, d_ff: 7 }.into(),
        MlpExpansion { layer: Some(1), d_ff: 9 }.into(),
        HeadAddition::heads(None, 1).into(),
        HeadsExpansion { layer: Some(0), heads: Some(vec![1]), d_v: 4 }.into(),
        AttentionExpansion { layer: None, heads: None, d_k: 4 }.into(),
        HiddenExpansion { d_model: 9 }.into(),
        LayerAddition { index: 1, shape: None }.into(),
    ];
    for transform in transforms {
        let wide = transform.grow(&before, 0).expect("possible");
        let error = |a: &Array, b: &Array| {
            a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let wide_weights = grown(&weights, &wide);
        let same = logits(&before, &weights, &TOKENS);
        let moved = error(&same, &logits(&wide.architecture, &wide_weights, &TOKENS));
        assert!(moved < 1e-12, "{transform:?}: {moved:e}");
        // A growth of one owner is one of all its passes once they are untied.
        if matches!(&transform, Growth::Transform(t) if format!("{t:?}").contains("Some("))
            || matches!(&transform, Growth::Transform(outgrow_core::Transform::LayerAddition(_)))
        {
            continue;
        }
        let untie = |from: &Architecture| to(Operator::Untie(Untie {}), &untied(from));
        let after = grow_all(&before, &[transform.clone(), untie(&wide.architecture)], 0);
        let first = grow_all(&before, &[untie(&before), transform.clone()], 0);
        let [after, first] = [after, first].map(|plan| plan.expect("possible"));
        assert_eq!(after.architecture, first.architecture);
        let [after, first] = [after, first].map(|plan| grown(&weights, &plan));
        for (id, array) in &after {
            assert!(error(array, &first[id]) < 1e-12, "{transform:?}: {id}");
        }
    }
}

/// What was scaled since it was born: not what came later, nor what an operator copied.
#[test]
fn scales_go_along_with_what_was_scaled() {
    let before = model(false, &[0]);
    let transforms = |growths: Vec<Growth>| Stage::new(100, growths);
    let stages = vec![
        transforms(vec![
            HiddenExpansion { d_model: 24 }.into(),
            LayerAddition { index: 0, shape: None }.into(),
        ]),
        Stage::new(200, vec![AttentionExpansion { layer: Some(1), heads: None, d_k: 12 }.into()]),
        Stage::new(
            300,
            vec![to(Operator::Untie(Untie {}), &{
                let mut wide = before.clone();
                wide.d_model = 24;
                wide.insert_layer(0, wide.layers[0].untied());
                for layer in [1, 3] {
                    wide.layers[layer].heads.iter_mut().for_each(|head| head.d_k = 12);
                }
                untied(&wide)
            })],
        ),
    ];
    let plan = GrowthPlan::new(before, stages).expect("a plan");
    assert!(plan.scales(0).is_empty());
    let gain = |layer| ParamId::in_layer(layer, ParamKind::MlpNorm);
    let keys = |layer| ParamId::in_layer(layer, ParamKind::Wk);
    let half = |found: Option<&f64>| assert!((found.expect("scaled") - 0.5).abs() < 1e-12);
    // A new layer came in below: it has another number than what was scaled.
    let first = plan.scales(1);
    assert_eq!((first.get(&gain(0)), first.get(&keys(1))), (None, None));
    half(first.get(&gain(1)));
    half(first.get(&gain(2)));
    let third = plan.scales(3);
    assert!((third[&keys(1)] - 2.0).abs() < 1e-12 && !third.contains_key(&keys(2)));
    assert!((third[&keys(3)] - 2.0).abs() < 1e-12);
    half(third.get(&gain(3)));
    half(third.get(&ParamId::global(ParamKind::FinalNorm)));
}

#[test]
fn layers_keep_their_owners_when_others_come_between() {
    let before = model(false, &[0, 1, 0]);
    let growth = Growth::from(LayerAddition { index: 1, shape: None });
    let after = growth.grow(&before, 0).expect("possible").architecture;
    let owners: Vec<_> = after.layers.iter().map(|layer| layer.of).collect();
    assert_eq!(owners, [None, None, None, Some(0), Some(2), Some(0)]);
    // The copy of a layer that is a pass has weights of its own.
    let last = Growth::from(LayerAddition { index: 5, shape: None });
    let after = last.grow(&before, 0).expect("possible");
    assert_eq!(after.architecture.layers[5].of, None);
    grown(&params(&before), &after);
}

#[test]
fn what_can_not_be_meant_is_refused() {
    let (own, shared) = (model(false, &[]), model(false, &[0, 1]));
    let refused = |growth: Growth, from: &Architecture| {
        growth.grow(from, 0).expect_err("refused").to_string()
    };
    for (growth, from, said) in [
        (to(Operator::AddPasses(AddPasses {}), &shared), &own, "branch_gains = true"),
        (to(Operator::Untie(Untie {}), &untied(&shared)), &own, "it changes no sizes"),
        (
            to(
                Operator::Stack(Stack { order: Order::Block }),
                &untied(&model(false, &[0, 1, 0, 1, 0, 1])),
            ),
            &shared,
            "untie them first",
        ),
        (MlpExpansion { layer: Some(2), d_ff: 9 }.into(), &shared, "uses the weights of layer 0"),
        (
            LayerAddition { index: 2, shape: Some(shared.layers[2].clone()) }.into(),
            &shared,
            "add_passes",
        ),
    ] {
        let error = refused(growth, from);
        assert!(error.contains(said), "{error}");
    }
}
