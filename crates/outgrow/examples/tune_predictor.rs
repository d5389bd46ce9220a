//! Which settings of `nar` rank the plans of a sweep best: a table beside ridge and boosted trees.
//! `cargo run --release -p outgrow --example tune_predictor -- DATABASE SWEEP`

use std::time::Instant;

use outgrow::{
    Workspace,
    rank::{HoldOut, PredictorSettings},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(database), Some(sweep)) = (args.next(), args.next()) else {
        return Err("give a database and a sweep".into());
    };
    let workspace = Workspace::new(database, None);
    let base = PredictorSettings::default();
    let settings = [
        ("as it is", base),
        ("100 epochs at 3e-3", PredictorSettings { epochs: 100, learning_rate: 3e-3, ..base }),
        ("300 epochs at 1e-3", PredictorSettings { epochs: 300, learning_rate: 1e-3, ..base }),
        ("one block", PredictorSettings { blocks: 1, ..base }),
        ("64 wide", PredictorSettings { width: 64, ..base }),
        ("16 wide", PredictorSettings { width: 16, ..base }),
        ("no dropout", PredictorSettings { dropout: 0.0, ..base }),
        ("dropout 0.2", PredictorSettings { dropout: 0.2, ..base }),
        ("batches of 16", PredictorSettings { batch_size: 16, ..base }),
        ("no pairs", PredictorSettings { pairs: 0.0, ..base }),
    ];
    println!("| settings | held out | Spearman | of the ceiling | minus ridge | seconds |");
    println!("|---|---|---|---|---|---:|");
    for (hold_out, words) in [(HoldOut::Plans, "plans"), (HoldOut::InitialSizes, "initial sizes")] {
        for (number, (name, settings)) in settings.into_iter().enumerate() {
            let began = Instant::now();
            let ranked = workspace.rank(&sweep, hold_out, settings)?;
            let seconds = began.elapsed().as_secs_f64();
            for one in &ranked.ranking.predictors {
                let plain = number == 0 && ["ridge", "boosted_trees"].contains(&&*one.name);
                if one.name != "nar" && !plain {
                    continue;
                }
                let name = if plain { &*one.name } else { name };
                let text = |drawn: outgrow::rank::Drawn| {
                    format!("{:.3} [{:.3}, {:.3}]", drawn.value, drawn.low, drawn.high)
                };
                println!(
                    "| {name} | {words} | {} | {} | {} | {seconds:.0} |",
                    text(one.spearman),
                    one.of_ceiling.map_or_else(String::new, text),
                    text(one.minus_ridge)
                );
            }
        }
    }
    Ok(())
}
