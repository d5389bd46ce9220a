//! How a sweep file is written: what may be left out, presets, fields set by hand, grids, and what
//! is said of mistakes.

use outgrow_core::{
    LayerShape, ParamId, ParamKind, Sweep, Trial,
    model::Axis,
    plan::RateRule,
    sweep::{Draft, Member, PRESETS, Rates, SweepError, SweepSpec},
};

/// A sweep of one's own: depth alone, width alone, both; early and late.
const SHORT: &str = r#"
name = "depth-or-width"
data.paths = ["corpus"]
training.tokens = 60_000
target = { d_model = 32, n_layers = 4, n_heads = 2 }
initial = { d_model = 16, n_layers = 2, n_heads = 1, d_ff = 64 }
grid.training.learning_rate = [2e-3, 4e-3, 8e-3]
strategies = [
  { name = "depth_early", kind = "all_at_once", at = 0.15, initial = { n_layers = 2 } },
  { name = "depth_late", kind = "all_at_once", at = 0.5, initial = { n_layers = 2 } },
  { name = "width_early", kind = "all_at_once", at = 0.15, initial = { d_model = 16, n_heads = 1, d_ff = 64 } },
  { name = "width_late", kind = "all_at_once", at = 0.5, initial = { d_model = 16, n_heads = 1, d_ff = 64 } },
  { name = "both_early", kind = "all_at_once", at = 0.15 },
  { name = "both_late", kind = "all_at_once", at = 0.5 },
]
"#;

