//! Reports of made-up rows whose truth is known.

mod made;
mod read;

use made::{SEEDS, curve, input, policy};
use read::{column, strategy, text};

use outgrow_core::{
    TrialState,
    event::Diagnosis,
    plan::{OptimizerAtGrowth, Phase},
    rows::{CurveRow, Evaluated, TrialRow},
    stream::{Stream, stream},
    sweep::ContrastSpec,
};
use outgrow_report::{
    Analysis, ControlState, Finding, Input, Interval, LossUnit, Pair, Quantity, Report,
    ReportError, Scaling, ScalingPoint, Strategy, Tested, Verdict, pair_files, report, scaling,
};
use rand_distr::{Distribution, StandardNormal};

/// The answer in words, a row a line.
fn said(made: &Report) -> String {
    let answer = &made.answer;
    let rows = answer.rows().into_iter().map(|row| row.join(" | "));
    let parts = [answer.headline(str::to_owned)].into_iter().chain(rows);
    parts.chain(answer.notes(str::to_owned)).collect::<Vec<_>>().join("\n")
}

fn mean(interval: Option<Interval>) -> f64 {
    interval.expect("an interval").mean
}

#[test]
fn a_planted_saving_is_found() {
    let made =
        report(&input(&[("saves_30", 0.3), ("wastes_20", -0.2), ("same", 0.0)])).expect("a report");
    let found =
        |name: &str| strategy(&made.analysis, name).comparison.clone().expect("a comparison");
    assert!((mean(found("saves_30").compute) - 0.3).abs() < 0.005);
    assert!((mean(found("saves_30").wall) - 0.3).abs() < 0.005);
    assert!(mean(found("same").compute).abs() < 1e-12);
    // With the source for free: 9 of 28 million FLOPs were spent before the growth.
    assert!((mean(found("saves_30").sunk) - (1.0 - (28.0 - 9.0) / 40.0)).abs() < 0.005);
    // Whoever wastes compute never gets to the loss within the same budget: that is said, not
    // averaged away, and the number is the most that can have been saved.
    assert_eq!((found("wastes_20").reached, found("wastes_20").is_censored()), ([0, 3], true));
    // Of a bound there is no test, and no number of seeds that would tell.
    let tests = |name| (found(name).p_corrected().is_some(), found(name).seeds_needed().is_some());
    assert_eq!([tests("saves_30"), tests("wastes_20")], [(true, true), (false, false)]);
    assert!(mean(found("wastes_20").compute).abs() < 1e-12);
    for text in [
        "; of the growing strategies, 1 of 3 need less compute to reach it on average, 1 after \
         correction; ",
        "saves 30 vs from scratch: compute saved | 120 vs 120 | 30 % † | [30, 30] | 3 | less compute\n",
        "wastes 20 vs from scratch: compute saved | 120 vs 120 | at most 0 % | – | 3 | reached it in 0 of 3 \
         trials\n",
        "All 9 growth events that claim to preserve the function were within",
    ] {
        assert!(said(&made).contains(text), "{text:?} is missing in: {}", said(&made));
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
        "final_loss",
        "compute_saving",
        "compute_to_target",
        "iso_flop_gap",
    ];
    for figure in figures {
        for width in ["single", "double"] {
            for (suffix, magic) in [("svg", "<svg"), ("pdf", "%PDF"), ("png", "\u{89}PNG")] {
                let name = format!("figures/{figure}-{width}.{suffix}");
                let (_, bytes) = first
                    .files
                    .iter()
                    .find(|(path, _)| *path == name)
                    .unwrap_or_else(|| panic!("no {name}"));
                let begin: Vec<u8> = magic.chars().map(|c| c as u8).collect();
                assert!(bytes.starts_with(&begin), "{name}");
            }
        }
    }
    let text = |name: &str| {
        let (_, bytes) = first
            .files
            .iter()
            .find(|(path, _)| path == name)
            .unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    let svg = text("figures/loss_vs_flops-single.svg");
    assert!(
        svg.contains("width=\"234pt\"") && svg.contains(">Validation loss (nats/token)</text>"),
        "text must stay text"
    );
    assert!(
        text("tables/summary-double.tex").contains("\\toprule")
            && text("tables/summary-double.tex").contains("from scratch")
    );
    assert!(text("provenance.json").contains("\"evaluations\": 360"));
}

/// Curves whose truth is planted: each seed's growing model needs 1 − s of its control's compute, s
/// normal around a mean, and every evaluation is off by some thousandths of a nat, about as much as
/// the loss falls from one to the next.
fn planted(seeds: usize, mean: f64, spread: f64, rng: &mut Stream) -> Input {
    let mut made = input(&[("grown", 0.0)]);
    made.trials.retain(|trial| trial.replicate == 0);
    let base = std::mem::take(&mut made.trials);
    made.curves.clear();
    made.growths.clear();
    for replicate in 0..seeds {
        let noise: f64 = StandardNormal.sample(rng);
        for (trial, saving) in base.iter().zip([0.0, mean + spread * noise]) {
            let trial = TrialRow {
                trial: format!("{}-{replicate}", trial.strategy),
                replicate,
                ..trial.clone()
            };
            curve(&trial.trial, replicate, saving, 60, &mut made.curves);
            made.trials.push(trial);
        }
    }
    for row in &mut made.curves {
        let noise: f64 = StandardNormal.sample(rng);
        row.val_loss = row.val_loss.map(|loss| loss + 0.005 * noise);
    }
    made
}

#[test]
fn intervals_cover_the_planted_truth_and_nothing_is_found_where_nothing_is() {
    const SIMULATIONS: u64 = 2000;
    let count = |truth: f64, of: &dyn Fn(&Strategy) -> bool| {
        let one = |number| {
            let rng = &mut stream(number, "planted");
            // Some seeds save less than nothing: their control's loss must be within their budget
            // all the same.
            let mut made = planted(5, truth, 0.08, rng);
            made.curves.retain(|row| !row.trial.starts_with("from_scratch") || row.at.step <= 40);
            of(strategy(&Analysis::new(&made).expect("an analysis"), "grown"))
        };
        (0..SIMULATIONS).filter(|&number| one(number)).count() as f64 / SIMULATIONS as f64
    };
    let covers = |truth: f64| {
        move |strategy: &Strategy| {
            let found = strategy
                .comparison
                .as_ref()
                .and_then(|c| c.compute)
                .and_then(|i| i.bounds)
                .expect("an interval");
            found[0] <= truth && truth <= found[1]
        }
    };
    let covered = count(0.25, &covers(0.25));
    assert!((0.93..=0.97).contains(&covered), "{covered} of the intervals cover");
    let significant =
        |strategy: &Strategy| strategy.comparison.as_ref().is_some_and(|c| c.is_significant());
    let false_alarms = count(0.0, &significant);
    assert!(false_alarms <= 0.06, "{false_alarms} of nothing is called something");
    println!("covered {covered}, false alarms {false_alarms}");
}

#[test]
fn many_strategies_are_asked_at_once() {
    // Ten strategies without any effect: seldom is one of them called significant.
    let families: u64 = 300;
    let alarm = |number: &u64| {
        let rng = &mut stream(*number, "family");
        let mut all = planted(4, 0.0, 0.08, rng);
        for name in 1..10 {
            let more = planted(4, 0.0, 0.08, rng);
            let own = |trial: &str| trial.starts_with("grown");
            let rename = |trial: &str| format!("{name}{trial}");
            all.trials.extend(more.trials.into_iter().filter(|t| own(&t.trial)).map(|trial| {
                TrialRow {
                    trial: rename(&trial.trial),
                    strategy: rename("grown"),
                    plan_id: rename("p"),
                    ..trial
                }
            }));
            all.curves.extend(
                more.curves
                    .into_iter()
                    .filter(|row| own(&row.trial))
                    .map(|row| CurveRow { trial: rename(&row.trial), ..row }),
            );
        }
        all.curves.retain(|row| !row.trial.starts_with("from_scratch") || row.at.step <= 40);
        let analysis = Analysis::new(&all).expect("an analysis");
        analysis
            .strategies
            .iter()
            .any(|s| s.comparison.as_ref().is_some_and(|c| c.is_significant()))
    };
    let alarms = (0..families).filter(alarm).count() as f64 / families as f64;
    assert!(alarms <= 0.08, "{alarms} of the families have a false alarm");
}

#[test]
fn each_strategy_is_judged_at_its_best_learning_rate() {
    let mut made = input(&[("grown", 0.1)]);
    // The same strategies at another rate: the control worse there, the growing one better.
    for trial in made.trials.clone() {
        let saving = if trial.kind == "from_scratch" { -0.5 } else { 0.4 };
        let other =
            TrialRow { trial: format!("{}-other", trial.trial), learning_rate: 3e-3, ..trial };
        curve(&other.trial, other.replicate, saving, 40, &mut made.curves);
        made.trials.push(other);
    }
    let analysis = Analysis::new(&made).expect("an analysis");
    assert_eq!(
        analysis.strategies.iter().map(|s| s.learning_rate).collect::<Vec<_>>(),
        [1e-3, 3e-3]
    );
    assert!(
        (mean(strategy(&analysis, "grown").comparison.as_ref().expect("compared").compute) - 0.4)
            .abs()
            < 0.005
    );
    assert!(
        analysis.strategies.iter().all(|strategy| strategy.is_at_the_edge),
        "of two rates each is at the edge"
    );
    assert!(
        said(&report(&made).expect("a report")).contains(
            "he best learning rate may lie outside the grid: from scratch, grown did best"
        )
    );
    // One good trial of a rate whose others were lost does not make it the best.
    let lost = |trial: &&mut TrialRow| trial.learning_rate > 2e-3 && trial.replicate > 0;
    made.trials.iter_mut().filter(lost).for_each(|trial| trial.state = TrialState::Diverged);
    assert_eq!(strategy(&Analysis::new(&made).expect("an analysis"), "grown").learning_rate, 1e-3);
}

#[test]
fn the_controls_of_the_same_budget_are_found() {
    let mut made = input(&[("grown", 0.2)]);
    let own: Vec<TrialRow> =
        made.trials.iter().filter(|trial| trial.strategy == "grown").cloned().collect();
    for (name, kind, saving) in
        [("annealed", "from_scratch_annealed", 0.1), ("smaller", "fixed_size", 0.3)]
    {
        for trial in &own {
            let trial = TrialRow {
                trial: format!("{name}{}", trial.replicate),
                strategy: name.into(),
                kind: kind.into(),
                ..trial.clone()
            };
            curve(
                &trial.trial,
                trial.replicate,
                saving,
                if name == "annealed" { 20 } else { 40 },
                &mut made.curves,
            );
            made.trials.push(trial);
        }
    }
    let comparison = strategy(&Analysis::new(&made).expect("an analysis"), "grown")
        .comparison
        .clone()
        .expect("compared");
    // 40 evaluations like the control; the annealed one has half of that and is nobody's equal.
    assert_eq!(
        comparison.same_flops.as_ref().map(|gap| gap.against.as_str()),
        Some("from_scratch")
    );
    assert!(
        (comparison.same_flops.expect("a gap").difference.value.mean - 0.25 * 0.8f64.ln()).abs()
            < 1e-9
    );
    let best = comparison.best_fixed_size.expect("a gap");
    assert!(
        best.against == "smaller"
            && (best.difference.value.mean - 0.25 * (0.8f64 / 0.7).ln()).abs() < 1e-9
    );
}

#[test]
fn policies_under_the_same_plans_are_compared_with_each_other() {
    let mut made = input(&[("keeps", 0.2), ("resets", 0.3)]);
    for trial in made.trials.iter_mut().filter(|trial| trial.kind != "from_scratch") {
        trial.plan_id = "the same".into();
        if trial.strategy == "resets" {
            trial.policy = policy(OptimizerAtGrowth::Reset);
        }
    }
    let made = report(&made).expect("a report");
    let [ablation] = &made.analysis.ablations[..] else {
        panic!("one ablation: {:?}", made.analysis.ablations)
    };
    assert_eq!((ablation.base.as_str(), ablation.rows[1].policy[1].as_str()), ("keeps", "reset"));
    let saving = ablation.rows[1].saving_difference.as_ref().expect("a test");
    assert!((saving.value.mean - 0.1).abs() < 0.01);
    assert!(made.files.iter().any(|(path, _)| path == "tables/policies-single.tex"));
}

#[test]
fn the_answer_is_values_before_it_is_words() {
    let made = report(&input(&[("saves_30", 0.3), ("wastes_20", -0.2)])).expect("a report");
    let answer = &made.answer;
    assert!(matches!(&answer.control, ControlState::Trained { loss, .. } if loss.n == SEEDS));
    let found = |name: &str, quantity| -> &Finding {
        let is_it = |one: &&Finding| one.strategy == name && one.quantity == quantity;
        answer.findings.iter().find(is_it).expect("a finding")
    };
    let saving = found("saves_30", Quantity::ComputeSaved);
    assert!((saving.value.mean - 0.3).abs() < 0.005 && saving.verdict == Verdict::Cheaper);
    let (reached, of) = (0, SEEDS);
    let lost = found("wastes_20", Quantity::ComputeSaved);
    assert_eq!(lost.verdict, Verdict::NotReached { reached, of });
    let verdict = |name| found(name, Quantity::LossAtSameCompute).verdict;
    assert_eq!([verdict("saves_30"), verdict("wastes_20")], [Verdict::Lower, Verdict::Higher]);
    // On a terminal, too, each comparison is one line.
    let text = answer.to_string();
    assert_eq!(text.lines().filter(|line| line.contains(" vs ")).count(), 4, "{text}");
    // Where nothing grows there is nothing to compare.
    let alone = report(&input(&[])).expect("a report").answer;
    assert!(alone.findings.is_empty() && alone.notes(str::to_owned).len() <= 2, "{alone:?}");
}

#[test]
fn of_many_strategies_the_extremes_of_their_losses_are_given() {
    let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let all: Vec<(&str, f64)> =
        names.iter().zip(1..).map(|(name, n)| (name.as_str(), 0.03 * f64::from(n))).collect();
    let answer = report(&input(&all)).expect("a report").answer;
    let losses = answer.findings.iter().filter(|f| f.quantity == Quantity::LossAtSameCompute);
    let losses: Vec<_> = losses.map(|f| (f.strategy.as_str(), f.extreme_of)).collect();
    assert_eq!(losses, [("s9", Some(10)), ("s0", Some(10))]);
    let savings = answer.findings.iter().filter(|f| f.quantity == Quantity::ComputeSaved);
    assert_eq!(savings.count(), 10);
}

#[test]
fn a_locked_growth_is_told() {
    let mut made = input(&[("copies", 0.2)]);
    let locked = Diagnosis { symmetry: Some([1.0, 1.0]), ..Diagnosis::default() };
    made.growths
        .iter_mut()
        .for_each(|growth| (growth.diagnosis, growth.preserving) = (Some(locked.clone()), false));
    let answer = said(&report(&made).expect("a report"));
    assert!(answer.contains("At 3 growth events copied units got equal gradients"), "{answer}");
    assert!(!answer.contains("claim to preserve"), "{answer}");
}

#[test]
fn pdfs_embed_their_font() {
    let made = report(&input(&[("a", 0.3)])).expect("a report");
    for (path, bytes) in made.files.iter().filter(|(path, _)| path.ends_with(".pdf")) {
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(
            has(b"OutgrowSans"),
            "{path} has no font, so its text is gone or is drawn as shapes"
        );
        assert!(!has(b"/Type3"), "{path} has a Type 3 font");
    }
}

#[test]
fn a_cost_is_drawn_beside_what_would_be_proportional() {
    let points = [(1.0, 3.0), (10.0, 12.0), (100.0, 100.0)];
    let point = |(size, cost)| ScalingPoint {
        size,
        measured: [cost, 0.9 * cost, 1.1 * cost],
        expected: size,
    };
    let figure = Scaling {
        name: "time_per_thing",
        caption: "Of things.".into(),
        size: "Things",
        cost: "Time (s)",
        expected: "proportional to things",
        points: points.map(point).to_vec(),
    };
    let files = scaling(&figure).expect("a figure");
    assert_eq!(files.len(), 7, "three formats in two widths, and the numbers");
    let text = |name: &str| {
        let (_, bytes) =
            files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    let csv = text("data/time_per_thing.csv");
    let second = csv.lines().nth(2).expect("a second point");
    let numbers: Vec<f64> = second.split(',').map(|cell| cell.parse().expect("a number")).collect();
    assert_eq!(numbers, [10.0, 12.0, 0.9 * 12.0, 1.1 * 12.0, 10.0]);
    let svg = text("figures/time_per_thing-single.svg");
    for label in ["Things", "Time (s)", "proportional to things"] {
        assert!(svg.contains(&format!(">{label}</text>")), "{label} is not on the figure");
    }
}

#[test]
fn what_can_not_be_drawn_is_refused() {
    let mut nothing = input(&[("a", 0.3)]);
    nothing.curves.clear();
    assert!(matches!(report(&nothing), Err(ReportError::Empty(_))));
}

#[test]
fn why_there_is_nothing_is_told() {
    let why = |states: &[TrialState]| {
        let mut nothing = input(&[("a", 0.3)]);
        nothing.curves.clear();
        nothing
            .trials
            .iter_mut()
            .zip(states.iter().cycle())
            .for_each(|(trial, state)| trial.state = *state);
        report(&nothing).map(|_| ()).expect_err("there is nothing").to_string()
    };
    assert!(
        why(&[TrialState::Waiting, TrialState::Running])
            .contains("(3 running, 3 waiting); train some"),
        "{}",
        why(&[TrialState::Waiting])
    );
    assert!(
        why(&[TrialState::Diverged]).starts_with("all 6 trials of sweep made_up diverged"),
        "{}",
        why(&[TrialState::Diverged])
    );
    assert!(
        why(&[TrialState::Diverged, TrialState::Failed]).contains("3 diverged, 3 failed"),
        "{}",
        why(&[TrialState::Diverged, TrialState::Failed])
    );
    assert!(
        !why(&[TrialState::Diverged, TrialState::Complete]).contains("train some"),
        "{}",
        why(&[TrialState::Diverged, TrialState::Complete])
    );
    let mut nobody = input(&[]);
    (nobody.trials, nobody.curves) = (vec![], vec![]);
    assert!(
        report(&nobody).map(|_| ()).expect_err("nothing").to_string().contains("has no trials")
    );
}

#[test]
fn lost_trials_are_no_preliminary_ones() {
    // All diverged, but not before some evaluations: there are curves, and no end to compare.
    let mut lost = input(&[("a", 0.3)]);
    lost.trials.iter_mut().for_each(|trial| trial.state = TrialState::Diverged);
    let made = report(&lost).expect("a report");
    assert!(
        said(&made).starts_with(
            "No trial came to its end: 6 diverged; made_up: every from-scratch control diverged"
        ),
        "{}",
        said(&made)
    );
    assert!(
        !said(&made).contains("Preliminary") && !said(&made).contains("yet"),
        "{}",
        said(&made)
    );
}

#[test]
fn half_a_sweep_is_preliminary_and_one_without_a_control_says_so() {
    let mut half = input(&[("a", 0.3)]);
    half.trials.last_mut().expect("a trial").state = TrialState::Running;
    let made = report(&half).expect("a report");
    assert!(said(&made).starts_with("Preliminary: 1 trials"), "{}", said(&made));
    // Whoever sees a table or a figure alone sees it, too.
    let text = |name: &str| {
        let (_, bytes) =
            made.files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    let tables = made
        .files
        .iter()
        .filter(|(path, _)| path.starts_with("tables/") && path.ends_with(".tex"))
        .count();
    for (path, _) in
        made.files.iter().filter(|(path, _)| path.starts_with("tables/") && path.ends_with(".tex"))
    {
        assert!(text(path).contains("Preliminary: 1 trials"), "{path}");
    }
    let captions = text("README.md").matches("Preliminary: 1 trials").count();
    let figures = made.files.iter().filter(|(path, _)| path.ends_with("-double.png")).count();
    // Each table has two widths.
    assert_eq!(captions, 1 + tables / 2 + figures);
    assert!(text("figures/figures-double.tex").contains("Preliminary: 1 trials"));
    let mut without = input(&[("a", 0.3)]);
    without.trials.retain(|trial| trial.kind != "from_scratch");
    assert!(said(&report(&without).expect("a report")).contains("nothing to compare with"));
    // One seed and one evaluation each: no spread, no curve, and no panic.
    let mut small = input(&[("a", 0.3)]);
    small.trials.retain(|trial| trial.replicate == 0);
    small.curves.retain(|row| row.at.step == 40);
    report(&small).expect("a report");
}

/// Names that some format or other would take for its own.
const NASTY: [&str; 16] = [
    "a\nb\r\n| c |",
    "<script>alert(1)</script>",
    "../../escaped",
    "/etc/passwd",
    "_ % & # $ { } ~ ^ \\",
    "\"quoted\" 'twice' `thrice`",
    "=cmd|' /C calc'!A0",
    "[text](https://example.org) *bold*",
    "\u{1b}[31mred\u{7}",
    "\u{202e}gnp.exe \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "成長 👩\u{200d}🔬",
    "e\u{301}té Łódź αβΩ",
    "\u{0}\u{fffe}\u{2028}",
    "]]> <!-- -->",
    " ",
    "^{2} 10^{3}",
];

#[test]
fn any_name_makes_a_report_that_holds_no_more_than_the_name() {
    let long = ["長".repeat(100), "x".repeat(300)];
    let names: Vec<&str> = NASTY.into_iter().chain(long.iter().map(String::as_str)).collect();
    let strategies: Vec<(&str, f64)> = names.iter().map(|name| (*name, 0.2)).collect();
    let mut made_of = input(&strategies);
    made_of.sweep = NASTY.concat();
    let made = report(&made_of).expect("a report");
    for (path, bytes) in &made.files {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        assert!(
            path.chars().all(is_plain) && !path.contains("..") && !path.starts_with('/'),
            "{path}"
        );
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let ending = path.rsplit_once('.').expect("an ending").1;
        if ["md", "tex", "svg", "json"].contains(&ending) {
            let raw = text
                .chars()
                .find(|c| c.is_control() && *c != '\n' || "\u{202e}\u{2028}\u{200d}".contains(*c));
            assert!(
                ending == "json" && raw != Some('\u{1b}') || raw.is_none(),
                "{path} has {raw:?}"
            );
        }
        match ending {
            "md" => assert!(!text.contains(" <script") && !text.contains("[text]("), "{path}"),
            "tex" => assert!(text.is_ascii(), "{path}"),
            "svg" => {
                let svg = usvg::roxmltree::Document::parse(text)
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
                assert!(!svg.descendants().any(|node| node.has_tag_name("script")), "{path}");
            }
            "csv" => {
                let mut rows = csv::ReaderBuilder::new().from_reader(text.as_bytes());
                let width = rows.headers().expect("a header").len();
                for row in rows.records() {
                    let row = row.unwrap_or_else(|error| panic!("{path}: {error}"));
                    assert!(
                        row.len() == width && !row.iter().any(|cell| cell.starts_with(['=', '@'])),
                        "{path}: {row:?}"
                    );
                }
            }
            _ => {}
        }
    }
    let text = |name: &str| {
        let (_, bytes) =
            made.files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    // What the figures write in another way is told, and no two names are written alike.
    assert!(
        text("README.md")
            .contains("In the figures, whose font has Latin and Greek letters, there is: ")
    );
    assert!(text("README.md").contains("U\\+6210") || text("README.md").contains("U+6210"));
    // Every row of the summary is one row.
    assert_eq!(text("tables/summary.md").lines().count(), 2 + 1 + names.len());
}

/// Trials of one seed whose lengths differ: the long ones end lower.
fn of_lengths(lengths: &[u64]) -> Input {
    let mut made = input(&[("grown", 0.2)]);
    let trial =
        made.trials.iter().find(|trial| trial.strategy == "grown").expect("a trial").clone();
    made.trials.retain(|trial| trial.strategy != "grown");
    made.curves.retain(|row| !row.trial.starts_with("grown"));
    made.growths.clear();
    for (plan, &evaluations) in lengths.iter().enumerate() {
        let trial = TrialRow { trial: format!("grown-{plan}"), plan, ..trial.clone() };
        // Each plan has its level: where a member leaves a mean, what is left is another level.
        curve(&trial.trial, plan, 0.2, evaluations, &mut made.curves);
        made.trials.push(trial);
    }
    made
}

#[test]
fn a_mean_does_not_jump_where_a_trial_ends() {
    for lengths in [&[40, 40, 40][..], &[10, 40, 25], &[1, 40], &[2, 3, 4, 40]] {
        let made = report(&of_lengths(lengths)).expect("a report");
        let (_, csv) = made
            .files
            .iter()
            .find(|(path, _)| path == "data/loss_vs_tokens.csv")
            .expect("a figure");
        let mut rows = csv::Reader::from_reader(&csv[..]);
        let rows: Vec<Vec<String>> = rows
            .records()
            .map(|row| row.expect("CSV").iter().map(str::to_owned).collect())
            .collect();
        let own = |is_mean: bool| {
            let rows =
                rows.iter().filter(move |row| row[0] == "grown" && row[6].is_empty() == is_mean);
            rows.map(|row| {
                (row[1].parse().expect("a cost"), row[2].parse().expect("a loss"), row[6].clone())
            })
            .collect::<Vec<(f64, f64, String)>>()
        };
        let (mean, thin) = (own(true), own(false));
        let shortest = *lengths.iter().min().expect("a length");
        let steepest = 0.5 / 2.0 * 40f64.ln();
        for pair in mean.windows(2) {
            let fall = (pair[1].0 / pair[0].0).ln() / 40f64.ln() * steepest;
            assert!((pair[0].1 - pair[1].1 - fall).abs() < 0.02, "{lengths:?}: {pair:?} jumps");
        }
        assert!(mean.iter().all(|(x, ..)| *x <= 100.0 * shortest as f64 + 1e-6), "{lengths:?}");
        // Each longer trial goes on alone from where the mean ended, to its own end.
        let trials: std::collections::BTreeSet<&String> =
            thin.iter().map(|(_, _, trial)| trial).collect();
        let more = lengths.iter().filter(|&&n| n > shortest).count();
        assert_eq!(trials.len(), more, "{lengths:?}");
        for trial in trials {
            let own: Vec<f64> =
                thin.iter().filter(|(_, _, of)| of == trial).map(|(x, ..)| *x).collect();
            assert!(own.is_sorted() && own.len() > 1, "{lengths:?} {trial}: {own:?}");
            assert!(
                lengths.iter().any(|&n| own.last() == Some(&(100.0 * n as f64))),
                "{lengths:?} {trial}"
            );
        }
        let (_, readme) = made.files.iter().find(|(path, _)| path == "README.md").expect("a text");
        let says_so =
            String::from_utf8_lossy(readme).contains("from there on the others are thin lines");
        assert_eq!(says_so, more > 0, "{lengths:?}");
    }
}

#[test]
fn arms_are_contrasted_seed_by_seed() {
    let mut made = input(&[("a", 0.3), ("b", 0.1)]);
    let pair = |a: &str, b: &str| ContrastSpec { a: a.into(), b: b.into() };
    made.words.contrasts =
        vec![pair("a", "b"), pair("b", "from_scratch"), pair("a", "without_an_evaluation")];
    let made = report(&made).expect("a report");
    let [first, second] = &made.analysis.contrasts[..] else {
        panic!("two: {:?}", made.analysis.contrasts)
    };
    let mean = |tested: &Option<Tested>| tested.as_ref().expect("a test").value.mean;
    assert!((mean(&first.loss) - 0.25 * (0.7f64 / 0.9).ln()).abs() < 1e-9);
    assert!((mean(&first.saving) - 0.2).abs() < 0.01);
    // The control saves nothing against itself.
    assert!((mean(&second.saving) - 0.1).abs() < 0.01);
    assert!(
        said(&made).contains("a vs b: contrast, final loss | 120 vs 120 | −0.063 nats"),
        "{}",
        said(&made)
    );
    let sentence = made.answer.contrasted(str::to_owned).expect("a sentence");
    assert!(sentence.starts_with("Contrasts: a ends lower than b (−0.063 nats"), "{sentence}");
    assert!(sentence.contains(") and saves more compute (20 points † ["), "{sentence}");
}

#[test]
fn a_jump_after_growth_is_told() {
    let mut made = input(&[("jumps", 0.3), ("smooth", 0.3)]);
    for row in made.curves.iter_mut().filter(|row| row.trial.starts_with("jumps")) {
        if row.at.step == 10 {
            row.val_loss = row.val_loss.map(|loss| loss + 1.4);
        }
    }
    let made = report(&made).expect("a report");
    let jumps = &made.analysis.jumps;
    assert_eq!((jumps.len(), jumps[0].strategy.as_str(), jumps[0].tokens), (1, "jumps", 100.0));
    assert!(jumps[0].is_rate_unchanged && (1.3..1.4).contains(&jumps[0].rise.mean), "{jumps:?}");
    let text = "The loss jumps after growth by more than the seeds' spread: jumps +1.374 nats \
                within 100 tokens (the learning rate goes on";
    assert!(said(&made).contains(text), "{}", said(&made));
}

#[test]
fn a_spike_in_one_trial_is_told() {
    let mut made = input(&[("one", 0.3), ("smooth", 0.3)]);
    let spike = |row: &&mut CurveRow| row.trial == "one-1" && row.at.step == 10;
    for row in made.curves.iter_mut().filter(spike) {
        row.val_loss = row.val_loss.map(|loss| loss + 2.9);
    }
    let made = report(&made).expect("a report");
    assert!(made.analysis.jumps.is_empty(), "{:?}", made.analysis.jumps);
    let text = "n single trials the loss after a growth exceeds that before it by more than the \
                seeds' spread: one in 1 of 3 trials (at most +2.874 nats)";
    assert!(said(&made).contains(text), "{}", said(&made));
    assert!(!said(&made).contains("smooth in"), "{}", said(&made));
}

#[test]
fn the_mean_and_what_is_significant_are_counted_apart() {
    let mut made = input(&[("a", 0.0), ("b", 0.3)]);
    for (trial, off) in [("a-1", 0.02), ("a-2", 0.12)] {
        for row in made.curves.iter_mut().filter(|row| row.trial == trial) {
            row.val_loss = row.val_loss.map(|loss| loss - off);
        }
    }
    let made = report(&made).expect("a report");
    let saved = &made.answer.counts[0];
    assert_eq!(
        (saved.better, saved.clear, saved.of, saved.tested),
        (2, 1, 2, 2),
        "{}",
        said(&made)
    );
    let text = "2 of 2 need less compute to reach it on average, 1 after correction";
    assert!(said(&made).contains(text), "{}", said(&made));
}

#[test]
fn contrasts_say_what_differs_in_compute_alone() {
    let mut made = input(&[("a", 0.3), ("b", 0.1)]);
    made.words.contrasts = vec![ContrastSpec { a: "a".into(), b: "b".into() }];
    // The ends of both are as good; on the way there, the first is ahead.
    let ends = |row: &&mut CurveRow| row.at.step == 40 && !row.trial.starts_with("from");
    for row in made.curves.iter_mut().filter(ends) {
        let seed = row.trial.chars().last().and_then(|c| c.to_digit(10)).expect("a seed");
        let off = if row.trial.starts_with('a') { [0.0, 0.02, -0.02][seed as usize] } else { 0.0 };
        row.val_loss = Some(1.3 + off);
    }
    let sentence = report(&made).expect("a report").answer.contrasted(str::to_owned);
    let sentence = sentence.expect("a sentence");
    assert!(sentence.contains("no clear difference between a and b in final loss ("), "{sentence}");
    assert!(sentence.contains("), but a saves more compute ("), "{sentence}");
}

#[test]
fn many_contrasts_are_grouped_by_what_they_say() {
    let mut made = noisy(&[("a", 0.3), ("b", 0.3), ("c", 0.3), ("d", 0.3), ("e", 0.3), ("f", 0.1)]);
    let pair = |a: &str| ContrastSpec { a: a.into(), b: "from_scratch".into() };
    made.words.contrasts = ["a", "b", "c", "d", "e", "f"].map(pair).to_vec();
    let made = report(&made).expect("a report");
    let sentence = made.answer.contrasted(str::to_owned).expect("a sentence");
    let groups: Vec<&str> = sentence.split("; ").collect();
    assert!(groups.len() < 6 && sentence.contains(", more compute saved"), "{sentence}");
    assert_eq!(sentence.matches(" vs from scratch: ").count(), groups.len(), "{sentence}");
}

#[test]
fn nothing_saves_more_than_all() {
    // One seed saves nearly all, one nothing: half the spread goes beyond what there is.
    let mut made = input(&[("a", 0.0)]);
    for row in made.curves.iter_mut().filter(|row| row.trial == "a-0" || row.trial == "a-2") {
        row.val_loss = row.val_loss.map(|loss| loss - 1.2);
    }
    made.words.contrasts = vec![ContrastSpec { a: "from_scratch".into(), b: "a".into() }];
    let made = report(&made).expect("a report");
    let found =
        strategy(&made.analysis, "a").comparison.as_ref().and_then(|c| c.compute_corrected());
    assert_eq!(found.and_then(|saved| saved.bounds).map(|bounds| bounds[1]), Some(1.0));
    assert!(said(&made).contains(", 100] | 3 |"), "{}", said(&made));
    assert!(
        said(&made).contains("contrast, compute saved | 120 vs 120 | −65 points † | [−100, "),
        "{}",
        said(&made)
    );
    let cell = column(&made, "summary", "compute saved").remove(0).1;
    assert!(cell.ends_with(", 100.0] †"), "{cell}");
}

#[test]
fn sizes_are_told() {
    let mut made = input(&[("grown", 0.2), ("fixed_size_1", 0.1)]);
    for trial in &mut made.trials {
        let size = |tokens, parameters| Phase {
            tokens,
            non_embedding: 100,
            with_unembedding: 110,
            parameters,
            sequence_flops: 1000,
            causal_flops: 900,
        };
        trial.phases = match trial.strategy.as_str() {
            "grown" => vec![size(0, 19_200), size(900, 42_100)],
            "fixed_size_1" => vec![size(0, 31_300)],
            _ => vec![size(0, 42_100)],
        };
        if trial.strategy == "fixed_size_1" {
            trial.kind = "fixed_size".into();
        }
    }
    let made = report(&made).expect("a report");
    let text = "grown vs fixed size 1 (31k): final loss, same compute, never grows | 19k → 42k vs \
                31k | ";
    assert!(said(&made).contains(text), "{}", said(&made));
    assert!(said(&made).contains("end below fixed size 1 (31k), which never grows, with the same"));
    let sizes = column(&made, "summary", "parameters");
    assert!(sizes.contains(&("grown".into(), "19k → 42k".into())), "{sizes:?}");
    assert_eq!(column(&made, "controls", "parameters"), [("grown".into(), "19k → 42k".into())]);
}

#[test]
fn panels_show_all_of_the_training_and_few_bands_hide_each_other() {
    let names: Vec<String> = (0..9).map(|n| format!("s{n}")).collect();
    let of = |n: usize| {
        let arms: Vec<(&str, f64)> = names[..n].iter().map(|name| (name.as_str(), 0.1)).collect();
        report(&noisy(&arms)).expect("a report")
    };
    let bands = |made: &Report| {
        text(made, "figures/loss_vs_flops-double.svg").matches("fill-opacity=\"0.18\"").count()
    };
    let caption = |made: &Report| text(made, "figures/figures-double.tex");
    // Of few arms there are bands, of some there are bars, of many each has a panel of its own.
    let [few, some, many] = [3, 6, 9].map(of);
    assert!(bands(&few) > bands(&some), "{} {}", bands(&few), bands(&some));
    assert!(caption(&few).contains("bands are 95"));
    assert!(caption(&some).contains("bars at the ends of the curves are 95"));
    assert!(caption(&many).contains("a dotted line is a growth") && bands(&many) >= 10);
    let svg = text(&many, "figures/loss_vs_flops-double.svg");
    assert!(svg.contains(">0</text>"), "the axis begins at the beginning");
}

#[test]
fn numbers_of_an_axis_do_not_overlap_and_are_on_the_sheet() {
    let mut made = input(&[
        ("a", 0.1),
        ("b", 0.2),
        ("c", 0.2),
        ("d", 0.1),
        ("e", 0.1),
        ("f", 0.1),
        ("g", 0.2),
    ]);
    for trial in made.trials.clone() {
        let rate = 0.000_804;
        let other =
            TrialRow { trial: format!("{}-other", trial.trial), learning_rate: rate, ..trial };
        curve(&other.trial, other.replicate, 0.05, 40, &mut made.curves);
        made.trials.push(other);
    }
    let made = report(&made).expect("a report");
    for (path, bytes) in made.files.iter().filter(|(path, _)| path.ends_with(".svg")) {
        let svg = String::from_utf8_lossy(bytes);
        let width: f64 = svg
            .split("viewBox=\"0 0 ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|width| width.parse().ok())
            .expect("a width");
        // Numbers in the middle of their ticks, by height: none reaches into the next, or beyond.
        let mut rows: std::collections::BTreeMap<String, Vec<[f64; 2]>> = Default::default();
        for one in svg
            .split("<text ")
            .skip(1)
            .filter(|one| one.contains("\"middle\"") && !one.contains("rotate"))
        {
            let attribute = |name: &str| {
                one.split(&format!("{name}=\""))
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default()
                    .to_owned()
            };
            let words =
                one.split('>').nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
            if !words.chars().all(|c| c.is_ascii_digit() || ".\u{2212}".contains(c)) {
                continue;
            }
            let x: f64 = attribute("x").parse().expect("a place");
            let half = 0.25 * 800.0 * words.chars().count() as f64;
            rows.entry(attribute("y")).or_default().push([x - half, x + half]);
        }
        for row in rows.values_mut() {
            row.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert!(row.windows(2).all(|two| two[0][1] <= two[1][0]), "{path}: {row:?}");
            assert!(row.iter().all(|one| one[0] >= 0.0 && one[1] <= width), "{path}: {row:?}");
        }
    }
}

#[test]
fn what_is_cut_at_the_frame_is_told() {
    let mut made = input(&[("a", 0.1)]);
    // One seed never gets there, another is far ahead: the interval goes far below the axis.
    for row in made.curves.iter_mut().filter(|row| row.trial.starts_with("a-")) {
        let off = if row.trial == "a-0" { 1.0 } else { -1.0 };
        row.val_loss = row.val_loss.map(|loss| loss + off);
    }
    for row in made.curves.iter_mut().filter(|row| row.trial == "a-0") {
        row.at.train_flops *= 4;
    }
    let cut = report(&made).expect("a report");
    let caption = "What goes on below the axis ends in an arrow";
    assert!(text(&cut, "README.md").contains(caption));
    let plain = report(&input(&[("a", 0.1)])).expect("a report");
    assert!(!text(&plain, "README.md").contains(caption));
}

#[test]
fn figures_suit_latex() {
    let made = report(&noisy(&[("a", 0.3), ("b", 0.1)])).expect("a report");
    for (path, bytes) in made.files.iter().filter(|(path, _)| path.ends_with(".pdf")) {
        assert!(bytes.starts_with(b"%PDF-1.5"), "{path}: {:?}", &bytes[..9]);
    }
    let [single, double] =
        ["single", "double"].map(|width| text(&made, &format!("figures/figures-{width}.tex")));
    assert!(single.contains("\\begin{figure}\n") && single.contains("-single.pdf"));
    assert!(double.contains("\\begin{figure*}\n") && double.contains("-double.pdf"));
    assert!(double.contains("\\label{fig:compute_saving}"));
    // A caption names the controls that its table has, and no p that it may lack.
    let controls = text(&made, "tables/controls-single.tex");
    assert!(controls.contains("Final loss minus that of the target size after the same tokens"));
    assert!(controls.contains("belowcaptionskip") && !controls.contains("never grow"));
    assert!(!text(&made, "tables/summary-single.tex").contains(" p "));
}

#[test]
fn times_of_a_busy_machine_are_not_drawn() {
    let mut made = input(&[("a", 0.3)]);
    let has_times = |made: &Report| made.files.iter().any(|(path, _)| path.contains("wall_time"));
    assert!(has_times(&report(&made).expect("a report")));
    for row in made.curves.iter_mut().filter(|row| row.trial == "a-1") {
        row.at.wall_seconds *= 1.5;
    }
    let busy = report(&made).expect("a report");
    assert!(!has_times(&busy));
    let text = |made: &Report, name: &str| {
        let (_, bytes) = made.files.iter().find(|(path, _)| path == name).expect("a file");
        String::from_utf8(bytes.clone()).expect("text")
    };
    assert!(text(&busy, "README.md").contains("one took 1.5 times as long as another"));
    assert!(!text(&busy, "tables/conventions.md").contains("time (%)"));
}

#[test]
fn two_sweeps_are_put_beside_each_other() {
    let a = input(&[("both", 0.3), ("first", 0.1)]);
    let mut b = input(&[("both", 0.1)]);
    (b.sweep, b.id, b.spec) = ("other".into(), "4567".into(), "version = 2".into());
    let pair = Pair::new(&a, &b, None).expect("a comparison");
    let arms: Vec<&str> = pair.arms.iter().map(|arm| arm.strategy.as_str()).collect();
    assert_eq!(arms, ["from_scratch", "both", "first"]);
    let both = pair.arms[1].paired.as_ref().expect("pairs");
    assert!((both.value.mean - 0.25 * (0.9f64 / 0.7).ln()).abs() < 1e-9, "{both:?}");
    let text = pair.to_string();
    assert!(text.contains("version 1 → 2") && text.contains("B ends higher"), "{text}");
    assert!(pair_files(&pair).expect("files").len() > 15);
    // Without a seed in common the means are compared.
    b.trials.iter_mut().for_each(|trial| trial.seed += 50);
    let pair = Pair::new(&a, &b, None).expect("a comparison");
    assert!(pair.arms[1].paired.is_none() && pair.arms[1].unpaired.is_some());
    assert!(pair.to_string().contains("no seed in common"));
    // Where no arm is in both, the seeds are not what is missing.
    let mut apart = b.clone();
    apart.trials.iter_mut().for_each(|trial| trial.strategy += "_other");
    let text = Pair::new(&a, &apart, None).expect("two sweeps").to_string();
    assert!(
        text.contains("No arm of the same name") && !text.contains("no seed in common"),
        "{text}"
    );
}

#[test]
fn sweeps_without_a_common_seed_are_corrected_for_all_arms() {
    let names: Vec<String> = (0..9).map(|n| format!("s{n}")).collect();
    let of = |saving: f64| {
        let mut made = input(&names.iter().map(|name| (name.as_str(), saving)).collect::<Vec<_>>());
        // Seeds that differ little, so that one arm alone would be told apart.
        for row in &mut made.curves {
            let seed =
                f64::from(row.trial.chars().last().and_then(|c| c.to_digit(10)).unwrap_or(0));
            row.val_loss = row.val_loss.map(|loss| loss - 0.07 * seed);
        }
        made
    };
    let (a, mut b) = (of(0.3), of(0.04));
    b.sweep = "other".into();
    b.trials.iter_mut().for_each(|trial| trial.seed += 50);
    b.trials.retain(|trial| trial.replicate > 0);
    let pair = Pair::new(&a, &b, None).expect("a comparison");
    let arm = pair.arms[1].unpaired.as_ref().expect("a test");
    let [p, corrected] = [arm.p, arm.p_corrected].map(|p| p.expect("two seeds each"));
    assert!(p < 0.05 && corrected > 0.05, "{arm:?}");
    let text = pair.to_string();
    let line = text.lines().find(|line| line.starts_with("s0 ")).expect("the arm");
    assert!(line.contains("3 and 2") && line.ends_with("no clear difference"), "{line}");
    let files = pair_files(&pair).expect("files");
    let (_, table) = files.iter().find(|(path, _)| path == "tables/arms.csv").expect("a table");
    let table = String::from_utf8_lossy(table);
    assert!(table.contains("3 and 2") && table.contains(&format!("{corrected:.3}")), "{table}");
}

/// Rows whose seeds differ, and each strategy by something of its own.
fn noisy(savings: &[(&str, f64)]) -> Input {
    let mut made = input(savings);
    let number = |trial: &str| savings.iter().position(|(name, _)| trial.starts_with(name));
    for row in &mut made.curves {
        let seed = row.trial.chars().last().and_then(|c| c.to_digit(10)).expect("a seed");
        let place = number(&row.trial).map_or(0, |n| n as u32 + 1);
        let off = f64::from((5 * place + 7 * seed + place * seed) % 11) / 100.0;
        row.val_loss = row.val_loss.map(|loss| loss - off);
    }
    made
}

#[test]
fn one_pair_has_one_verdict_everywhere() {
    let mut made = noisy(&[("a", 0.3), ("b", 0.1), ("c", 0.2)]);
    let pair = |a: &str, b: &str| ContrastSpec { a: a.into(), b: b.into() };
    made.words.contrasts =
        vec![pair("a", "b"), pair("b", "from_scratch"), pair("from_scratch", "c"), pair("b", "a")];
    let made = report(&made).expect("a report");
    let judged = |name: &str| strategy(&made.analysis, name).comparison.clone().expect("compared");
    let [own, to_control, turned, again] = &made.analysis.contrasts[..] else { panic!("four") };
    let both = |contrast: &outgrow_report::Contrast| {
        [&contrast.loss, &contrast.saving].map(|tested| tested.clone().expect("a test"))
    };
    let [loss, saving] = both(to_control);
    let b = judged("b");
    assert_eq!(Some(&loss), b.same_flops.as_ref().map(|gap| &gap.difference));
    assert_eq!(Some(&loss), b.same_tokens.as_ref().map(|gap| &gap.difference));
    assert_eq!(Some(&loss), b.loss_difference.as_ref());
    assert_eq!(Some(&saving), b.test.as_ref());
    let c = judged("c");
    assert_eq!(both(turned)[0], c.same_flops.expect("a gap").difference.negated());
    assert_eq!(both(turned)[1].p_corrected, c.test.expect("a test").p_corrected);
    assert_eq!(both(again), both(own).map(|tested| tested.negated()));
    // Only the pair that no control is part of is judged as a contrast, and it is judged once.
    let family = |what: &str| made.answer.families.iter().find(|family| family.what == what);
    assert_eq!(family("contrast of final losses").map(|family| family.n), Some(1));
    assert_eq!(family("compute saved against from scratch").map(|family| family.n), Some(3));
    assert!(said(&made).contains("Judged together (Holm's correction): 3 × compute saved against"));
    // All tables show the same saving.
    let mut savings = column(&made, "summary", "compute saved");
    savings.retain(|(name, _)| name != "from_scratch");
    let mut other = column(&made, "conventions", "all-in");
    savings.sort();
    other.sort();
    assert_eq!(savings, other);
    let controls = column(&made, "controls", "same compute");
    let to_control = column(&made, "summary", "vs control");
    assert!(controls.iter().all(|cell| to_control.contains(cell)), "{controls:?} {to_control:?}");
}

#[test]
fn seeds_are_counted_at_the_level_of_the_verdict() {
    let names: Vec<String> = (0..8).map(|n| format!("other{n}")).collect();
    let others = names.iter().map(|name| (name.as_str(), 0.01));
    let many: Vec<(&str, f64)> = [("own", 0.02)].into_iter().chain(others).collect();
    let needed = |savings: &[(&str, f64)]| {
        let analysis = Analysis::new(&noisy(savings)).expect("an analysis");
        let test =
            strategy(&analysis, "own").comparison.as_ref().and_then(|c| c.loss_difference.clone());
        test.and_then(|test| test.seeds_needed()).expect("a number")
    };
    assert!(needed(&many) > needed(&many[..1]), "{} {}", needed(&many), needed(&many[..1]));
}

#[test]
fn the_answer_says_whether_a_rule_or_its_plans_are_compared() {
    let mut made = input(&[("grown", 0.2)]);
    let spec = |more: &str| {
        format!(
            "name = 'a'\ndata.corpus = 'rust-crates'\ntraining.tokens = 1e6\ntarget = {{ d_model = \
             32, n_layers = 3, n_heads = 4 }}\ninitial = {{ d_model = 16, n_layers = 2, n_heads = 2 \
             }}\nstrategies = [{{ name = 'grown', kind = 'random', max_stages = 2, grow_between = \
             [0.1, 0.5]{more} }}, {{ kind = 'all_at_once', at = 0.5 }}]"
        )
    };
    for (more, said) in [
        ("", "plans are drawn in grown: each seed has plans of its own"),
        (", about = 'plan'", "plans are drawn in grown: all seeds have the same plans"),
    ] {
        made.spec = spec(more);
        let answer =
            outgrow_report::Answer::new(&Analysis::new(&made).expect("an analysis")).to_string();
        assert!(answer.to_lowercase().contains(said), "{answer}");
    }
}

/// Losses in bits per byte are those in nats per token times one number, and so is all that follows
/// from them; what compares compute stays as it is.
#[test]
fn bits_per_byte_are_another_unit_of_the_same_report() {
    let evaluated = Some(Evaluated { tokens: 100, bytes: 320 });
    let plain =
        Input { evaluated, tokenizer: Some("t".into()), ..input(&[("a", 0.3), ("b", 0.1)]) };
    let bits = plain.clone().in_unit(LossUnit::BitsPerByte).expect("bytes are known");
    let factor = 100.0 / 320.0 / std::f64::consts::LN_2;
    let [one, other] = [&plain, &bits].map(|input| Analysis::new(input).expect("an analysis"));
    for (nats, bits) in one.strategies.iter().zip(&other.strategies) {
        let [nats, bits] =
            [nats, bits].map(|strategy| (strategy.final_loss, strategy.comparison.clone()));
        let [(x, a), (y, b)] = [nats, bits].map(|(loss, own)| (loss.expect("a loss").mean, own));
        assert!((x * factor - y).abs() < 1e-12, "{x} {y}");
        let saved = |own: Option<outgrow_report::Comparison>| {
            own.and_then(|own| own.compute).map(|c| c.mean)
        };
        assert!((saved(a).unwrap_or(0.0) - saved(b).unwrap_or(0.0)).abs() < 1e-12);
    }
    assert_eq!((one.bits_per_byte, other.bits_per_byte), (Some(factor), None));
    let readme = |input: &Input| {
        let made = report(input).expect("a report");
        let (_, bytes) = made.files.into_iter().find(|(path, _)| path == "README.md").expect("it");
        String::from_utf8(bytes).expect("text")
    };
    let (nats, bits) = (readme(&plain), readme(&bits));
    assert!(nats.contains("nats per token or") && nats.contains("bits per byte |"), "{nats}");
    assert!(bits.contains("bits per byte") && !bits.contains("nats"), "{bits}");
    // Bytes have one unit, unless another one is asked for.
    let bytes = Input { tokenizer: None, ..plain.clone() };
    assert!(!readme(&bytes).contains("bits per byte"));
    // Back again, and where no byte is known.
    let back = bytes.in_unit(LossUnit::BitsPerByte).and_then(|i| i.in_unit(LossUnit::NatsPerToken));
    let loss = |input: &Input| input.curves[0].val_loss.expect("a loss");
    assert!((loss(&back.expect("bytes are known")) - loss(&plain)).abs() < 1e-12);
    for evaluated in [None, Some(Evaluated { tokens: 5, bytes: 0 })] {
        let unknown = Input { evaluated, ..plain.clone() };
        let error = unknown.in_unit(LossUnit::BitsPerByte).expect_err("no bytes").to_string();
        assert!(error.contains("made_up") && error.contains("bytes"), "{error}");
    }
}

#[test]
fn losses_of_different_tokenizers_are_compared_per_byte_alone() {
    let of = |tokenizer: Option<&str>, tokens: u64| Input {
        evaluated: Some(Evaluated { tokens, bytes: 320 }),
        tokenizer: tokenizer.map(str::to_owned),
        ..input(&[("a", 0.3)])
    };
    let (a, mut b) = (of(Some("one"), 100), of(Some("two"), 80));
    b.sweep = "other".into();
    let pair = Pair::new(&a, &b, None).expect("a comparison");
    assert_eq!((pair.unit, pair.is_same_tokenizer), (LossUnit::BitsPerByte, false));
    let loss = |side: usize| {
        pair.arms[0].sides[side].as_ref().and_then(|side| side.final_loss).expect("a loss").mean
    };
    // The same nats over 80 tokens for 100.
    assert!((loss(1) / loss(0) - 0.8).abs() < 1e-12);
    let text = pair.to_string();
    assert!(
        text.contains("Losses are in bits per byte") && text.contains("different tokenizers"),
        "{text}"
    );
    let error = Pair::new(&a, &b, Some(LossUnit::NatsPerToken)).expect_err("other tokens");
    assert!(error.to_string().contains("different tokenizers"), "{error}");
    // Nor are tokens bytes.
    assert_eq!(
        Pair::new(&a, &of(None, 320), None).expect("a comparison").unit,
        LossUnit::BitsPerByte
    );
    assert_eq!(Pair::new(&a, &of(Some("one"), 90), None).expect("it").unit, LossUnit::NatsPerToken);
    b.evaluated = None;
    assert!(Pair::new(&a, &b, None).is_err(), "no bytes are known");
}
