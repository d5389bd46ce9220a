//! Sweep files: what they resolve to, what identity means, fairness of the budgets, and the
//! learning rate.

use outgrow_core::model::n_parameters;
use std::collections::BTreeSet;

use outgrow_core::{
    Architecture, HeadShape, LayerShape, Sweep, flops,
    sweep::{LearningRateSchedule, Member, SharedPrefix, Trial, in_order, shared_prefixes},
};

use proptest::prelude::*;

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
    let at = |budget| members.iter().filter(move |member| member.budget == Some(budget));
    for budget in [10.0, 20.0, 40.0] {
        let target = at(budget).find(|member| member.strategy == "born_4").expect("the target");
        for member in at(budget) {
            let off = flops(member) / flops(target) - 1.0;
            assert!(off.abs() < 0.01, "{}: {:.2} % more", member.strategy, 100.0 * off);
        }
    }
    // Replicates of all plans share their seeds, and so their text; trials are told apart.
    assert_eq!(
        members.iter().map(|m| m.trial.seed).collect::<BTreeSet<_>>().len(),
        sweep.spec().replicates
    );
    // The target from scratch is one of the born sizes.
    let others: Vec<_> = members.iter().filter(|m| m.kind != "from_scratch").collect();
    assert_eq!(others.iter().map(|m| m.trial.id()).collect::<BTreeSet<_>>().len(), others.len());
    assert_eq!(members.iter().map(|m| m.trial.id()).collect::<BTreeSet<_>>().len(), others.len());
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
    for (from, to) in [
        ("seed = 3", "seed = 4"),
        ("1e-3", "2e-3"),
        ("beta2 = 0.99", "beta2 = 0.95"),
        ("seq_len = 8", "seq_len = 10"),
    ] {
        assert!(plain.is_disjoint(&ids(&SWEEP.replace(from, to))), "{to} must make other trials");
    }
}

fn flops(member: &Member) -> f64 {
    member.trial.plan.train_flops(member.trial.settings.tokens) as f64
}

/// The plans of the growing strategy, replicate by replicate.
fn drawn(fields: &str, replicates: usize) -> Result<Vec<Vec<String>>, String> {
    let text = changed(&[
        ("kind = \"random\", plans = 2", &format!("kind = \"random\", {fields}")),
        ("replicates = 2", &format!("replicates = {replicates}")),
    ]);
    let sweep = Sweep::parse(&text).map_err(|error| error.to_string())?;
    let members = sweep.members("d").expect("members");
    assert_told_apart(&members);
    let of = |replicate| {
        let own = members.iter().filter(|m| m.kind == "random" && m.replicate == replicate);
        own.map(|member| member.trial.plan.id()).collect()
    };
    Ok((0..replicates).map(of).collect())
}

#[test]
fn a_comparison_is_about_the_rule_or_about_its_plans() {
    let of_the_rule = drawn("plans = 2", 3).expect("a sweep");
    let all: BTreeSet<_> = of_the_rule.iter().flatten().collect();
    assert_eq!(all.len(), 6, "each replicate has plans of its own");
    assert_eq!(of_the_rule[..2], drawn("plans = 2", 2).expect("a sweep"), "one more changes none");
    let of_plans = drawn("plans = 2, about = \"plan\"", 3).expect("a sweep");
    assert!(of_plans.iter().all(|plans| *plans == of_plans[0] && plans.len() == 2));
    assert_eq!(of_plans[0], of_the_rule[0]);

    let wrong = drawn("about = \"seed\"", 2).expect_err("no such question");
    assert!(wrong.contains("about") && wrong.contains("`rule` or `plan`"), "{wrong}");
    let fixed = SWEEP
        .replace("kind = \"from_scratch\"", "kind = \"all_at_once\", at = 0.5, about = \"rule\"");
    let fixed = Sweep::parse(&fixed).expect_err("nothing is drawn").to_string();
    assert!(fixed.contains("leave it out"), "{fixed}");
}

