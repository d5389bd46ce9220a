//! Reports of sweeps with a frontier.

mod born;
mod made;
mod read;

use std::collections::BTreeSet;

use born::{Planted, arms, rows};
use made::{curve, input};
use outgrow_core::{
    plan::Phase,
    rows::{CurveRow, TrialRow},
};
use outgrow_report::{Analysis, Input, Report, report};
use read::{column, strategy, text};

/// Three budgets, growing at two of them, so many arms.
fn planted(number: usize) -> Report {
    let made = Planted {
        arms: arms(number),
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[10.0, 20.0],
        seeds: 3,
    };
    report(&rows(&made)).expect("a report")
}

/// Born sizes, and ends at other budgets than that of `training.tokens`, are no part of what is
/// compared with the target.
#[test]
fn a_frontier_changes_no_other_number() {
    let plain = input(&[("grown", 0.2)]);
    let mut made = plain.clone();
    made.spec = "name = 'a'\ndata.corpus = 'rust-crates'\ntarget = { d_model = 32, n_layers = 3, \
                 n_heads = 4 }\ninitial = { d_model = 16, n_layers = 2, n_heads = 2 }\n\
                 strategies = [{ kind = 'all_at_once', at = 0.5 }]\n\
                 frontier = { strategies_at = [10, 20], budgets = [10, 20, 40] }"
        .into();
    made.trials.iter_mut().for_each(|trial| trial.budget = Some(20.0));
    for (strategy, kind, budget) in [
        ("grown", "random", 10.0),
        ("from_scratch", "from_scratch", 10.0),
        ("born_3", "born", 20.0),
    ] {
        let own = plain.trials.iter().filter(|trial| trial.kind == kind || kind == "born");
        let more: Vec<TrialRow> = own
            .map(|trial| TrialRow {
                trial: format!("{}-{strategy}-{budget}", trial.trial),
                strategy: strategy.into(),
                kind: kind.into(),
                budget: Some(budget),
                ..trial.clone()
            })
            .collect();
        for trial in &more {
            curve(&trial.trial, 0, 0.9, 40, &mut made.curves);
        }
        made.trials.extend(more);
    }
    let told = |input: &Input| {
        let analysis = Analysis::new(input).expect("an analysis");
        let mut told = serde_json::to_value(&analysis).expect("plain data");
        told["states"].take();
        told["born"].take();
        told
    };
    assert_eq!(told(&made), told(&plain));
}

/// The trials of a size once more, under another name, with losses that differ by so much.
fn beside(made: &mut Input, size: &str, tried: &str, by: f64) {
    let own = |trial: &&TrialRow| trial.strategy == size && trial.budget == Some(20.0);
    let more: Vec<TrialRow> = made.trials.iter().filter(own).cloned().collect();
    for trial in more {
        let id = format!("{}-{tried}", trial.trial);
        let curve: Vec<CurveRow> =
            made.curves.iter().filter(|row| row.trial == trial.trial).cloned().collect();
        made.curves.extend(curve.into_iter().map(|row| CurveRow {
            trial: id.clone(),
            val_loss: row.val_loss.map(|loss| loss + by + 1e-4 * trial.replicate as f64),
            ..row
        }));
        let (strategy, kind) = (format!("{size}_{tried}"), "born_check".into());
        made.trials.push(TrialRow { trial: id, strategy, kind, ..trial });
    }
}

#[test]
fn a_better_shape_stands_for_its_size() {
    let plain = rows(&Planted {
        arms: vec![("staged".into(), -0.02, 0.5)],
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[20.0],
        seeds: 3,
    });
    let mut made = plain.clone();
    beside(&mut made, "born_4", "deeper", -0.05);
    beside(&mut made, "born_4", "wider", -0.02);
    beside(&mut made, "born_1", "wider", 0.05);
    beside(&mut made, "born_1", "half_batch", -0.1);
    let [plain, made] = [plain, made].map(|input| report(&input).expect("a report"));
    let born = |report: &Report| report.analysis.born.clone().expect("a frontier");
    let checks = born(&made).checks;
    let told: Vec<(&str, bool, bool)> =
        checks.iter().map(|one| (&*one.tried, one.is_taken, one.is_better())).collect();
    let expected = [
        ("deeper", true, true),
        ("wider", false, true),
        ("wider", false, false),
        ("half_batch", false, true),
    ];
    assert_eq!(told, expected);
    assert!((checks[0].difference.mean + 0.0499).abs() < 1e-9, "{:?}", checks[0].difference);
    let end = |report: &Report, number: usize| {
        let ends = born(report).ends.born;
        let own = ends.iter().filter(|end| end.size == number && end.budget == 1);
        own.map(|end| end.loss).sum::<f64>()
    };
    let moved = end(&made, 4) - end(&plain, 4);
    assert!((moved / 3.0 + 0.0499).abs() < 1e-9, "{moved}");
    assert_eq!(end(&made, 1), end(&plain, 1), "a batch is one for all");
    let table = text(&made, "tables/checks.md");
    assert!(table.contains("half batch") && table.contains("no, and better"), "{table}");
    assert_eq!(made.analysis.strategies.len(), plain.analysis.strategies.len());
}

