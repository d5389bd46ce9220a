//! The answer in one paragraph, and the tables: Markdown, LaTeX (booktabs), CSV.

use std::fmt::Write;

use crate::{
    Interval,
    analysis::{Analysis, Role, Strategy},
    comparison::{Comparison, Gap},
    escape::{csv, latex, markdown},
    figures::Figure,
    font,
};

/// How a name is written: as the format wants it that the text is for.
pub type Say = fn(&str) -> String;

/// Which strategy grew cheaper than from scratch, by how much, with n and spread; before that,
/// whether it is preliminary.
pub fn answer(analysis: &Analysis, say: Say) -> String {
    let mut sentences: Vec<String> = analysis.note().into_iter().collect();
    sentences.push(match analysis.compared() {
        None => format!(
            "{}: the sweep has no from_scratch control with an evaluation, so there is nothing to compare with.",
            say(&analysis.sweep)
        ),
        Some((control, others)) => against(analysis, control, &others, say),
    });
    if let Some((worst, n)) = analysis.worst_growth {
        let much = if worst <= 1.0 { "within" } else { "NOT within" };
        sentences.push(format!(
            "All {n} growth events that claim to preserve the function were {much} the tolerance (worst: {worst:.2} of it)."
        ));
    }
    if analysis.locked > 0 {
        sentences.push(format!(
            "At {} growth events copied units got equal gradients and are bound to stay equal (see the growth doctor).",
            analysis.locked
        ));
    }
    let lost = analysis.count(&["diverged", "failed"]);
    if lost > 0 {
        sentences.push(format!("{lost} trials diverged or failed and are not in the means."));
    }
    sentences.join(" ")
}

fn against(analysis: &Analysis, control: &Strategy, others: &[&Strategy], say: Say) -> String {
    let Some(loss) = control.final_loss else {
        let sweep = say(&analysis.sweep);
        return match control.lost == control.trials {
            true => {
                format!(
                    "{sweep}: every from-scratch control diverged or failed, so there is nothing to compare with."
                )
            }
            false => format!("{sweep}: no from-scratch control is trained to its end yet."),
        };
    };
    let grown: Vec<&Strategy> = others.iter().copied().filter(|s| s.role == Role::Grown).collect();
    let judged: Vec<(Verdict, String)> = grown.iter().filter_map(|s| judge(s, say)).collect();
    let list = |verdict: Verdict| {
        let texts: Vec<&str> =
            judged.iter().filter(|(v, _)| *v == verdict).map(|(_, text)| text.as_str()).collect();
        texts.join("; ")
    };
    let mut sentences = vec![format!(
        "{}: from scratch ends at a validation loss of {} nats per token (n = {} seeds{}).",
        say(&analysis.sweep),
        plus_minus(&loss, 3),
        loss.n,
        if control.learning_rates > 1 {
            format!(", learning rate {} of {} tried", control.learning_rate, control.learning_rates)
        } else {
            String::new()
        }
    )];
    let verdicts = [
        (Verdict::Cheaper, "Reached that loss with less compute than from scratch"),
        (Verdict::Unclear, "No clear difference in compute"),
        (Verdict::Dearer, "Needed more compute than from scratch"),
        (Verdict::NotReached, "Did not reach it in every seed"),
    ];
    for (verdict, begin) in verdicts {
        let found = list(verdict);
        if !found.is_empty() {
            sentences.push(format!("{begin}: {found}."));
        }
    }
    sentences.extend(ends(
        &grown,
        "the target size with the same compute, annealed to it",
        |c| c.same_flops.as_ref(),
        say,
    ));
    let fixed = "the best size that never grows, with the same compute";
    sentences.extend(ends(&grown, fixed, |c| c.best_fixed_size.as_ref(), say));
    sentences.extend(at_the_edge(analysis, say));
    sentences.push(format!(
        "Savings count every FLOP since the smallest model, are means over seeds with 95 % Student-t intervals, paired by seed and \
         data order, and called different from zero at the 5 % level after Holm's correction for {} strategies.",
        grown.len()
    ));
    sentences.join(" ")
}

/// Of more strategies than these, a sentence names the extremes.
const LISTED: usize = 8;

