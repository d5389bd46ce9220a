//! A frontier, from the file to the numbers of the database.

use std::collections::BTreeSet;

use crate::sandbox::Sandbox;

/// A target of 15,000 parameters; six born sizes, three budgets, growing at two of them.
const SWEEP: &str = r#"data = { paths = ["own.txt"], seq_len = 16 }
training = { batch_size = 4, learning_rate = 4e-3 }
initial = { d_model = 8, n_layers = 2, n_heads = 1, d_k = 8, d_v = 8, d_ff = 32 }
target = { d_model = 16, n_layers = 2, n_heads = 2 }
strategies = [{ kind = "all_at_once", at = 0.5 }]
replicates = 2
evaluation = { every_tokens = 4096, tokens = 256 }
checkpoints.every_tokens = 100_000
[frontier]
sizes = 6
budgets = [0.5, 1, 2]
strategies_at = [0.5, 1]
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let text: String = (0..20_000).map(|n| format!("line {n} of a text\n")).collect();
    sandbox.write("own.txt", &text);
    sandbox.write("born.toml", SWEEP);
    sandbox
}

#[test]
fn a_frontier_spends_what_is_planned() {
    let sandbox = sandbox();
    let plan = sandbox.json(&["plan", "born.toml", "--json"]);
    let number =
        |way: &str| plan.pointer(way).and_then(serde_json::Value::as_f64).expect("a number");
    let planned = number("/cost/train_flops") - number("/cost/saved_flops");
    let (charged, spent) = (number("/frontier/charged_flops"), number("/frontier/spent_flops"));
    // (1 − 0.2) · 2 / 3.5 + 0.2, and what whole steps add.
    assert!((0.65..0.68).contains(&(spent / charged)), "{spent} of {charged}");
    assert_eq!(plan["frontier"]["sizes"].as_array().map(Vec::len), Some(6));
    assert_eq!(plan["trials"][0]["budget"], 0.5);

    sandbox.ok(&["run", "born.toml", "-j", "2"]);
    let spent_in = |which: &str| {
        let sql = format!(
            "SELECT CAST(sum(spent_flops) AS BIGINT) FROM (SELECT DISTINCT trial, spent_flops FROM \
             compute WHERE {which})"
        );
        sandbox.number(&sql) as f64
    };
    let off = spent_in("true") / planned - 1.0;
    assert!(off.abs() < 0.01, "{off} off the plan");
    let charged_in = "SELECT CAST(sum(charged_flops) AS BIGINT) FROM compute WHERE kind = 'born'";
    assert!((sandbox.number(charged_in) as f64 / charged - 1.0).abs() < 0.01);

    // Each strategy is tuned, and compared with its control, at each budget by itself.
    let budgets = "SELECT count(*) FROM tuned WHERE strategy = 'born_6' AND budget IN (0.5, 1, 2)";
    assert_eq!(sandbox.number(budgets), 3);
    let compared = "SELECT count(*) FROM speedups WHERE kind = 'all_at_once' AND budget < 2";
    assert_eq!(sandbox.number(compared), 4);
    let one =
        "SELECT count(DISTINCT trial) FROM finals WHERE strategy IN ('born_5', 'from_scratch')
               AND budget = 1 AND replicate = 0";
    assert_eq!(sandbox.number(one), 1, "the target is born once");
    // What a report estimates is there as soon as the last trial has ended.
    let made = "SELECT count(*) FROM frontier WHERE sweep = 'born' AND budget IN (0.5, 1, 2) AND \
                stale = 0 AND trials > 36 AND (n_star IS NULL) <> (reason IS NULL)";
    assert_eq!(sandbox.number(made), 3);
    let judged = "SELECT count(*) FROM gaps WHERE strategy = 'all_at_once' AND budget < 2 AND (gap \
                  IS NULL) <> (reason IS NULL)";
    assert_eq!(sandbox.number(judged), 2);
    let texts = sandbox.number("SELECT text_tokens FROM sweep");
    assert_eq!(Some(texts), plan["passes"]["text_tokens"].as_u64());
    let files = sandbox.json(&["export", "--to", "out", "--format", "csv", "--json"]);
    assert_eq!(files["files"]["gaps.csv"], 2, "{files}");
    sandbox.ok(&["db", "copy", "outgrow.db", "copy.db"]);
    let copied = ["--db", "copy.db", "query", "SELECT count(*) FROM gaps", "--format", "csv"];
    assert!(sandbox.ok(&copied).contains('2'));
    assert!(sandbox.ok(&["db", "check"]).contains("all is what was written"), "places are right");
    sandbox.ok(&["path", "born_1/0#1 at 2"]);
    sandbox.ok(&["report", "born"]);
    let report = std::fs::read_to_string(sandbox.path("reports/born/README.md")).expect("a report");
    assert!(report.contains("all at once") && report.contains("| born 6 |"), "{report}");
    for figure in ["frontier", "iso_flop"] {
        assert!(report.contains(&format!("![{figure}](figures/{figure}-double.png)")), "{report}");
    }
    let terminal = sandbox.ok(&["report", "born", "--force"]);
    assert!(terminal.contains("that a model can be born with") || terminal.contains("being born"));
    let all = sandbox.ok(&["plan", "born.toml"]);
    assert!(all.contains("nothing is left to train"), "{all}");

    // With seeds that tune, trials of another sweep: its own estimates, by rates that these chose.
    let tuned = ["--set", "tuning_replicates=2", "--set", "name=tuned"];
    let rates = ["--set", "grid.training.learning_rate=[2e-3, 4e-3, 8e-3]"];
    let only = ["--set", "frontier.budgets=[0.5, 1]", "--set", "frontier.strategies_at=[0.5]"];
    let run = [&["run", "born.toml", "-j", "2"][..], &tuned, &rates, &only].concat();
    sandbox.ok(&run);
    let seeds = "SELECT count(*) FROM gaps WHERE sweep = 'tuned' AND (n = 2 OR reason IS NOT NULL)";
    assert_eq!(sandbox.number(seeds), 1);
    sandbox.ok(&["report", "tuned"]);
    let report =
        std::fs::read_to_string(sandbox.path("reports/tuned/README.md")).expect("a report");
    assert!(report.contains("on 2 seeds of their own, which are in no comparison."), "{report}");
    sandbox.ok(&["rm", "tuned", "--yes"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM frontier WHERE sweep = 'tuned'"), 0);
}

#[test]
fn a_plan_shows_its_frontier() {
    let sandbox = sandbox();
    let plan = sandbox.ok(&["plan", "born.toml", "--tree"]);
    for words in [
        "budgets = [",
        "born_1",
        "2 layers, d_model 16, n_heads 2",
        "budgets in tokens per parameter of the target",
        "charged, each as if alone",
        "with causal attention counted as causal",
        "no trial passes the training text",
        "all_at_once/0#1 at 1  from ",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let checks = sandbox.ok(&["plan", "born.toml", "--set", "frontier.checks=['shapes', 'batch']"]);
    for arm in ["born_1_deeper", "born_6_wider", "born_1_half_batch", "born_5_twice_batch"] {
        assert!(checks.contains(arm), "{arm}: {checks}");
    }
    let alone = sandbox.ok(&["plan", "born.toml", "--replicates", "1"]);
    assert!(alone.contains("replicates = 1"), "{alone}");
    let tree: BTreeSet<&str> = plan.lines().filter(|line| line.contains("born_6/0#0")).collect();
    assert_eq!(tree.len(), 3, "{plan}");
}

#[test]
fn a_text_that_is_too_short_is_refused() {
    let sandbox = sandbox();
    let long = ["--set", "frontier.budgets=[0.5, 1, 40]"];
    for command in ["plan", "run"] {
        let (code, said) = sandbox.wrong(&[&[command, "born.toml"][..], &long].concat());
        assert!(code == 2 && said.contains("more than 4 times, born_1/0#0 at 40"), "{said}");
        assert!(said.contains("frontier.allow_repeats = true"), "{said}");
    }
    let allowed = [&long[..], &["--set", "frontier.allow_repeats=true"]].concat();
    let plan = sandbox.ok(&[&["plan", "born.toml"][..], &allowed].concat());
    assert!(plan.contains("more than once, born_1/0#0 at 40"), "{plan}");
}