#[test]
fn a_report_begins_with_the_frontier() {
    let made = report(&rows(&Planted {
        arms: vec![("staged".into(), -0.02, 0.5)],
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[20.0],
        seeds: 3,
    }))
    .expect("a report");
    let born = made.analysis.born.as_ref().expect("a frontier");
    let (budget, gap) = born.gaps().find(|(_, gap)| gap.arm == "staged").expect("the arm");
    let against = gap.against.as_ref().expect("it is enclosed");
    assert_eq!((budget.as_str(), against.gap.value.n), ("20", 3));
    assert!((against.gap.value.mean + 0.02).abs() < 8e-3, "{against:?}");
    let text = made.answer.to_string();
    assert!(text.starts_with("Against the best size that a model can be born with"), "{text}");
    let readme = self::text(&made, "README.md");
    assert!(
        readme.contains("Growing against being born.")
            && readme.contains("The frontier of being born.")
    );
    let multiplier = column(&made, "gaps", "multiplier");
    let (_, times) = multiplier.iter().find(|(name, _)| name == "staged").expect("its row");
    assert!((times.parse::<f64>().expect("a number") - 1.2).abs() < 0.15, "{times}");
    let best = column(&made, "frontier", "best parameters");
    assert_eq!(best.iter().map(|(budget, _)| &**budget).collect::<Vec<_>>(), ["10", "20", "40"]);
}

#[test]
fn where_nothing_is_clear_the_seeds_are_said_that_it_would_take() {
    let made = report(&rows(&Planted {
        arms: vec![("far".into(), -0.04, 0.5), ("near".into(), 0.002, 0.5)],
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[20.0],
        seeds: 5,
    }))
    .expect("a report");
    let needed = column(&made, "gaps", "seeds needed");
    let [(_, far), (_, near)] = &needed[..] else { panic!("{needed:?}") };
    assert_eq!(far, "–", "it is clear");
    let seeds: usize = near.parse().expect("a number");
    assert!(seeds > 5, "{seeds}");
    let line = format!("no clear difference ({seeds} seeds would tell)");
    assert!(made.answer.to_string().contains(&line), "{}", made.answer);
}