/// How the growing models end against a control of their budget.
fn ends(
    grown: &[&Strategy],
    control: &str,
    gap: fn(&Comparison) -> Option<&Gap>,
    say: Say,
) -> Option<String> {
    let gaps: Vec<(&str, &Gap)> = grown
        .iter()
        .filter_map(|s| Some((s.name.as_str(), gap(s.comparison.as_ref()?)?)))
        .collect();
    let mut names: Vec<String> = gaps.iter().map(|(_, gap)| say(&gap.against)).collect();
    names.sort_unstable();
    names.dedup();
    let one = |(name, gap): &(&str, &Gap)| {
        let spread = gap
            .difference
            .bounds
            .map(|[low, high]| format!(" [{}, {}]", signed_loss(low), signed_loss(high)));
        format!("{} {}{}", say(name), signed_loss(gap.difference.mean), spread.unwrap_or_default())
    };
    let verdict = match gaps.iter().all(|(_, gap)| gap.difference.mean > 0.0) {
        true => " No growing model ended lower.",
        false => "",
    };
    let lowest =
        gaps.iter().min_by(|(_, a), (_, b)| a.difference.mean.total_cmp(&b.difference.mean))?;
    let highest =
        gaps.iter().max_by(|(_, a), (_, b)| a.difference.mean.total_cmp(&b.difference.mean))?;
    let texts = match gaps.len() {
        0..=LISTED => gaps.iter().map(one).collect::<Vec<_>>().join("; "),
        n => format!(
            "from {} to {} (all {n} are in the table of controls)",
            one(lowest),
            one(highest)
        ),
    };
    Some(format!(
        "Final loss minus that of {control} ({}), nats: {texts}.{verdict}",
        names.join(", ")
    ))
}

/// Whoever did best at the end of the grid was perhaps not tuned.
fn at_the_edge(analysis: &Analysis, say: Say) -> Option<String> {
    let names: Vec<String> =
        analysis.strategies.iter().filter(|s| s.is_at_the_edge).map(|s| say(&s.name)).collect();
    let what = "did best at the lowest or the highest learning rate of the grid, so a wider one may change what is said of them";
    (!names.is_empty()).then(|| format!("Not tuned for certain: {} {what}.", names.join(", ")))
}

fn signed_loss(nats: f64) -> String {
    format!("{nats:+.3}").replace('-', "\u{2212}")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Cheaper,
    Unclear,
    Dearer,
    NotReached,
}

/// What the numbers of a strategy say, and the numbers.
fn judge(strategy: &Strategy, say: Say) -> Option<(Verdict, String)> {
    let comparison = strategy.comparison.as_ref()?;
    let saving = comparison.compute?;
    let [reached, of] = comparison.reached;
    let plans =
        if strategy.plans > 1 { format!(", {} plans", strategy.plans) } else { String::new() };
    let name = say(&strategy.name);
    if comparison.is_censored() {
        let most = format!("at most {} % saved", percent(saving.mean));
        return Some((
            Verdict::NotReached,
            format!("{name} ({reached} of {of} trials did{plans}; {most})"),
        ));
    }
    let verdict = match (comparison.is_significant() || saving.n == 1, saving.mean > 0.0) {
        (true, true) if saving.n > 1 => Verdict::Cheaper,
        (true, false) if saving.n > 1 => Verdict::Dearer,
        _ => Verdict::Unclear,
    };
    let spread = saving.bounds.map_or_else(
        || "one seed".into(),
        |[low, high]| format!("[{}, {}]", percent(low), percent(high)),
    );
    let more = match (verdict, comparison.seeds_needed) {
        (Verdict::Unclear, Some(seeds)) if seeds > saving.n => {
            format!("; a difference of this size would take {seeds} seeds")
        }
        _ => String::new(),
    };
    Some((
        verdict,
        format!("{name} {} % {spread} (n = {}{plans}{more})", percent(saving.mean), saving.n),
    ))
}

fn percent(fraction: f64) -> String {
    format!("{:.0}", 100.0 * fraction).replace("-0", "0").replace('-', "\u{2212}")
}

/// A mean with half the width of its interval.
fn plus_minus(interval: &Interval, digits: usize) -> String {
    match interval.bounds {
        Some([low, high]) => {
            format!("{:.digits$} ± {:.digits$}", interval.mean, (high - low) / 2.0)
        }
        None => format!("{:.digits$}", interval.mean),
    }
}

/// A table in a report: its name, its caption, and its rows, the header first.
struct Table {
    name: &'static str,
    caption: String,
    rows: Vec<Vec<String>>,
}

/// The files beside the figures.
pub fn files(analysis: &Analysis, figures: &[Figure]) -> Vec<(String, Vec<u8>)> {
    let all =
        [Some(summary(analysis)), controls(analysis), conventions(analysis), policies(analysis)];
    let noted = |table: Table| match analysis.note() {
        Some(note) => Table { caption: format!("{note} {}", table.caption), ..table },
        None => table,
    };
    let tables: Vec<Table> = all.into_iter().flatten().map(noted).collect();
    let mut files = vec![
        ("README.md".into(), readme(analysis, figures, &tables).into_bytes()),
        ("figures/figures.tex".into(), latex_figures(figures).into_bytes()),
    ];
    for table in &tables {
        let path = |suffix: &str| format!("tables/{}.{suffix}", table.name);
        files.push((path("csv"), csv(&table.rows)));
        files.push((path("md"), markdown_table(&table.rows).into_bytes()));
        files.push((path("tex"), latex_table(table).into_bytes()));
    }
    files
}

