//! The same saving as other papers would state it.

use super::{footnote, name, saved, sorted};
use crate::{
    analysis::Analysis,
    comparison::Comparison,
    interval::Interval,
    numbers::dash,
    strategy::Strategy,
    table::{Cell, Column, Table},
};

const CAPTION: &str = "\
    The saving on the way to the control's final loss as different papers would state it. All-in \
    counts every FLOP since the smallest model, what an operator spends on itself included; small \
    model free does not count the training before the first growth (bert2BERT, LiGO, LEMON). A \
    multiply-add \
    counts 2 and the backward pass twice the forward; 6ND is six times the parameters without \
    embeddings times the tokens. The ratio of computes is 1 / (1 − saving of the mean); G_stack, \
    MSG and CompoundGrow state it minus 1. ± is half a 95 % interval over seeds, \
    at the level at which the compute saved is judged in the table of arms (Holm)";
const ONCE: &str = ". Where ± would be the same in the next three columns as in the first, only the \
    first has it: a trial that reaches the loss after its last growth, when it costs as much per \
    token as the control, saves the same number of tokens in each of them, on top of a constant \
    that the plan fixes.";

/// Half widths, in points, that are printed alike.
const ALIKE: f64 = 0.05;

/// The table; none where nothing grew.
pub fn table(analysis: &Analysis) -> Option<Table> {
    let heads =
        ["all-in (%)", "small model free (%)", "6ND (%)", "tokens (%)", "time (%)", "ratio"];
    let columns = [Column::text("strategy", 0)]
        .into_iter()
        .chain((1..).zip(heads).map(|(rank, head)| Column::new(head, rank)))
        .collect();
    let value = |s: &Strategy| Some(-s.comparison.as_ref()?.compute?.mean);
    let strategies = sorted(analysis.grown(), value);
    let known = strategies.iter().filter_map(|s| Some((s, s.comparison.as_ref()?)));
    let mut is_once = false;
    let rows: Vec<Vec<Cell>> = known
        .map(|(strategy, comparison)| {
            is_once |= is_alike(comparison);
            row(analysis, strategy, comparison)
        })
        .collect();
    let once = if is_once { ONCE } else { "." };
    let caption = format!("{CAPTION}{once}{}", footnote(analysis.grown()));
    (!rows.is_empty()).then_some(Table { name: "conventions", caption, columns, rows })
}

fn row(analysis: &Analysis, strategy: &Strategy, comparison: &Comparison) -> Vec<Cell> {
    let some = Some(comparison);
    let once = is_alike(comparison);
    let other = |value: Option<Interval>| {
        saved(
            some,
            value.map(|value| if once { Interval { bounds: None, ..value } } else { value }),
        )
    };
    let ratio = comparison.compute.map(|saving| 1.0 / (1.0 - saving.mean));
    let mark = if comparison.is_censored() { "≤ " } else { "" };
    let steady = some.filter(|_| analysis.clock.is_steady());
    let wall = steady.and_then(|c| c.corrected(|saving| saving.wall));
    vec![
        name(analysis, &strategy.name),
        saved(some, comparison.compute_corrected()),
        other(comparison.corrected(|saving| saving.sunk)),
        other(comparison.corrected(|saving| saving.six_nd)),
        other(comparison.corrected(|saving| saving.tokens)),
        saved(some, wall),
        ratio.map_or_else(dash, |ratio| format!("{mark}{ratio:.2}")).into(),
    ]
}

/// Whether all conventions have the same interval about their means.
fn is_alike(comparison: &Comparison) -> bool {
    let half = |value: Option<Interval>| {
        value.and_then(|value| value.bounds).map(|[low, high]| 50.0 * (high - low))
    };
    let Some(own) = half(comparison.compute) else { return false };
    [comparison.sunk, comparison.six_nd, comparison.tokens]
        .into_iter()
        .all(|other| half(other).is_some_and(|other| (other - own).abs() < ALIKE))
}
