//! A search from the command line: it goes on where it was stopped, with the same plans.

use std::{fs, path::Path};

use crate::sandbox::Sandbox;

const SEARCH: &str = r#"
name = "found"
replicates = 2
data = { corpus = "rust-crates", seq_len = 16 }
training = { tokens = 4096, match_budget = "flops", batch_size = 4, learning_rate = 5e-3 }
evaluation = { every_tokens = 100_000, tokens = 256, record_every_tokens = 2048 }
initial = { d_model = 8, n_layers = 1, n_heads = 1, d_k = 8, d_v = 8, d_ff = 16 }
target = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 32 }
controls = { same_tokens = false, same_compute = true, fixed_sizes = 0 }

[[strategies]]
name = "lattice"
kind = "enumerated"
at_compute = [0.2, 0.4, 0.6]
max_stages = 2
axes = [
  { name = "width", levels = [{ d_model = 8, n_heads = 1, d_ff = 16 }, { d_model = 16, n_heads = 2, d_ff = 32 }] },
  { name = "depth", levels = [{ n_layers = 1 }, { n_layers = 2 }] },
]

[search]
strategy = "lattice"
trials = 10
batch = 3
race_every = 3
"#;

const ASKED: &str = "SELECT plan, replicate, val_loss FROM finals WHERE strategy = 'lattice' ORDER \
                     BY 1, 2";

fn asked(sandbox: &Sandbox) -> serde_json::Value {
    sandbox.json(&["query", ASKED, "--format", "json"])
}

