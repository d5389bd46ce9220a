//! The field's operators: those that claim to preserve the function do, the others move it, each
//! does what its equations say, and what it can't do it refuses.

use std::collections::BTreeSet;

use outgrow_core::{
    Architecture, Form, LayerShape, Norm, ParamId,
    ParamKind::{self, *},
    edit::{Initializer, Role, apply, fresh},
    growth::{
        Grown, Operator, TargetShape,
        operator::{
            Bert2Bert, Block, DepthUpScaling, GradMax, GradualStack, HyperCloning, IdentityBlocks,
            Knowledge, Lemon, Lesa, Ligo, Msg, Net2Net, Objective, Order, Sparkling, Stack, Staged,
            StagedDepth,
        },
    },
    model::parameters,
    reference::{Array, Params, logits},
    stream::stream,
};
use rand::RngExt;

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

fn grow(params: &Params, grown: &Grown, role: Role) -> Params {
    let mut after = params.clone();
    apply(&mut after, &grown.edits, role);
    for id in parameters(&grown.architecture) {
        assert_eq!(after[&id].shape, id.shape(&grown.architecture), "{id}");
    }
    after
}

const WEIGHTS: Role =
    Role::Weights { initializer: &Initializer::Normal { scale: 1.0 }, seed: 3, event: 1 };

fn change(before: (&Architecture, &Params), after: (&Architecture, &Params)) -> f64 {
    let tokens = [1, 4, 0, 6, 2];
    let (old, new) = (logits(before.0, before.1, &tokens), logits(after.0, after.1, &tokens));
    let scale = old.values.iter().fold(1.0f64, |max, v| max.max(v.abs()));
    old.values.iter().zip(&new.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

/// Every operator on a way that it can go.
fn all() -> Vec<(Operator, Sizes, Sizes)> {
    let (small, deep) = ((6, 2, 2, 5), (6, 4, 2, 5));
    let wide = (12, 2, 4, 15);
    vec![
        (Operator::Stack(Stack { order: Order::Block }), small, deep),
        (Operator::Stack(Stack { order: Order::Interleave }), small, deep),
        (Operator::GradualStack(GradualStack { block: Block::Last }), deep, (6, 5, 2, 5)),
        (Operator::GradualStack(GradualStack { block: Block::Middle }), deep, (6, 5, 2, 5)),
        (Operator::DepthUpScaling(DepthUpScaling {}), deep, (6, 6, 2, 5)),
        (Operator::IdentityBlocks(IdentityBlocks {}), deep, (6, 6, 2, 5)),
        (Operator::Net2Net(Net2Net { noise: 0.0 }), small, (6, 2, 5, 12)),
        (Operator::Net2Net(Net2Net { noise: 0.1 }), small, (6, 2, 5, 12)),
        (Operator::Net2Net(Net2Net { noise: 0.0 }), small, (9, 2, 3, 7)),
        (Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::Own }), small, (6, 2, 3, 8)),
        (Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::Own }), small, (9, 5, 3, 8)),
        (Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::NextLayer }), small, (6, 2, 3, 8)),
        (Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::NextLayer }), small, (9, 4, 3, 8)),
        (Operator::HyperCloning(HyperCloning { noise_db: None }), small, wide),
        (Operator::HyperCloning(HyperCloning { noise_db: Some(10.0) }), small, (18, 2, 6, 10)),
        (Operator::Lemon(Lemon {}), small, (15, 5, 5, 12)),
        (Operator::Lemon(Lemon {}), small, (7, 2, 2, 5)),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), small, (12, 2, 4, 10)),
        (Operator::Staged(Staged { depth: StagedDepth::Identity }), small, (12, 4, 4, 10)),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), small, deep),
        (Operator::Sparkling(Sparkling {}), small, (9, 2, 3, 8)),
    ]
}

#[test]
fn every_operator_is_tested() {
    let listed = all();
    let mut tested: BTreeSet<_> = listed.iter().map(|(operator, ..)| operator.name()).collect();
    // Its mask preserves the function, and what these learn from text needs a trainer: below, and in
    // the trainer's tests.
    tested.extend(["msg", "ligo", "grad_max", "untie", "add_passes", "lesa"]);
    assert_eq!(tested, Operator::KINDS.iter().copied().collect());
}