#[test]
fn places_are_shares_of_tokens_or_of_compute() {
    let at = |fields: &str| {
        let rule = format!("kind = \"all_at_once\", {fields}");
        Sweep::parse(&SWEEP.replace("kind = \"from_scratch\"", &rule)).map_err(|e| e.to_string())
    };
    let sweep = at("at_compute = 0.5").expect("a sweep");
    assert!(sweep.resolved().contains("at_compute = 0.5"), "{}", sweep.resolved());
    assert_eq!(Sweep::parse(&sweep.resolved()).expect("its own text").id("d"), sweep.id("d"));
    let members = sweep.members("d").expect("members");
    let trial = &members[0].trial;
    let (stage, plan) = (&trial.plan.stages()[0], &trial.plan);
    let share =
        plan.train_flops(stage.tokens) as f64 / plan.train_flops(trial.settings.tokens) as f64;
    assert!((share - 0.5).abs() < 0.05, "{share}: as near as whole steps allow");
    for (fields, what) in [
        ("at_compute = 1.5", "`at_compute` is 1.5"),
        ("at = 0.1, at_compute = 0.5", "both `at`"),
        ("at_compute = \"late\"", "a share of the trial"),
        ("grow_between_compute = [0.1, 0.5]", "grow_between"),
    ] {
        let error = at(fields).expect_err("refused");
        assert!(error.contains(what), "{fields}: {error}");
    }
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
        let grown: Vec<Member> = members.iter().filter(|m| m.kind == "random").cloned().collect();
        let mean =
            |of: &dyn Fn(&Member) -> f64| grown.iter().map(of).sum::<f64>() / grown.len() as f64;
        let means = (mean(&flops), mean(&|m| m.trial.settings.tokens as f64));
        (members, means)
    };
    // Equal tokens: from_scratch is the control of equal tokens, and one is annealed to the compute
    // of the growing.
    let (all, (compute, _)) = grows(members("", longer));
    let [annealed] = one(&all, "from_scratch_annealed")[..] else { panic!("one annealed control") };
    assert!(
        (flops(annealed) / compute - 1.0).abs() < 0.01
            && annealed.strategy.starts_with("from_scratch_")
    );
    assert!(
        (annealed.trial.learning_rate(annealed.trial.settings.tokens) > 0.0)
            && annealed.trial.plan.stages().is_empty()
    );
    let [fixed] = one(&all, "fixed_size")[..] else { panic!("one size between") };
    assert!((flops(fixed) / compute - 1.0).abs() < 0.01);
    let size = n_parameters(fixed.trial.plan.target());
    let [from, to] = [all[2].trial.plan.initial(), all[0].trial.plan.target()].map(n_parameters);
    assert!(from < size && size < to, "{from} < {size} < {to}");
    // Equal compute: from_scratch is the control of equal compute, and one has the tokens of the
    // growing.
    let swapped = "controls = { same_tokens = true, same_compute = true, fixed_sizes = 2 }\nname";
    let text = SWEEP
        .replace("name", swapped)
        .replace("match_budget = \"tokens\"", "match_budget = \"flops\"")
        .replace(longer.0, longer.1);
    let text = text
        .replace("controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }", "");
    let (all, (compute, tokens)) =
        grows(Sweep::parse(&text).expect("a sweep").members("d").expect("members"));
    let [longer] = one(&all, "from_scratch_annealed")[..] else { panic!("one longer control") };
    assert!(
        (longer.trial.settings.tokens as f64 / tokens - 1.0).abs() < 0.01
            && flops(longer) > 1.1 * compute
    );
    assert_eq!(one(&all, "fixed_size").len(), 2);
    assert_eq!(
        one(&all, "from_scratch").len(),
        1,
        "what is among the strategies is not scheduled again"
    );
}

#[test]
fn every_arm_is_trained_at_every_learning_rate() {
    let controls = "controls = { same_tokens = true, same_compute = true, fixed_sizes = 1 }\ngrid = \
                    { training.learning_rate = [1e-3, 3e-3] }";
    let all = members(controls, ("{ kind = \"from_scratch\" }, ", ""));
    let single = members(&controls.replace(", 3e-3", ""), ("{ kind = \"from_scratch\" }, ", ""));
    assert_eq!(all.len(), 2 * single.len());
    let ids = |members: &[Member]| {
        members.iter().map(|member| member.trial.id()).collect::<BTreeSet<_>>()
    };
    assert!(ids(&single).is_subset(&ids(&all)), "a wider grid adds trials and changes none");
    assert_eq!(one(&all, "from_scratch").len(), 2, "the control is scheduled by itself");
    let refused = |controls: &str| {
        let none = "controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }";
        Sweep::parse(&SWEEP.replace(none, controls)).expect_err("refused").to_string()
    };
    assert!(refused(&controls.replace("3e-3", "1e-3")).contains("there only once"));
    assert!(
        refused(&controls.replace("fixed_sizes = 1", "fixed_sizes = 99")).contains("at most 16")
    );
}

#[test]
fn an_operator_that_can_not_do_what_is_asked_is_refused_when_the_sweep_is_read() {
    let sweep = |strategy: &str| {
        let text = SWEEP.replace("{ kind = \"from_scratch\" }", strategy);
        Sweep::parse(&text)
            .map(|sweep| sweep.members("d").expect("members"))
            .map_err(|error| error.to_string())
    };
    let operator =
        |operator: &str| format!("{{ kind = \"operator\", at = [0.5], operator = {operator} }}");
    for (strategy, words) in [
        (operator("{ kind = \"hyper_cloning\" }"), "strategy `hyper_cloning`: hyper_cloning: it \
                                                    adds no layers"),
        (
            operator("{ kind = \"stack\", order = \"block\" }"),
            "it only adds layers, but d_model is 8 and should become 12",
        ),
        (operator("{ kind = \"stack\", order = \"sideways\" }"), "sideways"),
        (operator("{ kind = \"lego\" }"), "lego"),
        (operator("{ kind = \"lemon\" }"), "lemon: it copies heads as wholes, so d_k and d_v \
                                            can't change"),
        (
            "{ kind = \"operator\", at = [0.5, 0.2], operator = { kind = \"staged\", depth = \"copy\" } }".into(),
            "each greater than the one before",
        ),
    ] {
        let message = sweep(&strategy).expect_err("it can't");
        assert!(message.contains(words), "{strategy}: {message}");
    }
    // With an initial model of its own it can: the target with half of its layers, doubled.
    let initial =
        "initial = { d_model = 12, n_layers = 1, n_heads = 2, d_k = 6, d_v = 6, d_ff = 16 }";
    let stack = format!(
        "{{ kind = \"operator\", at = [0.25], operator = {{ kind = \"stack\", order = \"block\" \
         }}, {initial} }}"
    );
    let members = sweep(&stack).expect("it can");
    let member = &members[0];
    assert_eq!((member.strategy.as_str(), member.trial.plan.stages()[0].tokens), ("stack", 208));
    let text = serde_json::to_string(&member.trial).expect("JSON");
    assert_eq!(
        serde_json::from_str::<outgrow_core::Trial>(&text).expect("reads back"),
        member.trial
    );
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let wsd = LearningRateSchedule::Wsd { warmup: 0.1, decay: 0.2, end: 0.0 };
    assert!(wsd.factor(0.0, 1000) > 0.0 && wsd.factor(0.05, 1000) < 1.0);
    assert_eq!(
        (wsd.factor(0.1, 1000), wsd.factor(0.5, 1000), wsd.factor(0.75, 1000)),
        (1.0, 1.0, 1.0)
    );
    assert!((wsd.factor(0.9, 1000) - 0.5).abs() < 1e-12);
    let cosine = LearningRateSchedule::Cosine { warmup: 0.0, end: 0.1 };
    assert!((cosine.factor(0.5, 1000) - 0.55).abs() < 1e-12);
    let linear = LearningRateSchedule::Linear { warmup: 0.5, end: 0.0 };
    assert!((linear.factor(0.75, 1000) - 0.5).abs() < 1e-12);
    assert_eq!(LearningRateSchedule::Constant { warmup: 0.1 }.factor(1.0, 1000), 1.0);
    let in_tokens = LearningRateSchedule::Wsd { warmup: 50.0, decay: 0.2, end: 0.0 };
    assert_eq!(
        (
            in_tokens.factor(0.025, 1000),
            in_tokens.factor(0.05, 1000),
            in_tokens.factor(0.0125, 2000)
        ),
        (0.5, 1.0, 0.5)
    );
    assert_eq!([1000, 2000].map(|tokens| in_tokens.settled_until(tokens)), [799, 1599]);
}

