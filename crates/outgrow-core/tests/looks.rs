//! A strategy that sees on the way how it grows: what is trained when, what it is charged, and that each
//! look is the beginning of the trial that may follow.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Sweep, Trial,
    sweep::{Choices, Chosen, GridPoint, LOOK, Looked, Member, in_order, shared_prefixes},
};
use proptest::prelude::*;

const SWEEP: &str = r#"
name = "looks"
replicates = 2
data = { corpus = "rust-crates", seq_len = 32 }
training = { batch_size = 4, tokens = 400_000, schedule = { kind = "wsd", warmup = 4_096, decay = 0.2, end = 0.05 } }
initial = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64 }
target = { d_model = 32, n_layers = 3, n_heads = 4, d_ff = 128 }
controls = { same_tokens = false, same_compute = true, fixed_sizes = 0 }

[[strategies]]
name = "greedy"
kind = "choose_after"
among = ["mlp_expansion", ["hidden_expansion", "head_addition"], "layer_addition"]
at_compute = [0.1, 0.3, 0.6]
look = 10_000
"#;

fn sweep(text: &str) -> (Sweep, Vec<Member>) {
    let sweep = Sweep::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let members = sweep.members("d").expect("members");
    (sweep, members)
}

fn at<'a>(members: &'a [Member], places: &BTreeSet<usize>) -> Vec<&'a Member> {
    members.iter().filter(|member| places.contains(&member.position)).collect()
}

fn orders(members: &[Member]) -> Vec<&Member> {
    members.iter().filter(|member| member.strategy == "greedy").collect()
}

/// Trains round by round; `loss` says how a look ends. What each round had.
fn trained(
    sweep: &Sweep,
    members: &[Member],
    choices: &Choices,
    loss: impl Fn(&Trial) -> f64,
) -> Vec<BTreeSet<usize>> {
    let mut rounds = vec![sweep.first_round(members)];
    loop {
        let there: BTreeSet<usize> = rounds.iter().flatten().copied().collect();
        let looks = at(members, &there).into_iter().filter(|member| member.kind == LOOK);
        let looked = looks.map(|look| (look.trial.id(), loss(&look.trial))).collect();
        let next = sweep.next_round(members, &there, choices, &looked, u64::MAX);
        assert!(next.is_disjoint(&there));
        if next.is_empty() {
            return rounds;
        }
        rounds.push(next);
    }
}

#[test]
fn looks_come_place_by_place_and_the_order_that_they_choose_last() {
    let (sweep, members) = sweep(SWEEP);
    assert_eq!(orders(&members).len(), 2 * 6, "all orders of three, under two seeds");
    // The MLP looks best at first, then the layer.
    let loss = |look: &Trial| {
        let grown = look.plan.target();
        let (mlp, layers) = (grown.layers[0].d_ff == 128, grown.layers.len() == 3);
        2.0 - 0.2 * f64::from(mlp) - 0.1 * f64::from(layers)
    };
    let rounds = trained(&sweep, &members, &Choices::new(), loss);
    let counts = |round: &BTreeSet<usize>, strategy: &str| {
        let own = at(&members, round).into_iter().filter(|one| one.strategy == strategy);
        own.map(|one| one.replicate).collect::<Vec<_>>()
    };
    let looks = |round| counts(round, "greedy: looks");
    assert_eq!(
        [&rounds[0], &rounds[1], &rounds[2]].map(looks),
        [vec![0, 0, 0, 1, 1, 1], vec![0, 0, 1, 1], vec![]]
    );
    let chosen = |round| counts(round, "greedy");
    assert_eq!([&rounds[0], &rounds[1], &rounds[2]].map(chosen), [vec![], vec![], vec![0, 1]]);
    assert_eq!(rounds.len(), 3);
    for chosen in at(&members, &rounds[2]) {
        let grown: Vec<_> =
            (1..=3).map(|stage| chosen.trial.plan.architecture_after(stage)).collect();
        assert_eq!((grown[0].layers[0].d_ff, grown[0].layers.len()), (128, 2));
        assert_eq!((grown[1].layers.len(), grown[1].d_model), (3, 16));
        assert_eq!(grown[2], sweep.target());
    }
    let with =
        |there: &BTreeSet<usize>| &sweep.expected_places(&members, &Choices::new(), there) | there;
    let all: BTreeSet<usize> = rounds.iter().flatten().copied().collect();
    assert_eq!(with(&all), all, "and as it was trained");
    assert_eq!(with(&rounds[..2].iter().flatten().copied().collect()).len(), all.len());
    let expected = sweep.expected(members.clone());
    assert_eq!(
        expected.len(),
        rounds.iter().map(BTreeSet::len).sum::<usize>(),
        "as it was planned"
    );
}

