//! Every strategy, on random tasks with unequal layers: each sampled plan is valid, ends exactly at
//! the target, keeps to its window, and is the same again from the same seed.

use std::collections::BTreeSet;

use outgrow_core::{
    Architecture, LayerShape,
    growth::{
        Sizes, TransformKind,
        compose::{random_architecture, random_composition},
        grow_all,
    },
    plan::{
        GrowthPlan, Length, Strategy, StrategyError, Task,
        strategy::{
            AllAtOnce, AxisFirst, Enumerated, EvenlySpaced, FromScratch, Layers, Listed, Places,
            Random, RandomOrder, Share, Ways,
            lattice::{Axis, Goal},
        },
    },
    stream::stream,
};
use proptest::prelude::*;

const TOKENS: u64 = 64_000;
const STEP: u64 = 64;

const LAYERS: [Layers; 4] = [Layers::End, Layers::Start, Layers::Interleave, Layers::Random];

/// Strategies that lead from any architecture to any larger one.
fn strategies(stages: usize, from: f64, to: f64) -> Vec<Strategy> {
    let grow_between = Share::Tokens([from.min(to), from.max(to)]);
    let (at, plans) = (Share::Tokens(from), 1);
    let axis_first = |first| {
        let layers = Layers::End;
        Strategy::AxisFirst(AxisFirst { plans, first, grow_between, layers })
    };
    let others = LAYERS.into_iter().flat_map(|layers| {
        [
            Strategy::AllAtOnce(AllAtOnce { plans, at, layers }),
            Strategy::EvenlySpaced(EvenlySpaced { plans, stages, grow_between, layers }),
            Strategy::RandomOrder(RandomOrder { plans, grow_between, layers }),
            Strategy::Random(Random { plans, max_stages: stages, grow_between, layers }),
            Strategy::Listed(Listed {
                at: Share::Tokens(Places(vec![from])),
                sizes: vec![],
                layers,
            }),
        ]
    });
    let born = Strategy::FromScratch(FromScratch {});
    [born].into_iter().chain(others).chain(TransformKind::ALL.map(axis_first)).collect()
}

fn task<'a>(initial: &'a Architecture, target: &'a Architecture, seed: u64) -> Task<'a> {
    Task { initial, target, seed, draw: (0, 0) }
}

fn sampled(strategy: &Strategy, task: &Task) -> Result<GrowthPlan, StrategyError> {
    let sampled = strategy.sample(task)?;
    let phases = sampled.phases(Length::Tokens(TOKENS as f64));
    Ok(sampled.plan(&phases, TOKENS, STEP).expect("a sampled plan is valid"))
}

#[test]
fn every_strategy_is_tested() {
    let listed = strategies(2, 0.1, 0.6);
    let mut tested: BTreeSet<_> = listed.iter().map(Strategy::name).collect();
    // One never comes to the target; what the other reaches, its operator says (operators.rs); what
    // sees on the way how it grows has tests of its own (looks.rs).
    tested.extend(["fixed_size", "operator", "enumerated", "choose_after"]);
    assert_eq!(tested, Strategy::KINDS.iter().copied().collect());
}

