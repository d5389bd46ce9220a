//! The tables of a report.

mod born;
mod checks;
mod compute;
mod contrasts;
mod conventions;
mod criteria;
mod searched;
mod tuning;

use crate::{
    analysis::Analysis,
    comparison::{Comparison, Gap},
    interval::Interval,
    numbers::{p_text, plus_minus},
    on_the_way::{FOOTNOTE, marked},
    strategy::{Role, Strategy},
    table::{
        Best::{Highest, Lowest},
        Cell, Column, Table,
    },
    tested::Tested,
};

/// All that the sweep has rows for. Each says it where what it shows is not the whole.
pub fn all(analysis: &Analysis) -> Vec<Table> {
    let all = [
        born::gaps(analysis),
        searched::confirmed(analysis),
        born::frontier(analysis),
        checks::table(analysis),
        searched::best(analysis),
        searched::effects(analysis),
        criteria::table(analysis),
        Some(summary(analysis)),
        controls(analysis),
        contrasts::table(analysis),
        tuning::table(analysis),
        compute::table(analysis),
        conventions::table(analysis),
        policies(analysis),
    ];
    let noted = |table: Table| match analysis.note() {
        Some(note) => Table { caption: format!("{note} {}", table.caption), ..table },
        None => table,
    };
    all.into_iter().flatten().map(noted).collect()
}

/// What the captions say of ± beside a verdict.
const CORRECTED: &str = "± of a difference or a saving is half a 95 % interval over seeds, \
                         corrected (Holm) for all comparisons of its kind: it \
                         excludes 0 exactly where the difference is significant at 5 %";

fn name(analysis: &Analysis, name: &str) -> Cell {
    Cell::Name([name.to_owned(), analysis.shown(name).to_owned()])
}

fn parameters(strategy: &Strategy) -> Cell {
    strategy.parameters.map_or(Cell::Missing, |sizes| Cell::Text(sizes.words()))
}

fn number(interval: Option<Interval>, digits: usize) -> Cell {
    interval.map_or(Cell::Missing, |interval| {
        Cell::Number(plus_minus(&interval, digits), interval.mean)
    })
}

/// A loss once more in bits per byte, where there are both.
fn bits_per_byte(analysis: &Analysis, loss: Option<Interval>, digits: usize) -> Cell {
    number(analysis.bits_per_byte.and_then(|bits| Some(loss?.map(|loss| bits * loss))), digits)
}

/// A difference of savings in points.
fn points(tested: Option<&Tested>) -> Option<Interval> {
    tested.map(|tested| tested.corrected.map(|saving| 100.0 * saving))
}

fn gap(gap: Option<&Gap>) -> Cell {
    number(gap.map(|gap| gap.difference.corrected), 3)
}

/// A saving in per cent; an upper bound where some trial did not reach the loss.
fn saved(comparison: Option<&Comparison>, value: Option<Interval>) -> Cell {
    let value = value.map(|saving| saving.map(|v| 100.0 * v));
    let is_early = comparison.is_some_and(Comparison::is_on_the_way);
    match (number(value, 1), comparison.is_some_and(Comparison::is_censored)) {
        (Cell::Number(text, _), true) => Cell::Text(marked(format!("≤ {text}"), is_early)),
        (Cell::Number(text, value), false) => Cell::Number(marked(text, is_early), value),
        (cell, _) => cell,
    }
}

/// What a caption says of savings that have a mark; empty where none has.
fn footnote<'a>(mut strategies: impl Iterator<Item = &'a Strategy>) -> String {
    let is_marked =
        |strategy: &Strategy| strategy.comparison.as_ref().is_some_and(Comparison::is_on_the_way);
    if strategies.any(is_marked) { format!(" {FOOTNOTE}") } else { String::new() }
}

