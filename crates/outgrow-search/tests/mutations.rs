//! Plans and their edits: what is drawn is in the space, every edit can be undone, and any plan is
//! reached from any other.

use std::collections::BTreeSet;

use outgrow_core::{
    growth::Sizes,
    plan::strategy::{
        Places, Share,
        lattice::{Axis, Goal, Lattice, Levels},
    },
    stream::stream,
};
use outgrow_search::{Choice, Mutation, Plan, Space};
use proptest::prelude::*;

fn space(levels: &[usize], places: usize, max_stages: usize, born: bool, free: bool) -> Space {
    let axis = |levels: usize| Axis {
        name: "axis".into(),
        levels: (0..levels).map(|n| Sizes { d_ff: Some(n + 1), ..Sizes::default() }).collect(),
    };
    let at = (1..=places).map(|n| n as f64 / (places + 1) as f64).collect();
    let choice = |of_axes| Choice { name: "choice".into(), values: 3, of_axes };
    Space {
        lattice: Lattice {
            axes: levels.iter().map(|levels| axis(*levels)).collect(),
            at: Share::Tokens(Places(at)),
            max_stages,
            target: if free { Goal::Free } else { Goal::Reached },
        },
        choices: vec![choice(vec![0]), choice(vec![])],
        born,
    }
}

fn spaces() -> impl Strategy<Value = Space> {
    let levels = prop::collection::vec(2..4_usize, 1..4);
    (levels, 2..7_usize, 1..4_usize, any::<bool>(), any::<bool>())
        .prop_map(|(levels, places, stages, born, free)| space(&levels, places, stages, born, free))
}

proptest! {
    #[test]
    fn what_is_drawn_is_a_plan(space in spaces(), seed: u64) {
        let random = &mut stream(seed, "test");
        for _ in 0..20 {
            let plan = space.sample(random).expect("a plan");
            prop_assert!(space.contains(&plan), "{plan:?}");
            prop_assert!(space.features(&plan).iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn every_edit_is_undone_by_another(space in spaces(), seed: u64) {
        let random = &mut stream(seed, "test");
        let mut plan = space.sample(random).expect("a plan");
        for _ in 0..40 {
            let Some((mutation, other)) = space.neighbour(&plan, random) else { return Ok(()) };
            prop_assert!(space.contains(&other) && other != plan, "{mutation:?} of {plan:?}");
            let back = space.inverse(&plan, &mutation).expect("an edit");
            let undone = space.mutated(&other, &back);
            // What does not matter is 0, so a choice of an axis is lost where that does not grow.
            let lost = other.way.initial[0] == other.way.end()[0] && plan.choices[0] > 0;
            prop_assert!(lost || undone.as_ref() == Some(&plan), "{mutation:?} of {plan:?}: {other:?}, {back:?}: {undone:?}");
            plan = other;
        }
    }

    /// By the way that [`steps`] knows.
    #[test]
    fn any_plan_is_reached_from_any_other(space in spaces(), seed: u64) {
        let random = &mut stream(seed, "test");
        let [from, to] = [(); 2].map(|()| space.sample(random).expect("a plan"));
        let mut now = from.clone();
        for mutation in steps(&from, &to) {
            if let Some(next) = space.mutated(&now, &mutation) {
                now = next;
            }
        }
        prop_assert_eq!(now, to);
    }
}

/// Edits from one plan to another: down to one stage, its sizes and place, up again, and choices.
/// Edits that change nothing are among them.
fn steps(from: &Plan, to: &Plan) -> Vec<Mutation> {
    let mut steps = vec![];
    let (n, m) = (from.way.stages.len(), to.way.stages.len());
    let remove = |phase| Mutation::Remove { phase, later: false };
    steps.extend((1..n).map(|_| remove(0)));
    let low = |plan: &Plan| plan.way.phase(plan.way.stages.len().saturating_sub(1)).clone();
    let (initial, goal) = (low(from), low(to));
    let end = to.way.end().clone();
    let least: Levels = initial.iter().zip(&goal).map(|(a, b)| *a.min(b)).collect();
    let level = |phase: usize, levels: &Levels| -> Vec<Mutation> {
        let one = |(axis, level): (usize, &u8)| Mutation::Level { phase, axis, level: *level };
        levels.iter().enumerate().map(one).collect()
    };
    if n == 0 && m > 0 {
        // A stage before the only phase there is, or after it.
        let place = to.way.stages[m - 1].place;
        let lower = vec![0; initial.len()];
        steps.push(Mutation::Insert { phase: 0, place, levels: lower });
        steps.extend(raise_from_the_bottom(from, place));
    }
    if m > 0 {
        steps.extend(level(0, &least));
        // Its end goes up before it goes down, for a stage must raise something.
        let top: Levels = from.way.end().iter().zip(&end).map(|(a, b)| *a.max(b)).collect();
        steps.extend(level(1, &top));
        steps.extend(level(1, &end));
        steps.extend(level(0, &goal));
        steps.push(Mutation::Move { stage: 0, place: to.way.stages[m - 1].place });
        for stage in (0..m - 1).rev() {
            let (place, levels) = (to.way.stages[stage].place, to.way.phase(stage).clone());
            steps.push(Mutation::Insert { phase: 0, place, levels });
        }
    } else {
        if n > 0 {
            steps.push(remove(0));
        }
        steps.extend(level(0, &to.way.initial));
    }
    for (choice, value) in to.choices.iter().enumerate() {
        steps.push(Mutation::Choose { choice, value: *value });
    }
    steps
}

/// Where a plan never grows and is as small as can be, it first gets a larger end.
fn raise_from_the_bottom(from: &Plan, place: u16) -> Vec<Mutation> {
    match from.way.initial.iter().all(|level| *level == 0) {
        true => {
            let mut levels = from.way.initial.clone();
            levels[0] = 1;
            vec![Mutation::Insert { phase: 1, place, levels }]
        }
        false => vec![],
    }
}

#[test]
fn a_small_space_is_drawn_whole() {
    for free in [false, true] {
        let space = space(&[2, 2], 3, 2, false, free);
        let random = &mut stream(1, "test");
        let drawn: BTreeSet<Plan> =
            (0..6000).map(|_| space.sample(random).expect("a plan")).collect();
        let ways = space.lattice.ways().expect("few");
        let grow = ways.iter().filter(|way| way.initial[0] < way.end()[0]).count();
        assert_eq!(drawn.len(), grow * 9 + (ways.len() - grow) * 3, "every way with every choice");
        assert_eq!(drawn, space.plans().into_iter().collect());
    }
}

#[test]
fn an_empty_space_has_no_plan() {
    let random = &mut stream(1, "test");
    assert_eq!(space(&[], 3, 2, false, false).sample(random), None);
    assert_eq!(space(&[2], 0, 2, false, false).sample(random), None);
}