/// Everything that a step depends on, but weights: its text is that of the seed and the step's
/// number.
fn step_depends_on(trial: &Trial, step: u64) -> String {
    let tokens = step * trial.step_tokens();
    let grown: Vec<_> = trial.plan.stages().iter().filter(|stage| stage.tokens <= tokens).collect();
    let policy = if grown.is_empty() { String::new() } else { format!("{:?}", trial.policy()) };
    let rate = trial.learning_rate(tokens);
    format!("{} {:?} {grown:?} {policy} {rate:?}", trial.seed, trial.plan.initial())
}

/// The CLI's sweep with more ways to grow: 15 plans under 2 seeds, all from one initial
/// architecture.
fn many_plans(budget: &str, schedule: &str) -> Vec<Member> {
    let more = r#"{ kind = "random", plans = 10, max_stages = 4, grow_between = [0.1, 0.9] },
        { kind = "random", name = "warmed", plans = 4, max_stages = 4, grow_between = [0.1, 0.9], growth = { initializer = { kind = "normal", scale = 1.0 },
          optimizer = "keep_entry_age", learning_rate = { kind = "rewind", to = 0.1, tokens = 640 } } }, { kind = "all_at_once", plans = 1, at = 0.5 }]"#;
    let text = include_str!("../../outgrow-cli/tests/sweep.toml")
        .replace(
            "{ kind = \"random\", plans = 1, max_stages = 3, grow_between = [0.1, 0.6] }]",
            more,
        )
        .replace("match_budget = \"tokens\"", &format!("match_budget = \"{budget}\""))
        .replace(r#"{ kind = "cosine", warmup = 0.1, end = 0.1 }"#, schedule);
    Sweep::parse(&text).unwrap_or_else(|error| panic!("{error}")).members("text").expect("members")
}

#[test]
fn trials_that_begin_alike_are_found() {
    let cosine = r#"{ kind = "cosine", warmup = 0.1, end = 0.1 }"#;
    let constant = r#"{ kind = "constant", warmup = 0.0 }"#;
    let wsd = r#"{ kind = "wsd", warmup = 1280, decay = 0.2, end = 0.1 }"#;
    for (budget, schedule, expected) in
        [("tokens", cosine, 28), ("flops", constant, 28), ("flops", wsd, 28), ("flops", cosine, 8)]
    {
        let members = many_plans(budget, schedule);
        let order = in_order(&members);
        let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
        let found = shared_prefixes(&trials);
        for (number, (trial, beginning)) in trials.iter().zip(&found).enumerate() {
            let Some(SharedPrefix { of, step }) = *beginning else { continue };
            assert!(
                of < number && step < trial.steps() && step < trials[of].steps(),
                "{number}: {beginning:?}"
            );
            let alike = |other: &Trial, steps: u64| {
                (0..steps).all(|step| step_depends_on(trial, step) == step_depends_on(other, step))
            };
            assert!(alike(trials[of], step), "{number}: {beginning:?}");
            assert!(
                found[of].is_none_or(|others| others.step < step),
                "{number}: {of} never is at step {step}"
            );
            // Nobody earlier has more in common.
            let same_end = |other: &&&Trial| other.settings.tokens == trial.settings.tokens;
            let mut longer = trials[..number].iter().filter(same_end);
            assert!(
                step + 1 == trial.steps() || !longer.any(|other| alike(other, step + 1)),
                "{number}: {beginning:?}"
            );
        }
        // Under a schedule that is stretched: the same plans under two policies, until they grow.
        assert_eq!(found.iter().flatten().count(), expected, "{budget} {schedule}");
    }
}