/// Two architectures, the second an enlargement of the first; of one whose layers share weights, by
/// no layer, for strategies do not say whose those of a new one are.
fn sizes(seed: u64) -> (Architecture, Architecture) {
    let mut rng = stream(seed, "task");
    let initial = random_architecture(&mut rng);
    loop {
        let transforms = random_composition(&initial, 12, &mut rng);
        let grown = grow_all(&initial, &transforms, 0).expect("a random composition is valid");
        let target = grown.architecture;
        if !initial.shares() || target.layers.len() == initial.layers.len() {
            return (initial, target);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_sampled_plan_ends_at_the_target(seed: u64, stages in 1usize..6, from in 0.0f64..1.0, to in 0.0f64..1.0) {
        let (initial, target) = sizes(seed);
        let task = task(&initial, &target, seed);
        for strategy in strategies(stages, from, to) {
            let plan = match sampled(&strategy, &task) {
                // An axis that does not grow can't be the first.
                Err(StrategyError::Unreachable(_)) if strategy.name() == "axis_first" => continue,
                sampled => sampled.expect("an enlargement can be reached"),
            };
            prop_assert_eq!(plan.target(), &target, "{}", strategy.name());
            prop_assert!(plan.stages().iter().all(|s| s.tokens % STEP == 0 && (STEP..TOKENS).contains(&s.tokens)));
            prop_assert!(plan.stages().windows(2).all(|pair| pair[0].tokens < pair[1].tokens));
            if matches!(strategy, Strategy::FromScratch(_)) {
                prop_assert!(plan.stages().is_empty());
            } else {
                prop_assert_eq!(plan.initial(), &initial);
                let (low, high) = (from.min(to), if ["all_at_once", "listed"].contains(&strategy.name()) { from } else { from.max(to) });
                let bounds = (low * TOKENS as f64 - STEP as f64).min((TOKENS - STEP) as f64)
                    ..=(high * TOKENS as f64 + STEP as f64);
                prop_assert!(plan.stages().iter().all(|stage| bounds.contains(&(stage.tokens as f64))));
            }
            prop_assert!(plan.stages().len() <= stages.max(6));
            let sequence = plan.sequence(TOKENS, &target);
            let [first, .., last] = &sequence[..] else { panic!("two ends") };
            prop_assert_eq!([first.kind, last.kind], ["begin", "end"]);
            prop_assert!((plan.stages().len() + 2..=6 * plan.stages().len() + 2).contains(&sequence.len()));
            prop_assert!(sequence.iter().flat_map(|one| one.numbers).all(|x| (0.0..=1.0).contains(&x)));
            prop_assert!(sequence[1..].is_sorted_by(|a, b| a.numbers[0] <= b.numbers[0] || b.kind == "end"));
            prop_assert_eq!(sampled(&strategy, &task).expect("as before"), plan);
        }
    }

    #[test]
    fn what_can_not_be_reached_is_refused(seed: u64) {
        let (initial, target) = sizes(seed);
        prop_assume!(initial != target);
        let task = task(&target, &initial, seed);
        for strategy in strategies(3, 0.1, 0.6).into_iter().skip(1) {
            let refused = strategy.sample(&task);
            prop_assert!(matches!(refused, Err(StrategyError::Unreachable(_))), "{}", strategy.name());
        }
    }
}

fn small(d_model: usize, n_layers: usize, layer: LayerShape) -> Architecture {
    let form = outgrow_core::Form::decoder(outgrow_core::Norm::RmsNorm, 1e-5);
    Architecture::uniform(16, 8, d_model, n_layers, layer, form)
}

#[test]
fn random_plans_differ_and_use_all_six() {
    let (initial, target) = (
        small(8, 1, LayerShape::uniform(1, 4, 4, 8)),
        small(16, 3, LayerShape::uniform(4, 8, 8, 32)),
    );
    let grow_between = Share::Tokens([0.1, 0.6]);
    let (plans, max_stages, layers) = (1, 4, Layers::Random);
    let random = Strategy::Random(Random { plans, max_stages, grow_between, layers });
    let number = |number| Task { draw: (0, number), ..task(&initial, &target, 1) };
    let plans: Vec<_> = (0..40).map(|n| sampled(&random, &number(n)).expect("reachable")).collect();
    assert!(plans.windows(2).all(|pair| pair[0] != pair[1]));
    let kinds: BTreeSet<_> = plans
        .iter()
        .flat_map(|plan| plan.stages())
        .flat_map(|stage| &stage.growths)
        .map(|growth| growth.name())
        .collect();
    assert_eq!(kinds.len(), 6);
}

#[test]
fn a_plan_is_written_out() {
    let (initial, target) = (
        small(8, 1, LayerShape::uniform(1, 4, 4, 8)),
        small(16, 3, LayerShape::uniform(4, 4, 4, 32)),
    );
    let task = task(&initial, &target, 1);
    let listed = |at: &[f64], sizes: Vec<Sizes>| {
        let (at, layers) = (Share::Tokens(Places(at.to_vec())), Layers::Start);
        sampled(&Strategy::Listed(Listed { at, sizes, layers }), &task)
    };
    let wider = Sizes { d_model: Some(12), d_ff: Some(16), ..Sizes::default() };
    let deeper = Sizes { n_layers: Some(2), ..Sizes::default() };
    let plan = listed(&[0.1, 0.3, 0.5], vec![wider, deeper]).expect("reachable");
    let expected = [
        small(12, 1, LayerShape::uniform(1, 4, 4, 16)),
        small(12, 2, LayerShape::uniform(1, 4, 4, 16)),
        target.clone(),
    ];
    for (number, expected) in expected.iter().enumerate() {
        assert_eq!(plan.architecture_after(number + 1), expected, "stage {number}");
    }
    let places: Vec<u64> = plan.stages().iter().map(|stage| stage.tokens).collect();
    assert_eq!(places, [6_400, 19_200, 32_000]);
    let growths = &plan.stages()[1].growths;
    assert!(format!("{growths:?}").contains("index: 0"), "next to the input: {growths:?}");

    let ends = listed(&[0.1, 0.3], vec![wider, deeper]).expect("a size of its own");
    assert_eq!(ends.target(), &expected[1]);
    // What changes nothing is no stage.
    let same = Sizes { d_model: Some(8), ..Sizes::default() };
    assert_eq!(listed(&[0.1, 0.3], vec![same]).expect("one stage").stages().len(), 1);

    for (at, sizes, said) in [
        (&[0.3, 0.1][..], vec![wider], "each greater than the one before"),
        (&[0.1, 0.3], vec![], "one for each place"),
        (&[0.1], vec![wider, deeper], "one for each place"),
        (&[0.1], vec![Sizes { d_model: Some(4), ..Sizes::default() }], "d_model would shrink"),
        (&[0.1, 0.3], vec![Sizes { d_ff: Some(64), ..Sizes::default() }], "d_ff would shrink"),
        (&[0.1, 0.3], vec![Sizes { n_layers: Some(0), ..Sizes::default() }], "layer"),
    ] {
        let error = listed(at, sizes).expect_err("refused").to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}

fn lattice(at: &[f64], max_stages: usize) -> Enumerated {
    let width = |d_model, n_heads| Sizes {
        d_model: Some(d_model),
        n_heads: Some(n_heads),
        ..Sizes::default()
    };
    let depth = |n_layers| Sizes { n_layers: Some(n_layers), ..Sizes::default() };
    let mlp = |d_ff| Sizes { d_ff: Some(d_ff), ..Sizes::default() };
    let axis = |name: &str, levels| Axis { name: name.into(), levels };
    Enumerated {
        axes: vec![
            axis("width", vec![width(8, 1), width(12, 2), width(16, 4)]),
            axis("depth", vec![depth(1), depth(3)]),
            axis("mlp", vec![mlp(8), mlp(32)]),
        ],
        at: Share::Tokens(Places(at.to_vec())),
        max_stages,
        layers: Layers::End,
        target: Goal::Reached,
        ways: Ways::default(),
    }
}

#[test]
fn a_lattice_has_every_plan_once() {
    let target = small(16, 3, LayerShape::uniform(4, 4, 4, 32));
    let own = lattice(&[0.1, 0.3, 0.6], 2);
    let rule = Strategy::Enumerated(own.clone());
    let lattice = own.lattice();
    let ways = lattice.ways().expect("few");
    assert_eq!(rule.plans(), ways.len());
    assert_eq!(ways.iter().collect::<BTreeSet<_>>().len(), ways.len());
    assert!(ways.iter().all(|way| lattice.contains(way) && *way.end() == lattice.top()));
    // One stage: 3 places × 11 initial sizes. Two: 3 pairs of places × those of the ways up that
    // rise twice: for each axis, how often it may stand still and rise.
    let [one, two] = [1, 2].map(|n| ways.iter().filter(|way| way.stages.len() == n).count());
    let rising = |levels: usize| (levels + 1) * levels / 2;
    let pairs = rising(3) * rising(2) * rising(2) - 2 * 12 + 1;
    assert_eq!((one, two), (3 * 11, 3 * pairs));
    let plans: BTreeSet<String> = (0..ways.len())
        .map(|number| {
            let task = Task { initial: &target, target: &target, seed: 1, draw: (0, number) };
            let plan = sampled(&rule, &task).expect("a plan");
            assert_eq!(plan.target(), &target);
            assert_eq!(plan.stages().len(), ways[number].stages.len());
            serde_json::to_string(&plan).expect("plain data")
        })
        .collect();
    assert_eq!(plans.len(), ways.len());

    // With a free target also every plan to every size below: of one stage as many as there are pairs
    // of sizes of which one is larger.
    let free = Enumerated { target: Goal::Free, ..own };
    let ways = free.ways().expect("few");
    let one = ways.iter().filter(|way| way.stages.len() == 1).count();
    assert_eq!(one, 3 * (rising(3) * rising(2) * rising(2) - 12));
    assert!(ways.iter().all(|way| free.lattice().contains(way)));
    assert_eq!(ways.iter().collect::<BTreeSet<_>>().len(), ways.len());
    let below = ways.iter().position(|way| *way.end() == [1, 0, 1]).expect("one");
    let task = Task { initial: &target, target: &target, seed: 1, draw: (0, below) };
    let plan = sampled(&Strategy::Enumerated(free), &task).expect("a plan");
    assert_eq!(*plan.target(), small(12, 1, LayerShape::uniform(2, 4, 4, 32)));
}

#[test]
fn what_is_no_lattice_is_refused() {
    let target = small(16, 3, LayerShape::uniform(4, 4, 4, 32));
    let error = |change: &dyn Fn(&mut Enumerated)| {
        let mut own = lattice(&[0.1, 0.3], 2);
        change(&mut own);
        let task = task(&target, &target, 1);
        Strategy::Enumerated(own).sample(&task).expect_err("refused").to_string()
    };
    for (said, change) in [
        (
            "the last level of each axis has the sizes of [target]",
            &(|own: &mut Enumerated| {
                own.axes[2].levels.pop();
                own.axes[2].levels.insert(0, Sizes { d_ff: Some(4), ..Sizes::default() });
            }) as &dyn Fn(&mut Enumerated),
        ),
        ("2 to 64 levels", &|own| own.axes[0].levels.truncate(1)),
        ("1 to 64 axes", &|own| own.axes.clear()),
        ("from 1 to 64", &|own| own.max_stages = 0),
        ("each greater than the one before", &|own| own.at = Share::Tokens(Places(vec![0.3, 0.1]))),
        ("at most a hundred thousand", &|own| {
            own.max_stages = 8;
            own.at = Share::Tokens(Places((1..40).map(|n| f64::from(n) / 40.0).collect()));
        }),
    ] {
        let error = error(change);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn an_axis_can_be_the_first() {
    let (initial, target) = (
        small(8, 1, LayerShape::uniform(1, 4, 4, 8)),
        small(16, 3, LayerShape::uniform(4, 8, 8, 32)),
    );
    let (plans, grow_between, layers) = (1, Share::Tokens([0.1, 0.5]), Layers::End);
    for first in TransformKind::ALL {
        let rule = Strategy::AxisFirst(AxisFirst { plans, first, grow_between, layers });
        let plan = sampled(&rule, &task(&initial, &target, 1)).expect("reachable");
        let [early, late] = plan.stages() else { panic!("two stages") };
        assert!(
            early.growths.iter().all(|growth| growth.name() == first.name())
                && late.growths.len() > 1
        );
        assert_eq!((early.tokens, late.tokens, plan.target()), (6_400, 32_000, &target));
    }
    let first = TransformKind::MlpExpansion;
    let there = Strategy::AxisFirst(AxisFirst { plans, first, grow_between, layers });
    let initial = small(8, 1, LayerShape::uniform(1, 4, 4, 32));
    let refused = there.sample(&task(&initial, &target, 1));
    assert!(
        refused.expect_err("d_ff is there already").to_string().contains("d_ff is to be the first")
    );
}

#[test]
fn wrong_parameters_are_refused() {
    let (initial, target) = sizes(1);
    let task = task(&initial, &target, 0);
    let (layers, grow_between) = (Layers::Random, Share::Tokens([0.1, 0.6]));
    let [late, backwards] = [Share::Compute { compute: [0.2, 1.1] }, Share::Tokens([0.6, 0.1])];
    let wrong = [
        Strategy::AllAtOnce(AllAtOnce { plans: 1, at: Share::Tokens(1.5), layers }),
        // Nothing of it is drawn, so they would be equal.
        Strategy::AllAtOnce(AllAtOnce { plans: 2, at: Share::Tokens(0.5), layers: Layers::End }),
        Strategy::EvenlySpaced(EvenlySpaced { plans: 1, stages: 0, grow_between, layers }),
        Strategy::EvenlySpaced(EvenlySpaced { plans: 1, stages: 2, grow_between: late, layers }),
        Strategy::RandomOrder(RandomOrder { plans: 0, grow_between, layers }),
        Strategy::Random(Random { plans: 1, max_stages: 2, grow_between: backwards, layers }),
        Strategy::Random(Random { plans: 1, max_stages: 0, grow_between, layers }),
    ];
    for strategy in wrong {
        let refused = strategy.sample(&task);
        assert!(
            matches!(refused, Err(StrategyError::Parameter { .. })),
            "{strategy:?}: {refused:?}"
        );
    }
}

/// Which layers are new, after each stage.
fn new_layers(strategy: &Strategy, task: &Task) -> Vec<Vec<usize>> {
    let plan = sampled(strategy, task).expect("reachable");
    let places = |stage| {
        let layers = plan.new_layers(stage).into_iter().enumerate();
        layers.filter(|(_, is_new)| *is_new).map(|(place, _)| place).collect()
    };
    (0..plan.stages().len()).map(places).collect()
}

fn evenly(stages: usize, layers: Layers) -> Strategy {
    let grow_between = Share::Tokens([0.1, 0.7]);
    Strategy::EvenlySpaced(EvenlySpaced { plans: 1, stages, grow_between, layers })
}

#[test]
fn new_layers_go_where_the_field_says() {
    let layer = || LayerShape::uniform(1, 4, 4, 8);
    let (initial, target) = (small(8, 2, layer()), small(8, 6, layer()));
    let task = task(&initial, &target, 1);
    let expected = [
        (Layers::End, vec![2, 3, 4, 5], [vec![2, 3], vec![4, 5]]),
        (Layers::Start, vec![0, 1, 2, 3], [vec![0, 1], vec![0, 1]]),
        // Layers 0 and 3 of 6 are there; first one behind each of them, then the other.
        (Layers::Interleave, vec![1, 2, 4, 5], [vec![1, 3], vec![2, 5]]),
    ];
    for (layers, at_once, in_two) in expected {
        assert_eq!(new_layers(&evenly(1, layers), &task), [at_once], "{layers:?}");
        assert_eq!(new_layers(&evenly(2, layers), &task), in_two, "{layers:?}");
    }
}

#[test]
fn strategies_that_differ_in_one_thing_draw_alike() {
    let layer = || LayerShape::uniform(1, 4, 4, 8);
    let (initial, target) = (small(8, 2, layer()), small(16, 9, layer()));
    let drawn: BTreeSet<_> = (0..6)
        .map(|number| {
            let task = Task { draw: (number, 0), ..task(&initial, &target, 1) };
            let at = |at| {
                let layers = Layers::Random;
                Strategy::AllAtOnce(AllAtOnce { plans: 1, at: Share::Tokens(at), layers })
            };
            let places = new_layers(&at(0.1), &task);
            assert_eq!(places, new_layers(&at(0.8), &task), "when");
            assert_eq!(places, new_layers(&evenly(1, Layers::Random), &task), "by another rule");
            let [first, second] = &new_layers(&evenly(2, Layers::Random), &task)[..] else {
                panic!("two stages")
            };
            assert_eq!(first.len() + second.len(), places[0].len());
            places
        })
        .collect();
    assert!(drawn.len() > 3, "and plans differ: {drawn:?}");
}

#[test]
fn places_can_be_shares_of_the_compute() {
    let (initial, target) = (
        small(8, 1, LayerShape::uniform(1, 4, 4, 8)),
        small(32, 6, LayerShape::uniform(4, 8, 8, 64)),
    );
    let compute = [0.2, 0.7];
    let task = task(&initial, &target, 1);
    let rule = Strategy::EvenlySpaced(EvenlySpaced {
        plans: 1,
        stages: 2,
        grow_between: Share::Compute { compute },
        layers: Layers::End,
    });
    let sampled = rule.sample(&task).expect("reachable");
    let by_tokens = sampled.phases(Length::Tokens(1e7));
    let flops = |phases: &[f64]| {
        let tokens = (phases.iter().sum::<f64>() / STEP as f64).round() as u64 * STEP;
        let plan = sampled.plan(phases, tokens, STEP).expect("valid");
        let all = plan.train_flops(tokens) as f64;
        let shares = plan.stages().iter().map(|s| plan.train_flops(s.tokens) as f64 / all);
        (all, shares.collect::<Vec<_>>())
    };
    let (all, shares) = flops(&by_tokens);
    assert!((by_tokens.iter().sum::<f64>() - 1e7).abs() < 1.0);
    assert!(shares.iter().zip(compute).all(|(a, b)| (a - b).abs() < 1e-3), "{shares:?}");
    let (again, shares) = flops(&sampled.phases(Length::Flops(all)));
    assert!((again / all - 1.0).abs() < 1e-4);
    assert!(shares.iter().zip(compute).all(|(a, b)| (a - b).abs() < 1e-3), "{shares:?}");
}
