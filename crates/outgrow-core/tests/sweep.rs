//! Sweep files: what they resolve to, what identity means, fairness of the budgets, and the learning rate.

use std::collections::BTreeSet;

use outgrow_core::{
    Sweep, cost,
    sweep::{Beginning, LearningRateSchedule, Member, Trial, beginnings, in_order},
};

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

fn flops(member: &Member) -> f64 {
    member.trial.plan.train_flops(member.trial.settings.tokens) as f64
}

/// Strategy names and trials of a sweep with other controls, and perhaps more.
fn members(controls: &str, change: (&str, &str)) -> Vec<Member> {
    let none = "controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }";
    let text = SWEEP.replace(none, controls).replace(change.0, change.1);
    Sweep::parse(&text).expect("a sweep").members("d").expect("members")
}

fn one<'a>(members: &'a [Member], kind: &str) -> Vec<&'a Member> {
    members.iter().filter(|member| member.kind == kind && member.replicate == 0).collect()
}

#[test]
fn the_three_controls_are_scheduled_by_themselves() {
    // Enough tokens that steps are fine, and one plan that grows half-way.
    let longer = ("tokens = 800\n", "tokens = 32_000\n");
    let grows = |members: Vec<Member>| {
        let grown: Vec<Member> = members.iter().filter(|m| m.kind == "random" && m.replicate == 0).cloned().collect();
        let mean = |of: &dyn Fn(&Member) -> f64| grown.iter().map(of).sum::<f64>() / grown.len() as f64;
        let means = (mean(&flops), mean(&|m| m.trial.settings.tokens as f64));
        (members, means)
    };
    // Equal tokens: from_scratch is the control of equal tokens, and one is annealed to the compute of the growing.
    let (all, (compute, _)) = grows(members("", longer));
    let [annealed] = one(&all, "from_scratch_annealed")[..] else { panic!("one annealed control") };
    assert!((flops(annealed) / compute - 1.0).abs() < 0.01 && annealed.strategy.starts_with("from_scratch_"));
    assert!(
        (annealed.trial.learning_rate(annealed.trial.settings.tokens) > 0.0) && annealed.trial.plan.stages().is_empty()
    );
    let [fixed] = one(&all, "fixed_size")[..] else { panic!("one size between") };
    assert!((flops(fixed) / compute - 1.0).abs() < 0.01);
    let size = cost::parameters(fixed.trial.plan.target());
    let [from, to] = [all[2].trial.plan.initial(), all[0].trial.plan.target()].map(cost::parameters);
    assert!(from < size && size < to, "{from} < {size} < {to}");
    // Equal compute: from_scratch is the control of equal compute, and one has the tokens of the growing.
    let swapped = "controls = { same_tokens = true, same_compute = true, fixed_sizes = 2 }\nname";
    let text = SWEEP
        .replace("name", swapped)
        .replace("equal = \"tokens\"", "equal = \"train_flops\"")
        .replace(longer.0, longer.1);
    let text = text.replace("controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }", "");
    let (all, (compute, tokens)) = grows(Sweep::parse(&text).expect("a sweep").members("d").expect("members"));
    let [longer] = one(&all, "from_scratch_annealed")[..] else { panic!("one longer control") };
    assert!((longer.trial.settings.tokens as f64 / tokens - 1.0).abs() < 0.01 && flops(longer) > 1.1 * compute);
    assert_eq!(one(&all, "fixed_size").len(), 2);
    assert_eq!(one(&all, "from_scratch").len(), 1, "what is among the strategies is not scheduled again");
}

#[test]
fn every_arm_is_trained_at_every_learning_rate() {
    let controls =
        "controls = { same_tokens = true, same_compute = true, fixed_sizes = 1, learning_rates = [1e-3, 3e-3] }";
    let all = members(controls, ("{ kind = \"from_scratch\" }, ", ""));
    let single = members(&controls.replace(", 3e-3", ""), ("{ kind = \"from_scratch\" }, ", ""));
    assert_eq!(all.len(), 2 * single.len());
    let ids = |members: &[Member]| members.iter().map(|member| member.trial.id()).collect::<BTreeSet<_>>();
    assert!(ids(&single).is_subset(&ids(&all)), "a wider grid adds trials and changes none");
    assert_eq!(one(&all, "from_scratch").len(), 2, "the control is scheduled by itself");
    let refused = |controls: &str| {
        let none = "controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }";
        Sweep::parse(&SWEEP.replace(none, controls)).expect_err("refused").to_string()
    };
    assert!(refused(&controls.replace("3e-3", "1e-3")).contains("there only once"));
    assert!(refused(&controls.replace("fixed_sizes = 1", "fixed_sizes = 99")).contains("at most 16"));
}

