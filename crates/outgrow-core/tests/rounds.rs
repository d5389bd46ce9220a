//! Rounds of a sweep: what is trained first, what follows, and what is widened.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Sweep,
    sweep::{ArmAt, Choices, Chosen, Edge, GridPoint, Looked, Member, in_order},
};
use proptest::prelude::*;

const SWEEP: &str = r#"
name = "rounds"
replicates = 3
tuning_replicates = 2
data = { corpus = "rust-crates", seq_len = 32 }
training = { batch_size = 8 }
initial = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64 }
target = { d_model = 32, n_layers = 3, n_heads = 4 }
grid.training.learning_rate = [1e-3, 2e-3, 4e-3]
strategies = [{ name = "stages", kind = "evenly_spaced", stages = 3, grow_between = [0.3, 0.7] }]
[frontier]
sizes = 7
budgets = [10, 20, 40]
strategies_at = [10, 20]
"#;

fn sweep(text: &str) -> (Sweep, Vec<Member>) {
    let sweep = Sweep::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let members = sweep.members("d").expect("members");
    (sweep, members)
}

fn widening() -> (Sweep, Vec<Member>) {
    sweep(&SWEEP.replace("tuning_replicates = 2", "tuning_replicates = 2\nwiden = true"))
}

fn rate(member: &Member) -> f64 {
    member.trial.settings.training.learning_rate
}

fn arms(members: &[Member]) -> BTreeSet<ArmAt> {
    members.iter().map(|member| ArmAt::new(&member.strategy, member.budget)).collect()
}

/// All arms choose one rate, without an edge.
fn all_choose(members: &[Member], learning_rate: f64) -> Choices {
    let point = GridPoint { learning_rate, setting: String::new() };
    let chosen = Chosen { point: Some(point), edge: None, loss: 1.0 };
    arms(members).into_iter().map(|arm| (arm, chosen.clone())).collect()
}

fn at<'a>(members: &'a [Member], places: &BTreeSet<usize>) -> Vec<&'a Member> {
    members.iter().filter(|member| places.contains(&member.position)).collect()
}

#[test]
fn seeds_that_tune_come_first_and_the_others_only_where_these_have_chosen() {
    let (sweep, members) = sweep(SWEEP);
    let positions: Vec<usize> = in_order(&members).iter().map(|member| member.position).collect();
    assert!(positions.iter().copied().eq(0..members.len()), "every place once, in order");
    let first = sweep.first_round(&members);
    let tuning = members.iter().filter(|member| member.tuning);
    assert_eq!(first, tuning.map(|member| member.position).collect());

    let mut choices = all_choose(&members, 2e-3);
    let at_20 = ArmAt::new("born_2", Some(20.0));
    let lowest = GridPoint { learning_rate: 1e-3, setting: String::new() };
    choices.get_mut(&at_20).expect("an arm").point = Some(lowest);
    let next = sweep.next_round(&members, &first, &choices, &Looked::new(), u64::MAX);
    let compared = at(&members, &next);
    assert_eq!(compared.len(), arms(&members).len() * 3, "three seeds of each arm");
    assert!(compared.iter().all(|member| !member.tuning && member.replicate < 3));
    for member in compared {
        let own = ArmAt::new(&member.strategy, member.budget) == at_20;
        assert_eq!(rate(member), if own { 1e-3 } else { 2e-3 });
    }
    let there = first.union(&next).copied().collect();
    assert!(
        sweep.next_round(&members, &there, &choices, &Looked::new(), u64::MAX).is_empty(),
        "there is an end"
    );
    let expected: BTreeSet<usize> =
        sweep.expected(members.clone()).iter().map(|member| member.position).collect();
    assert_eq!(expected.len(), there.len());
}

#[test]
fn an_arm_whose_tuning_trials_failed_is_compared_at_every_point() {
    let (sweep, members) = sweep(SWEEP);
    let first = sweep.first_round(&members);
    let mut choices = all_choose(&members, 2e-3);
    let arm = ArmAt::new("stages", Some(20.0));
    choices.insert(arm, Chosen { point: None, edge: None, loss: f64::NAN });
    let next = sweep.next_round(&members, &first, &choices, &Looked::new(), u64::MAX);
    let own = at(&members, &next).into_iter();
    let own = own.filter(|one| one.strategy == "stages" && one.budget == Some(20.0));
    assert_eq!(own.count(), 3 * 3);
}

