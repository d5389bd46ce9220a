//! Two criteria beside each other: equal tokens, and equal compute.

use super::{gap, name};
use crate::{
    analysis::Analysis,
    born::Born,
    comparison::Gap,
    frontier::ArmGap,
    numbers::plus_minus,
    table::{Best::Lowest, Cell, Column, Table},
};

const CAPTION: &str = "\
    Two criteria for growing, read at the end of a schedule; below 0, growing is better. Equal \
    tokens: final validation loss minus that of the target size trained from scratch on as many \
    tokens, which takes more compute than to grow into it. Equal compute: minus that of the best \
    size that a model can be born with (table gaps). ± is half a 95 % interval over seeds, \
    corrected (Holm) for all arms: of a budget for equal tokens, of all budgets for equal compute.";

/// The table; none without a frontier, or where the target size was not trained on as many tokens.
pub fn table(analysis: &Analysis) -> Option<Table> {
    let born = analysis.born.as_ref()?;
    let unit = analysis.unit.short();
    let columns = vec![
        Column::text("strategy", 0),
        Column::new("budget", 0),
        Column::new(&format!("equal tokens ({unit})"), 0).best(Lowest),
        Column::new("n", 2),
        Column::new(&format!("equal compute ({unit})"), 0).best(Lowest),
        Column::new("n", 2),
    ];
    let rows: Vec<Vec<Cell>> = born.gaps().map(|one| row(analysis, born, one)).collect();
    let has_any = rows.iter().any(|row| !matches!(row[2], Cell::Missing));
    has_any.then(|| Table { name: "criteria", caption: CAPTION.into(), columns, rows })
}

fn row(analysis: &Analysis, born: &Born, (budget, against): (String, &ArmGap)) -> Vec<Cell> {
    let same = same_tokens(analysis, born, against);
    let n = |n: Option<usize>| n.map_or(Cell::Missing, |n| n.to_string().into());
    let frontier = against.against.as_ref().ok().map(|against| &against.gap);
    let compute = frontier
        .map_or(Cell::Missing, |gap| Cell::Number(plus_minus(&gap.corrected, 4), gap.value.mean));
    vec![
        name(analysis, &against.arm),
        budget.into(),
        gap(same),
        n(same.map(|gap| gap.difference.value.n)),
        compute,
        n(frontier.map(|gap| gap.value.n)),
    ]
}

/// At the budget of `training.tokens`, what the other tables show, too.
fn same_tokens<'a>(analysis: &'a Analysis, born: &'a Born, of: &ArmGap) -> Option<&'a Gap> {
    let own = born
        .ends
        .same_tokens
        .iter()
        .find(|(arm, budget, _)| *arm == of.arm && *budget == of.budget);
    let own = own.map(|(_, _, gap)| gap);
    if own.is_some() || born.own != Some(of.budget) {
        return own;
    }
    let strategy = analysis.strategies.iter().find(|strategy| strategy.name == of.arm)?;
    strategy.comparison.as_ref()?.same_tokens.as_ref()
}
