//! The frontier in a sweep file: its sizes, its budgets, what its trials share, and what is
//! refused.

use std::collections::BTreeSet;

use proptest::prelude::*;

use outgrow_core::{
    Sweep, Trial,
    model::n_frontier_parameters,
    sweep::{Member, check_of, in_order, shared_prefixes},
};

/// A target of 35,000 parameters, so that six budgets and three rates are sampled at once.
const SWEEP: &str = r#"
name = "frontier"
replicates = 2
data = { corpus = "rust-crates", seq_len = 32 }
training = { batch_size = 8 }
initial = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64 }
target = { d_model = 32, n_layers = 3, n_heads = 4 }
grid.training.learning_rate = [1e-3, 2e-3, 4e-3]
strategies = [{ name = "stages", kind = "evenly_spaced", stages = 3, grow_between = [0.3, 0.7] }]
[frontier]
budgets = [2, 5, 10, 20, 40, 80]
strategies_at = [10, 20]
"#;

fn sweep(text: &str) -> Sweep {
    Sweep::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    match Sweep::parse(text).and_then(|sweep| sweep.members("d")) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(error) => error.to_string(),
    }
}

fn flops(member: &Member) -> f64 {
    member.trial.plan.train_flops(member.trial.settings.tokens) as f64
}

/// What some members are charged, each as if it were alone, and what they spend.
fn charged_and_spent(members: &[Member]) -> (f64, f64) {
    let order = in_order(members);
    let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
    let charged: f64 = members.iter().map(flops).sum();
    let shared = shared_prefixes(&trials);
    let saved = trials
        .iter()
        .zip(shared)
        .filter_map(|(trial, prefix)| Some(prefix?.train_flops(trial) as f64));
    (charged, charged - saved.sum::<f64>())
}

#[test]
fn trunks_are_trained_once() {
    let members = sweep(SWEEP).members("d").expect("members");
    let born: Vec<Member> = members.iter().filter(|m| m.kind == "born").cloned().collect();
    assert_eq!(born.len(), 7 * 6 * 3 * 2);
    let (charged, spent) = charged_and_spent(&born);
    // The least possible: one trunk to the largest decay, and all decays.
    let least = 0.8 * 80.0 / 157.0 + 0.2;
    let share = spent / charged;
    println!("charged {charged:.4e}, spent {spent:.4e}: {share:.4} (least {least:.4})");
    assert!(share <= 0.62 && share >= least - 0.01, "{share}");
}

#[test]
fn every_end_costs_its_budget() {
    let sweep = sweep(SWEEP);
    let members = sweep.members("d").expect("members");
    let budgets = sweep.born_budgets();
    assert_eq!(sweep.own_budget(), Some(20.0));
    for member in &members {
        let budget = member.budget.expect("every trial has one");
        let known = budgets.iter().find(|known| known.budget == budget).expect("a budget");
        let off = flops(member) / known.train_flops - 1.0;
        assert!(off.abs() < 0.02, "{}: {off}", member.label(true));
    }
    let at = |strategy: &str| -> BTreeSet<u64> {
        let own = members.iter().filter(|member| member.strategy == strategy);
        own.map(|member| member.budget.expect("a budget") as u64).collect()
    };
    assert_eq!(at("stages"), BTreeSet::from([10, 20]));
    assert_eq!(at("from_scratch"), BTreeSet::from([10, 20]));
    assert_eq!(at("born_7"), BTreeSet::from([2, 5, 10, 20, 40, 80]));
    assert!(members.iter().all(|member| member.kind != "fixed_size"));
    let labels: BTreeSet<String> = members.iter().map(|member| member.label(true)).collect();
    assert_eq!(labels.len(), members.len());
    assert!(labels.contains("stages/0#1@0.004 at 20"), "{labels:?}");
    // The target at a budget is a born size: the same trial.
    let id = |strategy: &str| {
        let is_it = |m: &&Member| m.strategy == strategy && m.budget == Some(20.0);
        members.iter().find(is_it).expect("a member").trial.id()
    };
    assert_eq!(id("from_scratch"), id("born_6"));
}

