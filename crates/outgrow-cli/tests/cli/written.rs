//! Sweeps as users write them: short files, files that extend others, fields set by hand, grids.

use std::collections::BTreeSet;

use crate::sandbox::Sandbox;

/// Depth alone, width alone, both; early and late; three seeds, three rates.
const SHORT: &str = r#"data.paths = ["*.txt"]
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

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let text: String = (0..20_000).map(|n| format!("line {n} of a text\n")).collect();
    sandbox.write("own.txt", &text);
    sandbox.write("depth-or-width.toml", SHORT);
    sandbox
}

#[test]
fn a_sweep_of_ones_own_takes_fifteen_lines() {
    assert!(SHORT.lines().count() <= 15);
    let sandbox = sandbox();
    let plan = sandbox.ok(&["plan", "depth-or-width.toml"]);
    for words in ["name = \"depth-or-width\"", "after_growth = [", "width_late", "fixed_size_1"] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let json = sandbox.json(&["plan", "depth-or-width.toml", "--json"]);
    let trials = json["trials"].as_array().expect("trials");
    let of = |name: &str| trials.iter().filter(|trial| trial["strategy"] == name).count();
    assert_eq!((of("depth_early"), of("both_late")), (9, 9));
    assert!(json["cost"]["left_flops"].as_f64() > Some(0.0), "{}", json["cost"]);
}

#[test]
fn a_file_extends_another_one_and_fields_are_set_by_hand() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path("studies")).expect("a folder");
    let own = "extends = '../depth-or-width.toml'\ntraining.tokens = 3e4\nreplicates = 2\n\
               strategies = [{ kind = 'all_at_once', at = 0.5 }]";
    sandbox.write("studies/mine.toml", own);
    let plan = |more: &[&str]| {
        let json = sandbox.json(&[&["plan", "studies/mine.toml", "--json"], more].concat());
        json["resolved"].as_str().expect("a text").to_owned()
    };
    let plain = plan(&[]);
    for words in ["name = \"mine\"", "tokens = 30000", "replicates = 2", "\"../*.txt\""] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    let set = plan(&["--set", "training.batch_size=8", "--set", "strategies.all_at_once.at=0.4"]);
    assert!(set.contains("batch_size = 8") && set.contains("at = 0.4"), "{set}");
    assert!(plan(&["--replicates", "5", "--seed", "7"]).contains("seed = 7\nreplicates = 5"));
}

#[test]
fn what_is_trained_is_not_planned_again() {
    let sandbox = sandbox();
    let few = [
        ["--set", "training.tokens=4096"],
        ["--set", "data.seq_len=16"],
        ["--set", "strategies=[{kind='all_at_once',at=0.5}]"],
        ["--set", "grid.training.learning_rate=[1e-3, 2e-3]"],
        ["--set", "evaluation.tokens=256"],
    ]
    .concat();
    let with = |command: &[&'static str], more: &[&'static str]| -> Vec<&str> {
        [command, &few, more].concat()
    };
    sandbox.ok(&with(&["run", "depth-or-width.toml", "-j", "1"], &["--replicates", "1"]));
    let all = sandbox.ok(&with(&["plan", "depth-or-width.toml"], &["--replicates", "1"]));
    assert!(all.contains("nothing is left to train"), "{all}");
    let more =
        sandbox.ok(&with(&["plan", "depth-or-width.toml", "--tree"], &["--replicates", "2"]));
    let trained = sandbox.number("SELECT count(*) FROM finals WHERE state = 'complete'");
    assert!(more.contains(&format!("{trained} of them are trained already")), "{more}");
    assert!(more.contains("all_at_once/0#1@0.002"), "labels have the rate: {more}");
    // A growth is followed by evaluations of its own.
    let curve =
        "SELECT count(*) FROM curves WHERE strategy = 'all_at_once' AND learning_rate < 0.0015
                 AND step IN (SELECT 1 + tokens / 256 FROM growth)";
    assert_eq!(sandbox.number(curve), 1);
}

#[test]
fn a_grid_is_tuned_like_a_learning_rate() {
    let sandbox = sandbox();
    let grid = "extends = 'depth-or-width.toml'\nreplicates = 2\ntraining.tokens = 4096\n\
                data.seq_len = 16\nevaluation.tokens = 256\n\
                strategies = [{ kind = 'all_at_once', at = 0.5 }]\n\
                [grid]\ntraining.learning_rate = [2e-3]\ntraining.optimizer.weight_decay = [0.0, 0.3]\n\
                strategies.all_at_once.at = [0.3, 0.6]";
    sandbox.write("grid.toml", grid);
    sandbox.ok(&["run", "grid.toml", "-j", "2"]);
    let settings = "SELECT count(DISTINCT setting) FROM finals WHERE strategy = 'all_at_once'";
    assert_eq!(sandbox.number(settings), 4);
    let tuned = sandbox.json(&["query", "SELECT strategy, setting FROM tuned", "--format", "json"]);
    let tuned = tuned.as_array().expect("rows");
    let names: BTreeSet<&str> = tuned.iter().filter_map(|row| row["strategy"].as_str()).collect();
    assert_eq!(names.len(), tuned.len(), "one setting of each strategy: {tuned:?}");
    let found = sandbox.number("SELECT count(*) FROM tuned WHERE setting LIKE 'weight_decay=0%'");
    assert_eq!(found as usize, tuned.len());
    sandbox.ok(&["report", "grid"]);
    let report = std::fs::read_to_string(sandbox.path("reports/grid/README.md")).expect("a report");
    assert!(report.contains("weight_decay=0"), "the answer says at which setting: {report}");
    assert!(sandbox.ok(&["db", "check"]).contains("all is what was written"), "places are right");
}