fn header<const N: usize>(names: [&str; N]) -> Vec<Vec<String>> {
    vec![names.map(str::to_owned).to_vec()]
}

fn number(interval: Option<Interval>, digits: usize) -> String {
    interval.map_or_else(dash, |interval| plus_minus(&interval, digits))
}

/// A saving in per cent; an upper bound where some trial did not reach the loss.
fn saved(comparison: Option<&Comparison>, of: fn(&Comparison) -> Option<Interval>) -> String {
    let bound = if comparison.is_some_and(Comparison::is_censored) { "≤ " } else { "" };
    let value = comparison.and_then(of).map(|saving| saving.map(|v| 100.0 * v));
    value.map_or_else(dash, |value| format!("{bound}{}", plus_minus(&value, 1)))
}

/// One row for each strategy.
fn summary(analysis: &Analysis) -> Table {
    let mut rows = header([
        "strategy",
        "plans",
        "seeds",
        "learning rate",
        "final loss",
        "vs control",
        "compute (TFLOP)",
        "reached",
        "compute saved (%)",
        "p (Holm)",
        "seeds needed",
        "time saved (%)",
    ]);
    for strategy in &analysis.strategies {
        let comparison = strategy.comparison.as_ref().filter(|_| strategy.role != Role::Annealed);
        rows.push(vec![
            strategy.name.clone(),
            strategy.plans.to_string(),
            strategy.seeds.to_string(),
            strategy.learning_rate.to_string(),
            number(strategy.final_loss, 3),
            number(strategy.comparison.as_ref().and_then(|c| c.loss_difference), 3),
            strategy.train_flops.map_or_else(dash, |flops| format!("{:.3}", flops.mean / 1e12)),
            comparison.map_or_else(dash, |c| format!("{}/{}", c.reached[0], c.reached[1])),
            saved(comparison, |c| c.compute),
            comparison.and_then(|c| c.p_corrected).map_or_else(dash, p_text),
            comparison.and_then(|c| c.seeds_needed).map_or_else(dash, |n| n.to_string()),
            saved(comparison, |c| c.wall),
        ]);
    }
    let caption = "Growth strategies against training from scratch, each at the best of its learning rates; compute and time saved on \
                   the way to the final loss of the control, every FLOP counted; p-values after Holm's correction; seeds with which a saving of \
                   this size would be found four times out of five.";
    Table { name: "summary", caption: caption.into(), rows }
}

fn p_text(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// The growing strategies against the three controls that reviewers ask for; none without one.
fn controls(analysis: &Analysis) -> Option<Table> {
    let mut rows = header([
        "strategy",
        "same tokens",
        "against",
        "same compute, annealed",
        "against",
        "best fixed size",
        "against",
    ]);
    for strategy in analysis.grown() {
        let comparison = strategy.comparison.as_ref()?;
        let gaps = [&comparison.same_tokens, &comparison.same_flops, &comparison.best_fixed_size];
        let cells = gaps.iter().flat_map(|gap| match gap {
            Some(gap) => [plus_minus(&gap.difference, 3), gap.against.clone()],
            None => [dash(), dash()],
        });
        rows.push([strategy.name.clone()].into_iter().chain(cells).collect());
    }
    let caption = "Final loss minus that of three controls, in nats, paired by seed: the target size after the same tokens; the target size \
                   with the same compute and a schedule annealed to it; the best size that never grows, with the same compute. Below 0, growing \
                   is better.";
    (rows.len() > 1).then(|| Table { name: "controls", caption: caption.into(), rows })
}

/// The same saving as others would state it.
fn conventions(analysis: &Analysis) -> Option<Table> {
    let mut rows = header([
        "strategy",
        "all-in (%)",
        "sunk (%)",
        "6ND (%)",
        "backward = 1 × forward (%)",
        "tokens (%)",
        "time (%)",
        "ratio",
        "ratio − 1 (%)",
    ]);
    for strategy in analysis.grown() {
        let comparison = strategy.comparison.as_ref()?;
        let some = Some(comparison);
        let ratio = comparison.compute.map(|saving| 1.0 / (1.0 - saving.mean));
        let mark = if comparison.is_censored() { "≤ " } else { "" };
        rows.push(vec![
            strategy.name.clone(),
            saved(some, |c| c.compute),
            saved(some, |c| c.sunk),
            saved(some, |c| c.six_nd),
            saved(some, |c| c.compute),
            saved(some, |c| c.tokens),
            saved(some, |c| c.wall),
            ratio.map_or_else(dash, |ratio| format!("{mark}{ratio:.2}")),
            ratio.map_or_else(dash, |ratio| format!("{mark}{:.0}", 100.0 * (ratio - 1.0))),
        ]);
    }
    let caption = "The saving on the way to the control's final loss as different papers would state it. All-in counts every FLOP since the \
                   smallest model, what an operator spends on itself included; sunk takes the model before its first growth as given (bert2BERT, LiGO, \
                   LEMON). A multiply-add counts 2 and the backward pass twice the forward; 6ND is six times the parameters without \
                   embeddings times the tokens; a backward pass that counts once (LiGO's script) divides all compute by the same 3/2 and so changes no saving. \
                   The ratio of computes is 1 / (1 − saving of the mean); G_stack, MSG and CompoundGrow state it minus 1.";
    (rows.len() > 1).then(|| Table { name: "conventions", caption: caption.into(), rows })
}

/// Strategies that differ in their policies only; none where there are none.
fn policies(analysis: &Analysis) -> Option<Table> {
    let mut rows = header([
        "strategy",
        "initializer",
        "optimizer",
        "learning rate",
        "final loss",
        "vs first",
        "saving vs first (points)",
    ]);
    for ablation in &analysis.ablations {
        for row in &ablation.rows {
            let [initializer, optimizer, learning_rate] = row.policy.clone();
            rows.push(vec![
                row.strategy.clone(),
                initializer,
                optimizer,
                learning_rate,
                number(row.final_loss, 3),
                number(row.difference, 3),
                number(row.saving_difference.map(|saving| saving.map(|v| 100.0 * v)), 1),
            ]);
        }
    }
    let caption = "Growth policies under the same plans: differences to the first of each group, paired by seed.";
    (rows.len() > 1).then(|| Table { name: "policies", caption: caption.into(), rows })
}

fn dash() -> String {
    "–".into()
}

fn markdown_table(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        format!("| {} |\n", row.iter().map(|cell| markdown(cell)).collect::<Vec<_>>().join(" | "))
    };
    let rule = format!("|---|{}\n", "---:|".repeat(rows[0].len() - 1));
    rows.iter()
        .enumerate()
        .map(|(n, row)| if n == 0 { line(row) + &rule } else { line(row) })
        .collect()
}