/// Strategies by a value, the lowest first; those without one come last.
fn sorted<'a>(
    strategies: impl Iterator<Item = &'a Strategy>,
    by: impl Fn(&Strategy) -> Option<f64>,
) -> Vec<&'a Strategy> {
    let mut all: Vec<&Strategy> = strategies.collect();
    let value = |strategy: &&Strategy| by(strategy).unwrap_or(f64::INFINITY);
    all.sort_by(|a, b| value(a).total_cmp(&value(b)));
    all
}

/// The lowest final loss first.
fn by_loss(strategy: &Strategy) -> Option<f64> {
    strategy.final_loss.map(|loss| loss.mean)
}

/// One row for each strategy.
fn summary(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("strategy", 0),
        Column::new("parameters", 3),
        Column::new("plans", 9),
        Column::new("n", 4),
        Column::new("learning rate", 6),
        Column::new("final loss", 1).best(Lowest),
        Column::new("bits per byte", 2),
        Column::new("vs control", 8),
        Column::new(&format!("vs {}", analysis.fixed_head()), 3).best(Lowest),
        Column::new("compute (TFLOP)", 10),
        Column::new("reached", 7),
        Column::new("compute saved (%)", 2).best(Highest),
        Column::new("p (Holm)", 5),
        Column::new("seeds needed", 12),
        Column::new("time saved (%)", 11).best(Highest),
    ];
    let strategies = sorted(analysis.strategies.iter(), by_loss);
    let caption = format!(
        "Arms by final validation loss ({}), each at the best of its learning rates. \
         Compute saved on the way to the final loss of the control, every FLOP counted; \
         differences are paired by seed; n seeds. {CORRECTED}; ± of a final loss is that of each arm \
         for itself.{}{}",
        analysis.unit.words(),
        in_bytes(analysis),
        footnote(analysis.strategies.iter())
    );
    let rows = strategies.iter().map(|strategy| summary_row(analysis, strategy)).collect();
    Table { name: "summary", caption, columns, rows }
}

/// What a loss is in bits per byte, where there are both.
fn in_bytes(analysis: &Analysis) -> String {
    analysis.bits_per_byte.map_or_else(String::new, |bits| {
        format!(
            " Bits per byte are of the text that the predicted tokens stand for: {bits:.4} for each \
             nat per token."
        )
    })
}

fn summary_row(analysis: &Analysis, strategy: &Strategy) -> Vec<Cell> {
    let any = strategy.comparison.as_ref();
    let comparison = any.filter(|_| strategy.role != Role::Annealed);
    let steady = comparison.filter(|_| analysis.clock.is_steady());
    let text = |text: Option<String>| text.map_or(Cell::Missing, Cell::Text);
    vec![
        name(analysis, &strategy.name),
        parameters(strategy),
        strategy.plans.to_string().into(),
        strategy.seeds.to_string().into(),
        strategy.learning_rate.to_string().into(),
        number(strategy.final_loss, 3),
        bits_per_byte(analysis, strategy.final_loss, 3),
        number(any.and_then(|c| c.loss_difference.as_ref()).map(|tested| tested.corrected), 3),
        gap(any.filter(|_| strategy.role == Role::Grown).and_then(|c| c.best_fixed_size.as_ref())),
        text(strategy.train_flops.map(|flops| format!("{:.3}", flops.mean / 1e12))),
        text(comparison.map(|c| format!("{}/{}", c.reached[0], c.reached[1]))),
        saved(comparison, comparison.and_then(Comparison::compute_corrected)),
        text(comparison.and_then(Comparison::p_corrected).map(p_text)),
        text(comparison.and_then(Comparison::seeds_needed).map(|n| n.to_string())),
        saved(steady, steady.and_then(|c| c.corrected(|saving| saving.wall))),
    ]
}

/// A difference to one of the controls.
type OfComparison = fn(&Comparison) -> Option<&Gap>;