fn forms() -> impl Iterator<Item = (Norm, bool)> {
    [Norm::RmsNorm, Norm::LayerNorm].into_iter().flat_map(|norm| [(norm, true), (norm, false)])
}

#[test]
fn claims_to_preserve_the_function_hold_and_the_others_move_it() {
    for (operator, from, to) in all() {
        for (norm, final_norm) in forms() {
            for seed in 0..20 {
                let (before, target) = (model(from, norm, final_norm), model(to, norm, final_norm));
                let goal = TargetShape::of(&target);
                let grown = operator.grow(&before, &goal, seed).expect("a way that it can go");
                let params = random_params(&before, seed);
                let after = grow(&params, &grown, WEIGHTS);
                assert_eq!(TargetShape::of(&grown.architecture), goal);
                let moved = change((&before, &params), (&grown.architecture, &after));
                match operator.preserves(&before, &goal) {
                    true => assert!(
                        moved <= 1e-10,
                        "{operator:?} to {to:?}, {norm:?}: logits move by {moved:e}"
                    ),
                    false => assert!(
                        moved > 1e-3,
                        "{operator:?} to {to:?}, {norm:?}: logits move by {moved:e} only"
                    ),
                }
            }
        }
    }
}

/// An operator applied: weights before and after, with a seed.
struct Applied {
    before: Params,
    after: Params,
    first_moment: Params,
    second_moment: Params,
    born: Params,
}

fn applied(operator: &Operator, from: Sizes, to: Sizes) -> Applied {
    let architecture = model(from, Norm::RmsNorm, true);
    let before = random_params(&architecture, 5);
    let grown = operator
        .grow(&architecture, &TargetShape::of(&model(to, Norm::RmsNorm, true)), 8)
        .expect("possible");
    let mut zeros = before.clone();
    zeros.values_mut().for_each(|array| array.values.fill(0.0));
    Applied {
        after: grow(&before, &grown, WEIGHTS),
        first_moment: grow(&before, &grown, Role::FirstMoment { copies: true }),
        second_moment: grow(&before, &grown, Role::SecondMoment { copies: true }),
        born: grow(&zeros, &grown, Role::Born { step: 1, copies: false }),
        before,
    }
}

fn layer(number: usize, kind: ParamKind) -> ParamId {
    ParamId::in_layer(number, kind)
}

fn at(array: &Array, i: usize, j: usize) -> f64 {
    array.values[i * array.shape[1] + j]
}

/// Which layers the new ones are, and which of them are born.
fn depths(operator: Operator, from: usize, to: usize) -> (Vec<usize>, Vec<usize>) {
    let done = applied(&operator, (6, from, 2, 5), (6, to, 2, 5));
    let source = |new: usize| {
        let same = |old: &usize| done.after[&layer(new, Wq)] == done.before[&layer(*old, Wq)];
        let old = (0..from).find(same).expect("a copy");
        for kind in ParamKind::of_layer(Form::decoder(Norm::RmsNorm, 0.0)) {
            let silent = matches!(kind, Wo | W2 | B2)
                && done.after[&layer(new, kind)].values.iter().all(|v| *v == 0.0);
            assert!(
                silent || done.after[&layer(new, kind)] == done.before[&layer(old, kind)],
                "{kind:?}"
            );
        }
        old
    };
    let born = (0..to)
        .filter(|&new| done.born[&layer(new, Wq)].values.iter().all(|v| *v == 1.0))
        .collect();
    ((0..to).map(source).collect(), born)
}

