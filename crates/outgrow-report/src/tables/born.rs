//! The frontier of being born, and the growing arms against it.

use super::{bits_per_byte, name};
use crate::{
    analysis::Analysis,
    frontier::{Against, Censored, Multiplier},
    numbers::{bounds, p_text, plus_minus, short, signed_loss},
    table::{
        Best::{Highest, Lowest},
        Cell, Column, Table,
    },
};

/// Each growing arm at each of its budgets; none without a frontier.
pub fn gaps(analysis: &Analysis) -> Option<Table> {
    let born = analysis.born.as_ref()?;
    let columns = vec![
        Column::text("strategy", 0),
        Column::new("budget", 0),
        Column::new(&format!("gap ({})", analysis.unit.short()), 0).best(Lowest),
        Column::new("p (Holm)", 2),
        Column::new("multiplier", 0).best(Highest),
        Column::new("95 % interval", 3),
        Column::new("n", 1),
        Column::new("seeds needed", 4),
        Column::text("why none", 5),
    ];
    let row = |(budget, gap): (String, &crate::frontier::ArmGap)| {
        let mut cells = vec![name(analysis, &gap.arm), budget.into()];
        match &gap.against {
            Ok(against) => cells.extend(numbers(against)),
            Err(why) => {
                cells.extend(vec![Cell::Missing; 6]);
                cells.push(why.to_string().into());
            }
        }
        cells
    };
    let caption = format!(
        "Growing against being born. Budgets are {}. The gap is the final validation loss minus \
         that of the best size that a model can be born with for the same compute (the vertex of \
         table frontier): below 0 growing pays. The multiplier is the compute that a model of the \
         best born size needs for the same loss, over that of the arm: above 1 growing pays; > and \
         < are bounds at the rim of the budgets. Both are read at the end of a schedule. ± and \
         intervals are of 95 % over seeds, corrected (Holm) for all arms and budgets. Where nothing is \
         clear, so many seeds would tell a gap of this size with 80 % power.{}",
        born.unit.describe(),
        born.cautions.words()
    );
    let rows: Vec<_> = born.gaps().map(row).collect();
    (!rows.is_empty()).then_some(Table { name: "gaps", caption, columns, rows })
}

fn numbers(against: &Against) -> Vec<Cell> {
    let Against { gap, multiplier } = against;
    let factor = multiplier.as_ref();
    let text = |multiplier: &Multiplier| match multiplier.value {
        Censored::At(value) => Cell::Number(format!("{value:.2}"), value),
        Censored::Above(value) => Cell::Text(format!("> {value:.2}")),
        Censored::Below(value) => Cell::Text(format!("< {value:.2}")),
    };
    let end = |end: Option<f64>| end.map_or_else(|| "…".to_owned(), |end| format!("{end:.2}"));
    let interval = |multiplier: &Multiplier| {
        let [low, high] = multiplier.corrected.map(end);
        Cell::Text(format!("[{low}, {high}]"))
    };
    vec![
        Cell::Number(plus_minus(&gap.corrected, 4), gap.value.mean),
        gap.p_corrected.map_or(Cell::Missing, |p| p_text(p).into()),
        factor.map_or(Cell::Missing, text),
        factor.map_or(Cell::Missing, interval),
        gap.value.n.to_string().into(),
        against.seeds_needed().map_or(Cell::Missing, |n| n.to_string().into()),
        Cell::Missing,
    ]
}

/// The best born size at each budget; none without a frontier.
pub fn frontier(analysis: &Analysis) -> Option<Table> {
    let born = analysis.born.as_ref()?;
    let columns = vec![
        Column::text("budget", 0),
        Column::new("TFLOP", 1),
        Column::new("best parameters", 0),
        Column::new("95 % interval", 3),
        Column::new("least loss", 0),
        Column::new("bits per byte", 1),
        Column::new("law minus that", 2),
        Column::new("n", 1),
        Column::text("why none", 4),
    ];
    let row = |(budget, found): (String, &crate::frontier::Budget)| {
        let flops = format!("{:.4}", found.flops / 1e12);
        let law = found.law_minus_vertex.as_ref().map(|law| signed_loss(law.mean, 4).into());
        let mut cells = vec![budget.into(), flops.into()];
        match &found.vertex {
            Ok(vertex) => cells.extend([
                short(vertex.n_star.mean).into(),
                bounds(&vertex.n_star, |n, _| short(n), 0).into(),
                plus_minus(&vertex.loss, 4).into(),
                bits_per_byte(analysis, Some(vertex.loss), 4),
                law.unwrap_or(Cell::Missing),
                vertex.loss.n.to_string().into(),
                Cell::Missing,
            ]),
            Err(why) => {
                cells.extend(vec![Cell::Missing; 6]);
                cells.push(why.to_string().into());
            }
        }
        cells
    };
    let caption = format!(
        "The frontier of being born. Budgets are {}. At each of them the vertex over sizes (without \
         embeddings, with the unembedding) of the final validation loss ({}): the best \
         size, and the loss of a model that has it from its first token on. ± is half a 95 % \
         interval over seeds, each budget for itself. \"Law minus that\" compares the law fitted to \
         all ends with the vertex.{}",
        born.unit.describe(),
        analysis.unit.words(),
        born.cautions.words()
    );
    let rows: Vec<_> = born.vertices().map(row).collect();
    (!rows.is_empty()).then_some(Table { name: "frontier", caption, columns, rows })
}
