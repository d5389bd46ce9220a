//! What a search has found.

use super::name;
use crate::{
    analysis::Analysis,
    confirmed::Confirmed,
    numbers::{plus_minus, signed_loss},
    searched::{Believed, Common},
    table::{Best::Lowest, Cell, Column, Table},
};

/// The plans that are believed to be the best; none without a search.
pub fn best(analysis: &Analysis) -> Option<Table> {
    let found = analysis.searched.as_ref().filter(|found| !found.best.is_empty())?;
    let columns = vec![
        Column::text("plan", 0),
        Column::text("grows", 1),
        Column::new("believed loss", 0).best(Lowest),
        Column::new("standard error", 0),
        Column::new("n", 0),
    ];
    let row = |one: &Believed| {
        vec![
            Cell::Text(one.name.clone()),
            Cell::Text(one.plan.clone()),
            Cell::Number(format!("{:.4}", one.loss), one.loss),
            Cell::Text(format!("{:.4}", one.error)),
            Cell::Text(one.seeds.to_string()),
        ]
    };
    let caption = "The plans that the search believes to be the best. Loss: final validation loss in \
                   nats per token, drawn towards that of all plans as far as n seeds say little; what \
                   seeds have in common is taken out. Selection is not evidence.";
    let rows = found.best.iter().map(row).collect();
    Some(Table { name: "search", caption: caption.into(), columns, rows })
}

/// What good plans have in common; none before enough is known.
pub fn effects(analysis: &Analysis) -> Option<Table> {
    let found = analysis.searched.as_ref().filter(|found| !found.effects.is_empty())?;
    let columns = vec![
        Column::text("what", 0),
        Column::text("when, or how many", 0),
        Column::new("loss", 0),
        Column::new("95 % interval", 0),
    ];
    let row = |one: &Common| {
        let [low, high] = one.interval;
        vec![
            Cell::Text(one.what.clone()),
            Cell::Text(one.value.clone()),
            Cell::Text(format!("{:+.4}", one.loss).replace('-', "\u{2212}")),
            Cell::Text(format!("[{low:+.4}, {high:+.4}]").replace('-', "\u{2212}")),
        ]
    };
    let caption = "What good plans have in common: final validation loss, in nats per token, of plans \
                   in which an axis has a size from a place on, or with so many stages, minus that of \
                   plans on average. Plans are drawn as by the searcher random, their losses are those \
                   of a response surface through all trainings of the search, and the interval is that \
                   of surfaces drawn from what is believed of it.";
    let rows = found.effects.iter().map(row).collect();
    Some(Table { name: "search_effects", caption: caption.into(), columns, rows })
}

/// What searches believed, beside what this sweep measured; none where it trains no plan of a search.
pub fn confirmed(analysis: &Analysis) -> Option<Table> {
    let found = (!analysis.confirmed.is_empty()).then_some(&analysis.confirmed)?;
    let columns = vec![
        Column::text("strategy", 0),
        Column::text("search", 1),
        Column::new("budget", 1),
        Column::new("believed gap", 0),
        Column::new("standard error", 1),
        Column::new("n of the search", 2),
        Column::new("confirmed gap", 0),
        Column::new("n", 1),
        Column::new("confirmed minus believed", 0),
    ];
    let row = |Confirmed { arm, promise, gap }: &Confirmed| {
        vec![
            name(analysis, arm),
            promise.search.clone().into(),
            promise.budget.clone().into(),
            signed_loss(promise.gap, 4).into(),
            format!("{:.4}", promise.error).into(),
            promise.seeds.to_string().into(),
            plus_minus(gap, 4).into(),
            gap.n.to_string().into(),
            signed_loss(gap.mean - promise.gap, 4).into(),
        ]
    };
    let caption = format!(
        "What searches believed of plans that are trained here again, on seeds of their own. Believed: \
         the loss by which the search chose, minus the least loss of a born model by a frontier of the \
         search, which has an error of its own beside that of the believed loss; confirmed: the gap that is \
         measured here, its \u{b1} corrected as in the table of gaps; {}. \
         What a search chose by its loss is on average not as good as it was believed to be.",
        analysis.unit.short()
    );
    let rows = found.iter().map(row).collect();
    Some(Table { name: "confirmed", caption, columns, rows })
}