/// Rows of a figure's numbers, by the names of their columns.
fn numbers(made: &Report, figure: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let text = text(made, &format!("data/{figure}.csv"));
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let heads = rows.headers().expect("heads").clone();
    let at = |column: &&str| heads.iter().position(|head| head == *column).expect("the column");
    let at: Vec<usize> = columns.iter().map(at).collect();
    let row = |row: csv::StringRecord| at.iter().map(|column| row[*column].to_owned()).collect();
    rows.records().map(|one| row(one.expect("CSV"))).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn the_frontier_is_drawn_through_its_vertices() {
    let made = planted(3);
    let born = made.analysis.born.as_ref().expect("a frontier");
    let drawn = numbers(&made, "frontier", &["what", "train_flops", "loss", "low", "high"]);
    let line: Vec<Vec<f64>> = drawn
        .iter()
        .filter(|row| row[0] == "frontier")
        .map(|row| row[1..].iter().map(|cell| number(cell)).collect())
        .collect();
    assert!(line.windows(2).all(|two| two[0][0] < two[1][0] && two[0][1] > two[1][1]));
    for (_, budget) in born.vertices() {
        let vertex = budget.vertex.as_ref().expect("it is enclosed");
        let near = |row: &&Vec<f64>| (row[0] / budget.flops - 1.0).abs() < 1e-9;
        let row = line.iter().find(near).expect("a point at each budget");
        assert!((row[1] - vertex.loss.mean).abs() < 1e-9, "{row:?} {vertex:?}");
        let [low, high] = vertex.loss.bounds.expect("three seeds");
        assert!(row[2] <= low + 1e-9 && row[3] >= high - 1e-9, "{row:?} {vertex:?}");
    }
    assert_eq!(drawn.iter().filter(|row| row[0] == "born").count(), 7 * 3 * 3);
    assert_eq!(drawn.iter().filter(|row| row[0] == "grown").count(), 3 * 2);
}

#[test]
fn arms_stand_at_their_mean_size() {
    let made = planted(3);
    let sizes = numbers(&made, "iso_flop", &["what", "name", "parameters"]);
    let own: Vec<f64> =
        sizes.iter().filter(|row| row[1] == "width_first").map(|row| number(&row[2])).collect();
    // From 12,000 to 75,000 parameters after a fifth of the tokens.
    let flops = [0.2 * 12e3, 0.8 * 75e3];
    let mean = (flops[0] * 12e3 + flops[1] * 75e3) / (flops[0] + flops[1]);
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|size| (size / mean - 1.0).abs() < 1e-3), "{own:?}, not {mean}");
    let curve = sizes.iter().filter(|row| row[0] == "parabola").count();
    assert!(curve >= 3 * 20, "{curve} points of parabolas");
}

#[test]
fn no_figure_names_more_than_seven_arms_by_colours() {
    let names: Vec<String> =
        arms(12).into_iter().map(|(name, ..)| name.replace('_', " ")).collect();
    for (number, named) in [(3, 3), (7, 7), (8, 5), (12, 5)] {
        let made = planted(number);
        for figure in ["frontier", "gap", "iso_flop"] {
            for width in ["single", "double"] {
                let svg = text(&made, &format!("figures/{figure}-{width}.svg"));
                let is_in = |name: &&String| svg.contains(&format!(">{name}</text>"));
                let texts: Vec<&str> =
                    names.iter().filter(is_in).map(String::as_str).collect::<Vec<_>>();
                assert_eq!(texts.len(), named, "{figure} of {number}: {texts:?}");
                let others = format!(">{} others</text>", number - named);
                assert_eq!(svg.contains(&others), number > named, "{figure} of {number}");
            }
        }
        let looks: BTreeSet<String> =
            numbers(&made, "multiplier", &["strategy"]).into_iter().flatten().collect();
        assert_eq!(looks.len(), number, "each arm has its multipliers");
    }
}

#[test]
fn where_no_optimum_is_enclosed_the_figures_say_so() {
    let mut made = rows(&Planted {
        arms: arms(2),
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[10.0, 20.0],
        seeds: 3,
    });
    let is_small = |name: &str| ["born_1", "born_2", "born_3", "born_4"].contains(&name);
    made.trials.retain(|trial| !is_small(&trial.strategy));
    let made = report(&made).expect("a report");
    let svg = text(&made, "figures/iso_flop-single.svg");
    assert_eq!(svg.matches(">not enclosed</text>").count(), 3);
    let figures: Vec<&str> = made.files.iter().map(|(path, _)| path.as_str()).collect();
    assert!(figures.contains(&"figures/frontier-double.pdf"));
    assert!(!figures.contains(&"figures/gap-double.pdf"));
    assert!(!text(&made, "figures/frontier-single.svg").contains(">best born size</text>"));
}

#[test]
fn what_is_read_at_the_end_comes_first() {
    let made = planted(3);
    let readme = text(&made, "README.md");
    let parts = [
        "Against the best size that a model can be born with",
        "| strategy | budget | gap",
        "![frontier](figures/frontier-double.png)",
        "![gap](",
        "![iso_flop](",
        "![multiplier](",
        "| strategy | budget | equal tokens",
        "## Savings against the target size",
        "from scratch ends at a validation loss",
        "![loss_vs_tokens](",
    ];
    let places = parts.map(|part| readme.find(part).unwrap_or_else(|| panic!("no {part}")));
    assert!(places.is_sorted(), "{places:?}: {readme}");
    let first = readme.lines().find(|line| line.starts_with("Against")).expect("the sentences");
    assert_eq!(first.matches(". ").count(), 2, "three sentences: {first}");
    let terminal = made.answer.to_string();
    let [table, savings] = ["arm", "planted_frontier: from scratch ends"].map(|part| {
        let is_it = |line: &str| line.starts_with(part);
        terminal.lines().position(is_it).unwrap_or_else(|| panic!("{part}: {terminal}"))
    });
    assert!(table < savings, "{terminal}");
}