#[test]
fn sizes_are_geometric_and_the_ends_are_among_them() {
    for (initial, target) in [
        (
            "d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64",
            "d_model = 32, n_layers = 3, n_heads = 4",
        ),
        (
            "d_model = 40, n_layers = 3, n_heads = 4, d_k = 16, d_v = 16, d_ff = 160",
            "d_model = 64, n_layers = 4, n_heads = 4",
        ),
        ("n_heads = 2, d_ff = 24", "d_model = 48, n_layers = 2, n_heads = 6"),
        (
            "d_model = 512, n_layers = 12, n_heads = 8, d_ff = 2048",
            "d_model = 768, n_layers = 24, n_heads = 12",
        ),
    ] {
        let text = SWEEP
            .replace(
                "d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64",
                initial,
            )
            .replace("d_model = 32, n_layers = 3, n_heads = 4", target);
        let sweep = sweep(&text);
        let sizes = sweep.born_sizes();
        for size in &sizes {
            println!("{} {} N {}", size.name, size.architecture.describe(), size.n);
        }
        assert_eq!(
            (&sizes[1].architecture, &sizes[5].architecture),
            (sweep.initial(), sweep.target())
        );
        let ratio = (sizes[5].n as f64 / sizes[1].n as f64).powf(0.25);
        for both in sizes.windows(2) {
            let off = both[1].n as f64 / both[0].n as f64 / ratio;
            assert!((off - 1.0).abs() < 0.06, "{off} at {}", both[1].name);
        }
        println!();
    }
}

