//! What is typed short, wrong, or in vain: it is understood, or the answer says what is meant.

use std::fs;

use crate::{
    repair::{copy, model},
    sandbox::{SWEEP, Sandbox, execute},
};

/// A finished sweep whose trials have all their checkpoints, with a text beside it.
fn finished() -> Sandbox {
    let sandbox = copy(&model().finished);
    sandbox.write("text.txt", &"fn main() { let x = 1; }\n".repeat(20));
    sandbox
}

fn database(sandbox: &Sandbox) -> String {
    sandbox.path("outgrow.db").display().to_string()
}

fn refused(sandbox: &Sandbox, args: &[&str], words: &str) {
    let (code, why) = sandbox.wrong(args);
    assert!(code == 2 && why.contains(words), "{args:?}: {code} {why}");
}

#[test]
fn every_command_takes_a_trial_by_its_label() {
    let sandbox = finished();
    let id = sandbox.json(&["query", "SELECT id FROM sweep", "--format", "json"]);
    let label = format!("{}/random/0#0@5e-3", &id[0]["id"].as_str().expect("an identity")[..12]);
    assert_eq!(sandbox.ok(&["path", &label]), sandbox.ok(&["path", "small/random/0#0"]));
    sandbox.ok(&["eval", &label, "--text", "text.txt"]);
    sandbox.ok(&["sample", &label, "--prompt", "fn", "--tokens", "3"]);
    sandbox.ok(&["check", &label, "-n", "2"]);
    sandbox.ok(&["doctor", &label, "--d-ff", "40"]);
    sandbox.ok(&["grow", &label, "grown", "--d-ff", "40"]);
    assert!(sandbox.path("grown").is_dir());
    let (_, why) = sandbox.wrong(&["convert", &label, "converted"]);
    assert!(!why.contains("there is no folder"), "{why}");
    refused(
        &sandbox,
        &["eval", "random/7#0", "--text", "text.txt"],
        "there is no folder random/7#0",
    );
}

#[test]
fn a_trial_without_a_checkpoint_says_why() {
    let sandbox = finished();
    let trial = "(SELECT trial FROM member WHERE kind = 'random' AND replicate = 0)";
    let change = |state: &str| {
        let sql = format!(
            "DELETE FROM checkpoint WHERE trial = {trial}; UPDATE trial SET state = '{state}', \
             error = 'it was odd' WHERE number = {trial}"
        );
        execute(&database(&sandbox), &sql);
    };
    change("diverged");
    refused(&sandbox, &["path", "random/0#0"], "diverged at step 400 and has no checkpoint");
    change("failed");
    refused(&sandbox, &["path", "random/0#0"], "(it was odd); `outgrow run --retry-failed`");
    // Two sweeps of one name, whose trials have the same labels.
    sandbox.write("sweep.toml", &SWEEP.replace("seed = 5", "seed = 6").replace("25_600", "640"));
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    let (code, why) = sandbox.wrong(&["path", "small/from_scratch/0#1"]);
    assert!(code == 2 && why.matches("of sweep ").count() == 2, "{why}");
    let sweep = why.split("of sweep ").nth(1).and_then(|rest| rest.split(' ').next());
    sandbox.ok(&["path", &format!("{}/from_scratch/0#1", sweep.expect("an identity"))]);
}

/// As if `outgrow rm` had been killed after it took the trials from the sweep.
#[test]
fn a_half_removed_sweep_is_told_and_removed() {
    let sandbox = finished();
    let whole = sandbox.json(&["rm", "small", "--dry-run", "--json"]);
    execute(&database(&sandbox), "DELETE FROM shared_prefix; DELETE FROM member");
    let said = sandbox.ok(&["status"]);
    assert!(said.contains("small: half removed; `outgrow rm"), "{said}");
    assert_eq!(sandbox.json(&["status", "--json"])[0]["half_removed"], true);
    let rest = sandbox.json(&["rm", "small", "--dry-run", "--json"]);
    assert_eq!((&rest["trials"], &rest["bytes"]), (&whole["trials"], &whole["bytes"]));
    sandbox.ok(&["rm", "small", "--yes"]);
    assert_eq!(sandbox.number("SELECT count(*) AS n FROM trial"), 0);
    assert_eq!(sandbox.json(&["db", "check", "--json"])["orphans"], serde_json::json!([]));
}