#[test]
fn seeds_that_tune_are_in_no_comparison() {
    let sandbox = sandbox();
    let tuned = "extends = 'depth-or-width.toml'\nreplicates = 2\ntuning_replicates = 2\n\
                 training.tokens = 4096\ndata.seq_len = 16\nevaluation.tokens = 256\n\
                 strategies = [{ kind = 'all_at_once', at = 0.5 }]\n\
                 grid.training.learning_rate = [1e-3, 2e-3, 4e-3]";
    sandbox.write("tuned.toml", tuned);
    let plan = sandbox.ok(&["plan", "tuned.toml"]);
    assert!(plan.contains("of the trials only tune: 2 seeds more, #2 and on"), "{plan}");
    let one = ["plan", "tuned.toml", "--set", "tuning_replicates=1"];
    assert!(sandbox.wrong(&one).1.contains("at least 2"), "one seed chooses by luck");
    sandbox.ok(&["run", "tuned.toml", "-j", "2"]);
    let more = "SELECT sum(tuning) - 3 * sum(1 - tuning) FROM finals WHERE state = 'complete'";
    assert_eq!(sandbox.number(more), 0, "three rates are tuned, and one is compared");
    let rates = "SELECT count(DISTINCT learning_rate) FROM finals WHERE tuning = 0 GROUP BY strategy \
                 ORDER BY 1 DESC LIMIT 1";
    assert_eq!(sandbox.number(rates), 1);
    let plan = sandbox.ok(&["plan", "tuned.toml"]);
    assert!(plan.contains("nothing is left to train"), "it knows what was chosen: {plan}");
    let trials = sandbox.number("SELECT count(*) FROM finals");
    sandbox.ok(&["run", "tuned.toml"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM finals"), trials);
    let compared = "SELECT count(*) FROM speedups WHERE replicate > 1";
    assert_eq!(sandbox.number(compared), 0);
    assert!(sandbox.number("SELECT count(*) FROM speedups") > 0);
    let status = sandbox.json(&["status", "tuned", "--json"]);
    assert!(status.to_string().contains("tuning_trials"), "{status}");
    assert!(sandbox.ok(&["status", "tuned"]).contains("trials only help to choose"));
    sandbox.ok(&["report", "tuned"]);
    let report =
        std::fs::read_to_string(sandbox.path("reports/tuned/README.md")).expect("a report");
    assert!(report.contains("on seeds of their own, which are in no comparison"), "{report}");
    assert!(sandbox.ok(&["db", "check"]).contains("all is what was written"), "places are right");
}

#[test]
fn a_grid_is_widened_where_its_last_rate_is_the_best() {
    let sandbox = sandbox();
    let low = "extends = 'depth-or-width.toml'\nreplicates = 2\ntuning_replicates = 2\n\
               widen = true\ntraining.tokens = 4096\ndata.seq_len = 16\nevaluation.tokens = 256\n\
               strategies = [{ kind = 'all_at_once', at = 0.5 }]\n\
               grid.training.learning_rate = [1e-6, 2e-6, 4e-6]";
    sandbox.write("low.toml", low);
    assert!(sandbox.ok(&["plan", "low.toml"]).contains("widen = true: where the best rate"));
    let run = sandbox.run(&["run", "low.toml", "-j", "2"]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("is at the rim of what was tried"), "{said}");
    assert!(said.contains("the seeds that tune have chosen"), "{said}");
    let tried = "SELECT max(learning_rate) * 1e7 FROM finals WHERE strategy = 'all_at_once'";
    assert_eq!(sandbox.number(&format!("{tried} AND tuning = 1")), 160, "two steps beyond");
    assert_eq!(sandbox.number(&format!("{tried} AND tuning = 0")), 160, "and compared there");
    sandbox.ok(&["report", "low"]);
    assert!(sandbox.ok(&["db", "check"]).contains("all is what was written"));
}

#[test]
fn mistakes_in_a_sweep_are_said_where_they_are() {
    let sandbox = sandbox();
    sandbox.write("a.toml", "extends = 'b.toml'");
    sandbox.write("b.toml", "extends = ['c.toml', 'a.toml']");
    sandbox.write("c.toml", "training.tokenz = 3");
    sandbox.write("d.toml", "extends = 'c.toml'\nname = 'd'");
    sandbox.write("e.toml", "extends = 'quick'");
    sandbox.write("f.toml", "extends = 'nowhere.toml'");
    sandbox.write("g.toml", "data.paths = ['*.parquet']");
    for (args, words) in [
        (&["plan", "a.toml"][..], "goes round in a circle: a.toml extends b.toml extends a.toml"),
        (&["plan", "d.toml"], "c.toml, line 1: `training.tokenz`: unknown field"),
        (&["plan", "e.toml"], "or a preset: quickstart, llama-tiny"),
        (&["plan", "f.toml"], "cannot read nowhere.toml"),
        (&["plan", "g.toml"], "training.tokens  "),
        (
            &["run", "depth-or-width.toml", "--set", "training.tokens=soon"],
            "--set training.tokens=soon: `training.tokens`: invalid type",
        ),
        (
            &["plan", "depth-or-width.toml", "--set", "grid.training.batch_sizes=[1]"],
            "`grid.training.batch_sizes`",
        ),
        (
            &["plan", "depth-or-width.toml", "--set", "data.paths=['*.parquet']"],
            "no file or folder matches this pattern",
        ),
    ] {
        let (code, said) = sandbox.wrong(args);
        assert!(code == 2 && said.contains(words), "{args:?}: {said}");
    }
}
