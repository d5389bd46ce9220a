//! Reports of made-up rows whose truth is known.

use outgrow_core::{
    event::Position,
    rows::{CurveRow, GrowthRow, TrialRow},
};
use outgrow_report::{Input, Interval, ReportError, report};

const SEEDS: usize = 3;

/// Losses that fall as a straight line over the logarithm of compute; a strategy that saves the share s is the same line
/// at 1 − s of the compute.
fn curve(trial: &str, seed: usize, saving: f64, evaluations: u64, curves: &mut Vec<CurveRow>) {
    for n in 1..=evaluations {
        let train_flops = n * 1_000_000;
        let loss = 6.0 - 0.5 * (train_flops as f64 / (1.0 - saving)).ln() / 2.0 + 0.1 * seed as f64;
        let at = Position { step: n, tokens: n * 100, train_flops, wall_seconds: n as f64 * 0.5 };
        curves.push(CurveRow { trial: trial.into(), at, val_loss: Some(loss) });
    }
}

/// A control, and strategies with a known saving.
fn input(savings: &[(&str, f64)]) -> Input {
    let (mut trials, mut curves, mut growths) = (vec![], vec![], vec![]);
    for (name, saving) in [("from_scratch", 0.0)].iter().chain(savings) {
        for replicate in 0..SEEDS {
            let trial = format!("{name}-{replicate}");
            curve(&trial, replicate, *saving, 40, &mut curves);
            let kind = if *name == "from_scratch" { "from_scratch" } else { "random" };
            let (strategy, kind) = ((*name).to_owned(), kind.to_owned());
            trials.push(TrialRow {
                trial: trial.clone(),
                strategy,
                kind: kind.clone(),
                plan: 0,
                replicate,
                state: "complete".into(),
                tokens: 4000,
            });
            if kind != "from_scratch" {
                let transforms = r#"[{"transform":"hidden_expansion","d_model":9}]"#.into();
                growths.push(GrowthRow {
                    trial,
                    tokens: 900,
                    transforms,
                    error: Some(1e-7),
                    tolerance: 1e-5,
                    parameters_before: 10,
                    parameters_after: 30,
                });
            }
        }
    }
    let [sweep, id, spec, data] = ["made_up", "0123", "version = 1", "abcd"].map(str::to_owned);
    Input { sweep, id, spec, data, environments: vec![], trials, curves, growths }
}

fn mean(interval: Option<Interval>) -> f64 {
    interval.expect("an interval").mean
}

#[test]
fn a_planted_saving_is_found() {
    let made = report(&input(&[("saves_30", 0.3), ("wastes_20", -0.2), ("same", 0.0)])).expect("a report");
    let found = |name: &str| {
        let strategy = made.analysis.strategies.iter().find(|s| s.name == name).expect("the strategy");
        strategy.comparison.clone().expect("a comparison")
    };
    assert!((mean(found("saves_30").compute) - 0.3).abs() < 0.005);
    assert!((mean(found("saves_30").wall) - 0.3).abs() < 0.005);
    assert!(mean(found("same").compute).abs() < 1e-12);
    // Whoever wastes compute never gets to the loss within the same budget: that is said, not averaged away.
    assert_eq!((found("wastes_20").reached, found("wastes_20").compute), ([0, 3], None));
    for text in [
        "less compute than from scratch: saves_30 30 %",
        "Did not reach it in every seed: wastes_20 (0 of 3",
        "All 9 growth events were within",
    ] {
        assert!(made.answer.contains(text), "{text:?} is missing in: {}", made.answer);
    }
}

#[test]
fn every_file_is_there_and_the_same_again() {
    let first = report(&input(&[("a", 0.3), ("b", 0.1)])).expect("a report");
    let second = report(&input(&[("a", 0.3), ("b", 0.1)])).expect("a report");
    assert!(first.files == second.files, "the same rows must give the same bytes");
    let figures = [
        "loss_vs_tokens",
        "loss_vs_flops",
        "loss_vs_wall_time",
        "growth_timeline",
        "loss_around_growth",
        "final_loss_vs_flops",
        "compute_saving",
        "compute_to_target",
    ];
    for figure in figures {
        for width in ["single", "double"] {
            for (suffix, magic) in [("svg", "<svg"), ("pdf", "%PDF"), ("png", "\u{89}PNG")] {
                let name = format!("figures/{figure}-{width}.{suffix}");
                let (_, bytes) =
                    first.files.iter().find(|(path, _)| *path == name).unwrap_or_else(|| panic!("no {name}"));
                let begin: Vec<u8> = magic.chars().map(|c| c as u8).collect();
                assert!(bytes.starts_with(&begin), "{name}");
            }
        }
    }
    let text = |name: &str| {
        let (_, bytes) = first.files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    let svg = text("figures/loss_vs_flops-single.svg");
    assert!(svg.contains("width=\"234pt\"") && svg.contains(">Validation loss (nats)</text>"), "text must stay text");
    assert!(text("tables/summary.tex").contains("\\toprule") && text("tables/summary.tex").contains("from\\_scratch"));
    assert!(text("provenance.json").contains("\"evaluations\": 360"));
}

#[test]
fn pdfs_embed_their_font() {
    let made = report(&input(&[("a", 0.3)])).expect("a report");
    for (path, bytes) in made.files.iter().filter(|(path, _)| path.ends_with(".pdf")) {
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"OutgrowSans"), "{path} has no font, so its text is gone or is drawn as shapes");
        assert!(!has(b"/Type3"), "{path} has a Type 3 font");
    }
}

#[test]
fn what_can_not_be_drawn_is_refused() {
    let mut nothing = input(&[("a", 0.3)]);
    nothing.curves.clear();
    assert!(matches!(report(&nothing), Err(ReportError::Empty(_))));
    let glyph = input(&[("成長", 0.3)]);
    assert!(matches!(report(&glyph), Err(ReportError::Glyph { character: '成', .. })));
}

#[test]
fn half_a_sweep_is_preliminary_and_one_without_a_control_says_so() {
    let mut half = input(&[("a", 0.3)]);
    half.trials.last_mut().expect("a trial").state = "running".into();
    assert!(report(&half).expect("a report").answer.contains("Preliminary: 1 trials"));
    let mut without = input(&[("a", 0.3)]);
    without.trials.retain(|trial| trial.kind != "from_scratch");
    assert!(report(&without).expect("a report").answer.contains("nothing to compare with"));
    // One seed and one evaluation each: no spread, no curve, and no panic.
    let mut small = input(&[("a", 0.3)]);
    small.trials.retain(|trial| trial.replicate == 0);
    small.curves.retain(|row| row.at.step == 40);
    report(&small).expect("a report");
}
