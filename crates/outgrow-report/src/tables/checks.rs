//! What was tried beside some born sizes.

use super::number;
use crate::{
    analysis::Analysis,
    checks::Check,
    numbers::short,
    table::{Cell, Column, Table},
};

const CAPTION: &str = "\
    Is the frontier the best there is? What was tried beside some of its sizes, at the same compute \
    and the end of a schedule, each at a learning rate of its own: as many parameters in about \
    1.4 times as many layers (deeper) or so many times fewer (wider), and half and twice the batch. Loss: \
    final validation loss minus that of the size, ± half a 95 % interval over seeds, not corrected. \
    A shape that is clearly better stands for its size in the frontier.";

/// The table; none where nothing was tried.
pub fn table(analysis: &Analysis) -> Option<Table> {
    let born = analysis.born.as_ref().filter(|born| !born.checks.is_empty())?;
    let columns = vec![
        Column::text("size", 0),
        Column::text("tried", 0),
        Column::new("budget", 0),
        Column::new("learning rate", 0),
        Column::new(&format!("loss ({})", analysis.unit.short()), 0),
        Column::new("n", 0),
        Column::text("in the frontier", 0),
    ];
    let rows = born.checks.iter().map(|check| row(analysis, check)).collect();
    Some(Table { name: "checks", caption: CAPTION.into(), columns, rows })
}

fn row(analysis: &Analysis, check: &Check) -> Vec<Cell> {
    let said = match (check.is_taken, check.is_better()) {
        (true, _) => "yes",
        (false, true) => "no, and better",
        _ => "no",
    };
    vec![
        super::name(analysis, &check.size),
        check.tried.replace('_', " ").into(),
        outgrow_core::sweep::budget_text(check.budget).into(),
        short(check.learning_rate).into(),
        number(Some(check.difference), 4),
        check.difference.n.to_string().into(),
        said.to_owned().into(),
    ]
}