#[test]
fn both_criteria_stand_beside_each_other() {
    let made = planted(3);
    let [tokens, compute, n] =
        ["equal tokens", "equal compute", "n"].map(|head| column(&made, "criteria", head));
    assert_eq!((tokens.len(), compute.len()), (6, 6));
    let gaps = column(&made, "gaps", "gap (nats)");
    assert_eq!(compute, gaps);
    assert!(n.iter().all(|(arm, n)| n == if arm == "in_three_steps" { "3" } else { "–" }), "{n:?}");
    // The late arm alone has as many tokens as that control; at one budget, all tables show it.
    let late = || tokens.iter().filter(|(arm, _)| arm == "in_three_steps");
    assert!(late().all(|(_, gap)| gap.contains('±')), "{tokens:?}");
    let controls = column(&made, "controls", "same tokens");
    let own = controls.iter().find(|(arm, _)| arm == "in_three_steps").expect("a row");
    assert!(late().any(|cell| cell == own), "{own:?} {tokens:?}");
}

#[test]
fn savings_on_the_way_are_marked() {
    let early = planted(3);
    let saved = column(&early, "summary", "compute saved");
    let (_, own) = saved.iter().find(|(arm, _)| arm == "width_first").expect("a row");
    assert!(own.ends_with(" †"), "{saved:?}");
    let [readme, terminal] = [text(&early, "README.md"), early.answer.to_string()];
    for text in [&readme, &terminal] {
        assert!(text.contains("† read on the way: some trial had this loss before the end"));
    }
    // Read at the last evaluation alone.
    let mut ends = rows(&Planted {
        arms: arms(1),
        budgets: &[10.0, 20.0, 40.0],
        strategies_at: &[10.0, 20.0],
        seeds: 3,
    });
    ends.curves.retain(|row| row.at.step == 40 || row.at.step < 4);
    let ends = report(&ends).expect("a report");
    assert!(!text(&ends, "README.md").contains('†') && !ends.answer.to_string().contains('†'));
}

#[test]
fn attention_is_counted_in_two_ways() {
    let made = planted(1);
    let [full, causal, share] = ["TFLOP, in full", "TFLOP, causal", "causal / full"]
        .map(|head| column(&made, "compute", head));
    let of = |cells: &[(String, String)], arm: &str| {
        number(&cells.iter().find(|(name, _)| name == arm).expect("a row").1)
    };
    let ratio = of(&causal, "width_first") / of(&full, "width_first");
    assert!((ratio - 0.93).abs() < 1e-3, "{ratio}");
    assert_eq!((of(&share, "width_first"), of(&share, "born_7")), (93.0, 93.0));
}

/// The rows of a sweep with a frontier: seven born sizes at three budgets, and an arm that ends 0.02
/// nats below all of them.
fn with_frontier() -> Input {
    let mut made = input(&[("grown", 0.2)]);
    made.spec = "name = 'a'\ndata.corpus = 'rust-crates'\ntarget = { d_model = 32, n_layers = 3, \
                 n_heads = 4 }\ninitial = { d_model = 16, n_layers = 2, n_heads = 2 }\n\
                 strategies = [{ name = 'grown', kind = 'all_at_once', at = 0.5 }]\n\
                 frontier = { strategies_at = [20], budgets = [10, 20, 40] }"
        .into();
    let of_target = made.trials[0].clone();
    made.trials.iter_mut().for_each(|trial| trial.budget = Some(20.0));
    let mut end = |name: String, kind: &str, budget: f64, seed: usize, n: f64, loss: f64| {
        let trial = format!("{name}-{budget}-{seed}");
        let train_flops = (budget * 1e9) as u128;
        let phases = vec![Phase {
            tokens: 0,
            non_embedding: (n * 0.8) as u64,
            with_unembedding: n as u64,
            parameters: (n * 1.1) as u64,
            sequence_flops: 1000,
            causal_flops: 900,
        }];
        made.trials.push(TrialRow {
            trial: trial.clone(),
            strategy: name,
            kind: kind.into(),
            replicate: seed,
            tuning: false,
            seed: 1000 + seed as u64,
            budget: Some(budget),
            phases,
            ..of_target.clone()
        });
        made.curves.push(CurveRow {
            trial,
            at: outgrow_core::event::Position {
                step: 9,
                tokens: (budget * 1e9 / (6.0 * n)) as u64,
                train_flops,
                wall_seconds: 1.0,
            },
            val_loss: Some(loss),
        });
    };
    for seed in 0..3 {
        let noise = 0.002 * seed as f64;
        for budget in [10.0, 20.0, 40.0] {
            let best = 20_000.0 * (budget / 20.0f64).sqrt();
            let least = 1.5 - 0.1 * (budget / 20.0f64).ln();
            for size in 1..=7 {
                let n = 20_000.0 * 1.5f64.powi(size - 4);
                let off = (n / best).ln();
                let own = 0.0005 * ((size as usize * 7 + seed * 5) % 3) as f64;
                end(
                    format!("born_{size}"),
                    "born",
                    budget,
                    seed,
                    n,
                    least + 0.05 * off * off + noise + own,
                );
            }
        }
        end("staged".into(), "evenly_spaced", 20.0, seed, 20_000.0, 1.48 + noise);
    }
    made
}

