//! The answer in one paragraph, and the tables: Markdown, LaTeX (booktabs), CSV.

use std::fmt::Write;

use crate::{
    Interval,
    analysis::{Analysis, Comparison, Strategy},
    figures::Figure,
};

/// Which strategy grew cheaper than from scratch, by how much, with n and spread.
pub fn answer(analysis: &Analysis) -> String {
    let mut text = match analysis.compared() {
        None => format!(
            "{}: the sweep has no from_scratch control with an evaluation, so there is nothing to compare with.",
            analysis.sweep
        ),
        Some((control, others)) => against(analysis, control, &others),
    };
    if let Some((worst, n)) = analysis.worst_growth {
        let much = if worst <= 1.0 { "within" } else { "NOT within" };
        write!(
            text,
            " All {n} growth events were {much} the tolerance for preserving the function (worst: {worst:.2} of it)."
        )
        .expect("memory");
    }
    let open: usize = ["waiting", "running"].iter().filter_map(|state| analysis.states.get(*state)).sum();
    if open > 0 {
        write!(text, " Preliminary: {open} trials are not trained to their end yet.").expect("memory");
    }
    let lost: usize = analysis.strategies.iter().map(|strategy| strategy.lost).sum();
    if lost > 0 {
        write!(text, " {lost} trials diverged or failed and are not in the means.").expect("memory");
    }
    text
}

fn against(analysis: &Analysis, control: &Strategy, others: &[&Strategy]) -> String {
    let Some(loss) = control.final_loss else {
        return format!("{}: no from-scratch control is trained to its end yet.", analysis.sweep);
    };
    let judged: Vec<(Verdict, String)> = others.iter().filter_map(|s| judge(s)).collect();
    let list = |verdict: Verdict| {
        let texts: Vec<&str> = judged.iter().filter(|(v, _)| *v == verdict).map(|(_, text)| text.as_str()).collect();
        texts.join("; ")
    };
    let mut text = format!(
        "{}: from scratch ends at a validation loss of {} nats per token (n = {} seeds).",
        analysis.sweep,
        plus_minus(&loss, 3),
        loss.n
    );
    let sentences = [
        (Verdict::Cheaper, "Reached that loss with less compute than from scratch"),
        (Verdict::Unclear, "No clear difference in compute"),
        (Verdict::Dearer, "Needed more compute than from scratch"),
        (Verdict::NotReached, "Did not reach it in every seed"),
    ];
    for (verdict, begin) in sentences {
        let found = list(verdict);
        if !found.is_empty() {
            write!(text, " {begin}: {found}.").expect("memory");
        }
    }
    text + " Savings are means over seeds with 95 % Student-t intervals, paired by seed and data order."
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Cheaper,
    Unclear,
    Dearer,
    NotReached,
}

/// What the numbers of a strategy say, and the numbers.
fn judge(strategy: &Strategy) -> Option<(Verdict, String)> {
    let comparison = strategy.comparison.as_ref()?;
    let [reached, of] = comparison.reached;
    if of == 0 {
        return None;
    }
    let plans = if strategy.plans > 1 { format!(", {} plans", strategy.plans) } else { String::new() };
    let name = &strategy.name;
    let Some(saving) = comparison.compute.filter(|_| reached == of) else {
        return Some((Verdict::NotReached, format!("{name} ({reached} of {of} trials did{plans})")));
    };
    let verdict = match saving.bounds {
        Some([low, _]) if low > 0.0 => Verdict::Cheaper,
        Some([_, high]) if high < 0.0 => Verdict::Dearer,
        _ => Verdict::Unclear,
    };
    let spread =
        saving.bounds.map_or_else(|| "one seed".into(), |[low, high]| format!("[{}, {}]", percent(low), percent(high)));
    Some((verdict, format!("{name} {} % {spread} (n = {}{plans})", percent(saving.mean), saving.n)))
}

fn percent(fraction: f64) -> String {
    format!("{:.0}", 100.0 * fraction).replace("-0", "0").replace('-', "\u{2212}")
}