#[test]
fn numbers_and_prompts_are_taken_as_they_are() {
    let sandbox = finished();
    fn sample<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["sample", "random/0#0", "--prompt", "x"], more].concat()
    }
    for value in ["nan", "-1", "1e-9", "inf"] {
        let (code, why) = sandbox.wrong(&sample(&["--temperature", value]));
        let is_told = why.contains("must be 0, or a number from 1e-3 to 1e12");
        assert!(code == 2 && is_told && !why.contains("-- -"), "{value}: {why}");
    }
    refused(&sandbox, &sample(&["--tokens", "18446744073709551615"]), "from 0 to 4294967295");
    refused(&sandbox, &sample(&["--tokens", "-1"]), "from 0 to 4294967295");
    let said = sandbox.ok(&["sample", "random/0#0", "--prompt", "-hi", "--tokens", "2"]);
    assert!(said.starts_with("-hi"), "{said}");
    // A program gets every character.
    let prompt = "a\u{1b}[31m\u{202e}b";
    let said = sandbox.ok(&["sample", "random/0#0", "--prompt", prompt, "--tokens", "2"]);
    assert!(said.starts_with(prompt), "{said:?}");
}

#[test]
fn options_without_effect_are_told() {
    let sandbox = finished();
    let from = "random/0#0";
    for command in [&["grow", from, "to"][..], &["doctor", from]] {
        let with = |more: &[&'static str]| [command, more].concat();
        let copy = with(&["--d-ff", "40", "--init", "copy", "--scale", "3"]);
        refused(&sandbox, &copy, "--scale has no effect with --init copy");
        refused(&sandbox, &with(&["--n-layers", "2"]), "has these sizes already (2 layers");
        let odd = with(&["--operator", "lego", "--n-layers", "4"]);
        refused(&sandbox, &odd, "unknown variant `lego`");
    }
    let doctor = ["doctor", from, "--n-layers", "4", "--operator"];
    let stack = r#"{"kind": "stack", "order": "block"}"#;
    let output =
        sandbox.run(&[&doctor[..], &[stack, "--init", "matched", "--scale", "5"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("--init and --scale have no effect"),
        "{said}"
    );
    let output =
        sandbox.run(&["doctor", from, "--d-ff", "40", "--init", "matched", "--scale", "5"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("no effect"), "{said}");
    sandbox.ok(&[&doctor[..], &["identity_blocks"]].concat());
    refused(&sandbox, &["diff", "sweep.toml", "sweep.toml", "--other-db", "x.db"], "leave it out");
}

#[test]
fn what_is_meant_by_a_wrong_name_is_told() {
    let sandbox = finished();
    for (sql, meant) in [
        ("SELECT * FROM final", "did you mean finals?"),
        ("SELECT val_los FROM finals", "did you mean val_loss?"),
        ("SELECT * FROM everything", "the views are finals, curves"),
    ] {
        refused(&sandbox, &["query", sql], meant);
    }
    for name in ["sweep.tml", "sweep", "swep.toml"] {
        refused(&sandbox, &["plan", name], "did you mean sweep.toml?");
    }
    let nameless = SWEEP.replace("name = \"small\"\n", "");
    fs::write(sandbox.path("日本.toml"), &nameless).expect("written");
    refused(&sandbox, &["plan", "日本.toml"], "what the sweep is called");
    sandbox.write("named-so.toml", &nameless);
    assert!(sandbox.ok(&["plan", "named-so.toml"]).contains("named-so"));
}