#[test]
fn memory_is_predicted_and_cut_to_fit() {
    use outgrow_core::sweep::memory::{
        Backward::*, micro_batches_that_fit, more_micro_batches, replicates_that_pay,
        training_bytes,
    };
    let text = SWEEP.replace("batch_size = 4", "batch_size = 12");
    let trials: Vec<_> = Sweep::parse(&text).expect("a sweep").members("d").expect("members");
    for trial in trials.iter().map(|member| &member.trial) {
        let batch = trial.settings.training.batch_size;
        let all: Vec<u64> = (1..=batch).map(|parts| training_bytes(trial, parts, Fused)).collect();
        assert!(all.is_sorted_by(|more, less| more >= less), "{all:?}");
        assert!(training_bytes(trial, 1, Autograd) >= all[0]);
        // The first that fits, of those that cut the batch into equal parts.
        assert_eq!(micro_batches_that_fit(trial, all[0], 1, Fused), Some(1));
        let two = more_micro_batches(batch, 1).expect("a batch of more than one");
        assert_eq!(micro_batches_that_fit(trial, all[0], two, Fused), Some(two));
        let fits = micro_batches_that_fit(trial, all[0] - 1, 1, Fused);
        assert!(
            fits.is_none_or(|parts| parts > 1 && batch % parts == 0 && all[parts - 1] < all[0]),
            "{fits:?}"
        );
        assert_eq!(micro_batches_that_fit(trial, 0, 1, Fused), None);
        assert_eq!(replicates_that_pay(trial), 32, "a small model leaves a GPU idle");
    }
}

/// The small sweep with some words in place of others, which must be there.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SWEEP.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

#[test]
fn what_no_worker_could_train_is_refused_when_the_sweep_is_read() {
    let initializer = "{ kind = \"normal\", scale = 1.0 }";
    let positions = "norm_eps = 1e-5, positions = { kind = \"rotary\", theta = 1e4, width = 4 }";
    let rotary = |from: &str, to: &str| positions.replace(from, to);
    for (from, to, words) in [
        // Numbers that float32 does not hold, or that divide by nothing.
        (
            "1e-3",
            "1e300",
            "`training.learning_rate` is 1e300; it must be a number from 1e-30 to 1e6".to_owned(),
        ),
        ("1e-3", "1e-300", "`training.learning_rate` is 1e-300".into()),
        ("1e-3", "nan", "`training.learning_rate` is NaN".into()),
        ("1e-3", "inf", "`training.learning_rate` is inf".into()),
        ("1e-3", "-1.0", "`training.learning_rate` is -1".into()),
        (
            "eps = 1e-8",
            "eps = 0.0",
            "`training.optimizer.eps` is 0.0; it must be a number from 1e-30".into(),
        ),
        ("eps = 1e-8", "eps = nan", "`training.optimizer.eps` is NaN".into()),
        (
            "weight_decay = 0.0",
            "weight_decay = 1e300",
            "`training.optimizer.weight_decay` is 1e300".into(),
        ),
        ("weight_decay = 0.0", "weight_decay = -1.0", "from 0 to 1e6".into()),
        ("clip_norm = 1.0", "clip_norm = inf", "`training.optimizer.clip_norm` is inf".into()),
        ("beta1 = 0.9", "beta1 = 1.0", "`training.optimizer.beta1` is 1".into()),
        ("beta2 = 0.99", "beta2 = nan", "`training.optimizer.beta2` is NaN".into()),
        (
            "norm_eps = 1e-5",
            "norm_eps = 1e300",
            "`model.norm_eps` is 1e300; it must be a number from 0 to 1".into(),
        ),
        ("norm_eps = 1e-5", "norm_eps = nan", "`model.norm_eps` is NaN".into()),
        ("norm_eps = 1e-5", "norm_eps = 1e-5, qk_norm_eps = -1.0", "qk_norm_eps is -1".into()),
        ("norm_eps = 1e-5", &rotary("1e4", "nan"), "theta of the rotary positions is NaN".into()),
        (
            "norm_eps = 1e-5",
            &rotary("1e4", "1e300"),
            "theta of the rotary positions is 1e300".into(),
        ),
        (
            "norm_eps = 1e-5",
            &rotary("width = 4", "width = 0"),
            "width of the rotary positions is 0".into(),
        ),
        ("warmup = 0.1", "warmup = nan", "`training.schedule.warmup` is NaN".into()),
        ("warmup = 0.1", "warmup = -0.1", "`training.schedule.warmup` is -0.1".into()),
        ("warmup = 0.1", "warmup = 800.0", "whole number of tokens below 800".into()),
        // Named as they were written.
        (
            initializer,
            "{ kind = \"fixed\", std_dev = -1.0 }",
            "`std_dev` of the initializer is -1".into(),
        ),
        (
            initializer,
            "{ kind = \"fixed\", std_dev = nan }",
            "`std_dev` of the initializer is NaN".into(),
        ),
        (
            initializer,
            "{ kind = \"glorot\", scale = 1e300 }",
            "`scale` of the initializer is 1e300".into(),
        ),
        (initializer, "{ kind = \"zero\" }", "`kind` of the initializer is \"zero\"".into()),
        (
            "{ kind = \"unchanged\" }",
            "{ kind = \"rewind\", to = nan, tokens = 1 }",
            "`training.growth.learning_rate.to`".into(),
        ),
        // Bytes have 256 values.
        (
            "seq_len = 8",
            "seq_len = 8, vocab_size = 5",
            "`data.vocab_size` is 5; text without a tokenizer is bytes".into(),
        ),
        ("seq_len = 8", "seq_len = 8, vocab_size = 255", "`data.vocab_size` is 255".into()),
        ("seq_len = 8", "seq_len = 0", "`data.seq_len` is 0".into()),
        ("batch_size = 2", "batch_size = 0", "`training.batch_size` is 0".into()),
        ("d_k = 6", "d_k = 0", "d_k of head 0".into()),
        ("tokens = 800", "tokens = 20", "`training.tokens` is 20".into()),
        ("tokens = 800", "tokens = 9_007_199_254_740_993", "`training.tokens`".into()),
    ] {
        let error = Sweep::parse(&changed(&[(from, to)])).expect_err(to).to_string();
        assert!(error.contains(&words), "{to}: {error}");
    }
}