#[test]
fn an_operator_that_can_not_do_what_is_asked_is_refused_when_the_sweep_is_read() {
    let sweep = |strategy: &str| {
        let text = SWEEP.replace("{ kind = \"from_scratch\" }", strategy);
        Sweep::parse(&text).map(|sweep| sweep.members("d").expect("members")).map_err(|error| error.to_string())
    };
    let operator = |operator: &str| format!("{{ kind = \"operator\", at = [0.5], operator = {operator} }}");
    for (strategy, words) in [
        (operator("{ kind = \"hyper_cloning\" }"), "strategy `hyper_cloning`: hyper_cloning: it adds no layers"),
        (
            operator("{ kind = \"stack\", order = \"block\" }"),
            "it only adds layers, but d_model is 8 and should become 12",
        ),
        (operator("{ kind = \"stack\", order = \"sideways\" }"), "sideways"),
        (operator("{ kind = \"lego\" }"), "lego"),
        (operator("{ kind = \"lemon\" }"), "lemon: it copies heads as wholes, so d_k and d_v can't change"),
        (
            "{ kind = \"operator\", at = [0.5, 0.2], operator = { kind = \"staged\", depth = \"copy\" } }".into(),
            "each greater than the one before",
        ),
    ] {
        let message = sweep(&strategy).expect_err("it can't");
        assert!(message.contains(words), "{strategy}: {message}");
    }
    // With an initial model of its own it can: the target with half of its layers, doubled.
    let initial = "initial = { d_model = 12, n_layers = 1, n_heads = 2, d_k = 6, d_v = 6, d_ff = 16 }";
    let stack = format!(
        "{{ kind = \"operator\", at = [0.25], operator = {{ kind = \"stack\", order = \"block\" }}, {initial} }}"
    );
    let members = sweep(&stack).expect("it can");
    let member = &members[0];
    assert_eq!((member.strategy.as_str(), member.trial.plan.stages()[0].tokens), ("stack", 208));
    let text = serde_json::to_string(&member.trial).expect("JSON");
    assert_eq!(serde_json::from_str::<outgrow_core::Trial>(&text).expect("reads back"), member.trial);
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let wsd = LearningRateSchedule::Wsd { warmup: 0.1, decay: 0.2, end: 0.0 };
    assert!(wsd.factor(0.0, 1000) > 0.0 && wsd.factor(0.05, 1000) < 1.0);
    assert_eq!((wsd.factor(0.1, 1000), wsd.factor(0.5, 1000), wsd.factor(0.75, 1000)), (1.0, 1.0, 1.0));
    assert!((wsd.factor(0.9, 1000) - 0.5).abs() < 1e-12);
    let cosine = LearningRateSchedule::Cosine { warmup: 0.0, end: 0.1 };
    assert!((cosine.factor(0.5, 1000) - 0.55).abs() < 1e-12);
    let linear = LearningRateSchedule::Linear { warmup: 0.5, end: 0.0 };
    assert!((linear.factor(0.75, 1000) - 0.5).abs() < 1e-12);
    assert_eq!(LearningRateSchedule::Constant { warmup: 0.1 }.factor(1.0, 1000), 1.0);
    let in_tokens = LearningRateSchedule::Wsd { warmup: 50.0, decay: 0.2, end: 0.0 };
    assert_eq!(
        (in_tokens.factor(0.025, 1000), in_tokens.factor(0.05, 1000), in_tokens.factor(0.0125, 2000)),
        (0.5, 1.0, 0.5)
    );
    assert_eq!([1000, 2000].map(|tokens| in_tokens.settled_until(tokens)), [799, 1599]);
}

/// Everything that a step depends on, but weights: its text is that of the seed and the step's number.
fn step_depends_on(trial: &Trial, step: u64) -> String {
    let tokens = step * trial.step_tokens();
    let grown: Vec<_> = trial.plan.stages().iter().filter(|stage| stage.tokens <= tokens).collect();
    let policy = if grown.is_empty() { String::new() } else { format!("{:?}", trial.settings.training.growth) };
    let rate = trial.learning_rate(tokens);
    format!("{} {:?} {grown:?} {policy} {rate:?}", trial.seed, trial.plan.initial())
}