/// The growing strategies against the controls that reviewers ask for; none without one.
fn controls(analysis: &Analysis) -> Option<Table> {
    let fixed = format!("{}, with the same compute", analysis.fixed_words());
    let kinds: [(&str, OfComparison, &str); 3] = [
        ("same tokens", |c| c.same_tokens.as_ref(), "the target size after the same tokens"),
        ("same compute", |c| c.same_flops.as_ref(), "the target size with the same compute"),
        (analysis.fixed_head(), |c| c.best_fixed_size.as_ref(), &fixed),
    ];
    let order = |strategy: &Strategy| {
        let comparison = strategy.comparison.as_ref()?;
        let gap = kinds.iter().rev().find_map(|(_, of, _)| of(comparison))?;
        Some(gap.difference.value.mean)
    };
    let strategies = sorted(analysis.grown().filter(|s| s.comparison.is_some()), order);
    let mut columns = vec![Column::text("strategy", 0), Column::new("parameters", 4)];
    let own = |strategy: &&Strategy| vec![name(analysis, &strategy.name), parameters(strategy)];
    let mut rows: Vec<Vec<Cell>> = strategies.iter().map(own).collect();
    let mut shown = vec![];
    for (rank, (head, of, words)) in (1..).zip(kinds) {
        let gaps: Vec<Option<&Gap>> =
            strategies.iter().map(|s| s.comparison.as_ref().and_then(of)).collect();
        shown.extend(gaps.iter().any(Option::is_some).then_some(words));
        let mut against: Vec<&str> =
            gaps.iter().flatten().map(|gap| gap.against.as_str()).collect();
        against.dedup();
        // Only where they differ they take a column.
        let several = against.len() > 1;
        let head = match against.first() {
            Some(only) if !several => format!("{head}: {}", analysis.shown(only)),
            _ => head.to_owned(),
        };
        columns.push(Column::new(&head, rank).best(Lowest));
        columns.extend(several.then(|| Column::text("against", rank)));
        for (row, own) in rows.iter_mut().zip(gaps) {
            row.push(gap(own));
            let against = own.map_or(Cell::Missing, |gap| name(analysis, &gap.against));
            row.extend(several.then_some(against));
        }
    }
    let caption = format!(
        "Final loss minus that of {}, in {}, paired by seed. Below 0, growing is better. \
         {CORRECTED}.",
        shown.join(", of "),
        analysis.unit.words()
    );
    (!rows.is_empty()).then_some(Table { name: "controls", caption, columns, rows })
}

const POLICIES: &str = "\
    Growth policies under the same plans: differences to the first of each group, paired by seed; \
    ± of a difference is half a 95 % interval over seeds, corrected (Holm) for all comparisons of \
    its kind.";

/// Strategies that differ in their policies only; none where there are none.
fn policies(analysis: &Analysis) -> Option<Table> {
    let columns = vec![
        Column::text("strategy", 0),
        Column::text("initializer", 5),
        Column::text("optimizer", 4),
        Column::text("learning rate", 3),
        Column::new("final loss", 1).best(Lowest),
        Column::new("vs first", 2),
        Column::new("saving vs first (points)", 2),
    ];
    let all = || analysis.ablations.iter().flat_map(|ablation| &ablation.rows);
    let early = |cell: Cell, name: &str| match cell {
        Cell::Number(text, value) => {
            Cell::Number(marked(text, analysis.is_on_the_way(name)), value)
        }
        cell => cell,
    };
    let row = |row: &crate::ablation::AblationRow| {
        let said = row.policy.iter().enumerate().map(|(part, text)| {
            let differs = all().any(|other| other.policy[part] != *text);
            if differs { Cell::Text(text.replace('_', " ")) } else { Cell::Missing }
        });
        let numbers = [
            number(row.final_loss, 3),
            number(row.difference.as_ref().map(|tested| tested.corrected), 3),
            early(number(points(row.saving_difference.as_ref()), 1), &row.strategy),
        ];
        [name(analysis, &row.strategy)].into_iter().chain(said).chain(numbers).collect()
    };
    let rows: Vec<Vec<Cell>> = all().map(row).collect();
    let caption = format!("{POLICIES}{}", footnote(analysis.grown()));
    (!rows.is_empty()).then_some(Table { name: "policies", caption, columns, rows })
}
