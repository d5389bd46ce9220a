//! What was tried of each arm.

use super::{name, number};
use crate::{
    analysis::Analysis,
    strategy::{Strategy, Tried},
    table::{Cell, Column, Table},
};

const CAPTION: &str = "\
    at every learning rate that was tried; the one in bold is the one that the arm is judged by: of \
    those with the most complete trials, the one with the lowest mean. ± is half a 95 % interval \
    over seeds, each for itself.";
const TUNED: &str = "\
    at every learning rate that was tried, on seeds of their own, which are in no comparison. They \
    chose the one in bold, by which the arm is judged: the nearest to the vertex, in the logarithm of \
    the rate, of a parabola through the best rate and its neighbours, of a curvature that budgets \
    share; of fewer than three rates the best, and where the nearest is told to be worse. ± is half a 95 % interval over these seeds, each for \
    itself.";
const EDGE: &str = " An asterisk marks a choice at the lowest or the highest rate: a wider grid \
                    may change it.";

/// The table; none where there was one choice everywhere.
pub fn table(analysis: &Analysis) -> Option<Table> {
    if analysis.strategies.iter().all(|strategy| strategy.tuning.len() < 2) {
        return None;
    }
    let columns = vec![
        Column::text("strategy", 0),
        Column::text("setting", 3),
        Column::new("learning rate", 0),
        Column::new("final loss", 0),
        Column::new("complete", 1),
        Column::new("lost", 2),
    ];
    let tried =
        analysis.strategies.iter().flat_map(|s| s.tuning.iter().map(move |tried| (s, tried)));
    let rows = tried.map(|(strategy, tried)| row(analysis, strategy, tried)).collect();
    let is_edge = analysis.strategies.iter().any(|strategy| strategy.is_at_the_edge);
    let is_tuned = analysis.strategies.iter().any(|strategy| strategy.tuning_seeds > 0);
    let caption = format!(
        "Final validation loss ({}) {}{}{}",
        analysis.unit.words(),
        if is_tuned { TUNED } else { CAPTION },
        untuned(analysis),
        if is_edge { EDGE } else { "" }
    );
    Some(Table { name: "tuning", caption, columns, rows })
}

/// Arms whose rate the compared seeds chose, where others have seeds of their own for that.
fn untuned(analysis: &Analysis) -> String {
    let (tuned, own): (Vec<&Strategy>, Vec<_>) =
        analysis.strategies.iter().partition(|strategy| strategy.tuning_seeds > 0);
    match tuned.is_empty() || own.is_empty() {
        true => String::new(),
        false => {
            let names: Vec<&str> = own.iter().map(|strategy| strategy.shown.as_str()).collect();
            format!(
                " Not so {}: no trial of such a seed is complete, so the seeds that are compared \
                 chose, by the lowest mean.",
                names.join(", ")
            )
        }
    }
}

fn row(analysis: &Analysis, strategy: &Strategy, tried: &Tried) -> Vec<Cell> {
    let edge = if tried.is_chosen && strategy.is_at_the_edge { "*" } else { "" };
    let setting = Some(tried.setting.clone()).filter(|setting| !setting.is_empty());
    let lost = Some(tried.lost).filter(|lost| *lost > 0);
    let loss = match number(tried.final_loss, 3) {
        Cell::Number(text, _) if tried.is_chosen => Cell::Bold(text),
        other => other,
    };
    vec![
        name(analysis, &strategy.name),
        setting.map_or(Cell::Missing, Cell::Text),
        Cell::Text(format!("{}{edge}", tried.learning_rate)),
        loss,
        format!("{}/{}", tried.complete, tried.trials).into(),
        lost.map_or(Cell::Missing, |lost| lost.to_string().into()),
    ]
}
