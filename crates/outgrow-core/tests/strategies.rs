//! Every strategy, on random tasks with unequal layers: each sampled plan is valid, ends exactly at
//! the target, keeps to its window, and is the same again from the same seed.

use std::collections::BTreeSet;

use outgrow_core::{
    Architecture, LayerShape,
    growth::{
        TransformKind,
        compose::{random_architecture, random_composition},
        grow_all,
    },
    plan::{
        Strategy, StrategyError, Task,
        strategy::{AllAtOnce, AxisFirst, EvenlySpaced, FromScratch, Random, RandomOrder},
    },
    stream::stream,
};
use proptest::prelude::*;

const TOKENS: u64 = 64_000;
const STEP: u64 = 64;

/// Strategies that lead from any architecture to any larger one.
fn strategies(stages: usize, from: f64, to: f64) -> Vec<Strategy> {
    let grow_between = [from.min(to), from.max(to)];
    let axis_first = |first| Strategy::AxisFirst(AxisFirst { plans: 1, first, grow_between });
    let others = [
        Strategy::FromScratch(FromScratch {}),
        Strategy::AllAtOnce(AllAtOnce { plans: 1, at: from }),
        Strategy::EvenlySpaced(EvenlySpaced { plans: 1, stages, grow_between }),
        Strategy::RandomOrder(RandomOrder { plans: 1, grow_between }),
        Strategy::Random(Random { plans: 1, max_stages: stages, grow_between }),
    ];
    others.into_iter().chain(TransformKind::ALL.map(axis_first)).collect()
}

#[test]
fn every_strategy_is_tested() {
    let listed = strategies(2, 0.1, 0.6);
    let mut tested: BTreeSet<_> = listed.iter().map(Strategy::name).collect();
    // One never comes to the target; what the other reaches, its operator says (operators.rs).
    tested.extend(["fixed_size", "operator"]);
    assert_eq!(tested, Strategy::KINDS.iter().copied().collect());
}

/// Two architectures, the second an enlargement of the first.
fn task(seed: u64) -> (Architecture, Architecture) {
    let mut rng = stream(seed, "task");
    let initial = random_architecture(&mut rng);
    let transforms = random_composition(&initial, 12, &mut rng);
    let target =
        grow_all(&initial, &transforms, 0).expect("a random composition is valid").architecture;
    (initial, target)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_sampled_plan_ends_at_the_target(seed: u64, stages in 1usize..6, from in 0.0f64..1.0, to in 0.0f64..1.0) {
        let (initial, target) = task(seed);
        let task = Task { initial: &initial, target: &target };
        for strategy in strategies(stages, from, to) {
            let sampled = match strategy.sample(&task, &mut stream(seed, "plan")) {
                // An axis that does not grow can't be the first.
                Err(StrategyError::Unreachable(_)) if strategy.name() == "axis_first" => continue,
                sampled => sampled.expect("an enlargement can be reached"),
            };
            let plan = sampled.plan(TOKENS, STEP).expect("a sampled plan is valid");
            prop_assert_eq!(plan.target(), &target, "{}", strategy.name());
            prop_assert!(plan.stages().iter().all(|s| s.tokens % STEP == 0 && (STEP..TOKENS).contains(&s.tokens)));
            prop_assert!(plan.stages().windows(2).all(|pair| pair[0].tokens < pair[1].tokens));
            if matches!(strategy, Strategy::FromScratch(_)) {
                prop_assert!(plan.stages().is_empty());
            } else {
                prop_assert_eq!(plan.initial(), &initial);
                let (low, high) = (from.min(to), if strategy.name() == "all_at_once" { from } else { from.max(to) });
                let bounds = (low * TOKENS as f64 - STEP as f64).min((TOKENS - STEP) as f64)
                    ..=(high * TOKENS as f64 + STEP as f64);
                prop_assert!(plan.stages().iter().all(|stage| bounds.contains(&(stage.tokens as f64))));
            }
            prop_assert!(plan.stages().len() <= stages.max(6));
            let again = strategy.sample(&task, &mut stream(seed, "plan")).expect("as before");
            prop_assert_eq!(again.plan(TOKENS, STEP).expect("as before"), plan);
        }
    }

    #[test]
    fn what_can_not_be_reached_is_refused(seed: u64) {
        let (initial, target) = task(seed);
        prop_assume!(initial != target);
        let task = Task { initial: &target, target: &initial };
        for strategy in strategies(3, 0.1, 0.6).into_iter().skip(1) {
            let refused = strategy.sample(&task, &mut stream(seed, "plan"));
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
    let task = Task { initial: &initial, target: &target };
    let random = Strategy::Random(Random { plans: 1, max_stages: 4, grow_between: [0.1, 0.6] });
    let plans: Vec<_> = (0..40)
        .map(|n| {
            random
                .sample(&task, &mut stream(n, "plan"))
                .expect("reachable")
                .plan(TOKENS, STEP)
                .expect("valid")
        })
        .collect();
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
fn an_axis_can_be_the_first() {
    let (initial, target) = (
        small(8, 1, LayerShape::uniform(1, 4, 4, 8)),
        small(16, 3, LayerShape::uniform(4, 8, 8, 32)),
    );
    let task = Task { initial: &initial, target: &target };
    for first in TransformKind::ALL {
        let rule = Strategy::AxisFirst(AxisFirst { plans: 1, first, grow_between: [0.1, 0.5] });
        let plan = rule
            .sample(&task, &mut stream(1, "plan"))
            .expect("reachable")
            .plan(TOKENS, STEP)
            .expect("valid");
        let [early, late] = plan.stages() else { panic!("two stages") };
        assert!(
            early.growths.iter().all(|growth| growth.name() == first.name())
                && late.growths.len() > 1
        );
        assert_eq!((early.tokens, late.tokens, plan.target()), (6_400, 32_000, &target));
    }
    let there =
        AxisFirst { plans: 1, first: TransformKind::MlpExpansion, grow_between: [0.1, 0.5] };
    let initial = small(8, 1, LayerShape::uniform(1, 4, 4, 32));
    let refused = Strategy::AxisFirst(there)
        .sample(&Task { initial: &initial, target: &target }, &mut stream(1, "plan"));
    assert!(
        refused.expect_err("d_ff is there already").to_string().contains("d_ff is to be the first")
    );
}

#[test]
fn wrong_parameters_are_refused() {
    let (initial, target) = task(1);
    let task = Task { initial: &initial, target: &target };
    let wrong = [
        Strategy::AllAtOnce(AllAtOnce { plans: 1, at: 1.5 }),
        Strategy::EvenlySpaced(EvenlySpaced { plans: 1, stages: 0, grow_between: [0.1, 0.6] }),
        Strategy::RandomOrder(RandomOrder { plans: 0, grow_between: [0.1, 0.6] }),
        Strategy::Random(Random { plans: 1, max_stages: 2, grow_between: [0.6, 0.1] }),
        Strategy::Random(Random { plans: 1, max_stages: 0, grow_between: [0.1, 0.6] }),
    ];
    for strategy in wrong {
        let refused = strategy.sample(&task, &mut stream(0, "plan"));
        assert!(
            matches!(refused, Err(StrategyError::Parameter { .. })),
            "{strategy:?}: {refused:?}"
        );
    }
}