#[test]
fn depth_operators_copy_the_layers_that_their_papers_say() {
    let stack = |order| Operator::Stack(Stack { order });
    assert_eq!(depths(stack(Order::Block), 3, 6), (vec![0, 1, 2, 0, 1, 2], vec![3, 4, 5]));
    assert_eq!(depths(stack(Order::Interleave), 2, 6), (vec![0, 0, 0, 1, 1, 1], vec![1, 2, 4, 5]));
    let gradual = |block| Operator::GradualStack(GradualStack { block });
    assert_eq!(depths(gradual(Block::Last), 4, 6), (vec![0, 1, 2, 3, 2, 3], vec![4, 5]));
    // MIDAS: of three blocks the second, of four the second.
    assert_eq!(depths(gradual(Block::Middle), 3, 4), (vec![0, 1, 1, 2], vec![2]));
    assert_eq!(depths(gradual(Block::Middle), 4, 5), (vec![0, 1, 1, 2, 3], vec![2]));
    // SOLAR: 32 layers without 8 and 8 are 48.
    let (solar, _) = depths(Operator::DepthUpScaling(DepthUpScaling {}), 32, 48);
    assert_eq!(solar, (0..24).chain(8..32).collect::<Vec<_>>());
    // LLaMA-Pro: 32 layers and 8 new ones, one after every 4.
    let (pro, born) = depths(Operator::IdentityBlocks(IdentityBlocks {}), 32, 40);
    assert_eq!(
        pro,
        (0..32).flat_map(|l| if l % 4 == 3 { vec![l, l] } else { vec![l] }).collect::<Vec<_>>()
    );
    assert_eq!(born, (1..=8).map(|n| 5 * n - 1).collect::<Vec<_>>());
    // bert2BERT: as often as it fits, the rest from the top.
    let own = Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::Own });
    assert_eq!(depths(own, 3, 8).0, [0, 1, 2, 0, 1, 2, 1, 2]);
}

#[test]
fn identity_blocks_write_nothing_and_keep_their_norms() {
    let done = applied(&Operator::IdentityBlocks(IdentityBlocks {}), (6, 2, 2, 5), (6, 4, 2, 5));
    for new in [1, 3] {
        for kind in [Wo, W2, B2] {
            assert!(done.after[&layer(new, kind)].values.iter().all(|v| *v == 0.0));
        }
        assert!(
            done.after[&layer(new, AttentionNorm)].values.iter().all(|v| *v != 0.0),
            "a zeroed norm would be dead"
        );
    }
}

/// The map of a copied axis, read off what writes it: which old unit stands where.
fn map_of(before: &Array, after: &Array, n: usize) -> Vec<usize> {
    let column =
        |array: &Array, j: usize| (0..before.shape[0]).map(|i| at(array, i, j)).collect::<Vec<_>>();
    let source =
        |j: usize| (0..n).find(|&old| column(before, old) == column(after, j)).expect("a copy");
    (0..after.shape[1]).map(source).collect()
}

#[test]
fn net2net_copies_what_writes_and_divides_what_reads() {
    let done = applied(&Operator::Net2Net(Net2Net { noise: 0.0 }), (6, 2, 2, 5), (6, 2, 4, 9));
    for number in 0..2 {
        let (w1, w2) = (layer(number, W1), layer(number, W2));
        let map = map_of(&done.before[&w1], &done.after[&w1], 5);
        assert_eq!(map[..5], [0, 1, 2, 3, 4]);
        for (j, &source) in map.iter().enumerate() {
            let copies = map.iter().filter(|&&other| other == source).count() as f64;
            assert_eq!(
                done.after[&layer(number, B1)].values[j],
                done.before[&layer(number, B1)].values[source]
            );
            for i in 0..6 {
                assert!(
                    (at(&done.after[&w2], j, i) - at(&done.before[&w2], source, i) / copies).abs()
                        < 1e-15
                );
                // What is written c times gets a c-th of the gradient each, what is read the whole.
                assert!(
                    (at(&done.first_moment[&w1], i, j) - at(&done.before[&w1], i, source) / copies)
                        .abs()
                        < 1e-15
                );
                assert_eq!(at(&done.first_moment[&w2], j, i), at(&done.before[&w2], source, i));
            }
        }
    }
}

#[test]
fn aki_takes_new_outputs_from_the_next_layer() {
    let done = applied(
        &Operator::Bert2Bert(Bert2Bert { knowledge: Knowledge::NextLayer }),
        (6, 3, 2, 5),
        (6, 3, 2, 8),
    );
    // The last layer takes its own, so its map can be read off; all layers share it.
    let map = map_of(&done.before[&layer(2, W1)], &done.after[&layer(2, W1)], 5);
    for number in 0..3 {
        let next = (number + 1).min(2);
        for (j, &unit) in map.iter().enumerate() {
            let from = if j < 5 { number } else { next };
            for i in 0..6 {
                assert_eq!(
                    at(&done.after[&layer(number, W1)], i, j),
                    at(&done.before[&layer(from, W1)], i, unit)
                );
            }
            let copies = map.iter().filter(|&&other| other == unit).count() as f64;
            let (after, before) =
                (&done.after[&layer(number, W2)], &done.before[&layer(number, W2)]);
            assert!(
                (at(after, j, 0) - at(before, unit, 0) / copies).abs() < 1e-15,
                "what reads is the layer's own"
            );
        }
    }
}

