//! A search from the command line: it goes on where it was stopped, with the same plans.

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
    whole.ok(&["report", "found"]);
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
        ("replicates = 2", "replicates = 2\ntuning_replicates = 2", "nothing is tuned"),
        ("n_layers = 2 }] }", "n_layers = 3 }] }", "has the sizes of [target]"),
    ] {
        assert!(SEARCH.contains(from), "{from}");
        sandbox.write("wrong.toml", &SEARCH.replace(from, to));
        let (code, error) = sandbox.wrong(&["search", "wrong.toml"]);
        assert!(code == 2 && error.contains(said), "{said}: {code}: {error}");
    }
    sandbox.write("none.toml", SEARCH.split_once("[search]").expect("a search").0);
    let (_, error) = sandbox.wrong(&["search", "none.toml"]);
    assert!(error.contains("has no [search]"), "{error}");
}