/// The CLI's sweep with more ways to grow: 15 plans under 2 seeds, all from one initial architecture.
fn many_plans(equal: &str, schedule: &str) -> Vec<Member> {
    let more = r#"{ kind = "random", plans = 10, max_stages = 4, window = [0.1, 0.9] },
        { kind = "random", name = "warmed", plans = 4, max_stages = 4, window = [0.1, 0.9], growth = { initializer = { kind = "normal", scale = 1.0 },
          optimizer = "keep_entry_age", learning_rate = { kind = "rewind", to = 0.1, tokens = 640 } } }, { kind = "all_at_once", plans = 1, at = 0.5 }]"#;
    let text = include_str!("../../outgrow-cli/tests/sweep.toml")
        .replace("{ kind = \"random\", plans = 1, max_stages = 3, window = [0.1, 0.6] }]", more)
        .replace("equal = \"tokens\"", &format!("equal = \"{equal}\""))
        .replace(r#"{ kind = "cosine", warmup = 0.1, end = 0.1 }"#, schedule);
    Sweep::parse(&text).unwrap_or_else(|error| panic!("{error}")).members("text").expect("members")
}

#[test]
fn trials_that_begin_alike_are_found() {
    let cosine = r#"{ kind = "cosine", warmup = 0.1, end = 0.1 }"#;
    let constant = r#"{ kind = "constant", warmup = 0.0 }"#;
    let wsd = r#"{ kind = "wsd", warmup = 1280, decay = 0.2, end = 0.1 }"#;
    for (equal, schedule, expected) in
        [("tokens", cosine, 28), ("train_flops", constant, 28), ("train_flops", wsd, 28), ("train_flops", cosine, 0)]
    {
        let members = many_plans(equal, schedule);
        let order = in_order(&members);
        let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
        let found = beginnings(&trials);
        for (number, (trial, beginning)) in trials.iter().zip(&found).enumerate() {
            let Some(Beginning { of, step }) = *beginning else { continue };
            assert!(of < number && step < trial.steps() && step < trials[of].steps(), "{number}: {beginning:?}");
            let alike = |other: &Trial, steps: u64| {
                (0..steps).all(|step| step_depends_on(trial, step) == step_depends_on(other, step))
            };
            assert!(alike(trials[of], step), "{number}: {beginning:?}");
            assert!(found[of].is_none_or(|others| others.step < step), "{number}: {of} never is at step {step}");
            // Nobody earlier has more in common.
            let same_end = |other: &&&Trial| other.settings.tokens == trial.settings.tokens;
            let mut longer = trials[..number].iter().filter(same_end);
            assert!(
                step + 1 == trial.steps() || !longer.any(|other| alike(other, step + 1)),
                "{number}: {beginning:?}"
            );
        }
        assert_eq!(found.iter().flatten().count(), expected, "{equal} {schedule}");
    }
}

#[test]
fn memory_is_predicted_and_cut_to_fit() {
    use outgrow_core::cost::{Backward::*, more_parts, parts_that_fit, replicates_that_pay, training_bytes};
    let text = SWEEP.replace("batch_size = 4", "batch_size = 12");
    let trials: Vec<_> = Sweep::parse(&text).expect("a sweep").members("d").expect("members");
    for trial in trials.iter().map(|member| &member.trial) {
        let batch = trial.settings.training.batch_size;
        let all: Vec<u64> = (1..=batch).map(|parts| training_bytes(trial, parts, ByHand)).collect();
        assert!(all.is_sorted_by(|more, less| more >= less), "{all:?}");
        assert!(training_bytes(trial, 1, Autograd) >= all[0]);
        // The first that fits, of those that cut the batch into equal parts.
        assert_eq!(parts_that_fit(trial, all[0], 1, ByHand), Some(1));
        let two = more_parts(batch, 1).expect("a batch of more than one");
        assert_eq!(parts_that_fit(trial, all[0], two, ByHand), Some(two));
        let fits = parts_that_fit(trial, all[0] - 1, 1, ByHand);
        assert!(fits.is_none_or(|parts| parts > 1 && batch % parts == 0 && all[parts - 1] < all[0]), "{fits:?}");
        assert_eq!(parts_that_fit(trial, 0, 1, ByHand), None);
        assert_eq!(replicates_that_pay(trial), 32, "a small model leaves a GPU idle");
    }
}