#[test]
fn hyper_cloning_tiles_and_divides_by_the_copies_of_the_input() {
    let done = applied(
        &Operator::HyperCloning(HyperCloning { noise_db: None }),
        (6, 2, 2, 5),
        (12, 2, 6, 20),
    );
    let tiled = |id: ParamId, (n, m): (usize, usize), by: f64| {
        let (before, after) = (&done.before[&id], &done.after[&id]);
        assert_eq!(after.shape, [n * before.shape[0], m * before.shape[1]]);
        for i in 0..after.shape[0] {
            for j in 0..after.shape[1] {
                let expected = at(before, i % before.shape[0], j % before.shape[1]) / by;
                assert!((at(after, i, j) - expected).abs() < 1e-15, "{id}");
            }
        }
    };
    tiled(ParamId::global(Embedding), (1, 2), 1.0);
    tiled(ParamId::global(Positions), (1, 2), 1.0);
    tiled(ParamId::global(Unembedding), (2, 1), 2.0);
    tiled(layer(0, Wq), (2, 3), 2.0);
    tiled(layer(1, Wv), (2, 3), 2.0);
    tiled(layer(0, Wo), (3, 2), 3.0);
    tiled(layer(1, W1), (2, 4), 2.0);
    tiled(layer(0, W2), (4, 2), 4.0);
    let gains = &done.after[&layer(0, MlpNorm)].values;
    assert_eq!(gains[..6], gains[6..]);
}

#[test]
fn hyper_clonings_noise_cancels_and_has_the_asked_power() {
    let clean = applied(
        &Operator::HyperCloning(HyperCloning { noise_db: None }),
        (6, 2, 2, 40),
        (18, 2, 2, 40),
    );
    let noisy = applied(
        &Operator::HyperCloning(HyperCloning { noise_db: Some(10.0) }),
        (6, 2, 2, 40),
        (18, 2, 2, 40),
    );
    let id = layer(0, W1);
    let noise = |i: usize, j: usize| at(&noisy.after[&id], i, j) - at(&clean.after[&id], i, j);
    let power = |rows: std::ops::Range<usize>, of: &dyn Fn(usize, usize) -> f64| {
        rows.flat_map(|i| (0..40).map(move |j| (i, j))).map(|(i, j)| of(i, j).powi(2)).sum::<f64>()
    };
    for i in 0..6 {
        for j in 0..40 {
            assert!((noise(i, j) + noise(i + 6, j)).abs() < 1e-15, "pairs cancel");
            assert_eq!(noise(i + 12, j), 0.0, "the odd copy stays clean");
        }
    }
    let ratio = power(0..6, &|i, j| at(&clean.after[&id], i, j)) / power(0..6, &noise);
    assert!((10.0 * ratio.log10() - 10.0).abs() < 1.0, "{} dB", 10.0 * ratio.log10());
}

#[test]
fn lemon_copies_in_a_circle_in_unequal_parts() {
    let done = applied(&Operator::Lemon(Lemon {}), (6, 1, 1, 5), (9, 1, 1, 13));
    let (w1, w2) = (layer(0, W1), layer(0, W2));
    for unit in 0..5 {
        let parts: Vec<f64> = (unit..13)
            .step_by(5)
            .map(|j| at(&done.after[&w2], j, 0) / at(&done.before[&w2], unit, 0))
            .collect();
        assert!(
            (parts.iter().sum::<f64>() - 1.0).abs() < 1e-12 && parts.iter().all(|part| *part > 0.0),
            "{parts:?}"
        );
        assert!(parts.len() < 2 || (parts[0] - parts[1]).abs() > 1e-6, "{parts:?}");
        for j in (unit..13).step_by(5) {
            let scale = done.after[&layer(0, MlpNorm)].values[0]
                / done.before[&layer(0, MlpNorm)].values[0];
            assert_eq!(at(&done.after[&w1], 0, j), at(&done.before[&w1], 0, unit));
            assert!(
                (scale - (6.0f64 / 9.0).sqrt()).abs() < 1e-12,
                "one whole copy of 6 channels in 9"
            );
        }
    }
}