#[test]
fn all_that_is_tried_is_charged() {
    let (_, members) = sweep(SWEEP);
    let born = members.iter().find(|member| member.kind == "from_scratch").expect("a control");
    let flops = |trial: &Trial| trial.plan.train_flops(trial.settings.tokens) as f64;
    for order in orders(&members) {
        let plan = &order.trial.plan;
        let same = flops(&order.trial) / flops(&born.trial);
        assert!((same - 1.0).abs() < 2e-3, "equal compute: {same}");
        let tried: Vec<usize> = plan
            .stages()
            .iter()
            .map(|stage| stage.look.as_ref().map_or(0, |look| look.others.len()))
            .collect();
        assert_eq!(tried, [2, 1, 0]);
        let look = plan.stages()[0].look.as_ref().expect("a look");
        assert_eq!(look.tokens, 10_112, "in whole steps of 128");
        let others: u128 = look
            .others
            .iter()
            .map(|growths| {
                let stage = outgrow_core::Stage::new(128, growths.clone());
                let grown =
                    outgrow_core::plan::GrowthPlan::new(plan.initial().clone(), vec![stage]);
                let grown = grown.expect("a plan");
                grown.train_flops(128 + look.tokens) - grown.train_flops(128)
            })
            .sum();
        assert_eq!(plan.operator_flops(0), others);
        let tokens = order.trial.settings.tokens;
        let tried = plan.look_flops(0) + plan.look_flops(1);
        assert_eq!(plan.own_flops(tokens) + tried, plan.train_flops(tokens));
        assert_eq!(plan.operator_flops(2), 0);
    }
}

#[test]
fn a_look_is_how_the_trial_begins_that_follows_it() {
    let (_, members) = sweep(SWEEP);
    let mut all = in_order(&members);
    all.sort_by_key(|member| member.kind != LOOK);
    let trials: Vec<&Trial> = all.iter().map(|member| &member.trial).collect();
    let prefixes = shared_prefixes(&trials);
    let mut checked = 0;
    for (order, prefix) in all.iter().zip(&prefixes).filter(|(one, _)| one.strategy == "greedy") {
        let prefix = prefix.expect("it begins as a look does");
        let until = order.trial.plan.stages()[1].looked_at() - order.trial.step_tokens();
        assert!(prefix.step * order.trial.step_tokens() >= until, "to its last step but one");
        checked += 1;
    }
    assert_eq!(checked, 12);
}

#[test]
fn what_diverged_is_not_chosen_and_what_failed_holds_up() {
    let (sweep, members) = sweep(SWEEP);
    let first = sweep.first_round(&members);
    let look = |place: &usize| members.iter().find(|one| one.position == *place).expect("one");
    let looks: Vec<&Member> =
        first.iter().map(look).filter(|one| one.kind == LOOK && one.replicate == 0).collect();
    let mut looked: Looked = looks.iter().map(|one| (one.trial.id(), f64::INFINITY)).collect();
    looked.insert(looks[1].trial.id(), 9.0);
    let next = sweep.next_round(&members, &first, &Choices::new(), &looked, u64::MAX);
    let next = at(&members, &next);
    assert_eq!(next.len(), 2, "of the other seed nothing is known");
    assert!(next.iter().all(|one| one.trial.plan.stages()[0] == looks[1].trial.plan.stages()[0]));
    looked.remove(&looks[2].trial.id());
    assert!(
        sweep.next_round(&members, &first, &Choices::new(), &looked, u64::MAX).is_empty(),
        "until it is trained again"
    );
}