#[test]
fn a_search_goes_on_where_it_was_stopped_with_the_same_plans() {
    let [whole, stopped] = [(); 2].map(|()| {
        let sandbox = Sandbox::new();
        sandbox.write("search.toml", SEARCH);
        sandbox
    });
    let plan = whole.ok(&["plan", "search.toml"]);
    assert!(plan.contains("surrogate asks for 10 trials among the 15 plans of lattice"), "{plan}");
    let said = whole.ok(&["search", "search.toml", "-j", "2"]);
    assert!(said.contains("is believed to be plan"), "{said}");
    assert!(said.contains("kind = \"listed\"") && said.contains("at_compute = ["), "{said}");
    assert_eq!(whole.number("SELECT count(*) FROM finals WHERE strategy = 'lattice'"), 10);
    assert!(whole.number("SELECT count(*) FROM finals WHERE strategy = 'from_scratch'") == 2);
    assert!(whole.number("SELECT max(replicate) FROM finals WHERE strategy = 'lattice'") == 1);

    // Killed after each batch or in it, with another number of workers.
    for least in [2, 5, 8] {
        let mut child = stopped.start(&["search", "search.toml", "-j", "1"]);
        stopped.wait_for("SELECT count(*) AS n FROM finals WHERE state = 'complete'", least);
        child.kill().expect("killed");
        child.wait().expect("it has ended");
    }
    stopped.ok(&["search", "search.toml", "-j", "2"]);
    assert_eq!(asked(&stopped), asked(&whole));
    let again = stopped.ok(&["search", "search.toml"]);
    assert_eq!(again, said, "it is at its end");

    // What was found is a strategy that a sweep file can have.
    let found = said.split_once("[[strategies]]").expect("a strategy").1;
    let text = SEARCH.split_once("[[strategies]]").expect("strategies").0;
    let text = text.replace("name = \"found\"", "name = \"again\"\nseed = 9");
    whole.write("again.toml", &format!("{text}\n[[strategies]]{found}"));
    assert!(whole.ok(&["plan", "again.toml"]).contains("found/0"));
    assert!(whole.ok(&["db", "check"]).contains("all is what was written"));

    // A report tells what was found, and compares nothing that was chosen by its loss.
    let told = whole.ok(&["report", "found"]);
    assert!(told.contains("surrogate has asked") && !told.contains("lattice vs"), "{told}");
    let page = fs::read_to_string(whole.path("reports/found/README.md")).expect("a page");
    for words in
        ["surrogate has asked for 10 of 10 trainings among 15 plans", "into a sweep with another"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let strategy = fs::read_to_string(whole.path("reports/found/found.toml")).expect("a strategy");
    assert!(said.contains(strategy.trim()), "{strategy}");
    let best = fs::read_to_string(whole.path("reports/found/tables/search.csv")).expect("a table");
    assert!(best.lines().count() > 3 && best.contains("lattice/"), "{best}");
}

#[test]
fn a_search_that_waits_for_nobody_goes_on_from_what_is_recorded() {
    // One at a time there is nothing to wait for.
    let [in_turn, one_by_one] = ["batch = 1", "batch = 1\nasynchronous = true"].map(|batch| {
        let sandbox = Sandbox::new();
        sandbox.write("search.toml", &SEARCH.replace("batch = 3", batch));
        sandbox.ok(&["search", "search.toml", "-j", "2"]);
        sandbox
    });
    assert_eq!(asked(&one_by_one), asked(&in_turn));

    let sandbox = Sandbox::new();
    sandbox.write("search.toml", &SEARCH.replace("batch = 3", "batch = 3\nasynchronous = true"));
    let plan = sandbox.ok(&["plan", "search.toml"]);
    assert!(plan.contains("3 under way, and for the next as soon as one has ended"), "{plan}");
    let mut child = sandbox.start(&["search", "search.toml", "-j", "2"]);
    sandbox.wait_for("SELECT count(*) AS n FROM finals WHERE state = 'complete'", 4);
    child.kill().expect("killed");
    child.wait().expect("it has ended");
    let before = asked(&sandbox);
    let said = sandbox.ok(&["search", "search.toml", "-j", "2"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM finals WHERE strategy = 'lattice'"), 10);
    let after = asked(&sandbox);
    let all = after.as_array().expect("rows");
    assert!(
        before
            .as_array()
            .expect("rows")
            .iter()
            .all(|row| { row["val_loss"].is_null() || all.contains(row) })
    );
    assert_eq!(sandbox.ok(&["search", "search.toml"]), said, "it is at its end");
    assert!(sandbox.ok(&["report", "found"]).contains("surrogate has asked"));
}

/// [`SEARCH`] among two strategies of its lattice, whose layers go elsewhere.
fn of_two() -> String {
    let (before, after) = SEARCH.split_once("[search]").expect("a search");
    let (base, lattice) = before.split_once("[[strategies]]").expect("strategies");
    let other = lattice.replace("\"lattice\"", "\"front\"\nlayers = \"start\"");
    let after = after.replace("strategy = \"lattice\"", "strategy = [\"lattice\", \"front\"]");
    format!("{base}[[strategies]]{lattice}[[strategies]]{other}[search]{after}")
}

#[test]
fn plans_may_end_below_the_target() {
    let sandbox = Sandbox::new();
    let free = SEARCH.replace("max_stages = 2", "max_stages = 1\ntarget = \"free\"");
    sandbox.write("search.toml", &free);
    let plan = sandbox.ok(&["plan", "search.toml"]);
    assert!(plan.contains("among the 15 plans of lattice"), "{plan}");
    let said = sandbox.ok(&["search", "search.toml", "-j", "2"]);
    let sizes = "SELECT count(DISTINCT parameters) FROM finals WHERE strategy = 'lattice'";
    assert!(sandbox.number(sizes) > 1);
    // What was found is a strategy that a sweep file can have, wherever it ends.
    let found = said.split_once("[[strategies]]").expect("a strategy").1;
    let text = free.split_once("[[strategies]]").expect("strategies").0;
    let text = text.replace("name = \"found\"", "name = \"again\"\nseed = 9");
    sandbox.write("again.toml", &format!("{text}\n[[strategies]]{found}"));
    assert!(sandbox.ok(&["plan", "again.toml"]).contains("found/0"));
    sandbox.ok(&["report", "found"]);
    let wrong = free.replace("\"free\"", "\"somewhere\"");
    sandbox.write("search.toml", &wrong);
    let (_, error) = sandbox.wrong(&["plan", "search.toml"]);
    assert!(error.contains("free"), "{error}");
}

#[test]
fn strategies_of_one_lattice_are_searched_together() {
    let sandbox = Sandbox::new();
    sandbox.write("search.toml", &of_two());
    let plan = sandbox.ok(&["plan", "search.toml"]);
    assert!(plan.contains("among the 30 plans of lattice, front"), "{plan}");
    let said = sandbox.ok(&["search", "search.toml", "-j", "2"]);
    for of in ["lattice", "front"] {
        let own = format!("SELECT count(*) FROM finals WHERE strategy = '{of}'");
        assert!(sandbox.number(&own) > 0, "{of}");
    }
    assert_eq!(sandbox.number("SELECT count(*) FROM finals WHERE kind = 'enumerated'"), 10);
    let told = sandbox.json(&["search", "search.toml", "--json"]);
    let of = told["of"].as_str().expect("a name");
    assert!(said.contains(&format!(" of {of}: ")), "{said}");
    let strategy = told["strategy"].as_str().expect("a strategy");
    assert_eq!(strategy.contains("layers = \"start\""), of == "front", "{strategy}");
}

#[test]
fn searches_are_simulated_on_a_sweep_that_trained_all_plans() {
    let sandbox = Sandbox::new();
    let search = SEARCH.replace("[0.2, 0.4, 0.6]", "[0.1, 0.2, 0.4, 0.6]");
    let table = search.split_once("[search]").expect("a search").0.replace("\"found\"", "\"all\"");
    sandbox.write("all.toml", &table);
    sandbox.write("search.toml", &search);
    sandbox.ok(&["run", "all.toml", "-j", "2"]);
    let simulate = ["search", "search.toml", "--simulate", "all", "--searches", "20"];
    let said = sandbox.ok(&simulate);
    for words in
        ["best of 24, by seeds that", "random", "surrogate", "after 10", "as random's end at"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let told = sandbox.json(&[&simulate[..], &["--json"]].concat());
    assert_eq!(
        (&told["plans"], &told["seeds"], &told["searches"]),
        (&24.into(), &2.into(), &20.into())
    );
    let searchers = told["searchers"].as_array().expect("a list");
    assert_eq!(searchers.len(), 6);
    for one in searchers {
        let last = one["after"].as_array().and_then(|after| after.last()).expect("a batch");
        assert_eq!(last["trials"], 10);
        assert!(last["regret"]["mean"].as_f64().is_some_and(|regret| regret >= 0.0), "{one}");
        assert!(last["flops"].as_f64() > Some(1e9), "{one}");
    }
    assert_eq!(
        sandbox.number("SELECT count(*) FROM finals WHERE sweep = 'found'"),
        0,
        "nothing is trained"
    );
    sandbox.ok(&["export", "all", "--to", "rows", "--format", "tables"]);
    let of_files =
        ["search", "search.toml", "--simulate", "rows", "--searches", "20", "--figure", "regret"];
    assert_eq!(sandbox.ok(&[&["--db", "no.db"][..], &of_files].concat()), said);
    let numbers = fs::read_to_string(sandbox.path("regret/data/regret.csv")).expect("numbers");
    assert!(numbers.starts_with("searcher,flops,regret,low,high,n\nrandom,"), "{numbers}");
    assert!(sandbox.path("regret/figures/regret-double.pdf").exists());
    let (_, error) = sandbox.wrong(&[&["--db", "no.db"][..], &of_files].concat());
    assert!(error.contains("regret is there already"), "{error}");
    // What can be told of a plan before it is trained, and early.
    let ranked = sandbox.json(&["rank", "all", "--json"]);
    assert_eq!((&ranked["plans"], &ranked["seeds"]), (&24.into(), &2.into()));
    let predictors = ranked["predictors"].as_array().expect("a list");
    let names: Vec<&str> = predictors.iter().filter_map(|one| one["predictor"].as_str()).collect();
    assert!(names.starts_with(&["ridge", "boosted_trees", "nar"]), "{names:?}");
    assert!(names.contains(&"loss 0 % after the last growth"), "{names:?}");
    for one in predictors {
        let [value, low, high] = [0, 1, 2].map(|n| one["spearman"][n].as_f64().expect("a number"));
        assert!(low <= high && (-1.0..=1.0).contains(&value), "{one}");
    }
    let by_size = sandbox.ok(&["rank", "all", "--hold-out", "initial-sizes"]);
    assert!(by_size.contains("24 plans under the same 2 seeds"), "{by_size}");
    // The plans of a file, by a fit that is kept.
    let plans = ["--plans", "all.toml", "--top", "3", "--json"];
    let fitted =
        sandbox.json(&[&["rank", "all", "--save", "nar.safetensors"][..], &plans].concat());
    let told = fitted.as_array().expect("a list");
    assert!(told.len() == 3 && told.iter().all(|one| one["ridge"].is_f64()), "{fitted}");
    assert!(told.iter().all(|one| one["beyond"] == false), "{fitted}");
    assert!(told.is_sorted_by_key(|one| one["nar"].as_f64().expect("a number").to_bits()));
    let kept = sandbox.json(&[&["rank", "--load", "nar.safetensors"][..], &plans].concat());
    let [fitted, kept] =
        [&fitted, &kept].map(|all| [&all[0]["plan"], &all[0]["nar"], &all[0]["nar_sd"]]);
    assert_eq!(fitted, kept);
    let (_, error) = sandbox.wrong(&[&["rank", "--load", "all.toml"][..], &plans].concat());
    assert!(error.contains("is no predictor of plans"), "{error}");
    let other = SEARCH.replace("[0.2, 0.4, 0.6]", "[0.2, 0.5, 0.6]");
    sandbox.write("other.toml", &other);
    let (_, error) = sandbox.wrong(&["search", "other.toml", "--simulate", "all"]);
    assert!(error.contains("none of its strategies enumerates the lattice"), "{error}");
    let (_, error) = sandbox.wrong(&["search", "search.toml", "--simulate", "none"]);
    assert!(error.contains("none"), "{error}");
}

#[test]
fn what_a_search_promised_stands_beside_what_was_confirmed() {
    let sandbox = Sandbox::new();
    let rows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/rows");
    for name in ["flagship-search", "flagship"] {
        sandbox.ok(&["db", "import", &rows.join(name).display().to_string()]);
    }
    sandbox.ok(&["report", "flagship"]);
    let table = sandbox.path("reports/flagship/tables/confirmed.csv");
    let table = fs::read_to_string(table).expect("a table");
    let found: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(found.len(), 1, "the arms that no search asked for promise nothing: {table}");
    assert_eq!(
        found[0],
        "found,flagship-search,20,\u{2212}0.0240,0.0042,3,-0.0147 \u{b1} 0.0066,12,+0.0093"
    );
    let page = fs::read_to_string(sandbox.path("reports/flagship/README.md")).expect("a page");
    assert!(page.contains("confirmed minus believed"), "{page}");
}

#[test]
fn what_is_no_search_is_refused() {
    let sandbox = Sandbox::new();
    for (from, to, said) in [
        ("strategy = \"lattice\"", "strategy = \"other\"", "of the kind enumerated: lattice"),
        ("trials = 10", "trials = 0", "it must be from 1"),
        ("race_every = 3", "race_every = 1", "2 or more, or 0"),
        ("batch = 3", "batch = 3\nsearcher = \"luck\"", "unknown variant `luck`"),
        ("max_stages = 2", "max_stages = 0", "from 1 to 64"),
        ("max_stages = 2", "max_stages = 2\nlayers = \"random\"", "are others for each seed"),
        ("match_budget = \"flops\"", "match_budget = \"tokens\"", "differ in compute"),
        ("replicates = 2", "replicates = 2\ntuning_replicates = 2", "nothing is tuned"),
        ("strategy = \"lattice\"", "strategy = []", "name a strategy of the kind enumerated"),
        ("strategy = \"lattice\"", "strategy = [\"lattice\", \"lattice\"]", "named twice"),
        ("strategy = \"lattice\"", "strategy = 3", "a name or a list of names"),
        ("n_layers = 2 }] }", "n_layers = 3 }] }", "has the sizes of [target]"),
    ] {
        assert!(SEARCH.contains(from), "{from}");
        sandbox.write("wrong.toml", &SEARCH.replace(from, to));
        let (code, error) = sandbox.wrong(&["search", "wrong.toml"]);
        assert!(code == 2 && error.contains(said), "{said}: {code}: {error}");
    }
    let apart = of_two().replacen("max_stages = 2", "max_stages = 1", 1);
    sandbox.write("wrong.toml", &apart);
    let (_, error) = sandbox.wrong(&["search", "wrong.toml"]);
    assert!(error.contains("are of one lattice"), "{error}");
    sandbox.write("none.toml", SEARCH.split_once("[search]").expect("a search").0);
    let (_, error) = sandbox.wrong(&["search", "none.toml"]);
    assert!(error.contains("has no [search]"), "{error}");
}

#[test]
fn learning_rates_are_searched_with_the_plans() {
    let sandbox = Sandbox::new();
    let rates = "replicates = 2\ngrid.training.learning_rate = [2e-3, 5e-3]\n";
    let random = "trials = 10\nsearcher = \"random\"";
    let text = SEARCH.replace("replicates = 2\n", rates).replace("trials = 10", random);
    sandbox.write("search.toml", &text);
    let plan = sandbox.ok(&["plan", "search.toml"]);
    assert!(plan.contains("random asks for 10 trials among the 30 plans of lattice"), "{plan}");
    let said = sandbox.ok(&["search", "search.toml", "-j", "2"]);
    let count = |what: &str| {
        sandbox.number(&format!("SELECT count({what}) FROM finals WHERE strategy = 'lattice'"))
    };
    assert_eq!((count("*"), count("DISTINCT learning_rate")), (10, 2));
    assert_eq!(count("DISTINCT plan || '@' || learning_rate"), 10 - count("NULLIF(replicate, 0)"));
    // What is believed to be the best is one of them, at the rate that is said.
    let found = sandbox.json(&["search", "search.toml", "--json"]);
    let (number, rate) = (&found["plan"], found["learning_rate"].as_f64().expect("a rate"));
    assert!(said.contains(&format!("plan {number} of lattice at learning rate {rate}:")), "{said}");
    assert!(
        said.contains(&format!("# at training.learning_rate = {rate}\n[[strategies]]")),
        "{said}"
    );
    let at = format!(
        "SELECT count(*) FROM finals WHERE strategy = 'lattice' AND plan = {number} AND learning_rate = {rate}"
    );
    assert!(sandbox.number(&at) > 0);
    sandbox.ok(&["report", "found"]);
    let best =
        fs::read_to_string(sandbox.path("reports/found/tables/search.csv")).expect("a table");
    assert!(best.contains(&format!("lattice/{number}@{rate}")), "{best}");

    // A table of all of them serves every searcher.
    let whole =
        text.split_once("\n[search]").expect("a search").0.replace("\"found\"", "\"table\"");
    sandbox.write("table.toml", &whole);
    sandbox.ok(&["run", "table.toml", "-j", "2", "--keep-final", "none"]);
    let simulated =
        sandbox.ok(&["search", "search.toml", "--simulate", "table", "--searches", "3"]);
    assert!(simulated.contains("above the best of 30"), "{simulated}");
}

const GREEDY: &str = r#"
name = "looks"
replicates = 2
data = { corpus = "rust-crates", seq_len = 16 }
training = { tokens = 16384, batch_size = 4, learning_rate = 5e-3, schedule = { kind = "wsd", warmup = 512, decay = 0.2, end = 0.05 } }
evaluation = { every_tokens = 100_000, tokens = 256, record_every_tokens = 2048 }
initial = { d_model = 8, n_layers = 1, n_heads = 1, d_k = 8, d_v = 8, d_ff = 16 }
target = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 32 }
controls = { same_tokens = false, same_compute = true, fixed_sizes = 0 }

[[strategies]]
name = "greedy"
kind = "choose_after"
among = ["mlp_expansion", ["hidden_expansion", "head_addition"], "layer_addition"]
at_compute = [0.1, 0.3, 0.6]
look = 640
"#;

#[test]
fn an_order_that_is_seen_on_the_way_is_the_one_that_looked_best() {
    let [whole, stopped] = [(); 2].map(|()| {
        let sandbox = Sandbox::new();
        sandbox.write("looks.toml", GREEDY);
        sandbox
    });
    let plan = whole.ok(&["plan", "looks.toml"]);
    assert!(plan.contains("10 of the trials only look"), "{plan}");
    let cost = whole.json(&["plan", "looks.toml", "--json"])["cost"].clone();
    whole.ok(&["run", "looks.toml", "-j", "2"]);
    // What others tried is charged and not spent.
    let planned = ["train_flops", "saved_flops"].map(|field| cost[field].as_f64().expect("FLOPs"));
    let spent = whole.number("SELECT CAST(sum(spent_flops) AS BIGINT) FROM compute") as f64;
    let ratio = spent / (planned[0] - planned[1]);
    assert!((ratio - 1.0).abs() < 0.03, "{ratio}: other orders cost nearly the same");
    let rows =
        "SELECT strategy, plan, replicate, train_flops, val_loss FROM finals ORDER BY 1, 2, 3";
    let all = |sandbox: &Sandbox| sandbox.json(&["query", rows, "--format", "json"]);
    let count = |which: &str| {
        whole.number(&format!("SELECT count(*) FROM finals WHERE state = 'complete' AND {which}"))
    };
    assert_eq!(count("kind = 'look' AND tuning = 1"), 2 * (3 + 2));
    assert_eq!(count("strategy = 'greedy' AND tuning = 0"), 2, "one order for each seed");
    // What grew first is what looked best, and what was tried beside it is charged there.
    let best = "SELECT count(*) FROM finals f JOIN growth g ON g.trial = f.trial AND g.stage = 0
                WHERE f.strategy = 'greedy' AND g.operator_flops > 0 AND g.transforms = (
                  SELECT l.transforms FROM growth l JOIN finals e ON e.trial = l.trial
                  WHERE l.stage = 0 AND e.kind = 'look' AND e.replicate = f.replicate
                    AND e.tokens < 8000 ORDER BY e.val_loss LIMIT 1)";
    assert_eq!(whole.number(best), 2);
    assert!(whole.ok(&["db", "check"]).contains("all is what was written"));
    whole.ok(&["report", "looks"]);
    let page = fs::read_to_string(whole.path("reports/looks/README.md")).expect("a page");
    assert!(page.contains("greedy vs from scratch") && !page.contains("greedy: looks"), "{page}");

    for least in [2, 6] {
        let mut child = stopped.start(&["run", "looks.toml", "-j", "1"]);
        stopped.wait_for("SELECT count(*) AS n FROM finals WHERE state = 'complete'", least);
        child.kill().expect("killed");
        child.wait().expect("it has ended");
    }
    stopped.ok(&["run", "looks.toml", "-j", "1"]);
    assert_eq!(all(&stopped), all(&whole));
}