#[test]
fn staged_training_is_block_diagonal_and_takes_the_moments_along() {
    let done = applied(
        &Operator::Staged(Staged { depth: StagedDepth::Copy }),
        (6, 2, 2, 5),
        (12, 2, 4, 10),
    );
    for kind in [Wq, Wv, Wo, W1, W2] {
        let (before, after) = (&done.before[&layer(1, kind)], &done.after[&layer(1, kind)]);
        let (first, second) =
            (&done.first_moment[&layer(1, kind)], &done.second_moment[&layer(1, kind)]);
        let (n, m) = (before.shape[0], before.shape[1]);
        for i in 0..2 * n {
            for j in 0..2 * m {
                let old = at(before, i % n, j % m);
                let on = if i / n == j / m { 1.0 } else { 0.0 };
                assert_eq!(at(after, i, j), on * old, "{kind:?}");
                assert!(
                    (at(first, i, j) - on * old / 2.0).abs() < 1e-15
                        && (at(second, i, j) - on * old / 4.0).abs() < 1e-15
                );
            }
        }
    }
    let norm = ParamId::global(FinalNorm);
    assert_eq!(done.after[&norm].values[7], done.before[&norm].values[1] / 2.0);
    assert_eq!(done.first_moment[&norm].values[7], done.before[&norm].values[1]);
}

#[test]
fn sparkling_keeps_the_root_mean_square_of_sums() {
    let done = applied(&Operator::Sparkling(Sparkling {}), (6, 2, 2, 5), (9, 2, 2, 16));
    // 6 channels to 9: √(6 / (27 − 12)); 5 units to 16: 5/16.
    let ratio =
        |id: ParamId, i: usize, j: usize| at(&done.after[&id], i, j) / at(&done.before[&id], i, j);
    assert!((ratio(layer(0, Wq), 2, 1) - (6.0f64 / 15.0).sqrt()).abs() < 1e-12);
    assert!((ratio(layer(1, W2), 3, 2) - 5.0 / 16.0).abs() < 1e-12);
    assert_eq!(at(&done.after[&layer(1, W2)], 5, 6), at(&done.after[&layer(1, W2)], 0, 0));
    // The claim itself: independent inputs, copied, and their sum with as large a variance as
    // before.
    let mut rng = stream(1, "sums");
    let (mut before, mut after) = (0.0, 0.0);
    for _ in 0..4000 {
        let draw = |rng: &mut outgrow_core::stream::Stream| rng.random_range(-1.0..1.0f64);
        let x: Vec<f64> = (0..6).map(|_| draw(&mut rng)).collect();
        let w: Vec<f64> = (0..6).map(|_| draw(&mut rng)).collect();
        before += (0..6).map(|i| x[i] * w[i]).sum::<f64>().powi(2);
        after +=
            ((0..9).map(|i| x[i % 6] * w[i % 6]).sum::<f64>() * (6.0f64 / 15.0).sqrt()).powi(2);
    }
    assert!((after / before - 1.0).abs() < 0.1, "{}", after / before);
}

/// Behind a closed mask the function is what it was, whatever stands there; an open one is not
/// there at all.
#[test]
fn a_mask_preserves_the_function_until_it_opens() {
    let operator = Operator::Msg(Msg { ramp_tokens: 10 });
    for final_norm in [true, false] {
        let (before, mut target) = (
            model((6, 2, 2, 5), Norm::RmsNorm, final_norm),
            model((9, 4, 3, 8), Norm::RmsNorm, final_norm),
        );
        target
            .layers
            .iter_mut()
            .flat_map(|layer| &mut layer.heads)
            .for_each(|head| (head.d_k, head.d_v) = (5, 4));
        let grown = operator.grow(&before, &TargetShape::of(&target), 1).expect("possible");
        let params = random_params(&before, 4);
        let mut ones = params.clone();
        ones.values_mut().for_each(|array| array.values.fill(1.0));
        let after = grow(
            &params,
            &grown,
            Role::Weights { initializer: &Initializer::Normal { scale: 3.0 }, seed: 3, event: 1 },
        );
        let masked = |open: f64| -> Params {
            let mask = grow(&ones, &grown, Role::Mask { open });
            let times = |(id, array): (&ParamId, &Array)| {
                let values =
                    array.values.iter().zip(&mask[id].values).map(|(w, c)| w * c).collect();
                (*id, Array::new(array.shape.clone(), values))
            };
            after.iter().map(times).collect()
        };
        let moved = |params: &Params, weights: &Params| {
            change((&before, params), (&grown.architecture, weights))
        };
        assert!(moved(&params, &masked(0.0)) < 1e-12, "{:e}", moved(&params, &masked(0.0)));
        let way: Vec<f64> =
            [0.01, 0.1, 1.0].iter().map(|&open| moved(&params, &masked(open))).collect();
        assert!(way[0] > 1e-6 && way[0] < way[1] && way[1] < way[2], "{way:?}");
        assert_eq!(masked(1.0), after);
    }
    let layer_norm = [(6, 2, 2, 5), (9, 2, 2, 5)].map(|sizes| model(sizes, Norm::LayerNorm, true));
    let refused = operator
        .grow(&layer_norm[0], &TargetShape::of(&layer_norm[1]), 1)
        .expect_err("a mean can't be masked");
    assert!(refused.to_string().contains("RMSNorm only"), "{refused}");
}

