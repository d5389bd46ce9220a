//! The folder of a comparison of two sweeps.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    error::ReportError,
    escape::{csv, markdown as escaped},
    figures::{self, Figure},
    latex::{self, Width},
    markdown,
    numbers::{p_text, plus_minus},
    pair::{Pair, PairArm, Side},
    provenance::digest,
    table::{Cell, Column, Table},
};

/// Relative path and content of every file.
///
/// # Errors
/// If a rendering library refuses.
pub fn files(pair: &Pair) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let tables: Vec<Table> = [settings(pair), Some(arms(pair))].into_iter().flatten().collect();
    let figures = figures::of_sweeps(pair);
    let mut files: Vec<(String, Vec<u8>)> = vec![];
    for figure in &figures {
        files.extend(figures::files(figure)?);
    }
    files.push(("README.md".into(), readme(pair, &tables, &figures).into_bytes()));
    for width in Width::ALL {
        let path = format!("figures/figures-{}.tex", width.suffix());
        files.push((path, latex::figures(&figures, width).into_bytes()));
    }
    for table in &tables {
        let path = |suffix: &str| format!("tables/{}{suffix}", table.name);
        files.push((path(".csv"), csv(&table.raw())));
        files.push((path(".md"), markdown::table(table).into_bytes()));
        for width in Width::ALL {
            let text = latex::table(table, width);
            files.push((path(&format!("-{}.tex", width.suffix())), text.into_bytes()));
        }
    }
    files.sort();
    files.push(("provenance.json".into(), provenance(pair, &files)));
    Ok(files)
}

/// The settings that differ; none where they don't.
fn settings(pair: &Pair) -> Option<Table> {
    let text = |value: &Option<String>| value.clone().map_or(Cell::Missing, Cell::Text);
    let rows: Vec<Vec<Cell>> = pair
        .settings
        .iter()
        .map(|one| vec![one.field.clone().into(), text(&one.values[0]), text(&one.values[1])])
        .collect();
    let columns = ["setting", "A", "B"].map(|head| Column::text(head, 0)).to_vec();
    let caption = "What differs in the settings of the two sweeps.".to_owned();
    (!rows.is_empty()).then_some(Table { name: "settings", caption, columns, rows })
}

/// The arms beside each other.
fn arms(pair: &Pair) -> Table {
    let columns = vec![
        Column::text("arm", 0),
        Column::new("loss in A", 1),
        Column::new("loss in B", 1),
        Column::new("B − A", 1),
        Column::new("n", 2),
        Column::new("p (Holm)", 3),
        Column::new("learning rate in A", 6),
        Column::new("learning rate in B", 6),
        Column::new("saved in A (%)", 4),
        Column::new("saved in B (%)", 4),
        Column::new("TFLOP in A", 7),
        Column::new("TFLOP in B", 7),
    ];
    let kind = match pair.is_paired() {
        true => {
            "over the seeds that both have, paired, its interval and p-value corrected for the \
             number of arms (Holm)"
        }
        false => {
            "not paired, for they have no seed in common (n: seeds in A and in B), its interval and \
             p-value (Welch) corrected for the number of arms (Holm)"
        }
    };
    let caption = format!(
        "Final validation loss ({}) of the arms of two sweeps, each at the best of its \
         learning rates there; B − A is {kind}. ± is half a 95 % interval over seeds; compute saved \
         is against the control of the same sweep, corrected (Holm) as in that sweep's own report.",
        pair.unit.words()
    );
    Table { name: "arms", caption, columns, rows: pair.arms.iter().map(row).collect() }
}

fn row(arm: &PairArm) -> Vec<Cell> {
    let number = |value: Option<crate::interval::Interval>, digits: usize| {
        value.map_or(Cell::Missing, |value| Cell::Number(plus_minus(&value, digits), value.mean))
    };
    let sides = |of: &dyn Fn(&Side) -> Cell| {
        arm.sides.each_ref().map(|side| side.as_ref().map_or(Cell::Missing, of))
    };
    let [loss_a, loss_b] = sides(&|side| number(side.final_loss, 3));
    let [rate_a, rate_b] = sides(&|side| side.learning_rate.to_string().into());
    let percent = |saved: crate::interval::Interval| saved.map(|v| 100.0 * v);
    let [saved_a, saved_b] = sides(&|side| number(side.saved.map(percent), 1));
    let flops = |side: &Side| {
        side.train_flops.map_or(Cell::Missing, |flops| format!("{:.3}", flops / 1e12).into())
    };
    let [flops_a, flops_b] = sides(&flops);
    let difference = arm.difference();
    let p = arm.tested().and_then(|tested| tested.p_corrected);
    vec![
        Cell::Name([arm.strategy.clone(), arm.shown.clone()]),
        loss_a,
        loss_b,
        number(difference, 3),
        arm.n().map_or(Cell::Missing, Cell::Text),
        p.map_or(Cell::Missing, |p| p_text(p).into()),
        rate_a,
        rate_b,
        saved_a,
        saved_b,
        flops_a,
        flops_b,
    ]
}

fn readme(pair: &Pair, tables: &[Table], figures: &[Figure]) -> String {
    let [a, b] = pair.names.each_ref().map(|name| escaped(name));
    let mut text = format!("# {a} (A) beside {b} (B)\n\n");
    if pair.open > 0 {
        text += &format!("Preliminary: {} trials are not trained to their end yet.\n\n", pair.open);
    }
    if pair.settings.is_empty() {
        text += "Their settings are the same.\n\n";
    }
    for caution in pair.cautions() {
        text += &format!("{caution}\n\n");
    }
    for table in tables {
        text += &format!("{}\n{}\n\n", markdown::table(table), table.caption);
    }
    for figure in figures {
        let (name, caption) = (figure.name, &figure.caption);
        text += &format!("![{name}](figures/{name}-double.png)\n\n{caption}\n\n");
    }
    text + "Figures are in `figures/`, their numbers in `data/`, tables in `tables/`; \
            `provenance.json` says what all of it was made from. Generated by `outgrow compare`.\n"
}

fn provenance(pair: &Pair, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let digests: BTreeMap<&str, String> =
        files.iter().map(|(path, bytes)| (path.as_str(), digest(bytes))).collect();
    let open = pair.open;
    let states = if open > 0 { json!({ "waiting": open }) } else { json!({}) };
    let value = json!({
        "outgrow": env!("CARGO_PKG_VERSION"),
        "sweep": pair.names.join(" beside "),
        "sweep_id": pair.ids.join("+"),
        "states": states,
        "comparison": pair,
        "files_blake3": digests,
    });
    let mut text = serde_json::to_vec_pretty(&value).expect("plain data");
    text.push(b'\n');
    text
}