fn sweep(text: &str) -> Sweep {
    Sweep::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(text: &str) -> String {
    Sweep::parse(text).expect_err(text).to_string()
}

fn members(text: &str) -> Vec<Member> {
    sweep(text).members("d").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn set(text: &str, assignments: &[&str]) -> Result<SweepSpec, SweepError> {
    let mut draft = Draft::parse("", text)?;
    assignments.iter().try_for_each(|one| draft.set(one))?;
    draft.spec(None)
}

#[test]
fn a_question_needs_few_lines() {
    assert!(SHORT.trim().lines().count() <= 15);
    insta::assert_snapshot!(sweep(SHORT).resolved());
    let all = members(SHORT);
    let own = all.iter().filter(|member| member.strategy == "depth_early");
    assert_eq!(own.clone().count(), 3 * 3, "seeds and rates");
    for member in own {
        let plan = &member.trial.plan;
        assert_eq!((plan.initial().d_model, plan.initial().layers.len()), (32, 2));
        assert_eq!((plan.target().d_model, plan.target().layers.len()), (32, 4));
    }
}

#[test]
fn a_resolved_sweep_says_everything() {
    for (name, text) in PRESETS {
        let text = match name {
            "quickstart" => text.to_owned(),
            _ => format!(
                "{}\n[data]\ncorpus = \"rust-crates\"\n[training]\ntokens = 1e6\n\
                          [[strategies]]\nkind = \"all_at_once\"\nat = 0.4",
                named(text)
            ),
        };
        let first = sweep(&text);
        let again = sweep(&first.resolved());
        assert_eq!((first.resolved(), &first), (again.resolved(), &again), "{name}");
    }
    let first = sweep(SHORT);
    assert_eq!(sweep(&first.resolved()), first);
}

fn named(text: &str) -> String {
    format!("name = \"of-a-preset\"\n{text}")
}

/// Each field of a whole file either has a default or is asked for by its name.
#[test]
fn any_field_may_be_forgotten() {
    let whole: toml::Table = sweep(SHORT).resolved().parse().expect("TOML");
    let mut asked = vec![];
    for way in ways(&whole.clone().into()) {
        let mut text = toml::Value::Table(whole.clone());
        remove(&mut text, &way);
        let field = way.join(".");
        match Sweep::parse(&toml::to_string(&text).expect("TOML")) {
            Ok(_) => {}
            Err(SweepError::Missing(fields)) => {
                assert!(
                    fields.iter().any(|(name, _)| same_field(name, &way)),
                    "{field}: {fields:?}"
                );
                asked.push(field);
            }
            // Six strategies of one kind need names, without its sizes a model becomes another or
            // the target, and a table of some kind says which.
            Err(other) => assert!(
                other.to_string().contains("never grows")
                    || ["name", "n_heads", "d_model", "kind"]
                        .contains(&way[way.len() - 1].as_str()),
                "{field}: {other}"
            ),
        }
    }
    asked.sort();
    asked.dedup();
    insta::assert_snapshot!(asked.join("\n"));
}

fn same_field(name: &str, way: &[String]) -> bool {
    name.split('.').next_back() == way.last().map(String::as_str)
        || name.split('.').next() == Some(&*way[0])
}

fn ways(value: &toml::Value) -> Vec<Vec<String>> {
    let under = |name: &str, value: &toml::Value| -> Vec<Vec<String>> {
        let more = ways(value).into_iter();
        let way = |rest: Vec<String>| [vec![name.to_owned()], rest].concat();
        [vec![vec![name.to_owned()]], more.map(way).collect()].concat()
    };
    match value {
        toml::Value::Table(table) => {
            table.iter().flat_map(|(name, value)| under(name, value)).collect()
        }
        toml::Value::Array(list) if list.iter().all(toml::Value::is_table) => list
            .iter()
            .enumerate()
            .flat_map(|(number, value)| under(&number.to_string(), value))
            .filter(|way| way.len() > 1)
            .collect(),
        _ => vec![],
    }
}

fn remove(value: &mut toml::Value, way: &[String]) {
    let (first, rest) = way.split_first().expect("a way");
    match (value, rest) {
        (toml::Value::Table(table), []) => drop(table.remove(first)),
        (toml::Value::Table(table), rest) => remove(table.get_mut(first).expect("there"), rest),
        (toml::Value::Array(list), rest) => {
            remove(&mut list[first.parse::<usize>().expect("a number")], rest)
        }
        _ => unreachable!("a way through tables and lists"),
    }
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    insta::assert_snapshot!(refused(""));
    insta::assert_snapshot!(refused(
        "name = 'x'\ntraining.tokens = 1e6\ndata.paths = ['a']\ntarget = { d_model = 63, n_heads = 2 }\n\
         initial = { n_layers = 1 }\nstrategies = [{ kind = 'evenly_spaced' }, { kind = 'all_at_once' }]"
    ));
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (from, to) in [
        ("training.tokens = 60_000", "training.tokens = 60_000\ntraining.tokenz = 3"),
        ("training.tokens = 60_000", "training.tokens = 'many'"),
        (
            "training.tokens = 60_000",
            "training.tokens = 60_000\ntraining.learning_rate = [1e-3, 2e-3]",
        ),
        (
            "{ n_layers = 2 } },\n  { name = \"depth_late\"",
            "{ layers = 2 } },\n  { name = \"depth_late\"",
        ),
        (
            "kind = \"all_at_once\", at = 0.5, initial = { n_layers",
            "kind = \"at_once\", initial = { n_layers",
        ),
        (
            "grid.training.learning_rate",
            "grid.training.batch_sizes = [1]\ngrid.training.learning_rate",
        ),
        (
            "grid.training.learning_rate = [2e-3, 4e-3, 8e-3]",
            "grid.training.optimizer.beta1 = [0.9, 2.0]",
        ),
        ("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", "grid.training.tokens = [1e6, 2e6]"),
        ("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", "grid.training.learning_rate = 2e-3"),
        (
            "grid.training.learning_rate = [2e-3, 4e-3, 8e-3]",
            "grid.strategies.dept.at = [0.1, 0.2]",
        ),
        ("name = \"depth-or-width\"", "name = \"depth-or-width\"\nextends = \"llama-large\""),
        ("grid.training.learning_rate", "controls.learning_rates"),
    ] {
        assert!(SHORT.contains(from), "{from}");
        insta::assert_snapshot!(refused(&SHORT.replacen(from, to, 1)));
    }
}

#[test]
fn fields_are_set_by_hand() {
    let spec = set(
        SHORT,
        &[
            "training.tokens=1e6",
            "training.schedule.kind=cosine",
            "strategies.both_late.at=0.7",
            "strategies.4.at=0.2",
            "name=other",
            "target.n_layers = 6",
            "controls.same_tokens=false",
        ],
    )
    .expect("a sweep");
    let text = toml::to_string(&spec).expect("TOML");
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table["training"]["tokens"].as_integer(), Some(1_000_000));
    assert_eq!(table["training"]["schedule"]["kind"].as_str(), Some("cosine"));
    assert_eq!(table["training"]["schedule"]["warmup"].as_float(), Some(20_000.0));
    assert_eq!(table["strategies"][5]["at"].as_float(), Some(0.7));
    assert_eq!(table["strategies"][4]["at"].as_float(), Some(0.2));
    assert_eq!(table["target"]["n_layers"].as_integer(), Some(6));
    assert_eq!(table["name"].as_str(), Some("other"));
    for (assignment, words) in [
        (
            "training.tokens=abc",
            "--set training.tokens=abc: `training.tokens`: invalid type: string \"abc\"",
        ),
        ("training.tokenz=1", "--set training.tokenz=1: `training.tokenz`: unknown field"),
        ("strategies.both.at=0.1", "there is no `both`; there are: depth_early, "),
        (
            "strategies.both_late.when=0.1",
            "--set strategies.both_late.when=0.1: `strategies.both_late.when`: unknown field",
        ),
        ("training", "write FIELD=VALUE"),
        ("=3", "write FIELD=VALUE"),
        ("extends=quickstart", "only a file can extend others"),
        ("training=3", "`training`: invalid type: integer `3`, expected a table"),
        (
            "training.tokens=[1, 2]",
            "expected a whole number, 0 or more; several values to compare go under [grid]",
        ),
        ("a b=3", "write FIELD=VALUE"),
        ("training.tokens=-3", "`training.tokens`: invalid value: integer `-3`"),
    ] {
        let error = set(SHORT, &[assignment]).expect_err(assignment).to_string();
        assert!(error.contains(words), "{assignment}: {error}");
    }
}

#[test]
fn a_file_lies_over_what_it_extends() {
    let base = Draft::parse("base.toml", SHORT).expect("TOML");
    let own = "extends = 'base.toml'\nname = 'own'\nreplicates = 5\ngrid = {}\ntraining.learning_rate = 1e-2\n\
               [training.growth]\nlearning_rate = { kind = 'unchanged' }\n\
               [[strategies]]\nkind = 'evenly_spaced'\nstages = 2\ngrow_between = [0.1, 0.5]";
    let own = Draft::parse("", own).expect("TOML");
    assert_eq!(own.extends().expect("names"), ["base.toml"]);
    let spec = own.over(vec![base.clone()]).spec(Some("the-file")).expect("a sweep");
    assert_eq!((&*spec.name, spec.replicates, spec.strategies.len()), ("own", 5, 1));
    assert_eq!(spec.training.tokens, 60_000);
    // A name is not inherited; a mistake is shown where it is.
    let nameless = Draft::parse("", "replicates = 2").expect("TOML");
    let spec = nameless.clone().over(vec![base.clone()]).spec(Some("the-file")).expect("a sweep");
    assert_eq!(spec.name, "the-file");
    let wrong = SHORT.replace("at = 0.15", "when = 0.15");
    let base = Draft::parse("base.toml", &wrong).expect("TOML");
    let error = nameless.over(vec![base]).spec(Some("x")).expect_err("refused").to_string();
    assert!(
        error.starts_with("base.toml, line 9: `strategies.depth_early.when`: unknown field"),
        "{error}"
    );
    // Another corpus replaces the files, another kind its fields.
    let other = Draft::parse("", "data.corpus = 'rust-crates'").expect("TOML");
    let spec = other.over(vec![Draft::parse("b", SHORT).expect("TOML")]).spec(Some("x"));
    let data = spec.expect("a sweep").data;
    assert_eq!(
        (data.paths, data.validation, data.corpus.as_deref()),
        (None, None, Some("rust-crates"))
    );
}

#[test]
fn paths_of_an_extended_file_count_from_its_folder() {
    let mut base =
        Draft::parse("b", &SHORT.replace("[\"corpus\"]", "['corpus', '/all']")).expect("TOML");
    base.move_paths("shared/bases".as_ref());
    let spec = base.spec(None).expect("a sweep");
    assert_eq!(spec.data.paths.expect("paths"), ["shared/bases/corpus", "/all"]);
}

#[test]
fn everything_is_trained_at_each_point_of_a_grid() {
    let plain = members(&SHORT.replace("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", ""));
    let grid = "grid.training = { batch_size = [8, 16], learning_rate = [2e-3, 4e-3], \
                growth.optimizer = ['reset', 'keep_entry_age'] }\ngrid.strategies.both_late.at = [0.4, 0.5]";
    let text = SHORT.replace("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", grid);
    let all = members(&text);
    let count =
        |of: &[Member], name: &str| of.iter().filter(|member| member.strategy == name).count();
    assert_eq!(count(&all, "depth_early"), 2 * 2 * 2 * count(&plain, "depth_early"));
    assert_eq!(count(&all, "both_late"), 2 * 2 * 2 * 2 * count(&plain, "both_late"));
    // What never grows has no policy at growth.
    assert_eq!(count(&all, "from_scratch"), 2 * 2 * count(&plain, "from_scratch"));
    let settings: std::collections::BTreeSet<&str> = all
        .iter()
        .filter(|member| member.strategy == "both_late")
        .map(|member| &*member.setting)
        .collect();
    assert!(settings.contains("batch_size=8, optimizer=reset, at=0.4"), "{settings:?}");
    let places: std::collections::BTreeSet<_> = all
        .iter()
        .map(|m| {
            let rate = m.trial.settings.training.learning_rate.to_bits();
            (&m.strategy, m.plan, m.replicate, rate, &m.setting)
        })
        .collect();
    assert_eq!(places.len(), all.len(), "a place is one trial's");
    // The base is one of the points, and its trials are the same.
    let ids = |members: &[Member]| -> std::collections::BTreeSet<String> {
        members.iter().map(|member| member.trial.id()).collect()
    };
    let base =
        ids(&members(&text.replace("batch_size = [8, 16], ", "").replace("['reset', ", "[")));
    assert!(base.is_subset(&ids(&all)));
}

#[test]
fn a_grid_over_initial_sizes_and_budgets_keeps_places_apart() {
    let grid = "training.match_budget = 'tokens'\ngrid.initial.d_model = [16, 20]\n\
                grid.strategies.both_late.at = [0.4, 0.5]";
    let text = SHORT.replace("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", grid);
    let all = members(&text);
    let mut places = std::collections::BTreeMap::new();
    for member in &all {
        let place = (&member.strategy, member.plan, member.replicate, &member.setting);
        let other = places.insert(place, member.trial.id());
        assert!(other.is_none(), "{place:?} twice");
    }
}

/// The strategies' names without what a grid or budget makes of them, each with its settings.
fn settings(text: &str, strategy: &str) -> Vec<String> {
    let mut all: Vec<String> = members(text)
        .iter()
        .filter(|member| member.strategy == strategy && member.replicate == 0)
        .map(|member| member.setting.clone())
        .collect();
    all.dedup();
    all
}

#[test]
fn a_control_has_one_name_at_all_points_of_a_grid() {
    let grid =
        format!("training.match_budget = 'tokens'\ngrid.training.batch_size = [4, 8, 16]{SHORT}");
    let one_rate = grid.replace("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", "");
    let controls: std::collections::BTreeSet<String> = members(&one_rate)
        .into_iter()
        .filter(|member| member.strategy.starts_with("from_scratch_"))
        .map(|member| member.strategy)
        .collect();
    assert!(!controls.is_empty());
    for control in controls {
        assert_eq!(settings(&one_rate, &control).len(), 3, "{control}");
    }
}

#[test]
fn a_strategys_policy_follows_the_grid_where_it_says_nothing() {
    let text = SHORT
        .replace(
            "name = \"both_late\",",
            "name = \"both_late\", growth = { learning_rate = { kind = 'unchanged' } },",
        )
        .replace(
            "grid.training.learning_rate = [2e-3, 4e-3, 8e-3]",
            "grid.training.growth.optimizer = ['reset', 'keep_entry_age']",
        );
    let own: Vec<_> = members(&text).into_iter().filter(|m| m.strategy == "both_late").collect();
    let policies: std::collections::BTreeSet<_> =
        own.iter().map(|m| format!("{:?}", m.trial.policy())).collect();
    assert_eq!((own.len(), policies.len()), (6, 2), "{policies:?}");
    assert!(policies.iter().all(|policy| policy.contains("Unchanged")), "{policies:?}");
    assert_eq!(sweep(&sweep(&text).resolved()), sweep(&text));
}

#[test]
fn rates_follow_the_size_of_every_model() {
    let with = |lines: &str| format!("{lines}\n{SHORT}");
    let text = with("training.rates = { rule = 'complete_p', base = { d_model = 16 } }");
    for member in members(&text) {
        let rates = member.trial.settings.training.rates.as_ref().expect("of every trial");
        // What the base leaves out is the target's.
        let Rates { rule: RateRule::CompleteP, base } = rates else { panic!("{rates:?}") };
        assert_eq!((base.d_model, base.layers.len(), base.layers[0].d_ff), (16, 4, 128));
        let settings = member.trial.step_settings();
        let now = member.trial.plan.initial();
        let factors = settings.factors(now);
        let width = 16.0 / now.d_model as f64;
        let depth = 4.0 / now.layers.len() as f64;
        let of = |kind| factors(ParamId::in_layer(0, kind));
        assert_eq!(of(ParamKind::Wq).rate, width);
        assert_eq!(of(ParamKind::Wo).rate, 32.0 / now.layers[0].width(Axis::Mixed) as f64 * depth);
    }
    assert_eq!(sweep(&sweep(&text).resolved()), sweep(&text));
    // Nothing changes where nothing is said, or that nothing changes.
    let ids = |text: &str| members(text).iter().map(|m| m.trial.id()).collect::<Vec<_>>();
    assert_eq!(
        ids(&with("training.rates = { rule = 'standard', base = { d_model = 16 } }")),
        ids(SHORT)
    );
    let rules = "grid.training.rates.rule = ['standard', 'mup', 'paths_mean']\n\
                 training.rates = { rule = 'mup', base = { d_model = 16 } }";
    assert_eq!(members(&with(rules)).len(), 3 * members(SHORT).len());
    for (lines, said) in [
        ("training.rates = { rule = 'mup' }", "`training.rates.base` is missing"),
        (
            "training.growth.learning_rate = { kind = 'mup_rebase' }\n\
             training.rates = { rule = 'mup', base = { d_model = 8 } }",
            "training.growth.learning_rate.kind",
        ),
        ("training.rates = { rule = 'mup', base = { d_model = 0 } }", "training.rates.base"),
        ("training.rates = { rule = 'dynamics', base = { d_model = 8 } }", "kind = \"rebase\""),
        (
            "training.rates = { rule = 'paths_variance', base = { d_model = 8 } }",
            "measured in the model that grows",
        ),
        ("training.growth.learning_rate = { kind = 'rebase' }", "rule"),
        (
            "training.growth.learning_rate = { kind = 'rebase', rule = 'mupp' }",
            "unknown variant `mupp`",
        ),
        (
            "training.growth.learning_rate = { kind = 'rebase', rule = 'mup' }\n\
             training.rates = { rule = 'u_mup', base = { d_model = 8 } }",
            "leave one out",
        ),
    ] {
        assert!(refused(&with(lines)).contains(said), "{lines}\n{}", refused(&with(lines)));
    }
    let trial = &members(&text)[0].trial;
    let mut stored = serde_json::to_value(trial).expect("plain data");
    assert_eq!(&serde_json::from_value::<Trial>(stored.clone()).expect("a trial"), trial);
    stored["settings"]["training"]["rates"]["base"]["layers"] = serde_json::json!([]);
    let error = serde_json::from_value::<Trial>(stored).expect_err("no model").to_string();
    assert!(error.contains("the number of layers is 0"), "{error}");
    let both = "training.growth.learning_rate = { kind = 'rebase', rule = 'dynamics' }\n\
                training.rates = { rule = 'mup', base = { d_model = 8 } }";
    assert!(!members(&with(both)).is_empty());
}

#[test]
fn layers_may_use_the_weights_of_others() {
    let text = |target: &str, rest: &str| {
        format!(
            "name = 'shared'\ndata.paths = ['corpus']\ntraining.tokens = 60_000\n\
             target = {{ d_model = 16, n_layers = 6, n_heads = 2{target} }}\n{rest}"
        )
    };
    let untie = |initial: &str| {
        let strategy = format!(
            "initial = {{ n_layers = 6{initial} }}\n\
             strategies = [{{ kind = 'operator', operator = {{ kind = 'untie' }}, at = 0.1 }}]"
        );
        text("", &strategy)
    };
    let owners = |text: &str| {
        let sweep = sweep(text);
        let of = |layer: &LayerShape| layer.of;
        sweep.initial().layers.iter().map(of).collect::<Vec<_>>()
    };
    let [a, b, c, d] = [Some(0), Some(1), Some(2), Some(4)];
    assert_eq!(owners(&untie(", unique_layers = 2")), [None, None, a, b, a, b]);
    let repeat = untie(", unique_layers = 3, sharing = 'repeat'");
    assert_eq!(owners(&repeat), [None, a, None, c, None, d]);
    let grown = |member: &Member| member.trial.plan.stages().len();
    let of_untie: Vec<_> = members(&repeat).into_iter().filter(|m| m.strategy == "untie").collect();
    assert!(!of_untie.is_empty() && of_untie.iter().all(|member| grown(member) == 1));
    assert!(of_untie[0].trial.plan.target().layers.iter().all(|layer| layer.of.is_none()));
    assert_eq!(sweep(&sweep(&repeat).resolved()), sweep(&repeat));
    // One after the other.
    let slowly = untie(", unique_layers = 2").replace("at = 0.1", "at = [0.1, 0.3]");
    let of_untie = members(&slowly).into_iter().find(|m| m.strategy == "untie").expect("trials");
    let owners_after = |stages| {
        let model = of_untie.trial.plan.architecture_after(stages);
        model.layers.iter().map(|layer| layer.of).collect::<Vec<_>>()
    };
    assert_eq!(owners_after(1), [None, None, None, None, a, b]);
    assert_eq!(owners_after(2), [None; 6]);
    let looped = text(
        ", unique_layers = 2",
        "model.branch_gains = true\ninitial = { n_layers = 2 }\nstrategies = [{ kind = 'operator', \
         operator = { kind = 'add_passes' }, at = [0.1, 0.3] }]",
    );
    let plan = &members(&looped)[0].trial.plan;
    assert_eq!([0, 1, 2].map(|n| plan.architecture_after(n).layers.len()), [2, 4, 6]);
    // A list says itself whose weights its layers use, and is laid over what does not.
    let list = "layers = [{ heads = [{ n_heads = 2, d_k = 8, d_v = 8 }], d_ff = 64 }]";
    let said = refused(&untie(&format!(", unique_layers = 2, {list}")));
    assert!(said.contains("beside layers"), "{said}");
    // Width alone grows under any sharing that both have.
    let wide = text(
        ", unique_layers = 3",
        "initial = { d_model = 8 }\nstrategies = [{ kind = 'all_at_once', at = 0.4 }]",
    );
    assert_eq!(owners(&wide), [None, None, None, a, b, c]);
    assert!(members(&wide).iter().all(|member| member.trial.plan.target().shares()));
    for (text, said) in [
        (untie(", unique_layers = 4"), "must be a multiple of it"),
        (untie(", unique_layers = 0"), "must be a multiple of it"),
        (untie(", sharing = 'cycle'"), "unique_layers"),
        (untie(", unique_layers = 2, sharing = 'ring'"), "unknown variant `ring`"),
        (
            text(
                "",
                "initial = { n_layers = 6, unique_layers = 2 }\n\
                 strategies = [{ kind = 'all_at_once', at = 0.4 }]",
            ),
            "the operators untie and add_passes do",
        ),
    ] {
        assert!(refused(&text).contains(said), "{text}\n{}", refused(&text));
    }
}

#[test]
fn what_would_have_no_effect_is_refused() {
    let last = |fields: &str| {
        SHORT.replace("name = \"both_late\",", &format!("name = \"both_late\", {fields},"))
    };
    let over = |rest: &str| format!("{rest}{SHORT}");
    let dear = r#"strategies = [{ kind = "operator", at = 0.3, operator = { kind = "ligo", steps = 1e9, learning_rate = 1e-3, batch_size = 4 } }]"#;
    let (before, _) = SHORT.split_once("strategies = [").expect("strategies");
    for (text, said) in [
        (last("initial = { d_model = 32, n_layers = 4, n_heads = 2, d_ff = 128 }"), "never grows"),
        (over("grid.strategies.both_late.name = ['x', 'y']"), "does not change how a plan trains"),
        (over("grid.strategies.both_late.plans = [1, 2]"), "does not change how a plan trains"),
        (
            over(
                "contrasts = [{ a = 'both_late', b = 'both_early' }, { a = 'both_early', b = 'both_late' }]",
            ),
            "twice",
        ),
    ] {
        assert!(refused(&text).contains(said), "{text}\n{}", refused(&text));
    }
    for (text, said) in [
        (
            over(
                "training.growth.learning_rate = { kind = 'rebase', rule = 'mup', rewarm_new = 1e9 }",
            ),
            "must be fewer",
        ),
        (
            over("training.growth.learning_rate = { kind = 'rewarm_all', tokens = 1e9 }"),
            "must be fewer",
        ),
        (over("contrasts = [{ a = 'both_late', b = 'fixed_size_7' }]"), "no such control"),
        (format!("{before}{dear}"), "more than the whole budget"),
    ] {
        let error = sweep(&text).members("d").expect_err(&text).to_string();
        assert!(error.contains(said), "{error}");
    }
    let hidden =
        set(SHORT, &["training.learning_rate=0.5"]).expect_err("the grid has it").to_string();
    assert!(hidden.contains("the grid below has this field"), "{hidden}");
    let free = set(SHORT, &["grid={}", "training.learning_rate=0.5"]).expect("no grid any more");
    assert_eq!((free.grid, free.training.learning_rate), (Default::default(), 0.5));
}

#[test]
fn what_is_said_as_it_is_anyway_makes_no_other_sweep() {
    let plain = sweep(SHORT).id("d");
    for said in ["data.vocab_size = 256", "data.field = 'text'", "target.n_kv_heads = 2"] {
        let text = SHORT.replace(
            "target = { d_model = 32, n_layers = 4, n_heads = 2 }",
            "target = { d_model = 32, n_layers = 4, n_heads = 2 }\n",
        );
        let text = match said.strip_prefix("target.") {
            Some(field) => text.replace("n_heads = 2 }\n", &format!("n_heads = 2, {field} }}\n")),
            None => format!("{said}{text}"),
        };
        assert_eq!(sweep(&text).id("d"), plain, "{said}");
    }
    let empty = SHORT.replace("name = \"both_late\",", "name = \"both_late\", growth = {},");
    assert_eq!(sweep(&empty).id("d"), plain);
}

#[test]
fn a_value_out_of_range_is_shown_where_it_stands() {
    let mut draft = Draft::parse("", "extends = 'base.toml'\nname = 'x'").expect("TOML");
    let base = Draft::parse(
        "base.toml",
        &format!("{SHORT}[training]\nbeta = 1")
            .replace("[training]\nbeta = 1", "[evaluation]\nafter_growth = [3, 1]"),
    )
    .expect("TOML");
    draft = draft.over(vec![base]);
    let error = Sweep::new(draft.spec(None).expect("fields are there")).expect_err("out of range");
    let error = draft.locate(error).to_string();
    assert!(
        error.contains("base.toml, line") && error.contains("after_growth = [3, 1]"),
        "{error}"
    );
}

#[test]
fn labels_of_a_grid_tell_its_fields_apart() {
    let grid = "grid.training.growth.initializer = [{ kind = 'copy' }]\ngrid.training.growth.learning_rate.kind = ['unchanged']\n\
                grid.training.schedule.kind = ['constant']";
    let text =
        format!("{grid}{}", SHORT.replace("grid.training.learning_rate = [2e-3, 4e-3, 8e-3]", ""));
    let label = &settings(&text, "both_late")[0];
    assert!(
        label.contains("learning_rate.kind=unchanged") && label.contains("schedule.kind=constant"),
        "{label}"
    );
}