#[test]
fn what_an_operator_can_not_do_it_refuses() {
    let refused = |operator: Operator, from: Sizes, to: Sizes| {
        let (from, to) = (model(from, Norm::RmsNorm, true), model(to, Norm::RmsNorm, true));
        operator.grow(&from, &TargetShape::of(&to), 1).expect_err("it can't").to_string()
    };
    let small = (6, 2, 2, 5);
    let lesa = |epochs| Operator::Lesa(Lesa { epochs, learning_rate: 1e-3 });
    let ligo = |steps, learning_rate| Operator::Ligo(Ligo::new(steps, learning_rate, 4));
    let grad_max =
        |scale| Operator::GradMax(GradMax { scale, batch_size: 4, objective: Objective::L2 });
    let cases = [
        (
            Operator::Stack(Stack { order: Order::Block }),
            (6, 3, 2, 5),
            "n_layers must be multiplied by a whole number: 2 can't become 3",
        ),
        (
            Operator::Stack(Stack { order: Order::Block }),
            (8, 4, 2, 5),
            "it only adds layers, but d_model is 6 and should become 8",
        ),
        (
            Operator::GradualStack(GradualStack { block: Block::Last }),
            (6, 5, 2, 5),
            "at most the 2 layers",
        ),
        (
            Operator::DepthUpScaling(DepthUpScaling {}),
            (6, 3, 2, 5),
            "an even number up to 4, not to 3",
        ),
        (Operator::IdentityBlocks(IdentityBlocks {}), (6, 5, 2, 5), "a divisor of 2"),
        (Operator::Net2Net(Net2Net { noise: 0.0 }), (6, 3, 2, 5), "adds no layers"),
        (Operator::Net2Net(Net2Net { noise: f64::NAN }), (6, 2, 2, 9), "`noise` is NaN"),
        (
            Operator::HyperCloning(HyperCloning { noise_db: None }),
            (9, 2, 4, 10),
            "d_model must be multiplied by a whole number: 6 can't become 9",
        ),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), (18, 2, 6, 15), "not more at once"),
        (Operator::Staged(Staged { depth: StagedDepth::Copy }), (12, 2, 2, 10), "it leads to"),
        (Operator::Lemon(Lemon {}), (4, 2, 2, 5), "can't shrink from 6 to 4"),
        (ligo(10, -1.0), (8, 2, 2, 5), "`learning_rate` is -1"),
        (lesa(10), (6, 3, 2, 5), "at least three layers"),
        (lesa(0), (6, 3, 2, 5), "`epochs` is 0"),
        (ligo(10, 1e-3), (8, 2, 1, 5), "the number of heads can't shrink"),
        (grad_max(1.0), (6, 2, 3, 5), "it leads to"),
        (grad_max(1.0), (6, 2, 2, 12), "there are 6 directions"),
        (grad_max(0.0), (6, 2, 2, 7), "new units never learn"),
        (Operator::Sparkling(Sparkling {}), small, "enlarge nothing"),
    ];
    for (operator, to, words) in cases {
        let message = refused(operator.clone(), small, to);
        assert!(
            message.contains(words) && message.starts_with(operator.name()),
            "{operator:?}: {message}"
        );
    }
}