/// The rows of [`with_frontier`] at three rates. On compared seeds the highest rate is lucky for the
/// staged arm, for born sizes and for the control; two seeds that tune prefer the middle one.
fn tuned_on_seeds_of_their_own() -> Input {
    let mut made = with_frontier();
    let (trials, curves) = (std::mem::take(&mut made.trials), std::mem::take(&mut made.curves));
    for trial in &trials {
        for (place, rate) in [1e-3, 2e-3, 4e-3].into_iter().enumerate() {
            for tuning in [false, true] {
                if tuning && trial.replicate > 1 {
                    continue;
                }
                let moved = match (tuning, place) {
                    (true, place) => 0.03 * (place as f64 - 0.9).powi(2),
                    (false, place) => -0.02 * (place as f64 - 1.0),
                };
                let id = format!("{}@{rate}{}", trial.trial, if tuning { "-tunes" } else { "" });
                let replicate = trial.replicate + if tuning { 3 } else { 0 };
                let own = curves.iter().filter(|row| row.trial == trial.trial);
                made.curves.extend(own.map(|row| CurveRow {
                    trial: id.clone(),
                    val_loss: row.val_loss.map(|loss| loss + moved),
                    ..row.clone()
                }));
                made.trials.push(TrialRow {
                    trial: id,
                    replicate,
                    tuning,
                    learning_rate: rate,
                    ..trial.clone()
                });
            }
        }
    }
    made
}

#[test]
fn tuning_does_not_flatter() {
    let mut made = tuned_on_seeds_of_their_own();
    let tuned = report(&made).expect("a report");
    let staged = |made: &Report| {
        let born = made.analysis.born.clone().expect("a frontier");
        let (_, gap) = born.gaps().find(|(_, gap)| gap.arm == "staged").expect("the arm");
        gap.against.clone().expect("it is enclosed").gap.value
    };
    for name in ["from_scratch", "grown", "staged"] {
        let own = strategy(&tuned.analysis, name);
        let found = (own.learning_rate, own.tuning_seeds, own.is_at_the_edge);
        assert_eq!(found, (2e-3, 2, false), "{name}");
        assert_eq!((own.seeds, own.trials), (3, 9), "only what is compared counts");
    }
    let loss = strategy(&tuned.analysis, "staged").final_loss.expect("its loss");
    assert!((loss.mean - 1.482).abs() < 1e-9 && loss.n == 3, "{loss:?}");
    assert_eq!(staged(&tuned).n, 3);
    let readme = text(&tuned, "README.md");
    for said in
        ["were chosen on 2 seeds of their own, which are in no comparison.", "They chose the one"]
    {
        assert!(readme.contains(said), "{said}: {readme}");
    }
    // Compared trials at some of the rates only: the nearest of these.
    made.trials.retain(|trial| trial.tuning || trial.learning_rate != 2e-3);
    let some = report(&made).expect("a report");
    assert_eq!(strategy(&some.analysis, "staged").learning_rate, 1e-3);
    // One arm without such seeds is named.
    made.trials.retain(|trial| !(trial.tuning && trial.strategy == "staged"));
    let mixed = report(&made).expect("a report");
    assert_eq!(strategy(&mixed.analysis, "staged").learning_rate, 4e-3);
    let readme = text(&mixed, "README.md");
    assert!(readme.contains("but those of staged on the seeds that are compared"), "{readme}");
    // One seed alone does not choose.
    let first = made.trials.iter().filter(|trial| trial.tuning).map(|t| t.replicate).min();
    made.trials.retain(|trial| !trial.tuning || Some(trial.replicate) == first);
    let one = report(&made).expect("a report");
    assert_eq!(strategy(&one.analysis, "from_scratch").tuning_seeds, 0);
    // Without any, luck decides.
    made.trials.retain(|trial| !trial.tuning);
    let lucky = report(&made).expect("a report");
    assert_eq!(strategy(&lucky.analysis, "staged").learning_rate, 4e-3);
    assert_eq!(strategy(&lucky.analysis, "staged").tuning_seeds, 0);
    assert!(text(&lucky, "README.md").contains("on the seeds that are compared."));
}