/// A mean with half the width of its interval.
fn plus_minus(interval: &Interval, digits: usize) -> String {
    match interval.bounds {
        Some([low, high]) => format!("{:.digits$} ± {:.digits$}", interval.mean, (high - low) / 2.0),
        None => format!("{:.digits$}", interval.mean),
    }
}

/// The files beside the figures.
pub fn files(analysis: &Analysis, figures: &[Figure], answer: &str) -> Vec<(String, Vec<u8>)> {
    let table = summary(analysis);
    vec![
        ("README.md".into(), markdown(analysis, figures, answer, &table).into_bytes()),
        ("tables/summary.csv".into(), csv_file(&table)),
        ("tables/summary.md".into(), markdown_table(&table).into_bytes()),
        ("tables/summary.tex".into(), latex_table(analysis, &table).into_bytes()),
        ("figures/figures.tex".into(), latex_figures(figures).into_bytes()),
    ]
}

/// One row for each strategy.
fn summary(analysis: &Analysis) -> Vec<Vec<String>> {
    let header = [
        "strategy",
        "plans",
        "seeds",
        "final loss",
        "vs control",
        "compute (TFLOP)",
        "reached",
        "compute saved (%)",
        "time saved (%)",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for strategy in &analysis.strategies {
        let comparison = strategy.comparison.as_ref();
        let number = |interval: Option<Interval>, digits: usize| interval.map_or_else(dash, |i| plus_minus(&i, digits));
        let saved =
            |of: fn(&Comparison) -> Option<Interval>| number(comparison.and_then(of).map(|i| i.map(|v| 100.0 * v)), 1);
        rows.push(vec![
            strategy.name.clone(),
            strategy.plans.to_string(),
            strategy.seeds.to_string(),
            number(strategy.final_loss, 3),
            number(comparison.and_then(|c| c.loss_difference), 3),
            strategy.train_flops.map_or_else(dash, |flops| format!("{:.3}", flops.mean / 1e12)),
            comparison.map_or_else(dash, |c| format!("{}/{}", c.reached[0], c.reached[1])),
            saved(|c| c.compute),
            saved(|c| c.wall),
        ]);
    }
    rows
}

fn dash() -> String {
    "–".into()
}

/// Rows as CSV.
pub fn csv_file(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(vec![]);
    rows.iter().for_each(|row| writer.write_record(row).expect("memory takes every record"));
    writer.into_inner().expect("memory takes every record")
}

fn markdown_table(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        format!("| {} |\n", row.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let rule = format!("|---|{}\n", "---:|".repeat(rows[0].len() - 1));
    rows.iter().enumerate().map(|(n, row)| if n == 0 { line(row) + &rule } else { line(row) }).collect()
}

/// A text as LaTeX sets it.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '_' | '%' | '&' | '#' | '$' | '{' | '}' => out.extend(['\\', character]),
            '±' => out.push_str("$\\pm$"),
            '–' => out.push_str("--"),
            '\u{2212}' => out.push_str("$-$"),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            other => out.push(other),
        }
    }
    out
}

fn latex_table(analysis: &Analysis, rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(|cell| signed(&latex(cell))).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}. Means over seeds, \\pm half the width of the 95 % Student-t interval.\n\
         \\begin{{table}}\n  \\centering\n  \\caption{{Growth strategies of sweep {} against training from scratch. \
         Means over seeds $\\pm$ half the width of the 95\\,\\% Student-$t$ interval.}}\n  \\begin{{tabular}}{{l{}}}\n  \\toprule\n",
        latex(&analysis.sweep),
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

fn markdown(analysis: &Analysis, figures: &[Figure], answer: &str, table: &[Vec<String>]) -> String {
    let mut text = format!("# {}\n\n{answer}\n\n{}\n", analysis.sweep, markdown_table(table));
    for figure in figures {
        write!(text, "![{}](figures/{}-double.png)\n\n{}\n\n", figure.name, figure.name, figure.caption)
            .expect("memory");
    }
    text + "Each figure is in `figures/` as SVG, PDF and PNG at the width of one and of two columns, its numbers are in `data/`; \
            `provenance.json` says what all of it was made from. Generated by `outgrow report`.\n"
}
