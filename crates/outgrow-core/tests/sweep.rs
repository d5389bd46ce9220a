//! Sweep files: what they resolve to, what identity means, fairness of the budgets, and the learning rate.

use std::collections::BTreeSet;

use outgrow_core::{Sweep, sweep::LearningRateSchedule};

const SWEEP: &str = include_str!("../../outgrow-store/tests/sweep.toml");

#[test]
fn the_resolved_text_means_the_same() {
    let sweep = Sweep::parse(SWEEP).expect("a sweep");
    insta::assert_snapshot!(sweep.resolved());
    let again = Sweep::parse(&sweep.resolved()).expect("its own text");
    assert_eq!((&again, again.id("d")), (&sweep, sweep.id("d")));
    assert_ne!(sweep.id("d"), sweep.id("e"));
}

#[test]
fn the_quickstart_is_a_sweep_with_fair_budgets() {
    let text = include_str!("../../../experiments/quickstart/sweep.toml");
    let sweep = Sweep::parse(text).expect("a sweep");
    let members = sweep.members("d").expect("members");
    let flops = |m: &outgrow_core::sweep::Member| m.trial.plan.train_flops(m.trial.settings.tokens) as f64;
    let control = members.iter().find(|member| member.kind == "from_scratch").expect("a control");
    for member in &members {
        let off = flops(member) / flops(control) - 1.0;
        assert!(off.abs() < 0.01, "{} spends {:.2} % more than the control", member.strategy, 100.0 * off);
    }
    // Replicates of all plans share their seeds, and so their text; trials are told apart.
    assert_eq!(members.iter().map(|m| m.trial.seed).collect::<BTreeSet<_>>().len(), sweep.spec().replicates);
    assert_eq!(members.iter().map(|m| m.trial.id()).collect::<BTreeSet<_>>().len(), members.len());
}

#[test]
fn a_trials_identity_is_what_determines_its_result() {
    let ids = |text: &str| -> BTreeSet<String> {
        let sweep = Sweep::parse(text).expect("a sweep");
        sweep.members("d").expect("members").iter().map(|member| member.trial.id()).collect()
    };
    let plain = ids(SWEEP);
    // Names, checkpoints and more replicates change no trial.
    assert_eq!(plain, ids(&SWEEP.replace("name = \"small\"", "name = \"other\"")));
    assert_eq!(plain, ids(&SWEEP.replace("every_tokens = 400", "every_tokens = 200")));
    assert!(plain.is_subset(&ids(&SWEEP.replace("replicates = 2", "replicates = 3"))));
    for (from, to) in
        [("seed = 3", "seed = 4"), ("1e-3", "2e-3"), ("beta2 = 0.99", "beta2 = 0.95"), ("seq_len = 8", "seq_len = 10")]
    {
        assert!(plain.is_disjoint(&ids(&SWEEP.replace(from, to))), "{to} must make other trials");
    }
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let wsd = LearningRateSchedule::Wsd { warmup: 0.1, decay: 0.2, end: 0.0 };
    assert!(wsd.factor(0.0) > 0.0 && wsd.factor(0.05) < 1.0);
    assert_eq!((wsd.factor(0.1), wsd.factor(0.5), wsd.factor(0.75)), (1.0, 1.0, 1.0));
    assert!((wsd.factor(0.9) - 0.5).abs() < 1e-12);
    let cosine = LearningRateSchedule::Cosine { warmup: 0.0, end: 0.1 };
    assert!((cosine.factor(0.5) - 0.55).abs() < 1e-12);
    let linear = LearningRateSchedule::Linear { warmup: 0.5, end: 0.0 };
    assert!((linear.factor(0.75) - 0.5).abs() < 1e-12);
    assert_eq!(LearningRateSchedule::Constant { warmup: 0.1 }.factor(1.0), 1.0);
}
