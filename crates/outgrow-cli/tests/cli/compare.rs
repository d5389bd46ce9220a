//! Sweeps beside each other, and arms against each other.

use crate::sandbox::{SWEEP, Sandbox};

/// Two sweeps that differ in their tokens and in a strategy.
fn two() -> Sandbox {
    let sandbox = Sandbox::new();
    let other = SWEEP
        .replace("name = \"small\"", "name = \"other\"")
        .replace("tokens = 25_600", "tokens = 12_800")
        .replace(
            "{ kind = \"random\", plans = 1,",
            "{ kind = \"all_at_once\", at = 0.4, plans = 1 }, { kind = \"random\", plans = 1,",
        );
    sandbox.write("other.toml", &other);
    for file in ["sweep.toml", "other.toml"] {
        sandbox.ok(&["run", file, "-j", "1"]);
    }
    sandbox
}

#[test]
fn two_sweeps_are_compared() {
    let sandbox = two();
    let said = sandbox.ok(&["compare", "small", "other"]);
    for text in [
        "A: small\nB: other\n",
        "  training.tokens 25600 → 12800\n",
        "  strategies.all_at_once in B only\n",
        "all at once",
        "in one only",
        "figures and tables: reports/small-beside-other",
    ] {
        assert!(said.contains(text), "{text:?} is missing in {said}");
    }
    let files = ["README.md", "provenance.json", "tables/arms-single.tex", "tables/settings.csv"];
    let figures = ["figures/final_losses-double.pdf", "figures/differences-single.png"];
    for file in files.iter().chain(&figures) {
        assert!(sandbox.path("reports/small-beside-other").join(file).is_file(), "{file}");
    }
    let made = sandbox.json(&["compare", "small", "other", "--json"]);
    let arm = made["comparison"]["arms"]
        .as_array()
        .and_then(|arms| arms.iter().find(|arm| arm["strategy"] == "from_scratch"))
        .expect("the control");
    // The seeds are the same, so the trials are pairs.
    assert_eq!(arm["paired"]["value"]["n"], 2);
    let difference = arm["paired"]["value"]["mean"].as_f64().expect("a number");
    assert!(difference > 0.0, "half the tokens end higher: {difference}");
    // Of another database it is the same.
    sandbox.ok(&["run", "other.toml", "--db", "elsewhere.db", "-j", "1"]);
    let there =
        ["compare", "small", "other", "--other-db", "elsewhere.db", "-o", "there", "--json"];
    assert_eq!(sandbox.json(&there)["comparison"], made["comparison"]);
    // Nothing that is not ours is replaced, and a sweep is not compared with itself.
    let (code, errors) = sandbox.wrong(&["compare", "other", "small", "-o", "there"]);
    assert!(code == 2 && errors.contains("another sweep"), "{errors}");
    let (code, errors) = sandbox.wrong(&["compare", "small", "small"]);
    assert!(code == 2 && errors.contains("are the same sweep"), "{errors}");
    let (code, errors) = sandbox.wrong(&["compare", "small", "nobody"]);
    assert!(code == 2 && errors.contains("small"), "{errors}");
    arms_are_contrasted(&sandbox);
    settings_are_told(&sandbox);
}

fn arms_are_contrasted(sandbox: &Sandbox) {
    let report = ["report", "other", "--versus", "all_at_once", "-o", "versus", "--json"];
    let made = sandbox.json(&report);
    let contrasts = made["answer"]["contrasts"].as_array().expect("contrasts");
    let arms: Vec<&str> = contrasts.iter().filter_map(|one| one["strategy"].as_str()).collect();
    assert!(arms.contains(&"random") && arms.contains(&"from_scratch"), "{arms:?}");
    assert!(contrasts.iter().all(|one| one["against"] == "all_at_once"), "{contrasts:?}");
    for file in ["tables/contrasts-single.tex", "figures/contrasts-single.pdf"] {
        assert!(sandbox.path("versus").join(file).is_file(), "{file}");
    }
    let (code, errors) = sandbox.wrong(&["report", "other", "--versus", "nobody"]);
    assert!(code == 2 && errors.contains("it has from_scratch, all_at_once"), "{errors}");
    // What the file asks for, it gets; a word to people makes no other sweep.
    let words = "contrasts = [{ a = \"random\", b = \"all_at_once\" }]\nnotes = \"A try.\"\n\
                 tags = [\"mine\"]\ndisplay = { random = \"At random\" }\n";
    let other = std::fs::read_to_string(sandbox.path("other.toml")).expect("it");
    sandbox.write("other.toml", &format!("{words}{other}"));
    sandbox.ok(&["run", "other.toml", "-j", "1"]);
    let said = sandbox.ok(&["report", "other", "-o", "asked"]);
    assert!(said.contains("Contrasts: ") && said.contains("At random"), "{said}");
    let readme = std::fs::read_to_string(sandbox.path("asked/README.md")).expect("a text");
    assert!(readme.contains("> A try\\.\n> Tags: mine\n"), "{readme}");
    assert!(sandbox.ok(&["status", "other"]).contains("other: #mine A try."));
}

fn settings_are_told(sandbox: &Sandbox) {
    let said = sandbox.ok(&["diff", "small", "other.toml"]);
    assert!(said.contains("training.tokens 25600 → 12800\n"), "{said}");
    assert!(!said.contains("notes"), "{said}");
    let same = sandbox.ok(&["diff", "sweep.toml", "small"]);
    assert_eq!(same, "no setting differs\n");
    let rows = sandbox.json(&["diff", "sweep.toml", "other.toml", "--json"]);
    let tokens =
        rows.as_array().and_then(|rows| rows.iter().find(|r| r["field"] == "training.tokens"));
    assert_eq!(tokens.expect("the field")["b"], "12800");
    let (code, errors) = sandbox.wrong(&["diff", "small", "missing.toml"]);
    assert!(code == 2 && errors.contains("missing.toml"), "{errors}");
}