#[test]
fn nothing_waits_where_nothing_tunes() {
    let (sweep, members) = sweep(&SWEEP.replace("tuning_replicates = 2", ""));
    let first = sweep.first_round(&members);
    assert_eq!(first.len(), members.len());
    assert!(
        sweep.next_round(&members, &first, &BTreeMap::new(), &Looked::new(), u64::MAX).is_empty()
    );
}

#[test]
fn an_arm_whose_best_rate_is_the_last_is_tried_beyond_it() {
    let (sweep, members) = widening();
    let mut there = sweep.first_round(&members);
    let rates: BTreeSet<u64> =
        at(&members, &there).into_iter().map(|member| rate(member).to_bits()).collect();
    assert_eq!(rates.len(), 3, "it begins with the grid");
    let mut choices = all_choose(&members, 2e-3);
    inner_sizes_win(&mut choices);
    let arm = ArmAt::new("stages", Some(20.0));
    let mut tried = vec![];
    loop {
        let point = GridPoint { learning_rate: 1e-3, setting: String::new() };
        let edge = Some(Edge::Lowest);
        choices.insert(arm.clone(), Chosen { point: Some(point), edge, loss: 1.0 });
        let next = sweep.next_round(&members, &there, &choices, &Looked::new(), u64::MAX);
        let new = at(&members, &next);
        if new.iter().any(|member| !member.tuning) {
            break;
        }
        assert_eq!(new.len(), 2, "both seeds that tune");
        assert!(new.iter().all(|one| one.strategy == "stages" && one.budget == Some(20.0)));
        tried.push(rate(new[0]));
        there.extend(next);
    }
    assert_eq!(tried, [5e-4, 2.5e-4]);
}

/// The third of the sizes of the file is the best at every budget.
fn inner_sizes_win(choices: &mut Choices) {
    for budget in [10.0, 20.0, 40.0] {
        let chosen = choices.get_mut(&ArmAt::new("born_5", Some(budget))).expect("a size");
        chosen.loss = 0.5;
    }
}

#[test]
fn sizes_are_continued_where_the_best_is_at_the_rim() {
    let (sweep, members) = widening();
    let names: Vec<String> = sweep.born_sizes().into_iter().map(|size| size.name).collect();
    let widens: Vec<bool> = sweep.born_sizes().into_iter().map(|size| size.widens).collect();
    assert_eq!(widens.iter().filter(|widens| !**widens).count(), 7);
    let sizes = sweep.born_sizes();
    assert!(sizes.is_sorted_by(|a, b| a.n < b.n), "{sizes:?}");
    let first = sweep.first_round(&members);
    let (low, high) = (widens.iter().position(|widens| !widens).expect("own"), widens.len());
    let high = high - 1 - widens.iter().rev().position(|widens| !widens).expect("own");
    for (best, next) in [(low, Some(low - 1)), (low + 1, Some(low - 1)), (low + 2, None)]
        .into_iter()
        .chain([(high, Some(high + 1)), (high - 1, Some(high + 1))])
    {
        let mut choices = all_choose(&members, 2e-3);
        for budget in [10.0, 20.0] {
            choices.get_mut(&ArmAt::new(&names[best], Some(budget))).expect("a size").loss = 0.5;
        }
        let round = sweep.next_round(&members, &first, &choices, &Looked::new(), u64::MAX);
        let new = at(&members, &round);
        let tuning: Vec<&&Member> = new.iter().filter(|member| member.tuning).collect();
        match next {
            None => assert!(tuning.is_empty()),
            Some(next) => {
                let wanted = names.get(next).expect("there is one more");
                assert!(tuning.iter().all(|member| member.strategy == *wanted));
                assert_eq!(tuning.len(), 3 * 3 * 2, "every budget, rate and seed");
            }
        }
    }
}