#[test]
fn ends_that_repeat_their_text_are_left_out_and_named() {
    let mut made = with_frontier();
    // Of its smallest size the largest budget trains 60 times as many tokens as of the others.
    let smallest = |trial: &TrialRow| trial.strategy == "born_1" && trial.budget == Some(40.0);
    let most = made.trials.iter().map(|trial| trial.tokens).max().expect("trials");
    made.trials
        .iter_mut()
        .filter(|trial| smallest(trial))
        .for_each(|trial| trial.tokens = 3 * most);
    let mut of_text = |text_tokens: Option<u64>| {
        made.text_tokens = text_tokens;
        report(&made).expect("a report")
    };
    let sizes = |made: &Report| {
        let born = made.analysis.born.clone().expect("a frontier");
        let (_, last) = born.vertices().last().expect("a budget");
        last.vertex.clone().expect("it is enclosed").sizes
    };
    let fresh = of_text(Some(3 * most));
    let one_rate = text(&fresh, "README.md").contains("All have the same learning rate");
    assert!(one_rate, "nothing is tuned");
    assert!(!text(&fresh, "README.md").contains("text was repeated"));
    let repeated = of_text(Some(3 * most - 1));
    let readme = text(&repeated, "README.md");
    assert!(readme.contains("in no vertex and no law: born_1 at 40."), "{readme}");
    assert!(!sizes(&repeated).contains(&1), "{:?}", sizes(&repeated));
    let estimates = |made: &Report| made.analysis.born.clone().expect("a frontier").frontier.law;
    assert_ne!(estimates(&fresh), estimates(&repeated), "the law leaves it out as well");
    let all = of_text(Some(1));
    let readme = text(&all, "README.md");
    assert!(
        readme.contains("Growing ends whose text was repeated") && readme.contains("staged at 20")
    );
}

#[test]
fn estimates_are_those_of_the_report() {
    let made = with_frontier();
    let (rows, report) = (outgrow_report::estimates(&made), report(&made).expect("a report"));
    let born = report.analysis.born.expect("a frontier");
    assert_eq!(rows.frontier.iter().map(|row| row.budget).collect::<Vec<_>>(), [10.0, 20.0, 40.0]);
    let (_, vertex) = born.vertices().nth(1).expect("a budget");
    let vertex = vertex.vertex.as_ref().expect("enclosed");
    let row = &rows.frontier[1];
    assert_eq!((row.n_star.value, row.n), (Some(vertex.n_star.mean), Some(3)));
    assert_eq!(row.val_loss.low, vertex.loss.bounds.map(|bounds| bounds[0]));
    let gap = rows.gaps.iter().find(|row| row.strategy == "staged").expect("the arm");
    let (_, same) = born.gaps().find(|(_, gap)| gap.arm == "staged").expect("the arm");
    let same = &same.against.as_ref().expect("it is judged").gap;
    assert_eq!((gap.gap.value, gap.p_holm), (Some(same.value.mean), same.p_corrected));
    assert_eq!(gap.gap.high, same.corrected.bounds.map(|bounds| bounds[1]));
    assert!(gap.multiplier.value.is_some_and(|m| m > 1.0) && gap.reason.is_none());
    assert_eq!(outgrow_report::estimates(&input(&[("grown", 0.1)])), Default::default());
}