/// Where the way leads over layers alone, nothing makes up for their being whole.
#[test]
fn a_way_of_layers_alone_has_whole_layers() {
    let text = SWEEP
        .replace(
            "d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64",
            "n_layers = 4",
        )
        .replace("d_model = 32, n_layers = 3", "d_model = 32, n_layers = 8");
    let layers: Vec<usize> =
        sweep(&text).born_sizes().iter().map(|size| size.architecture.layers.len()).collect();
    assert_eq!(layers, [3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_a_frontier_leaves_out_follows_from_the_tokens() {
    let with = |frontier: &str, training: &str| {
        let head = SWEEP.split("[frontier]").next().expect("a part");
        format!("{}\n[frontier]\n{frontier}", head.replace("batch_size = 8", training))
    };
    let of = |text: &str| {
        let sweep = sweep(text);
        let frontier = sweep.spec().frontier.clone().expect("one");
        (sweep.spec().training.tokens, frontier.budgets, frontier.strategies_at)
    };
    // 54,976 parameters.
    let all = of(&with("", "batch_size = 8, tokens = 1_000_000"));
    assert_eq!(all, (1_000_000, Some(vec![9.095, 18.19, 36.38]), Some(vec![18.19])));
    let said = of(&with("strategies_at = [5, 20]\nbudgets = [5, 10, 20, 40]", "batch_size = 8"));
    assert_eq!((said.0, said.2), (20 * 54_976, Some(vec![5.0, 20.0])));
    let flops = of(&with(
        "unit = 'flops'\nbudgets = [1e11, 2e11, 4e11]\nstrategies_at = [2e11]",
        "batch_size = 8",
    ));
    assert_eq!((flops.0, flops.2), (651_042, Some(vec![2e11])));
    // All that is filled in is read again as the same.
    let first = sweep(&with("", "batch_size = 8, tokens = 1_000_000"));
    let again = sweep(&first.resolved());
    assert_eq!((first.id("d"), first.resolved()), (again.id("d"), again.resolved()));
    assert_eq!(first.members("d").expect("members"), again.members("d").expect("members"));
}

#[test]
fn a_list_of_sizes_is_taken_as_it_is() {
    let text = SWEEP.to_owned()
        + "sizes = [{ d_model = 12 }, { d_model = 16 }, { d_model = 20 }, \
        { d_model = 24, n_layers = 3 }, { d_model = 32 }, { d_model = 40 }]\n";
    let sweep = sweep(&text);
    let sizes = sweep.born_sizes();
    assert_eq!(sizes.len(), 6);
    // As of a target: heads by the width, the MLP four times as wide.
    let first = &sizes[0].architecture;
    assert_eq!((first.layers.len(), first.layers[0].d_ff), (3, 48));
    assert_eq!((first.layers[0].heads.len(), first.layers[0].heads[0].d_k), (4, 3));
    let again = Sweep::parse(&sweep.resolved()).expect("its own text");
    assert_eq!((again.id("d"), again.born_sizes()), (sweep.id("d"), sizes));
}

#[test]
fn what_is_no_frontier_is_refused() {
    let small = "d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64";
    let sizes = |list: &str| format!("[frontier]\nsizes = {list}");
    for (from, to, said) in [
        ("[frontier]", "[frontier]\nsizes = 4".to_owned(), "`frontier.sizes` is 4; 5 to 64 sizes"),
        ("[frontier]", sizes("65"), "5 to 64"),
        ("[frontier]", sizes("-7"), "-7 sizes"),
        ("[frontier]", sizes("'many'"), "expected a number of sizes, such as 7, or a list"),
        (
            "[frontier]",
            sizes("[{ d_model = 12 }, { d_modl = 16 }]"),
            "size 1, d_modl: unknown field",
        ),
        ("[frontier]", sizes("[{ d_model = 12 }]"), "5 to 64 sizes"),
        (
            "[frontier]",
            sizes(
                "[{ d_model = 24 }, { d_model = 28 }, { d_model = 20 }, { d_model = 32 }, { d_model = 36 }]",
            ),
            "sizes rise in parameters",
        ),
        (
            "[frontier]",
            sizes(
                "[{ d_model = 12 }, { d_model = 20 }, { d_model = 24 }, { d_model = 28 }, { d_model = 32 }]",
            ),
            "1 more between them would do",
        ),
        (
            small,
            "d_model = 4, n_layers = 1, n_heads = 1, d_k = 8, d_v = 8, d_ff = 8".into(),
            "sizes would do",
        ),
        ("[2, 5, 10, 20, 40, 80]", "[]".into(), "`frontier.budgets` is empty"),
        (
            "[2, 5, 10, 20, 40, 80]",
            "[2, 2, 40]".into(),
            "`frontier.budgets` is [2, 2, 40]; budgets rise",
        ),
        ("[2, 5, 10, 20, 40, 80]", "[40, 20]".into(), "budgets rise"),
        ("[2, 5, 10, 20, 40, 80]", "[-2, 40]".into(), "numbers above 0"),
        ("[2, 5, 10, 20, 40, 80]", "[0, 40]".into(), "numbers above 0"),
        ("[2, 5, 10, 20, 40, 80]", "[nan]".into(), "`frontier.budgets` is NaN"),
        ("[2, 5, 10, 20, 40, 80]", "[2, inf]".into(), "`frontier.budgets` is inf"),
        ("[2, 5, 10, 20, 40, 80]", "[20, 1e300]".into(), "no trial trains more than"),
        ("[2, 5, 10, 20, 40, 80]", "[10, 19]".into(), "better beyond, to 40"),
        ("[2, 5, 10, 20, 40, 80]", "[5, 10]".into(), "`frontier.strategies_at` is [10, 20]"),
        ("[2, 5, 10, 20, 40, 80]", "[0.001, 80]".into(), "too small"),
        (
            "strategies_at = [10, 20]",
            "strategies_at = []".into(),
            "`frontier.strategies_at` is empty",
        ),
        (
            "strategies_at = [10, 20]",
            "strategies_at = [0.001, 20]".into(),
            "the target trains only 55 tokens",
        ),
        (
            "batch_size = 8",
            "batch_size = 8, tokens = 500_000".into(),
            "none of frontier.strategies_at: leave it out, write 549760",
        ),
        (
            "batch_size = 8",
            "batch_size = 8, match_budget = 'tokens'".into(),
            "a frontier compares at equal compute",
        ),
        (
            "batch_size = 8",
            "batch_size = 8, schedule = { kind = 'cosine' }".into(),
            "write { kind = \"wsd\"",
        ),
        (
            "batch_size = 8",
            "batch_size = 8, schedule = { kind = 'wsd', warmup = 0.02 }".into(),
            "warm-up in tokens",
        ),
        (
            "batch_size = 8",
            "batch_size = 8, schedule = { kind = 'wsd', warmup = 80_000 }".into(),
            "the warm-up takes 80000",
        ),
        (small, "d_model = 32, n_layers = 3, n_heads = 4".into(), "there is no way between"),
        ("[frontier]", "[frontier]\nunit = 'tokens'".into(), "unknown variant `tokens`"),
        ("[frontier]", "[frontier]\nbudget = [1]".into(), "`frontier.budget`"),
        (
            "\"stages\", kind",
            "\"born_3\", kind".into(),
            "`[frontier]` may schedule a control of that name",
        ),
        (
            "[frontier]",
            "[grid.initial]\nn_layers = [1, 2]\n[frontier]".into(),
            "`grid.initial.n_layers`",
        ),
    ] {
        assert!(SWEEP.contains(from), "{from}");
        let error = refused(&SWEEP.replace(from, &to));
        println!("{error}\n");
        assert!(error.contains(said), "{to}: {error}");
    }
}

/// Sizes of a model, and what a larger one has more.
type Sizes = (usize, usize, usize, usize, usize);

fn sizes() -> impl Strategy<Value = Sizes> {
    (1..200_usize, 1..12_usize, 1..8_usize, 1..40_usize, 1..400_usize)
}

proptest! {
    /// Whatever the ends are, the way between them rises evenly, or is refused in words.
    #[test]
    fn every_way_rises_or_is_refused(from in sizes(), more in sizes(), number in 5..24_usize) {
        let text = |(d_model, n_layers, n_heads, d_k, d_ff): Sizes| {
            format!(
                "d_model = {d_model}, n_layers = {n_layers}, n_heads = {n_heads}, d_k = {d_k}, d_v \
                 = {d_k}, d_ff = {d_ff}"
            )
        };
        let to = (from.0 + more.0, from.1 + more.1 - 1, from.2 + more.2 - 1, from.3 + more.3 - 1, from.4 + more.4);
        let made = SWEEP
            .replace("d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64", &text(from))
            .replace("target = { d_model = 32, n_layers = 3, n_heads = 4", &format!("target = {{ {}", text(to)))
            .replace("[frontier]", &format!("[frontier]\nsizes = {number}"));
        match Sweep::parse(&made) {
            Ok(sweep) => {
                let sizes = sweep.born_sizes();
                prop_assert_eq!(sizes.len(), number);
                prop_assert!(sizes.windows(2).all(|both| both[0].n < both[1].n));
                prop_assert!(sizes.windows(2).all(|both| both[1].n as f64 / both[0].n as f64 <= 1.7));
                prop_assert_eq!(&sizes[1].architecture, sweep.initial());
                prop_assert_eq!(&sizes[number - 2].architecture, sweep.target());
            }
            Err(error) => prop_assert!(error.to_string().contains("frontier."), "{}", error),
        }
    }
}

/// The longest way that there is.
#[test]
fn ends_that_are_far_apart_are_refused_in_words() {
    let text = SWEEP
        .replace(
            "d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64",
            "d_model = 1, n_layers = 1, n_heads = 1, d_k = 1, d_v = 1, d_ff = 1",
        )
        .replace(
            "d_model = 32, n_layers = 3, n_heads = 4",
            "d_model = 16384, n_layers = 64, n_heads = 512, d_k = 32, d_v = 32, d_ff = 16384",
        )
        .replace("[frontier]", "[frontier]\nsizes = 64");
    let error = refused(&text);
    assert!(error.contains("frontier.") || error.contains("tokens"), "{error}");
}

/// What tells a member's place, and its trial.
fn places(members: &[Member], tuning: bool) -> BTreeSet<String> {
    let own = members.iter().filter(|member| member.tuning == tuning);
    own.map(|member| format!("{} {}", member.label(true), member.trial.id())).collect()
}

#[test]
fn seeds_that_tune_come_on_top_of_those_that_are_compared() {
    let drawn = SWEEP.replace(
        "strategies = [{",
        "strategies = [{ name = \"drawn\", kind = \"random\", plans = 2, max_stages = 2, grow_between = \
         [0.1, 0.6] }, {",
    );
    for text in [SWEEP, &drawn] {
        let with = |n: usize| {
            sweep(
                &text
                    .replace("replicates = 2", &format!("replicates = 2\ntuning_replicates = {n}")),
            )
        };
        let (plain, none, tuned) = (sweep(text), with(0), with(2));
        assert_eq!((plain.id("d"), plain.resolved()), (none.id("d"), none.resolved()));
        assert_ne!(plain.id("d"), tuned.id("d"));
        let [plain, tuned] = [plain, tuned].map(|sweep| sweep.members("d").expect("members"));
        assert_eq!(places(&plain, false), places(&tuned, false), "what is compared stays as it is");
        assert!(plain.iter().all(|member| !member.tuning && member.replicate < 2));
        let tunes = |member: &&Member| member.tuning;
        assert!(tuned.iter().filter(tunes).all(|member| [2, 3].contains(&member.replicate)));
        // Every strategy, control and born size, at every rate and budget.
        assert_eq!(tuned.iter().filter(tunes).count(), plain.len());
        let arms = |members: &[Member], tuning: bool| -> BTreeSet<String> {
            let own = members.iter().filter(|member| member.tuning == tuning);
            let rate = |member: &Member| member.trial.settings.training.learning_rate;
            own.map(|m| format!("{} {} {:?}", m.strategy, rate(m), m.budget)).collect()
        };
        assert_eq!(arms(&tuned, false), arms(&tuned, true));
        let order = in_order(&tuned);
        assert!(order.is_sorted_by_key(|member| member.tuning), "they are trained last");
    }
}

#[test]
fn shapes_and_batches_are_tried_beside_some_sizes() {
    let text = SWEEP.replace("[frontier]", "[frontier]\nchecks = ['shapes', 'batch']");
    let sweep = sweep(&text);
    let sizes = sweep.born_sizes();
    let members = sweep.members("d").expect("members");
    let own: Vec<&Member> = members.iter().filter(|member| member.kind == "born_check").collect();
    let names: BTreeSet<&str> = own.iter().map(|member| &*member.strategy).collect();
    let expected = [
        "born_1_deeper",
        "born_1_half_batch",
        "born_1_twice_batch",
        "born_1_wider",
        "born_4_deeper",
        "born_4_wider",
        "born_6_half_batch",
        "born_6_twice_batch",
        "born_7_deeper",
        "born_7_wider",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(own.len(), expected.len() * 3 * 2, "at one budget, all rates and seeds");
    for member in own {
        let (size, tried) = check_of(&member.strategy).expect("a check");
        let size = sizes.iter().find(|one| one.name == size).expect("a size");
        let model = member.trial.plan.target();
        let off = (n_frontier_parameters(model) as f64 / size.n as f64).ln().abs();
        assert!(off < 0.1, "{}: {} and {}", member.strategy, model.describe(), size.n);
        let (layers, of_size) = (model.layers.len(), size.architecture.layers.len());
        let batch = member.trial.settings.training.batch_size;
        match tried {
            "deeper" => assert!(layers > of_size && batch == 8),
            "wider" => assert!(layers < of_size && batch == 8),
            "half_batch" => assert!(*model == size.architecture && batch == 4),
            _ => assert!(*model == size.architecture && batch == 16),
        }
        let spent = flops(member) / flops(&members[0]);
        let at_20 = members.iter().find(|one| one.budget == member.budget).expect("one");
        assert!((flops(member) / flops(at_20) - 1.0).abs() < 0.02, "{spent}");
    }
    let all = crate::sweep(&text.replace("'shapes', 'batch'", "'all_shapes'"));
    let members = all.members("d").expect("members");
    let tried: BTreeSet<_> = members.iter().filter_map(|one| check_of(&one.strategy)).collect();
    for size in &sizes {
        assert!(tried.contains(&(&*size.name, "deeper")), "{tried:?}");
        // One layer can't be fewer.
        let is_deep = size.architecture.layers.len() > 1;
        assert_eq!(tried.contains(&(&*size.name, "wider")), is_deep, "{tried:?}");
    }
    let both = refused(&text.replace("'shapes'", "'shapes', 'all_shapes'"));
    assert!(both.contains("write one of them"), "{both}");
    let twice = refused(&SWEEP.replace("[frontier]", "[frontier]\nchecks = ['batch', 'batch']"));
    assert!(twice.contains("frontier.checks") && twice.contains("once"), "{twice}");
    let away = text.replace("budgets = [2, 5, 10, 20, 40, 80]", "budgets = [2, 5, 10, 40, 80]");
    assert!(refused(&away).contains("frontier.budgets has it not"), "{}", refused(&away));
    let name = text.replace("\"stages\", kind", "\"born_1_deeper\", kind");
    assert!(refused(&name).contains("born_1_deeper"));
}

#[test]
fn seeds_that_could_not_tune_are_refused() {
    let with = |text: &str, n: usize| {
        text.replace("replicates = 2", &format!("replicates = 2\ntuning_replicates = {n}"))
    };
    let grid = "grid.training.learning_rate = [1e-3, 2e-3, 4e-3]";
    let alone = refused(&with(SWEEP, 1));
    assert!(alone.contains("tuning_replicates") && alone.contains("at least 2"), "{alone}");
    for other in ["", "grid.training.learning_rate = [1e-3]"] {
        let nothing = refused(&with(&SWEEP.replace(grid, other), 2));
        assert!(nothing.contains("grid.training.learning_rate several values"), "{nothing}");
    }
    for other in ["grid.training.batch_size = [4, 8]", "grid.strategies.stages.stages = [2, 3]"] {
        let members = sweep(&with(&SWEEP.replace(grid, other), 2)).members("d").expect("members");
        assert!(members.iter().any(|member| member.tuning && member.setting.contains('=')));
    }
    let many = refused(&with(SWEEP, usize::MAX >> 11));
    assert!(many.contains("(replicates + tuning_replicates)"), "{many}");
}
