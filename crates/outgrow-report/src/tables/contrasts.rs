//! Arms against each other.

use super::{CORRECTED, name, number, points};
use crate::{
    analysis::Analysis,
    numbers::p_text,
    table::{Cell, Column, Table},
    tested::Tested,
};

/// The contrasts that were asked for; none where there are none.
pub fn table(analysis: &Analysis) -> Option<Table> {
    let columns = vec![
        Column::text("a", 0),
        Column::text("minus b", 0),
        Column::new("n", 3),
        Column::new("final loss", 1),
        Column::new("p (Holm)", 4),
        Column::new("saving (points)", 2),
        Column::new("p (Holm) of the saving", 5),
    ];
    let p = |tested: Option<&Tested>| {
        tested.and_then(|tested| tested.p_corrected).map_or(Cell::Missing, |p| p_text(p).into())
    };
    let row = |contrast: &crate::contrast::Contrast| {
        let (loss, saving) = (contrast.loss.as_ref(), contrast.saving.as_ref());
        vec![
            name(analysis, &contrast.a),
            name(analysis, &contrast.b),
            loss.map_or(Cell::Missing, |tested| tested.value.n.to_string().into()),
            number(loss.map(|tested| tested.corrected), 3),
            p(loss),
            number(points(saving), 1),
            p(saving),
        ]
    };
    let rows: Vec<Vec<Cell>> = analysis.contrasts.iter().map(row).collect();
    let caption = format!(
        "Differences between arms, each at the best of its learning rates, paired by seed: final \
         loss in {} (below 0, the first ends lower), and compute saved in points \
         (above 0, the first saves more). {CORRECTED}.",
        analysis.unit.words()
    );
    (!rows.is_empty()).then_some(Table { name: "contrasts", caption, columns, rows })
}