fn latex_table(table: &Table) -> String {
    let rows = &table.rows;
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(|cell| signed(&latex(cell))).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}. Means over seeds, \\pm half the width of the 95 % Student-t interval.\n\
         \\begin{{table}}\n  \\centering\n  \\caption{{{} \
         Means over seeds $\\pm$ half the width of the 95\\,\\% Student-$t$ interval.}}\n  \\begin{{tabular}}{{l{}}}\n  \\toprule\n",
        latex(&table.caption),
        "r".repeat(rows[0].len() - 1)
    );
    for (number, row) in rows.iter().enumerate() {
        text += &line(row);
        if number == 0 {
            text += "  \\midrule\n";
        }
    }
    text + "  \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
}

/// A number's minus sign is not a hyphen.
fn signed(cell: &str) -> String {
    match cell.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("$-${rest}"),
        _ => cell.to_owned(),
    }
}

fn latex_figures(figures: &[Figure]) -> String {
    let one = |figure: &Figure| {
        format!(
            "\\begin{{figure}}\n  \\centering\n  \\includegraphics{{figures/{}-single.pdf}}\n  \\caption{{{}}}\n  \\label{{fig:{}}}\n\\end{{figure}}\n",
            figure.name,
            latex(&figure.caption),
            figure.name
        )
    };
    figures.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The names that the figures can't show as they are, and what stands there.
fn other_names(analysis: &Analysis) -> Option<String> {
    let names = analysis.strategies.iter().map(|strategy| strategy.name.as_str());
    let other = names.filter(|name| font::label(name) != *name);
    let said: Vec<String> = other
        .map(|name| format!("{} for {}", markdown(&font::label(name)), markdown(name)))
        .collect();
    (!said.is_empty()).then(|| {
        format!(
            "In the figures, whose font has Latin and Greek letters, there is: {}.",
            said.join("; ")
        )
    })
}

fn readme(analysis: &Analysis, figures: &[Figure], tables: &[Table]) -> String {
    let mut text = format!("# {}\n\n", markdown(&analysis.sweep));
    for part in [Some(answer(analysis, markdown)), other_names(analysis)].into_iter().flatten() {
        text += &format!("{part}\n\n");
    }
    for table in tables {
        write!(text, "{}\n{}\n\n", markdown_table(&table.rows), table.caption).expect("memory");
    }
    for figure in figures {
        write!(
            text,
            "![{}](figures/{}-double.png)\n\n{}\n\n",
            figure.name, figure.name, figure.caption
        )
        .expect("memory");
    }
    text + "Each figure is in `figures/` as SVG, PDF and PNG at the width of one and of two columns, its numbers are in `data/`; \
            tables are in `tables/` as Markdown, LaTeX and CSV; `provenance.json` says what all of it was made from. Generated by `outgrow report`.\n"
}
