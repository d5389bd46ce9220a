//! The answer in one paragraph.

use crate::{
    analysis::Analysis,
    comparison::{Comparison, Gap},
    numbers::{percent, plus_minus, signed_loss},
    strategy::{Role, Strategy},
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