#[test]
fn seeds_that_tune_look_around_at_every_rate_and_the_others_where_they_chose() {
    let text = SWEEP.replace("replicates = 2", "replicates = 2\ntuning_replicates = 2");
    let (sweep, members) = sweep(&format!("grid.training.learning_rate = [1e-3, 2e-3]\n{text}"));
    let mut choices = Choices::new();
    for member in &members {
        let point = GridPoint { learning_rate: 2e-3, setting: String::new() };
        let chosen = Chosen { point: Some(point), edge: None, loss: 1.0 };
        choices.insert(outgrow_core::sweep::ArmAt::new(&member.strategy, member.budget), chosen);
    }
    let first = sweep.first_round(&members);
    let next = sweep.next_round(&members, &first, &choices, &Looked::new(), u64::MAX);
    assert!(next.is_empty(), "looks that failed hold up what was chosen without them");
    let rounds = trained(&sweep, &members, &choices, |_| 1.0);
    let counts: Vec<BTreeMap<(String, bool), usize>> = rounds
        .iter()
        .map(|round| {
            let mut counts = BTreeMap::new();
            for one in at(&members, round).into_iter().filter(|one| one.strategy.starts_with('g')) {
                *counts.entry((one.strategy.clone(), one.replicate >= 2)).or_default() += 1;
            }
            counts
        })
        .collect();
    let of = |name: &str, tunes, n| BTreeMap::from([((name.to_owned(), tunes), n)]);
    assert_eq!(
        counts,
        [
            of("greedy: looks", true, 3 * 4),
            of("greedy: looks", true, 2 * 4),
            of("greedy", true, 4),
            of("greedy: looks", false, 3 * 2),
            of("greedy: looks", false, 2 * 2),
            of("greedy", false, 2),
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever looks show, each seed ends with one order, whose looks were the best of theirs; and orders
    /// that begin alike stand at the same steps.
    #[test]
    fn every_seed_ends_with_the_order_that_looked_best(losses: Vec<u16>, look in 1u64..40_000) {
        let text = SWEEP.replace("look = 10_000", &format!("look = {look}"));
        let (sweep, members) = sweep(&text);
        let loss = |trial: &Trial| {
            let id = u64::from_str_radix(&trial.id()[..8], 16).expect("hexadecimal");
            f64::from(losses.get(id as usize % losses.len().max(1)).copied().unwrap_or(0))
        };
        let rounds = trained(&sweep, &members, &Choices::new(), loss);
        let all: BTreeSet<usize> = rounds.iter().flatten().copied().collect();
        for seed in 0..2 {
            let own: Vec<&Member> =
                at(&members, &all).into_iter().filter(|one| one.replicate == seed).collect();
            let chosen: Vec<&&Member> = own.iter().filter(|one| one.strategy == "greedy").collect();
            prop_assert_eq!(chosen.len(), 1);
            let stages = chosen[0].trial.plan.stages();
            for number in 0..2 {
                let looks: Vec<&&Member> = own
                    .iter()
                    .filter(|one| one.kind == LOOK && one.trial.plan.stages().len() == number + 1)
                    .collect();
                prop_assert_eq!(looks.len(), 3 - number);
                let best = looks.iter().map(|one| loss(&one.trial)).fold(f64::INFINITY, f64::min);
                let it = looks.iter().find(|one| one.trial.plan.stages() == &stages[..=number]);
                prop_assert_eq!(loss(&it.expect("its own").trial), best);
                prop_assert!(looks.iter().all(|one| one.trial.settings.tokens == stages[number].looked_at()));
            }
        }
    }
}

#[test]
fn what_cannot_be_compared_on_the_way_is_refused() {
    let refused = |from: &str, to: &str| {
        assert!(SWEEP.contains(from), "{from}");
        let text = SWEEP.replace(from, to);
        let found = Sweep::parse(&text).and_then(|sweep| sweep.members("d").map(drop));
        found.expect_err(to).to_string()
    };
    let among =
        r#"among = ["mlp_expansion", ["hidden_expansion", "head_addition"], "layer_addition"]"#;
    for (from, to, said) in [
        ("at_compute = [0.1, 0.3, 0.6]", "at = [0.1, 0.3, 0.6]", "at_compute"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.6, 0.3, 0.1]", "at_compute"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.1]", "from 2 places"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.1, 0.2, 0.3, 0.6]", "as many as"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.1, 0.11, 0.6]", "leave more room"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.1, 0.125, 0.6]", "look of stage 0 lasts"),
        ("at_compute = [0.1, 0.3, 0.6]", "at_compute = [0.1, 0.85, 0.95]", "no decay before"),
        ("look = 10_000", "look = 0", "look"),
        ("look = 10_000", "look = 10_000\nlayers = \"random\"", "nothing of this rule is drawn"),
        (among, "among = [\"mlp_expansion\"]", "2 to 6"),
        (among, "among = [\"mlp_expansion\", \"mlp_expansion\", \"layer_addition\"]", "twice"),
        (
            among,
            "among = [\"attention_expansion\", \"layer_addition\", \"mlp_expansion\"]",
            "from the beginning",
        ),
        (
            among,
            "among = [\"depth\", \"layer_addition\", \"mlp_expansion\"]",
            "such as \"mlp_expansion\"",
        ),
        (
            "kind = \"wsd\", warmup = 4_096, decay = 0.2,",
            "kind = \"cosine\", warmup = 4_096,",
            "training.schedule",
        ),
        ("warmup = 4_096", "warmup = 0.05", "warm-up in tokens"),
        ("batch_size = 4", "batch_size = 4, match_budget = \"tokens\"", "match_budget"),
        (
            "batch_size = 4",
            "batch_size = 4, growth = { learning_rate = { kind = \"rewind\", to = 0.5 } }",
            "rewound",
        ),
    ] {
        let error = refused(from, to);
        assert!(error.contains(said), "{to}: {error}");
    }
}
