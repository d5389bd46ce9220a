//! What trials cost, with attention counted in full and as causal.

use super::{name, parameters};
use crate::{
    analysis::Analysis,
    numbers::short,
    strategy::Strategy,
    table::{Cell, Column, Table},
};

const CAPTION: &str = "\
    Training FLOPs of a trial (a multiply-add counts 2, the backward pass twice the forward), with \
    causal attention counted in two ways: in full, as every budget and every other number counts \
    it, and as causal, without the products that the mask removes. Where shares differ, so would \
    compute that is matched in the other way.";

/// The table; none where no trial is complete.
pub fn table(analysis: &Analysis) -> Option<Table> {
    let columns = vec![
        Column::text("strategy", 0),
        Column::new("parameters", 3),
        Column::new("tokens", 4),
        Column::new("TFLOP, in full", 0),
        Column::new("TFLOP, causal", 1),
        Column::new("causal / full (%)", 2),
    ];
    let rows = analysis.strategies.iter().filter_map(|strategy| row(analysis, strategy));
    let born = analysis.born.iter().flat_map(|born| &born.ends.causal).map(|(arm, n, share)| {
        let mut cells = vec![Cell::Missing; 6];
        cells[0] = Cell::Name([arm.clone(), arm.replace('_', " ")]);
        cells[1] = short(*n).into();
        cells[5] = percent(*share);
        cells
    });
    let born: Vec<Vec<Cell>> = born.collect();
    let more = match born.is_empty() {
        true => "",
        false => " Born sizes have the compute of every budget; their shares depend on none.",
    };
    let rows: Vec<Vec<Cell>> = rows.chain(born).collect();
    let caption = format!("{CAPTION}{more}");
    (!rows.is_empty()).then_some(Table { name: "compute", caption, columns, rows })
}

fn percent(share: f64) -> Cell {
    format!("{:.1}", 100.0 * share).into()
}

fn row(analysis: &Analysis, strategy: &Strategy) -> Option<Vec<Cell>> {
    let flops = strategy.train_flops?.mean;
    let tera = |flops: f64| {
        let value = flops / 1e12;
        // Four digits that count, however small.
        let decimals = (3.0 - value.log10().floor()).clamp(0.0, 12.0) as usize;
        Cell::from(format!("{value:.decimals$}"))
    };
    let tokens = strategy.tokens.map_or(Cell::Missing, |tokens| short(tokens.mean).into());
    let sizes = parameters(strategy);
    let share = strategy.causal_share;
    let name = name(analysis, &strategy.name);
    Some(vec![name, sizes, tokens, tera(flops), tera(share * flops), percent(share)])
}