/// A text that the next size would repeat.
#[test]
fn a_size_that_would_repeat_its_text_is_not_tried() {
    let (sweep, members) = widening();
    let sizes = sweep.born_sizes();
    let first = sweep.first_round(&members);
    let low = sizes.iter().position(|size| !size.widens).expect("own");
    let mut choices = all_choose(&members, 2e-3);
    for budget in [10.0, 20.0] {
        choices.get_mut(&ArmAt::new(&sizes[low].name, Some(budget))).expect("a size").loss = 0.5;
    }
    let at = |name: &str, budget: f64| {
        let own = members.iter().find(|one| one.strategy == name && one.budget == Some(budget));
        own.expect("a trial").trial.settings.tokens
    };
    let text = at(&sizes[low - 1].name, 20.0);
    let next = sweep.next_round(&members, &first, &choices, &Looked::new(), text);
    let budgets: BTreeSet<u64> =
        self::at(&members, &next).iter().filter_map(|one| Some(one.budget? as u64)).collect();
    assert_eq!(budgets, BTreeSet::from([10, 20]), "not the largest budget");
    let next = sweep.next_round(&members, &first, &choices, &Looked::new(), 1);
    assert!(self::at(&members, &next).iter().all(|member| !member.tuning));
}

/// Where a sweep is not widened its sizes are called as ever.
#[test]
fn sizes_of_a_list_are_not_continued() {
    let (plain, _) = sweep(SWEEP);
    assert_eq!(plain.born_sizes()[0].name, "born_1");
    assert!(plain.born_sizes().iter().all(|size| !size.widens));
}

#[test]
fn widening_without_seeds_that_tune_is_refused() {
    let text = SWEEP.replace("tuning_replicates = 2", "widen = true");
    let error = Sweep::parse(&text).expect_err("refused").to_string();
    assert!(error.contains("widen") && error.contains("tuning_replicates = 2"), "{error}");
    let text = SWEEP
        .replace("tuning_replicates = 2", "tuning_replicates = 2\nwiden = true")
        .replace("[1e-3, 2e-3, 4e-3]", "[1e-3, 2e-3]");
    let error = Sweep::parse(&text).expect_err("refused").to_string();
    assert!(error.contains("three values"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is chosen, rounds come to an end, no trial comes twice, and every arm is compared
    /// at one point.
    #[test]
    fn rounds_end(edges in prop::collection::vec(0..3_u8, 64), losses in prop::collection::vec(0.0..1.0_f64, 64)) {
        let (sweep, members) = widening();
        let mut there = sweep.first_round(&members);
        let all: Vec<ArmAt> = arms(&members).into_iter().collect();
        for round in 0..20 {
            let tried = at(&members, &there);
            let choices: Choices = all.iter().enumerate().filter_map(|(number, arm)| {
                let rates = tried.iter().filter(|one| one.tuning && ArmAt::new(&one.strategy, one.budget) == *arm).map(|one| rate(one));
                let (edge, learning_rate) = match edges[number % 64] {
                    0 => (None, rates.clone().find(|rate| *rate == 2e-3)?),
                    1 => (Some(Edge::Lowest), rates.clone().min_by(f64::total_cmp)?),
                    _ => (Some(Edge::Highest), rates.clone().max_by(f64::total_cmp)?),
                };
                let point = Some(GridPoint { learning_rate, setting: String::new() });
                Some((arm.clone(), Chosen { point, edge, loss: losses[number % 64] }))
            }).collect();
            let next = sweep.next_round(&members, &there, &choices, &Looked::new(), u64::MAX);
            prop_assert!(next.is_disjoint(&there));
            if next.is_empty() {
                let tuned: BTreeSet<ArmAt> = tried.iter().filter(|one| one.tuning).map(|one| ArmAt::new(&one.strategy, one.budget)).collect();
                let compared = tried.iter().filter(|one| !one.tuning);
                prop_assert_eq!(compared.count(), 3 * tuned.len());
                return Ok(());
            }
            prop_assert!(round < 8, "rounds do not end");
            there.extend(next);
        }
    }
}
