//! The LaTeX of a report fits the columns of a two-column page.

mod made;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use made::input;
use outgrow_core::{plan::OptimizerAtGrowth, rows::TrialRow, sweep::ContrastSpec};
use outgrow_report::{Input, Report, report};

/// The rows of one arm once more, under other names.
fn copied(input: &mut Input, from: &str, name: &str, change: impl Fn(&mut TrialRow)) {
    let trials: Vec<TrialRow> =
        input.trials.iter().filter(|trial| trial.strategy == from).cloned().collect();
    for trial in trials {
        let id = format!("{name}-{}", trial.replicate);
        let curves: Vec<_> =
            input.curves.iter().filter(|row| row.trial == trial.trial).cloned().collect();
        input.curves.extend(curves.into_iter().map(|mut row| {
            row.trial.clone_from(&id);
            row.val_loss = row.val_loss.map(|loss| loss + 0.01 * (trial.replicate as f64 - 0.7));
            row
        }));
        let mut copy = TrialRow { trial: id, strategy: name.into(), ..trial };
        change(&mut copy);
        input.trials.push(copy);
    }
}

/// Everything that a report can have: controls, fixed sizes, policies, learning rates, contrasts.
fn full(names: &[&str]) -> Input {
    let savings: Vec<(&str, f64)> =
        names.iter().enumerate().map(|(n, name)| (*name, 0.4 - 0.02 * n as f64)).collect();
    let mut made = input(&savings);
    copied(&mut made, "from_scratch", "from_scratch_x1.7", |t| {
        t.kind = "from_scratch_annealed".into()
    });
    copied(&mut made, names[0], "fixed_size_1", |trial| trial.kind = "fixed_size".into());
    let first = made.trials.iter().find(|t| t.strategy == names[0]).expect("it").plan_id.clone();
    copied(&mut made, names[0], "another_policy_at_growth", |trial| {
        trial.plan_id.clone_from(&first);
        trial.policy = made::policy(OptimizerAtGrowth::Reset);
    });
    copied(&mut made, names[1], "faster", |trial| trial.learning_rate = 2e-3);
    for trial in made.trials.iter_mut().filter(|trial| trial.strategy == "faster") {
        trial.strategy = names[1].into();
        trial.setting = "training.batch_size=32, training.weight_decay=0.1".into();
    }
    made.words.contrasts = names
        .windows(2)
        .map(|pair| ContrastSpec { a: pair[0].into(), b: pair[1].into() })
        .collect();
    made.words.display.insert(names[0].into(), "Depth, early (all layers at once, 15 %)".into());
    made
}

/// The lines of a log that say what does not fit.
fn overfull(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.starts_with("Overfull \\hbox")).collect()
}

#[test]
fn eight_contrasts_fit_on_a_page() {
    let names: Vec<String> = (0..9).map(|n| format!("strategy_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let made = report(&full(&names)).expect("a report");
    assert_eq!(made.analysis.contrasts.len(), 8);
    let folder = tempfile::tempdir().expect("a folder");
    let Some(log) = compiled(&made, "article-letter", folder.path()) else {
        outgrow_testkit::skip("pdflatex is not installed here");
        return;
    };
    assert!(!log.contains("Float too large"), "{log}");
}

/// Compiles all of a report's LaTeX in a folder; none where there is no LaTeX.
fn compiled(made: &Report, class: &str, folder: &Path) -> Option<String> {
    let mut body = String::new();
    for (path, bytes) in &made.files {
        let to = folder.join(path);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(to, bytes).expect("written");
        // Figures and tables of more than a page's worth are held back by LaTeX until then.
        if path.ends_with(".tex") {
            body += &format!("\\input{{{path}}}\\clearpage\n");
        }
    }
    let source = format!(
        "\\documentclass{{{class}}}\n\\usepackage{{booktabs,tabularx,graphicx}}\n\
         \\begin{{document}}\n{body}\\end{{document}}\n"
    )
    .replace("{article-a4}", "[twocolumn,a4paper]{article}")
    .replace("{article-letter}", "[twocolumn]{article}");
    fs::write(folder.join("page.tex"), source).expect("written");
    let output = Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", "page.tex"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let log = String::from_utf8_lossy(&fs::read(folder.join("page.log")).unwrap_or_default())
        .into_owned();
    assert!(output.status.success(), "{}", &log[log.len().saturating_sub(3000)..]);
    Some(log)
}

fn fits(made: &Report) {
    for class in ["article-a4", "article-letter"] {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(log) = compiled(made, class, folder.path()) else {
            outgrow_testkit::skip("pdflatex is not installed here");
            return;
        };
        assert!(overfull(&log).is_empty(), "{class}: {:#?}", overfull(&log));
        assert!(!log.contains("PDF inclusion"), "{class}: a PDF of too late a version");
        assert!(!log.contains("multiply defined") || log.contains("tab:"), "{log}");
    }
}

#[test]
fn usual_names_fit() {
    let made = full(&["depth_early", "depth_late", "both"]);
    let made = report(&made).expect("a report");
    let names: Vec<&str> = made.files.iter().map(|(path, _)| path.as_str()).collect();
    for table in ["summary", "controls", "contrasts", "tuning", "conventions", "policies"] {
        for width in ["single", "double"] {
            assert!(names.contains(&&*format!("tables/{table}-{width}.tex")), "{table}: {names:?}");
        }
    }
    fits(&made);
}

#[test]
fn twenty_long_and_nasty_names_fit() {
    let long: Vec<String> = (0..16)
        .map(|n| format!("a_rather_long_name_of_a_strategy_with_its_settings_number_{n}"))
        .collect();
    let x = "x".repeat(120);
    let nasty =
        ["50 % & # $ { } ~ ^ \\ _", "成長成長成長成長成長", "e\u{301}\n\"quoted\" <b>|", &*x];
    let names: Vec<&str> = long.iter().map(String::as_str).chain(nasty).collect();
    fits(&report(&full(&names)).expect("a report"));
}

#[test]
fn tables_say_names_as_words_sort_by_value_and_leave_out_what_is_empty() {
    let made = report(&full(&["depth_early", "depth_late", "both"])).expect("a report");
    let text = |name: &str| {
        let (_, bytes) = made.files.iter().find(|(path, _)| path == name).expect(name);
        String::from_utf8(bytes.clone()).expect("text")
    };
    let summary = text("tables/summary-double.tex");
    assert!(summary.contains("\\label{tab:summary}") && summary.contains("\\begin{table*}"));
    assert!(text("tables/summary-single.tex").contains("\\begin{table}[tb]"));
    assert!(summary.contains("\\textbf{") && summary.contains("depth late"), "{summary}");
    let place = |name: &str| summary.find(name).unwrap_or_else(|| panic!("{name}: {summary}"));
    assert!(
        place("Depth, early") < place("depth late") && place("depth late") < place("from scratch")
    );
    // Nothing was trained with the same tokens but the control itself.
    let controls = text("tables/conventions-double.tex");
    assert!(!controls.contains("& -- &"), "{controls}");
    // Programs find the names of the sweep.
    assert!(text("tables/summary.csv").contains("\ndepth_early,"));
}