#[test]
fn sweeps_are_bounded_before_anything_is_made_of_them() {
    let many = "999_999_999_999";
    let layers = |entry: &str, n: usize| {
        format!("target = {{ d_model = 12, layers = [{}] }}\n#", vec![entry; n].join(", "))
    };
    let wide = "{ heads = [{ n_heads = 16_384, d_k = 1, d_v = 1 }, { n_heads = 16_384, d_k = 2, d_v = 1 }], d_ff = 1 }";
    let rates: Vec<String> = (1..=60_000).map(|n| format!("{n}e-6")).collect();
    let rates =
        format!("grid = {{ training.learning_rate = [{}] }}\ncheckpoints =", rates.join(", "));
    for (from, to, words) in [
        (
            "replicates = 2",
            &*format!("replicates = {many}"),
            "`plans × learning rates × replicates` is 3 × 1 × 999999999999 = 2999999999997; a \
             sweep has at most 100000 trials",
        ),
        ("plans = 2", &*format!("plans = {many}"), "a sweep has at most 100000 trials"),
        ("checkpoints =", &rates, "is 3 × 60000 × 2 = 360000"),
        (
            "max_stages = 3",
            &*format!("max_stages = {many}"),
            "`strategies: random` is of 4 trials that have up to 1000000000000 sizes each",
        ),
        (
            "n_layers = 2",
            &*format!("n_layers = {many}"),
            "`target.n_layers` is 999999999999; it must be at most 2048",
        ),
        ("n_heads = 2", "n_heads = 100_000", "`target.n_heads`"),
        (
            "n_layers = 2, n_heads = 2",
            "n_layers = 2_000, n_heads = 16_000",
            "all layers together may have 65536 heads",
        ),
        ("target = ", &layers(wide, 40), "all layers together may have 65536 heads"),
        (
            "target = ",
            &layers("{ heads = [{ n_heads = 1, d_k = 6, d_v = 6 }], d_ff = 16 }", 2_049),
            "`target.n_layers` is 2049",
        ),
        ("d_model = 12", &*format!("d_model = {many}"), "d_model is 999999999999"),
        ("fixed_sizes = 0", "fixed_sizes = 17", "`controls.fixed_sizes` is 17"),
        ("batch_size = 2", &*format!("batch_size = {many}"), "`training.batch_size`"),
    ] {
        let error = Sweep::parse(&changed(&[(from, to)])).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    // Controls count, too; and what is equal to others may become too long.
    let controls =
        [("fixed_sizes = 0", "fixed_sizes = 16"), ("replicates = 2", "replicates = 33_000")];
    let sweep =
        Sweep::parse(&changed(&controls)).expect("three plans and their replicates are fewer");
    let error = sweep.members("d").expect_err("sixteen sizes more").to_string();
    assert!(
        error.contains("`plans and controls × learning rates × replicates` is 19 × 1 × 33000"),
        "{error}"
    );
    let long = [
        ("tokens = 800", "tokens = 9_000_000_000_000_000"),
        ("match_budget = \"tokens\"", "match_budget = \"flops\""),
        ("target = { d_model = 12", "target = { d_model = 1200"),
    ];
    let error = Sweep::parse(&changed(&long))
        .expect("a sweep")
        .members("d")
        .expect_err("too long")
        .to_string();
    assert!(error.contains("tokens of random") && error.contains("9007199254740992"), "{error}");
}

#[test]
fn names_are_what_files_tables_and_shells_can_live_with() {
    let long = "x".repeat(65);
    let strategy = |name: &str| {
        changed(&[("kind = \"random\"", &format!("kind = \"random\", name = {name:?}"))])
    };
    for name in [
        "a",
        "7",
        "at 40 %",
        "a_b-c.d+e=f,(g)",
        "x".repeat(64).as_str(),
        "from_scratch_95",
        "fixed_size_1",
    ] {
        Sweep::parse(&strategy(name)).unwrap_or_else(|error| panic!("{error}"));
    }
    for (name, words) in [
        ("", "it is empty"),
        ("../../escaped", "character 3 of it is '/'"),
        ("/etc/x", "character 1 of it is '/'"),
        ("a\nb", "character 2 of it is '\\n'"),
        ("a\tb", "character 2 of it is '\\t'"),
        ("a😀", "character 2 of it is '😀'"),
        ("é", "character 1 of it is 'é'"),
        ("a\\b", "character 2 of it is '\\\\'"),
        ("a|b", "character 2 of it is '|'"),
        ("a`b", "'`'"),
        ("$(x)", "'$'"),
        ("<b>", "'<'"),
        (" a", "it begins with ' '"),
        ("-a", "it begins with '-'"),
        (".a", "it begins with '.'"),
        ("=a", "it begins with '='"),
        ("a ", "it ends in ' '"),
        ("a.", "it ends in '.'"),
        ("a..b", "two dots at character 2"),
        (long.as_str(), "it has 65 characters"),
    ] {
        let error = Sweep::parse(&strategy(name)).expect_err(name).to_string();
        assert!(
            error.contains(words) && error.contains("`strategies.name`") && error.len() < 500,
            "{name:?}: {error}"
        );
    }
    let sweep = |name: &str| {
        Sweep::parse(&changed(&[("\"small\"", &format!("{name:?}"))]))
            .map_err(|error| error.to_string())
    };
    assert!(["a", "_a", "A-1_b", &"x".repeat(64)].into_iter().all(|name| sweep(name).is_ok()));
    for (name, words) in [
        ("", "it is empty"),
        ("-a", "begins with '-'"),
        ("a b", "character 2 of it is ' '"),
        ("a.b", "'.'"),
        ("ä", "'ä'"),
        (&long, "65 characters"),
    ] {
        let error = sweep(name).expect_err(name);
        assert!(error.contains(words) && error.starts_with("`name` is"), "{name:?}: {error}");
    }
}

#[test]
fn no_strategy_takes_the_name_of_a_control() {
    let named = |name: &str, controls: &str, first: &str| {
        let none = "same_tokens = false, same_compute = false, fixed_sizes = 0";
        let random = format!("kind = \"random\", name = \"{name}\"");
        Sweep::parse(&changed(&[
            (none, controls),
            ("{ kind = \"from_scratch\" }, ", first),
            ("kind = \"random\"", &random),
        ]))
        .map_err(|error| error.to_string())
    };
    let own = "{ kind = \"from_scratch\", name = \"control\" }, ";
    let all = "same_tokens = true, same_compute = true, fixed_sizes = 2";
    for (name, controls, first, clash) in [
        ("fixed_size_1", all, own, true),
        ("fixed_size_2", all, own, true),
        ("fixed_size_3", all, own, false),
        ("fixed_size_1_40", all, own, true),
        ("fixed_size_1_40.25", all, own, true),
        ("fixed_size_x", all, own, false),
        ("from_scratch_95", all, own, true),
        ("from_scratch_95.5", all, own, true),
        ("from_scratch_small", all, own, false),
        ("from_scratch", all, own, true),
        ("from_scratch", all, "", true),
        ("fixed_size_1", "same_tokens = true, same_compute = true, fixed_sizes = 0", own, false),
        (
            "from_scratch_95",
            "same_tokens = false, same_compute = false, fixed_sizes = 2",
            own,
            false,
        ),
        ("from_scratch_95", "same_tokens = false, same_compute = true, fixed_sizes = 0", own, true),
    ] {
        match named(name, controls, first) {
            Ok(sweep) => {
                assert!(!clash, "{name} {controls}");
                assert_told_apart(&sweep.members("d").expect("members"));
            }
            Err(error) => assert!(
                clash
                    && error.contains(&format!("`strategies.name` is \"{name}\""))
                    && (error.contains("controls.") || name == "from_scratch"),
                "{error}"
            ),
        }
    }
}

/// Strategy, plan, replicate and learning rate are one trial's alone.
fn assert_told_apart(members: &[Member]) {
    let place = |m: &Member| {
        (m.strategy.clone(), m.plan, m.replicate, m.trial.settings.training.learning_rate.to_bits())
    };
    assert_eq!(members.iter().map(place).collect::<BTreeSet<_>>().len(), members.len());
}

#[test]
fn controls_of_close_budgets_have_names_of_their_own() {
    let small = "{ d_model = 4, n_layers = 1, n_heads = 1, d_k = 2, d_v = 2, d_ff = 2 }";
    let text = changed(&[
        (
            "same_tokens = false, same_compute = false, fixed_sizes = 0",
            "same_tokens = false, same_compute = true, fixed_sizes = 1",
        ),
        (
            "initial = { d_model = 8, n_layers = 1, n_heads = 1, d_k = 4, d_v = 4, d_ff = 8 }",
            &format!("initial = {small}"),
        ),
        (
            "{ kind = \"random\", plans = 2, max_stages = 3, grow_between = [0.1, 0.6] }",
            "{ kind = \"all_at_once\", plans = 1, at = 0.9485 }, \
             { kind = \"all_at_once\", name = \"later\", plans = 1, at = 0.952 }, \
          { kind = \"all_at_once\", name = \"half\", plans = 1, at = 0.5 }",
        ),
        (
            "target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 6, d_v = 6, d_ff = 16 }",
            "target = { d_model = 128, n_layers = 4, n_heads = 2, d_k = 6, d_v = 6, d_ff = 512 }",
        ),
        ("tokens = 800", "tokens = 800_000"),
    ]);
    let members = Sweep::parse(&text)
        .unwrap_or_else(|error| panic!("{error}"))
        .members("d")
        .expect("members");
    assert_told_apart(&members);
    let names: BTreeSet<&str> = members
        .iter()
        .map(|m| m.strategy.as_str())
        .filter(|name| name.contains("_size_") || name.contains("scratch_"))
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let whole = |name: &str| !name.contains('.');
    assert_eq!(
        names.iter().filter(|name| whole(name)).count(),
        2,
        "that of half the way keeps its short name: {names:?}"
    );
}

/// A sweep of random strategies, budgets, controls and rates.
fn random_sweep() -> impl Strategy<Value = String> {
    let place = 0.01f64..0.99;
    let arm = (0..4, place.clone(), place, 1usize..3);
    let shape = (1usize..4, 1usize..3, 1usize..4, 1usize..6);
    (proptest::collection::vec(arm, 1..6), any::<[bool; 3]>(), 0usize..4, 1usize..4, 400u64..40_000, shape).prop_map(
        |(arms, [tokens, compute, equal], fixed, rates, budget, (d, n, e, f))| {
            let arm = |(number, (kind, a, b, plans)): (usize, &(i32, f64, f64, usize))| {
                let window = format!("grow_between = [{}, {}]", a.min(*b), a.max(*b));
                let rule = match kind {
                    0 => format!("kind = \"all_at_once\", at = {a}, layers = \"random\""),
                    1 => format!("kind = \"evenly_spaced\", layers = \"random\", stages = 3, {window}"),
                    2 => format!("kind = \"random_order\", {window}"),
                    _ => format!("kind = \"random\", max_stages = 3, {window}"),
                };
                format!("{{ name = \"s{number}\", plans = {plans}, {rule} }}")
            };
            let arms: Vec<String> = arms.iter().enumerate().map(arm).collect();
            let rates: Vec<String> = (1..=rates).map(|n| format!("{n}e-3")).collect();
            let controls = format!(
                "same_tokens = {tokens}, same_compute = {compute}, fixed_sizes = {fixed}"
            );
            let grid = format!("grid.training.learning_rate = [{}]\nname", rates.join(", "));
            let initial = format!("initial = {{ d_model = {}, n_layers = {n}, n_heads = {e}, d_k \
                                   = {f}, d_v = {f}, d_ff = {d} }}", 2 * d);
            let target = format!("target = {{ d_model = {}, n_layers = {}, n_heads = {}, d_k = 6, \
                                  d_v = 6, d_ff = 16 }}", 2 * d + 4, n + 1, e + 1);
            changed(&[
                ("initial = \
                  { d_model = 8, n_layers = 1, n_heads = 1, d_k = 4, d_v = 4, d_ff = 8 }", &initial),
                ("target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 6, d_v = 6, d_ff = 16 }", &target),
                ("same_tokens = false, same_compute = false, fixed_sizes = 0", &controls),
                ("strategies = [{ kind = \"from_scratch\" }, \
                  { kind = \"random\", plans = 2, max_stages = 3, grow_between = [0.1, 0.6] }]", &format!("strategies = [{}]", arms.join(", "))),
                ("name", &grid),
                ("tokens = 800", &format!("tokens = {budget}")),
                ("match_budget \
                  = \"tokens\"", if equal { "match_budget \
                                             = \"tokens\"" } else { "match_budget = \"flops\"" }),
            ])
        },
    )
}

/// FLOPs of a forward pass in floating point, from the sizes alone.
fn forward_in_f64(a: &Architecture) -> f64 {
    let (s, h) = (a.seq_len as f64, a.d_model as f64);
    let layer = |layer: &LayerShape| {
        let sum = |of: fn(&HeadShape) -> usize| {
            layer.heads.iter().map(|head| of(head) as f64).sum::<f64>()
        };
        let (queries, mixed) =
            (sum(|head| head.n_queries * head.d_k), sum(|head| head.n_queries * head.d_v));
        let (keys, values) = (sum(|head| head.d_k), sum(|head| head.d_v));
        2.0 * s
            * (h * (queries + keys + values + mixed + 2.0 * layer.d_ff as f64)
                + s * (queries + mixed))
    };
    a.layers.iter().map(layer).sum::<f64>() + 2.0 * s * h * a.n_outputs as f64
}

proptest! {
    #[test]
    fn a_place_in_a_sweep_is_one_trials(text in random_sweep()) {
        let sweep = Sweep::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_told_apart(&sweep.members("d").unwrap_or_else(|error| panic!("{error}\n{text}")));
    }

    #[test]
    fn flops_are_exact_however_many(
        sizes in proptest::collection::vec((1usize..64, 1usize..8, 1usize..256, 1usize..256, 1usize..65_536), 1..60),
        d_model in 1usize..16_384, seq_len in 1usize..1 << 17, vocab_size in 1usize..1 << 18, sequences in 1u64..1 << 36,
    ) {
        let layer = |&(n, n_queries, d_k, d_v, d_ff): &(usize, usize, usize, usize, usize)| {
            LayerShape::own(vec![HeadShape { n_queries, d_k, d_v }; n], d_ff)
        };
        let form = outgrow_core::Form::decoder(outgrow_core::Norm::RmsNorm, 0.0);
        let layers = sizes.iter().map(layer).collect();
        let architecture = Architecture { vocab_size, n_outputs: vocab_size, seq_len, d_model, layers, form };
        prop_assume!(architecture.validate().is_ok());
        let forward = flops::forward_flops(&architecture, seq_len);
        prop_assert!((forward as f64 / forward_in_f64(&architecture) - 1.0).abs() < 1e-12);
        let plan = outgrow_core::GrowthPlan::new(architecture, vec![]).expect("a plan");
        let tokens = sequences * seq_len as u64;
        let (all, one) = (plan.train_flops(tokens), plan.train_flops(seq_len as u64));
        prop_assert_eq!((one, all), (3 * forward, one.checked_mul(sequences.into()).expect("in 128 bits")));
        // As they go into databases, spools and checkpoints, and come back.
        let at = outgrow_core::event::Position { train_flops: all, tokens, ..Default::default() };
        let text = serde_json::to_string(&at).expect("JSON");
        let written = format!("\"train_flops\":{all}");
        prop_assert!(text.contains(&written), "{}", text);
        prop_assert_eq!(serde_json::from_str::<outgrow_core::event::Position>(&text).expect("JSON"), at);
    }
}

#[test]
fn budgets_of_ten_to_the_22_are_right() {
    let large =
        "{ d_model = 2048, n_layers = 24, n_heads = 16, d_k = 128, d_v = 128, d_ff = 8192 }";
    let text = |tokens: &str, budget: &str| {
        changed(&[
            (
                "target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 6, d_v = 6, d_ff = 16 }",
                &format!("target = {large}"),
            ),
            (
                "initial = { d_model = 8, n_layers = 1, n_heads = 1, d_k = 4, d_v = 4, d_ff = 8 }",
                "initial = \
                 { d_model = 512, n_layers = 8, n_heads = 8, d_k = 64, d_v = 64, d_ff = 2048 }",
            ),
            ("seq_len = 8", "seq_len = 1024"),
            ("batch_size = 2", "batch_size = 4"),
            ("tokens = 800", &format!("tokens = {tokens}")),
            ("match_budget = \"tokens\"", &format!("match_budget = \"{budget}\"")),
            (
                "same_tokens = false, same_compute = false, fixed_sizes = 0",
                "same_tokens = true, same_compute = true, fixed_sizes = 1",
            ),
        ])
    };
    for (tokens, expected) in [
        ("200_000_000_000", 1_570_976_563_200_000_000_000),
        ("22_000_000_000_000", 172_807_421_952_000_000_000_000),
    ] {
        for budget in ["tokens", "flops"] {
            let members = Sweep::parse(&text(tokens, budget))
                .expect("a sweep")
                .members("d")
                .expect("members");
            let spent = |m: &Member| m.trial.plan.train_flops(m.trial.settings.tokens);
            let control =
                members.iter().find(|m| m.strategy == "from_scratch").expect("the control");
            assert_eq!(spent(control), expected);
            for member in members
                .iter()
                .filter(|m| budget == "flops" && matches!(m.kind, "random" | "fixed_size"))
            {
                let off = spent(member) as f64 / expected as f64 - 1.0;
                assert!(off.abs() < 1e-4, "{} spends {off} more", member.strategy);
            }
            assert_told_apart(&members);
        }
    }
}

#[test]
fn courses_and_names_that_mislead_are_refused() {
    let refused = |text: String| {
        let error = Sweep::parse(&text).and_then(|sweep| sweep.members("d").map(drop));
        error.expect_err("refused").to_string()
    };
    let schedule = |new: &str| SWEEP.replace("{ kind = \"constant\", warmup = 0.1 }", new);
    let late = schedule("{ kind = \"wsd\", warmup = 0.9, decay = 0.5, end = 0.0 }");
    assert!(refused(late).contains("together they may be at most the whole"));
    // A control with the compute of a growing trial has fewer tokens than `training.tokens`.
    let short = schedule("{ kind = \"constant\", warmup = 780 }")
        .replace("same_compute = false", "same_compute = true");
    assert!(refused(short).contains("tokens only: it must be fewer"));
    let grown = "{ kind = \"all_at_once\", name = \"from_scratch\", plans = 1, at = 0.5 }";
    let named = SWEEP.replace("{ kind = \"from_scratch\" }", grown);
    assert!(refused(named).contains("only a strategy of that kind"));
    for at in ["1.1", "nan", "-0.1"] {
        let text = SWEEP.replace(
            "{ kind = \"from_scratch\" }",
            &format!("{{ kind = \"all_at_once\", plans = 1, at = {at} }}"),
        );
        let error = refused(text);
        assert!(error.contains("`at`") && !error.contains("window"), "{error}");
    }
}

/// What a sweep is compared with, and what a trial never comes to, is none of its identity.
#[test]
fn a_training_from_scratch_is_the_same_in_every_sweep() {
    let born = |text: &str| -> BTreeSet<String> {
        let sweep = Sweep::parse(text).expect("a sweep");
        let members = sweep.members("d").expect("members");
        let born = members.iter().filter(|member| member.strategy == "from_scratch");
        born.map(|member| member.trial.id()).collect()
    };
    let plain = born(SWEEP);
    assert_eq!(plain.len(), 2, "one of each replicate");
    for (from, to) in [
        ("match_budget = \"tokens\"", "match_budget = \"flops\""),
        ("\"keep_entry_age\"", "\"reset\""),
        ("{ kind = \"unchanged\" }", "{ kind = \"rewarm_all\", tokens = 100 }"),
        ("kind = \"normal\", scale = 1.0", "kind = \"copy\""),
        ("plans = 2, max_stages = 3", "plans = 5, max_stages = 1"),
        ("d_model = 8, n_layers = 1", "d_model = 4, n_layers = 1"),
        ("same_tokens = false", "same_tokens = true"),
        ("after_growth = []", "after_growth = [1, 2]"),
        ("checkpoints = { every_tokens = 400 }", "checkpoints = { every_tokens = 16 }"),
    ] {
        let text = SWEEP.replace(from, to);
        assert_ne!(text, SWEEP, "{from}");
        assert_eq!(born(&text), plain, "{to}");
    }
    // A control of another name is the same training.
    let long = SWEEP.replace("tokens = 800", "tokens = 1600");
    assert!(born(&long).is_disjoint(&plain));
}

#[test]
fn a_field_under_its_old_name_is_refused_with_the_new_one() {
    for (from, to, words) in [
        (
            "match_budget = \"tokens\"",
            "equal = \"train_flops\"",
            "`training.equal` is not known under this name; write match_budget, with \"tokens\" \
             or \"flops\"",
        ),
        (
            "norm_eps = 1e-5",
            "eps_sum = 1e-5",
            "`model.eps_sum` is not known under this name; write norm_eps, on the mean of \
             squares: eps_sum divided by target.d_model",
        ),
        (
            "grow_between",
            "window",
            "`strategies.window` is not known under this name; write grow_between",
        ),
    ] {
        assert!(SWEEP.contains(from), "{from}");
        let error = Sweep::parse(&SWEEP.replace(from, to)).expect_err(to).to_string();
        assert_eq!(error, words);
    }
}

#[test]
fn norms_have_their_eps_on_the_mean_at_the_width_of_the_target() {
    let sweep = Sweep::parse(SWEEP).expect("a sweep");
    let target = sweep.target();
    assert_eq!(target.form.eps_sum, 1e-5 * target.d_model as f64);
    // On the sum it is one for all models of the sweep: what grows keeps its function.
    assert_eq!(sweep.initial().form, target.form);
    assert_ne!(sweep.initial().d_model, target.d_model);
}
