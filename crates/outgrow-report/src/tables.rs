//! The tables of a report.

use crate::{
    analysis::Analysis,
    comparison::Comparison,
    interval::Interval,
    numbers::{dash, p_text, plus_minus},
    strategy::Role,
};

/// A table in a report: the same in every format.
pub struct Table {
    /// Name of its files.
    pub name: &'static str,
    /// What a paper would print above it.
    pub caption: String,
    /// Its cells, the header first.
    pub rows: Vec<Vec<String>>,
}

/// All that the sweep has rows for. Each says it where what it shows is not the whole.
pub fn all(analysis: &Analysis) -> Vec<Table> {
    let all =
        [Some(summary(analysis)), controls(analysis), conventions(analysis), policies(analysis)];
    let noted = |table: Table| match analysis.note() {
        Some(note) => Table { caption: format!("{note} {}", table.caption), ..table },
        None => table,
    };
    all.into_iter().flatten().map(noted).collect()
}

/// The names of columns, each between bars.
fn header(names: &str) -> Vec<Vec<String>> {
    vec![names.split(" | ").map(str::to_owned).collect()]
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

const SUMMARY: &str = "\
    Growth strategies against training from scratch, each at the best of its learning rates; \
    compute and time saved on the way to the final loss of the control, every FLOP counted; \
    p-values after Holm's correction; seeds needed for 80 % power; ± is half a 95 % interval.";

/// One row for each strategy.
fn summary(analysis: &Analysis) -> Table {
    let mut rows = header(
        "strategy | plans | seeds | learning rate | final loss | vs control | compute (TFLOP) \
         | reached | compute saved (%) | p (Holm) | seeds needed | time saved (%)",
    );
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
    Table { name: "summary", caption: SUMMARY.into(), rows }
}

const CONTROLS: &str = "\
    Final loss minus that of three controls, in nats, paired by seed: the target size after the \
    same tokens; the target size with the same compute and a schedule annealed to it; the best \
    size that never grows, with the same compute. Below 0, growing is better.";

/// The growing strategies against the three controls that reviewers ask for; none without one.
fn controls(analysis: &Analysis) -> Option<Table> {
    let mut rows = header(
        "strategy | same tokens | against | same compute, annealed | against | best fixed size \
         | against",
    );
    for strategy in analysis.grown() {
        let comparison = strategy.comparison.as_ref()?;
        let gaps = [&comparison.same_tokens, &comparison.same_flops, &comparison.best_fixed_size];
        let cells = gaps.iter().flat_map(|gap| match gap {
            Some(gap) => [plus_minus(&gap.difference, 3), gap.against.clone()],
            None => [dash(), dash()],
        });
        rows.push([strategy.name.clone()].into_iter().chain(cells).collect());
    }
    (rows.len() > 1).then(|| Table { name: "controls", caption: CONTROLS.into(), rows })
}

const CONVENTIONS: &str = "\
    The saving on the way to the control's final loss as different papers would state it. \
    All-in counts every FLOP since the smallest model, what an operator spends on itself \
    included; sunk takes the model before its first growth as given (bert2BERT, LiGO, LEMON). A \
    multiply-add counts 2 and the backward pass twice the forward; 6ND is six times the \
    parameters without embeddings times the tokens. The ratio of computes is \
    1 / (1 − saving of the mean); G_stack, MSG and CompoundGrow state it minus 1.";

/// The same saving as others would state it.
fn conventions(analysis: &Analysis) -> Option<Table> {
    let mut rows =
        header("strategy | all-in (%) | sunk (%) | 6ND (%) | tokens (%) | time (%) | ratio");
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
            saved(some, |c| c.tokens),
            saved(some, |c| c.wall),
            ratio.map_or_else(dash, |ratio| format!("{mark}{ratio:.2}")),
        ]);
    }
    (rows.len() > 1).then(|| Table { name: "conventions", caption: CONVENTIONS.into(), rows })
}

const POLICIES: &str = "\
    Growth policies under the same plans: differences to the first of each group, paired by \
    seed.";

/// Strategies that differ in their policies only; none where there are none.
fn policies(analysis: &Analysis) -> Option<Table> {
    let mut rows = header(
        "strategy | initializer | optimizer | learning rate | final loss | vs first | saving \
         vs first (points)",
    );
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
    (rows.len() > 1).then(|| Table { name: "policies", caption: POLICIES.into(), rows })
}
