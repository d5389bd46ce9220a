//! Sweep files, trials as a database holds them, and lists of growths.

use outgrow_core::model::{n_parameters, parameters};
use outgrow_core::sweep::memory;
use outgrow_core::{
    Growth, Sweep, Trial,
    growth::{all_preserve, grow_all},
    sweep::{Draft, Member, in_order, memory::Backward, shared_prefixes},
};

/// What the studies have in common.
const BORN: &str = include_str!("../../../experiments/born.toml");
const STUDIES: [&str; 3] = [
    include_str!("../../../experiments/operators/sweep.toml"),
    include_str!("../../../experiments/policy-at-growth/sweep.toml"),
    include_str!("../../../experiments/tokens-per-parameter/sweep.toml"),
];

/// Sweeps of the project's own, the one of all operators first.
fn own() -> Vec<Sweep> {
    let known = "a sweep of the project's own";
    let draft = |text| Draft::parse("", text).expect(known);
    let study = |text| draft(text).over(vec![draft(BORN)]).spec(None).and_then(Sweep::new);
    let plain = [
        include_str!("../../outgrow-store/tests/sweep.toml"),
        include_str!("../../../experiments/quickstart/sweep.toml"),
        include_str!("../../../experiments/rates-by-size/sweep.toml"),
    ];
    STUDIES
        .map(study)
        .into_iter()
        .chain(plain.map(Sweep::parse))
        .map(|sweep| sweep.expect(known))
        .collect()
}

/// A sweep of more trials is not expanded: it takes longer because it is larger.
const MOST_TRIALS: usize = 500;

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

fn expanded(sweep: &Sweep) -> Vec<Member> {
    sweep.members("d").expect("members")
}

pub(crate) fn sweep(input: &[u8]) -> bool {
    let Some(sweep) = text(input).and_then(|text| Sweep::parse(text).ok()) else { return false };
    let again = Sweep::parse(&sweep.resolved()).expect("a resolved sweep is a sweep");
    assert_eq!(again.resolved(), sweep.resolved(), "what is printed means the same");
    let spec = sweep.spec();
    let plans =
        spec.strategies.iter().fold(0, |sum: usize, s| sum.saturating_add(s.strategy.plans()));
    if plans.saturating_mul(spec.replicates.saturating_add(spec.tuning_replicates)) <= MOST_TRIALS
        && let Ok(members) = sweep.members("d")
    {
        let trials: Vec<&Trial> =
            in_order(&members).into_iter().map(|member| &member.trial).collect();
        shared_prefixes(&trials);
        trials.iter().for_each(|trial| examine(trial));
    }
    true
}

pub(crate) fn sweeps() -> Vec<Vec<u8>> {
    own().iter().map(|sweep| sweep.resolved().into_bytes()).collect()
}

pub(crate) fn trial(input: &[u8]) -> bool {
    let Ok(trial) = serde_json::from_slice::<Trial>(input) else { return false };
    let again: Trial =
        serde_json::from_str(&serde_json::to_string(&trial).expect("plain data")).expect("a trial");
    assert_eq!(again.id(), trial.id(), "what is written means the same");
    examine(&trial);
    shared_prefixes(&[&trial, &again]);
    true
}

/// What a worker and a plan ask of a trial before anything is trained.
fn examine(trial: &Trial) {
    trial.id();
    trial.plan.phases();
    trial.plan.train_flops(trial.settings.tokens);
    let settings = trial.step_settings();
    for stage in 0..trial.plan.stages().len() {
        trial.plan.operator_flops(stage);
        let now = trial.plan.architecture_after(stage + 1);
        parameters(now).into_iter().map(settings.factors(now)).for_each(drop);
    }
    memory::training_bytes(trial, 1, Backward::Autograd);
    memory::micro_batches_that_fit(trial, 1 << 30, 1, Backward::Autograd);
}

pub(crate) fn trials() -> Vec<Vec<u8>> {
    let members: Vec<Member> = own().iter().flat_map(expanded).collect();
    let one_of_each = members.chunk_by(|a, b| a.strategy == b.strategy).map(|same| &same[0].trial);
    one_of_each.map(|trial| serde_json::to_vec(trial).expect("plain data")).collect()
}

pub(crate) fn growths(input: &[u8]) -> bool {
    let Ok(growths) = serde_json::from_slice::<Vec<Growth>>(input) else { return false };
    let sweep = &own()[0];
    all_preserve(sweep.initial(), &growths);
    let grown = grow_all(sweep.initial(), &growths, 1);
    grown.is_ok_and(|grown| n_parameters(&grown.architecture) > 0)
}

pub(crate) fn lists_of_growths() -> Vec<Vec<u8>> {
    let members = expanded(&own()[0]);
    let stages = members.iter().filter_map(|member| member.trial.plan.stages().first());
    let mut lists: Vec<Vec<u8>> =
        stages.map(|s| serde_json::to_vec(&s.growths).expect("plain data")).collect();
    lists.dedup();
    lists
}
